"""
The emulator's time: real, or driven by a test.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """
    What the emulator needs to know of time.
    """

    def time(self) -> float:
        """
        Return the seconds since 1970.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """
        Return once so many seconds of this clock have passed.
        """
        ...


class RealClock:
    """
    The machine's own time.
    """

    def time(self) -> float:
        """
        Return the seconds since 1970.
        """
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """
        Return once so many seconds have passed.
        """
        await asyncio.sleep(seconds)


class ManualClock:
    """
    A time that stands still until it is advanced, from any thread.

    Args:
        start: The first time it tells, in seconds since 1970.
    """

    def __init__(self, start: float = 1_767_225_600.0) -> None:  # 2026-01-01 00:00 UTC
        self._now = start
        self._lock = threading.Lock()
        self._sleepers: dict[object, tuple[float, Callable[[], object]]] = {}

    def time(self) -> float:
        """
        Return the seconds since 1970.
        """
        return self._now

    @property
    def sleepers(self) -> int:
        """
        How many calls of `sleep` are waiting to be woken.
        """
        return len(self._sleepers)

    def advance(self, seconds: float) -> None:
        """
        Move on, and wake whoever has slept long enough.
        """
        with self._lock:
            self._now += seconds
            for due, wake in self._sleepers.values():
                if due <= self._now:
                    wake()

    async def sleep(self, seconds: float) -> None:
        """
        Return once the clock was advanced by so many seconds.
        """
        if seconds <= 0:
            return
        loop, woken, sleeper = asyncio.get_running_loop(), asyncio.Event(), object()
        with self._lock:
            self._sleepers[sleeper] = (
                self._now + seconds,
                lambda: loop.call_soon_threadsafe(woken.set),
            )
        try:
            await woken.wait()
        finally:
            with self._lock:
                del self._sleepers[sleeper]
