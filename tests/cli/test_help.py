"""
What the help says, and how it is laid out.
"""

from __future__ import annotations

import re
import shlex

import pytest

from .conftest import Run

pytestmark = pytest.mark.once

GROUPS = [[], ["jobs"], ["imports"], ["cleanup"]]
WITH_EXAMPLES = [
    ["jobs", "list"],
    ["jobs", "delete"],
    ["jobs", "create"],
    ["imports", "list"],
    ["cleanup", "plan"],
    ["cleanup", "apply"],
]


@pytest.mark.parametrize("columns", ["40", "80", "120"])
@pytest.mark.parametrize("group", GROUPS)
def test_a_list_of_commands(run: Run, group: list[str], columns: str) -> None:
    """
    What each command does is said in a whole sentence, at any width.
    """
    helped = run(*group, "--help", COLUMNS=columns).stdout
    listed = helped.partition("Commands:\n")[2].partition("\n\n")[0]
    commands = re.split(r"^  (?=\w)", listed, flags=re.MULTILINE)[1:]

    assert len(commands) >= 3
    assert all(command.rstrip().endswith(".") for command in commands)
    assert "..." not in listed


def test_where_the_key_comes_from(run: Run) -> None:
    """
    Somebody who knows nothing yet is told about the key, the region, and where to read more.
    """
    helped = " ".join(run("--help").stdout.split())

    assert "DASHSCOPE_API_KEY, else from the file that DASHSCOPE_API_KEY_FILE_PATH names" in helped
    assert "DASHSCOPE_REGION, else it is intl." in helped
    assert "README.md" in helped


@pytest.mark.parametrize("command", WITH_EXAMPLES)
def test_examples(run: Run, command: list[str]) -> None:
    """
    Each is a line that can be copied, of commands and options that there are.
    """
    examples = run(*command, "--help", COLUMNS="40").stdout.partition("Examples:\n")[2].splitlines()

    assert 1 <= len(examples) <= 2
    assert examples[0].split()[:3] == ["dashscope-ft", *command]
    for example in examples:
        for line in example.split("|"):
            program, *words = shlex.split(line)
            helped = run(*words, "--help")
            assert program == "dashscope-ft"
            assert (helped.returncode, helped.stderr) == (0, "")


@pytest.mark.parametrize(
    ("command", "usage", "argument"),
    [
        (["jobs", "delete"], "JOB_ID...", "JOB_ID  The ids of the jobs; - reads them from stdin."),
        (["jobs", "show"], "JOB_ID", "JOB_ID  The id of the job."),
        (["cleanup", "plan"], "[jobs|imports]", "jobs|imports  What to clean up: "),
        (["cleanup", "apply"], "PLAN", "PLAN  The file that `cleanup plan -o` saved."),
    ],
)
def test_arguments(run: Run, command: list[str], usage: str, argument: str) -> None:
    """
    They are named as they are typed.
    """
    lines = run(*command, "--help", COLUMNS="80").stdout.splitlines()

    assert lines[0] == f"Usage: dashscope-ft {' '.join(command)} [OPTIONS] {usage}"
    assert lines[lines.index("Arguments:") + 1].strip().startswith(argument)
