"""
An environment of its own for the official SDK, made once and kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..environments import install

REQUIREMENT = "dashscope==2.0.2"
FOLDER = Path(__file__).resolve().parents[2] / ".venv-contract"


def interpreter() -> Path:
    """
    Return the Python that has the SDK, after installing it where that was not done yet.
    """
    done = FOLDER / REQUIREMENT
    if not done.exists():
        install(sys.executable, FOLDER, REQUIREMENT)
        done.touch()
    return FOLDER / "bin" / "python"


if __name__ == "__main__":
    sys.stdout.write(f"{interpreter()}\n")
