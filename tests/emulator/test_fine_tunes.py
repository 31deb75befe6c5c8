from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve

from dashscope_ft.emulator import Caller, Emulator, ManualClock, Refusal

from .conftest import Studio

NEW = {"model": "qwen3-14b", "training_file_ids": ["file-1"], "training_type": "sft"}
DOCUMENTED = {
    "job_id",
    "job_name",
    "status",
    "finetuned_output",
    "model",
    "base_model",
    "training_file_ids",
    "validation_file_ids",
    "hyper_parameters",
    "training_type",
    "create_time",
    "workspace_id",
    "user_identity",
    "modifier",
    "creator",
    "end_time",
    "group",
    "usage",
}


def statuses(studio: Studio, job_id: str) -> str:
    return str(studio.call("GET", f"/fine-tunes/{job_id}").output["status"])


def test_a_listing_of_three_pages(studio: Studio) -> None:
    """
    Pages put together are every job, newest first, with the numbers that were asked for.
    """
    seeded = studio.emulator.seed("intl", jobs=25)

    pages = [
        studio.call("GET", f"/fine-tunes?page_no={number}&page_size=10").output
        for number in (1, 2, 3, 4)
    ]

    assert [len(page["jobs"]) for page in pages] == [10, 10, 5, 0]
    assert [(page["page_no"], page["page_size"], page["total"]) for page in pages] == [
        (number, 10, 25) for number in (1, 2, 3, 4)
    ]
    listed = [job["job_id"] for page in pages for job in page["jobs"]]
    assert listed == seeded[::-1]
    times = [job["create_time"] for page in pages for job in page["jobs"]]
    assert times == sorted(set(times), reverse=True)


def test_a_listing_without_numbers(studio: Studio) -> None:
    """
    The first ten jobs come, as documented.
    """
    studio.emulator.seed("intl", jobs=12)

    output = studio.call("GET", "/fine-tunes").output

    assert (output["page_no"], output["page_size"], len(output["jobs"])) == (1, 10, 10)


@pytest.mark.parametrize(
    "query",
    ["page_no=0", "page_no=-1", "page_no=x", "page_size=0", "page_size=101", "page_size=1.5"],
)
def test_a_page_out_of_bounds(studio: Studio, query: str) -> None:
    """
    A page number below 1, a size outside 1 to 100, and what is no number are invalid parameters.
    """
    assert studio.call("GET", f"/fine-tunes?{query}").refusal == (400, "InvalidParameter")


def test_a_listing_of_one_model(studio: Studio) -> None:
    """
    A job is listed if the model or its base is the one asked for, and the total counts those.
    """
    account = studio.emulator.account()
    first, _, third = account.seed(jobs=3, models=["qwen3-8b"])
    account.jobs[first]["model"] = "qwen3-14b"
    account.jobs[third] |= {"model": "tuned", "base_model": "qwen3-14b"}

    output = studio.call("GET", "/fine-tunes?model=qwen3-14b").output

    assert [job["job_id"] for job in output["jobs"]] == [third, first]
    assert output["total"] == 2


def test_a_service_that_ignores_filters(studio: Studio) -> None:
    """
    With that rule every job is listed whatever the filter says.
    """
    studio.emulator.seed(jobs=3)
    studio.emulator.account().rules.ignores_filters = True

    assert studio.call("GET", "/fine-tunes?model=none").output["total"] == 3


def test_a_service_that_caps_pages(studio: Studio) -> None:
    """
    With that rule a larger page is served, and echoed, as the largest.
    """
    studio.emulator.seed(jobs=60)
    studio.emulator.account().rules.page_size_cap = 50

    output = studio.call("GET", "/fine-tunes?page_size=100").output

    assert (output["page_size"], len(output["jobs"])) == (50, 50)


def test_jobs_of_one_second(studio: Studio) -> None:
    """
    A seed can put many jobs into one second, among others with seconds of their own.
    """
    studio.emulator.seed(jobs=50, same_second=30)

    jobs = studio.call("GET", "/fine-tunes?page_size=100").output["jobs"]

    times = [job["create_time"] for job in jobs]
    assert max(times.count(time) for time in times) == 30
    assert len(set(times)) == 21
    assert times == sorted(times, reverse=True)


