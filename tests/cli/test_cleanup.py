"""
Clean-up from the command line: what is shown, asked, refused, done and accounted for.
"""

from __future__ import annotations

import asyncio
import csv
import errno
import io
import json
import os
import re
import shlex
import signal
import stat
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from dashscope_ft import Outcome, Plan, Selection
from dashscope_ft.bulk import GRACE
from dashscope_ft.cleanup.journal import Journal
from dashscope_ft.cli.progress import outcome_bar
from dashscope_ft.cli.rules import bound_of
from dashscope_ft.emulator import Emulator, Fault, ManualClock, Pace
from dashscope_ft.errors import InvalidArgument
from tests.trials.careful_person import nth_deletion

from .conftest import COMMAND, PATIENCE, Ran, Run, Terminal, screen

pytestmark = pytest.mark.once

Start = Callable[..., "subprocess.Popen[str]"]
OnTerminal = Callable[..., Terminal]

DELETE = "fine_tunes.delete"
GET = "fine_tunes.get"
UTC_PLUS_8 = timezone(timedelta(hours=8))
UNBOUNDED = ["--max-deletes", "500", "--max-percent", "100"]


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    return tmp_path / "plan.json"


@pytest.fixture
def planned(run: Run, studio: Emulator, plan_file: Path) -> Callable[..., Plan]:
    """
    Make a plan by the command line, forget its requests, and give it back.
    """

    def make(*rules: str) -> Plan:
        done = run("cleanup", "plan", *rules, "-o", str(plan_file))
        assert done.returncode == 0, done.stderr
        studio.journal.clear()
        return Plan.load(plan_file)

    return make


@pytest.fixture
def applied(run: Run, plan_file: Path) -> Callable[..., Ran]:
    """
    Apply the plan without a terminal, as somebody who has seen it.
    """

    def apply(*options: str) -> Ran:
        return run(*agreed(plan_file, but=options), *options)

    return apply


def unbounded(*, but: Sequence[str] = ()) -> list[str]:
    """
    Give the options that lift the bounds, except those that are given otherwise.
    """
    bounds = zip(UNBOUNDED[::2], UNBOUNDED[1::2], strict=True)
    return [word for option, bound in bounds if option not in but for word in (option, bound)]


def agreed(plan_file: Path, *, but: Sequence[str] = ()) -> list[str]:
    digest = Plan.load(plan_file).digest
    words = ["cleanup", "apply", str(plan_file), "--yes", "--digest", digest[:12]]
    return [*words, *unbounded(but=but)]


def methods(studio: Emulator) -> set[str]:
    return {request.method for request in studio.journal}


def ids_in(plan: Plan) -> list[str]:
    return [entry.job_id for entry in plan.entries]


# Planning


def test_a_plan(studio: Emulator, run: Run, plan_file: Path) -> None:
    """
    The table says what goes, what stays and why, with totals; the file holds the same; only
    reads are sent.
    """
    studio.seed(jobs=60, statuses=["FAILED"], models=["qwen3-8b"])
    studio.seed(jobs=30, statuses=["SUCCEEDED"], models=["qwen3-14b"])
    done = run("cleanup", "plan", "--keep-latest", "4", "-o", str(plan_file))
    lines = [line.split() for line in done.stdout.splitlines()]
    plan = Plan.load(plan_file)

    assert done.returncode == 0
    assert "GOES: 56 of 90 fine-tuning jobs (62%)" in done.stdout
    assert "STAYS: 34" in done.stdout
    assert ["56", "FAILED"] in [line[:2] for line in lines]
    assert ["30", "status", "not", "selected", "SUCCEEDED"] in [line[:5] for line in lines]
    assert ["4", "among", "the", "latest", "4"] in [line[:5] for line in lines]
    assert f"127.0.0.1:{studio.port}" in done.stdout
    assert plan.digest[:12] in done.stdout
    assert len(plan.entries) == 56
    assert stat.S_IMODE(plan_file.stat().st_mode) == 0o600
    assert done.stderr == (
        f"Within 24 hours: dashscope-ft cleanup apply {plan_file}"
        " --max-deletes 56 --max-percent 63\n"
    )
    assert methods(studio) == {"GET"}


def test_a_plan_that_deletes_nothing(studio: Emulator, run: Run, plan_file: Path) -> None:
    """
    There is nothing to apply, and so no command for it.
    """
    studio.seed(jobs=3, statuses=["SUCCEEDED"])
    done = run("cleanup", "plan", "-o", str(plan_file))

    assert (done.returncode, done.stderr) == (0, "")
    assert Plan.load(plan_file).entries == ()


def test_what_to_run_after_a_plan(studio: Emulator, run: Run, tmp_path: Path) -> None:
    """
    The command can be pasted: it finds the file, and the place that was named in the other one.
    """
    ids = studio.seed(jobs=30, statuses=["FAILED"], workspace="ws-1")
    file = tmp_path / "my plan.json"
    place = ["--region", "intl", "--workspace", "ws-1", "--base-url", studio.base_url("intl")]
    elsewhere = {"DASHSCOPE_BASE_URL": studio.base_url("cn")}
    told = run(*place, "cleanup", "plan", "-o", str(file), **elsewhere).stderr
    _, *pasted = shlex.split(told.removeprefix("Within 24 hours: "))
    done = run(*pasted, "--yes", "--digest", Plan.load(file).digest, **elsewhere)

    assert pasted[-len(place) :] == place
    assert (done.returncode, done.stderr) == (0, "30 deleted.\n")
    assert sorted(studio.account().books.deleted) == sorted(ids)


@pytest.mark.parametrize(
    ("options", "selection"),
    [
        ([], Selection()),
        (["--status", "failed", "--status", "SUCCEEDED"],
         Selection(status={"FAILED", "SUCCEEDED"})),
        (["--model", "qwen3-*", "--model", "x"], Selection(model=["qwen3-*", "x"])),
        (["--name", "test-*"], Selection(name="test-*")),
        (["--creator", "1396*"], Selection(creator="1396*")),
        (["--older-than", "30d"], Selection(older_than=timedelta(days=30))),
        (["--newer-than", "2w", "--by", "ended"],
         Selection(newer_than=timedelta(weeks=2), by="end_time")),
        (["--older-than", "2026-01-31"],
         Selection(older_than=datetime(2026, 1, 31, tzinfo=UTC_PLUS_8))),
        (["--keep-latest", "3"], Selection(keep_latest=3)),
        (["--protect", "ft-1", "--protect", "*-prod"], Selection(protect=["ft-1", "*-prod"])),
    ],
)  # fmt: skip
def test_each_rule_as_an_option(
    planned: Callable[..., Plan], options: list[str], selection: Selection
) -> None:
    """
    Whatever a selection can say, the command line can say.
    """
    assert planned(*options).selection == selection


