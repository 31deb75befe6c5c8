from __future__ import annotations

from typing import Any

import pytest

from dashscope_ft.emulator import Emulator, Pace

from .conftest import Face, OfficialSDK, Told

pytestmark = pytest.mark.contract

FACES: tuple[Face, ...] = ("sync", "async", "classic")
every_face = pytest.mark.parametrize("face", FACES)


def output(told: Told) -> Any:
    """
    Return what an answer is about: the 1.x API keeps it one level deeper.
    """
    assert told.error is None, told
    return told.value.get("output", told.value)


def failure(told: Told) -> tuple[str | None, str | None]:
    """
    Return how a call failed: the 2.x API raises, the 1.x API returns.
    """
    if told.error is None:
        return str(told.value["status_code"]), told.value["code"]
    return told.error, told.code


@every_face
def test_listing(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    The SDK's pages, put together, are the jobs in the emulator's books, newest first.
    """
    seeded = emulator.seed("intl", jobs=25)

    pages = [
        output(sdk.call(face, "list", page_no=number, page_size=10)) for number in (1, 2, 3, 4)
    ]

    listed = [job["job_id"] for page in pages for job in page["jobs"]]
    assert listed == seeded[::-1]
    assert [page["page_no"] for page in pages] == [1, 2, 3, 4]
    counts = [page.get("total", page.get("total_count")) for page in pages]
    assert counts == [25] * 4


@every_face
def test_getting(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    The SDK reads a job's fields as the emulator holds them.
    """
    (job_id,) = emulator.seed(jobs=1, statuses=["SUCCEEDED"])
    held = emulator.account().jobs[job_id]

    job = output(sdk.call(face, "get", job_id))

    for name in ("job_id", "status", "model", "base_model", "hyper_parameters", "training_type"):
        assert job[name] == held[name]
    assert job.get("created_at", job.get("create_time")) == held["create_time"]
    assert job.get("finetuned_model", job.get("finetuned_output")) == held["finetuned_output"]


@every_face
def test_cancelling(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    The SDK's receipt says success, the books hold the cancellation, and it is refused at the end.
    """
    running, done = (emulator.seed(jobs=1, statuses=[word])[0] for word in ("RUNNING", "SUCCEEDED"))

    receipt = output(sdk.call(face, "cancel", running))
    refused = sdk.call(face, "cancel", done)

    assert receipt["status"] == "success"
    assert emulator.account().books.canceled == [running]
    assert failure(refused)[1] == "UnsupportedOperation"


@every_face
def test_deleting(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    The SDK's receipt says success, the books hold the deletion, and nothing is found again.
    """
    gone, running = (emulator.seed(jobs=1, statuses=[word])[0] for word in ("FAILED", "RUNNING"))

    receipt = output(sdk.call(face, "delete", gone))
    again = sdk.call(face, "delete", gone)
    refused = sdk.call(face, "delete", running)

    assert receipt["status"] == "success"
    assert emulator.account().books.deleted == [gone]
    assert failure(again) in {("NotFoundError", "NotFound"), ("404", "NotFound")}
    assert failure(refused)[1] == "UnsupportedOperation"
    assert list(emulator.account().jobs) == [running]


@every_face
def test_a_wrong_key(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    The SDK understands that a key of another region is invalid.
    """
    told = sdk.call(face, "list", key=emulator.key("cn"))

    assert failure(told) in {("AuthenticationError", "InvalidApiKey"), ("401", "InvalidApiKey")}


@every_face
def test_both_regions_and_a_workspace(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    The SDK's base URL chooses the region, and its workspace the jobs that are listed.
    """
    emulator.seed("cn", jobs=1)
    (job_id,) = emulator.seed("cn", jobs=1, workspace="llm-team")

    page = output(sdk.call(face, "list", region="cn", workspace="llm-team"))

    assert [job["job_id"] for job in page["jobs"]] == [job_id]
    (request,) = emulator.journal
    assert (request.region, request.workspace, request.key) == ("cn", "llm-team", "known")


@every_face
def test_creating(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    What the SDK sends makes one job, and it reads that job's id and status.
    """
    method = "call" if face == "classic" else "create"

    told = sdk.call(
        face,
        method,
        model="qwen3-14b",
        training_file_ids=["file-1"],
        mode="efficient_sft",
        hyper_parameters={"n_epochs": 1, "learning_rate": "1.6e-5"},
    )

    job = output(told)
    (held,) = emulator.account().jobs.values()
    assert (job["job_id"], job["status"]) == (held["job_id"], "PENDING")
    assert held["hyper_parameters"] == {"n_epochs": 1, "learning_rate": "1.6e-5"}
    assert held["training_type"] == "efficient_sft"


@pytest.mark.parametrize("face", ["sync", "classic"])
def test_waiting(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    The SDK sees a created job through its life to its success.
    """
    account = emulator.account()
    account.pace = Pace().faster(300)
    job_id = account.create_job({"model": "qwen3-8b", "training_file_ids": ["file-1"]})["job_id"]

    job = output(sdk.call(face, "wait", job_id))

    assert job["status"] == "SUCCEEDED"
    assert len(emulator.journal.of("fine_tunes.get")) > 1


@every_face
def test_reading_a_log_from_the_start(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    Asked for offset 0, the SDK reads every line.
    """
    (job_id,) = emulator.seed(jobs=1)
    lines = [f"line {number}" for number in range(250)]
    emulator.account().set_log(job_id, lines)

    log = output(sdk.call(face, "logs", job_id, offset=0))

    assert log.get("logs", log.get("content", "").split("\n")) == lines
