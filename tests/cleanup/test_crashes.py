from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from dashscope_ft.cleanup import Plan, Selection
from dashscope_ft.outcomes import Report

from .test_apply import ALL, applied, patience
from .world import NOW, Crash, Fate, World, a_plan, a_world, crashing_journal, identity

pytestmark = pytest.mark.once

Change = Callable[[World], None]


def deleted(job_id: str) -> Change:
    return lambda world: world.remove(job_id, "other")


def finished(job_id: str) -> Change:
    def change(world: World) -> None:
        if (job := world.jobs.get(job_id)) and not job.is_finished:
            world.jobs[job_id] = evolve(job, status="SUCCEEDED", end_time=NOW)

    return change


def altered(job_id: str) -> Change:
    def change(world: World) -> None:
        if job := world.jobs.get(job_id):
            world.jobs[job_id] = evolve(job, finetuned_output="another")

    return change


async def once(world: World, plan: Plan, journal: Path, concurrency: int) -> Report:
    with crashing_journal(world.fate):
        return await applied(
            world,
            plan,
            journal=journal,
            cancel_running=True,
            concurrency=concurrency,
            patience=patience(8),
        )


async def until_done(
    world: World, plan: Plan, journal: Path, crashes: list[int], concurrency: int
) -> Report:
    """
    Apply a plan through crashes, then until nothing fails.
    """
    for crash_at in crashes:
        world.fate = Fate(crash_at)
        with suppress(Crash):
            await once(world, plan, journal, concurrency)
    world.fate = Fate()
    report = await once(world, plan, journal, concurrency)
    for _ in range(5):  # more than there are faults for a job
        if report.failed:
            report = await once(world, plan, journal, concurrency)
    return report


def check(world: World, plan: Plan, report: Report) -> None:
    """
    Hold the books of the service against the report, job by job.
    """
    planned = {entry.job_id: entry for entry in plan.entries}
    named = [outcome.job_id for outcome in report.outcomes]

    assert sorted(named) == sorted(planned)
    assert report.selected == report.done + report.skipped + report.failed == len(planned)
    assert len(world.deletions) == len(set(world.deletions))
    assert set(world.deletions) <= set(planned)
    for job_id in world.deletions:
        entry = planned[job_id]
        status, created, *others = world.seen[job_id]
        assert created == entry.create_time
        if entry.status == "RUNNING":
            assert status == "CANCELED"
        else:
            assert (status, *others) == (entry.status, entry.end_time, entry.output)
    for outcome in report.outcomes:
        who = world.deleted_by.get(outcome.job_id)
        bin_ = (outcome.result, outcome.reason)
        if bin_ == ("done", "confirmed"):
            assert who == "us"
        elif bin_ == ("done", "inferred"):
            assert who is not None
        elif bin_ == ("skipped", "already_gone"):
            assert who == "other"
        else:
            assert bin_ in (("skipped", "changed"), ("skipped", "state")), bin_
            assert who != "us"
        if who == "us":
            assert outcome.result == "done"


def run(world: World, plan: Plan, crashes: list[int], concurrency: int = 1) -> tuple[World, Report]:
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        report = asyncio.run(until_done(world, plan, journal, crashes, concurrency))
    check(world, plan, report)
    return world, report


def made(*statuses: str, selection: Selection = ALL) -> tuple[World, Plan]:
    world = a_world(*statuses)
    return world, asyncio.run(a_plan(world, selection))


def steps_of(make: Callable[[], tuple[World, Plan]], concurrency: int = 1) -> int:
    world, plan = make()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(once(world, plan, Path(folder) / "journal", concurrency))
    return world.fate.steps


FAULTS: list[list[Any]] = [[], ["lost before"], ["lost after"], ["lost before", "lost after"]]


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("faults", FAULTS, ids=" then ".join)
def test_a_crash_at_any_step(faults: list[Any], concurrency: int) -> None:
    """
    Wherever the process ends, resuming accounts for each job once, and rightly.
    """

    def make() -> tuple[World, Plan]:
        world, plan = made("FAILED", "RUNNING", "CANCELED", "SUCCEEDED")
        for job_id in ("ft-0", "ft-1"):
            world.faults[job_id] = deque(faults)
        return world, plan

    steps = steps_of(make, concurrency)

    assert steps > 30
    for crash_at in range(1, steps + 1):
        run(*make(), [crash_at], concurrency)


