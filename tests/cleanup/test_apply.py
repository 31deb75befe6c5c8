from __future__ import annotations

import asyncio
import itertools
import json
import os
import stat
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import define, evolve

from dashscope_ft.bulk import Stopping
from dashscope_ft.cleanup import Patience, Plan, Selection, apply_plan
from dashscope_ft.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    DashScopeError,
    GuardExceeded,
    NotFound,
    PermissionDenied,
    PlanRefused,
    ServiceError,
    StateConflict,
)
from dashscope_ft.models import FineTuneJob
from dashscope_ft.outcomes import Outcome, Report

from ..hourglass import Hourglass
from .world import NOW, URL, World, a_plan, a_world

ALL = Selection(status={"FAILED", "CANCELED", "RUNNING", "PENDING", "CANCELING"})


def patience(deadline: float = 60) -> Patience:
    ticks = itertools.count()

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    return Patience(
        deadline=deadline, poll_interval=1, clock=lambda: float(next(ticks)), sleep=sleep
    )


async def applied(world: World, plan: Plan, **options: Any) -> Report:
    options = {
        "noun": "fine_tunes",
        "base_url": URL,
        "workspace": None,
        "concurrency": 3,
        "max_percent": 100,
        "patience": patience(),
        "now": lambda: NOW,
    } | options
    return await apply_plan(plan, world, **options)


def results(report: Report) -> dict[str, str]:
    return {o.job_id: f"{o.result}: {o.reason}" for o in report.outcomes}


async def turns(n: int = 30) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def test_what_the_plan_names_is_deleted_and_nothing_else() -> None:
    """
    The jobs of the plan go, each confirmed, and the others stay.
    """
    world = a_world("FAILED", "SUCCEEDED", "CANCELED", "RUNNING", "FAILED")
    told: list[Outcome] = []

    report = await applied(world, await a_plan(world), on_outcome=told.append)

    assert results(report) == dict.fromkeys(("ft-0", "ft-2", "ft-4"), "done: confirmed")
    assert set(world.jobs) == {"ft-1", "ft-3"}
    assert list(report.outcomes) == told
    assert all(o.request_id and o.job for o in report.outcomes)


def changed(**facts: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.jobs["ft-0"] = evolve(world.jobs["ft-0"], **facts)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda world: world.remove("ft-0", "other"), "skipped: already_gone"),
        (changed(status="SUCCEEDED"), "skipped: changed"),
        (changed(status="CANCELED"), "skipped: changed"),
        (changed(status="RUNNING"), "skipped: changed"),
        (changed(create_time=NOW), "skipped: changed"),
        (changed(end_time=NOW + timedelta(seconds=1)), "skipped: changed"),
        (changed(finetuned_output="something"), "skipped: changed"),
        (changed(job_name="keep this one"), "skipped: changed"),
        (changed(model="qwen3-32b"), "skipped: changed"),
        (changed(job_name="prod-7"), "skipped: protected"),
        (changed(job_name=None, extra={"job_name": 7}), "skipped: undecidable"),
        (changed(creator="somebody else"), "skipped: changed"),
        (changed(hyper_parameters={"x": 1}), "done: confirmed"),
    ],
)
async def test_a_job_that_is_no_longer_what_it_was(
    change: Callable[[World], None], expected: str
) -> None:
    """
    A job that is gone, differs from the plan or has become protected is skipped, and says so.
    """
    world = a_world("FAILED", "FAILED")
    for job in world.jobs.values():
        job.creator = "me"
    plan = await a_plan(world, Selection(protect="prod-*", creator="me"))
    change(world)

    report = await applied(world, plan)

    assert results(report) == {"ft-0": expected, "ft-1": "done: confirmed"}
    assert ("ft-0" in world.jobs) == (expected not in ("done: confirmed", "skipped: already_gone"))


