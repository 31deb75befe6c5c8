from __future__ import annotations

from typing import Any

import pytest

from .conftest import Studio

BUCKET = {"bucket_name": "weights", "object_key": "models/mine/"}
NEW = {
    "model_name": "qwen3-32b",
    "display_name": "My model",
    "source": "oss",
    "weight_type": "lora",
    "storage_info": BUCKET,
}


def test_the_life_of_an_import(studio: Studio) -> None:
    """
    An import waits, runs and ends as the clock goes on; its weight type is told on creation only.
    """
    created = studio.call("POST", "/custom_models/import", NEW).output
    path = f"/custom_models/import/{created['job_id']}"

    seen = []
    for seconds in (0, 2, 20):
        studio.clock.advance(seconds)
        seen.append(studio.call("GET", path).output)

    assert [job["status"] for job in seen] == ["PENDING", "RUNNING", "SUCCESSED"]
    assert created["weight_type"] == "lora"
    assert "weight_type" not in seen[0]
    assert created["model_name"].startswith("qwen3-32b-offline-20260101-")
    assert (created["source"], created["storage_info"]) == ("OSS", BUCKET)
    assert created["gmt_create"] == "2026-01-01T00:00:00.000+00:00"


@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_a_deletion_of_an_unfinished_import(studio: Studio, status: str) -> None:
    """
    Deleting an unfinished import is denied with the HTTP status that the rules say, and the job is
    still there.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(imports=1, import_statuses=[status])
    path = f"/custom_models/import/{job_id}"

    usual = studio.call("DELETE", path)
    account.rules.import_denied_status = 200
    odd = studio.call("DELETE", path)

    assert usual.refusal == (400, "OperationDenied")
    assert odd.refusal == (200, "OperationDenied")
    assert usual.json["message"] == "The import job is currently running and cannot be deleted."
    assert list(account.imports) == [job_id]


@pytest.mark.parametrize("status", ["SUCCESSED", "SUCCEEDED", "FAILED"])
def test_a_deletion_of_a_finished_import(studio: Studio, status: str) -> None:
    """
    The answer is the job that was deleted, without its weight type.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(imports=1, import_statuses=[status])

    job = studio.call("DELETE", f"/custom_models/import/{job_id}").output

    assert (job["job_id"], job["status"]) == (job_id, status)
    assert "weight_type" not in job
    assert ("error_code" in job) is (status == "FAILED")
    assert account.books.deleted == [job_id]
    assert studio.call("GET", f"/custom_models/import/{job_id}").refusal == (404, "NotFound")


def test_a_test_that_acts_as_somebody_else(studio: Studio) -> None:
    """
    Others can end, resume and delete an import; a job that is not there is a `KeyError`.
    """
    account = studio.emulator.account()
    (job_id,) = account.seed(imports=1, import_statuses=["RUNNING"])

    account.set_status(job_id, "FAILED")
    shown = studio.call("GET", f"/custom_models/import/{job_id}").output
    account.set_status(job_id, "RUNNING")
    again = studio.call("GET", f"/custom_models/import/{job_id}").output
    account.remove(job_id)

    assert (shown["status"], "error_code" in shown) == ("FAILED", True)
    assert (again["status"], "error_code" in again) == ("RUNNING", False)
    assert not account.imports
    with pytest.raises(KeyError, match=job_id):
        account.set_status(job_id, "FAILED")


def test_a_listing_with_filters(studio: Studio) -> None:
    """
    Status and generated name filter exactly, and rows come under their own name.
    """
    account = studio.emulator.account()
    account.seed(imports=6, import_statuses=["SUCCESSED"])
    (failed,) = account.seed(imports=1, import_statuses=["FAILED"])
    name = account.imports[failed]["model_name"]

    everything = studio.call("GET", "/custom_models/import?page_size=5").output
    by_status = studio.call("GET", "/custom_models/import?status=FAILED").output
    by_name = studio.call("GET", f"/custom_models/import?model_name={name}").output
    by_base = studio.call("GET", "/custom_models/import?model_name=qwen3-32b").output

    assert (everything["total"], len(everything["list"])) == (7, 5)
    assert [job["job_id"] for job in by_status["list"]] == [failed]
    assert [job["job_id"] for job in by_name["list"]] == [failed]
    assert by_base["list"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"model_name": None},
        {"source": "ftp"},
        {"weight_type": "half"},
        {"display_name": "x" * 51},
        {"display_name": 5},
        {"storage_info": None},
        {"storage_info": BUCKET | {"object_key": "/"}},
        {"storage_info": BUCKET | {"object_key": "//"}},
        {"storage_info": BUCKET | {"object_key": "models/mine"}},
        {"storage_info": {"object_key": "models/mine/"}},
    ],
)
def test_a_creation_that_lacks_something(studio: Studio, change: dict[str, Any]) -> None:
    """
    An import that lacks a field is refused for an invalid parameter, and no job appears.
    """
    answer = studio.call("POST", "/custom_models/import", NEW | change)

    assert answer.refusal == (400, "InvalidParameter")
    assert not studio.emulator.account().imports
