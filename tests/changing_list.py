"""
A list of jobs that changes between reads, and reads that are answered in any order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from dashscope_ft.envelope import Row, Rows
from dashscope_ft.pagination import AsyncPager, Listing

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class ChangingList:
    """
    Serves pages of a newest-first list, and changes it before each.

    Each read is served (a snapshot is taken) and delivered at moments of their own, both
    chosen by `random` among all reads that wait: so every order of either occurs.

    Args:
        jobs: How many there are at first.
        random: What chooses.
        changes: Inserts and deletes before each snapshot, at most.
        second: How many neighbours share a second; their order changes from read to read
            where it is above 1.
        inserts: The share of inserts among the changes.
        cap: The largest page that the service gives.
    """

    def __init__(
        self,
        jobs: int,
        *,
        random: Random,
        changes: int = 0,
        second: int = 1,
        inserts: float = 0.5,
        cap: int = 100,
    ) -> None:
        self.random = random
        self.changes = changes
        self.second = second
        self.inserts = inserts
        self.cap = cap
        self.born = jobs
        self.jobs = list(range(jobs - 1, -1, -1))
        self.throughout = set(self.jobs)
        self.reads: list[tuple[int, int]] = []
        self.decoded: list[int] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.waiting: list[tuple[int, int, asyncio.Future[Rows]]] = []
        self.served: list[tuple[Rows, asyncio.Future[Rows]]] = []
        self.most_waiting = 0
        self.distort: Callable[[Rows], Rows] = lambda rows: rows

    def pager(self, *, page_size: int = 100, concurrency: int = 8) -> AsyncPager[int]:
        return AsyncPager(
            Listing(
                read=self.read,
                spawn=self.spawn,
                decode=self.decode,
                wanted=None,
                read_time=datetime.fromisoformat,
                page_size=page_size,
                concurrency=concurrency,
            )
        )

    async def walk(
        self, *, page_size: int = 100, concurrency: int = 8, looped: bool = False
    ) -> list[int]:
        """
        Walk the list while it changes, in a loop or by `collect`, which reads on more eagerly.
        """
        pager = self.pager(page_size=page_size, concurrency=concurrency)
        answering = asyncio.create_task(self.answer())
        try:
            return [job async for job in pager] if looped else await pager.collect()
        finally:
            answering.cancel()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def decode(self, rows: list[Row]) -> list[int]:
        jobs = [int(row["job_id"]) for row in rows]
        self.decoded += jobs
        return jobs

    async def read(self, page_no: int, page_size: int) -> Rows:
        self.reads.append((page_no, page_size))
        answer: asyncio.Future[Rows] = asyncio.get_running_loop().create_future()
        self.waiting.append((page_no, page_size, answer))
        self.most_waiting = max(self.most_waiting, len(self.waiting) + len(self.served))
        return await answer

    async def answer(self) -> None:
        """
        Answer reads without end, one step of one of them at a time.
        """
        while True:
            for _ in range(4):  # let the walk come to rest, so that all its reads can race
                await asyncio.sleep(0)
            self.step()

    def step(self) -> None:
        if self.waiting and (not self.served or self.random.random() < 0.5):
            page_no, page_size, answer = self.pick(self.waiting)
            self.served.append((self.snapshot(page_no, page_size), answer))
        elif self.served:
            rows, answer = self.pick(self.served)
            if not answer.done():
                answer.set_result(rows)

    def pick(self, several: list[Any]) -> Any:
        return several.pop(self.random.randrange(len(several)))

    def snapshot(self, page_no: int, page_size: int) -> Rows:
        self.change()
        size = min(page_size, self.cap)
        start = (page_no - 1) * size
        rows = [self.row(job) for job in self.jobs[start : start + size]]
        return self.distort(
            Rows(
                rows=rows,
                job_ids=[row["job_id"] for row in rows],
                times=[row["create_time"] for row in rows],
                page_no=page_no,
                page_size=size,
                total=len(self.jobs),
            )
        )

    def row(self, job: int) -> Row:
        time = _EPOCH + timedelta(seconds=self.second_of(job))
        return {"job_id": str(job), "create_time": time.isoformat()}

    def second_of(self, job: int) -> int:
        return job // self.second

    def change(self) -> None:
        for _ in range(self.random.randint(0, self.changes)):
            if self.random.random() < self.inserts or not self.jobs:
                self.jobs.insert(0, self.born)
                self.born += 1
            else:
                self.delete(self.random.choice(self.jobs))
        if self.second > 1:
            self.random.shuffle(self.jobs)
            self.jobs.sort(key=lambda job: -self.second_of(job))

    def delete(self, job: int) -> None:
        self.jobs.remove(job)
        self.throughout.discard(job)