async def test_a_time_that_cannot_be_read_any_more() -> None:
    """
    A job that had no end when it was planned, and has an unreadable one now, is left alone.
    """
    world = a_world("FAILED")
    changed(end_time=None)(world)
    plan = await a_plan(world)
    changed(extra={"end_time": "yesterday"})(world)

    report = await applied(world, plan)

    assert results(report) == {"ft-0": "skipped: undecidable"}
    assert world.calls["delete"] == 0


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (NotFound("gone", code="NotFound"), "skipped: already_gone"),
        (NotFound("a gateway's page", status=404), "failed: NotFound"),
        (StateConflict("no", code="UnsupportedOperation"), "skipped: state"),
        (PermissionDenied("no", code="AccessDenied"), "failed: AccessDenied"),
        (ServiceError("oops", code="InternalError"), "failed: InternalError"),
        ("lost before", "failed: unknown_outcome"),
        ("lost after", "failed: unknown_outcome"),
    ],
)
async def test_a_deletion_that_fails(fault: Any, expected: str) -> None:
    """
    What the service answers to a deletion is told as it is, and the others go on.
    """
    world = a_world("FAILED", "FAILED")
    plan = await a_plan(world)
    world.faults["ft-0"] = deque([fault])

    report = await applied(world, plan)

    assert results(report) == {"ft-0": expected, "ft-1": "done: confirmed"}


@pytest.mark.parametrize("options", [{"max_deletes": 1}, {"max_percent": 49}])
async def test_guards_come_before_anything(options: dict[str, Any], tmp_path: Path) -> None:
    """
    A plan beyond its bounds is refused without a request and without a journal.
    """
    world = a_world("FAILED", "FAILED")
    journal = tmp_path / "journal"

    with pytest.raises(GuardExceeded):
        await applied(world, await a_plan(world), journal=journal, **options)

    assert world.requests == 0
    assert not journal.exists()


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "https://dashscope.aliyuncs.com/api/v1"},
        {"workspace": "ws-1"},
        {"noun": "imports"},
        {"now": lambda: NOW + timedelta(hours=25)},
    ],
)
async def test_a_plan_from_elsewhere_is_refused(options: dict[str, Any]) -> None:
    """
    A plan for another place, noun or day is refused without a request.
    """
    world = a_world("FAILED")

    with pytest.raises(PlanRefused):
        await applied(world, await a_plan(world), **options)

    assert world.requests == 0


async def test_a_refused_key_stops_the_run() -> None:
    """
    After a refused key no deletion begins, and the rest is accounted for as not attempted.
    """
    world = a_world(*["FAILED"] * 50)
    plan = await a_plan(world)
    error = AuthenticationFailed("Invalid API-key", code="InvalidApiKey")
    for job_id in [entry.job_id for entry in plan.entries][10:]:
        world.faults[job_id] = deque([error])

    report = await applied(world, plan, max_deletes=50)

    assert report.selected == 50
    assert report.done == 10
    assert 1 <= report.reasons["InvalidApiKey"] <= 3
    assert report.reasons["not_attempted"] == 40 - report.reasons["InvalidApiKey"]


async def test_running_jobs_stay_unless_asked_for() -> None:
    """
    A job that is not finished is skipped for its state, though the plan names it.
    """
    world = a_world("RUNNING", "PENDING", "FAILED")

    report = await applied(world, await a_plan(world, ALL))

    assert results(report) == {
        "ft-0": "skipped: state",
        "ft-1": "skipped: state",
        "ft-2": "done: confirmed",
    }
    assert world.calls["cancel"] == 0


async def test_running_jobs_are_cancelled_then_deleted_on_request() -> None:
    """
    On request a running job is cancelled, waited for, and deleted once it is cancelled.
    """
    world = a_world("RUNNING", "PENDING", "FAILED", "CANCELING")

    report = await applied(world, await a_plan(world, ALL), cancel_running=True)

    assert report.reasons == {"confirmed": 4}
    assert world.calls["cancel"] == 2
    assert not world.jobs


async def test_a_job_that_is_not_cancelled_in_time_stays() -> None:
    """
    At the deadline a job that is still being cancelled is skipped for its state.
    """
    world = a_world("RUNNING")
    world.cancelling_for = 1000

    report = await applied(
        world, await a_plan(world, ALL), cancel_running=True, patience=patience(20)
    )

    assert results(report) == {"ft-0": "skipped: state"}
    assert world.jobs["ft-0"].status == "CANCELING"


