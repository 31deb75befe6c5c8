"""
How the command line behaves towards pipes, terminals, signals and scripts.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from asyncio import CancelledError
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import dashscope_ft
from dashscope_ft import ImportStatus, JobStatus
from dashscope_ft.cli import main
from dashscope_ft.cli.questions import ask
from dashscope_ft.cli.rules import What, known_statuses, statuses_in_order
from dashscope_ft.cli.steps import steps
from dashscope_ft.cli.terminal import prepare_streams
from dashscope_ft.emulator import Emulator, Fault, Pace
from dashscope_ft.emulator.__main__ import main as emulator_main
from tests.interpreter import run_script

from .conftest import COMMAND, PATIENCE, Run, Terminal, screen

pytestmark = pytest.mark.once

Start = Callable[..., "subprocess.Popen[str]"]
OnTerminal = Callable[..., Terminal]

LIVES = {
    "jobs": "PENDING, QUEUING, RUNNING, CANCELING, SUCCEEDED, FAILED, CANCELED",
    "imports": "PENDING, RUNNING, SUCCESSED, FAILED",
}


# Listing


def test_a_listing_on_a_pipe(studio: Emulator, execute: Run) -> None:
    """
    A pipe gets every job on a line of its own, whole and without colour; words go to stderr.
    """
    ids = studio.seed(jobs=250)
    done = execute("jobs", "list", FORCE_COLOR="")
    heading, *lines = done.stdout.splitlines()

    assert done.returncode == 0
    assert heading.startswith("JOB ID")
    assert [line.split()[0] for line in lines] == ids[:250][::-1]
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr == "250 fine-tuning jobs.\n"


@pytest.mark.parametrize("before", [True, False])
def test_shared_options_before_and_after_the_command(
    studio: Emulator, run: Run, before: bool
) -> None:
    """
    Shared options such as `--output` may stand before and after the command.
    """
    [job_id] = studio.seed("cn", jobs=1)
    options = ["--base-url", studio.base_url("cn"), "--region", "cn", "--output", "jsonl"]
    command = ["jobs", "list"]
    done = run(
        *(options + command if before else command + options),
        DASHSCOPE_BASE_URL="",
        DASHSCOPE_API_KEY=studio.key("cn"),
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["job_id"] == job_id


def test_the_option_nearest_to_the_command(studio: Emulator, run: Run) -> None:
    """
    Where an option is given twice, the later one counts.
    """
    studio.seed(jobs=1)
    done = run("--output", "csv", "jobs", "--output", "table", "list", "--output", "json")

    assert len(json.loads(done.stdout)) == 1


def test_a_listing_as_json(studio: Emulator, run: Run) -> None:
    """
    JSON is the service's own objects, nothing lost.
    """
    studio.seed(jobs=3)
    done = run("jobs", "list", "-o", "json")

    assert json.loads(done.stdout) == list(studio.account().jobs.values())
    assert done.stderr == ""


def test_a_listing_as_csv(studio: Emulator, run: Run) -> None:
    """
    CSV has a heading, and no cell that a spreadsheet would run.
    """
    [job_id] = studio.seed(jobs=1)
    studio.account().jobs[job_id].update(job_name="=1+1", message="a\x1b[31m,\nb")
    done = run("jobs", "list", "-o", "csv")
    [row] = csv.DictReader(io.StringIO(done.stdout, newline=""))

    assert row["job_id"] == job_id
    assert row["job_name"] == "'=1+1"
    assert row["message"] == r"a\x1b[31m,\nb"


def test_filters_and_a_limit(studio: Emulator, run: Run) -> None:
    """
    Only jobs that match are listed, whatever the case of the word for their state.
    """
    studio.seed(jobs=30, statuses=["FAILED", "SUCCEEDED"], models=["qwen3-8b", "qwen3-14b"])
    done = run(
        "jobs", "list", "--status", "failed", "--model", "qwen3-8b", "--limit", "2", "-o", "json"
    )
    rows = json.loads(done.stdout)

    assert len(rows) == 2
    assert {(row["status"], row["model"]) for row in rows} == {("FAILED", "qwen3-8b")}


@pytest.mark.parametrize(
    ("noun", "word", "noted"),
    [
        ("jobs", "SUCCEEDED", False),
        ("jobs", "SUCCESSED", True),
        ("imports", "SUCCEEDED", False),
        ("imports", "SUCCESSED", False),
        ("imports", "QUEUING", True),
        ("jobs", "FALIED", True),
    ],
)
def test_a_status_of_another_noun(run: Run, noun: str, word: str, noted: bool) -> None:
    """
    A word is noted if it is none that such jobs are known to have, be it one of the others'.
    """
    note = f"Note: {word} is not a known status of {noun}. Known: {LIVES[noun]}.\n"
    done = run(noun, "list", "--status", word)

    assert done.returncode == 0
    assert done.stderr.startswith(note) is noted
    assert ("Note" in done.stderr) is noted


@pytest.mark.parametrize(("noun", "words"), [("jobs", JobStatus), ("imports", ImportStatus)])
def test_every_status_is_known(noun: str, words: type) -> None:
    """
    No word of a noun is without its place among those that are known.
    """
    all_words = {word for name, word in vars(words).items() if name.isupper() and name == word}

    assert all_words
    assert all_words <= known_statuses(What(noun))
    assert all_words == set(statuses_in_order(What(noun)))


@pytest.mark.parametrize("noun", ["jobs", "imports"])
def test_the_statuses_in_the_help(run: Run, noun: str) -> None:
    """
    Whoever asks what statuses there are is told all of them, in the order of a job's life.
    """
    helped = run(noun, "list", "--help")

    assert ", ".join(statuses_in_order(What(noun))) == LIVES[noun]
    assert f" Known: {LIVES[noun]}." in " ".join(helped.stdout.split())


@pytest.mark.parametrize(
    "command", [["jobs", "list"], ["imports", "list"], ["cleanup", "plan"]], ids=" ".join
)
def test_an_empty_status(run: Run, command: list[str]) -> None:
    """
    An empty status is refused before anything else is said.
    """
    done = run(*command, "--status", "")

    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")


def test_imports(studio: Emulator, run: Run) -> None:
    """
    Import jobs are listed and shown like the others.
    """
    studio.seed(imports=2)
    newest = next(iter(studio.account().imports))
    listed = run("imports", "list")
    shown = run("imports", "show", newest, "-o", "jsonl")

    assert listed.stdout.splitlines()[1].startswith(newest)
    assert json.loads(shown.stdout)["job_id"] == newest


def test_an_empty_account(run: Run) -> None:
    """
    Nothing is on stdout where there is nothing, and stderr says so.
    """
    done = run("jobs", "list")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "0 fine-tuning jobs.\n")


@pytest.mark.parametrize(
    ("form", "variables"), [("jsonl", {}), ("json", {}), ("json", {"PYTHONUNBUFFERED": "1"})]
)
def test_a_reader_that_leaves(
    studio: Emulator, environment: dict[str, str], form: str, variables: dict[str, str]
) -> None:
    """
    `| head -1` ends the command quietly.
    """
    studio.seed(jobs=400)
    script = 'set -o pipefail; "$@" | head -n 1'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, "jobs", "list", "-o", form],
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert len(done.stdout.splitlines()) == 1
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("jobs list", "2 fine-tuning jobs.\n"),
        ("jobs show {0}", ""),
        ("jobs compare {0} {1}", "* differs.\n"),
        ("jobs delete --yes {0} {1} -o json", "2 deleted.\n"),
        ("cleanup plan", ""),
        ("jobs list --help", ""),
        ("--version", ""),
    ],
)
def test_a_reader_that_never_was(
    studio: Emulator, environment: dict[str, str], command: str, words: str
) -> None:
    """
    Whatever was to be shown, 141 says that nobody saw it, and stderr what else is to be said.
    """
    ids = studio.seed(jobs=2, statuses=["FAILED"])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, *command.format(*ids).split()],
        env=environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, words)


@pytest.mark.parametrize(
    ("command", "closed", "code", "lines"),
    [
        ("imports list", ">&-", 0, (0, 1)),
        ("jobs list", "2>&-", 0, (3, 0)),
        ("jobs delete ft-1", "<&-", 3, (0, 1)),
    ],
)
def test_a_stream_that_is_closed(
    studio: Emulator,
    environment: dict[str, str],
    command: str,
    closed: str,
    code: int,
    lines: tuple[int, int],
) -> None:
    """
    Without a stream, what it was for is left out, and nothing else: no stdin is no terminal.
    """
    studio.seed(jobs=2)
    done = subprocess.run(
        ["bash", "-c", f'exec "$@" {closed}', "bash", *COMMAND, *command.split()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == code
    assert (done.stdout.count("\n"), done.stderr.count("\n")) == lines
    assert "Error" not in done.stderr


@pytest.mark.parametrize("command", ["jobs list", "jobs list -o json", "--version"])
def test_data_for_a_closed_stdout(
    studio: Emulator, environment: dict[str, str], command: str
) -> None:
    """
    What cannot be written is not lost in silence.
    """
    studio.seed(jobs=2)
    done = subprocess.run(
        ["bash", "-c", 'exec "$@" >&-', "bash", *COMMAND, *command.split()],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert done.returncode == 1
    assert done.stderr == "Error: Cannot write to stdout: it is closed.\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("jobs list", ""),
        ("jobs delete --yes {0} {1} -o json", "2 deleted.\n"),
        ("jobs list --help", ""),
        ("--version", ""),
    ],
)
def test_an_output_that_is_full(
    studio: Emulator, environment: dict[str, str], command: str, words: str
) -> None:
    """
    What cannot be written is named, once, after what was done all the same.
    """
    ids = studio.seed(jobs=2, statuses=["FAILED"])
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *command.format(*ids).split()],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        )

    assert done.returncode == 1
    assert done.stderr == f"{words}Error: Cannot write to stdout: no space left on device.\n"


def test_rows_as_they_are_proven(studio: Emulator, start: Start) -> None:
    """
    JSON Lines come while the listing is still under way.
    """
    studio.seed(jobs=300)
    studio.inject(
        Fault(operation="fine_tunes.list"),
        Fault(operation="fine_tunes.list", delay=float("inf"), times=None),
    )
    process = start("jobs", "list", "-o", "jsonl")
    assert process.stdout is not None
    first = process.stdout.readline()

    assert json.loads(first)["job_id"] == next(iter(studio.account().jobs))
    assert process.poll() is None


# Terminals


@pytest.mark.parametrize("width", [40, 80])
def test_a_listing_on_a_terminal(studio: Emulator, terminal: OnTerminal, width: int) -> None:
    """
    A listing fits the terminal, and is coloured.
    """
    ids = studio.seed(jobs=30)
    listing = terminal("jobs", "list", width=width)

    assert listing.finish() == 0
    assert "\x1b[32mSUCCEEDED" in listing.text
    assert max(map(len, listing.words.splitlines())) <= width
    assert all(job_id in listing.words for job_id in ids)


@pytest.mark.parametrize(
    ("noun", "width", "left_out"),
    [
        ("jobs", 40, "MODEL, CREATED, TYPE, NAME"),
        ("jobs", 80, "TYPE"),
        ("jobs", 160, None),
        ("imports", 40, "MODEL NAME, CREATED, DISPLAY NAME"),
    ],
)
def test_columns_without_room(
    studio: Emulator, terminal: OnTerminal, noun: str, width: int, left_out: str | None
) -> None:
    """
    Below the table, a line says which columns were left out, and where they are to be had.
    """
    [job_id] = studio.seed(jobs=1, statuses=["SUCCEEDED"])[-1:]
    studio.account().jobs[job_id].update(job_name="trial")
    studio.seed(imports=1, import_statuses=["SUCCESSED"])
    listing = terminal(noun, "list", width=width)
    listing.finish()
    words = " ".join(listing.words.split())

    assert ("Left out for width" in words) == (left_out is not None)
    if left_out:
        assert f" Left out for width: {left_out}; -o csv has all. 1 " in words


@pytest.mark.parametrize("columns", ["0", "-1", "²", "wide"])
def test_a_number_of_columns_that_is_none(
    studio: Emulator, run: Run, terminal: OnTerminal, columns: str
) -> None:
    """
    It counts as not given: nothing that is to be shown, or asked, is lost for it.
    """
    [job_id] = studio.seed(jobs=1, statuses=["FAILED"])
    usual = run("jobs", "list")
    piped = run("jobs", "list", COLUMNS=columns, LINES=columns)
    asked = terminal("jobs", "delete", job_id, COLUMNS=columns, LINES=columns)
    asked.read_until("[y/N]")
    asked.type("n\n")

    assert piped == usual
    assert asked.finish() == 3


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colour(
    studio: Emulator, terminal: OnTerminal, variable: dict[str, str]
) -> None:
    """
    Who wants no colour, or has none, gets no escape sequence at all.
    """
    studio.seed(jobs=5)
    listing = terminal("jobs", "list", **variable)

    assert listing.finish() == 0
    assert "\x1b" not in listing.text


def test_a_job_that_tries_to_steer_the_terminal(studio: Emulator, terminal: OnTerminal) -> None:
    """
    Escape sequences and markup in a job's fields are shown as text, in lists and alone.
    """
    [job_id] = studio.seed(jobs=1)
    evil = "\x1b[2J\x1b]0;owned\x07[red]x[/red]\u202e"
    studio.account().jobs[job_id].update(job_name=evil, message=evil)
    for arguments in (["jobs", "list"], ["jobs", "show", job_id]):
        shown = terminal(*arguments, width=160)

        assert shown.finish() == 0
        assert "\x1b[2J" not in shown.text
        assert "\x1b]" not in shown.text
        assert "\u202e" not in shown.text
        assert "[red]x[/red]" in shown.words


def test_a_listing_that_takes_its_time(studio: Emulator, terminal: OnTerminal) -> None:
    """
    A terminal sees that something goes on, and nothing of it remains.
    """
    studio.seed(jobs=3)
    studio.inject(Fault(operation="fine_tunes.list", delay=1.0))
    listing = terminal("jobs", "list")
    listing.read_until("Listing fine-tuning jobs")

    assert listing.finish() == 0
    assert listing.words.rstrip().endswith("3 fine-tuning jobs.")


# Changes


def test_deleting_without_a_terminal(studio: Emulator, run: Run) -> None:
    """
    Where nobody can be asked, nothing is sent, and the exit code says so.
    """
    [job_id] = studio.seed(jobs=1, statuses=["FAILED"])
    for command in (["jobs", "delete"], ["jobs", "cancel"], ["imports", "delete"]):
        done = run(*command, job_id, stdin="y\n")

        assert (done.returncode, done.stdout) == (3, "")
        assert "--yes" in done.stderr
    assert not studio.journal.requests


def test_deleting_with_yes(studio: Emulator, run: Run) -> None:
    """
    Each job has its line, and the emulator's books agree.
    """
    ids = studio.seed(jobs=12, statuses=["FAILED"])
    done = run("jobs", "delete", "--yes", *ids, ids[0])

    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == sorted(f"{job_id}  deleted" for job_id in ids)
    assert done.stderr == "12 deleted.\n"
    assert sorted(studio.account().books.deleted) == sorted(ids)


def test_cancelling_jobs_some_of_which_have_ended(studio: Emulator, run: Run) -> None:
    """
    A job that cannot be cancelled is named with its reason, and the others are cancelled.
    """
    [running] = studio.seed(jobs=1, statuses=["RUNNING"])
    [ended] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    done = run("jobs", "cancel", "-y", running, ended)

    assert done.returncode == 5
    assert done.stdout == f"{running}  cancelling\n"
    assert f"Error: Cancelling {ended}: " in done.stderr
    assert done.stderr.endswith("1 cancelling, 1 failed.\n")
    assert studio.account().jobs[running]["status"] == "CANCELING"


def test_deleting_an_import(studio: Emulator, run: Run) -> None:
    """
    An import job is deleted, and the outcome can be read by machines.
    """
    [import_id] = studio.seed(imports=1, import_statuses=["FAILED"])
    done = run("imports", "delete", import_id, "--yes", "--output", "json")
    [outcome] = json.loads(done.stdout)

    assert done.returncode == 0
    assert (outcome["job_id"], outcome["action"], outcome["result"], outcome["reason"]) == (
        import_id, "delete", "done", "confirmed",
    )  # fmt: skip
    assert not studio.account().imports


@pytest.mark.parametrize("missing_ok", [True, False])
def test_deleting_what_is_not_there(run: Run, missing_ok: bool) -> None:
    """
    A missing job is a failure, unless told otherwise, but never a deletion.
    """
    done = run("jobs", "delete", "-y", "ft-gone", *(["--missing-ok"] if missing_ok else []))

    assert done.returncode == (0 if missing_ok else 1)
    assert done.stdout == ("ft-gone  not found\n" if missing_ok else "")
    assert ("Error: There is no fine-tuning job ft-gone " in done.stderr) is not missing_ok


@pytest.mark.parametrize("noun", ["jobs", "imports"])
def test_counting_what_is_not_there(studio: Emulator, run: Run, noun: str) -> None:
    """
    Mistyped ids are counted apart; a deletion whose answer was lost counts as one.
    """
    failed = ["FAILED"]
    count = {noun: 2}
    ids = studio.seed(**count, statuses=failed, import_statuses=failed)  # type: ignore[arg-type]
    studio.inject(Fault(operation="*.delete", path=f"*{ids[0]}", lose="after"))
    command = [noun, "delete", "--yes", "--missing-ok"]
    some = run(*command, *ids, "nope1")
    none = run(*command, "nope1", "nope2", "--output", "jsonl")

    assert (some.returncode, some.stderr) == (0, "2 deleted, 1 not found.\n")
    assert sorted(some.stdout.splitlines()) == sorted(
        [f"{ids[0]}  gone", f"{ids[1]}  deleted", "nope1  not found"]
    )
    assert (none.returncode, none.stderr) == (0, "2 not found.\n")
    assert all("(code NotFound" in json.loads(line)["error"] for line in none.stdout.splitlines())


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 3), ("\n", 3), ("\x04", 3)])
def test_the_question_before_a_deletion(
    studio: Emulator, terminal: OnTerminal, answer: str, code: int
) -> None:
    """
    The question names the jobs, their number, the region, the host and the workspace; only yes is
    yes.
    """
    ids = studio.seed(jobs=2, statuses=["FAILED"], workspace="ws-1")
    asked = terminal("jobs", "delete", *ids, "--workspace", "ws-1", width=120)
    asked.read_until("[y/N]")
    question = asked.words

    assert all(job_id in question for job_id in ids)
    assert "Delete 2 fine-tuning jobs" in question
    assert "region intl" in question
    assert f"127.0.0.1:{studio.port}" in question
    assert "workspace ws-1" in question
    assert not studio.journal.requests

    asked.type(answer)

    assert asked.finish() == code
    assert len(studio.account().books.deleted) == (2 if code == 0 else 0)


def test_a_question_about_many(studio: Emulator, terminal: OnTerminal) -> None:
    """
    A question about many jobs names twenty of them, and counts the rest.
    """
    ids = studio.seed(jobs=23, statuses=["FAILED"])
    asked = terminal("jobs", "delete", *ids)
    asked.read_until("[y/N]")
    asked.type("n\n")

    assert asked.finish() == 3
    assert all(job_id in asked.words for job_id in ids[:20])
    assert not any(job_id in asked.words for job_id in ids[20:])
    assert "… and 3 more" in asked.words


def test_an_answer_that_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A question is open until somebody answers it.
    """
    look, looks = select.select, 0
    reader, writer = os.pipe()

    def select_slowly(readers: Any, writers: Any, others: Any, patience: float) -> Any:
        nonlocal looks
        looks += 1
        if looks == 3:
            os.write(writer, b"yes\n")
        return look(readers, writers, others, 0)

    with open(reader) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(select, "select", select_slowly)
        agreed = ask("Delete it?")
    os.close(writer)

    assert (agreed, looks) == (True, 3)


