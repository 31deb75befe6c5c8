"""
Run the tests on the oldest releases that the bounds admit: `python -m tests.lowest`.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from .__main__ import ON_EVERY_PYTHON, ROOT
from .environments import install


def main() -> int:
    """
    Install them into an environment of their own, and run there what CI runs on every Python.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounds = [*project["dependencies"], *extras["cli"], *extras["plot"]]
    with TemporaryDirectory() as folder:
        lowest = Path(folder, "lowest.txt")
        lowest.write_text("\n".join(bound.replace(">=", "==") for bound in bounds))
        print(lowest.read_text(), flush=True)
        environment = Path(folder, "environment")
        python = install(sys.executable, environment, "-c", lowest, "-e", f"{ROOT}[dev]")
        return subprocess.run([python, *ON_EVERY_PYTHON], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
