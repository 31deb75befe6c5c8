"""
Deleting many jobs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from math import ceil
from time import perf_counter, process_time

from ..contenders import by_hand, floor, official, ours
from ..lab import LATENCY, Lab, ids
from ..samples import Figure, Run, in_turn

JOBS = 2_000


async def measure(lab: Lab) -> None:
    """
    Measure what a deletion costs, and how long many take.
    """
    lab.figures["deleting.jobs"] = Figure.exactly(lab.jobs(JOBS))
    await _cost(lab)
    await _wall(lab)


async def _cost(lab: Lab) -> None:
    job_ids = ids(lab.jobs(JOBS) // 4)
    url = lab.server.url(100)
    async with AsyncExitStack() as stack:
        raw = await stack.enter_async_context(floor.opened(url))
        client = await stack.enter_async_context(ours.opened(url))
        sdk = await stack.enter_async_context(official.opened(url))
        httpx = await stack.enter_async_context(by_hand.opened(url))
        samples = await in_turn(
            {
                "floor": lambda: raw.delete_at_once(job_ids, 8),
                "floor_in_turn": lambda: raw.delete(job_ids),
                "ours": lambda: client.delete(job_ids),
                "official": lambda: sdk.delete(job_ids, 8),
                "by_hand": lambda: httpx.delete(job_ids, 8),
            },
            lab.rounds(15),
            process_time,
        )
    for name in samples:
        lab.figures[f"deleting.cpu.{name}"] = samples.figure(name, "µs", 1e6 / len(job_ids))
    lab.figures["deleting.ratio.ours"] = samples.ratio("ours", "floor_in_turn")


async def _wall(lab: Lab) -> None:
    job_ids = ids(lab.jobs(JOBS))
    url = lab.server.url(100, latency=LATENCY)
    async with AsyncExitStack() as stack:
        narrow = await stack.enter_async_context(ours.opened(url, concurrency=8))
        wide = await stack.enter_async_context(ours.opened(url, concurrency=64))
        sdk = await stack.enter_async_context(official.opened(url))
        httpx = await stack.enter_async_context(by_hand.opened(url))
        many: dict[str, Callable[[Sequence[str]], Awaitable[object]]] = {
            "ours_64": wide.delete,
            "official_64": partial(sdk.delete, concurrency=64),
            "by_hand_64": partial(httpx.delete, concurrency=64),
        }
        runs: dict[str, Run] = {name: partial(delete, job_ids) for name, delete in many.items()}
        one: dict[str, Run] = {"ours_8": partial(narrow.delete, job_ids)}
        samples = await in_turn(runs, lab.rounds(3), perf_counter, warm=False)
        samples |= await in_turn(one, lab.rounds(3), perf_counter, warm=False)
        for name in many:
            lab.figures[f"deleting.wall.{name}"] = samples.figure(name, "s")
        for flights in (8, 64):
            ideal = LATENCY * ceil(len(job_ids) / flights)
            figure = samples.figure(f"ours_{flights}", "times", 1 / ideal)
            lab.figures[f"deleting.ideal.{flights}"] = figure
        some = job_ids[: len(job_ids) // 4]  # enough to count
        for name, delete in many.items():
            lab.server.counts()
            await delete(some)
            counts = lab.server.counts()
            lab.figures[f"deleting.connections.{name}"] = Figure.exactly(counts.connections)
            lab.figures[f"deleting.most_in_flight.{name}"] = Figure.exactly(counts.most_in_flight)