def test_ctrl_c_at_the_question(studio: Emulator, terminal: OnTerminal) -> None:
    """
    Nothing is sent, which it says, and the command ends at once.
    """
    [job_id] = studio.seed(jobs=1, statuses=["FAILED"])
    asked = terminal("jobs", "delete", job_id)
    asked.read_until("[y/N]")
    asked.type("\x03")

    assert asked.finish() == 130
    assert asked.words.endswith("[y/N] ^C\nNothing was sent.\n")
    assert not studio.journal.requests


def test_a_reader_that_leaves_during_deletions(
    studio: Emulator, environment: dict[str, str]
) -> None:
    """
    Nothing new begins for a reader who has left, and stderr still says how far it got.
    """
    ids = studio.seed(jobs=60, statuses=["FAILED"])
    studio.inject(Fault(operation="fine_tunes.delete", delay=0.1, times=None))
    done = subprocess.run(
        [
            "bash",
            "-c",
            'set -o pipefail; "$@" | head -n 1',
            "bash",
            *COMMAND,
            "jobs",
            "delete",
            "-y",
            *ids,
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    deleted = len(studio.account().books.deleted)

    assert done.returncode == 141
    assert 1 <= deleted < len(ids)
    assert done.stderr == (
        f"{deleted} deleted, {len(ids) - deleted} not attempted.\n"
        "The same command with --missing-ok goes on with what is left.\n"
    )


# Errors


def test_a_wrong_key(execute: Run) -> None:
    """
    One line says what is wrong and where; the key is not in it.
    """
    done = execute("jobs", "list", DASHSCOPE_API_KEY="sk-very-secret-indeed")

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["jobs", "list"], {"DASHSCOPE_API_KEY": ""}),
        (["jobs", "list", "--region", "mars"], {}),
        (["jobs", "list", "--base-url", "http://example.com"], {}),
        (["jobs", "list", "--workspace", "a/b"], {}),
        (["jobs", "show", "../files/1"], {}),
        (["jobs", "show", ""], {}),
        (["jobs", "delete", "--yes", "ft-1", "../files/1"], {}),
        (["jobs", "list", "--limit", "0"], {}),
        (["jobs", "list", "--output", "yaml"], {}),
        (["jobs", "list", "--api-key", "sk-1"], {}),
        (["jobs", "lst"], {}),
        (["jobs", "show"], {}),
        (["jobs"], {}),
        ([], {}),
    ],
)
def test_wrong_usage(
    studio: Emulator, run: Run, arguments: list[str], variables: dict[str, str]
) -> None:
    """
    What cannot be meant is refused with exit code 2, in words, before anything is sent.
    """
    done = run(*arguments, **variables)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not studio.journal.requests