def test_a_service_that_shuffles_jobs_of_one_second(studio: Studio) -> None:
    """
    With that rule jobs of one second change places between reads, and all others keep theirs.
    """
    studio.emulator.seed(jobs=40, same_second=30)
    studio.emulator.account().rules.shuffles_ties = True

    def read() -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = studio.call("GET", "/fine-tunes?page_size=100").output["jobs"]
        return jobs

    first, second = read(), read()

    assert [job["create_time"] for job in first] == [job["create_time"] for job in second]
    assert [job["job_id"] for job in first] != [job["job_id"] for job in second]


def test_the_shape_of_a_job(studio: Studio) -> None:
    """
    A finished job carries the fields of the documented sample, no more and no less.
    """
    (job_id,) = studio.emulator.seed(jobs=1, statuses=["SUCCEEDED"])
    job = studio.call("GET", f"/fine-tunes/{job_id}").output

    assert set(job) == DOCUMENTED


def test_the_end_of_seeded_jobs() -> None:
    """
    However young a finished job is, it ended after it was created, and before now.
    """
    for seed in range(100):
        emulator = Emulator(seed=seed, clock=ManualClock())
        emulator.seed(jobs=5)
        for job in emulator.account().jobs.values():
            assert job["create_time"] <= job["end_time"] < "2026-01-01 08:00:00"
            lines = emulator.account().read_log(job["job_id"], line=1000)["logs"]
            assert (lines[-1:] == ["##FT_COMPLETE##"]) is (job["status"] == "SUCCEEDED")


def test_the_life_of_a_job(studio: Studio) -> None:
    """
    A created job waits, queues, runs and succeeds as the clock goes on, and then has an end.
    """
    job_id = studio.call("POST", "/fine-tunes", NEW).output["job_id"]

    seen = []
    for seconds in (0, 2, 3, 59, 1):
        studio.clock.advance(seconds)
        seen.append(statuses(studio, job_id))

    assert seen == ["PENDING", "QUEUING", "RUNNING", "RUNNING", "SUCCEEDED"]
    job = studio.call("GET", f"/fine-tunes/{job_id}").output
    assert (job["create_time"], job["end_time"]) == ("2026-01-01 08:00:00", "2026-01-01 08:01:05")
    assert job["usage"] > 0


def test_a_job_that_is_to_fail(studio: Studio) -> None:
    """
    With a failure rate of one, a created job ends as failed, with a code of its own.
    """
    studio.emulator.account().rules.failure_rate = 1.0
    job_id = studio.call("POST", "/fine-tunes", NEW).output["job_id"]

    studio.clock.advance(100)

    job = studio.call("GET", f"/fine-tunes/{job_id}").output
    assert (job["status"], job["code"]) == ("FAILED", "InternalError")


def test_a_cancellation(studio: Studio) -> None:
    """
    A cancellation is acknowledged at once, the job passes through canceling, and the books hold it
    once.
    """
    (job_id,) = studio.emulator.seed(jobs=1, statuses=["RUNNING"])

    answers = [studio.call("POST", f"/fine-tunes/{job_id}/cancel") for _ in range(2)]
    seen = [statuses(studio, job_id)]
    studio.clock.advance(100)
    seen.append(statuses(studio, job_id))

    assert [answer.output for answer in answers] == [{"status": "success"}] * 2
    assert seen == ["CANCELING", "CANCELED"]
    assert studio.emulator.account().books.canceled == [job_id]


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "CANCELED"])
def test_a_cancellation_of_a_finished_job(studio: Studio, status: str) -> None:
    """
    Cancelling a finished job is an unsupported operation, and the job stays what it is.
    """
    (job_id,) = studio.emulator.seed(jobs=1, statuses=[status])

    refusal = studio.call("POST", f"/fine-tunes/{job_id}/cancel").refusal

    assert refusal == (400, "UnsupportedOperation")
    assert statuses(studio, job_id) == status


@pytest.mark.parametrize("status", ["PENDING", "QUEUING", "RUNNING", "CANCELING"])
def test_a_deletion_of_an_unfinished_job(studio: Studio, status: str) -> None:
    """
    Deleting an unfinished job is an unsupported operation, and the job is still there.
    """
    (job_id,) = studio.emulator.seed(jobs=1, statuses=[status])

    assert studio.call("DELETE", f"/fine-tunes/{job_id}").refusal == (400, "UnsupportedOperation")
    assert statuses(studio, job_id) == status


