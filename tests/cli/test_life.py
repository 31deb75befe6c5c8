from __future__ import annotations

import csv
import json
import math
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dashscope_ft.emulator import Emulator, Fault, Pace
from dashscope_ft.emulator.journal import Request

from .conftest import COMMAND, PATIENCE, Run, Terminal

pytestmark = pytest.mark.once

CREATE = ("jobs", "create", "--model", "qwen3-8b", "--training-file", "file-1")
IMPORT = (
    *("imports", "create", "--model-name", "qwen3-8b", "--weight-type", "lora"),
    *("--bucket", "weights", "--folder", "mine/"),
)
EXPORT = ("jobs", "export", "ft-1", "checkpoint-20", "--model-name", "mine")
SOON = ("--poll-interval", "0.05")


@pytest.fixture
def fast(studio: Emulator) -> Emulator:
    """
    An emulator whose jobs live for half a second.
    """
    studio.account().pace = Pace(
        pending=0.1, queuing=0.1, running=0.3, exporting=0.1, import_pending=0.1, import_running=0.1
    )
    return studio


def test_creating_prints_the_id_alone(run: Run, studio: Emulator) -> None:
    """
    `jobs create` writes the new id to stdout, nothing else, and does not wait.
    """
    done = run(*CREATE, "-p", "n_epochs=3", "-p", "learning_rate=1.6e-5", "-p", "mode=fast")

    [(job_id, job)] = studio.account().jobs.items()
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{job_id}\n", "")
    assert job["hyper_parameters"] == {"n_epochs": 3, "learning_rate": 1.6e-05, "mode": "fast"}
    assert len(studio.journal) == 1


def _closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _full_disk() -> int:
    return os.open("/dev/full", os.O_WRONLY)


@pytest.mark.parametrize(
    ("create", "opened", "code", "end"),
    [
        (CREATE, _closed_pipe, 141, ""),
        pytest.param(
            *(IMPORT, _full_disk, 1, "Error: Cannot write to stdout: no space left on device.\n"),
            marks=pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a full disk"),
        ),
    ],
)
def test_an_id_that_cannot_be_written(
    environment: dict[str, str],
    studio: Emulator,
    create: tuple[str, ...],
    opened: Callable[[], int],
    code: int,
    end: str,
) -> None:
    """
    Where stdout does not take the id of a job that exists, stderr names it.
    """
    stdout = opened()
    done = subprocess.run(
        [*COMMAND, *create],
        env=environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    os.close(stdout)

    [job_id] = studio.account().jobs or studio.account().imports
    assert (done.returncode, done.stderr) == (code, f"Created {job_id}.\n{end}")


@pytest.mark.parametrize(("create", "noun"), [(CREATE, "jobs"), (IMPORT, "imports")])
def test_creating_for_a_spreadsheet(
    run: Run, studio: Emulator, create: tuple[str, ...], noun: str
) -> None:
    """
    In CSV the new job is a header and a row, as `show` writes them.
    """
    done = run(*create, "-o", "csv")

    [job_id] = studio.account().jobs or studio.account().imports
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run(noun, "show", job_id, "-o", "csv").stdout
    assert done.stdout.count("\n") == 2


def test_creating_from_a_file(run: Run, studio: Emulator, tmp_path: Path) -> None:
    """
    A TOML file holds the API's own fields; options win, and what is newer goes below `extra`.
    """
    file = tmp_path / "job.toml"
    file.write_text(
        """
        model = "qwen3-8b"
        training_file_ids = ["file-1", "file-2"]
        job_name = "spring"
        [hyper_parameters]
        n_epochs = 3
        learning_rate = "1.6e-5"
        [extra]
        newer = true
        """
    )

    done = run("jobs", "create", "--from", str(file), "--job-name", "autumn", "-p", "n_epochs=4")

    [request] = studio.journal
    assert done.returncode == 0
    assert request.body == {
        "model": "qwen3-8b",
        "training_file_ids": ["file-1", "file-2"],
        "job_name": "autumn",
        "hyper_parameters": {"n_epochs": 4, "learning_rate": "1.6e-5"},
        "newer": True,
    }


@pytest.mark.parametrize(
    "text",
    [
        'model = "qwen3-8b"\ntraining_file_ids = ["f"]\ntrainning_type = "sft"',
        'model = "qwen3-8b"\ntraining_file_ids = ["f"]\nwait_for_capacity = 3',
        'model = "qwen3-8b"',
        'training_file_ids = ["f"]',
        "model =",
        "model = 1979-05-27",
    ],
)
def test_a_file_that_will_not_do(run: Run, studio: Emulator, tmp_path: Path, text: str) -> None:
    """
    A field that is misspelt or missing is an error in usage, and nothing is billed.
    """
    file = tmp_path / "job.toml"
    file.write_text(text)

    done = run("jobs", "create", "--from", str(file))

    assert done.returncode == 2
    assert "Error: " in done.stderr
    assert done.stdout == ""
    assert len(studio.journal) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("jobs create", "Missing: --model."),
        (
            "jobs create --model m",
            "Give --training-file or training_datasets in a file (--from).",
        ),
        (
            "jobs create --model m --training-file f --suffix model_name",
            "--suffix is 'model_name'; it must have at most 8 characters.",
        ),
        ("jobs create --model m -p n_epochs", "'n_epochs' is not NAME=VALUE."),
        (
            "jobs create --model m -p n_epochs=1 -p n_epochs=2",
            "--hyper-parameter n_epochs is given more than once.",
        ),
        ("jobs create --model m -p n_epochs=", "'n_epochs=' is not NAME=VALUE."),
        ("imports create", "Missing: --model-name, --weight-type, --bucket, --folder."),
        (
            "imports create --model-name m --weight-type lora --bucket b --folder x",
            "--folder is 'x'; it must be a folder, ending in '/', and not the bucket's root.",
        ),
        (
            "imports create --model-name m --weight-type new --bucket b --folder x/",
            "--weight-type is 'new'; it must be 'full' or 'lora'.",
        ),
    ],
)
def test_a_mistake_in_an_option(run: Run, studio: Emulator, arguments: str, words: str) -> None:
    """
    What is wrong or missing is called as it is on the command line, and what was typed stays.
    """
    done = run(*arguments.split())

    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"Error: {words}\n")
    assert len(studio.journal) == 0