def test_ids_that_are_no_text(studio: Emulator, environment: dict[str, str]) -> None:
    """
    Bytes on stdin that mean nothing are refused as an id that is none, and nothing is sent.
    """
    done = subprocess.run(
        [*COMMAND, "jobs", "delete", "--yes", "-"],
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        input=b"ft-1 \xff\n",
        capture_output=True,
        timeout=PATIENCE,
    )

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(rb"Error: '\udcff' is not a job id")
    assert done.stderr.count(b"\n") == 1
    assert not studio.journal.requests


UUID = "b1af3c42-2a4f-4f3f-8abe-c2fa7d1e9b55"
SAME_WAY = "A job of another region, workspace or account is answered in the same way."


@pytest.mark.parametrize(
    ("words", "job", "hint"),
    [
        ("jobs show ft-gone", "fine-tuning job ft-gone", SAME_WAY),
        ("jobs delete ft-gone --yes", "fine-tuning job ft-gone", SAME_WAY),
        ("jobs cancel ft-gone --yes", "fine-tuning job ft-gone", SAME_WAY),
        ("jobs logs ft-gone", "fine-tuning job ft-gone", SAME_WAY),
        ("jobs checkpoints ft-gone", "fine-tuning job ft-gone", SAME_WAY),
        (
            f"jobs show {UUID}",
            f"fine-tuning job {UUID}",
            f"By its id, it is an import job: dashscope-ft imports show {UUID}",
        ),
        (
            "imports delete ft-gone --yes",
            "import job ft-gone",
            "By its id, it is a fine-tuning job: dashscope-ft jobs show ft-gone",
        ),
        (f"imports show {UUID}", f"import job {UUID}", SAME_WAY),
    ],
)
def test_a_missing_job(studio: Emulator, run: Run, words: str, job: str, hint: str) -> None:
    """
    A job that is not there fails the command, which says where it was looked for, with the
    service's own facts, and where else it may be.
    """
    done = run(*words.split(), DASHSCOPE_WORKSPACE="ws-1")
    facts = r"\(code NotFound, HTTP 404, request [\w-]+\)"
    place = f"region intl (127.0.0.1:{studio.port}, workspace ws-1)"

    assert (done.returncode, done.stdout) == (1, "")
    assert re.sub(facts, "FACTS", done.stderr) == (
        f"Error: There is no {job} in {place}. FACTS {hint}\n"
    )


