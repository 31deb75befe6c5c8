"""
Many jobs, an outcome for each.

A run has one task that reads the source, and one for each job under way. The first takes a job as
soon as there is room for it; the others begin their work only while the consumer waits for an
outcome. A run that stops begins nothing more, and records what is known of every job it took.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Collection, Iterable
from contextlib import aclosing
from typing import Any, Final, Protocol, Self, TypeAlias

from .errors import (
    AuthenticationFailed,
    ClientClosed,
    ConnectionFailed,
    DashScopeError,
    DeadlineExceeded,
    NotFound,
)
from .models import AnyJob
from .outcomes import (
    Action,
    Outcome,
    Receipt,
    Report,
    attach_report,
    done,
    failed,
    interruption,
    skipped,
)

Stopping: TypeAlias = Callable[[], bool]
"""Returns whether the run is stopping; if so, a request not yet sent must not be sent."""

GRACE: Final = 10.0
"""Seconds that a run left early waits for what is in flight."""

NOTHING_HAPPENED: Final = (ConnectionFailed, DeadlineExceeded)
"""Errors that prove that nothing happened: in a run that stops, their job was not attempted."""

NOTHING_WILL_WORK: Final = (AuthenticationFailed, ClientClosed)
"""Errors that stop a run, since each further request would fail in the same way."""


class Work(Protocol):
    """
    What a run does with one job.
    """

    @property
    def action(self) -> Action:
        """
        The action, for `Outcome.action`.
        """
        ...

    async def settle(self, job_id: str, job: AnyJob | None, stopping: Stopping) -> Outcome:
        """
        Do the work on one job and return its outcome; a failure is an outcome, not an exception.

        Args:
            job_id: The job's id.
            job: The job, if the source gave one; None for a bare id.
            stopping: Must be called right before a request that changes a job is sent; if it
                returns True, that request must not be sent.
        """
        ...

    def interrupted(self, job_id: str, job: AnyJob | None) -> Outcome:
        """
        Return what is known of a job whose `settle` was cut off, or never began.
        """
        ...


class AsyncOutcomes:
    """
    A run over many jobs: `async for` an `Outcome` each as it ends, or `await .report()`.

    The run starts with either, and can be used once. Jobs begin only while the caller waits for
    the next outcome, and at most `concurrency` are under way, so that a loop left early begins
    nothing more. The source is read as jobs begin, one ahead. An id that comes twice counts
    once. A job that fails is an outcome and stops no other, except for a refused key or a
    closed client: then the jobs that follow are skipped as `not_attempted`.

    Leaving the loop early, by `break`, an exception or cancellation, waits up to 10 s for what
    is under way. After a `break`, that happens within the event loop's next turns; `async with`
    on the run, or `aclose()`, does it at once. A second cancellation does not wait.

    Raises:
        TypeError: If an item is neither an id nor a job of the right kind: for a collection
            when the run is made, for any other source when it is reached.
        Exception: Whatever reading the source raised, `ListingInconsistent` from a pager say,
            once what is under way has ended. `so_far` has the outcomes.
    """

    def __init__(
        self,
        jobs: Iterable[str | AnyJob] | AsyncIterable[str | AnyJob],
        work: Work,
        *,
        model: type[AnyJob],
        concurrency: int,
        on_outcome: Callable[[Outcome], object] | None = None,
        grace: float = GRACE,
    ) -> None:
        check_many(jobs)
        if isinstance(jobs, Collection):
            jobs = list(jobs)  # a copy: the caller may cross off theirs during the run
            for job in jobs:
                _id_and_job(job, model)
        self._jobs = jobs
        self._work = work
        self._model = model
        self._concurrency = concurrency
        self._on_outcome = on_outcome
        self._grace = grace

        self._started = False
        self._consumer_waits = False
        self._stopping = False
        self._source_task: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[None]] = set()  # a task for each job
        self._ready: deque[Outcome] = deque()  # outcomes that the consumer has not got yet
        self._outcomes: list[Outcome] = []
        self._error: BaseException | None = None  # what the run is to end in

        self._may_begin = asyncio.Event()  # the consumer waits, or the run is stopping
        self._has_room = asyncio.Event()  # another job may be taken from the source
        self._changed = asyncio.Event()  # an outcome came, or a task ended

    def __repr__(self) -> str:
        name = type(self).__name__
        if self._started:
            return f"<{name}, {len(self._outcomes):,} outcomes so far: ask for its report()>"
        return f"<{name}, not started: iterate over it, or ask for its report()>"

    @property
    def so_far(self) -> Report:
        """
        The report so far: all jobs taken from the source, except those still in progress.
        """
        return Report(outcomes=tuple(self._outcomes))

    async def report(self) -> Report:
        """
        Run to the end and account for every job.

        After a loop that was left early: wait for what is under way and account for every job
        that was taken from the source. Whatever ends the run early is raised with the report so
        far as its `report`, and in a note.
        """
        if self._consumer_waits:
            raise RuntimeError("This run is under way; so_far tells what is known by now.")
        try:
            if not self._started:
                async with aclosing(self.batches()) as batches:
                    async for _ in batches:
                        pass
            await self.aclose()
            self._raise_error()
        except BaseException as error:
            attach_report(error, self.so_far, "jobs taken up")
            raise
        return self.so_far

    async def __aiter__(self) -> AsyncGenerator[Outcome, None]:
        self._start()
        try:
            while await self._more():
                yield self._ready.popleft()
        finally:
            await self.aclose()
        self._raise_error()

    async def batches(self) -> AsyncGenerator[list[Outcome], None]:
        """
        Iterate over lists of outcomes instead: all that are new each time, never empty.
        """
        self._start()
        try:
            while await self._more():
                batch = list(self._ready)
                self._ready.clear()
                yield batch
        finally:
            await self.aclose()
        self._raise_error()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """
        Begin nothing more, and wait up to 10 s for what is under way.
        """
        self._started = True
        self._stop()
        try:
            await _all_done(self._tasks(), timeout=self._grace)
        finally:
            # The grace is over, or the wait was cancelled.
            for task in tuple(self._tasks()):
                task.cancel()
            await self._all_accounted()

    def _start(self) -> None:
        if self._started:
            raise RuntimeError("This run has begun before; ask for another one.")
        self._started = True
        self._source_task = asyncio.create_task(self._read_source())
        self._source_task.add_done_callback(self._source_ended)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    async def _all_accounted(self) -> None:
        """
        Wait until the cancelled tasks have ended and their outcomes are recorded.

        A further cancellation does not end this wait: some frameworks cancel at every turn.
        """
        cancellation: asyncio.CancelledError | None = None
        while tasks := self._tasks():
            try:
                await _all_done(tasks)
                await asyncio.sleep(0)  # for the callbacks that record the outcomes
            except asyncio.CancelledError as again:
                cancellation = again
        if cancellation is not None:
            raise cancellation

    async def _more(self) -> bool:
        """
        Wait for an outcome; return False if the run has ended and there is none.

        Jobs begin during this wait only, never while the consumer handles an outcome.
        """
        self._consumer_waits = True
        self._may_begin.set()
        self._update_room()
        try:
            # Refill even if outcomes have piled up: one turn to take jobs, one to begin them.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            while not self._ready and self._tasks():
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._consumer_waits = False
        if not self._stopping:
            self._may_begin.clear()
        self._update_room()
        return bool(self._ready)

    async def _read_source(self) -> None:
        """
        Begin a task for each job, once there is room for it; after a stop, only record the job.
        """
        seen = set[str]()
        async with aclosing(_each(self._jobs)) as items:
            async for item in items:
                job_id, job = _id_and_job(item, self._model)
                if job_id in seen:
                    await asyncio.sleep(0)  # an endless source of one id must not hold the loop
                    continue
                seen.add(job_id)
                try:
                    await _until(self._has_room)
                except asyncio.CancelledError:
                    self._record(self._work.interrupted(job_id, job))
                    raise
                if self._stopping:
                    self._record(self._work.interrupted(job_id, job))
                else:
                    self._begin(job_id, job)
                self._update_room()

    def _source_ended(self, source: asyncio.Task[None]) -> None:
        self._source_task = None
        if not source.cancelled():
            self._error = self._error or source.exception()
        elif not self._stopping:
            self._error = RuntimeError("What the jobs were read from was cancelled.")
        self._changed.set()

    def _begin(self, job_id: str, job: AnyJob | None) -> None:
        """
        Start the task of a job.
        """

        def ended(task: asyncio.Task[None]) -> None:
            self._under_way.discard(task)
            if task.cancelled():
                self._record(self._work.interrupted(job_id, job))
            elif (error := task.exception()) is not None:
                self._fail(error)
            self._update_room()
            self._changed.set()

        task = asyncio.create_task(self._settle(job_id, job))
        self._under_way.add(task)
        task.add_done_callback(ended)

    async def _settle(self, job_id: str, job: AnyJob | None) -> None:
        await _until(self._may_begin)
        outcome = await self._work.settle(job_id, job, lambda: self._stopping)
        if isinstance(outcome.error, NOTHING_WILL_WORK):
            self._stopping = True  # not `_stop`: the source is read on, to account for the rest
        self._record(outcome)

    def _fail(self, error: BaseException) -> None:
        """
        End the run in an error that is no job's, but a bug's or a callback's.
        """
        self._error = self._error or error
        self._stop()

    def _stop(self) -> None:
        """
        Begin nothing more, and stop reading the source.
        """
        self._stopping = True
        self._may_begin.set()
        if self._source_task is not None:
            self._source_task.cancel()

    def _record(self, outcome: Outcome) -> None:
        self._outcomes.append(outcome)
        self._ready.append(outcome)
        self._changed.set()
        if self._on_outcome is not None:
            try:
                self._on_outcome(outcome)
            except BaseException as error:  # noqa: BLE001 - in a task, an exit would end the loop
                self._fail(error)

    def _update_room(self) -> None:
        if (
            self._may_begin.is_set()
            and len(self._under_way) < self._concurrency
            and len(self._ready) < self._concurrency
        ):
            self._has_room.set()
        else:
            self._has_room.clear()

    def _tasks(self) -> set[asyncio.Task[None]]:
        if self._source_task is None:
            return self._under_way
        return {self._source_task, *self._under_way}


class Change:
    """
    One kind of change, made to each of many jobs.

    Args:
        action: The word for what is done.
        act: Makes the change to the job with an id. Its second argument is called right before
            each request; if that returns True, it sends nothing and raises `ConnectionFailed` or
            `DeadlineExceeded`. Where it was never called, nothing was sent about that job.
        missing_ok: Whether an id that is not found counts as done.
    """

    def __init__(
        self,
        action: Action,
        act: Callable[[str, Stopping], Awaitable[Receipt]],
        *,
        missing_ok: bool = False,
    ) -> None:
        self.action: Action = action
        self._act = act
        self._missing_ok = missing_ok
        self._sent = set[str]()  # the jobs about which a request may have been received

    async def settle(self, job_id: str, job: AnyJob | None, stopping: Stopping) -> Outcome:
        """
        Make the change, unless the run has stopped.
        """
        if stopping():
            return skipped(self.action, job_id, "not_attempted", job=job)

        def stopping_or_sent() -> bool:
            if stopping():
                return True
            self._sent.add(job_id)
            return False

        try:
            receipt = await self._act(job_id, stopping_or_sent)
        except NotFound as error:
            if error.is_from_service and job is not None:
                return skipped(self.action, job_id, "already_gone", error=error, job=job)
            if not (error.is_from_service and self._missing_ok):
                return failed(self.action, job_id, error, job=job)
            receipt = Receipt(job_id=job_id, request_id=error.request_id, confirmed=False)
            return done(self.action, receipt, error=error)
        except DashScopeError as error:
            if stopping() and isinstance(error, NOTHING_HAPPENED):
                return skipped(self.action, job_id, "not_attempted", error=error, job=job)
            return failed(self.action, job_id, error, job=job)
        return done(self.action, receipt, job=job)

    def interrupted(self, job_id: str, job: AnyJob | None) -> Outcome:
        """
        Return the outcome of a job whose `settle` was cut off: the change may have been made only
        if a request was sent.
        """
        if job_id in self._sent:
            return failed(self.action, job_id, interruption(job_id), job=job)
        return skipped(self.action, job_id, "not_attempted", job=job)


def check_many(jobs: object) -> None:
    """
    Refuse what is no source of jobs.

    Raises:
        TypeError: It is one id, one job, or nothing to iterate over.
    """
    if isinstance(jobs, (str, bytes)) or not isinstance(jobs, (Iterable, AsyncIterable)):
        raise TypeError(f"Many jobs are an iterable of ids or jobs, not {type(jobs).__name__}.")


def _id_and_job(item: object, model: type[AnyJob]) -> tuple[str, AnyJob | None]:
    if isinstance(item, str):
        return item, None
    if isinstance(item, model):
        return item.job_id, item
    raise TypeError(f"Expected a job id or {model.__name__}, not {type(item).__name__}.")


async def _each(
    jobs: Iterable[str | AnyJob] | AsyncIterable[str | AnyJob],
) -> AsyncGenerator[str | AnyJob, None]:
    if isinstance(jobs, Iterable):
        for job in jobs:
            yield job
        return
    iterator: Any = aiter(jobs)
    try:
        async for job in iterator:
            yield job
    finally:
        # A pager's walk would otherwise read on in the background until it is collected.
        if hasattr(iterator, "aclose"):
            await iterator.aclose()


async def _until(event: asyncio.Event) -> None:
    while not event.is_set():  # it may be cleared again before this task gets to run
        await event.wait()


async def _all_done(tasks: set[asyncio.Task[None]], timeout: float | None = None) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=timeout)