def test_a_deletion(studio: Studio) -> None:
    """
    A deletion is acknowledged, the job is gone from listing and books, and the second one finds
    nothing.
    """
    gone, kept = studio.emulator.seed(jobs=2, statuses=["FAILED"])

    answer = studio.call("DELETE", f"/fine-tunes/{gone}")
    again = studio.call("DELETE", f"/fine-tunes/{gone}")

    assert answer.output == {"status": "success"}
    assert again.json["message"] == "Not Found!"
    assert again.refusal == (404, "NotFound")
    assert list(studio.emulator.account().jobs) == [kept]
    (entry,) = [
        each for each in studio.emulator.account().books.entries if each.action == "deleted"
    ]
    assert (entry.job_id, entry.request_id) == (gone, answer.json["request_id"])


def test_other_deletable_states(studio: Studio) -> None:
    """
    The states in which a job can be deleted are a rule, since sources disagree on them.
    """
    studio.emulator.account().rules.deletable_jobs = frozenset({"RUNNING"})
    done, running = (
        studio.emulator.seed(jobs=1, statuses=[status])[0] for status in ("SUCCEEDED", "RUNNING")
    )

    assert studio.call("DELETE", f"/fine-tunes/{done}").status == 400
    assert studio.call("DELETE", f"/fine-tunes/{running}").status == 200


def test_a_job_quota(studio: Studio) -> None:
    """
    With 20 running or succeeded jobs there is no room for another, until one is deleted.
    """
    account = studio.emulator.account()
    account.rules.job_quota = 20
    kept = account.seed(jobs=20, statuses=["SUCCEEDED", "RUNNING"])
    account.seed(jobs=5, statuses=["FAILED"])

    full = studio.call("POST", "/fine-tunes", NEW)
    account.remove(kept[0])
    room = studio.call("POST", "/fine-tunes", NEW)

    assert full.refusal == (429, "Throttling")
    assert "maximum of 20 running or succeeded" in full.json["message"]
    assert room.status == 200


def test_a_quota_of_running_jobs(studio: Studio) -> None:
    """
    The quota of running jobs counts unfinished jobs alone.
    """
    account = studio.emulator.account()
    account.rules.running_quota = 2
    account.seed(jobs=9, statuses=["SUCCEEDED"])
    running = account.seed(jobs=2, statuses=["RUNNING"])

    full = studio.call("POST", "/fine-tunes", NEW)
    account.set_status(running[0], "FAILED")
    room = studio.call("POST", "/fine-tunes", NEW)

    assert full.status == 429
    assert "Too many fine-tuning jobs are running" in full.json["message"]
    assert room.status == 200


@pytest.mark.parametrize(
    "body",
    [
        [],
        b"not JSON",
        {"training_file_ids": ["file-1"]},
        {"model": "qwen3-14b"},
        {"model": 3, "training_file_ids": ["file-1"]},
        NEW | {"training_file_ids": "file-1"},
        NEW | {"hyper_parameters": "many"},
        NEW | {"training_file_ids": [1]},
        NEW | {"validation_datasets": "many"},
        NEW | {"training_type": 3},
        NEW | {"finetuned_output_suffix": "far-too-long"},
        NEW | {"finetuned_output_suffix": 123},
    ],
)
def test_a_creation_that_lacks_something(studio: Studio, body: Any) -> None:
    """
    A creation that lacks a field is refused for an invalid parameter, and no job appears.
    """
    assert studio.call("POST", "/fine-tunes", body).refusal == (400, "InvalidParameter")
    assert not studio.emulator.account().jobs


def test_a_creation_with_everything(studio: Studio) -> None:
    """
    What was given is echoed in the type it was given, and the suffix goes into the output's name.
    """
    given = NEW | {
        "hyper_parameters": {"batch_size": "128", "learning_rate": "1.6e-5", "n_epochs": 1},
        "job_name": "Friday",
        "finetuned_output_suffix": "mine",
        "priority": "high",
    }

    job = studio.call("POST", "/fine-tunes", given).output

    assert {name: job[name] for name in given if name != "finetuned_output_suffix"} == {
        name: value for name, value in given.items() if name != "finetuned_output_suffix"
    }
    assert job["finetuned_output"] == f"qwen3-14b-mine-{job['job_id']}"
    assert studio.emulator.account().books.created == [job["job_id"]]


def test_a_creation_from_another_job(studio: Studio) -> None:
    """
    What the service alone says of a job is not taken from whoever creates one.
    """
    [old] = studio.emulator.seed(jobs=1, statuses=["FAILED"])
    fields = studio.call("GET", f"/fine-tunes/{old}").output

    job = studio.call("POST", "/fine-tunes", NEW | fields | {"usage": 5, "code": "x"}).output

    assert job["job_id"] != old
    assert (job["status"], job["usage"], job.get("code")) == ("PENDING", 0, None)
    assert job["create_time"] != fields["create_time"]
    assert studio.call("GET", "/fine-tunes").output["total"] == 2