@pytest.mark.parametrize("is_there", [True, False])
def test_an_export_of_what_is_missing(studio: Emulator, run: Run, is_there: bool) -> None:
    """
    The service does not tell a missing job from a missing checkpoint, so the error names both.
    """
    [seeded] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    job_id = seeded if is_there else "ft-gone"
    done = run("jobs", "export", job_id, "checkpoint-7", "--model-name", "mine")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"Error: There is no fine-tuning job {job_id} in region intl (127.0.0.1:{studio.port}),"
        " or it has no checkpoint-7. (code NotFound, "
    )


def test_a_page_that_cannot_be_read(studio: Emulator, run: Run) -> None:
    """
    The error speaks of jobs, rather than of a path.
    """
    studio.inject(Fault(operation="fine_tunes.list", status=403, times=None))
    done = run("jobs", "list")

    assert done.stderr.startswith("Error: Listing page 1 of fine-tuning jobs: ")


def test_the_package_as_a_command(environment: dict[str, str]) -> None:
    """
    `python -m dashscope_ft` is the command line.
    """
    command = [sys.executable, "-m", "dashscope_ft", "--version"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE
    )

    assert done.stdout == f"dashscope-ft {dashscope_ft.__version__}\n"


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("dashscope-ft cl", "cleanup"),
        ("dashscope-ft jobs exp", "export"),
        ("dashscope-ft jobs list --creat", "--creator"),
    ],
)
def test_completion_in_a_shell(run: Run, line: str, completed: str) -> None:
    """
    The shell asks by a variable, as the script does that the README names.
    """
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    script = run(_DASHSCOPE_FT_COMPLETE="source_bash").stdout

    assert "_DASHSCOPE_FT_COMPLETE=source_bash dashscope-ft" in readme
    assert "complete -o default -F _dashscope_ft_completion dashscope-ft" in script
    assert run(_DASHSCOPE_FT_COMPLETE="complete_bash", **asked).stdout.split() == [completed]