def test_every_rule_has_an_option(run: Run) -> None:
    """
    No rule of a selection is without its option.
    """
    helped = run("cleanup", "plan", "--help").stdout

    for rule in Selection().to_dict():
        assert f"--{rule.replace('_', '-')} " in helped


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("0h", timedelta(0)),
        ("12h", timedelta(hours=12)),
        ("30d", timedelta(days=30)),
        ("2w", timedelta(days=14)),
        ("2026-01-31T12:00", datetime(2026, 1, 31, 12, tzinfo=UTC_PLUS_8)),
        ("2026-01-31T12:00+00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_ages_and_dates(text: str, bound: timedelta | datetime) -> None:
    """
    An age is in hours, days or weeks; a date without a zone is at UTC+8, as the service's are.
    """
    assert bound_of("--older-than", text) == bound


@pytest.mark.parametrize(
    "text", ["", "30", "6m", "-1d", "1.5d", "٣d", "d", "yesterday", "9" * 400 + "d"]
)
def test_ages_that_nobody_can_mean(text: str) -> None:
    """
    What is no age is refused, `6m` too: minutes or months, it could delete the wrong half.
    """
    with pytest.raises(InvalidArgument, match="--older-than"):
        bound_of("--older-than", text)


def test_a_plan_for_machines(studio: Emulator, run: Run, planned: Callable[..., Plan]) -> None:
    """
    JSON is the plan itself, as good as its file; JSON Lines and CSV are the jobs that go.
    """
    studio.seed(jobs=20, statuses=["FAILED", "SUCCEEDED"])
    plan = planned()
    whole = json.loads(run("cleanup", "plan", "--output", "json").stdout)
    lines = run("-o", "jsonl", "cleanup", "plan").stdout.splitlines()
    table = run("cleanup", "plan", "--output", "csv").stdout

    assert whole["entries"] == plan.to_dict()["entries"]
    assert len(whole["digest"]) == 64
    assert [json.loads(line) for line in lines] == whole["entries"]
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert [row["job_id"] for row in rows] == ids_in(plan)


def test_a_plan_for_imports(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran]
) -> None:
    """
    Import jobs are cleaned up like the others.
    """
    studio.seed(imports=40, jobs=5, import_statuses=["FAILED", "SUCCESSED"])
    plan = planned("imports")
    done = applied()

    assert plan.noun == "imports"
    assert done.returncode == 0
    assert sorted(studio.account().books.deleted) == sorted(ids_in(plan))
    assert {job["status"] for job in studio.account().imports.values()} == {"SUCCESSED"}


def test_imports_that_have_not_ended(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran]
) -> None:
    """
    Imports that have not ended cannot be cancelled: whoever asks for it is refused at once, and
    otherwise they are skipped.
    """
    studio.seed(imports=4, import_statuses=["PENDING"])
    planned("imports", "--status", "pending")
    sent = len(studio.journal.requests)
    refused = applied("--cancel-running")
    left = len(studio.journal.requests) - sent
    done = applied("--output", "json")

    assert (refused.returncode, left) == (2, 0)
    assert "cannot be cancelled" in refused.stderr
    assert done.returncode == 0
    assert json.loads(done.stdout)["reasons"] == {"state": 4}


