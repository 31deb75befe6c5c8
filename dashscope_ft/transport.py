"""
One call: its attempts, retries and deadline, up to a result or an error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from copy import copy
from typing import Any, Generic, NoReturn, TypeVar

import backoff
from attrs import define, field

from .calls import Call
from .connections import LARGEST_BODY, Connections, NoReply
from .envelope import Reply, malformed, refusal
from .errors import (
    ClientClosed,
    ConnectionFailed,
    DashScopeError,
    DeadlineExceeded,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
    StateConflict,
    Throttled,
)
from .limiter import LONGEST_PAUSE, Limiter
from .models import CANCELED_STATUSES, FINISHED_STATUSES, JobStatus
from .retry import (
    COST,
    COST_AFTER_TIMEOUT,
    Evidence,
    History,
    Operation,
    RetryBudget,
    Verdict,
    decide,
    delays,
    evidence_of,
)
from .settings import Settings, with_changes

T = TypeVar("T")

_log = logging.getLogger("dashscope_ft")

_UNSURE = frozenset({Verdict.AGAIN_UNSURE, Verdict.AGAIN_UNSURE_ONCE})


@define
class _Setback:
    """
    An attempt that did not succeed.
    """

    evidence: Evidence
    """What it is evidence of, for `decide`."""

    error: DashScopeError
    """The error to raise if there is no further attempt."""

    wait: float = 0.0
    """Seconds that the service asked to wait before the next request."""


@define(eq=False)
class _Shared:
    """
    The state that all views of a client share.
    """

    connections: Connections
    new_limiter: Callable[[], Limiter]
    limiters: dict[asyncio.AbstractEventLoop, Limiter] = field(init=False)
    budget: RetryBudget = field(init=False)
    closed: bool = False
    tasks: set[asyncio.Task[Any]] = field(factory=set)
    process: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._start()

    def __reduce__(self) -> NoReturn:
        # Before Python reaches loops and sockets: what it says of those tells a caller nothing.
        raise TypeError("A client can neither be pickled nor deep-copied: make another.")

    def here(self) -> _Shared:
        """
        Return this state, reset first if this is a forked child: turns and tokens taken by
        the parent do not count here.
        """
        if self.process != os.getpid():
            self._start()
        return self

    def limiter_here(self) -> Limiter:
        """
        Return the running loop's limiter: one loop cannot wake waiters of another.

        A new loop takes over the limiter of a closed one, so that a pace once found is kept.
        """
        loop = asyncio.get_running_loop()
        limiter = self.limiters.get(loop)
        if limiter is None:
            limiter = self.new_limiter()
            for closed in [other for other in list(self.limiters) if other.is_closed()]:
                limiter = self.limiters.pop(closed, limiter).vacated()
            self.limiters[loop] = limiter
        return limiter

    def ended(self, task: asyncio.Task[Any]) -> None:
        """
        Forget a finished task, and mark its exception as retrieved.
        """
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def aclose(self) -> None:
        """
        Cancel the client's tasks on this loop, and close its connections.
        """
        self.closed = True
        here = asyncio.get_running_loop()
        tasks = [task for task in self.tasks if task.get_loop() is here]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self.connections.aclose()

    def _start(self) -> None:
        self.limiters = {}
        self.budget = RetryBudget()
        self.process = os.getpid()


class Transport:
    """
    Sends calls for one client.

    Args:
        settings: Bounds and credentials.
        connections: What sends a single attempt.
        clock: Seconds, monotonic.
        sleep: Waits for some seconds.
        jitter: Maps the longest wait to the actual wait, both in seconds.
        now: Seconds since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        connections: Connections,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[float], float] = backoff.full_jitter,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.jitter = jitter
        self.now = now
        self.ends_at: float | None = None
        self._sleep = sleep
        concurrency = settings.concurrency
        self.shared = _Shared(
            connections, lambda: Limiter(concurrency, clock=clock, sleep=sleep, jitter=jitter)
        )

    def with_settings(self, settings: Settings) -> Transport:
        """
        Return a view with other bounds, over the same connections, limiter and budget.
        """
        view = copy(self)
        view.settings = settings
        return view

    def ending_in(self, seconds: float) -> Transport:
        """
        Return a view whose calls end in so many seconds from now, even if their turn has not come.
        """
        view = self.with_settings(with_changes(self.settings, deadline=seconds))
        view.ends_at = self.clock() + seconds
        return view

    @property
    def asked(self) -> str:
        """
        The region and host that requests are sent to, in words for error messages.
        """
        return f"Region {self.settings.region!r} at {self.settings.host}"

    async def send(
        self, call: Call[T], *, within: float | None = None, max_attempts: int | None = None
    ) -> T:
        """
        Make a call.

        Args:
            call: The call.
            within: Seconds for the whole call, from now on. If None, the settings' deadline counts,
                and from the call's first turn at the limiter on.
            max_attempts: The most attempts; if None, those of the settings.

        Raises:
            DashScopeError: Any of them except those about jobs, plans and listings.
            CancelledError: The call was cancelled; a note says if its change may have happened.
        """
        __tracebackhide__ = True  # in notebooks and tests: the caller's own frames matter
        execution = _Execution(self, call, within, max_attempts or self.settings.max_attempts)
        try:
            return await execution.run()
        except DashScopeError as error:
            error.what = call.what
            raise
        except asyncio.CancelledError as interrupt:
            if execution.may_be_done:
                doubt = f"{call.what}: interrupted, and it may have been received."
                interrupt.add_note(f"{doubt} {call.when_unknown}")
            raise

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """
        Start a task that ends with the client at the latest, whether anyone waits for it or not.
        """
        task = asyncio.create_task(work)
        self.shared.tasks.add(task)
        task.add_done_callback(self.shared.ended)
        return task

    async def sleep(self, seconds: float) -> None:
        """
        Sleep, but wake up when the client is closed.
        """
        if self.shared.closed:
            return
        with suppress(TimeoutError):
            async with self.shared.connections.timeouts.bounded():
                await self._sleep(seconds)

    async def aclose(self) -> None:
        """
        Close the connections; calls under way end in `ClientClosed`, or `OutcomeUnknown`.
        """
        await self.shared.aclose()


