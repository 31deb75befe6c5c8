"""
How long it takes to list all jobs of a service far away.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from math import ceil
from time import perf_counter

from ..contenders import by_hand, official, ours
from ..lab import LATENCY, Lab
from ..samples import Figure, Run, in_turn

JOBS = 10_000
FLIGHTS = (8, 16, 32)


async def measure(lab: Lab) -> None:
    """
    Measure some widths of ours, and what takes a page after the other.
    """
    url = lab.server.url(lab.jobs(JOBS), latency=LATENCY)
    async with AsyncExitStack() as stack:
        wide = {
            flights: await stack.enter_async_context(ours.opened(url, concurrency=flights))
            for flights in FLIGHTS
        }
        runs: dict[str, Run] = {f"ours_{flights}": wide[flights].list for flights in FLIGHTS}
        slow: dict[str, Run] = {
            "official_async": (await stack.enter_async_context(official.opened(url))).list,
            "by_hand": (await stack.enter_async_context(by_hand.opened(url))).list,
        }
        often = await in_turn(runs, lab.rounds(15), perf_counter)
        seldom = await in_turn(slow | runs, lab.rounds(3), perf_counter, warm=False)
        for flights in FLIGHTS:
            name = f"ours_{flights}"
            lab.server.counts()
            await runs[name]()
            counts = lab.server.counts()
            ideal = LATENCY * (1 + ceil((counts.requests - 1) / flights))
            lab.figures[f"latency.wall.{name}"] = often.figure(name, "s")
            lab.figures[f"latency.ratio.{flights}"] = often.figure(name, "times", 1 / ideal)
            lab.figures[f"latency.most_in_flight.{flights}"] = Figure.exactly(counts.most_in_flight)
            lab.figures[f"latency.connections.{flights}"] = Figure.exactly(counts.connections)
            lab.figures[f"latency.faster.{flights}"] = seldom.ratio("official_async", name)
        for name in slow:
            lab.figures[f"latency.wall.{name}"] = seldom.figure(name, "s")