def test_a_mistake_in_a_file(run: Run, tmp_path: Path) -> None:
    """
    What is wrong in a file is called as it is in the file, unless an option took its place.
    """
    file = tmp_path / "job.toml"
    file.write_text('model = "m"\ntraining_file_ids = ["f"]\nfinetuned_output_suffix = "x23456789"')

    written = run("jobs", "create", "--from", str(file))
    typed = run("jobs", "create", "--from", str(file), "--suffix", "y23456789")

    assert written.stderr.startswith(f"Error: {file}: finetuned_output_suffix is 'x23456789'; ")
    assert typed.stderr.startswith("Error: --suffix is 'y23456789'; ")


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("job_name = 2024", "job_name must be a string, not 2024."),
        ("training_file_ids = 5", "training_file_ids must be a list of ids, not 5."),
        ("extra = 5", "extra must hold names and their values, not 5."),
        ("model = 5", "model must be a string, not 5."),
    ],
)
def test_a_field_of_another_type(run: Run, tmp_path: Path, field: str, words: str) -> None:
    """
    A value in a file that is of another type is an error in usage, which says what it must be.
    """
    file = tmp_path / "job.toml"
    file.write_text(field if field.startswith("model") else f'model = "m"\n{field}')
    ids = [] if "ids" in field else ["--training-file", "file-1"]

    done = run("jobs", "create", "--from", str(file), *ids)

    assert done == (2, "", f"Error: {file}: {words}\n")


@pytest.mark.parametrize(
    ("create", "operation", "noun"),
    [(CREATE, "fine_tunes", "jobs"), (IMPORT, "imports", "imports")],
)
def test_a_creation_whose_answer_is_lost(
    run: Run, studio: Emulator, create: tuple[str, ...], operation: str, noun: str
) -> None:
    """
    One request, exit code 1, and below the error the job that it may have made, with the command
    that shows it.
    """
    studio.inject(Fault(operation=f"{operation}.create", lose="after"))

    done = run(*create, "--base-url", studio.base_url("intl"))

    [job_id] = studio.account().jobs or studio.account().imports
    error, candidate = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: .* before creating it again, look for .*\.", error)
    assert "reconcile_create" not in error
    assert candidate == (
        f"It may be {job_id} (PENDING): dashscope-ft {noun} show {job_id}"
        f" --base-url {studio.base_url('intl')}"
    )
    assert len(studio.journal.of(f"{operation}.create")) == 1


@pytest.mark.parametrize(
    ("command", "operation", "words"),
    [
        (CREATE, "fine_tunes.create", "exist and be billed.*`dashscope-ft jobs list`"),
        (IMPORT, "imports.create", "exist and be billed.*`dashscope-ft imports list`"),
        (EXPORT, "fine_tunes.export", "been asked for.*`dashscope-ft jobs checkpoints ft-1`"),
        (
            (*EXPORT, "--wait"),
            "fine_tunes.checkpoints",
            "The export goes on by itself: `dashscope-ft jobs checkpoints ft-1` shows how it is.",
        ),
    ],
)
def test_leaving_before_the_answer(
    start: Callable[..., subprocess.Popen[str]],
    studio: Emulator,
    command: tuple[str, ...],
    operation: str,
    words: str,
) -> None:
    """
    Who leaves while the answer is awaited hears what may have been done, and where to see it.
    """
    if operation == "fine_tunes.checkpoints":
        agreed = {"request_id": "r", "output": True}
        studio.inject(Fault(operation="fine_tunes.export", status=200, body=agreed))
    studio.inject(Fault(operation=operation, delay=math.inf))

    process = start(*command)
    studio.journal.first(lambda request: request.operation == operation).result(PATIENCE)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=PATIENCE)

    assert (process.returncode, stdout) == (143, "")
    assert re.search(words, stderr)
    assert stderr.count("\n") == 1


def test_leaving_the_search_for_a_lost_creation(
    start: Callable[..., subprocess.Popen[str]], studio: Emulator
) -> None:
    """
    Who does not wait for the candidates hears all the same that a job may exist.
    """
    studio.inject(Fault(operation="fine_tunes.create", lose="after"))
    studio.inject(Fault(operation="fine_tunes.list", delay=math.inf))

    process = start(*CREATE)
    studio.journal.first(lambda request: request.operation == "fine_tunes.list").result(PATIENCE)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=PATIENCE)

    assert (process.returncode, stdout) == (130, "")
    assert re.fullmatch("Error: Creating a fine-tuning job.*It may exist and be billed.*\n", stderr)


