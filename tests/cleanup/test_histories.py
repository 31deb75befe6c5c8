"""
Plans made and applied over and over, while others change the jobs and nothing is reliable.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import define, evolve, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dashscope_ft.cleanup import Plan, PlanEntry, Selection
from dashscope_ft.outcomes import Outcome, Report

from .test_apply import ALL, applied, patience
from .world import NOW, Crash, Fate, World, a_job, a_plan, a_world, crashing_journal

HISTORIES = int(os.environ.get("HISTORIES", "100"))
MOST_JOBS = 12
MOST_PLANS = 3

Record = Callable[[str, object], None]

SELECTIONS = [
    Selection(),
    ALL,
    evolve(ALL, keep_latest=1),
    evolve(ALL, protect=["ft-1"]),
    Selection(status="RUNNING", older_than=timedelta(days=2)),
]
STATUSES = st.sampled_from(["FAILED", "CANCELED", "RUNNING", "SUCCEEDED", "ODD"])
NUMBERS = st.integers(0, MOST_JOBS - 1)
TAKEN_UP_AGAIN = ("state", "not_attempted")


@define
class Application:
    """
    A plan in its file, its journal, and what was ever told of its jobs.
    """

    who: str
    file: Path
    journal: Path
    entries: dict[str, PlanEntry]
    told: dict[str, tuple[str, str]] = field(factory=dict)
    """What is final: what was done, and what was skipped for a lasting reason."""

    def intended(self, job_id: str) -> bool:
        """
        Whether the journal holds an intent to delete the job that was not taken back.
        """
        intended = False
        for line in self.journal.read_bytes().split(b"\n")[:-1]:
            entry = json.loads(line)
            if entry.get("job_id") == job_id:
                intended |= entry.get("intent") == "delete"
                intended &= entry.get("retracted") != "delete"
        return intended


class Histories(RuleBasedStateMachine):
    """
    What people, a service and its network may do, in any order.
    """

    counted: ClassVar = Counter[str]()

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = a_world()
        self.born = 0
        self.taken_up_late: set[str] = set()
        self.plans: list[Application] = []
        self.counted["histories"] += 1

    @initialize(
        statuses=st.lists(STATUSES, min_size=2, max_size=MOST_JOBS - 4),
        selection=st.sampled_from(SELECTIONS),
    )
    def begin(self, statuses: list[str], selection: Selection) -> None:
        for status in statuses:
            self.create(status)
        self.plan(selection)

    # What others do

    @precondition(lambda self: self.born < MOST_JOBS)
    @rule(status=STATUSES)
    def create(self, status: str) -> None:
        job = a_job(self.born, status)
        self.world.jobs[job.job_id] = job
        self.born += 1

    @rule(number=NUMBERS)
    def delete(self, number: int) -> None:
        self.world.remove(f"ft-{number}", "other")

    @rule(number=NUMBERS, status=st.sampled_from(["SUCCEEDED", "FAILED"]))
    def finish(self, number: int, status: str) -> None:
        self.change(self.world, f"ft-{number}", status=status, end_time=NOW)

    @rule(number=NUMBERS, facts=st.sampled_from([{"job_name": "ft-1"}, {"finetuned_output": "x"}]))
    def alter(self, number: int, facts: dict[str, Any]) -> None:
        self.change(self.world, f"ft-{number}", **facts)

    @rule(after=st.integers(1, 15), number=NUMBERS, goes=st.booleans())
    def meanwhile(self, after: int, number: int, goes: bool) -> None:
        """
        Delete or alter a job while a plan is being applied.
        """

        def change(world: World) -> None:
            if goes:
                world.remove(f"ft-{number}", "other")
            else:
                self.change(world, f"ft-{number}", finetuned_output="y")

        # Not in place of a deletion that is still to take effect.
        self.world.drift.setdefault(self.world.requests + after, change)

    def change(self, world: World, job_id: str, **facts: Any) -> None:
        job = world.jobs.get(job_id)
        finishes = "end_time" in facts
        # Of a job altered before our deletion of it takes effect, nobody could tell any more.
        if job and job_id not in self.taken_up_late and not (finishes and job.is_finished):
            world.jobs[job_id] = evolve(job, **facts)

    # What the network does

    @rule(
        number=NUMBERS,
        faults=st.lists(st.sampled_from([None, "lost before", "lost after"]), max_size=3),
    )
    def lose_answers(self, number: int, faults: list[Any]) -> None:
        self.world.faults[f"ft-{number}"] = deque(faults)

    @rule(number=NUMBERS)
    def be_late(self, number: int) -> None:
        """
        Let the next deletion of a finished job take effect only after its answer was lost.
        """
        job = self.world.jobs.get(f"ft-{number}")
        if job and job.is_finished:
            self.taken_up_late.add(job.job_id)
            self.world.faults[job.job_id] = deque(["late"])

    # What we do

    @precondition(lambda self: len(self.plans) < MOST_PLANS)
    @rule(selection=st.sampled_from(SELECTIONS))
    def plan(self, selection: Selection) -> None:
        plan = asyncio.run(a_plan(self.world, selection))
        who = f"plan {len(self.plans)}"
        file = Path(self.folder.name, f"{who}.json")
        plan.save(file)
        entries = {entry.job_id: entry for entry in plan.entries}
        self.plans.append(Application(who, file, file.with_suffix(".journal"), entries))
        self.counted["plans"] += 1

    @rule(which=st.integers(0, MOST_PLANS - 1), at_once=st.integers(1, 4))
    def apply(self, which: int, at_once: int) -> None:
        self.run(self.plans[which % len(self.plans)], at_once)

    @rule(which=st.integers(0, MOST_PLANS - 1), at_once=st.integers(1, 4), at=st.integers(1, 60))
    def crash(self, which: int, at_once: int, at: int) -> None:
        """
        Let the process end at some step.
        """
        self.run(self.plans[which % len(self.plans)], at_once, fate=Fate(at))

    @rule(
        which=st.integers(0, MOST_PLANS - 1),
        at_once=st.integers(1, 4),
        turns=st.lists(st.integers(0, 40), min_size=1, max_size=2),
    )
    def interrupt(self, which: int, at_once: int, turns: list[int]) -> None:
        """
        Cancel it after so many turns of the loop, and perhaps a second time.
        """
        self.run(self.plans[which % len(self.plans)], at_once, turns=turns)

    def run(
        self,
        plan: Application,
        at_once: int,
        *,
        fate: Fate | None = None,
        turns: list[int] | None = None,
    ) -> Report | None:
        world = self.world
        world.us, world.fate = plan.who, fate or Fate()
        deleted_before = len(world.deletions)
        told: list[Outcome] = []
        report = asyncio.run(self.until_it_ends(plan, at_once, turns or [], told))
        self.counted["crashes"] += world.fate.dead
        self.counted["interrupted"] += report is None and not world.fate.dead
        self.counted["runs"] += 1
        self.counted["deletions"] += len(world.deletions) - deleted_before

        for job_id in world.deletions[deleted_before:]:
            self.check_deletion(plan, job_id)
        assert len(told) == len({outcome.job_id for outcome in told})
        for outcome in told:
            self.check_outcome(plan, outcome)
        if report is not None:
            named = sorted(outcome.job_id for outcome in report.outcomes)
            assert named == sorted(plan.entries)
            assert report.selected == report.done + report.skipped + report.failed == len(named)
            assert list(report.outcomes) == told
        return report

    async def until_it_ends(
        self, plan: Application, at_once: int, turns: list[int], told: list[Outcome]
    ) -> Report | None:
        with crashing_journal(self.world.fate):
            task = asyncio.create_task(
                applied(
                    self.world,
                    Plan.load(plan.file),
                    journal=plan.journal,
                    cancel_running=True,
                    concurrency=at_once,
                    patience=patience(8),
                    on_outcome=told.append,
                )
            )
            for count in turns:
                for _ in range(count):
                    await asyncio.sleep(0)
                task.cancel()
            with suppress(Crash, asyncio.CancelledError):
                return await task
        return None

    def check_deletion(self, plan: Application, job_id: str) -> None:
        """
        Hold a deletion against the plan, and against the last look at the job.
        """
        entry = plan.entries[job_id]
        status, created, ended, output = self.world.seen[job_id]

        assert (created, output) == (entry.create_time, entry.output)
        if entry.end_time is None:
            assert status == "CANCELED"
        else:
            assert (status, ended) == (entry.status, entry.end_time)

    def check_outcome(self, plan: Application, outcome: Outcome) -> None:
        """
        Hold what was told against the service's books, and against what was told before.
        """
        job_id, bin_ = outcome.job_id, (outcome.result, outcome.reason)
        who = self.world.deleted_by.get(job_id)
        match bin_:
            case ("done", "confirmed"):
                rightly = who == plan.who
            case ("done", "inferred"):
                rightly = who is not None and plan.intended(job_id)
            case ("skipped", "already_gone"):
                rightly = who not in (None, plan.who)
            case ("skipped", "not_attempted"):
                rightly = who != plan.who and not plan.intended(job_id)
            case ("skipped", "changed" | "state" | "protected" | "undecidable"):
                rightly = who != plan.who
            case _:
                rightly = bin_ == ("failed", "unknown_outcome")
        self.counted["outcomes"] += 1
        self.counted["wrongly"] += not rightly

        assert rightly, f"{job_id} is {bin_} of {plan.who}, and gone by {who}"
        assert plan.told.get(job_id, bin_) == bin_, "what was told has changed"
        if outcome.result != "failed" and outcome.reason not in TAKEN_UP_AGAIN:
            plan.told[job_id] = bin_

    @invariant()
    def only_what_was_planned_is_gone(self) -> None:
        world, planned = self.world, {plan.who: plan.entries for plan in self.plans}

        assert len(world.deletions) == len(set(world.deletions))
        for job_id, who in world.deleted_by.items():
            assert who == "other" or job_id in planned[who]
        assert len(world.jobs) + len(world.deleted_by) == self.born

    def teardown(self) -> None:
        """
        Let the network be well, and take every plan up until nothing fails.
        """
        with self.folder:
            self.world.faults.clear()
            for plan in self.plans:
                self.counted["jobs"] += self.run_until_nothing_fails(plan).selected
            self.only_what_was_planned_is_gone()

    def run_until_nothing_fails(self, plan: Application) -> Report:
        for _ in range(3):
            report = self.run(plan, 2)
            assert report is not None
            if not report.failed:
                return report
        raise AssertionError(f"{plan.who} fails on a network that is well")


@pytest.mark.once
def test_any_history(record_property: Record) -> None:
    """
    Whatever happens in any order, each planned job ends in one bin, rightly, and no other goes.
    """
    run_state_machine_as_test(
        Histories,
        settings=settings(max_examples=HISTORIES, stateful_step_count=30, deadline=None),
    )

    counted = Histories.counted
    assert counted["deletions"] > 0 < counted["crashes"]
    record_property(
        "figure",
        f"{counted['histories']:,} histories of {counted['plans']:,} plans that were applied "
        f"{counted['runs']:,} times, through {counted['crashes']:,} crashes and "
        f"{counted['interrupted']:,} interrupts, while others changed jobs and answers were lost: "
        f"each of {counted['jobs']:,} planned jobs in exactly one bin, {counted['deletions']:,} "
        f"deletions, none outside its plan, and {counted['wrongly']} of {counted['outcomes']:,} "
        "outcomes told wrongly.",
    )