def test_a_status_that_is_not_known(studio: Emulator, run: Run) -> None:
    """
    A word that may be mistyped is noted; it selects nothing by itself.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    done = run("cleanup", "plan", "--status", "faild")

    assert done.returncode == 0
    assert done.stderr == (
        "Note: FAILD is not a known status of jobs; it may go all the same."
        " Known: PENDING, QUEUING, RUNNING, CANCELING, SUCCEEDED, FAILED, CANCELED.\n"
    )
    assert "GOES: 0 of 5" in done.stdout


@pytest.mark.parametrize(
    ("older", "newer", "possible"),
    [
        ("2d", "1d", False),
        ("2d", "48h", False),
        ("1d", "2d", True),
        ("2026-01-31", "2026-02-01", False),
        ("2026-02-01", "2026-01-31", True),
        ("1d", "2100-01-01", False),
        ("999999999d", "999999999d", False),
    ],
)
def test_ages_between_which_there_is_nothing(
    run: Run, older: str, newer: str, possible: bool
) -> None:
    """
    A range that no job can be in is refused.
    """
    done = run("cleanup", "plan", "--older-than", older, "--newer-than", newer)
    words = f"Error: No job can be both --older-than {older} and --newer-than {newer}.\n"

    assert done.returncode == (0 if possible else 2)
    assert done.stderr == ("" if possible else words)


def test_a_protection_of_nothing(studio: Emulator, run: Run) -> None:
    """
    Where no pattern of `--protect` fits any job, one may be mistyped, and that is noted.
    """
    studio.seed(jobs=3, statuses=["FAILED"])
    [kept] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    mistyped = run("cleanup", "plan", "--protect", f"{kept}x")
    right = run("cleanup", "plan", "--protect", kept, "--protect", "another")

    assert (mistyped.returncode, right.returncode) == (0, 0)
    assert mistyped.stderr == (
        "Note: --protect protects nothing: no job listed has such an id, name or result.\n"
    )
    assert right.stderr == ""


def test_a_plan_on_a_terminal(studio: Emulator, terminal: OnTerminal) -> None:
    """
    A plan fits the terminal, and is coloured; nothing in it is obeyed.
    """
    evil = "\x1b[2J\x1b]0;all is well\x07[red]模型"
    for job in studio.seed(jobs=12, statuses=["FAILED"]):
        studio.account().jobs[job].update(job_name=evil, model="qwen3-8b\x1b[1A")
    shown = terminal("cleanup", "plan", width=50)

    assert shown.finish() == 0
    assert max(map(len, shown.words.splitlines())) <= 50
    assert "GOES: 12 of 12" in shown.words
    assert "\x1b[31mFAILED" in shown.text
    assert "\x1b[2J" not in shown.text
    assert "\x1b]0;" not in shown.text
    assert "\x1b[1A" not in shown.text


# Applying


def test_applying_a_plan(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran]
) -> None:
    """
    Exactly the jobs of the plan go, and the report says so.
    """
    studio.seed(jobs=30, statuses=["FAILED", "SUCCEEDED"])
    plan = planned()
    done = applied()
    goes = len(plan.entries)

    assert done.returncode == 0
    assert sorted(studio.account().books.deleted) == sorted(ids_in(plan))
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["JOBS", "RESULT", "WHY"],
        [str(goes), "deleted", "confirmed", "by", "the", "service"],
        [str(goes), "in", "all"],
    ]
    assert done.stderr == f"{goes} deleted.\n"


def test_a_report_for_machines(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran]
) -> None:
    """
    JSON has the counts, and each job of the plan once with its evidence.
    """
    ids = studio.seed(jobs=12, statuses=["FAILED"])
    plan = planned()
    studio.account().remove(ids[0])
    studio.account().set_status(ids[1], "SUCCEEDED")
    studio.inject(Fault(operation=DELETE, path=f"*{ids[2]}", lose="after"))
    denied = {"code": "AccessDenied", "message": "No.\x1b[2J", "request_id": "r"}
    studio.inject(Fault(operation=DELETE, path=f"*{ids[3]}", status=403, body=denied))
    done = applied("--output", "json")
    report = json.loads(done.stdout)

    assert done.returncode == 5
    assert (report["selected"], report["done"], report["skipped"], report["failed"]) == (
        12,
        9,
        2,
        1,
    )
    assert report["reasons"] == {
        "confirmed": 8, "inferred": 1, "already_gone": 1, "changed": 1, "AccessDenied": 1
    }  # fmt: skip
    assert sorted(outcome["job_id"] for outcome in report["outcomes"]) == sorted(ids)
    assert report["plan"] == plan.digest
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("form", ["jsonl", "csv", "table"])
def test_other_forms_of_the_report(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran], form: str
) -> None:
    """
    A line each for machines; in a table, those by name that were not deleted.
    """
    ids = studio.seed(jobs=6, statuses=["FAILED"])
    planned()
    studio.account().remove(ids[0])
    done = applied("--output", form)

    assert done.returncode == 0
    if form == "table":
        assert f"{ids[0]}  skipped  already gone" in done.stdout
        assert ids[1] not in done.stdout
    elif form == "csv":
        rows = csv.DictReader(io.StringIO(done.stdout, newline=""))
        assert sorted(row["job_id"] for row in rows) == sorted(ids)
    else:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert sorted(line["job_id"] for line in lines) == sorted(ids)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--yes"],
        ["--digest", "{digest}"],
        ["--yes", "--digest", "0" * 64],
        ["--yes", "--digest", "{digest:.6}"],
        ["--yes", "--digest", ""],
    ],
)
def test_applying_without_a_terminal_and_without_the_digest(
    studio: Emulator, run: Run, planned: Callable[..., Plan], plan_file: Path, options: list[str]
) -> None:
    """
    Where nobody can be asked, both `--yes` and the plan's digest are needed; nothing is sent.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    digest = planned().digest
    given = [option.format(digest=digest) for option in options]
    done = run("cleanup", "apply", str(plan_file), "--max-percent", "100", *given, stdin="y\n")

    assert (done.returncode, done.stdout) == (3, "")
    assert "--digest" in done.stderr
    assert not studio.journal.requests


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{digest:.8}", "--digest is too short with 8 characters. Give 12 of them, or more."),
        (
            "0" * 12,
            "--digest 000000000000 is not this plan's."
            " Look at the plan: --dry-run without --digest shows it on a terminal.",
        ),
    ],
)
def test_a_digest_that_does_not_name_the_plan(
    studio: Emulator,
    run: Run,
    planned: Callable[..., Plan],
    plan_file: Path,
    given: str,
    words: str,
) -> None:
    """
    A digest that is too short or another plan's is refused; the right one is not told to who did
    not look at the plan.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    digest = planned().digest
    done = run("cleanup", "apply", str(plan_file), "--yes", "--digest", given.format(digest=digest))

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"Error: {words}\n"


def test_where_to_look_at_a_plan(
    studio: Emulator, terminal: OnTerminal, planned: Callable[..., Plan], plan_file: Path
) -> None:
    """
    A dry run on a terminal shows it, with its digest.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    digest = planned().digest
    shown = terminal("cleanup", "apply", str(plan_file), "--dry-run", *UNBOUNDED)

    assert shown.finish() == 0
    assert f"digest {digest[:12]}" in shown.words