def test_a_service_that_speaks_in_escape_sequences(studio: Emulator, run: Run) -> None:
    """
    An error's text is shown, not obeyed, and stays on its line.
    """
    evil = {
        "code": "InvalidParameter",
        "message": "no\x1b[2J\nError: all deleted",
        "request_id": "r",
    }
    studio.inject(Fault(operation="fine_tunes.get", status=400, body=evil))
    done = run("jobs", "show", "ft-1")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_a_listing_that_cannot_be_proven(studio: Emulator, run: Run) -> None:
    """
    A listing that may lack jobs ends with an exit code of its own; JSON stays empty then.
    """
    studio.seed(jobs=5)
    rows = [{"job_id": "ft-1", "status": "FAILED"}]
    body = {
        "output": {"page_no": 1, "page_size": 100, "total": 300, "jobs": rows},
        "request_id": "r",
    }
    studio.inject(Fault(operation="fine_tunes.list", status=200, body=body, times=None))
    done = run("jobs", "list", "-o", "json")

    assert (done.returncode, done.stdout) == (7, "")
    assert done.stderr.startswith("Error: ")


def test_a_listing_that_breaks_off(studio: Emulator, run: Run) -> None:
    """
    A table shows what was proven before the error, and makes no claim to be all.
    """
    ids = studio.seed(jobs=300)
    denied = {"code": "AccessDenied", "message": "No.", "request_id": "r"}
    studio.inject(
        Fault(operation="fine_tunes.list"),
        Fault(operation="fine_tunes.list", status=403, body=denied, times=None),
    )
    done = run("jobs", "list")
    _, *lines = done.stdout.splitlines()

    assert done.returncode == 1
    assert [line.split()[0] for line in lines] == ids[::-1][: len(lines)]
    assert 0 < len(lines) < len(ids)
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def test_a_rate_limit_that_asks_for_patience(studio: Emulator, run: Run) -> None:
    """
    What only needs time ends as 75, the code that mail programs retry on.
    """
    body = {"code": "Throttling.RateQuota", "message": "Later.", "request_id": "r"}
    studio.inject(Fault(status=429, headers={"Retry-After": "3600"}, body=body, times=None))
    done = run("jobs", "show", "ft-1")

    assert done.returncode == 75


