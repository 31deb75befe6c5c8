"""
A clock for a single transport, which moves only while the client sleeps.

For the scripted server, which has no time of its own; `life` has an emulator that lives by the
client's clock, `driven` a whole event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import define, field


@define
class Hourglass:
    """
    Time that passes only where somebody sleeps, and remembers for how long.
    """

    now: float = 1000.0
    slept: list[float] = field(factory=list)
    meanwhile: Callable[[], object] = lambda: None
    """What happens during the next sleeps."""

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        happening = self.meanwhile()
        if asyncio.iscoroutine(happening):
            await happening
        await asyncio.sleep(0)