@pytest.mark.parametrize(
    "options", [["--max-deletes", "4"], ["--max-percent", "99"], ["--max-deletes", "0"]]
)
def test_a_plan_beyond_a_guard(
    studio: Emulator,
    run: Run,
    planned: Callable[..., Plan],
    applied: Callable[..., Ran],
    options: list[str],
) -> None:
    """
    A guard, called as it is typed, stops it before anything is asked or sent; a dry run, which
    deletes nothing, says first what would go.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    planned()
    done = applied(*options)
    sent = list(studio.journal.requests)
    rehearsed = applied(*options, "--dry-run")
    option, bound = options
    deletes = r"5 jobs|5 of 5 jobs \(100%\)"
    refusal = (
        rf"Error: The plan deletes ({deletes}), more than {option} {bound}\. .* raise {option}\.\n"
    )

    assert not sent
    assert (done.returncode, done.stdout) == (3, "")
    assert re.fullmatch(refusal, done.stderr)
    assert rehearsed.returncode == 3
    assert rehearsed.stdout.splitlines()[1].split() == ["5", "goes"]
    assert rehearsed.stderr == f"5 would be deleted.\n{done.stderr}"
    assert (
        run("cleanup", "run", "--dry-run", *unbounded(but=options), *options).stderr == done.stderr
    )
    assert methods(studio) == {"GET"}


@pytest.mark.parametrize("change", ["altered", "old", "elsewhere", "no plan", "journal in use"])
def test_a_plan_that_is_refused(
    studio: Emulator, run: Run, planned: Callable[..., Plan], plan_file: Path, change: str
) -> None:
    """
    Altered, older than a day, made elsewhere, or being applied already: nothing is sent.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    plan = planned()
    journal = plan_file.with_name("journal")
    settings: dict[str, str] = {}
    if change == "altered":
        plan_file.write_text(plan_file.read_text().replace("FAILED", "RUNNING", 1))
    elif change == "old":
        evolve(plan, created=plan.created - timedelta(hours=25)).save(plan_file)
    elif change == "elsewhere":
        settings["DASHSCOPE_WORKSPACE"] = "ws-2"
    elif change == "no plan":
        plan_file.write_text("{}")
    arguments = [
        "apply",
        str(plan_file),
        "--yes",
        "--digest",
        plan.digest,
        "--journal",
        str(journal),
    ]
    if change == "journal in use":
        with Journal(plan.digest, journal, now=lambda: datetime.now(UTC)):
            done = run("cleanup", *arguments, "--max-percent", "100")
    else:
        done = run("cleanup", *arguments, "--max-percent", "100", **settings)

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: ")
    assert not studio.journal.requests


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "everything"],
        ["plan", "-o", "json"],
        ["plan", "-o", "/no/such/place/plan.json"],
        ["plan", "--older-than", "6m"],
        ["plan", "--older-than", "2d", "--newer-than", "1d"],
        ["plan", "--keep-latest", "-1"],
        ["plan", "--model", ""],
        ["plan", "--by", "name"],
        ["apply"],
        ["apply", "/no/such/plan.json"],
        ["run", "--max-deletes", "many"],
        ["run", "--dry-run", "--max-percent", "101"],
        ["run", "imports", "--cancel-running"],
        [],
    ],
)
def test_wrong_usage(studio: Emulator, run: Run, arguments: list[str]) -> None:
    """
    What cannot be meant is refused with exit code 2, before anything is sent.
    """
    done = run("cleanup", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not studio.journal.requests


def test_a_plan_without_a_place(studio: Emulator, run: Run, tmp_path: Path) -> None:
    """
    The option is named, and what is wrong with what it names.
    """
    missing = tmp_path / "missing"
    for file, words in (
        (missing / "plan.json", f"The directory {missing} does not exist."),
        (tmp_path, f"{tmp_path} is a directory; name a file."),
        (os.devnull, f"{os.devnull} is not a regular file; name another."),
    ):
        done = run("cleanup", "plan", "-o", str(file))

        assert done.returncode == 2
        assert done.stderr.endswith(f"Error: Invalid value for '-o': {words}\n")
    assert not studio.journal.requests


@pytest.mark.parametrize("folder", ["missing", "locked"])
def test_a_journal_without_a_place(
    studio: Emulator,
    applied: Callable[..., Ran],
    planned: Callable[..., Plan],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    folder: str,
) -> None:
    """
    Where it cannot be written, that is said before anything is asked or sent.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    planned()
    journal = tmp_path / folder / "journal"
    if folder == "locked":
        journal.parent.mkdir()
        # Nothing is locked for root.
        monkeypatch.setattr(os, "access", lambda path, mode: path != journal.parent)
    done = applied("--journal", str(journal))

    assert (done.returncode, done.stdout) == (2, "")
    fault = "does not exist" if folder == "missing" else "cannot be written to"
    words = f"Invalid value for '--journal': The directory {journal.parent} {fault}.\n"
    assert done.stderr.endswith(words)
    assert not studio.journal.requests


def test_a_plan_for_which_the_disk_is_full(
    studio: Emulator, run: Run, plan_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The error is a sentence, and names the file.
    """
    studio.seed(jobs=1, statuses=["FAILED"])

    def fill(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill)
    done = run("cleanup", "plan", "-o", str(plan_file))

    assert done.returncode == 1
    assert done.stderr == f"Error: Cannot write {plan_file}: no space left on device.\n"


def test_a_journal_that_cannot_be_opened(
    studio: Emulator, applied: Callable[..., Ran], planned: Callable[..., Plan], tmp_path: Path
) -> None:
    """
    Nothing was begun, so there is the error alone: no report, and nothing to go on with.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    planned()
    journal = tmp_path / "journal"
    journal.symlink_to(tmp_path / "missing" / "journal")
    done = applied("--journal", str(journal))

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: Cannot open {journal}: no such file or directory.\n"
    assert not studio.journal.requests


def test_a_journal_that_is_no_regular_file(
    studio: Emulator, applied: Callable[..., Ran], planned: Callable[..., Plan], tmp_path: Path
) -> None:
    """
    A journal that is no regular file is refused before anything is asked or sent, and nobody waits
    for what writes to a pipe.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    planned()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    done = applied("--journal", str(pipe))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: The journal {pipe} is not a regular file. Nothing was done; name another file.\n"
    )
    assert not studio.journal.requests