@pytest.mark.parametrize("listing", [True, False])
def test_a_lost_creation_of_which_nothing_is_seen(
    run: Run, studio: Emulator, listing: bool
) -> None:
    """
    That no such job is listed is said only where the listing could be read.
    """
    studio.inject(Fault(operation="fine_tunes.create", lose="before"))
    if not listing:
        denied = {"code": "AccessDenied", "message": "No.", "request_id": "r"}
        studio.inject(Fault(operation="fine_tunes.list", status=403, body=denied, times=None))

    done = run(*CREATE)

    assert (done.returncode, done.stdout) == (1, "")
    assert ("No such job is listed so far.\n" in done.stderr) is listing
    assert done.stderr.splitlines()[0].startswith("Error: ")
    assert "AccessDenied" not in done.stderr


def test_creating_and_waiting(run: Run, fast: Emulator) -> None:
    """
    With `--wait` the id comes at once, and the exit code is the job's.
    """
    good = run(*CREATE, "--wait", *SOON)
    fast.account().rules.failure_rate = 1.0
    bad = run(*CREATE, "--wait", *SOON)

    assert (good.returncode, good.stderr) == (0, "")
    assert bad.returncode == 1
    assert "Training diverged." in bad.stderr
    assert [each.strip() for each in (good.stdout, bad.stdout)] == fast.account().books.created


@pytest.mark.parametrize(
    ("quota", "why"),
    [
        ("running_quota", "No job is running: waiting does not help; delete some stored jobs."),
        ("job_quota", "This is a quota on stored jobs: waiting does not help; delete some."),
    ],
)
def test_creating_when_there_is_room(run: Run, fast: Emulator, quota: str, why: str) -> None:
    """
    Where no running job stands in the way, a creation fails at once, and no wait is suggested.
    """
    setattr(fast.account().rules, quota, 0)

    done = run(*CREATE, "--wait-for-capacity", "60")

    assert done.returncode == 1
    assert done.stderr.endswith(f" {why}\n")


@pytest.mark.parametrize("in_file", [True, False])
def test_a_training_type_that_is_not_known(
    run: Run, studio: Emulator, tmp_path: Path, in_file: bool
) -> None:
    """
    It is sent all the same, after a note: the service may have learnt it since.
    """
    file = tmp_path / "job.toml"
    file.write_text('training_type = "grpo"\n' if in_file else "")
    options = [] if in_file else ["--training-type", "grpo"]

    done = run(*CREATE, "--from", str(file), *options)
    [request] = studio.journal
    known = run(*CREATE, "--training-type", "dpo_lora")

    assert done.stderr == (
        "Note: grpo is not a known training type; it is sent all the same."
        " Known: sft, efficient_sft, cpt, dpo_full, dpo_lora.\n"
    )
    assert request.method == "POST"
    assert known.stderr == ""


def test_waiting_for_several(run: Run, fast: Emulator) -> None:
    """
    `jobs wait` writes how each ended; one failure of several is exit code 5, of one 1.
    """
    [failed] = fast.seed(jobs=1, statuses=["FAILED"])
    job_id = fast.account().create_job({"model": "m", "training_file_ids": ["f"]})["job_id"]

    several = run("jobs", "wait", job_id, failed, *SOON)
    one = run("jobs", "wait", failed)
    good = run("jobs", "wait", job_id, "-o", "jsonl")

    assert several.returncode == 5
    assert several.stdout == f"{job_id}  SUCCEEDED\n{failed}  FAILED\n"
    assert f"{failed} ended as FAILED" in several.stderr
    assert one.returncode == 1
    assert (good.returncode, json.loads(good.stdout)["job_id"]) == (0, job_id)


@pytest.mark.parametrize(("there", "missing", "code"), [(2, 1, 5), (0, 2, 5), (0, 1, 1)], ids=str)
@pytest.mark.parametrize("noun", ["jobs", "imports"])
def test_waiting_for_jobs_that_are_not_there(
    run: Run, studio: Emulator, noun: str, there: int, missing: int, code: int
) -> None:
    """
    Jobs that are not there are named as soon as they are missed, and again at the end, where the
    others are written.
    """
    studio.seed(jobs=there, imports=there, statuses=["SUCCEEDED"], import_statuses=["SUCCESSED"])
    ids = list(studio.account().jobs if noun == "jobs" else studio.account().imports)
    absent = [f"no-{number}" for number in range(missing)]

    done = run(noun, "wait", *ids, *absent, "-o", "json", *SOON)

    assert done.returncode == code
    assert {job["job_id"] for job in json.loads(done.stdout or "[]")} == set(ids)
    for job_id in absent:
        assert f"{job_id} is not there: Not Found!\n" in done.stderr
        word = "fine-tuning" if noun == "jobs" else "import"
        assert f"Error: There is no {word} job {job_id} in region intl (" in done.stderr


