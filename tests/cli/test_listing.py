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
    assert misspelt.stderr == "Note: FIALED is no status that is known.\n"
    assert (absent.stdout, absent.stderr) == ("", "")
