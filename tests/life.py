"""
An emulator whose clock moves only while the client sleeps, so that waiting takes no time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from dashscope_ft import AsyncClient, FineTuneJob, ImportJob
from dashscope_ft.codec import Codec
from dashscope_ft.connections import Connections
from dashscope_ft.emulator import Account, Emulator, ManualClock, Pace, Rules
from dashscope_ft.settings import resolve
from dashscope_ft.transport import Transport


@define(eq=False)
class Life:
    """
    An emulator, a client of it, and the time that both live in.
    """

    emulator: Emulator
    clock: ManualClock
    client: AsyncClient = field(init=False)
    slept: list[float] = field(factory=list)
    meanwhile: Callable[[], object] = lambda: None
    """What happens after each sleep of the client."""

    @property
    def account(self) -> Account:
        return self.emulator.account()

    @property
    def asked(self) -> Counter[str]:
        """
        How many requests of each operation came.
        """
        return Counter(request.operation for request in self.emulator.journal)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)
        self.meanwhile()

    async def job(self, **fields: Any) -> FineTuneJob:
        given: dict[str, Any] = {"model": "qwen3-8b", "training_file_ids": ["file-1"]} | fields
        return await self.client.fine_tunes.create(**given)

    async def model_import(self, **fields: Any) -> ImportJob:
        given: dict[str, Any] = {
            "model_name": "qwen3-8b",
            "weight_type": "lora",
            "bucket_name": "weights",
            "object_key": "mine/",
        } | fields
        return await self.client.imports.create(**given)


@asynccontextmanager
async def living(*, rules: Rules | None = None, **settings: Any) -> AsyncIterator[Life]:
    """
    Run an emulator in which training takes ten minutes, and a client of it.
    """
    clock = ManualClock()
    pace = Pace(pending=20.0, queuing=40.0, running=600.0, exporting=120.0, import_running=300.0)
    async with Emulator(clock=clock, pace=pace, rules=rules) as emulator:
        life = Life(emulator, clock)
        options: dict[str, Any] = {"api_key": emulator.key(), "base_url": emulator.url}
        given = resolve(**(options | settings), environ={})
        transport = Transport(
            given,
            Connections(given),
            clock=clock.time,
            sleep=life.sleep,
            jitter=lambda bound: bound,
            now=clock.time,
        )
        life.client = AsyncClient._over(transport, Codec(given.time_zone))
        async with life.client:
            yield life