def test_waiting_through_a_gateway_that_knows_no_jobs(run: Run, studio: Emulator) -> None:
    """
    Its 404 says nothing of any job, and none is told to have ended.
    """
    ids = studio.seed(jobs=2, statuses=["RUNNING"])
    studio.inject(Fault(method="GET", status=404, body="<html>"))

    done = run("jobs", "wait", *ids, *SOON)

    assert (done.returncode, done.stdout) == (1, "")
    assert "not the service's own answer" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "again"), [(CREATE, "jobs wait"), (IMPORT, "imports wait")], ids=["jobs", "imports"]
)
def test_leaving_a_creation_that_is_waited_for(
    terminal: Callable[..., Terminal], studio: Emulator, command: tuple[str, ...], again: str
) -> None:
    """
    Who leaves is told the command that goes on instead of creating it again, on a line of its own
    that can be copied from the narrowest terminal.
    """
    place = studio.base_url("intl")

    wait = terminal(*command, "--wait", "--base-url", place, *SOON, width=40)
    wait.read_until("PENDING")
    wait.type("\x03")

    assert wait.finish() == 130
    [job_id] = studio.account().books.created
    told = wait.words[wait.words.index("The job goes on") :]
    assert told.splitlines() == [
        "The job goes on by itself.",
        "Rather than create it again, go on with",
        f"dashscope-ft {again} {job_id} --base-url {place}",
    ]


@pytest.mark.parametrize(
    ("jobs", "state", "end"),
    [
        (1, "RUNNING 0:00", "The job goes on by itself.\n"),
        (3, "RUNNING 2, PENDING 1 of 3 0:00", "The jobs go on by themselves.\n"),
    ],
)
def test_leaving_a_wait(
    terminal: Callable[..., Terminal], studio: Emulator, jobs: int, state: str, end: str
) -> None:
    """
    A terminal shows all the while how things stand, and nothing of it stays.
    """
    ids = studio.seed(jobs=jobs, statuses=["RUNNING"])
    if jobs > 1:
        studio.account().set_status(ids[0], "PENDING")

    wait = terminal("jobs", "wait", *ids, *SOON, PYTHONIOENCODING="ascii")
    wait.read_until(state)
    wait.type("\x03")

    assert wait.finish() == 130
    assert wait.text.endswith("\x1b[2K" + end)


@pytest.mark.parametrize(
    "command", ["jobs wait {}", "jobs watch {}", "jobs logs {} --follow", "imports wait {}"]
)
def test_waiting_for_a_service_that_is_away(run: Run, studio: Emulator, command: str) -> None:
    """
    Why nothing can be seen is said at the first failed look, and again only for another reason.
    """
    if "imports" in command:
        [job_id] = studio.seed(imports=1, import_statuses=["SUCCESSED"])
    else:
        [job_id] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    for body in ("Busy.", {"request_id": "r", "output": "away"}):
        studio.inject(Fault(operation="*.get", status=200, body=body, times=3))

    done = run(*command.format(job_id).split(), *SOON)

    lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert len([each for each in studio.journal if each.operation.endswith(".get")]) > 2
    assert [line.startswith("Cannot be looked at for now: ") for line in lines] == [True, True]
    assert len(set(lines)) == 2


def test_watching_a_service_that_is_away(
    terminal: Callable[..., Terminal], studio: Emulator, tmp_path: Path
) -> None:
    """
    On a terminal the words stand above the picture, which goes on below them; and on stderr
    where that is elsewhere.
    """
    [job_id] = studio.seed(jobs=1, statuses=["RUNNING"])
    told = tmp_path / "stderr"

    watch = terminal("jobs", "watch", job_id, *SOON)
    watch.read_until("RUNNING")
    studio.inject(Fault(operation="*.get", status=200, body="Busy.", times=3))
    watch.read_until("Cannot be looked at for now: ")
    studio.account().set_status(job_id, "SUCCEEDED")
    code = watch.finish()

    assert code == 0
    assert watch.words.count("Cannot be looked at for now: ") == 1
    assert "SUCCEEDED" in watch.words.partition("Cannot be looked at for now: ")[2]

    studio.inject(Fault(operation="*.get", status=200, body="Busy.", times=2))
    with told.open("w") as stderr:
        apart = terminal("jobs", "watch", job_id, *SOON, stderr=stderr)
        apart.finish()
    assert "Cannot be looked at for now: " not in apart.words
    assert told.read_text().startswith("Cannot be looked at for now: ")


def test_a_wait_that_is_out_of_time(run: Run, studio: Emulator) -> None:
    """
    A deadline is exit code 75: the same command can be run again.
    """
    [job_id] = studio.seed(jobs=1, statuses=["RUNNING"])

    done = run("jobs", "wait", job_id, "--deadline", "0.3", *SOON)

    assert done.returncode == 75
    assert "RUNNING" in done.stderr


@pytest.mark.parametrize(
    ("command", "goes_on"),
    [
        (CREATE, "jobs wait {}"),
        (IMPORT, "imports wait {}"),
        (EXPORT, "jobs checkpoints ft-1"),
    ],
)
def test_a_creation_that_is_not_over_in_time(
    run: Run, studio: Emulator, command: tuple[str, ...], goes_on: str
) -> None:
    """
    What exists must not be created again: exit code 1, and the command that goes on with it.
    """
    exporting = {"checkpoint": "checkpoint-20", "status": "PROCESSING"}
    for operation, output in (("export", True), ("checkpoints", [exporting])):
        answer = {"request_id": "r", "output": output}
        studio.inject(Fault(operation=f"fine_tunes.{operation}", status=200, body=answer))

    done = run(*command, "--wait", "--deadline", "0.1", "--poll-interval", "9")

    assert done.returncode == 1
    assert f"Go on with `dashscope-ft {goes_on.format(done.stdout.strip())}`.\n" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "wait for it again" not in done.stderr