async def test_a_job_that_succeeds_instead_of_being_cancelled_stays() -> None:
    """
    A running job that succeeded before the cancellation is not deleted.
    """

    def succeed(world: World) -> None:
        world.jobs["ft-0"] = evolve(world.jobs["ft-0"], status="SUCCEEDED", end_time=NOW)

    for request in (2, 3, 4):
        world = a_world("RUNNING")
        plan = await a_plan(world, ALL)
        world.drift[request] = succeed

        report = await applied(world, plan, cancel_running=True)

        assert results(report) == {"ft-0": "skipped: state"}
        assert world.jobs["ft-0"].status == "SUCCEEDED"


@pytest.mark.parametrize("fault", ["lost before", "lost after"])
async def test_a_cancellation_whose_answer_was_lost_is_looked_up(fault: Any) -> None:
    """
    If nobody knows whether a job was cancelled, looking at it tells.
    """
    world = a_world("RUNNING")
    plan = await a_plan(world, ALL)
    world.faults["ft-0"] = deque([fault])

    report = await applied(world, plan, cancel_running=True)

    expected = "done: confirmed" if fault == "lost after" else "skipped: state"
    assert results(report) == {"ft-0": expected}


async def test_a_job_cancelled_by_somebody_else_has_changed() -> None:
    """
    A cancellation that was not ours is a change since the plan.
    """
    world = a_world("RUNNING")
    plan = await a_plan(world, ALL)
    world.jobs["ft-0"] = evolve(world.jobs["ft-0"], status="CANCELED", end_time=NOW)

    report = await applied(world, plan, cancel_running=True)

    assert results(report) == {"ft-0": "skipped: changed"}


async def test_a_second_run_takes_up_the_first(tmp_path: Path) -> None:
    """
    What was done stands without a request; what failed is tried again; all are in the report.
    """
    world = a_world(*["FAILED"] * 5, "RUNNING")
    plan = await a_plan(world, ALL)
    world.faults["ft-1"] = deque([PermissionDenied("no", code="AccessDenied")])
    world.faults["ft-2"] = deque(["lost before"])
    world.faults["ft-3"] = deque(["lost after"])
    world.remove("ft-4", "other")
    journal = tmp_path / "journal"

    first = await applied(world, plan, journal=journal)
    requests = world.requests
    second = await applied(world, plan, journal=journal, cancel_running=True)

    assert results(first) == {
        "ft-0": "done: confirmed",
        "ft-1": "failed: AccessDenied",
        "ft-2": "failed: unknown_outcome",
        "ft-3": "failed: unknown_outcome",
        "ft-4": "skipped: already_gone",
        "ft-5": "skipped: state",
    }
    assert results(second) == {
        "ft-0": "done: confirmed",
        "ft-1": "done: confirmed",
        "ft-2": "done: confirmed",
        "ft-3": "done: inferred",
        "ft-4": "skipped: already_gone",
        "ft-5": "done: confirmed",
    }
    # Two looks and deletions, one look, and a cancellation with its looks.
    assert world.requests - requests == 2 * 2 + 1 + 5

    third = await applied(world, plan, journal=journal)
    assert results(third) == results(second)
    assert world.requests - requests == 2 * 2 + 1 + 5


async def test_a_failure_of_the_service_may_be_a_deletion_of_ours(tmp_path: Path) -> None:
    """
    A failure of the service does not prove that nothing happened: a job that is gone by the next
    run was deleted by the first, as far as anybody can tell.
    """
    world, journal = a_world("FAILED"), tmp_path / "journal"
    plan = await a_plan(world)
    world.faults["ft-0"] = deque([ServiceError("oops", code="InternalError", status=500)])

    first = await applied(world, plan, journal=journal)
    world.remove("ft-0", "nobody knows who")
    second = await applied(world, plan, journal=journal)

    assert results(first) == {"ft-0": "failed: InternalError"}
    assert results(second) == {"ft-0": "done: inferred"}


async def test_a_refusal_is_no_deletion_of_ours(tmp_path: Path) -> None:
    """
    A job that somebody else deleted after our deletion was refused is called gone, not ours.
    """
    world = a_world("FAILED", "FAILED")
    plan = await a_plan(world)
    world.faults["ft-0"] = deque([PermissionDenied("no", code="AccessDenied")])
    journal = tmp_path / "journal"

    await applied(world, plan, journal=journal)
    world.remove("ft-0", "other")
    report = await applied(world, plan, journal=journal)

    assert results(report)["ft-0"] == "skipped: already_gone"


