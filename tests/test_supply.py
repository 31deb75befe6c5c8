"""
What is installed: bounds, and a wheel and an sdist that hold what they should.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE: list[str] = PROJECT["dependencies"]
EXTRAS: list[str] = [*chain.from_iterable(PROJECT["optional-dependencies"].values())]


@pytest.mark.parametrize(
    "requirement", [each for each in CORE + EXTRAS if not each.startswith("dashscope-ft")]
)
def test_a_bound(requirement: str) -> None:
    """
    Each dependency says what it needs at least, and forbids nothing newer.
    """
    exactly = "aioresponses==0.7.9"  # the stubbing fixture mends this very release

    assert requirement == exactly or re.fullmatch(r"[\w\[\]-]+>=\d+(\.\d+)*", requirement)


@pytest.mark.parametrize("requirement", CORE)
def test_a_dependency_in_the_readme(requirement: str) -> None:
    """
    Each dependency of the core earns its place in a line of the README.
    """
    name = requirement.partition(">=")[0]
    section = (ROOT / "README.md").read_text().partition("## Dependencies")[2]

    assert f"`{name}`" in section.partition("\n## ")[0]


@pytest.mark.once
def test_a_wheel_and_an_sdist(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """
    Both build, hold what they should and no more, and the wheel runs the demo where it is alone.
    """
    [sdist] = built("sdist", ROOT, tmp_path)
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
        packed = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    [wheel] = built("wheel", ROOT, tmp_path / "here")
    [again] = built("wheel", tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "again")
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(again) as other:
        names = archive.namelist()
        same = [archive.read(name) == other.read(name) for name in names]
    source = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dashscope_ft").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {name for name in names if ".dist-info/" not in name} == source
    assert "dashscope_ft/py.typed" in source
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert packed >= {"LICENSE", "README.md", "CHANGELOG.md", "pyproject.toml", "tests/proof.py"}
    assert all(same)

    told = demonstrated(wheel, tmp_path / "environment")

    record_property(
        "figure",
        f"A wheel of {len(names)} files, the same from the checkout and from the sdist of "
        f"{len(packed)}; alone in an environment, its demo ticked {told.count('✓')} marks.",
    )
    assert "✗" not in told
    assert told.count("✓") > 0


def built(kind: str, source: Path, target: Path) -> list[Path]:
    """
    Build with what is installed, in an interpreter of its own.
    """
    target.mkdir(exist_ok=True)
    before = set(target.iterdir())
    script = f"import hatchling.build as b; b.build_{kind}({str(target)!r})"
    subprocess.run([sys.executable, "-c", script], cwd=source, check=True, capture_output=True)
    return [path for path in target.iterdir() if path not in before]


def demonstrated(wheel: Path, environment: Path) -> str:
    """
    Run the demo of a wheel that is alone but for its dependencies; give what it printed.
    """
    venv.create(environment, with_pip=False)
    [site] = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Of the environment that tests, only the packages: not its path to the checkout.
    (site / "dependencies.pth").write_text(
        "import os, sys; sys.path.append(os.environ['PACKAGES'])"
    )
    ran = subprocess.run(
        [environment / "bin" / "python", "-m", "dashscope_ft", "demo"],
        cwd=environment,
        env={"PACKAGES": sysconfig.get_path("purelib"), "PATH": "/usr/bin", "LANG": "C.UTF-8"},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout
