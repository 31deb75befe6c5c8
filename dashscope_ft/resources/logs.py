"""
The logs of fine-tuning jobs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from attrs import frozen

from ..calls import Call, Request
from ..models import FineTuneJob
from ..retry import Operation
from ..tail import MOST_LINES, LogPage, Progress, Tail, follow, read_log_page
from ..training_log import TrainingLog
from ..waiting import Poll
from .jobs import Jobs


@frozen
class Logs:
    """
    The logs of all fine-tuning jobs.
    """

    jobs: Jobs[FineTuneJob]
    """The jobs."""

    async def lines(self, job_id: str) -> AsyncGenerator[str, None]:
        """
        Yield the lines that a log has now.
        """
        tail = Tail(lambda offset: _page(self.jobs, job_id, offset))
        async with aclosing(tail.rest()) as batches:
            async for lines in batches:
                for line in lines:
                    yield line

    async def read(self, job_id: str) -> TrainingLog:
        """
        Return a log as it is now.
        """
        return TrainingLog.read([line async for line in self.lines(job_id)])

    async def new_lines(self, job_id: str, poll: Poll) -> AsyncGenerator[str, None]:
        """
        Yield a log's lines until the job has ended.
        """
        async with aclosing(self.watch(job_id, poll)) as watch:
            async for progress in watch:
                for line in progress.lines:
                    yield line

    def watch(self, job_id: str, poll: Poll) -> AsyncGenerator[Progress, None]:
        """
        Watch a job and its log to their end.
        """

        async def get() -> FineTuneJob:
            return await self.jobs.within(poll.seconds_left).get(job_id, patient=True)

        async def read(offset: int) -> LogPage:
            return await _page(self.jobs.within(poll.seconds_left), job_id, offset)

        return follow(job_id, get, Tail(read), poll)


async def _page(jobs: Jobs[FineTuneJob], job_id: str, offset: int) -> LogPage:
    call = Call(
        what=f"Reading the log of {job_id}",
        operation=Operation.READ,
        request=Request(
            method="GET",
            path=f"{jobs.path}/{job_id}/logs",
            query={"offset": offset, "line": MOST_LINES},
        ),
        read=read_log_page,
        patient=True,
    )
    return await jobs.transport.send(call)
