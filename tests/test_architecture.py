"""
The tree's shape: what may know what, what is public, and what a first import costs.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import dashscope_ft

pytestmark = pytest.mark.once

PACKAGE = Path(dashscope_ft.__file__).parent

# From the ground up. A module knows what stands above it; those of a line don't know each other.
LAYERS = """
characters daemons errors
arguments credentials envelope limiter models training_log
codec endpoint outcomes plot retry stitching waiting
bulk calls loop_thread pagination settings tail
cleanup connections creation portal
transport
resources
client
sync
emulator
cli
__main__
"""
RANK = {name: rank for rank, line in enumerate(LAYERS.split("\n")) for name in line.split()}

# Of the client, the emulator knows the words of its models, and the loop behind blocking code.
KNOWN_TO_EMULATOR = {"models", "portal"}

FOREIGN = {
    "aiohttp": {"connections"},
    "yarl": {"connections"},
    "cattrs": {"codec", "cleanup"},
    "backoff": {"retry", "transport"},
    "typer": {"cli"},
    "rich": {"cli"},
}

PUBLIC = """
AsyncClient Client Selection Plan PlanEntry
FineTunes Imports SyncFineTunes SyncImports
AsyncPager Pager AsyncOutcomes Outcomes
FineTuneJob ImportJob Checkpoint Page Receipt Outcome Report JobStatus ImportStatus
DashScopeError ConfigurationError InvalidArgument ConnectionFailed DeadlineExceeded OutcomeUnknown
MalformedResponse ListingInconsistent JobFailed GuardExceeded PlanRefused ClientClosed APIError
InvalidRequest StateConflict AuthenticationFailed PermissionDenied NotFound Conflict Throttled
QuotaExceeded ServiceError
"""


def unit(path: Path) -> str:
    """
    Name the module, or the package, that a file belongs to.
    """
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(PACKAGE.rglob("*.py"))
UNITS = sorted({unit(path) for path in SOURCES} - {"__init__"})


def imported(path: Path) -> Iterator[str]:
    """
    Yield the absolute names that a file imports when it runs, be it late.
    """
    here = ["dashscope_ft", *path.relative_to(PACKAGE).parts[:-1]]
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            yield from (".".join([*base, alias.name]) for alias in node.names)
        waiting += ast.iter_child_nodes(node)


def neighbours(path: Path) -> Iterator[str]:
    """
    Yield the units of this package that a file imports.
    """
    for name in imported(path):
        package, _, rest = name.partition(".")
        if package == "dashscope_ft" and rest:
            first = rest.partition(".")[0]
            home = first if first in UNITS else dashscope_ft._MODULE.get(first, "__init__")
            yield home.partition(".")[0]


def test_every_module_has_a_place() -> None:
    """
    The picture of the layers shows all there is.
    """
    assert sorted(RANK) == UNITS


@pytest.mark.parametrize("name", UNITS)
def test_imports_run_one_way(name: str) -> None:
    """
    A module imports only what stands above it.
    """
    for path in SOURCES:
        if unit(path) != name:
            continue
        for other in set(neighbours(path)) - {name, "__init__"}:
            assert RANK[other] < RANK[name], f"{path} imports {other}"


def test_the_emulator_knows_nothing_of_the_client() -> None:
    """
    What tests the client does not lean on it.
    """
    for path in SOURCES:
        if unit(path) == "emulator":
            assert set(neighbours(path)) <= KNOWN_TO_EMULATOR | {"emulator"}, path


@pytest.mark.parametrize("library", FOREIGN)
def test_a_library_has_one_home(library: str) -> None:
    """
    Each of the larger libraries is known where it is used, and nowhere else.
    """
    users = {
        unit(path)
        for path in SOURCES
        for name in imported(path)
        if name.partition(".")[0] == library
    }

    assert users <= FOREIGN[library]


def test_there_are_no_cycles_within_packages() -> None:
    """
    Any module can be the first one that is imported.
    """
    names = [
        ".".join(["dashscope_ft", *path.relative_to(PACKAGE).with_suffix("").parts])
        for path in SOURCES
        if path.stem not in ("__init__", "__main__")
    ]
    script = "import sys, importlib\n" + (
        "for name in sys.argv[1:]:\n"
        "    for each in [each for each in sys.modules if each.startswith('dashscope_ft')]:\n"
        "        del sys.modules[each]\n"
        "    importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *names], capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert done.returncode == 0


def test_the_public_names() -> None:
    """
    Every public name is importable from the package, and `__all__` is complete and true.
    """
    names: Any = dashscope_ft.__all__  # which checkers are not shown

    assert set(PUBLIC.split()) <= set(names)
    assert list(names) == sorted(set(names))
    assert set(names) <= set(dir(dashscope_ft))
    for name in names:
        home = import_module(f"dashscope_ft.{dashscope_ft._MODULE[name]}")

        assert getattr(dashscope_ft, name) is getattr(home, name)


def test_type_checkers_see_the_public_names() -> None:
    """
    What resolves late is declared for type checkers, each from its home.
    """
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    declared = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
        if alias.asname == alias.name
    }

    assert declared == dashscope_ft._MODULE


def test_a_name_that_is_none() -> None:
    """
    A misspelt name is an AttributeError, as anywhere.
    """
    with pytest.raises(AttributeError, match="AsyncKlient"):
        dashscope_ft.AsyncKlient  # noqa: B018


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import dashscope_ft", ["aiohttp", "cattrs", "attr", "attrs", "asyncio", "typing", "ssl"]),
        ("from dashscope_ft import NotFound", ["aiohttp", "cattrs", "attr"]),
        ("from dashscope_ft import FineTuneJob", ["aiohttp", "cattrs"]),
        (
            "from dashscope_ft import AsyncClient; AsyncClient(api_key='sk-1')",
            [
                f"dashscope_ft.{name}"
                for name in ("cleanup", "plot", "resources.checkpoints", "tail", "training_log")
            ],
        ),
        ("import dashscope_ft.cli", ["aiohttp", "cattrs", "attr", "typer", "rich"]),
        ("import dashscope_ft.emulator.pytest_plugin", ["aiohttp", "cattrs"]),
    ],
)
def test_what_a_first_import_loads(statement: str, absent: list[str]) -> None:
    """
    Nothing heavy comes along before it is used.
    """
    script = f"import sys; {statement}; print(*[name for name in {absent} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {script}"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == []
