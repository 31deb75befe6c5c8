"""
An event loop on which time passes at once, and a service that counts requests by its clock.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

from attrs import define, field

T = TypeVar("T")

LATENCY = 0.05
"""Seconds between sending and the answer."""


class _Selector(selectors.SelectSelector):
    """
    Lets time pass instead of waiting for it.
    """

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("Nothing is left that could ever happen.")
            self.now += max(0.0, timeout)
        return ready


class DrivenLoop(asyncio.SelectorEventLoop):
    """
    An event loop on which every sleep ends at once, though its clock advances by all of it.
    """

    def __init__(self) -> None:
        self._driven = _Selector()
        super().__init__(self._driven)

    def time(self) -> float:
        return self._driven.now


def drive(work: Coroutine[Any, Any, T]) -> T:
    """
    Run a coroutine to its end on such a loop; a wait for what cannot happen fails at once.
    """
    with asyncio.Runner(loop_factory=DrivenLoop) as runner:
        return runner.run(work)


def now() -> float:
    """
    Give the running loop's time.
    """
    return asyncio.get_running_loop().time()


Rate = Callable[[float], float]
"""Requests a second that are admitted at a time."""


class Quota(Protocol):
    """
    How a service counts requests.
    """

    def admits(self, time: float) -> bool: ...


@define
class Bucket:
    """
    Tokens that come at a rate; `burst` of them are kept, and each request admitted takes one.
    """

    rate: Rate
    burst: float
    tokens: float = field(init=False)
    filled_at: float = 0.0

    def __attrs_post_init__(self) -> None:
        self.tokens = self.burst

    def admits(self, time: float) -> bool:
        came = (time - self.filled_at) * self.rate(time)
        self.tokens, self.filled_at = min(self.burst, self.tokens + came), time
        if self.tokens < 1 - 1e-9:
            return False
        self.tokens -= 1
        return True


@define
class Windows:
    """
    A count that begins anew each second.
    """

    rate: Rate
    window: int = -1
    count: int = 0

    def admits(self, time: float) -> bool:
        if int(time) != self.window:
            self.window, self.count = int(time), 0
        if self.count >= self.rate(time):
            return False
        self.count += 1
        return True


class Arrival(NamedTuple):
    """
    A request when it reached the service.
    """

    time: float
    admitted: bool


@define
class Service:
    """
    Answers `LATENCY` later what its quota said when the request arrived.
    """

    quota: Quota
    arrivals: list[Arrival] = field(factory=list)
    in_flight: int = 0
    most_in_flight: int = 0

    async def admit(self) -> bool:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(LATENCY / 2)
            arrival = Arrival(now(), self.quota.admits(now()))
            self.arrivals.append(arrival)
            await asyncio.sleep(LATENCY / 2)
        finally:
            self.in_flight -= 1
        return arrival.admitted

    def admitted(self, since: float, until: float) -> int:
        """
        Count the requests let through in a span of time.
        """
        return sum(a.admitted and since <= a.time < until for a in self.arrivals)

    def refused(self, since: float, until: float) -> int:
        """
        Count those that were not.
        """
        return sum(not a.admitted and since <= a.time < until for a in self.arrivals)