@pytest.mark.parametrize("n_epochs", ["inf", "nan", "-1", "many", None])
def test_a_log_of_odd_epochs(studio: Studio, n_epochs: Any) -> None:
    """
    A number of epochs that is none is the usual one, or the nearest.
    """
    new = NEW | {"hyper_parameters": {"n_epochs": n_epochs}}
    job_id = studio.call("POST", "/fine-tunes", new).output["job_id"]
    studio.clock.advance(1000)

    assert studio.call("GET", f"/fine-tunes/{job_id}/logs?offset=0&line=5").status == 200


def test_another_workspace(studio: Studio) -> None:
    """
    Its jobs are neither listed nor found, unless the header names it.
    """
    (job_id,) = studio.emulator.seed(jobs=1, workspace="llm-other")

    assert studio.call("GET", "/fine-tunes").output["total"] == 0
    assert studio.call("GET", f"/fine-tunes/{job_id}").refusal == (404, "NotFound")
    assert studio.call("GET", "/fine-tunes", workspace="llm-other").output["total"] == 1
    assert studio.call("GET", f"/fine-tunes/{job_id}", workspace="llm-other").status == 200


def test_a_log_of_thousands(studio: Studio) -> None:
    """
    A log of thousands of lines is read in pieces without gap or repeat, and beyond its end there is
    nothing.
    """
    (job_id,) = studio.emulator.seed(jobs=1)
    lines = [f"line {number}" for number in range(2_500)]
    studio.emulator.account().set_log(job_id, lines)

    pieces = [
        studio.call("GET", f"/fine-tunes/{job_id}/logs?offset={offset}&line=1000").output
        for offset in (0, 1_000, 2_000, 3_000)
    ]

    assert [line for piece in pieces for line in piece["logs"]] == lines
    assert {piece["total"] for piece in pieces} == {2_500}
    assert len(studio.call("GET", f"/fine-tunes/{job_id}/logs").output["logs"]) == 100


@pytest.mark.parametrize("query", ["offset=-1", "line=0", "line=1001", "line=all"])
def test_a_log_out_of_bounds(studio: Studio, query: str) -> None:
    """
    An offset or a number of lines out of bounds is an invalid parameter.
    """
    (job_id,) = studio.emulator.seed(jobs=1)

    answer = studio.call("GET", f"/fine-tunes/{job_id}/logs?{query}")

    assert answer.refusal == (400, "InvalidParameter")


def test_a_log_as_training_goes_on(studio: Studio) -> None:
    """
    A log is empty at first, then grows at its end alone, and has both kinds of lines.
    """
    job_id = studio.call("POST", "/fine-tunes", NEW).output["job_id"]

    looks = []
    for _ in range(8):
        looks.append(studio.call("GET", f"/fine-tunes/{job_id}/logs?line=1000").output["logs"])
        studio.clock.advance(10)

    assert looks[0] == []
    for earlier, later in pairwise(looks):
        assert later[: len(earlier)] == earlier
    assert len(looks[3]) > len(looks[2])
    assert any(line.startswith("{'loss': ") for line in looks[-1])
    assert any(" - INFO - " in line for line in looks[-1])
    assert looks[-1][-1] == "##FT_COMPLETE##"


def test_checkpoints_and_an_export(studio: Studio) -> None:
    """
    A succeeded job has one each epoch; an exported one is published after a while, once.
    """
    job_id = studio.call("POST", "/fine-tunes", NEW).output["job_id"]
    (untrained,) = studio.emulator.seed(jobs=1, statuses=["CANCELING"])
    before = [
        *studio.call("GET", f"/fine-tunes/{job_id}/checkpoints").output,
        *studio.call("GET", f"/fine-tunes/{untrained}/checkpoints").output,
    ]
    studio.clock.advance(100)
    path = f"/fine-tunes/{job_id}/export/checkpoint-40"

    kept = studio.call("GET", f"/fine-tunes/{job_id}/checkpoints").output
    nameless = studio.call("GET", path)
    exported = studio.call("GET", f"{path}?model_name=mine")
    again = studio.call("GET", f"{path}?model_name=mine")
    unknown = studio.call("GET", f"/fine-tunes/{job_id}/export/checkpoint-1?model_name=mine")
    seen = []
    for seconds in (0, 5):
        studio.clock.advance(seconds)
        look = studio.call("GET", f"/fine-tunes/{job_id}/checkpoints").output
        seen.append([checkpoint["status"] for checkpoint in look])

    assert before == []
    assert [checkpoint["step"] for checkpoint in kept] == [20, 40, 60]
    assert kept[1]["checkpoint_id"] == f"{job_id}:checkpoint-40"
    assert nameless.refusal == (400, "InvalidParameter")
    assert exported.output is True
    assert again.refusal == (400, "UnsupportedOperation")
    assert unknown.refusal == (404, "NotFound")
    assert seen == [["PENDING", "PROCESSING", "PENDING"], ["PENDING", "SUCCEEDED", "PENDING"]]
    assert studio.emulator.account().books.exported == [job_id]


