"""
How many requests may be in flight, at what pace, and the pause that all of them share.

A service that never throttles pays nothing: until the first refusal there is only the
count of requests in flight. From then on the limiter paces what it lets through, by what
the service was seen to admit, and lets the pace grow until the service objects again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from .errors import Throttled

LONGEST_PAUSE = 60.0  # seconds; a caller is told of longer ones instead of waiting

_PAUSE = (0.25, 0.5)  # seconds without `Retry-After`: a floor, and what jitter adds to it
_SLOWER = 0.7  # of the pace, at each refusal
_FASTER = 1.05  # times the pace, each second without one
_RECENT = 1.0  # seconds over which the admitted rate is measured
_CALM = 300.0  # seconds of growth that take any pace beyond the next line's
_UNPACED = 1000.0  # requests a second; a pace beyond it holds nothing back


class Limiter:
    """
    One for a client: listing, deleting and polling wait in the same line.

    Args:
        concurrency: How many requests may be in flight at most.
        clock: Seconds, monotonic.
        sleep: Waits for some seconds.
        jitter: Given a bound, how long to wait within it.
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
        self._flights = float(concurrency)
        self._in_flight = 0
        self._line: deque[asyncio.Future[None]] = deque()
        self._opens_at = 0.0
        self._pace: float | None = None
        self._paced_at = 0.0
        self._next_start = 0.0
        self._refused_at = float("-inf")
        self._admitted: deque[float] = deque()

    async def enter(self, patience: float) -> None:
        """
        Wait for a turn; each turn must be given back by `leave`.

        Args:
            patience: Seconds that the caller can wait for a pause to end.

        Raises:
            Throttled: The pause outlasts `patience`, or a minute; nothing was sent.
        """
        await self._take_flight()
        try:
            while (wait := self._wait(patience)) > 0:
                await self._sleep(wait)
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        """
        Give a turn back.
        """
        self._in_flight -= 1
        self._let_in()

    def admitted(self) -> None:
        """
        Take note that the service let a request through.
        """
        now = self._clock()
        self._admitted.append(now)
        while self._admitted[0] < now - _RECENT:
            self._admitted.popleft()
        if self._flights < self._concurrency:
            self._flights = min(self._concurrency, self._flights + 1 / self._flights)
            self._let_in()

    def refused(self, sent_at: float, retry_after: float | None) -> None:
        """
        Slow down, since the service refused a request for its rate.

        Args:
            sent_at: When that request was sent. One sent before the last refusal says nothing new.
            retry_after: Seconds that the service asked to wait.
        """
        now = self._clock()
        floor, more = _PAUSE
        pause = floor + self._jitter(more) if retry_after is None else retry_after
        if sent_at >= self._refused_at:
            self._flights = max(1.0, self._flights / 2)
            recent = sum(time >= now - _RECENT for time in self._admitted)
            self._pace = _SLOWER * (self._current_pace(now) or max(1.0, recent / _RECENT))
            self._paced_at = now + pause
            self._refused_at = now
        elif retry_after is None:
            return
        self._opens_at = max(self._opens_at, now + pause)
        self._next_start = max(self._next_start, self._opens_at)

    def _wait(self, patience: float) -> float:
        """
        Seconds still to wait; zero takes the start that is free now.
        """
        now = self._clock()
        if (pause := self._opens_at - now) > 0:
            if pause > min(LONGEST_PAUSE, patience):
                error = Throttled(
                    f"The service asked for a pause, which lasts {pause:.0f} s more.",
                    hint="Nothing was sent; try again then.",
                )
                error.retry_after = pause
                raise error
            return pause
        pace = self._current_pace(now)
        if pace is None:
            return 0.0
        if self._next_start > now:
            return self._next_start - now
        self._next_start = now + 1 / pace
        return 0.0

    def _current_pace(self, now: float) -> float | None:
        if self._pace is None:
            return None
        calm = min(_CALM, max(0.0, now - self._paced_at))
        pace = self._pace * _FASTER**calm
        if pace > _UNPACED:
            self._pace = None
        return self._pace and pace

    async def _take_flight(self) -> None:
        if not self._line and self._in_flight < int(self._flights):
            self._in_flight += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._line.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.leave()  # the turn came together with the cancellation
            elif place in self._line:
                self._line.remove(place)
            raise

    def _let_in(self) -> None:
        while self._line and self._in_flight < int(self._flights):
            place = self._line.popleft()
            if not place.done():
                self._in_flight += 1
                place.set_result(None)
