"""
Reading a job's log from the first line to the last, even while it grows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import NamedTuple

import orjson
from attrs import define, frozen

from .envelope import Reply, malformed, read_count
from .errors import DashScopeError, MalformedResponse, NotFound, StateConflict
from .models import FineTuneJob, JobStatus
from .training_log import TrainingLog
from .waiting import Poll

MOST_LINES = 1000
"""Lines that one request may ask for."""

_RETRIES = 2  # further reads, and further looks, for lines that the service counts but not sends


class LogPage(NamedTuple):
    """
    Some lines of a log.
    """

    lines: list[str]
    """The lines."""

    total: int | None
    """How many lines the log has, as the service says; None if it sent no usable number."""

    request_id: str | None = None
    """The service's id of the request."""


@frozen(kw_only=True)
class Progress:
    """
    A look at a job that is being watched.
    """

    job: FineTuneJob
    """The job as it was at this look."""

    lines: tuple[str, ...]
    """The lines of its log that are new since the last look."""

    log: TrainingLog
    """All of its log so far."""

    @property
    def fraction(self) -> float | None:
        """
        How much of the training is done, from 0 to 1; None where that cannot be told.
        """
        if self.job.status == JobStatus.SUCCEEDED:
            return 1.0
        epoch = self.log.epoch.last
        try:
            epochs = float((self.job.hyper_parameters or {})["n_epochs"])
        except (KeyError, TypeError, ValueError):
            return None
        if epoch is None or not epochs > 0 or not 0 <= epoch <= epochs:
            return None
        return epoch / epochs


def read_log_page(reply: Reply) -> LogPage:
    """
    Find the lines in an answer. What is not text is written as JSON, and a text is taken apart.

    Raises:
        MalformedResponse: There is no list of lines, or one of them cannot be written.
    """
    output = {} if reply.output is None and reply.has_output else reply.output
    if not isinstance(output, dict):
        raise malformed("output", reply, "a log")
    lines = output.get("logs")
    if lines is None and (not output or output.keys() & {"logs", "total"}):
        lines = []
    if isinstance(lines, str):  # the official SDK 2.0.2 reads both
        lines = lines.removesuffix("\n").split("\n") if lines else []
    if not isinstance(lines, list):
        raise malformed("output.logs", reply, "a list")
    try:
        texts = [line if isinstance(line, str) else orjson.dumps(line).decode() for line in lines]
    except TypeError:
        raise malformed("output.logs", reply, "a list of lines") from None
    return LogPage(texts, read_count(output.get("total"), 0), reply.request_id)


@define(eq=False)
class Tail:
    """
    A position in a log, from which it is read on.
    """

    read: Callable[[int], Awaitable[LogPage]]
    """Reads the lines from an offset on, as many as one request may ask for."""

    offset: int = 0
    """How many lines were read."""

    short: MalformedResponse | None = None
    """The error for a log that ended before its own total; None if it did not."""

    async def rest(self) -> AsyncGenerator[list[str], None]:
        """
        Read on to the end of the log, and yield lines as they come.

        Raises:
            MalformedResponse: It ended before its own total.
        """
        async with aclosing(self.more()) as pages:
            async for lines in pages:
                yield lines
        if self.short:
            raise self.short

    async def more(self) -> AsyncGenerator[list[str], None]:
        """
        Read on as long as lines come, and yield them. If fewer came than the service counts,
        `short` is the error for that.
        """
        self.short, empty_pages = None, 0
        while True:
            page = await self.read(self.offset)
            self.offset += len(page.lines)
            if page.lines:
                empty_pages = 0
                yield page.lines
                # After a full page more may follow, and a total below what came is wrong.
                if page.total == self.offset and len(page.lines) < MOST_LINES:
                    return
            elif page.total is None or self.offset >= page.total:
                return
            elif empty_pages < _RETRIES:
                empty_pages += 1
            else:
                break
        self.short = MalformedResponse(
            f"The log ended after {self.offset} of {page.total} lines.",
            request_id=page.request_id,
            hint="Read it again: the others may come yet.",
        )
        self.short.path = "output.logs"


class Look(NamedTuple):
    """
    A look at a job that is being followed.
    """

    job: FineTuneJob
    """The job as it was at this look."""

    lines: list[str]
    """The lines of its log that are new since the last look."""


async def follow(
    what: str,
    get: Callable[[], Awaitable[FineTuneJob]],
    tail: Tail,
    poll: Poll,
    *,
    gathers: bool = False,
) -> AsyncGenerator[Look, None]:
    """
    Look at a job and its log until the job has ended and the log was read to its end.

    Args:
        what: The job in words, for errors.
        get: Gets the job.
        tail: Its log.
        poll: How often to look, and until when.
        gathers: Whether a look that finds many lines yields as many at once as were read before,
            rather than those of one request.

    Yields:
        Each look, or several times the same one if it finds many lines.

    Raises:
        DeadlineExceeded: The job has not ended in time, or its log was not read to its end.
        MalformedResponse: It has, and its log ended before its own total, look after look.
    """
    last_status, short, looks_in_vain = None, None, 0
    while poll.seconds_left > 0:
        with poll.tolerating_failures():
            job = await get()
            last_status = job.status or last_status
            has_new_lines = False
            async with aclosing(_new_lines(tail, gathers=gathers)) as batches:
                async for lines in batches:
                    has_new_lines = True
                    yield Look(job, lines)
            if not has_new_lines:
                yield Look(job, [])
            if job.is_finished:
                # The log was read after the job was seen to have ended: nothing follows.
                if not tail.short:
                    return
                short, looks_in_vain = tail.short, 0 if has_new_lines else looks_in_vain + 1
        if looks_in_vain > _RETRIES:
            break
        await poll.pause()
    if short:
        raise short
    if last_status not in JobStatus.FINISHED:
        raise poll.timeout_error(f"{what} has not ended", last_status)
    late = poll.timeout_error(f"The log of {what} was not read to its end", last_status)
    late.hint = "The job has ended; read its log again."
    raise late


async def watch(looks: AsyncGenerator[Look, None]) -> AsyncGenerator[Progress, None]:
    """
    Yield the progress at each look; the looks should gather lines.
    """
    log = TrainingLog()
    async with aclosing(looks):
        async for job, lines in looks:
            # This copies the whole log: for each request of a long one, that would be too much.
            log = log.extended(lines)
            yield Progress(job=job, lines=tuple(lines), log=log)


async def _new_lines(tail: Tail, *, gathers: bool) -> AsyncGenerator[list[str], None]:
    """
    Yield the lines that are new. A refusal before the first line means that there is no log yet.
    """
    lines: list[str] = []
    try:
        async with aclosing(tail.more()) as pages:
            async for page in pages:
                lines += page
                if not gathers or 2 * len(lines) >= tail.offset:
                    yield lines
                    lines = []
    except DashScopeError as error:
        if lines:
            yield lines
        if tail.offset or not _means_no_log(error):
            raise
        return
    if lines:
        yield lines


def _means_no_log(error: DashScopeError) -> bool:
    is_missing = isinstance(error, NotFound) and error.is_from_service
    return is_missing or isinstance(error, StateConflict)