def test_a_journal_for_which_the_disk_is_full(
    studio: Emulator,
    applied: Callable[..., Ran],
    planned: Callable[..., Plan],
    plan_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The error names the file and the way on, and does not speak of an interruption; the same command
    goes on.
    """
    ids = studio.seed(jobs=20, statuses=["FAILED"])
    planned()

    def fill(_: int) -> None:
        if studio.journal.of(DELETE):  # so that one deletion is always in doubt
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        done = applied("--output", "json")
    [journal] = plan_file.parent.glob("*.journal")
    report = json.loads(done.stdout)
    unsure = [each for each in report["outcomes"] if each["reason"] == "unknown_outcome"]

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"Error: The journal {journal} cannot be written: No space left on device. See to that,"
        " then apply the plan again: it goes on with what is left."
    )
    assert "same command" not in done.stderr
    assert unsure
    assert all("could not be written to the journal" in each["error"] for each in unsure)
    assert "Interrupted" not in done.stdout + done.stderr
    assert report["selected"] == 20

    assert applied().returncode == 0
    assert sorted(studio.account().books.deleted) == sorted(ids)


def test_an_empty_plan(
    studio: Emulator, planned: Callable[..., Plan], run: Run, plan_file: Path
) -> None:
    """
    Where nothing is to go, nobody is asked.
    """
    studio.seed(jobs=5, statuses=["SUCCEEDED"])
    planned()
    done = run("cleanup", "apply", str(plan_file))

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "Nothing to delete.\n"


def test_nothing_to_delete_on_a_terminal(studio: Emulator, terminal: OnTerminal) -> None:
    """
    The plan says why all jobs stay, and no empty table follows.
    """
    studio.seed(jobs=5, statuses=["SUCCEEDED"])
    shown = terminal("cleanup", "run")

    assert shown.finish() == 0
    assert "GOES: 0 of 5" in shown.words
    assert "status not selected" in shown.words
    assert shown.words.endswith("5  in all\n\nNothing to delete.\n")


def test_going_on_where_a_run_ended(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran], plan_file: Path
) -> None:
    """
    After a rate limit that asks for an hour, the same command deletes what is left; its report is
    about all jobs, and tells what was done before, even where that was everything.
    """
    ids = studio.seed(jobs=30, statuses=["FAILED"])
    planned()
    studio.inject(
        Fault(operation=DELETE, times=9),
        throttled(operation=DELETE),
    )
    first = applied("-o", "json")
    studio.faults.clear()
    some = len(studio.account().books.deleted)
    second = applied("-o", "json")
    third = applied()

    assert first.returncode == 75
    assert "same command" in first.stderr
    assert json.loads(first.stdout)["done"] == some
    assert 9 <= some < 30
    assert second.returncode == 0
    assert json.loads(second.stdout)["reasons"] == {"confirmed": 30}
    assert second.stderr == f"30 deleted, {some} of them in an earlier run.\n"
    assert (third.returncode, third.stderr) == (0, "30 deleted, all in an earlier run.\n")
    assert sorted(studio.account().books.deleted) == sorted(ids)
    assert len(list(plan_file.parent.glob("plan-*.journal"))) == 1


def test_a_plan_made_anew_under_the_same_name(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran]
) -> None:
    """
    Last week's journal is not in the way of this week's plan.
    """
    for _ in range(2):
        studio.seed(jobs=3, statuses=["FAILED"])
        planned()

        assert applied().returncode == 0
    assert not studio.account().jobs


# What is only read


@pytest.mark.parametrize("command", ["plan", "run", "apply"])
def test_a_dry_run(
    studio: Emulator,
    run: Run,
    planned: Callable[..., Plan],
    applied: Callable[..., Ran],
    plan_file: Path,
    command: str,
) -> None:
    """
    Nothing but GETs is sent, nothing is deleted, no journal is begun; a job that changed since
    is seen.
    """
    ids = studio.seed(jobs=150, statuses=["FAILED", "RUNNING"])
    rules = ["--status", "FAILED", "--status", "RUNNING"]
    plan = planned(*rules)
    studio.account().remove(ids[0])
    guards = ["--max-deletes", "500", "--max-percent", "100", "--cancel-running"]
    if command == "apply":
        done = applied("--dry-run", "--cancel-running", "--output", "json")
        report = json.loads(done.stdout)
        assert report["dry_run"]
        assert (report["planned"], report["done"]) == (149, 0)
        assert report["reasons"] == {"dry_run": 149, "already_gone": 1}
        assert done.stderr == "149 would be deleted, 1 skipped.\n"
    elif command == "run":
        done = run("cleanup", "run", *rules, "--dry-run", *guards)
        assert "GOES: 149 of 149" in done.stdout
    else:
        done = run("cleanup", "plan", *rules)

    assert done.returncode == 0
    assert methods(studio) == {"GET"}
    assert studio.account().books.deleted == [ids[0]]
    assert not studio.account().books.canceled
    assert len(studio.account().jobs) == len(plan.entries) - 1
    assert list(plan_file.parent.glob("*.journal")) == []


def test_a_dry_run_of_what_is_being_cancelled(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran]
) -> None:
    """
    A dry run takes for granted that a cancellation under way will end.
    """
    studio.account().pace = Pace(canceling=3_600)
    studio.seed(jobs=3, statuses=["CANCELING"])
    planned("--status", "CANCELING")

    done = applied("--dry-run", "--cancel-running")

    assert (done.returncode, done.stderr) == (0, "3 would be deleted.\n")


@pytest.mark.parametrize("cancels", [True, False])
def test_a_dry_run_after_an_interruption(
    studio: Emulator,
    planned: Callable[..., Plan],
    applied: Callable[..., Ran],
    plan_file: Path,
    cancels: bool,
) -> None:
    """
    A dry run goes by the journal, as the run itself would: what is done, and what was cancelled for
    it.
    """
    ids = studio.seed(jobs=2, statuses=["RUNNING"])
    plan = planned("--status", "RUNNING")
    file = half_applied(plan, plan_file, *ids)
    studio.account().remove(ids[0])
    studio.account().set_status(ids[1], "CANCELED")
    options = ["--dry-run", "--output", "json", "--journal", str(file)]

    done = applied(*options, *(["--cancel-running"] if cancels else []))
    report = json.loads(done.stdout)

    assert (report["planned"], report["done"], report["skipped"]) == (cancels, 1, not cancels)
    assert report["reasons"] == {"confirmed": 1, "dry_run" if cancels else "state": 1}
    rest = "1 would be deleted, 1 deleted" if cancels else "1 deleted"
    skipped = "" if cancels else ", 1 skipped"
    assert done.stderr == f"{rest}, all in an earlier run{skipped}.\n"


def test_a_dry_run_after_a_run_that_was_killed(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran], plan_file: Path
) -> None:
    """
    A job that an earlier run may have deleted, and that is gone, is not one that would be deleted.
    """
    gone, _ = studio.seed(jobs=2, statuses=["FAILED"])
    plan = planned()
    file = plan_file.with_suffix(".journal")
    with Journal(plan.digest, file, now=lambda: datetime.now(UTC)) as journal:
        journal.intend("delete", gone)
    studio.account().remove(gone)

    done = applied("--dry-run", "--output", "json", "--journal", str(file))
    report = json.loads(done.stdout)

    assert (report["planned"], report["done"]) == (1, 1)
    assert report["reasons"] == {"inferred": 1, "dry_run": 1}
    assert done.stderr == "1 would be deleted, 1 deleted, all in an earlier run.\n"


def half_applied(plan: Plan, plan_file: Path, deleted: str, cancelled: str) -> Path:
    """
    Write the journal of a run that deleted one job, and stopped as it had cancelled another.
    """
    file = plan_file.with_suffix(".journal")
    with Journal(plan.digest, file, now=lambda: datetime.now(UTC)) as journal:
        journal.record(Outcome(job_id=deleted, action="delete", result="done", reason="confirmed"))
        journal.intend("cancel", cancelled)
    return file


# Running jobs


@pytest.mark.parametrize("cancels", [True, False])
def test_jobs_that_have_not_ended(
    studio: Emulator, planned: Callable[..., Plan], applied: Callable[..., Ran], cancels: bool
) -> None:
    """
    Jobs that have not ended are cancelled first if that was asked for, otherwise they are skipped
    for their state.
    """
    studio.account().pace = Pace(running=3_600, canceling=0.02)
    ids = studio.seed(jobs=4, statuses=["RUNNING"])
    planned("--status", "running")
    done = applied("--output", "json", *(["--cancel-running"] if cancels else []))

    assert done.returncode == 0
    assert json.loads(done.stdout)["reasons"] == ({"confirmed": 4} if cancels else {"state": 4})
    assert sorted(studio.account().books.deleted) == (sorted(ids) if cancels else [])


@pytest.mark.parametrize(
    ("noun", "status", "why"),
    [
        ("jobs", "RUNNING", "still RUNNING; --cancel-running cancels it first"),
        ("jobs", "CANCELING", "still CANCELING; --cancel-running waits for its end"),
        ("imports", "RUNNING", "still RUNNING; it can be deleted when it has ended"),
    ],
)
def test_why_a_job_that_has_not_ended_was_skipped(
    studio: Emulator,
    planned: Callable[..., Plan],
    applied: Callable[..., Ran],
    noun: str,
    status: str,
    why: str,
) -> None:
    """
    The report says its status, and what to do about it.
    """
    studio.account().pace = Pace(running=3_600, canceling=3_600)
    [job_id] = studio.seed(
        jobs=noun == "jobs",
        imports=noun == "imports",
        statuses=[status],
        import_statuses=[status],
    )
    planned(noun, "--status", status)
    lines = applied().stdout.splitlines()

    assert lines[1].split("  ")[-1] == why
    assert lines[-1] == f"{job_id}  skipped  {why}"


# How it ends


def throttled(**more: Any) -> Fault:
    body = {"code": "Throttling.RateQuota", "message": "Later.", "request_id": "r"}
    headers = {"Retry-After": "3600"}
    return Fault(status=429, headers=headers, body=body, times=None, **more)


INVALID_KEY = {"code": "InvalidApiKey", "message": "No.", "request_id": "r"}
DENIED = {"code": "AccessDenied", "message": "No.", "request_id": "r"}
TOO_FEW = {
    "output": {"page_no": 1, "page_size": 100, "total": 300, "jobs": [{"job_id": "ft-1"}]},
    "request_id": "r",
}


@pytest.mark.parametrize(
    ("fault", "options", "code"),
    [
        (None, [], 0),
        (Fault(operation=DELETE, status=401, body=INVALID_KEY, times=None), [], 4),
        (Fault(operation=DELETE, status=403, body=DENIED, every=3), [], 5),
        (Fault(operation=DELETE, status=404), [], 0),
        (Fault(operation=DELETE, status=404), ["--strict"], 6),
        (Fault(operation=DELETE, status=403, body=DENIED, every=3), ["--strict"], 5),
        (throttled(operation=DELETE), [], 75),
    ],
)
def test_the_exit_code_of_an_application(
    studio: Emulator,
    planned: Callable[..., Plan],
    applied: Callable[..., Ran],
    fault: Fault | None,
    options: list[str],
    code: int,
) -> None:
    """
    The exit code says how the run ended; the report stands on stdout whatever it is.
    """
    ids = studio.seed(jobs=9, statuses=["FAILED"])
    planned()
    if fault is not None:
        studio.inject(fault)
    done = applied(*options, "--output", "jsonl")
    told = [json.loads(line)["job_id"] for line in done.stdout.splitlines()]

    assert done.returncode == code
    assert sorted(told) == sorted(ids)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(status=401, body=INVALID_KEY, times=None), 4),
        (Fault(operation="fine_tunes.list", status=200, body=TOO_FEW, times=None), 7),
        (throttled(), 75),
        (Fault(status=403, body=DENIED, times=None), 1),
    ],
)
def test_the_exit_code_of_a_plan(
    studio: Emulator, run: Run, plan_file: Path, fault: Fault, code: int
) -> None:
    """
    Without a complete listing there is no plan, neither shown nor saved.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    studio.inject(fault)
    done = run("cleanup", "plan", "-o", str(plan_file))

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("Error: ")
    assert not plan_file.exists()


def test_a_cause_on_a_terminal(
    studio: Emulator, planned: Callable[..., Plan], terminal: OnTerminal, plan_file: Path
) -> None:
    """
    Beside the longest ids, eighty columns show why a deletion failed, and name each job once.
    """
    ids = studio.seed(imports=2, import_statuses=["FAILED"])
    planned("imports")
    studio.inject(Fault(operation="imports.delete", status=403, body=DENIED, times=None))
    shown = terminal(*agreed(plan_file), width=80)
    code = shown.finish()

    assert code == 5
    for job_id in ids:
        assert f"{job_id}  failed  No. (code AccessDenied, HTTP 403" in shown.words
    assert max(map(len, shown.words.splitlines())) <= 80


# Questions


def test_run_without_a_terminal(studio: Emulator, run: Run) -> None:
    """
    Nobody can look at a plan that is made and applied in one go: nothing is sent.
    """
    studio.seed(jobs=5, statuses=["FAILED"])
    for options in ([], ["--yes"]):
        done = run("cleanup", "run", *options)

        assert (done.returncode, done.stdout) == (3, "")
        assert "cleanup plan" in done.stderr
    assert not studio.journal.requests


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 3), ("\x03", 130)])
def test_the_question(studio: Emulator, terminal: OnTerminal, answer: str, code: int) -> None:
    """
    The question comes below the plan and names count, region, host and workspace; only yes is yes.
    """
    ids = studio.seed(jobs=12, statuses=["FAILED"], workspace="ws-1")
    asked = terminal("cleanup", "run", "--max-percent", "100", "--workspace", "ws-1", width=120)
    asked.read_until("[y/N]")
    shown, question = asked.words.rsplit("\n", 1)

    assert "GOES: 12 of 12" in shown
    assert question.startswith("Delete 12 fine-tuning jobs in region intl (127.0.0.1:")
    assert f":{studio.port}, workspace ws-1)" in question
    assert methods(studio) == {"GET"}

    asked.type(answer)

    assert asked.finish() == code
    assert code == 0 or asked.words.endswith("\nNothing was deleted.\n")
    assert sorted(studio.account().books.deleted) == (sorted(ids) if code == 0 else [])