def test_going_on_with_a_creation(run: Run, studio: Emulator) -> None:
    """
    The command can be pasted: it asks the place that was named in the other one.
    """
    place = ["--region", "intl", "--workspace", "ws-1", "--base-url", studio.base_url("intl")]
    elsewhere = {"DASHSCOPE_BASE_URL": studio.base_url("cn")}
    late = ("--wait", "--deadline", "0.1", "--poll-interval", "9")

    told = run(*place, *CREATE, *late, **elsewhere).stderr
    [job_id] = studio.account().jobs
    studio.account().set_status(job_id, "SUCCEEDED")
    [(_, *pasted)] = map(shlex.split, re.findall("`(.*)`", told))
    done = run(*pasted, **elsewhere)

    assert pasted == ["jobs", "wait", job_id, *place]
    assert done == (0, f"{job_id}  SUCCEEDED\n", "")


def test_going_on_with_an_export(run: Run, studio: Emulator) -> None:
    """
    The command that shows what became of an export asks the place that was named in the other one.
    """
    [job_id] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    [name, *_] = [each["checkpoint"] for each in studio.account().list_checkpoints(job_id)]
    place = ["--region", "intl", "--base-url", studio.base_url("intl")]
    elsewhere = {"DASHSCOPE_BASE_URL": studio.base_url("cn")}
    export = ("jobs", "export", job_id, name, "--model-name", "mine", "--wait", "--deadline", "0.1")

    told = run(*place, *export, "--poll-interval", "9", **elsewhere).stderr
    [(_, *pasted)] = map(shlex.split, re.findall("`(.*)`", told))
    done = run(*pasted, **elsewhere)

    assert pasted == ["jobs", "checkpoints", job_id, *place]
    assert (done.returncode, name in done.stdout) == (0, True)


@pytest.mark.parametrize("command", [CREATE, IMPORT, EXPORT])
@pytest.mark.parametrize("option", ["--deadline", "--poll-interval"])
def test_a_wait_without_end(
    run: Run, studio: Emulator, command: tuple[str, ...], option: str
) -> None:
    """
    What cannot be waited for as asked is not created: an error in usage sends nothing.
    """
    done = run(*command, "--wait", option, "inf")

    words = f"Error: {option} must be a finite number of seconds above 0, not inf.\n"
    assert done == (2, "", words)
    assert len(studio.journal) == 0


def test_a_log_on_stdout(run: Run, studio: Emulator) -> None:
    """
    Every line once, and nothing in one can steer a terminal.
    """
    [job_id] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    lines = [f"line {number}" for number in range(1500)]
    studio.account().set_log(job_id, [*lines, "\x1b[2Jred", "=1+1"])

    table, jsonl = run("jobs", "logs", job_id), run("jobs", "logs", job_id, "-o", "jsonl")
    csv, array = run("jobs", "logs", job_id, "-o", "csv"), run("jobs", "logs", job_id, "-o", "json")

    assert table.stdout.splitlines() == [*lines, "\\x1b[2Jred", "=1+1"]
    assert json.loads(jsonl.stdout.splitlines()[1500]) == {"line": 1500, "text": "\x1b[2Jred"}
    assert csv.stdout.splitlines()[-1] == "1501,'=1+1"
    assert json.loads(array.stdout) == [*lines, "\x1b[2Jred", "=1+1"]


def test_following_a_log(run: Run, fast: Emulator) -> None:
    """
    `--follow` ends with the job, after its last line.
    """
    job_id = run(*CREATE).stdout.strip()

    done = run("jobs", "logs", job_id, "--follow", *SOON)

    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "##FT_COMPLETE##"
    assert len(done.stdout.splitlines()) == fast.account().read_log(job_id)["total"]


def ends_at(studio: Emulator, job_id: str, operation: str, count: int = 1) -> None:
    """
    Let a job succeed as soon as so many requests of a kind have come.
    """
    left = count

    def seen(request: Request) -> bool:
        nonlocal left
        left -= request.operation == operation
        if left == 0:
            studio.account().set_status(job_id, "SUCCEEDED")
        return left <= 0

    studio.journal.first(seen)


def test_watching_on_a_pipe(run: Run, studio: Emulator) -> None:
    """
    Off a terminal, a watch is a line for whatever is new.
    """
    [job_id] = studio.seed(jobs=1, statuses=["RUNNING"])
    studio.account().set_log(job_id, ["{'loss': 0.5, 'epoch': 3.0}"])
    studio.account().jobs[job_id]["hyper_parameters"] = {"n_epochs": 3}
    ends_at(studio, job_id, "fine_tunes.logs")

    done = run("jobs", "watch", job_id, *SOON)
    again = run("jobs", "watch", job_id, "-o", "jsonl")

    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert lines[-1].startswith("SUCCEEDED  100%, epoch 3 of 3  loss ")
    assert len(lines) == len(set(lines)) > 1
    assert "\x1b" not in done.stdout
    assert json.loads(again.stdout)["figures"]["epoch"] == 3.0


