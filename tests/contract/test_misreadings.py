"""
What the official SDK 2.0.2 gets wrong, each shown: the list of what this library is for.
"""

from __future__ import annotations

import pytest

from dashscope_ft.emulator import Emulator, Fault

from .conftest import Face, OfficialSDK

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("face", ["sync", "async", "classic"])
def test_logs_lose_the_first_line(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    Unless told otherwise the SDK skips a line: its first offset is 1, the service's is 0.
    """
    (job_id,) = emulator.seed(jobs=1)
    emulator.account().set_log(job_id, ["first", "second", "third"])

    value = sdk.call(face, "logs", job_id).value

    log = value.get("output", value)
    assert log.get("logs", log.get("content", "").split("\n")) == ["second", "third"]


def test_the_model_filter_is_dropped(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    The 1.x API takes `model=` and lists every job; the 2.x API does not take it.
    """
    emulator.seed(jobs=5, models=["qwen3-8b"])

    classic = sdk.call("classic", "list", model="qwen3-32b")
    newer = sdk.call("sync", "list", model="qwen3-32b")

    assert len(classic.value["output"]["jobs"]) == 5
    assert [request.query for request in emulator.journal] == [{"page_no": "1", "page_size": "10"}]
    assert newer.error == "TypeError"


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_deletion_that_worked_is_not_found(
    sdk: OfficialSDK, emulator: Emulator, face: Face
) -> None:
    """
    When the answer is lost, the SDK asks again and reports the second answer as the outcome.
    """
    (job_id,) = emulator.seed(jobs=1, statuses=["FAILED"])
    emulator.inject(Fault(operation="fine_tunes.delete", lose="after"))

    told = sdk.call(face, "delete", job_id)

    assert told.error == "NotFoundError"
    assert emulator.account().books.deleted == [job_id]
    assert len(emulator.journal) == 2


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_creation_is_billed_three_times(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    When two answers are lost, the SDK has created three jobs, and tells of one.
    """
    emulator.inject(Fault(operation="fine_tunes.create", lose="after", times=2))

    told = sdk.call(face, "create", model="qwen3-8b", training_file_ids=["file-1"])

    assert told.error is None
    assert len(emulator.account().jobs) == 3


def test_a_job_quota_is_waited_for(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    The SDK takes a full quota for a rate: it sends the creation three times.
    """
    account = emulator.account()
    account.rules.job_quota = 20
    account.seed(jobs=20, statuses=["SUCCEEDED"])

    told = sdk.call("sync", "create", model="qwen3-8b", training_file_ids=["file-1"])

    assert told.error == "RateLimitError"
    assert len(emulator.journal.of("fine_tunes.create")) == 3


def test_retry_after_is_undercut(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    Asked to wait for a minute, the SDK waits eight seconds.
    """
    emulator.inject(Fault(status=429, headers={"Retry-After": "60"}))

    told = sdk.call("sync", "list")

    assert told.error is None
    assert told.slept == [8.0]


def test_a_path_instead_of_an_id(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    The SDK sends whatever it is given: a deletion of a file, or of the whole collection.
    """
    sdk.call("sync", "delete", "../files/file-1")
    sdk.call("sync", "delete", "")

    sent = [(request.method, request.path) for request in emulator.journal]
    assert sent == [("DELETE", "/files/file-1"), ("DELETE", "/fine-tunes/")]


def test_a_cancelled_job_reads_as_a_failed_request(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    The job's own code is taken for the request's: a look at it that worked is called an error.
    """
    (job_id,) = emulator.seed(jobs=1, statuses=["CANCELED"])

    job = sdk.call("sync", "get", job_id).value

    assert job["status"] == "CANCELED"
    assert (job["code"], job["is_error"]) == ("1", True)


@pytest.mark.parametrize(
    ("field", "odd"), [("training_file_ids", None), ("status", 3), ("hyper_parameters", "none")]
)
def test_an_odd_row_costs_the_page(
    sdk: OfficialSDK, emulator: Emulator, field: str, odd: object
) -> None:
    """
    One field of one job in another form, and the SDK gives none of the ten jobs.
    """
    job_ids = emulator.seed(jobs=10)
    emulator.account().jobs[job_ids[4]][field] = odd

    told = sdk.call("sync", "list")

    assert told.error == "ValidationError"
    assert [request.status for request in emulator.journal] == [200]


def test_an_error_within_a_success_is_an_empty_list(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    The 1.x API takes a throttled listing with HTTP status 200 for an account without jobs.
    """
    emulator.seed(jobs=10)
    throttled = {"code": "Throttling", "message": "Too fast.", "request_id": "r-1"}
    emulator.inject(Fault(operation="fine_tunes.list", body=throttled))

    told = sdk.call("classic", "list")

    assert (told.error, told.value["status_code"]) == (None, 200)
    assert told.value["output"]["jobs"] == []


def test_deleting_while_paging_leaves_half_behind(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    Page by page, deleting what failed, the SDK's user walks past 45 of 95 jobs.
    """
    emulator.seed(jobs=95, statuses=["FAILED"])

    page_no = 1
    while jobs := sdk.call("sync", "list", page_no=page_no).value["jobs"]:
        for job in jobs:
            sdk.call("sync", "delete", job["job_id"])
        page_no += 1

    assert len(emulator.account().jobs) == 45


def test_imports_are_missing(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    The SDK has no word for import jobs, and lists none of them among the others.
    """
    emulator.seed(imports=3)

    assert sdk.call("sync", "list").value["jobs"] == []
    assert len(emulator.account().imports) == 3


@pytest.mark.parametrize("face", ["sync", "async"])
def test_a_blip_ends_a_wait(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    A service that is unavailable for three polls ends a wait for a job that goes on training.
    """
    (job_id,) = emulator.seed(jobs=1, statuses=["RUNNING"])
    emulator.inject(Fault(operation="fine_tunes.get", status=503, times=3))

    assert sdk.call(face, "wait", job_id).error == "InternalServerError"


def test_a_wait_for_a_failed_job_is_a_success(sdk: OfficialSDK, emulator: Emulator) -> None:
    """
    The 1.x API returns from a wait as if all were well: the job failed, or was not even seen.
    """
    (failed,) = emulator.seed(jobs=1, statuses=["FAILED"])
    (running,) = emulator.seed(jobs=1, statuses=["RUNNING"])

    told = sdk.call("classic", "wait", failed)
    emulator.inject(Fault(operation="fine_tunes.get", status=503, times=3))
    blind = sdk.call("classic", "wait", running)

    assert (told.error, told.value["output"]["status"]) == (None, "FAILED")
    assert (blind.error, blind.value["status_code"]) == (None, 503)


@pytest.mark.parametrize("face", ["sync", "async", "classic"])
def test_a_long_log_breaks_off(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    Of 2,500 lines the SDK gives a thousand, and no way to know that there are more.
    """
    (job_id,) = emulator.seed(jobs=1)
    emulator.account().set_log(job_id, [f"line {number}" for number in range(2500)])

    value = sdk.call(face, "logs", job_id, offset=0).value

    log = value.get("output", value)
    assert len(log.get("logs", log.get("content", "").split("\n"))) == 1000
    assert len(emulator.journal) == 1


@pytest.mark.parametrize("face", ["sync", "async", "classic"])
def test_checkpoints_are_missing(sdk: OfficialSDK, emulator: Emulator, face: Face) -> None:
    """
    The SDK has no word for checkpoints, nor for their export.
    """
    (job_id,) = emulator.seed(jobs=1, statuses=["SUCCEEDED"])

    assert sdk.call(face, "checkpoints", job_id).error == "AttributeError"
    assert sdk.call(face, "export", job_id).error == "AttributeError"
