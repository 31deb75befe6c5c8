from __future__ import annotations

from datetime import UTC, datetime, timedelta

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


def test_statuses_with_commas_between_them(studio: Emulator, run: Run) -> None:
    """
    Several statuses may stand in one word.
    """
    for status in ("FAILED", "CANCELED", "SUCCEEDED"):
        studio.seed(jobs=2, statuses=[status])
    done = run("jobs", "list", "--status", "failed, CANCELED", "-o", "jsonl")

    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 4, "")


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "list", "--model", "a", "--model", "b"],
        ["jobs", "list", "-o", "csv", "--output", "csv"],
        ["--region", "cn", "--region", "intl", "jobs", "list"],
        ["cleanup", "plan", "--older-than", "30d", "--older-than", "3d"],
    ],
)
def test_an_option_that_is_given_twice(studio: Emulator, run: Run, words: list[str]) -> None:
    """
    Where one value would be lost, neither is used.
    """
    done = run(*words)

    assert (done.returncode, done.stdout, len(studio.journal)) == (2, "", 0)
    assert "It is given more than once, and takes one value." in done.stderr


def test_options_that_may_be_given_twice(studio: Emulator, run: Run) -> None:
    """
    Those that take several values, and those without any, may stand more than once.
    """
    [job_id] = studio.seed(jobs=1, statuses=["FAILED"])
    listed = run("jobs", "list", "--status", "FAILED", "--status", "CANCELED", "-o", "ids")
    deleted = run("jobs", "delete", job_id, "--yes", "--yes")

    assert (listed.returncode, listed.stdout) == (0, f"{job_id}\n")
    assert deleted.returncode == 0


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


def test_the_newest_jobs_by_a_rule(studio: Emulator, run: Run) -> None:
    """
    With a rule, a limit counts the jobs that match, on as many pages as it takes.
    """
    ids = studio.seed(jobs=250)
    done = run("jobs", "list", "--creator", "*", "--limit", "150", "-o", "ids")

    assert done.stdout.split() == ids[:-151:-1]


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--name", "trial-*"], [0, 1]),
        (["--name", "trial-1", "--name", "prod"], [1, 2]),
        (["--name", "trial-*", "--status", "failed"], [1]),
        (["--creator", "13*"], [0, 2]),
        (["--older-than", "30d"], [2]),
        (["--newer-than", "30d"], [0, 1]),
        (["--older-than", "1h", "--newer-than", "2026-01-01", "--name", "t*"], [0, 1]),
        (["--name", "*", "--limit", "2"], [0, 1]),
        (["--older-than", "12h", "--limit", "1"], [0]),
    ],
)
def test_a_listing_by_rules(
    studio: Emulator, run: Run, options: list[str], chosen: list[int]
) -> None:
    """
    Names, creators and ages choose jobs as they do in a clean-up, whatever the jobs' status.
    """
    ids = sorted(studio.seed(jobs=3), reverse=True)
    now = datetime.now(UTC)
    told = [
        ("trial-0", "THAWING", "1396", 1),
        ("trial-1", "FAILED", "2000", 10),
        ("prod", "SUCCEEDED", "1396", 40),
    ]
    for job_id, (name, status, creator, days) in zip(ids, told, strict=True):
        studio.account().jobs[job_id].update(
            job_name=name,
            status=status,
            creator=creator,
            create_time=(now - timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S"),
        )
    done = run("jobs", "list", *options, "-o", "ids")

    assert (done.returncode, sorted(done.stdout.split())) == (0, sorted(ids[n] for n in chosen))


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        (["--name", "trial-*"], [0, 1]),
        (["--name", "trial-1", "--name", "prod"], [1, 2]),
        (["--name", "trial-*", "--status", "failed"], [1]),
        (["--older-than", "30d"], [2]),
        (["--newer-than", "30d"], [0, 1]),
        (["--older-than", "1h", "--newer-than", "2026-01-01", "--name", "t*"], [0, 1]),
        (["--older-than", "12h", "--limit", "1"], [0]),
    ],
)
def test_a_listing_of_imports_by_rules(
    studio: Emulator, run: Run, options: list[str], chosen: list[int]
) -> None:
    """
    Display names and ages choose imports too, whatever their status.
    """
    studio.seed(imports=3)
    ids = list(studio.account().imports)
    now = datetime.now(UTC)
    told = [("trial-0", "THAWING", 1), ("trial-1", "FAILED", 10), ("prod", "SUCCESSED", 40)]
    for job_id, (name, status, days) in zip(ids, told, strict=True):
        studio.account().imports[job_id].update(
            display_name=name,
            status=status,
            gmt_create=(now - timedelta(days=days)).isoformat(timespec="milliseconds"),
        )
    done = run("imports", "list", *options, "-o", "ids")

    assert (done.returncode, sorted(done.stdout.split())) == (0, sorted(ids[n] for n in chosen))


def test_a_job_of_which_a_rule_cannot_be_evaluated(studio: Emulator, run: Run) -> None:
    """
    It is not listed by that rule, and by another one it is.
    """
    [job_id] = studio.seed(jobs=1)
    job = studio.account().jobs[job_id]
    job.update(job_name="trial", end_time="soon")
    job.pop("creator", None)

    assert run("jobs", "list", "--name", "trial", "-o", "ids").stdout == f"{job_id}\n"
    assert run("jobs", "list", "--creator", "*", "-o", "ids").stdout == ""


@pytest.mark.parametrize("options", [["--older-than", "6m"], ["--older-than", ""], ["--name", ""]])
def test_a_rule_that_nobody_can_mean(studio: Emulator, run: Run, options: list[str]) -> None:
    """
    It is refused before anything is listed.
    """
    done = run("jobs", "list", *options)

    assert (done.returncode, done.stdout, len(studio.journal)) == (2, "", 0)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["jobs", "list", "--model", "none"], "No fine-tuning job in region intl ({}) matches.\n"),
        (["jobs", "list", "--name", "none"], "No fine-tuning job in region intl ({}) matches.\n"),
        (["imports", "list", "--status", "FAILED"], "No import job in region intl ({}) matches.\n"),
        (["imports", "list"], "0 import jobs.\n"),
    ],
)
def test_nothing_that_matches(studio: Emulator, run: Run, command: list[str], words: str) -> None:
    """
    It is told from an empty account, with the place that was looked at.
    """
    studio.seed(jobs=3)
    done = run(*command)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == words.format(f"127.0.0.1:{studio.port}")


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
    assert unconfirmed.returncode == 3
    assert unconfirmed.stderr.endswith(
        "? stdin is taken by the ids, so this cannot ask; give --yes. Nothing was sent.\n"
    )
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


@pytest.mark.parametrize(("noun", "option"), [("jobs", "--model"), ("imports", "--model-name")])
def test_a_pattern_for_a_model(run: Run, studio: Emulator, noun: str, option: str) -> None:
    """
    A listing takes whole names, unlike a clean-up; whoever gives a pattern is told.
    """
    studio.seed(jobs=2, imports=2, models=["qwen3-8b"])

    pattern = run(noun, "list", option, "qwen3-*")
    name = run(noun, "list", option, "qwen3-8b")

    assert pattern.stderr.startswith(f"Note: {option} takes a whole name here; --name ")
    assert "Note" not in name.stderr