def test_the_question_after_an_interruption(
    studio: Emulator, terminal: OnTerminal, planned: Callable[..., Plan], plan_file: Path
) -> None:
    """
    The question counts only what is left, in both of its numbers.
    """
    ids = studio.seed(jobs=3, statuses=["RUNNING"])
    file = half_applied(planned("--status", "RUNNING"), plan_file, *ids[:2])
    options = ["--cancel-running", "--journal", str(file), *UNBOUNDED]
    asked = terminal("cleanup", "apply", str(plan_file), *options, width=200)
    asked.read_until("[y/N]")
    asked.type("n\n")

    assert asked.finish() == 3
    assert "Delete the 2 that are left of 3 fine-tuning jobs" in asked.words
    assert "and cancel 2 of them for it?" in asked.words


def test_which_jobs_the_question_is_about(
    studio: Emulator, terminal: OnTerminal, planned: Callable[..., Plan], plan_file: Path
) -> None:
    """
    `apply` names the oldest jobs that go before it asks, as `plan` and `run` do.
    """
    studio.seed(jobs=12, statuses=["FAILED"])
    ids = ids_in(planned())
    asked = terminal("cleanup", "apply", str(plan_file), *UNBOUNDED)
    asked.read_until("[y/N]")

    assert "THE JOBS THAT GO, the oldest" in asked.words
    assert [job_id for job_id in ids if job_id in asked.words] == ids[:5]
    assert "… and 7 more; --dry-run --output jsonl names all of them." in asked.words