class _Execution(Generic[T]):
    """
    The execution of one call: attempt, decide, pause, and again, until it is settled or attempts,
    time or the retry budget run out.
    """

    def __init__(
        self, transport: Transport, call: Call[T], within: float | None, max_attempts: int
    ) -> None:
        self._transport = transport
        self._shared = transport.shared.here()
        self._limiter = self._shared.limiter_here()
        self._call = call
        self._deadline = transport.settings.deadline if within is None else within
        self._max_attempts = max_attempts
        self._history = History()
        self._delays = delays(transport.jitter)
        # None until the first turn, if the deadline counts from there.
        self._ends_at = transport.ends_at if within is None else transport.clock() + within
        self._had_turn = within is not None  # a look serves a call that had one
        self._tokens_spent = 0
        self._looked = False
        self._last_error: DashScopeError | None = None

    @property
    def may_be_done(self) -> bool:
        """
        Whether the call changes something, and an attempt may have been received.
        """
        return self._call.operation is not Operation.READ and self._history.attempts > 0

    async def run(self) -> T:
        """
        Return the result of the call, or raise the error that it ends in.
        """
        __tracebackhide__ = True
        call, history = self._call, self._history
        while True:
            got = await self._attempt()
            if not isinstance(got, _Setback):
                return got
            verdict = decide(call.operation, got.evidence, history)
            if verdict is Verdict.LOOK:
                verdict, got = await self._look(got)
            history.seen[got.evidence] += 1
            history.in_doubt |= verdict in _UNSURE
            if verdict is Verdict.INFERRED and call.infer is not None:
                self._shared.budget.earn(self._tokens_spent or 1)
                return call.infer(got.error.request_id)
            if verdict is Verdict.RAISE:
                raise await self._explained(got.error)
            if verdict in (Verdict.UNKNOWN, Verdict.INFERRED):
                raise self._outcome_unknown(got.error)
            self._last_error = got.error
            if error := await self._pause(got):
                raise self._final_error(error)

    async def _attempt(self) -> T | _Setback:
        """
        Wait for a turn and send the request once; return the result, or what went wrong.
        """
        await self._take_turn()
        self._had_turn = True
        limiter, transport = self._limiter, self._transport
        try:
            if self._shared.closed:
                raise self._final_error(_closed())
            if self._call.stopping is not None and self._call.stopping():
                raise self._final_error(ConnectionFailed("stopped before it was sent."))
            sent_at = transport.clock()
            if self._ends_at is None:
                self._ends_at = sent_at + self._deadline
            if sent_at >= self._ends_at:
                return _Setback(Evidence.UNSENT, self._late("its turn came too late."))
            self._history.attempts += 1
            left = self._ends_at - sent_at
            got = await self._shared.connections.attempt(
                self._call.request, timeout=min(transport.settings.timeout, left)
            )
        finally:
            limiter.leave()
        if _log.isEnabledFor(logging.DEBUG):
            self._log_attempt(got, transport.clock() - sent_at)
        if isinstance(got, NoReply):
            return self._no_reply(got, out_of_time=left < transport.settings.timeout)
        evidence = evidence_of(got)
        if evidence is Evidence.THROTTLED:
            limiter.refused(sent_at, got.retry_after)
        else:
            limiter.admitted()
        return self._success(got) if evidence is None else self._refusal(evidence, got)

    async def _take_turn(self) -> None:
        """
        Wait for a turn at the limiter; raise the final error if none comes in time.
        """
        if self._limiter.enter_at_once():
            return
        if self._shared.closed:
            raise self._final_error(_closed())
        bound = None if self._ends_at is None else self._seconds_left()
        error: DashScopeError
        try:
            async with self._shared.connections.timeouts.bounded(bound):
                await self._limiter.enter(self._seconds_left(), again=self._had_turn)
            return
        except Throttled as pause:
            error = self._throttled(pause)
        except TimeoutError:
            late = self._late("its turn did not come in time.")
            error = _closed() if self._shared.closed else late
        raise self._final_error(error)

    def _throttled(self, pause: Throttled) -> Throttled:
        """
        Return the service's last refusal of this call, which says more than the limiter's error,
        with what is left of the pause; the limiter's error if there was none.
        """
        last = self._last_error
        if not isinstance(last, Throttled):
            return pause
        last.retry_after = pause.retry_after
        last.hint = f"Try again in {pause.retry_after:.0f} s."
        return last

    def _log_attempt(self, got: Reply | NoReply, seconds: float) -> None:
        if isinstance(got, NoReply):
            end = got.reason
        else:
            end = f"HTTP {got.status}, {got.code or 'no code'}, request {got.request_id}"
        _log.debug("%s: %s, after %.3f s", self._call.what, end, seconds)

    def _no_reply(self, got: NoReply, *, out_of_time: bool) -> _Setback:
        if self._shared.closed:
            return _Setback(got.evidence, _closed())
        proxy = self._transport.settings.proxy_host
        way = f" through the proxy {proxy}" if proxy else ""
        reason = f"{got.reason}. {self._transport.asked} was asked{way}."
        error: DashScopeError
        if not got.timed_out:
            error = ConnectionFailed(reason)
        elif out_of_time and self._history.attempts > 1:
            error = self._late(f"the last attempt got {reason}")
        else:
            error = DeadlineExceeded(reason)
        error.retryable = not got.is_permanent
        return _Setback(got.evidence, error)

    def _refusal(self, evidence: Evidence, reply: Reply) -> _Setback:
        if evidence is Evidence.NOT_JSON:
            strange = malformed("body", reply, "JSON")
            strange.hint = f"{self._transport.asked} was asked: check the URL."
            return _Setback(evidence, strange)
        error = refusal(reply, self._transport.asked)
        return _Setback(evidence, error, error.floor)

    def _success(self, reply: Reply) -> T | _Setback:
        try:
            if reply.is_oversized:
                raise malformed("body", reply, f"at most {LARGEST_BODY} bytes long")
            value = self._call.read(reply)
        except MalformedResponse as error:
            # The traceback's locals hold the answer, and with it whatever that repeats.
            return _Setback(Evidence.OTHER_SHAPE, error.with_traceback(None))
        self._shared.budget.earn(self._tokens_spent or 1)
        return value

    async def _look(self, setback: _Setback) -> tuple[Verdict, _Setback]:
        """
        Get the job's status, and conclude from it whether the attempt in doubt took effect.

        Returns:
            What to do next, and the setback to go on with.
        """
        has_looked, self._looked = self._looked, True
        wait, setback.wait = setback.wait, 0.0  # it comes before the look, and not once more after
        if self._call.look is None or wait > LONGEST_PAUSE or wait >= self._seconds_left():
            return Verdict.UNKNOWN, setback
        if wait:
            await self._transport.sleep(wait)
        try:
            seen = await self._transport.send(self._call.look, within=self._seconds_left())
        except DashScopeError as failure:
            if isinstance(failure, NotFound) and failure.is_from_service:
                return Verdict.RAISE, _Setback(Evidence.NOT_FOUND, failure)
            return Verdict.UNKNOWN, setback
        if seen.status in CANCELED_STATUSES:
            setback.error.request_id = seen.request_id
            return Verdict.INFERRED, setback
        if seen.status in JobStatus.FINISHED:
            error = StateConflict("the job has ended.", request_id=seen.request_id)
            error.job_status = seen.status
            return Verdict.RAISE, _Setback(Evidence.STATE, error)
        return Verdict.UNKNOWN if has_looked else Verdict.AGAIN_UNSURE, setback

    async def _explained(self, error: DashScopeError) -> DashScopeError:
        """
        Return the error to raise: a refusal for the job's state with that state, if one look at
        the job succeeds; any other error as it is.
        """
        error.attempts = self._history.attempts
        if not isinstance(error, StateConflict) or self._call.look is None:
            return error
        if error.job_status is None and self._seconds_left() > 0:
            try:
                seen = await self._transport.send(
                    self._call.look, within=self._seconds_left(), max_attempts=1
                )
                error.job_status = seen.status
            except NotFound as gone:
                # The job is gone, so a deletion in doubt may have happened after all.
                is_unknown = self._history.in_doubt and gone.is_from_service
                return self._outcome_unknown(error) if is_unknown else error
            except DashScopeError:
                return error
        if error.job_status is not None:
            error.hint = f"The job is {error.job_status}."
            if self._call.while_unfinished and error.job_status not in FINISHED_STATUSES:
                error.hint = f"The job is {error.job_status}: {self._call.while_unfinished}"
        return error

    async def _pause(self, setback: _Setback) -> DashScopeError | None:
        """
        Wait before the next attempt; return the error to raise if there must not be one.
        """
        error, wait = setback.error, setback.wait
        limiter_waits = self._call.patient and setback.evidence is Evidence.THROTTLED
        if limiter_waits:
            self._max_attempts += 1  # only the deadline ends it
            cost = 0
        else:
            wait = max(wait, next(self._delays))
            cost = COST_AFTER_TIMEOUT if isinstance(error, DeadlineExceeded) else COST
        is_last = self._history.attempts >= self._max_attempts or self._shared.closed
        if is_last or setback.wait > LONGEST_PAUSE:
            return error
        if wait >= self._seconds_left():
            return self._late(error.message) if isinstance(error, ConnectionFailed) else error
        if not self._shared.budget.spend(cost):
            return error
        self._tokens_spent += cost
        _log.debug("%s: %s; again in %.2f s", self._call.what, setback.evidence.name, wait)
        await self._transport.sleep(0.0 if limiter_waits else wait)
        return None

    def _seconds_left(self) -> float:
        if self._ends_at is None:
            return self._deadline
        return self._ends_at - self._transport.clock()

    def _late(self, reason: str) -> DeadlineExceeded:
        return DeadlineExceeded(f"not done within {self._deadline:.3g} s: {reason}")

    def _final_error(self, error: DashScopeError) -> DashScopeError:
        """
        Return the error to raise: `OutcomeUnknown` if an earlier attempt may have taken effect.
        """
        error.attempts = self._history.attempts
        return self._outcome_unknown(error) if self._history.in_doubt else error

    def _outcome_unknown(self, last: DashScopeError) -> OutcomeUnknown:
        return OutcomeUnknown(
            f"sent, but its outcome is unknown: {last.message}",
            code=last.code,
            status=last.status,
            request_id=last.request_id,
            hint=self._call.when_unknown,
            attempts=self._history.attempts,
        )


def _closed() -> ClientClosed:
    return ClientClosed("This client is closed.")
