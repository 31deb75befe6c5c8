from __future__ import annotations

import pytest

from dashscope_ft.emulator import Emulator

from .conftest import Run


@pytest.mark.parametrize("noun", ["jobs", "imports"])
def test_a_status_that_nobody_knows(studio: Emulator, run: Run, noun: str) -> None:
    """
    A misspelt status is told from one that no job has.
    """
    studio.seed(jobs=1, imports=1, statuses=["RUNNING"], import_statuses=["RUNNING"])
    misspelt = run(noun, "list", "--status", "fialed", "--status", "running", "-o", "jsonl")
    absent = run(noun, "list", "--status", "failed", "-o", "jsonl")

    assert (misspelt.returncode, len(misspelt.stdout.splitlines())) == (0, 1)
    assert misspelt.stderr.startswith(f"Note: FIALED is not a known status of {noun}. ")
    assert misspelt.stderr.count("\n") == 1
    assert (absent.stdout, absent.stderr) == ("", "")


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (1, "1 fine-tuning job, the newest"),
        (3, "3 fine-tuning jobs, the newest"),
        (4, "3 fine-tuning jobs"),
    ],
)
def test_the_newest_jobs(studio: Emulator, run: Run, limit: int, words: str) -> None:
    """
    A listing that was told where to end says that there may be more, unless it came to the end.
    """
    studio.seed(jobs=3)
    done = run("jobs", "list", "--limit", str(limit))

    assert done.stderr == f"{words}.\n"


def test_ids_from_one_command_to_another(studio: Emulator, run: Run) -> None:
    """
    Ids alone are listed one a line, and commands about jobs read them where a `-` stands.
    """
    kept = studio.seed(jobs=2, statuses=["RUNNING"])
    failed = studio.seed(jobs=3, statuses=["FAILED"])
    studio.seed(imports=2, import_statuses=["FAILED"])
    listed = run("jobs", "list", "--status", "FAILED", "--output", "ids")
    unconfirmed = run("jobs", "delete", "-", stdin=listed.stdout)
    deleted = run("jobs", "delete", "-", "ft-gone", "--yes", "--missing-ok", stdin=listed.stdout)
    imports = run("imports", "list", "-o", "ids")
    both = run("imports", "delete", "-", "--yes", stdin=imports.stdout)

    assert sorted(listed.stdout.split("\n")) == ["", *sorted(failed)]
    assert (unconfirmed.returncode, "--yes" in unconfirmed.stderr) == (3, True)
    assert (deleted.returncode, len(deleted.stdout.splitlines())) == (0, 4)
    assert sorted(studio.account().jobs) == sorted(kept)
    assert (both.returncode, len(studio.account().imports)) == (0, 0)


@pytest.mark.parametrize("command", ["delete", "compare"])
def test_no_ids_at_all(studio: Emulator, run: Run, command: str) -> None:
    """
    Nothing on stdin is nothing to do, and no failure.
    """
    done = run("jobs", command, "-", stdin="\n")

    assert done == (0, "", "No ids on stdin: nothing to do.\n")
    assert not studio.journal.requests


def test_a_pattern_for_a_model(run: Run, studio: Emulator) -> None:
    """
    A listing takes whole names, unlike a clean-up; whoever gives a pattern is told.
    """
    studio.seed(jobs=2, models=["qwen3-8b"])

    pattern = run("jobs", "list", "--model", "qwen3-*")
    name = run("jobs", "list", "--model", "qwen3-8b")

    assert pattern.stderr.startswith("Note: --model takes a whole name here; patterns ")
    assert "Note" not in name.stderr