def test_yes_on_a_terminal(studio: Emulator, terminal: OnTerminal) -> None:
    """
    Whoever said yes beforehand sees the plan and is not asked; a bar shows rate, failures and
    the time left.
    """
    studio.seed(jobs=40, statuses=["FAILED"])
    studio.inject(
        Fault(operation=DELETE, status=403, body=DENIED),
        Fault(operation=DELETE, delay=0.25, times=None),
    )
    shown = terminal("cleanup", "run", "--yes", "--max-deletes", "40", "--max-percent", "100")

    assert shown.finish() == 5
    assert "GOES: 40 of 40" in shown.words
    assert "[y/N]" not in shown.words
    bars = [line for line in shown.words.split("\r") if "of 40" in line and "/s" in line]
    assert any("1 failed" in bar and "left" in bar for bar in bars)
    assert shown.words.rstrip().endswith(
        "39 deleted, 1 failed.\nThe same command plans anew, and goes on with what is left."
    )


async def turns() -> None:
    """
    Let come what is due at once.
    """
    for _ in range(3):
        await asyncio.sleep(0)


async def test_a_bar_before_anything_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    There is neither a rate yet nor a time that it takes.
    """
    stderr = screen(monkeypatch)
    monkeypatch.setattr("dashscope_ft.cli.progress._PROGRESS_DELAY", 0)
    with outcome_bar("Deleting", total=40):
        await turns()
        shown = stderr.getvalue()

    assert re.findall(r"0 of 40.*", shown) == ["0 of 40  0 failed"]


async def test_a_bar_of_a_run_that_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Rate and time left are of what this run did: neither of what was done before it, nor of a
    burst that it began with.
    """
    stderr = screen(monkeypatch)
    now = 0.0
    monkeypatch.setattr("rich.console.monotonic", lambda: now)
    monkeypatch.setattr("dashscope_ft.cli.progress._PROGRESS_DELAY", 0)
    with outcome_bar("Deleting", total=500, settled=400) as count:
        for moment in (4.9, 5.0):
            now = moment
            for _ in range(5):
                count(False)
        await turns()
        shown = stderr.getvalue()

    assert set(re.findall(r"410 of 500.*", shown)) == {"410 of 500  2.0/s  0 failed  0:45 left"}


# Interrupts


@pytest.mark.parametrize("studio", [ManualClock], indirect=True)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal(
    studio: Emulator,
    planned: Callable[..., Plan],
    applied: Callable[..., Ran],
    start: Start,
    plan_file: Path,
    number: signal.Signals,
    code: int,
) -> None:
    """
    After a signal no deletion begins, and what was under way is waited for; report, journal and the
    emulator's books agree; the same command goes on.
    """
    ids = studio.seed(jobs=60, statuses=["FAILED"])
    planned()
    clock = studio.clock
    assert isinstance(clock, ManualClock)
    studio.inject(Fault(operation=DELETE, times=10), Fault(operation=DELETE, delay=60, times=None))
    process = start(*agreed(plan_file), "--output", "json")
    nth_deletion(studio, 10 + 8).result(PATIENCE)
    process.send_signal(number)
    assert process.stderr is not None
    assert "Stopping" in process.stderr.readline()
    while clock.sleepers < 8:
        assert process.poll() is None
    clock.advance(60)
    stdout, _ = process.communicate(timeout=PATIENCE)
    report = json.loads(stdout)
    [journal] = plan_file.parent.glob("*.journal")
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    written = {line["outcome"]["job_id"]: line["outcome"] for line in lines if "outcome" in line}
    told = {outcome["job_id"]: outcome["reason"] for outcome in report["outcomes"]}
    deleted = set(studio.account().books.deleted)

    assert process.returncode == code
    assert len(studio.journal.of(DELETE)) == len(deleted) == 10 + 8
    assert sorted(told) == sorted(ids)
    assert {job_id for job_id, reason in told.items() if reason == "confirmed"} == deleted
    assert {job_id for job_id, reason in told.items() if reason != "not_attempted"} == set(written)

    studio.faults.clear()
    assert applied().returncode == 0
    assert sorted(studio.account().books.deleted) == sorted(ids)


