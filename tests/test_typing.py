from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

HERE = Path(__file__).parent
CHECKERS = {"mypy": ["--strict", "--warn-unused-ignores"], "pyright": []}


@pytest.mark.parametrize("checker", CHECKERS)
def test_what_type_checkers_see(checker: str) -> None:
    """
    Both faces have the types they are said to have, and every deliberate mistake is found.
    """
    end = subprocess.run(
        [sys.executable, "-m", checker, *CHECKERS[checker], HERE / "typing"],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert end.returncode == 0, end.stdout + end.stderr


def test_the_faces_are_pinned_alike() -> None:
    """
    What is pinned of the asynchronous face is pinned of the blocking one.
    """
    pinned = {
        name: re.findall(r"jobs\.(\w+)\(", (HERE / "typing" / f"{name}.py").read_text())
        for name in ("asynchronous", "blocking")
    }

    assert pinned["asynchronous"] == pinned["blocking"]