async def test_a_journal_in_use_is_refused(tmp_path: Path) -> None:
    """
    Two runs of one plan at the same time are refused before the second has done anything.
    """
    world = a_world("FAILED")
    plan = await a_plan(world)
    journal = tmp_path / "journal"
    first = asyncio.create_task(applied(world, plan, journal=journal))
    await turns(2)

    with pytest.raises(PlanRefused, match="Another run"):
        await applied(world, plan, journal=journal)

    assert (await first).done == 1


def fill_disk(monkeypatch: pytest.MonkeyPatch, *, after: int) -> None:
    written = 0

    def full(file: int) -> None:
        nonlocal written
        written += stat.S_ISREG(os.fstat(file).st_mode)
        if written > after:
            raise OSError("disk full")

    monkeypatch.setattr("os.fsync", full)


async def test_a_new_journal_is_on_disk_before_any_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The folder of a new journal is written to disk, too, or a power cut could take the file away.
    """
    world = a_world("FAILED")
    plan = await a_plan(world)
    synced: list[int] = []

    def note(file: int) -> None:
        if os.path.samestat(os.fstat(file), tmp_path.stat()):
            synced.append(world.requests)

    monkeypatch.setattr("os.fsync", note)
    for _ in range(2):
        await applied(world, plan, journal=tmp_path / "journal")

    assert synced == [0]


async def test_a_journal_without_a_folder_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A bare name is a journal where the program runs.
    """
    monkeypatch.chdir(tmp_path)
    world = a_world("FAILED")

    report = await applied(world, await a_plan(world), journal="plan.journal")

    assert results(report) == {"ft-0": "done: confirmed"}
    assert os.listdir(tmp_path) == ["plan.journal"]


async def test_a_journal_that_cannot_be_written_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Without its intent on disk no deletion begins, and the error of the disk is raised.
    """
    world = a_world(*["FAILED"] * 9)
    plan = await a_plan(world)
    fill_disk(monkeypatch, after=3)

    with pytest.raises(OSError, match=r"disk full|nothing may follow") as caught:
        await applied(world, plan, journal=tmp_path / "journal", concurrency=1)

    assert len(world.deletions) == 1
    assert vars(caught.value)["report"].reasons == {"not_attempted": 8, "confirmed": 1}


async def test_answers_that_came_when_the_disk_was_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Answers that could not be written down are told as missing in the journal, and not as an
    interruption, which nobody made.
    """
    world = a_world(*["FAILED"] * 9)
    plan = await a_plan(world)
    fill_disk(monkeypatch, after=4)

    with pytest.raises(OSError, match=r"journal .* cannot be written: disk full") as caught:
        await applied(world, plan, journal=tmp_path / "journal")

    report = vars(caught.value)["report"]
    assert (report.selected, report.reasons["unknown_outcome"]) == (9, 3)
    for outcome in report.outcomes:
        if outcome.reason == "unknown_outcome":
            assert str(outcome.error) == (
                f"What came of {outcome.job_id} could not be written to the journal."
                " Apply the plan again; it checks this job first."
            )


async def test_cancelling_starts_no_deletion(tmp_path: Path) -> None:
    """
    A cancelled run sends no deletion after that, ends those it sent, and writes them down.
    """
    for moment in range(1, 60):
        world = a_world(*["FAILED"] * 6)
        plan = await a_plan(world)
        told: list[Outcome] = []
        journal = tmp_path / f"journal-{moment}"
        task = asyncio.create_task(applied(world, plan, journal=journal, on_outcome=told.append))
        await turns(moment)

        task.cancel()
        await turns(1)
        begun = world.begun["delete"]
        with pytest.raises(asyncio.CancelledError):
            await task
        lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
        written = {line["outcome"]["job_id"] for line in lines if "outcome" in line}
        ids = [o.job_id for o in told]

        assert world.begun["delete"] == begun
        assert len(ids) == len(set(ids))
        assert set(world.deletions) == {o.job_id for o in told if o.result == "done"}
        assert {o.job_id for o in told if o.reason != "not_attempted"} == written
        assert asyncio.all_tasks() == {asyncio.current_task()}

        report = await applied(world, plan, journal=journal)
        assert report.reasons == {"confirmed": 6}
        if len(ids) == 6 and all(o.result == "done" for o in told):
            break


