"""
The soak of `tests.trials.soak`, short enough to be made each time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.trials.soak import Scale, soak

pytestmark = pytest.mark.once


async def test_many_callers_for_a_while(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """
    Each of many calls ends in an answer or an error of the tree, the emulator's books agree with
    every one of them, and neither tasks nor sockets are left.
    """
    findings = await soak(Scale(seconds=2.5, jobs=500), tmp_path)
    print(findings.text())

    assert not findings.disagreements
    record_property("figure", findings.sentence())
