from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest
from attrs import evolve

from dashscope_ft import (
    Creation,
    DashScopeError,
    FineTuneJob,
    InvalidArgument,
    OutcomeUnknown,
    QuotaExceeded,
)
from dashscope_ft.emulator import Fault

from .life import living
from .scripted import Answer, scripted

FOLDER = "a" * 1022 + "/"  # the longest there may be
CREATED = Answer({"request_id": "r", "output": {"job_id": "ft-1", "status": "PENDING"}})

EVERY_FIELD: dict[str, Any] = {
    "model": "qwen3-8b",
    "training_file_ids": ["file-1", "file-2"],
    "training_datasets": [{"data_source_type": "file_id", "file_id": "file-1"}],
    "validation_file_ids": ["file-3"],
    "validation_datasets": [{"data_source_type": "file_id", "file_id": "file-3"}],
    "hyper_parameters": {"n_epochs": 3, "learning_rate": "1.6e-5", "batch_size": "128"},
    "training_type": "efficient_sft",
    "job_name": "spring",
    "model_name": "my model",
    "finetuned_output_suffix": "spring01",
    "priority": "high",
}


async def test_every_field_is_sent_as_it_is() -> None:
    """
    Each documented field goes out under its own name and untouched, a newer one by `extra`.
    """
    async with scripted(CREATED) as server:
        job = await server.client().fine_tunes.create(**EVERY_FIELD, extra={"new": [1]})

    assert job.job_id == "ft-1"
    assert server.sent == ["POST /fine-tunes"]
    assert server.requests[0].json == EVERY_FIELD | {"new": [1]}


async def test_what_is_not_given_is_not_sent() -> None:
    """
    A creation holds the fields that were given, and no others.
    """
    async with scripted(CREATED) as server:
        await server.client().fine_tunes.create(model="qwen3-8b", training_file_ids=("file-1",))

    assert server.requests[0].json == {"model": "qwen3-8b", "training_file_ids": ["file-1"]}


async def test_no_files_to_validate_with() -> None:
    """
    An empty list of them, as the service itself answers, is none given, and is not sent.
    """
    async with scripted(CREATED) as server:
        await server.client().fine_tunes.create(
            model="qwen3-8b",
            training_file_ids=["file-1"],
            validation_file_ids=[],
            validation_datasets=(),
        )

    assert server.requests[0].json == {"model": "qwen3-8b", "training_file_ids": ["file-1"]}


async def test_what_extra_is_not_for() -> None:
    """
    A field that has a keyword is not set by `extra`, and the error names it.
    """
    async with living() as life:
        with pytest.raises(InvalidArgument, match="extra names model, job_name, for which there"):
            await life.job(extra={"job_name": "a", "model": "qwen-max", "new": 1})

    assert not life.asked


async def test_files_from_an_iterator() -> None:
    """
    Ids that can be read only once are all sent; an iterator without any is refused.
    """
    async with scripted(CREATED) as server:
        fine_tunes = server.client().fine_tunes
        ids: Any = (f"file-{number}" for number in range(3))
        await fine_tunes.create(model="qwen3-8b", training_file_ids=ids)
        with pytest.raises(InvalidArgument):
            await fine_tunes.create(model="qwen3-8b", training_file_ids=ids)

    [request] = server.requests
    assert request.json["training_file_ids"] == ["file-0", "file-1", "file-2"]


