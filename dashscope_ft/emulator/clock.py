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
    The clock that the emulator uses.
    """

    def time(self) -> float:
        """
        Return the seconds since 1970.
        """
        ...

    async def sleep(self, seconds: float) -> None:
        """
        Sleep for a number of seconds of this clock.
        """
        ...


class RealClock:
    """
    The system clock.
    """

    def time(self) -> float:
        """
        Return the seconds since 1970.
        """
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """
        Sleep for a number of seconds.
        """
        await asyncio.sleep(seconds)


class ManualClock:
    """
    A clock that stands still until it is advanced, from any thread.

    Args:
        start: The initial time, in seconds since 1970.
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
        The number of pending calls of `sleep`.
        """
        return len(self._sleepers)

    def advance(self, seconds: float) -> None:
        """
        Advance the clock, and wake the sleepers that are due.
        """
        with self._lock:
            self._now += seconds
            for due, wake in self._sleepers.values():
                if due <= self._now:
                    wake()

    async def sleep(self, seconds: float) -> None:
        """
        Sleep until the clock has been advanced by a number of seconds.
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
