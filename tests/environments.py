"""
Environments of their own: for other Pythons, the lowest releases, the official SDK.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path


def install(python: str | Path, environment: Path, *wanted: str | Path) -> Path:
    """
    Make an environment, install into it, and give its Python.

    Pip is that of outside: Debian's Python has none to put into an environment.
    """
    inside = environment / "bin" / "python"
    pip = [sys.executable if find_spec("pip") else "python3", "-m", "pip"]
    _run(python, "-m", "venv", "--without-pip", environment)
    _run(*pip, "--python", inside, "install", "-q", "--disable-pip-version-check", *wanted)
    return inside


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    python, environment, *wanted = sys.argv[1:]
    install(python, Path(environment), *wanted)