async def test_an_interrupted_run_cancels_no_job() -> None:
    """
    A run that is interrupted at any moment begins no cancellation after that, and waits for none.
    """
    for moment in itertools.count(1):
        world = a_world(*["RUNNING"] * 4)
        plan = await a_plan(world, ALL)
        task = asyncio.create_task(applied(world, plan, cancel_running=True, concurrency=2))
        await turns(moment)
        if task.done():
            break

        task.cancel()
        await turns(1)
        begun = world.begun["cancel"], world.begun["delete"]
        report, _ = await interrupted(task)

        assert (world.begun["cancel"], world.begun["delete"]) == begun
        assert set(world.deletions) == {o.job_id for o in report.outcomes if o.result == "done"}
        touched = {job.job_id for job in world.jobs.values() if job.status != "RUNNING"}
        assert touched <= {o.job_id for o in report.outcomes if o.reason == "unknown_outcome"}
        assert set(report.reasons) <= {"confirmed", "not_attempted", "unknown_outcome"}
        assert report.selected == 4


async def test_a_job_that_an_earlier_run_cancelled(tmp_path: Path) -> None:
    """
    A job that an earlier run cancelled is deleted by a run that may cancel, as that one was; any
    other run leaves it alone.
    """
    world = a_world("RUNNING")
    plan, journal = await a_plan(world, ALL), tmp_path / "journal"
    task = asyncio.create_task(applied(world, plan, cancel_running=True, journal=journal))
    while not world.calls["cancel"]:
        await turns(1)
    report, _ = await interrupted(task)
    world.jobs["ft-0"].status, world.jobs["ft-0"].end_time = "CANCELED", NOW

    assert results(report) == {"ft-0": "failed: unknown_outcome"}
    assert "may have been; it was not deleted" in str(report.outcomes[0].error)
    without = await applied(world, plan, journal=journal)
    assert results(without) == {"ft-0": "skipped: state"}
    consenting = await applied(world, plan, cancel_running=True, journal=journal)
    assert results(consenting) == {"ft-0": "done: confirmed"}


