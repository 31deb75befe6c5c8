"""
All public names at once, as type checkers see them.
"""

from __future__ import annotations

from typing import assert_type

from dashscope_ft import *  # noqa: F403


def names(client: AsyncClient, blocking: Client, plan: Plan, error: DashScopeError) -> None:  # noqa: F405
    assert_type(client.fine_tunes, FineTunes)  # noqa: F405
    assert_type(client.imports, Imports)  # noqa: F405
    assert_type(blocking.fine_tunes, SyncFineTunes)  # noqa: F405
    assert_type(blocking.imports, SyncImports)  # noqa: F405
    assert_type(plan.entries, tuple[PlanEntry, ...])  # noqa: F405
    assert_type(error.retryable, bool)
