"""
The fixture `model_studio`, for the suites of those who install the library.

Nothing is imported until a test asks for it.
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

    It lives on a thread of its own: use `model_studio.url`, `model_studio.key("intl")` and
    `model_studio.seed("intl", jobs=300)`.
    """
    from .emulator import Emulator

    with Emulator() as emulator:
        yield emulator