async def test_a_job_of_the_hour_that_comes_twice(tmp_path: Path) -> None:
    """
    As clocks are set back, a time in a zone and the same time in UTC are equal all the same.
    """
    time = datetime(2025, 10, 26, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    world = a_world("FAILED")
    changed(create_time=time, end_time=time)(world)
    plan = await a_plan(world)
    plan.save(tmp_path / "plan")

    loaded = Plan.load(tmp_path / "plan")

    assert loaded == plan
    assert results(await applied(world, loaded)) == {"ft-0": "done: confirmed"}


async def interrupted(task: asyncio.Task[Report]) -> tuple[Report, list[str]]:
    """
    Cancel a run, and give the report and the notes that it raises with.
    """
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    report = vars(caught.value)["report"]
    assert isinstance(report, Report)
    return report, caught.value.__notes__


async def test_an_interrupted_run_is_raised_with_its_report() -> None:
    """
    Whoever interrupts a run learns what became of each planned job, without having listened.
    """
    world = a_world(*["FAILED"] * 20)
    plan = await a_plan(world)
    world.remove("ft-19", "other")  # the oldest, and so the first
    world.faults["ft-18"] = deque([PermissionDenied("no", code="AccessDenied")])
    task = asyncio.create_task(applied(world, plan))
    while len(world.deletions) < 7:
        await turns(1)

    report, notes = await interrupted(task)

    assert sorted(results(report)) == sorted(entry.job_id for entry in plan.entries)
    assert {o.job_id for o in report.outcomes if o.result == "done"} == set(world.deletions)
    assert report.reasons["not_attempted"] == 18 - report.done
    assert notes == [
        f"Of 20 jobs planned: 1 already_gone, 1 failed, {report.done} done,"
        f" {18 - report.done} not_attempted."
    ]


async def test_an_interrupted_run_tells_what_its_journal_knows(tmp_path: Path) -> None:
    """
    A job that an earlier run deleted counts as done, though this one never came to it.
    """
    world = a_world(*["FAILED"] * 5)
    plan, journal = await a_plan(world), tmp_path / "journal"
    first = await applied(world, plan, journal=journal)
    task = asyncio.create_task(applied(world, plan, journal=journal, concurrency=1))
    await turns(1)

    report, notes = await interrupted(task)

    assert results(report) == results(first) == dict.fromkeys(world.deletions, "done: confirmed")
    assert notes == ["Of 5 jobs planned: 5 done."]


async def test_what_does_not_end_in_time_is_not_lost(tmp_path: Path) -> None:
    """
    A deletion that is cut off after a cancellation is unknown, and settled by the next run.
    """
    world = a_world("FAILED", "FAILED")
    plan = await a_plan(world)
    told: list[Outcome] = []
    hang = asyncio.Event()
    delete = world.delete

    async def slow_delete(job_id: str, stopping: Any) -> Any:
        receipt = await delete(job_id, stopping)
        await hang.wait()
        return receipt

    world_that_hangs: Any = type("Hanging", (), {"get": world.get, "delete": slow_delete})
    task = asyncio.create_task(
        applied(
            world_that_hangs,
            plan,
            journal=tmp_path / "journal",
            grace=0.01,
            on_outcome=told.append,
        )
    )
    await turns()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [f"{o.result}: {o.reason}" for o in told] == ["failed: unknown_outcome"] * 2
    report = await applied(world, plan, journal=tmp_path / "journal")
    assert results(report) == dict.fromkeys(("ft-0", "ft-1"), "done: inferred")


async def test_a_callback_that_fails_stops_the_run() -> None:
    """
    If the caller's own function raises, the run stops and that is raised.
    """
    world = a_world(*["FAILED"] * 20)

    def fail(_: Outcome) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await applied(world, await a_plan(world), on_outcome=fail)

    assert len(world.deletions) <= 4


async def test_nothing_to_delete_is_an_empty_report() -> None:
    """
    An empty plan needs no request.
    """
    world = a_world("SUCCEEDED")

    report = await applied(world, await a_plan(world))

    assert report.selected == 0
    assert world.requests == 0


async def test_the_errors_of_a_report_can_be_raised() -> None:
    """
    A caller who wants an exception for failures gets the first one.
    """
    world = a_world("FAILED")
    plan = await a_plan(world)
    world.faults["ft-0"] = deque([PermissionDenied("no", code="AccessDenied")])

    report = await applied(world, plan)

    with pytest.raises(DashScopeError, match="AccessDenied"):
        report.raise_for_failures()


@pytest.mark.parametrize("moment", range(12))
async def test_interrupted_while_taking_up_what_is_done(tmp_path: Path, moment: int) -> None:
    """
    A run cut off at once still tells of each job what the journal knows, not that it was left.
    """
    world = a_world("FAILED", "FAILED", "FAILED")
    plan, journal = await a_plan(world), tmp_path / "journal"
    world.faults["ft-1"] = deque(["lost after"])
    stands = dict.fromkeys(("ft-0", "ft-2"), "done: confirmed")
    first = results(await applied(world, plan, journal=journal))
    told: list[Outcome] = []
    task = asyncio.create_task(applied(world, plan, journal=journal, on_outcome=told.append))
    await turns(moment)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert first == stands | {"ft-1": "failed: unknown_outcome"}
    for outcome in told:
        now = f"{outcome.result}: {outcome.reason}"
        if outcome.job_id == "ft-1":
            assert now in ("failed: unknown_outcome", "done: inferred")
        else:
            assert now == "done: confirmed"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (changed(finetuned_output="something"), "skipped: changed"),
        (changed(create_time=NOW), "skipped: changed"),
        (changed(job_name="prod-7"), "skipped: protected"),
        (changed(hyper_parameters={"x": 1}), "done: confirmed"),
    ],
)
async def test_a_job_that_changes_while_it_is_being_cancelled(
    change: Callable[[World], None], expected: str
) -> None:
    """
    After a cancellation the job is held against the plan and the rules once more.
    """
    world = a_world("RUNNING")
    plan = await a_plan(world, evolve(ALL, protect=["prod-*"]))
    world.drift[3] = change  # after the first look and the cancellation

    report = await applied(world, plan, cancel_running=True)

    assert results(report) == {"ft-0": expected}
    assert set(world.deletions) == ({"ft-0"} if report.done else set())


