"""
A service in memory that keeps books, fails as told, and can be crashed at every step.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from unittest.mock import patch

import orjson
from attrs import define, evolve, field

from dashscope_ft.bulk import Stopping
from dashscope_ft.cleanup import Plan, Selection, journal, make_plan
from dashscope_ft.errors import ConnectionFailed, NotFound, OutcomeUnknown, StateConflict
from dashscope_ft.models import FineTuneJob, JobStatus
from dashscope_ft.outcomes import Receipt

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
URL = "https://dashscope-intl.aliyuncs.com/api/v1"

Fault = Literal["lost before", "lost after", "late"] | BaseException | None


class Crash(BaseException):
    """
    The end of the process.
    """


@define
class Fate:
    """
    Counts everything that happens, and ends the process at one point of it.
    """

    crash_at: int = 0
    steps: int = 0
    dead: bool = False

    def step(self) -> None:
        if not self.dead:
            self.steps += 1
            self.dead = self.steps == self.crash_at
        if self.dead:
            raise Crash


@define
class World:
    """
    The service, what others do to it, and who did what.
    """

    jobs: dict[str, FineTuneJob]
    fate: Fate = field(factory=Fate)
    drift: dict[int, Callable[[World], None]] = field(factory=dict)
    """What others do, by the number of requests made before."""
    faults: dict[str, deque[Fault]] = field(factory=dict)
    """What becomes of each changing request about a job, in turn."""
    requests: int = 0
    us: str = "us"
    """Who is asking."""
    deleted_by: dict[str, str] = field(factory=dict)
    seen: dict[str, tuple[object, ...]] = field(factory=dict)
    """A job's identity at our last look."""
    deletions: list[str] = field(factory=list)
    begun: Counter[str] = field(factory=Counter)
    calls: Counter[str] = field(factory=Counter)
    cancelling_for: int = 2
    """How many looks a cancellation takes."""

    async def get(self, job_id: str, _stopping: Stopping) -> FineTuneJob:
        await self._pass("get")
        job = self._find(job_id)
        if job.status == JobStatus.CANCELING:
            looks = job.extra.setdefault("looks", 0) + 1
            job.extra["looks"] = looks
            if looks >= self.cancelling_for:
                job.status, job.end_time = JobStatus.CANCELED, NOW
        self.seen[job_id] = identity(job)
        answer = evolve(job)
        await self._pass()
        return answer

    async def cancel(self, job_id: str, stopping: Stopping) -> Receipt:
        fault = await self._begin("cancel", job_id, stopping)
        job = self._find(job_id)
        if job.is_finished:
            raise StateConflict("finished", code="UnsupportedOperation")
        job.status = JobStatus.CANCELING
        return await self._end(job_id, fault)

    async def delete(self, job_id: str, stopping: Stopping) -> Receipt:
        fault = await self._begin("delete", job_id, stopping)
        job = self._find(job_id)
        if not job.is_finished:
            raise StateConflict("running", code="UnsupportedOperation")
        self.deletions.append(job_id)
        self.remove(job_id, self.us)
        return await self._end(job_id, fault)

    def remove(self, job_id: str, who: str) -> None:
        if self.jobs.pop(job_id, None):
            self.deleted_by[job_id] = who

    async def _begin(self, call: str, job_id: str, stopping: Stopping) -> Fault:
        self.begun[call] += 1
        await self._pass(call)
        if stopping():
            raise ConnectionFailed("Not sent: the run has stopped.")
        line = self.faults.get(job_id)
        fault = line.popleft() if line else None
        if fault == "late":
            # Received, but taken up only after the next look.
            who = self.us
            self.drift[self.requests + 2] = lambda world: world.remove(job_id, who)
        if fault in ("late", "lost before"):
            raise OutcomeUnknown("lost")
        if isinstance(fault, BaseException):
            raise fault
        return fault

    async def _end(self, job_id: str, fault: Fault) -> Receipt:
        await self._pass()
        if fault == "lost after":
            raise OutcomeUnknown("lost")
        return Receipt(job_id=job_id, request_id=f"r-{self.requests}")

    async def _pass(self, call: str | None = None) -> None:
        self.fate.step()
        await asyncio.sleep(0)
        self.fate.step()
        if call:
            self.calls[call] += 1
            self.requests += 1
            if change := self.drift.pop(self.requests, None):
                change(self)

    def _find(self, job_id: str) -> FineTuneJob:
        if job_id not in self.jobs:
            raise NotFound("Not Found!", code="NotFound", status=404)
        return self.jobs[job_id]


def identity(job: FineTuneJob) -> tuple[object, ...]:
    return job.status, job.create_time, job.end_time, job.finetuned_output


def a_job(number: int, status: str = "FAILED") -> FineTuneJob:
    finished = status in JobStatus.FINISHED
    return FineTuneJob(
        job_id=f"ft-{number}",
        status=status,
        model="qwen3-14b",
        job_name=f"job {number}",
        create_time=NOW - timedelta(days=number + 1),
        end_time=NOW - timedelta(days=number) if finished else None,
        extra={},
    )


def a_world(*statuses: str) -> World:
    jobs = [a_job(number, status) for number, status in enumerate(statuses)]
    return World(jobs={job.job_id: job for job in jobs})


async def a_plan(world: World, selection: Selection | None = None) -> Plan:
    async def listing(jobs: Iterable[FineTuneJob]) -> AsyncIterator[FineTuneJob]:
        for job in jobs:
            yield evolve(job)

    return await make_plan(
        "fine_tunes",
        listing(world.jobs.values()),
        selection or Selection(),
        base_url=URL,
        workspace=None,
        now=lambda: NOW,
    )


@contextmanager
def crashing_journal(fate: Fate) -> Iterator[None]:
    """
    Let the process end before, in the middle of and after each line of a journal.
    """
    append = journal.Journal._append

    def crashing(self: journal.Journal, entry: dict[str, Any]) -> None:
        fate.step()
        try:
            fate.step()
        except Crash:
            text = orjson.dumps(entry)
            if self._file is not None and fate.steps == fate.crash_at and not self._broken:
                self._broken = True
                os.write(self._file, text[: len(text) * 2 // 3])
            raise
        append(self, entry)
        fate.step()

    with (
        patch.object(journal.Journal, "_append", crashing),
        patch.object(os, "fsync", lambda _: None),
    ):
        yield
