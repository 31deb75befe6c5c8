"""
The pytest fixture `model_studio`, for test suites of users of the library.

The emulator is imported only if a test uses the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .emulator import Emulator


@pytest.fixture
def model_studio() -> Iterator[Emulator]:
    """
    Run an empty Model Studio for one test, async or not.

    It runs on a thread of its own: use `model_studio.url`, `model_studio.key("intl")` and
    `model_studio.seed("intl", jobs=300)`.
    """
    from .emulator import Emulator

    with Emulator() as emulator:
        yield emulator
