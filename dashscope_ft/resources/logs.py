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
from ..tail import MOST_LINES, LogPage, Look, Progress, Tail, follow, read_log_page, watch
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

    def lines(self, job_id: str) -> AsyncGenerator[list[str], None]:
        """
        Yield the lines that a log has now, those of one request at a time.
        """
        return Tail(lambda offset: _page(self.jobs, job_id, offset)).rest()

    async def read(self, job_id: str) -> TrainingLog:
        """
        Return a log as it is now.
        """
        log = [line async for lines in self.lines(job_id) for line in lines]
        return TrainingLog.read(log)

    async def new_lines(self, job_id: str, poll: Poll) -> AsyncGenerator[list[str], None]:
        """
        Yield a log's lines until the job has ended, those of one request at a time.
        """
        async with aclosing(self._follow(job_id, poll)) as looks:
            async for look in looks:
                yield look.lines

    def watch(self, job_id: str, poll: Poll) -> AsyncGenerator[Progress, None]:
        """
        Watch a job and its log to their end.
        """
        return watch(self._follow(job_id, poll, gathers=True))

    def _follow(
        self, job_id: str, poll: Poll, *, gathers: bool = False
    ) -> AsyncGenerator[Look, None]:
        async def get() -> FineTuneJob:
            return await self.jobs.within(poll.seconds_left).get(job_id, patient=True)

        async def read(offset: int) -> LogPage:
            return await _page(self.jobs.within(poll.seconds_left), job_id, offset)

        return follow(job_id, get, Tail(read), poll, gathers=gathers)


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