def test_no_service_at_all(execute: Run) -> None:
    """
    A refused connection is an error in words.
    """
    done = execute("jobs", "show", "ft-1", DASHSCOPE_BASE_URL="http://127.0.0.1:9/api/v1")

    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


# Signals


ENDS = [
    (signal.SIGINT, 130, "Interrupted; nothing was changed.\n"),
    (signal.SIGTERM, 143, ""),
]


@pytest.mark.parametrize(("number", "code", "words"), ENDS)
def test_a_signal_during_a_listing(
    studio: Emulator, start: Start, number: signal.Signals, code: int, words: str
) -> None:
    """
    The command ends at once, and Ctrl-C leaves no doubt that nothing happened.
    """
    studio.inject(Fault(operation="fine_tunes.list", delay=float("inf"), times=None))
    process = start("jobs", "list")
    studio.journal.first(lambda request: True).result(PATIENCE)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE)

    assert (process.returncode, stdout, stderr) == (code, "", words)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_deletions(
    studio: Emulator, start: Start, number: signal.Signals, code: int
) -> None:
    """
    What was in flight is waited for, nothing else begins, and each job has its line.
    """
    ids = studio.seed(jobs=40, statuses=["FAILED"])
    studio.inject(Fault(operation="fine_tunes.delete", delay=0.5, times=None))
    process = start("jobs", "delete", "--yes", *ids)
    studio.journal.first(lambda request: request.operation == "fine_tunes.delete").result(PATIENCE)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    deleted = studio.account().books.deleted

    assert process.returncode == code
    assert sorted(stdout.splitlines()) == sorted(
        f"{job_id}  {'deleted' if job_id in deleted else 'not attempted'}" for job_id in ids
    )
    assert 1 <= len(deleted) < len(ids)
    assert len(studio.journal.of("fine_tunes.delete")) == len(deleted)
    assert stderr == (
        f"{len(deleted)} deleted, {len(ids) - len(deleted)} not attempted.\n"
        "The same command with --missing-ok goes on with what is left.\n"
    )


def test_going_on_after_a_signal_during_deletions(studio: Emulator, start: Start, run: Run) -> None:
    """
    The command that was named deletes the rest, and a job that is gone is no failure.
    """
    ids = studio.seed(imports=20, import_statuses=["FAILED"])
    command = ["imports", "delete", "--yes", "--missing-ok", *ids]
    studio.inject(Fault(operation="imports.delete", delay=0.5, times=None))
    process = start(*command)
    studio.journal.first(lambda request: request.operation == "imports.delete").result(PATIENCE)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)
    studio.faults.clear()
    gone = len(studio.account().books.deleted)
    again = run(*command)

    assert stderr.endswith("The same command goes on with what is left.\n")
    assert again.returncode == 0
    assert again.stderr == f"{20 - gone} deleted, {gone} not found.\n"
    assert sorted(studio.account().books.deleted) == sorted(ids)


def test_a_signal_during_cancellations(studio: Emulator, start: Start) -> None:
    """
    Nothing is said of going on: a job that is cancelled already would fail.
    """
    studio.account().pace = Pace(running=3_600, canceling=3_600)
    ids = studio.seed(jobs=20, statuses=["RUNNING"])
    studio.inject(Fault(operation="fine_tunes.cancel", delay=0.5, times=None))
    process = start("jobs", "cancel", "--yes", *ids)
    studio.journal.first(lambda request: request.operation == "fine_tunes.cancel").result(PATIENCE)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=PATIENCE)

    assert stderr.endswith(" not attempted.\n")


