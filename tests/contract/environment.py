"""
An environment of its own for the official SDK, made once and kept.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

REQUIREMENT = "dashscope==2.0.2"
FOLDER = Path(__file__).resolve().parents[2] / ".venv-contract"


def interpreter() -> Path:
    """
    Return the Python that has the SDK, after installing it where that was not done yet.
    """
    python = FOLDER / "bin" / "python"
    done = FOLDER / REQUIREMENT
    if not done.exists():
        installer = _installer()
        options = ["--without-pip"] if installer else []
        _run(sys.executable, "-m", "venv", "--clear", *options, str(FOLDER))
        pip = [*installer, "--python", str(python)] if installer else [str(python), "-m", "pip"]
        _run(*pip, "install", "--quiet", "--disable-pip-version-check", REQUIREMENT)
        done.touch()
    return python


def _installer() -> list[str]:
    if find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    found = shutil.which("pip3") or shutil.which("pip")
    return [found] if found else []


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.stdout.write(f"{interpreter()}\n")