@pytest.mark.parametrize("status", ["FAILED", "RUNNING"])
def test_two_crashes_at_any_two_steps(status: str) -> None:
    """
    The process may end again while it is resuming, at any step.
    """

    def make() -> tuple[World, Plan]:
        world, plan = made(status)
        world.faults["ft-0"] = deque(["lost after"])
        return world, plan

    steps = steps_of(make) + 5

    for first in range(1, steps + 1):
        for second in range(1, steps + 1):
            run(*make(), [first, second])


def test_a_crash_at_any_step_after_a_deletion_that_took_effect_late() -> None:
    """
    A deletion of an earlier run that takes effect during a later one is not called another's.
    """

    def make() -> tuple[World, Plan]:
        world, plan = made("FAILED")
        world.faults["ft-0"] = deque(["late"])
        return world, plan

    for crash_at in range(1, steps_of(make) + 10):
        world, report = run(*make(), [999, crash_at])

        assert world.deleted_by == {"ft-0": "us"}
        assert report.reasons == {"inferred": 1}


@pytest.mark.parametrize("drift", [deleted, finished, altered])
@pytest.mark.parametrize("status", ["FAILED", "RUNNING"])
@pytest.mark.parametrize("faults", FAULTS[:3], ids=" then ".join)
def test_drift_and_a_crash_at_any_moments(
    drift: Callable[[str], Change], status: str, faults: list[Any]
) -> None:
    """
    Others may delete, finish or alter a job before any request, and the process end at any step.
    """

    def make(drift_at: int) -> tuple[World, Plan]:
        world, plan = made(status)
        world.faults["ft-0"] = deque(faults)
        world.drift[drift_at] = drift("ft-0")
        return world, plan

    steps = steps_of(lambda: make(99)) + 5

    for drift_at in range(1, 8):
        for crash_at in range(1, steps + 1):
            run(*make(drift_at), [crash_at])


def test_the_simulation_can_tell_a_wrong_attribution() -> None:
    """
    The check itself fails where a job that another deleted is claimed as ours.
    """
    world, plan = made("FAILED")
    _, report = run(world, plan, [])
    world.deleted_by["ft-0"] = "other"

    with pytest.raises(AssertionError):
        check(world, plan, report)


def scripts() -> Iterator[st.SearchStrategy[Change]]:
    for drift in (deleted, finished, altered):
        yield st.integers(0, 4).map(lambda n, drift=drift: drift(f"ft-{n}"))  # type: ignore[misc]


@settings(max_examples=150, deadline=None)
@given(
    statuses=st.lists(
        st.sampled_from(["FAILED", "CANCELED", "RUNNING", "SUCCEEDED"]), min_size=1, max_size=5
    ),
    drift=st.dictionaries(st.integers(1, 25), st.one_of(*scripts()), max_size=4),
    faults=st.dictionaries(
        st.integers(0, 4).map(lambda n: f"ft-{n}"),
        st.lists(st.sampled_from([None, "lost before", "lost after"]), max_size=4),
    ),
    crashes=st.lists(st.integers(1, 60), max_size=4),
    concurrency=st.integers(1, 4),
)
def test_any_script(
    statuses: list[str],
    drift: dict[int, Change],
    faults: dict[str, list[Any]],
    crashes: list[int],
    concurrency: int,
) -> None:
    """
    Whatever others do, whichever answers are lost, and wherever the process ends how often.
    """
    world, plan = made(*statuses)
    world.drift = dict(drift)
    world.faults = {job_id: deque(line) for job_id, line in faults.items()}
    before = {job_id: identity(job) for job_id, job in world.jobs.items()}

    world, _ = run(world, plan, crashes, concurrency)

    spared = before.keys() - {entry.job_id for entry in plan.entries}
    assert spared <= world.jobs.keys() | {
        job_id for job_id, who in world.deleted_by.items() if who == "other"
    }
