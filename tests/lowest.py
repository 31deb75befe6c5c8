"""
Run the tests on the oldest releases that the bounds admit: `python -m tests.lowest`.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]


def main() -> int:
    """
    Install them into an environment of their own, and run there what CI runs on every Python.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bounds = [*project["dependencies"], *extras["cli"], *extras["plot"]]
    with TemporaryDirectory() as folder:
        environment = Path(folder, "environment")
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        lowest = Path(folder, "lowest.txt")
        lowest.write_text("\n".join(bound.replace(">=", "==") for bound in bounds))
        print(lowest.read_text(), flush=True)
        install: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "-c",
            lowest,
            "-e",
            f"{ROOT}[dev]",
        ]
        subprocess.run(install, check=True)
        tests: list[str | Path] = [
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "not contract and not once",
        ]
        return subprocess.run(tests, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
