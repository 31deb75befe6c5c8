"""
Polling jobs until they have ended, or a deadline has passed.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Generic, Protocol, TypeAlias, TypeVar

from attrs import define, field

from .arguments import check_seconds
from .errors import (
    APIError,
    DashScopeError,
    DeadlineExceeded,
    JobFailed,
    MalformedResponse,
    NotFound,
    QuotaExceeded,
)
from .models import AnyJob, FineTuneJob, ImportJob, ImportStatus, JobStatus, Page

_log = logging.getLogger("dashscope_ft.waiting")

T = TypeVar("T")
Job = TypeVar("Job", FineTuneJob, ImportJob)
OnLook: TypeAlias = Callable[[Mapping[str, str | None]], object]

_SUCCESS = frozenset({JobStatus.SUCCEEDED, ImportStatus.SUCCESSED})
# In the message of a quota: it counts stored jobs, which do not end by themselves.
_STORED_JOBS = re.compile(r"succe|finish|成功|完成", re.IGNORECASE)


class Poll:
    """
    How often to look, and until when.

    Args:
        poll_interval: Seconds between two looks.
        deadline: Seconds for all of it, from now on.
        clock: Seconds, monotonic.
        sleep: Waits for some seconds.

    Raises:
        InvalidArgument: A number of seconds is not above 0.
    """

    def __init__(
        self,
        poll_interval: float,
        deadline: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._interval = check_seconds("poll_interval", poll_interval)
        self._deadline = check_seconds("deadline", deadline)
        self._clock = clock
        self._sleep = sleep
        self._ends_at = clock() + self._deadline
        self._last_failure: DashScopeError | None = None

    @property
    def seconds_left(self) -> float:
        """
        Seconds until the deadline; 0 or less once it has passed.
        """
        return self._ends_at - self._clock()

    @contextmanager
    def tolerating_failures(self) -> Iterator[None]:
        """
        Suppress an error that may be gone at the next poll; `timeout_error` reports the last one.
        """
        try:
            yield
        except DashScopeError as error:
            # A malformed answer may be a passing gateway's page.
            if not (error.retryable or isinstance(error, MalformedResponse)):
                raise
            self._last_failure = error
            _log.debug("%s", error.message)
        else:
            self._last_failure = None

    async def pause(self) -> None:
        """
        Sleep until the next poll: `poll_interval`, or longer if the service asked for that, but
        not past the deadline.
        """
        floor = self._last_failure.floor if isinstance(self._last_failure, APIError) else 0.0
        if (left := self.seconds_left) > 0:
            await self._sleep(min(max(self._interval, floor), left))

    def timeout_error(self, what: str, last_status: str | None) -> DeadlineExceeded:
        """
        Build the error for a deadline that has passed.
        """
        text = f"{what} within {self._deadline:.6g} s"
        text += f"; the last status seen is {last_status}." if last_status else "."
        failure = self._last_failure or DashScopeError()
        if self._last_failure:
            text += f" The last look failed: {failure.message}"
        error = DeadlineExceeded(
            text,
            code=failure.code,
            status=failure.status,
            request_id=failure.request_id,
            hint="It goes on by itself; wait for it again.",
        )
        error.last_status = last_status
        return error


class JobSource(Protocol[Job]):
    """
    What shows jobs as they are now.
    """

    async def get(self, job_id: str, within: float) -> Job:
        """
        Get one job, within so many seconds.
        """
        ...

    async def page(self, page_no: int, within: float) -> Page[Job]:
        """
        Read a page of the listing, of the largest size, within so many seconds.
        """
        ...


@define(eq=False)
class Watch(Generic[Job]):
    """
    Jobs that are polled together.

    They are looked up in the pages of the listing, of which no more are read than there are jobs
    to look up. Jobs that were on none of these pages, or behind one that cannot be read, are got
    one by one from then on.
    """

    source: JobSource[Job]
    """What shows the jobs."""

    poll: Poll
    """How often to look, and until when."""

    unfinished: dict[str, str | None]
    """The jobs that have not ended, and their last status; None before it is known."""

    ended: dict[str, Job | NotFound] = field(factory=dict)
    """The jobs that have ended, and an error for those that do not exist."""

    _unlisted: dict[str, None] = field(factory=dict)  # got one by one, in this order

    async def look(self) -> None:
        """
        Look at each unfinished job once. If a request fails, what was seen before it is kept.
        """
        listed = [job_id for job_id in self.unfinished if job_id not in self._unlisted]
        if len(listed) > 1:
            await self._look_through_pages(set(listed))
        else:
            self._unlisted |= dict.fromkeys(listed)
        for job_id in [each for each in self._unlisted if each in self.unfinished]:
            try:
                self._note(await self.source.get(job_id, self.poll.seconds_left))
            except DashScopeError as error:
                if not isinstance(error, NotFound) or not error.is_from_service:
                    # It goes last, so that a job that always fails does not hold up the others.
                    self._unlisted[job_id] = self._unlisted.pop(job_id)
                    raise
                _log.info("%s is not there: %s", job_id, error.message)
                self.ended[job_id] = error
                del self.unfinished[job_id]

    async def _look_through_pages(self, wanted: set[str]) -> None:
        for page_no in range(1, len(wanted) + 1):
            try:
                page = await self.source.page(page_no, self.poll.seconds_left)
            except MalformedResponse as error:
                if error.path == "body":  # a gateway's page in place of the listing's
                    raise
                _log.debug("%s", error.message)
                break  # a row that cannot be read is there at the next look as well
            for job in page:
                if job.job_id in wanted:
                    wanted.remove(job.job_id)
                    self._note(job)
            if not wanted or page_no * page.page_size >= page.total:
                break
        self._unlisted |= dict.fromkeys(job_id for job_id in self.unfinished if job_id in wanted)

    def _note(self, job: Job) -> None:
        if job.is_finished:
            self.ended[job.job_id] = job
            self.unfinished.pop(job.job_id, None)
        else:
            self.unfinished[job.job_id] = job.status or None


async def wait_for_jobs(
    job_ids: Collection[str],
    source: JobSource[Job],
    poll: Poll,
    *,
    check: bool,
    on_look: OnLook | None = None,
) -> list[Job]:
    """
    Wait until all jobs have ended.

    Args:
        job_ids: Their ids.
        source: What shows them.
        poll: How often to look, and until when.
        check: Whether a job that did not end in success is an error.
        on_look: Called after each look with the last status of each job that has not ended.

    Returns:
        The finished jobs, in the order of their ids, each once.

    Raises:
        DeadlineExceeded: Some have not ended in time.
        JobFailed: One did not end in success.
        NotFound: One does not exist, or no longer.
    """
    if not job_ids:
        return []
    watch = Watch(source, poll, dict.fromkeys(job_ids))
    number = len(watch.unfinished)
    while poll.seconds_left > 0:
        with poll.tolerating_failures():
            await watch.look()
        if on_look is not None:
            on_look(dict(watch.unfinished))
        if not watch.unfinished:
            ends = [watch.ended[job_id] for job_id in dict.fromkeys(job_ids)]
            return _successes(ends, check=check)
        await poll.pause()
    [first, *others] = watch.unfinished
    what = f"{first} has not ended"
    if others:
        what = f"{first} and {len(others)} more of {number} jobs have not ended"
    raise poll.timeout_error(what, watch.unfinished[first])


async def when_there_is_room(
    create: Callable[[], Awaitable[T]],
    running: Callable[[], Awaitable[Collection[str]]],
    source: JobSource[Job],
    poll: Poll,
) -> T:
    """
    Create something as soon as a quota of running jobs allows it.

    After a refusal the running jobs are listed, and the creation is tried once more at once,
    since one may have ended meanwhile; after that, only when one of the listed jobs has ended.

    Args:
        create: Tries to create it.
        running: Gives the ids of the jobs that have not ended.
        source: What shows them.
        poll: How often to look, and until when.

    Raises:
        QuotaExceeded: There was no room in time, or waiting cannot help, as no job is running.
    """
    in_the_way: Watch[Job] | None = None
    while True:
        try:
            return await create()
        except QuotaExceeded as refusal:
            full = refusal
        if _STORED_JOBS.search(full.message):
            full.hint = "This is a quota on stored jobs: waiting does not help; delete some."
            raise full
        if in_the_way:
            if not in_the_way.unfinished:
                full.hint = "No job is running: waiting does not help; delete some stored jobs."
                raise full
            await _first_end(in_the_way)
        in_the_way = await _watch_running(running, source, poll)
        if in_the_way is None:
            full.hint = "No running job ended within the time that was given."
            raise full


async def _first_end(watch: Watch[Job]) -> None:
    """
    Wait until one of the jobs has ended, or time is up.
    """
    while not watch.ended and watch.poll.seconds_left > 0:
        with watch.poll.tolerating_failures():
            await watch.look()
        if not watch.ended:
            await watch.poll.pause()


async def _watch_running(
    running: Callable[[], Awaitable[Collection[str]]], source: JobSource[Job], poll: Poll
) -> Watch[Job] | None:
    """
    Watch the jobs that are running now; None if time was up before they could be listed.
    """
    while poll.seconds_left > 0:
        with poll.tolerating_failures():
            return Watch(source, poll, dict.fromkeys(await running()))
        await poll.pause()
    return None


def failure(job: AnyJob) -> JobFailed | None:
    """
    Build the error for a job that ended, but not in success; None for one that did.
    """
    if job.status in _SUCCESS:
        return None
    end = f"{job.job_id} ended as {job.status}."
    if isinstance(job, ImportJob):
        code, message = None, job.error_code
    else:
        code, message = job.code, job.message
    error = JobFailed(message or end, code=code, hint=end if message else None)
    error.job = job
    return error


def _successes(ends: list[Job | NotFound], *, check: bool) -> list[Job]:
    jobs: list[Job] = []
    errors: list[DashScopeError] = []
    for end in ends:
        if isinstance(end, NotFound):
            errors.append(end)
            continue
        jobs.append(end)
        if check and (error := failure(end)):
            errors.append(error)
    if errors:
        if len(ends) > 1:
            errors[0].add_note(f"{len(errors)} of {len(ends)} jobs failed; this is the first.")
        raise errors[0]
    return jobs
