"""
The documented samples, through the real client: what is sent, and what is made of the answer.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from dashscope_ft import (
    AsyncClient,
    FineTuneJob,
    ImportJob,
    NotFound,
    Receipt,
    StateConflict,
)

from .scripted import KEY, NOT_FOUND, Answer, Received, ScriptedServer, scripted

SAMPLES = Path(__file__).with_name("samples")
CHINA = timezone(timedelta(hours=8))


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_bytes())


def serving(name: str, status: int = 200) -> ScriptedServer:
    """
    Give a server that answers in the sample's very bytes.
    """
    return scripted(Answer((SAMPLES / f"{name}.json").read_bytes(), status))


def assert_documented(request: Received, line: str, body: bytes = b"") -> None:
    assert request.line == f"{line} HTTP/1.1"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert request.body == body


async def test_listing_fine_tuning_jobs() -> None:
    """
    The documented page: its numbers, its two jobs, and each of their fields.
    """
    async with serving("list_fine_tunes") as server:
        page = await server.client().fine_tunes.page(2, 10, model="qwen3-14b")
        [request] = server.requests
        done, cancelled = page
        wire = sample("list_fine_tunes")

        assert_documented(request, "GET /api/v1/fine-tunes?page_no=2&page_size=10&model=qwen3-14b")
        assert (page.page_no, page.page_size, page.total, len(page)) == (2, 10, 12, 2)
        assert page.request_id == wire["request_id"]
        assert [job.to_dict() for job in page] == wire["output"]["jobs"]
        assert done == FineTuneJob(
            job_id="ft-202410291653-1c7f",
            job_name="ft-202410291653-1c7f",
            status="SUCCEEDED",
            finetuned_output="qwen3-14b-suffix-ft-202410291653-1c7f",
            model="qwen3-14b",
            base_model="qwen3-14b",
            training_file_ids=["976bd01a-f30b-4414-86fd-50c54486e3ef"],
            validation_file_ids=[],
            hyper_parameters={
                "n_epochs": 3,
                "batch_size": 32,
                "max_length": 8192,
                "learning_rate": "1.6e-5",
                "lr_scheduler_type": "linear",
                "split": 0.9,
            },
            training_type="sft",
            create_time=datetime(2024, 10, 29, 16, 53, 53, tzinfo=CHINA),
            workspace_id="llm-v71tlv***",
            user_identity="1396993924585947",
            modifier="1396993924585947",
            creator="1396993924585947",
            end_time=datetime(2024, 10, 29, 17, 11, 26, tzinfo=CHINA),
            group="llm",
            usage=279808,
        )
        assert done.is_finished
        assert cancelled.is_finished
        assert (cancelled.status, cancelled.code, cancelled.message) == ("CANCELED", "1", None)
        assert cancelled.extra == {}


async def test_cancelling_a_fine_tuning_job() -> None:
    """
    The documented acknowledgement is a confirmed receipt.
    """
    async with serving("cancel_fine_tune") as server:
        receipt = await server.client().fine_tunes.cancel("ft-202410291653-1c7f")
        [request] = server.requests

        assert_documented(request, "POST /api/v1/fine-tunes/ft-202410291653-1c7f/cancel")
        assert receipt == Receipt(
            job_id="ft-202410291653-1c7f", request_id="670fca9d-48dd-4c5a-83e7-33bcc20420f8"
        )
        assert receipt.confirmed


async def test_deleting_a_fine_tuning_job() -> None:
    """
    The documented answer to a deletion becomes a receipt that confirms it.
    """
    async with serving("delete_fine_tune") as server:
        receipt = await server.client().fine_tunes.delete("ft-202410291653-1c7f")
        [request] = server.requests

        assert_documented(request, "DELETE /api/v1/fine-tunes/ft-202410291653-1c7f")
        assert receipt == Receipt(
            job_id="ft-202410291653-1c7f", request_id="7d7e1469-df77-4163-83ce-54425df744ed"
        )


async def test_deleting_an_import_job() -> None:
    """
    The receipt carries the job that the service says it deleted, without a `weight_type`.
    """
    wire, job_id = sample("delete_import"), "937b1234-2a4f-5678-8abe-c2fa12345678"
    wire["output"]["job_id"] = job_id  # the documentation masks it
    async with scripted(Answer(wire)) as server:
        receipt = await server.client().imports.delete(job_id)
        [request] = server.requests

        assert_documented(request, f"DELETE /api/v1/custom_models/import/{job_id}")
        assert receipt.confirmed
        assert receipt.request_id == wire["request_id"]
        assert receipt.job == ImportJob(
            job_id=job_id,
            status="SUCCESSED",
            model_name="qwen3-32b-offline-20240101-abc1",
            display_name="My LoRA fine-tuned model",
            source="OSS",
            storage_info={
                "bucket_name": "my-model-bucket",
                "object_key": "models/qwen3-32b-lora/",
            },
            gmt_create=datetime(2024, 1, 1, 12, tzinfo=UTC),
        )
        assert receipt.job is not None
        assert receipt.job.to_dict() == wire["output"]
        assert receipt.job.is_finished


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("list_fine_tunes_error", lambda client: client.fine_tunes.page()),
        ("list_fine_tunes_error", lambda client: client.fine_tunes.list().collect()),
        ("cancel_fine_tune_error", lambda client: client.fine_tunes.cancel("ft-1")),
        ("delete_fine_tune_error", lambda client: client.fine_tunes.delete("ft-1")),
    ],
)
async def test_what_is_not_found(name: str, call: Any) -> None:
    """
    The documented refusal: its code, its message, its request id, sent for once.
    """
    async with serving(name, 404) as server:
        with pytest.raises(NotFound) as caught:
            await call(server.client())
        error = caught.value

        assert (error.code, error.message, error.status) == ("NotFound", "Not Found!", 404)
        assert error.request_id == "BE213CDD-8A5C-59EE-9A67-055EAB0CB59B"
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("job_id", "sent"),
    [
        ("937b0f0e-2a4f-4f3f-8abe-c2fa7d1e9b55", 1),  # the documentation masks some characters
        ("937b0f0e-2a4f-4f3f-8abe-c2fa7d1e9b5", 2),
        ("937c0f0e-2a4f-4f3f-8abe-c2fa7d1e9b55", 2),
    ],
)
async def test_a_deleted_import_job_whose_id_is_masked(job_id: str, sent: int) -> None:
    """
    The documented answer as it stands acknowledges the deletion of a job whose id it may show.
    """
    async with scripted(Answer(sample("delete_import")), NOT_FOUND) as server:
        receipt = await server.client().imports.delete(job_id)

        assert receipt.confirmed is (sent == 1)
        assert len(server.requests) == sent


@pytest.mark.parametrize("status", [200, 400, 403, 409, 500])
async def test_an_import_job_that_cannot_be_deleted(status: int) -> None:
    """
    `OperationDenied` comes with an HTTP status that nobody documents: the code decides.
    """
    async with serving("delete_import_error", status) as server:
        with pytest.raises(StateConflict) as caught:
            await server.client().imports.delete("937b1234")
        error = caught.value

        assert error.code == "OperationDenied"
        assert error.message == "The import job is currently running and cannot be deleted."
        assert error.request_id == "ca21****-b91b-****-bd35-c41c********"
        assert server.sent == [
            "DELETE /custom_models/import/937b1234",
            "GET /custom_models/import/937b1234",
        ]


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({}, "dashscope-intl.aliyuncs.com"),
        ({"region": "intl"}, "dashscope-intl.aliyuncs.com"),
        ({"region": "ap-southeast-1"}, "dashscope-intl.aliyuncs.com"),
        ({"region": "cn"}, "dashscope.aliyuncs.com"),
        ({"region": "cn-beijing"}, "dashscope.aliyuncs.com"),
        ({"region": "hk"}, "cn-hongkong.dashscope.aliyuncs.com"),
        ({"region": "us"}, "dashscope-us.aliyuncs.com"),
    ],
)
def test_the_documented_hosts(
    options: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Each region has its host; nothing falls back to another.
    """
    for name in ("DASHSCOPE_REGION", "DASHSCOPE_BASE_URL", "DASHSCOPE_HTTP_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    assert AsyncClient(api_key=KEY, **options).base_url == f"https://{host}/api/v1"  # type: ignore[arg-type]


def test_every_sample_is_a_test() -> None:
    """
    No sample lies here unread.
    """
    source = Path(__file__).read_text()

    assert len(list(SAMPLES.iterdir())) == 8
    assert all(f'"{path.stem}"' in source for path in SAMPLES.iterdir())
