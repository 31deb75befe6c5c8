from __future__ import annotations

import pytest

from dashscope_ft import (
    Checkpoint,
    ConnectionFailed,
    DeadlineExceeded,
    FineTuneJob,
    InvalidArgument,
    JobFailed,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
    StateConflict,
)
from dashscope_ft.emulator import Fault

from .life import Life, living
from .scripted import Answer, HangUp, scripted


async def trained(life: Life) -> FineTuneJob:
    return await life.client.fine_tunes.wait(await life.job())


def answer(*rows: object) -> Answer:
    return Answer({"request_id": "r", "output": list(rows)})


async def test_checkpoints_come_by_step() -> None:
    """
    Whatever order the service has, checkpoints come by step; one without comes last.
    """
    rows = [{"checkpoint": name, "step": step} for name, step in (("c", 30), ("x", None), ("a", 9))]
    async with scripted(answer(*rows)) as server:
        checkpoints = await server.client().fine_tunes.checkpoints("ft-1")

    assert [each.checkpoint for each in checkpoints] == ["a", "c", "x"]
    assert server.sent == ["GET /fine-tunes/ft-1/checkpoints"]


async def test_a_checkpoint_in_full() -> None:
    """
    A checkpoint has its name, its step and aware times.
    """
    async with living() as life:
        job = await trained(life)

        [first, *_] = checkpoints = await life.client.fine_tunes.checkpoints(job)

    assert [each.step for each in checkpoints] == [20, 40, 60]
    assert first.checkpoint == "checkpoint-20"
    assert first.checkpoint_id == f"{job.job_id}:checkpoint-20"
    assert first.create_time is not None
    assert first.create_time.tzinfo is not None


async def test_no_checkpoints_and_odd_ones() -> None:
    """
    None, or an empty list, is none; a field that cannot be read is None and kept.
    """
    async with scripted(
        Answer({"request_id": "r", "output": None}),
        answer(),
        answer({"checkpoint": "a", "step": "9", "new": 1}, {}),
        answer("checkpoint-1"),
        Answer({"request_id": "r", "output": {"checkpoints": []}}),
    ) as server:
        fine_tunes = server.client().fine_tunes

        assert await fine_tunes.checkpoints("ft-1") == []
        assert await fine_tunes.checkpoints("ft-1") == []
        odd, nothing = await fine_tunes.checkpoints("ft-1")
        with pytest.raises(MalformedResponse) as first:
            await fine_tunes.checkpoints("ft-1")
        with pytest.raises(MalformedResponse) as second:
            await fine_tunes.checkpoints("ft-1")

    assert (odd.step, odd.extra) == (None, {"step": "9", "new": 1})
    assert nothing == Checkpoint()
    assert [first.value.path, second.value.path] == ["output[0]", "output"]


@pytest.mark.parametrize("row", [{}, {"step": 9}, {"checkpoint": "checkpoint-9", "step": 9}])
async def test_a_checkpoint_as_the_service_told_it(row: dict[str, object]) -> None:
    """
    A checkpoint's `to_dict()` has the fields that the service sent and no others, not even an
    empty name.
    """
    async with scripted(answer(row)) as server:
        [checkpoint] = await server.client().fine_tunes.checkpoints("ft-1")

    assert checkpoint.to_dict() == row


@pytest.mark.parametrize("body", [5, [1], {}, None, "x", {"foo": 1}], ids=str)
async def test_an_answer_that_is_no_list_of_checkpoints(body: object) -> None:
    """
    What is JSON of another shape is never taken for a job without checkpoints.
    """
    async with scripted(Answer(body)) as server:
        with pytest.raises(MalformedResponse):
            await server.client().fine_tunes.checkpoints("ft-1")


async def test_exporting_a_checkpoint() -> None:
    """
    An export is acknowledged at once, and waited for until the model has its name.
    """
    async with living() as life:
        job = await trained(life)
        checkpoint = (await life.client.fine_tunes.checkpoints(job))[-1]

        receipt = await life.client.fine_tunes.export_checkpoint(
            job, checkpoint, model_name="mine & yours"
        )
        exported = await life.client.fine_tunes.wait_for_export(job, checkpoint)

    assert (receipt.job_id, receipt.confirmed) == (job.job_id, True)
    assert exported.status == "SUCCEEDED"
    assert exported.model_display_name == "mine & yours"
    assert exported.model_name is not None
    assert life.account.books.exported == [job.job_id]


