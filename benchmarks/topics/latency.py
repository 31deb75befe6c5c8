"""
How long it takes to list all jobs of a service far away.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from math import ceil
from time import perf_counter

from ..contenders import by_hand, official, ours
from ..lab import LATENCY, Lab
from ..samples import Figure, Run, in_turn

JOBS = 10_000
FLIGHTS = (8, 16, 32)


async def measure(lab: Lab) -> None:
    """
    Measure some widths of ours in close turns, then beside what one would write instead.
    """
    url = lab.server.url(lab.jobs(JOBS), latency=LATENCY)
    async with AsyncExitStack() as stack:
        widths: dict[str, Run] = {}
        for flights in FLIGHTS:
            client = await stack.enter_async_context(ours.opened(url, concurrency=flights))
            widths[f"ours_{flights}"] = client.list
        httpx_at_once = (await stack.enter_async_context(by_hand.opened(url))).list_at_once
        sdk_at_once = (await stack.enter_async_context(official.opened(url))).list_at_once
        others: dict[str, Run] = {
            "by_hand_8": partial(httpx_at_once, 8),
            "official_async_8": partial(sdk_at_once, 8),
            "by_hand": (await stack.enter_async_context(by_hand.opened(url))).list,
            "official_async": (await stack.enter_async_context(official.opened(url))).list,
        }
        alone = await in_turn(widths, lab.rounds(15), perf_counter)
        beside = await in_turn(widths | others, lab.rounds(5), perf_counter)
        for name in beside:
            lab.figures[f"latency.wall.{name}"] = beside.figure(name, "s")
        for flights in FLIGHTS:
            name = f"ours_{flights}"
            lab.server.counts()
            await widths[name]()
            counts = lab.server.counts()
            ideal = LATENCY * (1 + ceil((counts.requests - 1) / flights))
            lab.figures[f"latency.alone.{flights}"] = alone.figure(name, "s")
            lab.figures[f"latency.ratio.{flights}"] = alone.figure(name, "times", 1 / ideal)
            lab.figures[f"latency.faster.{flights}"] = beside.ratio("official_async", name)
            lab.figures[f"latency.most_in_flight.{flights}"] = Figure.exactly(counts.most_in_flight)
            lab.figures[f"latency.connections.{flights}"] = Figure.exactly(counts.connections)