def test_watching_for_a_spreadsheet(run: Run, studio: Emulator) -> None:
    """
    In CSV a watch is a header and a row for whatever is new, with the figures as JSON.
    """
    [job_id] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    lines = [*["Training."] * 1000, "{'loss': 0.5, 'grad_norm': nan}"]
    studio.account().set_log(job_id, lines)

    done = run("jobs", "watch", job_id, "-o", "csv")

    assert (done.returncode, done.stderr) == (0, "")
    assert list(csv.reader(done.stdout.splitlines())) == [
        ["job_id", "status", "fraction", "lines", "figures"],
        [job_id, "SUCCEEDED", "1.0", "1000", "{}"],
        [job_id, "SUCCEEDED", "1.0", "1001", '{"loss": 0.5, "grad_norm": "nan"}'],
    ]


@pytest.mark.parametrize(("form", "lines"), [("table", 2), ("jsonl", 2), ("csv", 3)])
def test_watching_a_job_that_stands_still(
    run: Run, studio: Emulator, form: str, lines: int
) -> None:
    """
    Off a terminal, a look that shows nothing new has no line.
    """
    [job_id] = studio.seed(jobs=1, statuses=["QUEUING"])
    studio.account().set_log(job_id, [])
    ends_at(studio, job_id, "fine_tunes.get", 4)

    done = run("jobs", "watch", job_id, "-o", form, *SOON)

    assert done.returncode == 0
    assert done.stdout.count("\n") == lines
    assert len(studio.journal.of("fine_tunes.get")) >= 4


def test_watching_on_a_terminal(terminal: Callable[..., Terminal], studio: Emulator) -> None:
    """
    On a terminal, a watch is a picture: status, progress, figures and the curve of the loss.
    """
    [job_id] = studio.seed(jobs=1, statuses=["RUNNING"])
    account = studio.account()
    records = [f"{{'loss': {3 - n / 50}, 'epoch': {n / 50}}}" for n in range(100)]
    account.set_log(job_id, [*records, "{'\x1b[2J': 7.0}"])
    account.jobs[job_id]["hyper_parameters"] = {"n_epochs": 4}
    account.set_status(job_id, "RUNNING")

    watch = terminal("jobs", "watch", job_id, *SOON, PYTHONIOENCODING="utf-8")
    watch.read_until("RUNNING")
    watch.read_until("50%, epoch 1.98 of 4")
    watch.read_until("1.02")
    account.set_status(job_id, "SUCCEEDED")
    code = watch.finish()

    assert code == 0
    assert "loss 1.02" in watch.words
    assert "\\x1b[2J 7" in watch.words
    assert "\x1b[2J" not in watch.text
    assert any("\u2800" < character <= "\u28ff" for character in watch.words)
    assert "100%" in watch.words


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_leaving_a_watch(
    terminal: Callable[..., Terminal], studio: Emulator, encoding: str
) -> None:
    """
    No line of the picture is so long that Ctrl-C would push it up, and the job goes on.
    """
    [job_id] = studio.seed(jobs=1, statuses=["RUNNING"], models=["qwen3-模型-" + "m" * 40])
    records = [f"{{'loss': {3 - n / 50}, 'epoch': {n / 50}}}" for n in range(100)]
    studio.account().set_log(job_id, records)
    studio.account().jobs[job_id]["hyper_parameters"] = {"n_epochs": 4}

    watch = terminal("jobs", "watch", job_id, *SOON, width=40, PYTHONIOENCODING=encoding)
    watch.read_until("1.02")
    watch.type("\x03")
    code = watch.finish()

    picture, words = watch.words.rsplit("\n", 2)[:2]
    assert (code, words) == (130, "The job goes on by itself.")
    assert "RUNNING" in picture
    assert max(map(len, re.split(r"[\r\n]+", picture.replace("^C", "")))) <= 37


def test_watching_a_job_that_has_logged_nothing(
    terminal: Callable[..., Terminal], studio: Emulator
) -> None:
    """
    What is not known yet has no line in the picture: neither a bar nor figures nor a curve.
    """
    [job_id] = studio.seed(jobs=1, statuses=["QUEUING"], models=["qwen3-8b"])

    watch = terminal("jobs", "watch", job_id, *SOON)
    watch.read_until("qwen3-8b")
    watch.type("\x03")
    code = watch.finish()

    picture, words = watch.words.rsplit("\n", 2)[:2]
    assert (code, words) == (130, "The job goes on by itself.")
    assert set(picture.replace("^C", "").split("\r")) - {""} == {f"{job_id}  QUEUING  qwen3-8b"}


def test_watching_a_job_that_fails(run: Run, studio: Emulator) -> None:
    """
    The end of a job that failed is the watch's own: exit code 1, and the job's words.
    """
    [job_id] = studio.seed(jobs=1, statuses=["FAILED"])

    done = run("jobs", "watch", job_id)

    assert done.returncode == 1
    assert f"{job_id} ended as FAILED." in done.stderr


def test_drawing_a_picture(run: Run, studio: Emulator, tmp_path: Path) -> None:
    """
    `jobs plot` writes the picture that the file's name says.
    """
    pytest.importorskip("matplotlib")
    ids = studio.seed(jobs=5, statuses=["SUCCEEDED"])

    svg = run("jobs", "plot", *ids, "-o", str(tmp_path / "loss.svg"))
    png = run("jobs", "plot", ids[0], "-o", str(tmp_path / "loss.png"))

    assert (svg.returncode, png.returncode) == (0, 0), svg.stderr + png.stderr
    assert b"<svg" in (tmp_path / "loss.svg").read_bytes()
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert "loss of 5 jobs" in svg.stderr