async def test_looks_at_a_job_that_is_being_cancelled() -> None:
    """
    The first looks follow soon, then less and less often, and none comes after the deadline.
    """
    world, time = a_world("RUNNING"), Hourglass()
    world.cancelling_for = 1000
    patience = Patience(deadline=4, poll_interval=1, clock=time, sleep=time.sleep)

    await applied(world, await a_plan(world, ALL), cancel_running=True, patience=patience)

    assert time.slept == [0.25, 0.5, 1, 1, 1, 0.25]


async def test_a_cancellation_of_an_earlier_run_is_taken_up(tmp_path: Path) -> None:
    """
    A job that the earlier run left in `CANCELING` has not changed: it is waited for and deleted.
    """
    world = a_world("RUNNING")
    plan = await a_plan(world, ALL)
    world.cancelling_for = 1000
    again: dict[str, Any] = {"journal": tmp_path / "journal", "cancel_running": True}
    first = await applied(world, plan, **again, patience=patience(20))
    world.jobs["ft-0"].extra.clear()
    world.cancelling_for = 2

    second = await applied(world, plan, **again)

    assert results(first) == {"ft-0": "skipped: state"}
    assert results(second) == {"ft-0": "done: confirmed"}
    assert world.calls["cancel"] == 1


@define
class OutOfSight(World):
    """
    A service whose looks fail from some request on.
    """

    fails_from: int = 0

    async def get(self, job_id: str, stopping: Stopping) -> FineTuneJob:
        if self.requests >= self.fails_from:
            raise ConnectionFailed("no connection")
        return await super().get(job_id, stopping)


@pytest.mark.parametrize(
    ("status", "error"), [("FAILED", "before the answer"), ("RUNNING", "was to be cancelled first")]
)
async def test_what_an_earlier_run_may_have_done_stays_in_doubt(
    status: str, error: str, tmp_path: Path
) -> None:
    """
    A look that fails says nothing of a change whose answer an earlier run lost.
    """
    world = a_world(status)
    plan = await a_plan(world, ALL)
    again: dict[str, Any] = {"journal": tmp_path / "journal", "cancel_running": True}
    world.faults["ft-0"] = deque(["lost after"])
    world.cancelling_for = 1000
    await applied(world, plan, **again, patience=patience(20))

    [outcome] = (await applied(OutOfSight(jobs=world.jobs), plan, **again)).outcomes

    assert (outcome.result, outcome.reason) == ("failed", "unknown_outcome")
    assert error in str(outcome.error)
    assert "no connection" in str(outcome.error)


async def test_a_cancellation_that_cannot_be_looked_up_stays_in_doubt() -> None:
    """
    A job was cancelled, and the looks after that fail: the outcome is not that nothing happened.
    """
    world = OutOfSight(jobs=a_world("RUNNING").jobs, fails_from=2)
    plan = await a_plan(world, ALL)
    world.faults["ft-0"] = deque(["lost after"])

    report = await applied(world, plan, cancel_running=True)

    assert world.jobs["ft-0"].status == "CANCELING"
    assert results(report) == {"ft-0": "failed: unknown_outcome"}


@pytest.mark.parametrize(
    "edge",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=8))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-8))),
    ],
)
async def test_a_time_at_an_edge_of_the_calendar(edge: datetime, tmp_path: Path) -> None:
    """
    A time that does not exist in UTC, such as the zero of other languages, stops no clean-up.
    """
    world = a_world("FAILED", "FAILED")
    changed(end_time=edge)(world)
    (await a_plan(world)).save(tmp_path / "plan")

    report = await applied(world, Plan.load(tmp_path / "plan"))

    assert results(report) == dict.fromkeys(["ft-0", "ft-1"], "done: confirmed")


async def test_an_inferred_deletion_names_the_answer_it_rests_on(tmp_path: Path) -> None:
    """
    The request id is that of the look that found nothing.
    """

    class Gone(World):
        def _find(self, job_id: str) -> FineTuneJob:
            raise NotFound("Not Found!", code="NotFound", status=404, request_id="r-gone")

    world, journal = a_world("FAILED"), tmp_path / "journal"
    plan = await a_plan(world)
    world.faults["ft-0"] = deque(["lost after"])
    await applied(world, plan, journal=journal)

    [inferred] = (await applied(Gone(jobs={}), plan, journal=journal)).outcomes

    assert (inferred.reason, inferred.request_id) == ("inferred", "r-gone")