def test_exports_at_another_pace(studio: Studio) -> None:
    """
    A pace that changes holds for later exports, and not for those under way.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(jobs=1, statuses=["SUCCEEDED"])
    job = account.jobs[job_id]
    job["hyper_parameters"] = {"n_epochs": 2}
    account.export_checkpoint(job_id, "checkpoint-20", model_name="early")
    account.pace = evolve(account.pace, exporting=60.0)
    account.export_checkpoint(job_id, "checkpoint-40", model_name="late")

    seen = []
    for seconds in (4, 1, 55):
        studio.clock.advance(seconds)
        seen.append([each["status"] for each in account.list_checkpoints(job_id)])

    assert seen == [
        ["PROCESSING", "PROCESSING"],
        ["SUCCEEDED", "PROCESSING"],
        ["SUCCEEDED", "SUCCEEDED"],
    ]


def test_the_name_of_an_exported_model(studio: Studio) -> None:
    """
    A model has the name that it was asked for at once, and its own when it is published.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(jobs=1, statuses=["SUCCEEDED"])
    account.export_checkpoint(job_id, "checkpoint-20", model_name="mine")

    exporting = account.list_checkpoints(job_id)[0]
    studio.clock.advance(5)
    exported = account.list_checkpoints(job_id)[0]

    assert exporting["model_display_name"] == exported["model_display_name"] == "mine"
    assert "model_name" not in exporting
    assert exported["model_name"] == f"{account.jobs[job_id]['finetuned_output']}-checkpoint-20"


@pytest.mark.parametrize("before", ["SUCCEEDED", "FAILED", "CANCELED"])
@pytest.mark.parametrize("after", ["PENDING", "QUEUING", "RUNNING", "CANCELING", "SHELVED"])
def test_a_finished_job_that_is_made_unfinished(studio: Studio, before: str, after: str) -> None:
    """
    It has no end, no usage and no failure any more.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(jobs=1, statuses=[before])

    job = account.set_status(job_id, after)

    assert (job["status"], job["usage"]) == (after, 0)
    assert not {"end_time", "code", "message"} & set(job)


def test_a_finished_job_that_is_made_another(studio: Studio) -> None:
    """
    Whatever it was before, it has the fields of its last status alone.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(jobs=1, statuses=["FAILED"])

    seen = []
    for status in ("SUCCEEDED", "CANCELED", "FAILED", "SUCCEEDED"):
        studio.clock.advance(1)
        job = account.set_status(job_id, status)
        seen.append((job["usage"] > 0, job.get("code"), "message" in job, job["end_time"][-2:]))

    assert seen == [
        (True, None, False, "01"),
        (False, "1", False, "02"),
        (False, "InternalError", True, "03"),
        (True, None, False, "04"),
    ]


@pytest.mark.parametrize("seconds", [0, 3, 30, 100])
def test_a_job_that_is_made_succeeded(studio: Studio, seconds: int) -> None:
    """
    However far it was, its log and its checkpoints are complete, and none is of the future.
    """
    account = studio.emulator.account()
    job_id = account.create_job(NEW)["job_id"]
    studio.clock.advance(seconds)

    account.set_status(job_id, "SUCCEEDED")

    log, kept = account.read_log(job_id, line=1000), account.list_checkpoints(job_id)
    now = f"2026-01-01 08:{seconds // 60:02d}:{seconds % 60:02d}"
    assert log["logs"][-1] == "##FT_COMPLETE##"
    assert max(line[:19] for line in log["logs"] if " - INFO - " in line) <= now
    assert [each["step"] for each in kept] == [20, 40, 60]
    assert max(each["create_time"] for each in kept) <= now.replace(" ", "T")