def test_a_picture_that_cannot_be_drawn(run: Run, studio: Emulator, tmp_path: Path) -> None:
    """
    Another kind of file, or one that cannot be made, is an error in usage, before any log is read;
    a figure that nobody logged names those that are.
    """
    pytest.importorskip("matplotlib")
    [job_id] = studio.seed(jobs=1, statuses=["SUCCEEDED"])

    kind = run("jobs", "plot", job_id, "-o", str(tmp_path / "loss.gif"))
    folder = run("jobs", "plot", job_id, "-o", str(tmp_path / "none" / "loss.svg"))
    asked = len(studio.journal)
    figure = run("jobs", "plot", job_id, "--metric", "bleu", "-o", str(tmp_path / "a.svg"))

    assert (kind.returncode, folder.returncode, asked) == (2, 2, 0)
    assert "does not exist" in folder.stderr
    assert figure.returncode == 1
    assert "eval_loss" in figure.stderr
    assert list(tmp_path.glob("*.*g*")) == []


def test_comparing_jobs(run: Run, studio: Emulator) -> None:
    """
    Hyper-parameters and final figures stand side by side, and what differs is marked.
    """
    ids = studio.seed(jobs=2, statuses=["SUCCEEDED"], models=["qwen3-8b"])
    for job_id, rate, loss in zip(ids, ("1e-5", "2e-5"), (0.5, 0.25), strict=True):
        studio.account().jobs[job_id]["hyper_parameters"] = {"n_epochs": 3, "learning_rate": rate}
        studio.account().set_log(job_id, ["{'loss': 9.0}", f"{{'loss': {loss}}}"])

    done = run("jobs", "compare", *ids)
    data = run("jobs", "compare", *ids, "-o", "json")
    csv = run("jobs", "compare", *ids, "-o", "csv")

    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ids
    assert ["n_epochs", "3", "3"] in rows
    assert ["learning_rate", "*", "1e-5", "2e-5"] in rows
    assert ["loss", "*", "0.5", "0.25"] in rows
    assert [side["figures"]["loss"] for side in json.loads(data.stdout)] == [0.5, 0.25]
    assert "figures,loss,0.5,0.25" in csv.stdout.splitlines()


def test_comparing_a_job_with_nothing(run: Run, studio: Emulator) -> None:
    """
    One job alone is shown with what it has, and nothing is said of differences.
    """
    [job_id] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    studio.account().jobs[job_id]["hyper_parameters"] = {"n_epochs": 3, "batch_size": None}

    done = run("jobs", "compare", job_id)

    rows = [line.split() for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr, rows[0]) == (0, "", [job_id])
    assert ["n_epochs", "3"] in rows
    assert "batch_size" not in done.stdout


def test_comparing_a_job_of_which_only_the_id_is_known(run: Run, studio: Emulator) -> None:
    """
    A job without any of the fields that are compared is shown as its id alone.
    """
    bare: dict[str, object] = {"output": {"job_id": "ft-1"}}
    no_log: dict[str, object] = {"output": {"logs": [], "total": 0}}
    studio.inject(
        Fault(operation="fine_tunes.get", status=200, body=bare),
        Fault(operation="fine_tunes.logs", status=200, body=no_log),
    )

    done = run("jobs", "compare", "ft-1")

    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["ft-1"], "")


@pytest.mark.parametrize(("width", "beside"), [(80, 2), (110, 3), (40, 1)])
def test_comparing_on_a_terminal(
    terminal: Callable[..., Terminal], studio: Emulator, width: int, beside: int
) -> None:
    """
    Long cells and names are cut before jobs go below one another; the ids stay whole.
    """
    ids = studio.seed(jobs=3, statuses=["SUCCEEDED"])
    for number, job_id in enumerate(ids):
        job = studio.account().jobs[job_id]
        job["training_file_ids"] = [f"976bd01a-f30b-4414-86fd-50c54486e3e{number}"]
        job["hyper_parameters"] = {"a_hyper_parameter_with_a_very_long_name": number}

    compare = terminal("jobs", "compare", *ids, width=width)
    code = compare.finish()

    lines = compare.words.splitlines()
    assert code == 0
    assert lines[0].split() == ids[:beside]
    assert [word for line in lines for word in line.split() if word in ids] == ids
    assert all(f'6e3e{number}"]' in compare.words for number in range(3))
    assert max(map(len, lines)) <= width


def test_comparing_where_an_id_has_no_room(
    terminal: Callable[..., Terminal], studio: Emulator
) -> None:
    """
    Ids that must be cut keep their ends, by which they differ.
    """
    ids = studio.seed(jobs=2, statuses=["SUCCEEDED"])

    compare = terminal("jobs", "compare", *ids, width=30)
    code = compare.finish()

    headings = [line.strip() for line in compare.words.splitlines() if line.lstrip()[:1] == "…"]
    assert code == 0
    assert headings == [f"…{job_id[-14:]}" for job_id in ids]
    assert max(map(len, compare.words.splitlines())) <= 30


