"""
How many requests may be in flight, at what pace, and the pause that all of them share.

As long as the service refuses nothing, requests are only counted, and no clock is read. From
the first refusal on, requests start one at a time. The pace begins below the rate that the
service last accepted, returns to it, and then grows ever faster, until the service refuses
again or the pace limits nothing any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from copy import copy
from typing import TypeAlias

from attrs import define

from .errors import Throttled

LONGEST_PAUSE = 60.0  # seconds; a caller is told of longer ones instead of waiting

_PAUSE = (0.25, 0.5)  # seconds without `Retry-After`: a floor, and what jitter adds to it
_DOUBLINGS = 4  # of that pause at most, one for each refusal in a row
_DIP = 0.25  # the share of the accepted rate by which a new pace starts below it
_SETTLING = 2.5  # seconds to return to that rate, times the pause: after long ones probes cost more
_FEWEST = 5  # requests to return to it at least, so that a slow service refuses few of them
_MEMORY = 1.0  # seconds over which the rate is averaged, so that a burst does not count as a rate
_FASTEST = 1000.0  # requests a second; a pace beyond it holds nothing back

_Line: TypeAlias = deque[tuple[asyncio.Future[bool], float]]  # who waits, and how patiently


@define
class _Pace:
    """
    The allowed rate: CUBIC's curve (RFC 9438), over admitted requests instead of time.

    A client that sends little therefore does not speed up while it is idle.
    """

    borne: float
    """Requests per second that the service last accepted; the curve's plateau."""

    seen: float = 0.0
    """The average rate since this pace began, in requests per second."""

    admitted: int = 0
    """The requests that the service accepted since this pace began."""

    settling: float = _SETTLING
    """Seconds at `borne` until the curve reaches its plateau."""

    @property
    def rate(self) -> float:
        settled = self.admitted / max(_FEWEST, self.settling * self.borne)
        return self.borne * (1 + _DIP * (settled - 1) ** 3)

    def admit(self) -> None:
        rate = self.rate
        self.seen += (rate - self.seen) / (1 + _MEMORY * rate)
        self.admitted += 1

    def slower(self, pause: float) -> _Pace:
        # A pace kept up for long is nearly right; of one refused at once, little was seen.
        borne = (self.rate * self.seen) ** 0.5
        return _Pace(borne, settling=_SETTLING * max(1.0, pause))


class Limiter:
    """
    One for a client, on each event loop: listing, deleting and polling wait in the same line.

    Args:
        concurrency: How many requests may be in flight at most.
        clock: Seconds, monotonic.
        sleep: Waits for some seconds.
        jitter: Maps the longest wait to the actual wait, both in seconds.
    """

    def __init__(
        self,
        concurrency: int,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        jitter: Callable[[float], float],
    ) -> None:
        self._concurrency = concurrency
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

        self._max_in_flight = concurrency
        self._in_flight = 0
        self._admitted = 0  # while there is no pace
        self._pace: _Pace | None = None
        self._refusals = 0  # since something was admitted
        self._refused_at = self._opens_at = self._next_start = float("-inf")

        # While there is a pace, one at a time waits for it at the door, the others behind.
        self._pacing_one = False
        self._retries: _Line = deque()
        self._newcomers: _Line = deque()

    def enter_at_once(self) -> bool:
        """
        Take a turn if one is free without waiting; return whether it was.
        """
        free = self._pace is None and not self._pacing_one and self._in_flight < self._max_in_flight
        self._in_flight += free
        return free

    async def enter(self, patience: float, *, again: bool = False) -> None:
        """
        Wait for a turn; each turn must be given back by `leave`.

        Args:
            patience: Seconds that the caller can wait for a pause to end.
            again: Whether it had a turn before. Since then its time is running, so it goes
                before those that had none; otherwise who comes first goes first.

        Raises:
            Throttled: The pause outlasts `patience`, or a minute; nothing was sent.
        """
        if self.enter_at_once():
            return
        if error := self._outlasting(patience):
            raise error
        await self._wait(patience, self._retries if again else self._newcomers)

    def leave(self) -> None:
        """
        Release a turn.
        """
        self._in_flight -= 1
        if self._newcomers or self._retries:
            self._let_in()

    def vacated(self) -> Limiter:
        """
        Return a copy with the same pace and no requests in it, for another event loop.
        """
        limiter = copy(self)
        limiter._in_flight, limiter._pacing_one = 0, False
        limiter._retries, limiter._newcomers = deque(), deque()
        return limiter

    def admitted(self) -> None:
        """
        Record that the service accepted a request.
        """
        pace = self._pace
        if pace is None:
            self._admitted += 1
        elif self._clock() >= self._opens_at:  # else it was sent before the refusal
            pace.admit()
            self._refusals = 0
            self._max_in_flight = min(self._max_in_flight + 1, self._concurrency)
            if pace.rate > _FASTEST:
                self._pace, self._admitted, self._max_in_flight = None, 0, self._concurrency
            self._let_in()

    def refused(self, sent_at: float, retry_after: float | None) -> None:
        """
        Slow down, since the service refused a request for its rate.

        Args:
            sent_at: When that request was sent. One sent before the last refusal says nothing new.
            retry_after: Seconds that the service asked to wait.
        """
        now = self._clock()
        pause = retry_after or 0.0
        if self._pace is None or sent_at > self._refused_at:
            if self._pace is None:
                offered = min(_FASTEST, (self._in_flight + 1) / max(now - sent_at, 1 / _FASTEST))
                self._pace = _Pace(offered, seen=min(offered, max(1, self._admitted)))
            floor, more = _PAUSE
            pause = max(pause, (floor + self._jitter(more)) * 2 ** min(self._refusals, _DOUBLINGS))
            if self._refusals == 0:  # else it was the pause that was too short
                self._pace = self._pace.slower(pause)
            self._refusals += 1
            self._refused_at = now
            self._max_in_flight = max(1, self._max_in_flight // 2)
        self._opens_at = max(self._opens_at, now + pause)
        for place, patience in (*self._retries, *self._newcomers):
            if not place.done() and (error := self._outlasting(patience)):
                place.set_exception(error)

    def _outlasting(self, patience: float) -> Throttled | None:
        pause = self._opens_at - self._clock()
        if pause <= 0 or pause <= min(LONGEST_PAUSE, patience):
            return None
        error = Throttled(
            f"The service refused requests for their rate; none is sent for another {pause:.0f} s.",
            hint="Try again then.",
        )
        error.retry_after = pause
        return error

    async def _wait(self, patience: float, line: _Line) -> None:
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        line.append((place, patience))
        self._let_in()
        may_go = False
        try:
            if await place:
                await self._wait_at_door(patience)
            may_go = True
        finally:
            # A cancellation may come together with the turn.
            if place.done() and not place.cancelled() and place.exception() is None:
                self._pacing_one &= not place.result()
                self._in_flight -= not may_go
                self._let_in()

    async def _wait_at_door(self, patience: float) -> None:
        while (wait := max(self._opens_at, self._next_start) - self._clock()) > 0:
            if error := self._outlasting(patience):
                raise error
            await self._sleep(wait)
        if self._pace is not None:
            self._next_start = self._clock() + 1 / self._pace.rate

    def _let_in(self) -> None:
        while not self._pacing_one and self._in_flight < self._max_in_flight:
            line = self._retries or self._newcomers
            if not line:
                break
            place, _ = line.popleft()
            if not place.done():
                self._in_flight += 1
                self._pacing_one = self._pace is not None
                place.set_result(self._pacing_one)
