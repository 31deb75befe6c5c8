"""
Check everything: `python -m tests`.

Lint, format, types by two checkers, and the tests on this Python, then the tests on every
other supported Python that the machine has. Whatever is needed is installed beside the
checkout, in folders that git ignores.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import PIPE, STDOUT

ROOT = Path(__file__).parent.parent
SUPPORTED = ["3.11", "3.12", "3.13"]
ON_EVERY_PYTHON = [
    "-m",
    "pytest",
    "-q",
    "-p",
    "no:cacheprovider",
    "-m",
    "not contract and not once",
]


def main() -> int:
    """
    Run every check, two at a time, say how each ended, and give the number that failed.
    """
    here = sys.executable
    checks: dict[str, list[list[str | Path]]] = {
        # The longest first: beside it, the tests on other Pythons take about as long together.
        "tests on this Python": [[here, "-m", "pytest", "-q"]],
    }
    for version, python in other_pythons().items():
        environment = ROOT / f".venv-{version}"
        checks[f"tests on Python {version}"] = [
            [here, "-m", "tests.environments", python, environment, "-e", ".[test]"],
            [environment / "bin" / "python", *ON_EVERY_PYTHON],
        ]
    checks |= {
        "lint": [[here, "-m", "ruff", "check"]],
        "format": [[here, "-m", "ruff", "format", "--check"]],
        "types, mypy": [[here, "-m", "mypy"]],
        "types, pyright": [[here, "-m", "pyright", "--warnings", "--pythonpath", here]],
    }
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(check, checks, checks.values()))

    print("\n== summary")
    for name, (passed, seconds) in zip(checks, ended, strict=True):
        print(f"{'passed' if passed else 'FAILED'}  {seconds:5.0f} s  {name}")
    return sum(not passed for passed, _ in ended)


def check(name: str, commands: list[list[str | Path]]) -> tuple[bool, float]:
    """
    Run commands until one fails, and tell whether none did, and how many seconds they took.
    """
    begun, passed, said = time.monotonic(), True, ""
    for command in commands:
        ran = subprocess.run(command, cwd=ROOT, check=False, stdout=PIPE, stderr=STDOUT, text=True)
        said += ran.stdout
        passed = ran.returncode == 0
        if not passed:
            break
    print(f"\n== {name}\n{said.rstrip()}", flush=True)
    return passed, time.monotonic() - begun


def other_pythons() -> dict[str, Path]:
    """
    Find the supported Pythons of this machine that are not the running one.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {}
    for version in SUPPORTED:
        candidates = [shutil.which(f"python{version}"), *pyenv_pythons(version)]
        works = [each for each in candidates if each and is_python(each, version)]
        if version != running and works:
            found[version] = Path(works[0])
    return found


def pyenv_pythons(version: str) -> list[str]:
    """
    Give the interpreters of a version that pyenv keeps but does not put on the path.
    """
    pyenv = shutil.which("pyenv")
    if pyenv is None:
        return []
    root = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
    return [
        str(each) for each in Path(root.stdout.strip()).glob(f"versions/{version}.*/bin/python")
    ]


def is_python(path: str, version: str) -> bool:
    """
    Tell whether a path runs, and is what its name says.
    """
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
    return answer.stdout.strip() == version


if __name__ == "__main__":
    sys.exit(main())