def test_checkpoints_and_their_export(run: Run, fast: Emulator) -> None:
    """
    Checkpoints are listed by step; an export is asked for once, and waited for on request.
    """
    job_id = run(*CREATE, "--wait", *SOON).stdout.strip()

    table = run("jobs", "checkpoints", job_id)
    export = run(
        *("jobs", "export", job_id, "checkpoint-40", "--model-name", "mine", "--wait", *SOON)
    )
    data = run("jobs", "checkpoints", job_id, "-o", "jsonl")
    again = run("jobs", "export", job_id, "checkpoint-40", "--model-name", "mine")

    assert [line.split()[0] for line in table.stdout.splitlines()] == [
        *("CHECKPOINT", "checkpoint-20", "checkpoint-40", "checkpoint-60")
    ]
    rows = [json.loads(line) for line in data.stdout.splitlines()]
    assert (export.returncode, export.stdout.strip()) == (0, rows[1]["model_name"])
    assert [row["status"] for row in rows] == ["PENDING", "SUCCEEDED", "PENDING"]
    assert again.returncode == 1


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_an_export_that_is_not_waited_for(run: Run, studio: Emulator, form: str) -> None:
    """
    An export that is not waited for is told in every form as asked for; the model has no name yet.
    """
    [job_id] = studio.seed(jobs=1, statuses=["SUCCEEDED"])
    [name, *_] = [each["checkpoint"] for each in studio.account().list_checkpoints(job_id)]

    done = run("jobs", "export", job_id, name, "--model-name", "mine", "-o", form)

    request_id = studio.journal.of("fine_tunes.export")[0].request_id
    told = [job_id, name, "PROCESSING", None, request_id]
    names = ["job_id", "checkpoint", "status", "model_name", "request_id"]
    if form == "table":
        assert done.stdout == f"{name}  exporting\n"
    elif form == "csv":
        assert done.stdout == f"{','.join(names)}\r\n{job_id},{name},PROCESSING,,{request_id}\r\n"
    else:
        assert json.loads(done.stdout) == dict(zip(names, told, strict=True))
        assert done.stdout.count("\n") == (1 if form == "jsonl" else 7)


def test_a_job_without_checkpoints(run: Run, studio: Emulator) -> None:
    """
    Where training kept nothing, stdout is empty and stderr says so.
    """
    [job_id] = studio.seed(jobs=1, statuses=["PENDING"])

    done = run("jobs", "checkpoints", job_id)

    assert done == (0, "", "0 checkpoints.\n")


def test_importing_and_waiting(run: Run, fast: Emulator) -> None:
    """
    With `--wait` the id comes at once, and the exit code is the import's.
    """
    create = "imports create --model-name m --weight-type lora --bucket b --folder mine/ --wait"
    good = run(*create.split(), *SOON)
    fast.account().rules.failure_rate = 1.0
    bad = run(*create.split(), *SOON)

    assert (good.returncode, good.stderr) == (0, "")
    assert bad.returncode == 1
    assert "ended as FAILED" in bad.stderr
    assert [each.strip() for each in (good.stdout, bad.stdout)] == [*fast.account().imports][::-1]


def test_imports_from_creation_to_end(run: Run, fast: Emulator, tmp_path: Path) -> None:
    """
    Imports are created and waited for like the others.
    """
    file = tmp_path / "import.toml"
    file.write_text('model_name = "qwen3-8b"\nweight_type = "lora"\nbucket_name = "weights"\n')

    created = run("imports", "create", "--from", str(file), "--folder", "mine/")
    job_id = created.stdout.strip()
    waited = run("imports", "wait", job_id, *SOON)
    refused = run("imports", "create", "--from", str(file), "--folder", "/")
    missing = run("imports", "create", "--from", str(file))

    assert [created.returncode, waited.returncode] == [0, 0]
    assert waited.stdout == f"{job_id}  SUCCESSED\n"
    assert [refused.returncode, missing.returncode] == [2, 2]
    assert len(fast.account().imports) == 1


def test_an_import_from_a_file_as_the_api_has_it(
    run: Run, studio: Emulator, tmp_path: Path
) -> None:
    """
    The bucket and the folder may stand below `storage_info`; what else stands there is named.
    """
    file = tmp_path / "import.toml"
    fields = 'model_name = "qwen3-8b"\nweight_type = "lora"\n[storage_info]\nbucket_name = "b"\n'
    file.write_text(fields + 'object_key = "theirs/"\n')
    done = run("imports", "create", "--from", str(file), "--folder", "mine/")
    file.write_text(fields + 'prefix = "theirs/"\n')
    refused = run("imports", "create", "--from", str(file))

    assert done.returncode == 0
    [created] = studio.journal
    assert created.body["storage_info"] == {"bucket_name": "b", "object_key": "mine/"}
    assert refused.returncode == 2
    assert "has prefix, which is not a known field" in refused.stderr


def test_waiting_for_an_export_while_the_service_is_away(run: Run, studio: Emulator) -> None:
    """
    Whoever waits for an export is told why nothing can be seen while the service is away.
    """
    exporting = {"checkpoint": "checkpoint-20", "status": "SUCCEEDED", "model_name": "mine"}
    answers = [("export", True), ("checkpoints", "away"), ("checkpoints", [exporting])]
    for operation, output in answers:
        body = {"request_id": "r", "output": output}
        studio.inject(Fault(operation=f"fine_tunes.{operation}", status=200, body=body))

    done = run(*EXPORT, "--wait", *SOON)

    assert (done.returncode, done.stdout) == (0, "mine\n")
    assert done.stderr.startswith("Cannot be looked at for now: ")