@pytest.mark.parametrize("before", ["PENDING", "SUCCEEDED", "FAILED"])
def test_a_job_that_is_made_running(studio: Studio, before: str) -> None:
    """
    Its training begins then, and its log grows, though it stays running.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(jobs=1, statuses=[before])

    account.set_status(job_id, "RUNNING")
    seen = []
    for seconds in (0, 30, 30):
        studio.clock.advance(seconds)
        seen.append(account.read_log(job_id, line=1000)["logs"])

    assert seen[0][0].endswith("data preparation finished")
    assert len(seen[0]) < len(seen[1]) < len(seen[2])
    assert statuses(studio, job_id) == "RUNNING"


def test_a_running_job_that_is_made_running(studio: Studio) -> None:
    """
    Its training goes on where it was.
    """
    account = studio.emulator.account()
    job_id = account.create_job(NEW)["job_id"]
    studio.clock.advance(30)
    before = account.read_log(job_id, line=1000)

    account.set_status(job_id, "RUNNING")

    assert account.read_log(job_id, line=1000) == before


@pytest.mark.parametrize("status", ["PENDING", "QUEUING", "CANCELING", "CANCELED", "FAILED"])
def test_a_job_that_is_kept_from_training(studio: Studio, status: str) -> None:
    """
    A job that never ran has neither a log nor checkpoints, however long it stays as it is.
    """
    account = studio.emulator.account()
    job_id = account.create_job(NEW)["job_id"]
    account.set_status(job_id, status)

    studio.clock.advance(1000)

    assert account.read_log(job_id) == {"logs": [], "total": 0}
    assert account.list_checkpoints(job_id) == []


@pytest.mark.parametrize("status", ["PENDING", "QUEUING"])
def test_a_finished_job_that_is_to_train_again(studio: Studio, status: str) -> None:
    """
    What its training wrote and kept is gone.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(jobs=1, statuses=["SUCCEEDED"])

    account.set_status(job_id, status)

    assert account.read_log(job_id)["total"] == 0
    assert account.list_checkpoints(job_id) == []


def test_a_test_that_acts_as_somebody_else(studio: Studio) -> None:
    """
    The account's own methods do what requests do, and say no in the same words.
    """
    account = studio.emulator.account()
    job_id = account.create_job(NEW)["job_id"]

    with pytest.raises(Refusal) as caught:
        account.delete_job(job_id)

    assert caught.value.code == "UnsupportedOperation"
    account.set_status(job_id, "SUCCEEDED")
    account.delete_job(job_id)
    assert account.books.deleted == [job_id]


def test_a_seed_of_one_word(studio: Studio) -> None:
    """
    A status or a model given as a word is that word, and not its letters.
    """
    studio.emulator.seed(
        jobs=3, imports=2, statuses="FAILED", import_statuses="RUNNING", models="qwen3-14b"
    )

    account = studio.emulator.account()
    jobs, imports = account.jobs.values(), account.imports.values()
    assert {(job["status"], job["model"]) for job in jobs} == {("FAILED", "qwen3-14b")}
    assert {job["status"] for job in imports} == {"RUNNING"}
    assert all(job["model_name"].startswith("qwen3-14b-offline-") for job in imports)


@pytest.mark.parametrize("name", ["jobs", "imports", "same_second"])
def test_a_seed_of_less_than_nothing(studio: Studio, name: str) -> None:
    """
    A negative number is refused, and nothing is added.
    """
    numbers = {"jobs": 2, "imports": 2, "same_second": 2} | {name: -1}
    with pytest.raises(ValueError, match=f"{name} must be at least 0, not -1"):
        studio.emulator.seed(
            jobs=numbers["jobs"],
            imports=numbers["imports"],
            same_second=numbers["same_second"],
        )

    assert not studio.emulator.account().jobs


def test_a_test_that_acts_in_another_workspace(studio: Studio) -> None:
    """
    The account's own methods take the workspace that a request names in its headers.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(jobs=1, statuses="FAILED", workspace="llm-other")

    with pytest.raises(Refusal):
        account.delete_job(job_id)
    account.delete_job(job_id, caller=Caller(workspace="llm-other"))

    assert account.books.deleted == [job_id]


def test_the_same_seed() -> None:
    """
    Two emulators with the same seed and time have the same jobs; another seed has others.
    """

    def ids(seed: int) -> list[str]:
        return Emulator(seed=seed, clock=ManualClock()).seed(jobs=50, imports=5)

    assert ids(7) == ids(7)
    assert ids(7) != ids(8)