async def test_an_import_in_full() -> None:
    """
    An import is created from its base model, a folder of a bucket, and how it is called.
    """
    async with living() as life:
        job = await life.model_import(
            display_name="我的　模型", object_key=FOLDER, extra={"note": 1}
        )
        [request] = life.emulator.journal

    assert (job.status, job.weight_type) == ("PENDING", "lora")
    assert request.body == {
        "model_name": "qwen3-8b",
        "display_name": "我的　模型",
        "source": "oss",
        "weight_type": "lora",
        "storage_info": {"bucket_name": "weights", "object_key": FOLDER},
        "note": 1,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": ""},
        {"model": None},
        {"training_file_ids": None},
        {"training_file_ids": ["data.jsonl"]},
        {"validation_file_ids": ["runs/file-1"]},
        {"training_file_ids": []},
        {"training_file_ids": "file-1"},
        {"training_file_ids": [""]},
        {"training_datasets": {"file_id": "file-1"}},
        {"training_datasets": ["file-1"]},
        {"validation_file_ids": [""]},
        {"training_datasets": []},
        {"extra": {"new": 1, "model": "qwen-max"}},
        {"extra": {"job_name": None}},
        {"hyper_parameters": [("n_epochs", 3)]},
        {"hyper_parameters": {"learning_rate": float("nan")}},
        {"hyper_parameters": {"learning_rate": object()}},
        {"finetuned_output_suffix": "ninechars"},
        {"job_name": ""},
        {"extra": {"new": {1, 2}}},
        {"extra": 5},
        {"training_file_ids": 5},
        {"validation_datasets": 5},
        {"model": 5},
        {"job_name": 2024},
        {"job_name": "a\nb"},
        {"finetuned_output_suffix": 5},
    ],
)
async def test_a_job_that_cannot_be_created_as_it_is(wrong: dict[str, Any]) -> None:
    """
    What is missing, empty, too long, of another type or not JSON is refused; nothing is sent.
    """
    async with living() as life:
        with pytest.raises(InvalidArgument) as caught:
            await life.job(**wrong)

    assert caught.value.__context__ is None
    assert not life.asked


@pytest.mark.parametrize(
    "wrong",
    [
        {"model_name": ""},
        {"weight_type": "half"},
        {"bucket_name": ""},
        {"object_key": "mine"},
        {"object_key": "/"},
        {"object_key": "//"},
        {"object_key": ""},
        {"object_key": "a" * 1023 + "/"},
        {"object_key": "mine\n/"},
        {"display_name": "a" * 51},
        {"source": ""},
        {"source": 5},
        {"display_name": 5},
        {"object_key": 5},
        {"extra": 5},
        {"extra": {"model_name": "qwen-max"}},
        {"extra": {"storage_info": {"bucket_name": "another"}}},
        {"extra": {"bucket_name": "another"}},
        {"extra": {"object_key": "another/"}},
    ],
)
async def test_an_import_that_cannot_be_created_as_it_is(wrong: dict[str, Any]) -> None:
    """
    An import's fields are held to what the service documents, before anything is sent.
    """
    async with living() as life:
        with pytest.raises(InvalidArgument):
            await life.model_import(**wrong)

    assert not life.asked


async def test_a_thousand_faults_bill_nothing_twice(
    record_property: Callable[[str, object], None],
) -> None:
    """
    Whatever happens to a creation, at most one request took effect, and at most one was sent
    unless the service refused the others for their rate.
    """
    random = Random(4)
    ends = Counter[str]()
    took_effect = repeated = 0
    kinds: list[dict[str, Any]] = [
        {"lose": "before"},
        {"lose": "after"},
        {"lose": "after", "reset": True},
        {"torn": 0},
        {"torn": 40},
        {"torn": 40, "reset": True},
        {"status": 500},
        {"status": 502, "body": "<html>"},
        {"status": 503, "effect": True},
        {"status": 408},
        {"body": "<html>"},
        {"body": {"request_id": "r", "output": {}}},
        {"body": {"request_id": "r"}},
        {"status": 302, "headers": {"Location": "/elsewhere"}, "effect": False},
        {"status": 400},
        {"status": 429},
        {"status": 429, "headers": {"Retry-After": "3"}},
    ]
    async with living() as life:
        for number in range(1000):
            before = len(life.account.books.created)
            life.emulator.journal.clear()
            life.emulator.faults.clear()
            life.client._transport.shared.budget.earn(50)  # spent, it allows no repetition
            chosen = random.choices(kinds, k=random.randint(1, 3))
            life.emulator.inject(*[Fault(operation="fine_tunes.create", **kind) for kind in chosen])
            created: FineTuneJob | None = None
            error: DashScopeError | None = None
            try:
                created = await life.job(job_name=f"job {number}")
            except DashScopeError as caught:
                error = caught
            made = life.account.books.created[before:]
            sent = [request.status for request in life.emulator.journal]

            assert len(made) <= 1
            assert all(status == 429 for status in sent[:-1])
            if created:
                assert made == [created.job_id]
            elif made:
                assert isinstance(error, OutcomeUnknown)
                assert error.creation is not None
                assert error.creation.fields["job_name"] == f"job {number}"
            ends["created" if created else type(error).__name__] += 1
            took_effect += len(made)
            repeated += len(sent) > 1

    assert ends["created"] >= 20
    assert repeated >= 50
    record_property(
        "figure",
        f"1,000 creations under random faults: {repeated:,} were sent again after a refusal for "
        f"their rate, {took_effect:,} took effect, none of them twice; "
        f"{', '.join(f'{count:,} ended in {end}' for end, count in ends.most_common())}.",
    )


