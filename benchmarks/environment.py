"""
An environment of its own for those that we measure ourselves against, made once and kept.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from .progress import progress

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv-bench"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")


def interpreter() -> Path:
    """
    Return the Python that has them, and this library as it lies here, after installing what lacks.
    """
    python = FOLDER / "bin" / "python"
    wanted = REQUIREMENTS.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    done = FOLDER / f"installed-{hashlib.sha256(wanted).hexdigest()[:16]}"
    if not done.exists():
        progress(f"installing into {FOLDER.name}")
        _run(sys.executable, "-m", "venv", "--clear", str(FOLDER))
        library = f"{ROOT}[cli]"
        options = ("--quiet", "--disable-pip-version-check")
        _run(str(python), "-m", "pip", "install", *options, "-e", library, "-r", str(REQUIREMENTS))
        done.touch()
    return python


def is_current() -> bool:
    """
    Whether this process runs in it.
    """
    return Path(sys.prefix).resolve() == FOLDER.resolve()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