@pytest.mark.parametrize(("number", "code", "words"), ENDS)
def test_a_signal_while_a_name_is_looked_up(number: signal.Signals, code: int, words: str) -> None:
    """
    The command ends at once, however long the answer takes.
    """
    script = """
        number = int(sys.argv[1])

        def look_up(*_, **__):
            os.kill(os.getpid(), number)
            threading.Event().wait()

        socket.getaddrinfo = look_up
        os.environ["DASHSCOPE_API_KEY"] = "sk-1"
        sys.argv[1:] = ["jobs", "list", "--base-url", "https://example.invalid/api/v1"]
        sys.exit(main())
    """
    done = run_script(
        "import os, socket, sys, threading; from dashscope_ft.cli import main",
        script,
        str(int(number)),
        timeout=PATIENCE,
    )

    assert (done.returncode, done.stdout, done.stderr) == (code, "", words)


def test_ctrl_c_while_it_starts(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever leaves before anything began gets the same exit code, and no traceback.
    """

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dashscope_ft.cli.app.prepare_streams", interrupted)

    assert run("jobs", "list") == (130, "", "")


def test_a_fault_that_looks_like_a_signal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What cancels itself is not told as if somebody had ended it.
    """

    def cancelled(*_: object, **__: object) -> None:
        raise CancelledError

    monkeypatch.setattr("dashscope_ft.connections.read_reply", cancelled)
    with pytest.raises(CancelledError):
        run("jobs", "show", "ft-1")


# Start-up


def test_a_tool_that_imports_every_module() -> None:
    """
    Nothing starts by being imported, as tools for documentation do.
    """
    assert import_module("dashscope_ft.__main__").main is main


def test_streams_that_are_no_files(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where a notebook has put objects of its own, they get all that a pipe would.
    """
    streams = io.StringIO(), io.StringIO()

    def replaced() -> None:
        sys.stdout, sys.stderr = streams
        prepare_streams()

    monkeypatch.setattr("dashscope_ft.cli.app.prepare_streams", replaced)
    done = run("jobs", "list", "-o", "csv", "--status", "fialed")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert streams[0].getvalue().startswith("job_id,")
    assert streams[1].getvalue() == (
        f"Note: FIALED is not a known status of jobs. Known: {LIVES['jobs']}.\n"
    )


def test_a_stdin_that_was_read_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever starts a command in the midst of a script of theirs gives it what is left.
    """
    stdin = io.TextIOWrapper(io.BytesIO(b"first\nrest\n"))
    monkeypatch.setattr(sys, "stdin", stdin)

    assert stdin.readline() == "first\n"

    prepare_streams()

    assert stdin.read() == "rest\n"


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["jobs", "delete", "--help"], ["demo", "--help"], ["emulator", "--help"]],
)
def test_help_is_cheap(arguments: list[str]) -> None:
    """
    Help needs neither the HTTP client nor the event loop nor rich, and offers no option for a key.
    """
    script = (
        "import sys; from dashscope_ft.cli import main; sys.argv[0] = 'dashscope-ft'\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        "loaded = {'aiohttp', 'asyncio', 'rich', 'attr', 'cattrs', 'orjson'} & set(sys.modules)\n"
        "print(code, sorted(loaded), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=PATIENCE
    )

    assert done.stderr == "0 []\n"
    assert not re.search("--[a-z-]*key", done.stdout.lower())


def test_the_version(run: Run) -> None:
    """
    The version is told without a key or anything else.
    """
    done = run("--version", DASHSCOPE_API_KEY="")

    assert done == (0, f"dashscope-ft {dashscope_ft.__version__}\n", "")


def test_options_that_a_command_has_no_use_for(run: Run) -> None:
    """
    The demonstration asks nobody but its own emulator, and offers no other.
    """
    helped = run("demo", "--help").stdout

    assert "--seed" in helped
    assert "--base-url" not in helped


@pytest.mark.parametrize("noun", ["jobs", "imports", "cleanup"])
def test_the_commands_that_the_readme_names(run: Run, noun: str) -> None:
    """
    Its section on the command line leaves none out.
    """
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    section = readme.partition("## The command line")[2].partition("\n## ")[0]
    [named] = re.findall(rf"{noun} (\w+\|[\w|]+)", section)
    _, _, listed = run(noun, "--help").stdout.partition("Commands:\n")

    assert set(named.split("|")) == set(re.findall(r"^  (\w+)", listed, re.MULTILINE))


def test_without_typer_and_rich() -> None:
    """
    One sentence says what to install.
    """
    script = (
        "import sys, importlib.util as util; found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'typer' else found(name, *rest)\n"
        "from dashscope_ft.cli import main; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        'The command line needs typer and rich: pip install "dashscope-ft[cli]"\n'
    )


@pytest.mark.parametrize("variable", ["LC_ALL", "PYTHONIOENCODING"])
def test_a_terminal_that_knows_ascii_only(studio: Emulator, execute: Run, variable: str) -> None:
    """
    What cannot be written is escaped rather than lost or fatal.
    """
    [job_id] = studio.seed(jobs=1)
    studio.account().jobs[job_id].update(job_name="模型")
    done = execute(
        "jobs", "list", **{variable: "C" if variable == "LC_ALL" else "ascii"}, PYTHONUTF8="0"
    )

    assert done.returncode == 0
    assert done.stdout.splitlines()[1].split()[-1] == r"\u6a21\u578b"