async def test_an_export_whose_answer_is_lost() -> None:
    """
    Exporting is a GET that publishes: after a lost answer it is not sent again.
    """
    faults = [
        Fault(operation="fine_tunes.export", lose="after"),
        Fault(operation="fine_tunes.export", lose="before"),
        Fault(operation="fine_tunes.export", torn=5),
        Fault(operation="fine_tunes.export", status=503, effect=True),
        Fault(operation="fine_tunes.export", body="<html>"),
        Fault(operation="fine_tunes.export", body={"request_id": "r", "output": "yes"}),
    ]
    for fault in faults:
        async with living() as life:
            job = await trained(life)
            life.emulator.inject(fault)

            with pytest.raises(OutcomeUnknown) as caught:
                await life.client.fine_tunes.export_checkpoint(
                    job, "checkpoint-20", model_name="mine"
                )

            assert life.asked["fine_tunes.export"] == 1
            assert "PROCESSING" in (caught.value.hint or "")


async def test_an_export_that_was_not_sent() -> None:
    """
    Where nothing listens, the export is tried again, and nothing is left in doubt.
    """
    async with scripted(HangUp()) as server:
        client = server.client()
        await server.stop()

        with pytest.raises(ConnectionFailed) as caught:
            await client.fine_tunes.export_checkpoint("ft-1", "checkpoint-1", model_name="mine")

    assert caught.value.attempts == 4
    assert server.requests == []


async def test_exporting_twice() -> None:
    """
    The service's refusal of a second export is an error of its own, with the job's status.
    """
    async with living() as life:
        job = await trained(life)
        await life.client.fine_tunes.export_checkpoint(job, "checkpoint-20", model_name="mine")

        with pytest.raises(StateConflict) as caught:
            await life.client.fine_tunes.export_checkpoint(job, "checkpoint-20", model_name="mine")
        with pytest.raises(NotFound):
            await life.client.fine_tunes.export_checkpoint(job, "checkpoint-7", model_name="mine")

    assert caught.value.job_status == "SUCCEEDED"
    assert life.account.books.exported == [job.job_id]


@pytest.mark.parametrize("name", ["", "..", "a/b", "a?b", "a#b", "%2e%2e", "a b", "ä", "a" * 200])
async def test_a_name_that_is_a_path(name: str) -> None:
    """
    A checkpoint's name is one segment of a path, or nothing is sent.
    """
    async with living() as life:
        with pytest.raises(InvalidArgument):
            await life.client.fine_tunes.export_checkpoint("ft-1", name, model_name="mine")
        with pytest.raises(InvalidArgument):
            await life.client.fine_tunes.wait_for_export("ft-1", name)

    assert not life.asked


async def test_a_checkpoint_of_another_job() -> None:
    """
    A checkpoint of one job is not exported from another, nor without a name for the model.
    """
    async with living() as life:
        other = Checkpoint(checkpoint="checkpoint-20", job_id="ft-2")

        with pytest.raises(InvalidArgument, match="ft-2"):
            await life.client.fine_tunes.export_checkpoint("ft-1", other, model_name="mine")
        with pytest.raises(InvalidArgument):
            await life.client.fine_tunes.export_checkpoint("ft-2", other, model_name="")
        with pytest.raises(InvalidArgument, match="model_name is missing"):
            await life.client.fine_tunes.export_checkpoint(
                "ft-2",
                other,
                model_name=None,  # type: ignore[arg-type]
            )
        with pytest.raises(TypeError):
            await life.client.fine_tunes.export_checkpoint(
                "ft-1",
                20,  # type: ignore[arg-type]
                model_name="mine",
            )

    assert not life.asked


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED"])
async def test_an_export_that_fails(status: str) -> None:
    """
    An export that ended otherwise raises, unless that is not to be checked.
    """
    async with scripted(answer({"checkpoint": "c-1", "status": status})) as server:
        fine_tunes = server.client().fine_tunes

        with pytest.raises(JobFailed, match=status) as caught:
            await fine_tunes.wait_for_export("ft-1", "c-1")
        unchecked = await fine_tunes.wait_for_export("ft-1", "c-1", check=False)

    assert caught.value.checkpoint == unchecked


async def test_an_export_that_takes_too_long() -> None:
    """
    Waiting for an export has a deadline, waits through blips, and knows the last status.
    """
    async with living() as life:
        job = await trained(life)
        await life.client.fine_tunes.export_checkpoint(job, "checkpoint-20", model_name="mine")
        life.emulator.inject(Fault(operation="fine_tunes.checkpoints", status=503, times=5))

        with pytest.raises(DeadlineExceeded) as caught:
            await life.client.fine_tunes.wait_for_export(job, "checkpoint-20", deadline=90.0)
        with pytest.raises(NotFound, match="checkpoint-7"):
            await life.client.fine_tunes.wait_for_export(job, "checkpoint-7")

    assert caught.value.last_status == "PROCESSING"


async def test_waiting_for_a_checkpoint_that_is_not_there() -> None:
    """
    A checkpoint that is not there is not found, as the service would say it.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["SUCCEEDED"])

        with pytest.raises(NotFound) as caught:
            await life.client.fine_tunes.wait_for_export(job_id, "checkpoint-7")

    assert caught.value.is_from_service
