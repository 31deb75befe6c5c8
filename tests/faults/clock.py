"""
Time that passes only where nothing else can happen: in a pause, or while the server is silent.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
from typing import Any

from aiohttp import TraceConfig
from attrs import define, field

from ..hourglass import Hourglass

_PATIENCE = 30.0  # real seconds that a busy machine may take to bring bytes over its loopback


class _Selector(selectors.SelectSelector):
    now = 0.0
    is_silent = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and (self.is_silent or timeout <= 0):
            ready = super().select(0)
            if not ready:
                self.now += max(0.0, timeout)
        elif not (ready := super().select(_PATIENCE)):
            raise RuntimeError("Nothing is left that could ever happen.")
        return ready


class PatientLoop(asyncio.SelectorEventLoop):
    """
    An event loop whose time stands still until the server is silent, and then passes at once.

    So bytes are never overtaken by a timeout, however slow the machine is. It knows one name,
    `localhost`, and may be told to know none.
    """

    def __init__(self) -> None:
        self._patient = _Selector()
        super().__init__(self._patient)
        self.knows_names = True

    def time(self) -> float:
        return self._patient.now

    def advance(self, seconds: float) -> None:
        """
        Let time pass.
        """
        self._patient.now += seconds

    def fall_silent(self) -> None:
        """
        Take note that nothing more comes for the request under way, or only as time passes.
        """
        self._patient.is_silent = True

    def speak(self) -> None:
        """
        Take note that something is expected again.
        """
        self._patient.is_silent = False

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        if not self.knows_names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port or 0))]

    def attempts(self) -> TraceConfig:
        """
        Give a trace that notes each attempt's beginning.
        """

        async def begin(*_: object) -> None:
            self.speak()

        trace = TraceConfig()
        trace.on_request_start.append(begin)
        return trace


@define
class LoopTime(Hourglass):
    """
    A client's clock and pauses, on such a loop.
    """

    loop: PatientLoop = field(kw_only=True)

    def __call__(self) -> float:
        return self.loop.time()

    async def sleep(self, seconds: float) -> None:
        self.loop.advance(seconds)
        await asyncio.sleep(0)