def test_json_where_ascii_only_is_known(studio: Emulator, execute: Run) -> None:
    """
    JSON for a terminal that knows ASCII only stays JSON, and loses nothing.
    """
    [job_id] = studio.seed(jobs=1)
    studio.account().jobs[job_id].update(job_name="é模😀…")
    done = execute("jobs", "show", job_id, "-o", "json", PYTHONIOENCODING="ascii")

    assert done.stdout.isascii()
    assert json.loads(done.stdout)["job_name"] == "é模😀…"


def test_a_comparison_where_ascii_only_is_known(studio: Emulator, terminal: OnTerminal) -> None:
    """
    What is cut short, and what has to be escaped, fits the terminal all the same.
    """
    ids = studio.seed(jobs=2, models=["qwen3-模型" + "m" * 30, "qwen3-8b"])
    compared = terminal("jobs", "compare", *ids, width=60, PYTHONIOENCODING="ascii")

    assert compared.finish() == 0
    assert "..." in compared.words
    assert max(map(len, compared.words.splitlines())) <= 60


# Things to try


def test_the_emulator_command(start: Start, run: Run) -> None:
    """
    The command says how to reach each region; somebody who does as it says sees its jobs and is
    asked about that region; Ctrl-C ends it in good order.
    """
    process = start("emulator", "--port", "0", "--jobs", "7")
    assert process.stdout is not None
    seen = {}
    for region in ("intl", "cn"):
        lines = list(iter(process.stdout.readline, "\n"))
        settings = dict(line.removeprefix("export ").strip().split("=", 1) for line in lines[1:])
        listed = run("jobs", "list", "-o", "jsonl", **settings)
        unconfirmed = run("jobs", "delete", "ft-1", **settings)
        seen[region] = len(listed.stdout.splitlines()), unconfirmed.stderr.partition(" (")[0]
    process.send_signal(signal.SIGINT)

    assert seen == {
        region: (7, f"Delete 1 fine-tuning job in region {region}") for region in ("intl", "cn")
    }
    assert process.wait(PATIENCE) == 0


def test_two_ways_to_one_emulator(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The command and the module take the same options, with the same explanations and defaults.
    """

    def options(help_text: str) -> set[tuple[str, ...]]:
        _, _, listed = " ".join(help_text.split()).partition("ptions: ")
        each = (words for words in listed.split("--")[1:] if not words.startswith("help"))
        # typer says of a number its bounds too.
        return {
            tuple(re.findall(r"^.*?[.:](?= \[|$)|default: [^];]+", words.strip())) for words in each
        }

    command = options(run("emulator", "--help").stdout)
    with pytest.raises(SystemExit):
        emulator_main(["--help"])
    module = options(capsys.readouterr().out)

    assert command == module
    assert ("latency SECONDS Added to each request.", "default: 0.0") in command
    assert len(command) == 11


@pytest.mark.parametrize("option", ["--port=65536", "--jobs=-1", "--speed=0", "--latency=soon"])
def test_an_emulator_that_cannot_be_meant(
    run: Run, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """
    Both ways refuse a value as usage, and name the option.
    """
    done = run("emulator", option)
    with pytest.raises(SystemExit) as end:
        emulator_main([option])

    assert (done.returncode, end.value.code) == (2, 2)
    assert option.partition("=")[0] in done.stderr
    assert option.partition("=")[0] in capsys.readouterr().err.splitlines()[-1]


def test_a_port_that_is_taken(
    studio: Emulator, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Both ways say which one it is and how to have another, in one sentence.
    """
    port = str(studio.port)
    done = run("emulator", "--port", port)
    code = emulator_main(["--port", port])

    assert (done.returncode, code) == (1, 1)
    assert done.stderr == capsys.readouterr().err
    assert done.stderr == (
        f"Error: Port {port} is taken: give another, or --port 0 for any that is free.\n"
    )


def test_steps_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Each place has a line with what goes on there and how far it is, and nothing of it remains.
    """
    stderr = screen(monkeypatch)
    with steps() as shown:
        for place, count in (("cn", 3), ("intl", 4)):
            shown.begin(place, "listing", total=9)
            shown.advance(place, count)
        shown.begin("cn", "deleting", total=5)
        shown.advance("cn", 2)
    written, erased = stderr.getvalue().rsplit("\n", 1)
    last = [re.sub(r"\x1b\[\d*[A-Z]|\W", " ", line).split() for line in written.splitlines()[-2:]]

    assert last == [["cn", "deleting", "2"], ["intl", "listing", "4"]]
    assert erased.count("\x1b[1A\x1b[2K") == 2


def test_the_demonstration(execute: Run) -> None:
    """
    The demonstration ends with figures that hold, none of them missed, without an account or a key.
    """
    done = execute("demo", "--seed", "1", DASHSCOPE_API_KEY="", DASHSCOPE_BASE_URL="")
    figures = {line[:26].strip(): line[26:].split() for line in done.stdout.splitlines()}

    assert done.returncode == 0, done.stdout
    assert figures["missed"] == ["0", "✓", "0", "✓"]
    assert figures["seen twice"] == ["0", "✓", "0", "✓"]
    assert "\nSettled though answer lost " in done.stdout  # of all deletions, not of imports alone
    assert int(figures["came meanwhile"][0]) > 0
    assert int(figures["went meanwhile"][1]) > 0
    assert "✗" not in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
