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

_SHORTEST_PAUSE = 0.25  # seconds, where the service sent no `Retry-After`
_PAUSE_JITTER = 0.5  # seconds that jitter may add to that
_MOST_DOUBLINGS = 4  # of such a pause, one for each refusal in a row
_DIP = 0.25  # a new pace starts this share below the rate that the service last accepted
_SETTLING = 2.5  # seconds to return to that rate; after a pause above a second, times its seconds
_FEWEST = 5  # requests to return to it at least, so that a slow service refuses few of them
_MEMORY = 1.0  # seconds over which the rate is averaged, so that a burst does not count as a rate
_FASTEST = 1000.0  # requests a second; a pace beyond it holds nothing back

_Line: TypeAlias = deque[tuple[asyncio.Future[bool], float]]
"""
Those who wait for a turn: a future that is resolved with the turn, and the seconds that they can
wait for a pause to end. True means that the turn begins with a wait for the pace.
"""


@define
class _Pace:
    """
    The allowed rate: CUBIC's curve (RFC 9438), over admitted requests instead of time.

    A client that sends little therefore does not speed up while it is idle.
    """

    accepted_rate: float
    """Requests per second that the service last accepted; the curve's plateau."""

    average_rate: float = 0.0
    """Requests per second since this pace began, on average."""

    admitted: int = 0
    """The requests that the service accepted since this pace began."""

    settling: float = _SETTLING
    """Seconds at `accepted_rate` until the curve reaches its plateau."""

    @property
    def rate(self) -> float:
        """
        The requests per second that are allowed now.
        """
        settled = self.admitted / max(_FEWEST, self.settling * self.accepted_rate)
        return self.accepted_rate * (1 + _DIP * (settled - 1) ** 3)

    def admit(self) -> None:
        """
        Count a request that the service accepted.
        """
        rate = self.rate
        self.average_rate += (rate - self.average_rate) / (1 + _MEMORY * rate)
        self.admitted += 1

    def slower(self, pause: float) -> _Pace:
        """
        Return the pace to go on with after a refusal and a pause of so many seconds.
        """
        # The geometric mean: if this pace was kept up for long, both rates are nearly the same; if
        # it was refused at once, the average is low, since little has shown that the pace is right.
        accepted_rate = (self.rate * self.average_rate) ** 0.5
        # After a long pause, a refusal costs more: so the next one is provoked later.
        return _Pace(accepted_rate, settling=_SETTLING * max(1.0, pause))


class Limiter:
    """
    Gives out the turns of one client on one event loop; each request needs one.

    Listing, deleting and polling wait in the same line.

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
        self._admitted = 0  # requests that the service accepted while there was no pace
        self._pace: _Pace | None = None  # until the first refusal
        self._refusals = 0  # since the service last accepted a request
        # By the clock: the last refusal, the end of the pause, when the pace allows the next start.
        self._refused_at = self._opens_at = self._next_start = float("-inf")

        # While there is a pace, one at a time has a turn and waits for the pace; the others wait in
        # line behind that one.
        self._pacing_one = False
        self._retries: _Line = deque()
        self._newcomers: _Line = deque()

    def enter_at_once(self) -> bool:
        """
        Take a turn if there is one without waiting; return whether there was.
        """
        free = self._pace is None and not self._pacing_one and self._in_flight < self._max_in_flight
        if free:
            self._in_flight += 1
        return free

    async def enter(self, patience: float, *, again: bool = False) -> None:
        """
        Wait for a turn; each turn must be given back by `leave`.

        Args:
            patience: Seconds that the caller can wait for a pause to end.
            again: Whether the call had a turn before. Its deadline is running since then, so it
                goes before calls that had none; among equals, the first to come goes first.

        Raises:
            Throttled: The pause outlasts `patience`, or a minute; nothing was sent.
        """
        if self.enter_at_once():
            return
        if error := self._throttled(patience):
            raise error
        await self._wait(patience, self._retries if again else self._newcomers)

    def leave(self) -> None:
        """
        Give a turn back.
        """
        self._in_flight -= 1
        if self._newcomers or self._retries:
            self._give_turns()

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
        elif self._clock() >= self._opens_at:  # during a pause, it was sent before the refusal
            pace.admit()
            self._refusals = 0
            self._max_in_flight = min(self._max_in_flight + 1, self._concurrency)
            if pace.rate > _FASTEST:
                self._pace, self._admitted, self._max_in_flight = None, 0, self._concurrency
            self._give_turns()

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
            pace = self._pace or self._first_pace(now - sent_at)
            own_pause = _SHORTEST_PAUSE + self._jitter(_PAUSE_JITTER)
            pause = max(pause, own_pause * 2 ** min(self._refusals, _MOST_DOUBLINGS))
            # Of refusals in a row, only the first blames the pace, the others a pause too short.
            self._pace = pace.slower(pause) if self._refusals == 0 else pace
            self._refusals += 1
            self._refused_at = now
            self._max_in_flight = max(1, self._max_in_flight // 2)
        self._opens_at = max(self._opens_at, now + pause)
        for turn, patience in (*self._retries, *self._newcomers):
            if not turn.done() and (error := self._throttled(patience)):
                turn.set_exception(error)

    def _first_pace(self, seconds: float) -> _Pace:
        """
        Return the pace that the service refused, judged by how long it took to answer that.
        """
        in_flight = self._in_flight + 1  # the refused request has left already
        offered = min(_FASTEST, in_flight / max(seconds, 1 / _FASTEST))  # Little's law
        return _Pace(offered, average_rate=min(offered, max(1, self._admitted)))

    def _throttled(self, patience: float) -> Throttled | None:
        """
        Return the error for a caller that cannot wait for the pause to end; None if it can.
        """
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
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        line.append((turn, patience))
        self._give_turns()
        may_go = False
        try:
            # The first refusal may come between the turn and here: often, it is that of the very
            # request whose turn this was.
            if await turn or self._pace is not None:
                await self._wait_for_pace(patience)
            may_go = True
        finally:
            # A cancellation may come together with the turn, which is then given back.
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                if turn.result():
                    self._pacing_one = False
                if not may_go:
                    self._in_flight -= 1
                self._give_turns()

    async def _wait_for_pace(self, patience: float) -> None:
        # In a loop, since a refusal may extend the pause meanwhile.
        while (wait := max(self._opens_at, self._next_start) - self._clock()) > 0:
            if error := self._throttled(patience):
                raise error
            await self._sleep(wait)
        if self._pace is not None:
            self._next_start = self._clock() + 1 / self._pace.rate

    def _give_turns(self) -> None:
        """
        Give turns to those who wait, as far as there are any.
        """
        while not self._pacing_one and self._in_flight < self._max_in_flight:
            line = self._retries or self._newcomers
            if not line:
                break
            turn, _ = line.popleft()
            if not turn.done():
                self._in_flight += 1
                self._pacing_one = self._pace is not None
                turn.set_result(self._pacing_one)