def test_ctrl_c_as_all_is_done(
    studio: Emulator,
    planned: Callable[..., Plan],
    applied: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    Whoever leaves in the run's last instant still gets the report of all of it.
    """
    ids = studio.seed(jobs=3, statuses=["FAILED"])
    planned()
    close = Journal.__exit__

    def interrupted(journal: Journal, *rest: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        close(journal, *rest)

    monkeypatch.setattr(Journal, "__exit__", interrupted)
    done = applied("--output", "json")

    assert done.returncode == 130
    assert json.loads(done.stdout)["reasons"] == {"confirmed": 3}
    assert "3 deleted.\n" in done.stderr
    assert sorted(studio.account().books.deleted) == sorted(ids)


@pytest.mark.parametrize("width", [40, 80])
def test_ctrl_c_on_a_terminal(studio: Emulator, terminal: OnTerminal, width: int) -> None:
    """
    The bar counts only what was attempted, words stand on lines of their own, and in the end
    nothing is left of it.
    """
    studio.seed(jobs=40, statuses=["FAILED"])
    studio.inject(Fault(operation=GET, times=8), Fault(operation=GET, delay=0.8, times=None))
    guards = ("--max-deletes", "40", "--max-percent", "100")
    shown = terminal("cleanup", "run", "--yes", *guards, width=width)
    shown.read_until(" of 40  ")
    shown.type("\x03")
    code = shown.finish()
    deleted = len(studio.account().books.deleted)

    assert code == 130
    assert "\r\x1b[2KStopping: nothing new begins, and what" in shown.text
    assert "\x1b[?25h\r\x1b[1A\x1b[2K\x1b[1mJOBS" in shown.text
    assert max(int(count) for count in re.findall(r"(\d+) of 40  ", shown.words)) <= deleted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal(
    studio: Emulator,
    planned: Callable[..., Plan],
    applied: Callable[..., Ran],
    start: Start,
    plan_file: Path,
    number: signal.Signals,
) -> None:
    """
    A second signal ends the command at once, with answers outstanding; the journal still lets the
    next run account for every job.
    """
    ids = studio.seed(jobs=20, statuses=["FAILED"])
    planned()
    studio.inject(Fault(operation=DELETE, answer_delay=float("inf"), times=1))
    process = start(*agreed(plan_file), "--output", "json")
    studio.journal.first(lambda request: request.operation == DELETE).result(PATIENCE)
    process.send_signal(number)
    assert process.stderr is not None
    assert "Stopping" in process.stderr.readline()
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=GRACE / 2)  # a first signal alone waits longer

    if number == signal.SIGINT:
        report = json.loads(stdout)
        assert process.returncode == 130
        assert report["reasons"]["unknown_outcome"] >= 1
        assert report["selected"] == 20
    else:
        assert process.returncode == -signal.SIGTERM  # which a shell calls 143
    done = applied("--output", "json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["done"] == 20
    assert json.loads(done.stdout)["reasons"]["inferred"] >= 1
    assert sorted(studio.account().books.deleted) == sorted(ids)


def test_a_signal_while_planning(studio: Emulator, start: Start, plan_file: Path) -> None:
    """
    The command ends at once, with no plan.
    """
    studio.inject(Fault(operation="fine_tunes.list", delay=float("inf"), times=None))
    process = start("cleanup", "plan", "-o", str(plan_file))
    studio.journal.first(lambda request: True).result(PATIENCE)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=PATIENCE)

    assert (process.returncode, stdout, stderr) == (143, "", "")
    assert not plan_file.exists()


def test_a_reader_that_leaves(
    studio: Emulator,
    planned: Callable[..., Plan],
    environment: dict[str, str],
    plan_file: Path,
) -> None:
    """
    Nothing new begins for somebody who has stopped reading, and stderr says how far it got.
    """
    studio.seed(jobs=60, statuses=["FAILED"])
    planned()
    studio.inject(Fault(operation=DELETE, delay=0.1, times=None))
    script = 'set -o pipefail; "$@" | head -n 1'
    done = subprocess.run(
        ["bash", "-c", script, "bash", *COMMAND, *agreed(plan_file), "--output", "jsonl"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    deleted = len(studio.account().books.deleted)

    assert done.returncode == 141
    assert 1 <= deleted < 60
    assert done.stderr.startswith(f"{deleted} deleted, {60 - deleted} not attempted.\n")


def test_a_report_that_nobody_reads(
    studio: Emulator,
    planned: Callable[..., Plan],
    environment: dict[str, str],
    plan_file: Path,
) -> None:
    """
    All is done and summed up on stderr, and the exit code says that nobody saw the rest.
    """
    studio.seed(jobs=3, statuses=["FAILED"])
    planned()
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, *agreed(plan_file)],
        env=environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, "3 deleted.\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
@pytest.mark.parametrize("form", ["table", "json"])
def test_a_report_that_does_not_fit(
    studio: Emulator,
    planned: Callable[..., Plan],
    environment: dict[str, str],
    plan_file: Path,
    form: str,
) -> None:
    """
    All is done and summed up on stderr, beside the reason why the rest is missing.
    """
    studio.seed(jobs=3, statuses=["FAILED"])
    planned()
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *agreed(plan_file), "--output", form],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == "3 deleted.\nError: Cannot write to stdout: no space left on device.\n"


def test_a_digest_in_capitals(
    studio: Emulator, planned: Callable[..., Plan], run: Run, plan_file: Path
) -> None:
    """
    A digest in capitals is the same number, and names the same plan.
    """
    studio.seed(jobs=3, statuses=["FAILED"])
    digest = planned().digest.upper()

    done = run("cleanup", "apply", str(plan_file), "--yes", "--digest", digest, *UNBOUNDED)

    assert (done.returncode, done.stderr) == (0, "3 deleted.\n")