async def test_a_creation_that_was_provably_not_received() -> None:
    """
    Where nobody listened, the creation is sent again, once somebody does.
    """
    async with scripted(CREATED) as server:
        client = server.client()
        await server.stop()
        server.time.meanwhile = lambda: server.start() if len(server.time.slept) == 2 else None

        job = await client.fine_tunes.create(model="qwen3-8b", training_file_ids=["file-1"])

    assert job.job_id == "ft-1"
    assert len(server.time.slept) == 2
    assert len(server.requests) == 1


async def test_a_lost_job_is_found() -> None:
    """
    The job of a creation whose answer was lost is found by what was asked, and when.
    """
    async with living() as life:
        life.emulator.seed(jobs=300)
        await life.job(job_name="spring", hyper_parameters={"n_epochs": 3})
        life.clock.advance(3600)
        await life.job(job_name="autumn", hyper_parameters={"n_epochs": 4})
        life.emulator.inject(Fault(operation="fine_tunes.create", lose="after"))

        with pytest.raises(OutcomeUnknown) as caught:
            await life.job(job_name="autumn", hyper_parameters={"n_epochs": 3})
        lost = pickle.loads(pickle.dumps(caught.value))
        life.clock.advance(3600)
        await life.job(job_name="autumn", hyper_parameters={"n_epochs": 3})
        [found] = await life.client.fine_tunes.reconcile_create(lost)

    assert found.job_id == life.account.books.created[-2]
    assert "autumn" in str(lost)
    assert "2026-01-01 09:00 UTC+08:00" in str(lost)
    assert "reconcile_create" in str(lost)


async def test_a_lost_job_is_found_by_a_clock_that_was_set_back() -> None:
    """
    The time between asking and giving up counts whichever way it ran.
    """
    async with living() as life:
        life.emulator.inject(Fault(operation="fine_tunes.create", lose="after"))
        with pytest.raises(OutcomeUnknown) as caught:
            await life.job()
        creation = caught.value.creation
        assert creation is not None
        ahead = evolve(creation, begun=creation.begun + timedelta(hours=1))
        [found] = await life.client.fine_tunes.reconcile_create(ahead)

    assert found.job_id == life.account.books.created[-1]


async def test_a_job_that_never_was_is_not_found() -> None:
    """
    Where the request was lost on its way there, there is no candidate.
    """
    async with living() as life:
        life.emulator.inject(
            Fault(operation="fine_tunes.create", lose="before"),
            Fault(operation="imports.create", lose="before"),
        )
        with pytest.raises(OutcomeUnknown) as job:
            await life.job()
        with pytest.raises(OutcomeUnknown) as model:
            await life.model_import()
        life.emulator.seed(jobs=50, imports=50)

        assert await life.client.fine_tunes.reconcile_create(job.value) == []
        assert await life.client.imports.reconcile_create(model.value) == []


async def test_a_lost_import_is_found() -> None:
    """
    The import of a creation whose answer was lost is found, although the service gives imports
    names of its own.
    """
    async with living() as life:
        await life.model_import(object_key="other/")
        life.emulator.inject(Fault(operation="imports.create", lose="after"))

        with pytest.raises(OutcomeUnknown) as caught:
            await life.model_import(display_name="mine")
        [found] = await life.client.imports.reconcile_create(caught.value)

    assert found.job_id == life.account.books.created[-1]
    assert "weights/mine/" in str(caught.value)


async def test_jobs_of_other_times_are_not_looked_at_closely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    In a large account, the fields of a job are compared only if its time is near.
    """
    async with living() as life:
        life.emulator.seed(jobs=300)
        life.clock.advance(3600)
        life.emulator.inject(Fault(operation="fine_tunes.create", lose="after"))
        with pytest.raises(OutcomeUnknown) as caught:
            await life.job()
        compared: list[str] = []
        to_dict = FineTuneJob.to_dict

        def noted(job: FineTuneJob) -> dict[str, Any]:
            compared.append(job.job_id)
            return to_dict(job)

        monkeypatch.setattr(FineTuneJob, "to_dict", noted)
        [found] = await life.client.fine_tunes.reconcile_create(caught.value)

    assert compared == [found.job_id]


async def test_equal_jobs_are_all_candidates() -> None:
    """
    Two equal jobs of the same minutes are both named, the nearer first: nobody guesses.
    """
    async with living() as life:
        twin = await life.job()
        life.clock.advance(60)
        life.emulator.inject(Fault(operation="fine_tunes.create", lose="after"))

        with pytest.raises(OutcomeUnknown) as caught:
            await life.job()
        candidates = await life.client.fine_tunes.reconcile_create(caught.value)

    assert [job.job_id for job in candidates] == [life.account.books.created[-1], twin.job_id]


async def test_looking_for_what_was_not_created() -> None:
    """
    An error of another operation has nothing to look for.
    """
    async with living() as life:
        with pytest.raises(InvalidArgument):
            await life.client.fine_tunes.reconcile_create(OutcomeUnknown("a deletion"))


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("job", "could_be"),
    [
        ({}, True),
        ({"model": None, "base_model": None}, True),
        ({"model": "qwen3-8b-v2", "base_model": "qwen3-8b"}, True),
        ({"model": "qwen3-14b", "base_model": "qwen3-14b"}, False),
        ({"training_file_ids": []}, True),
        ({"training_file_ids": ["file-2"]}, False),
        ({"training_file_ids": ["file-1", "file-2"]}, False),
        ({"hyper_parameters": {"learning_rate": 1.6e-05, "added": 1}}, True),
        ({"hyper_parameters": {"learning_rate": 2e-05}}, False),
        # A value that was sent as null is the service's choice.
        ({"hyper_parameters": {"learning_rate": 1.6e-05, "seed": 42}}, True),
        ({"job_name": "autumn"}, False),
        ({"create_time": None}, True),
        ({"create_time": NOON + timedelta(minutes=9)}, True),
        ({"create_time": NOON - timedelta(minutes=9)}, True),
        ({"create_time": NOON + timedelta(minutes=11)}, False),
        # The wall clock of UTC or of UTC+8, whichever the region means.
        ({"create_time": NOON - timedelta(hours=8)}, False),
        ({"create_time": NOON.replace(tzinfo=timezone(timedelta(hours=8)))}, True),
        ({"create_time": NOON + timedelta(hours=8)}, True),
        ({"create_time": NOON.replace(tzinfo=UTC) + timedelta(hours=8)}, True),
    ],
)
def test_what_speaks_against_a_candidate(job: dict[str, Any], could_be: bool) -> None:
    """
    A job may be the one unless something that it tells is something else.
    """
    creation = Creation(
        fields={
            "model": "qwen3-8b",
            "training_file_ids": ["file-1"],
            "hyper_parameters": {"learning_rate": "1.6e-5", "seed": None},
            "job_name": "spring",
        },
        begun=NOON,
        ended=NOON,
    )
    told: dict[str, Any] = {
        "model": "qwen3-8b",
        "training_file_ids": ["file-1"],
        "hyper_parameters": {"learning_rate": "1.6e-5"},
        "job_name": "spring",
        "create_time": NOON,
    }

    assert creation.could_be(FineTuneJob(job_id="ft-1", **(told | job))) is could_be


async def test_a_full_quota_is_an_error_at_once() -> None:
    """
    Too many running jobs are an error, sent once, unless waiting was asked for.
    """
    async with living() as life:
        life.account.rules.running_quota = 1
        await life.job()

        with pytest.raises(QuotaExceeded):
            await life.job()

    assert life.asked == {"fine_tunes.create": 2}
    assert life.slept == []


async def test_waiting_for_capacity() -> None:
    """
    On request a creation waits until a running job has ended, with few attempts of its own.
    """
    async with living() as life:
        life.account.rules.running_quota = 2
        first, _ = await life.job(), await life.job()
        life.emulator.journal.clear()
        life.emulator.inject(Fault(operation="fine_tunes.list", every=7, times=None, status=503))

        job = await life.job(wait_for_capacity=3600.0)
        ended = await life.client.fine_tunes.get(first)

    assert job.status == "PENDING"
    assert ended.is_finished
    assert life.asked["fine_tunes.create"] == 3
    assert life.asked["fine_tunes.get"] == 1


async def test_waiting_for_capacity_through_an_outage() -> None:
    """
    While nobody can be asked who runs, a waiting creation asks again after its usual pause.
    """
    async with living() as life:
        life.account.rules.running_quota = 1
        await life.job()
        life.emulator.inject(Fault(operation="fine_tunes.list", times=8, status=503))

        job = await life.job(wait_for_capacity=3600.0)

    assert job.status == "PENDING"
    assert life.slept[3] == life.slept[7] == max(life.slept)


async def test_capacity_that_does_not_come() -> None:
    """
    Where no capacity comes in time, the quota's own error is raised.
    """
    async with living() as life:
        life.account.rules.running_quota = 1
        await life.job()

        with pytest.raises(QuotaExceeded) as caught:
            await life.job(wait_for_capacity=300.0)

    assert sum(life.slept) == 300.0
    assert "No running job ended" in str(caught.value)
    assert len(life.account.books.created) == 1


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan"), "300"])
async def test_a_wait_for_capacity_that_cannot_be(seconds: Any) -> None:
    """
    A wait for capacity that is no number of seconds above 0 is refused by that name, and nothing
    is sent.
    """
    async with living() as life:
        with pytest.raises(InvalidArgument, match="wait_for_capacity must be"):
            await life.job(wait_for_capacity=seconds)

    assert not life.asked


async def test_a_quota_of_kept_jobs_is_not_waited_for() -> None:
    """
    A quota that only deletion clears is an error at once, whatever was asked for.
    """
    async with living() as life:
        life.account.rules.job_quota = 1
        await life.client.fine_tunes.wait(await life.job())
        life.slept.clear()

        with pytest.raises(QuotaExceeded):
            await life.job(wait_for_capacity=3600.0)

    assert life.slept == []
    assert life.asked["fine_tunes.create"] == 2


async def test_no_running_job_is_in_the_way() -> None:
    """
    Where the service refuses although nothing runs, waiting would be for nothing.
    """
    async with living() as life:
        life.account.rules.running_quota = 0

        with pytest.raises(QuotaExceeded):
            await life.job(wait_for_capacity=3600.0)

    assert life.slept == []
    assert life.asked == {"fine_tunes.create": 2, "fine_tunes.list": 1}


async def test_a_job_that_ends_while_the_service_refuses() -> None:
    """
    A place that becomes free between the refusal and the look at who runs is not missed.
    """
    async with living() as life:
        life.account.rules.running_quota = 2
        first, _ = await life.job(), await life.job()
        seen = life.emulator.journal.first(lambda request: request.operation == "fine_tunes.list")
        seen.add_done_callback(lambda _: life.account.set_status(first.job_id, "SUCCEEDED"))

        await life.job(wait_for_capacity=3600.0)

    assert life.slept == []


async def test_the_nearer_of_two_candidates_comes_first() -> None:
    """
    Near in time counts, not new: the listing's order is another.
    """
    async with living() as life:
        life.emulator.inject(Fault(operation="fine_tunes.create", lose="after"))
        with pytest.raises(OutcomeUnknown) as caught:
            await life.job()
        life.clock.advance(60)
        later = await life.job()
        candidates = await life.client.fine_tunes.reconcile_create(caught.value)

    assert [job.job_id for job in candidates] == [life.account.books.created[0], later.job_id]


async def test_how_long_a_creation_was_tried() -> None:
    """
    Pauses before the attempt that was lost belong to the time of asking.
    """
    async with living() as life:
        life.emulator.inject(
            Fault(operation="fine_tunes.create", status=429, headers={"Retry-After": "30"}),
            Fault(operation="fine_tunes.create", lose="after"),
        )
        with pytest.raises(OutcomeUnknown) as caught:
            await life.job()

    creation = caught.value.creation
    assert creation is not None
    assert creation.ended - creation.begun == timedelta(seconds=30)


async def test_a_creation_follows_the_end_that_makes_room_at_once() -> None:
    """
    No pause lies between the look that sees a job ended and the next attempt.
    """
    async with living() as life:
        life.account.rules.running_quota = 1
        first = await life.job()
        job = await life.job(wait_for_capacity=3600.0)
        ended = await life.client.fine_tunes.get(first)

    assert job.create_time is not None
    assert ended.end_time is not None
    assert job.create_time - ended.end_time < timedelta(seconds=15)


async def test_fields_nested_too_deeply_to_be_sent() -> None:
    """
    Fields nested too deeply to be sent are refused as any others that are not JSON.
    """
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    async with living() as life:
        with pytest.raises(InvalidArgument):
            await life.job(extra={"new": deep})

    assert not life.asked
