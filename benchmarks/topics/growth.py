"""
How the cost grows, with the number of jobs and with the number in flight.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial
from math import ceil, log2
from statistics import linear_regression
from time import perf_counter, process_time

from ..contenders import by_hand, floor, official, ours
from ..lab import LATENCY, Lab, ids
from ..samples import Figure, Run, in_turn

JOBS = (100, 1_000, 10_000, 100_000)
FLIGHTS = (1, 2, 4, 8, 16, 32, 64)


async def measure(lab: Lab) -> None:
    """
    Measure along both.
    """
    await _jobs(lab)
    await _flights(lab)


async def _jobs(lab: Lab) -> None:
    medians = {}
    for jobs in JOBS[:3] if lab.quick else JOBS:
        url = lab.server.url(jobs)
        pages = [(number, 100) for number in range(1, 1 + -(-jobs // 100))]
        async with floor.opened(url) as raw, ours.opened(url) as client:
            runs: dict[str, Run] = {"ours": client.list, "floor": partial(raw.list, pages)}
            many = jobs > 10_000  # so many that the first round is as warm as the others
            samples = await in_turn(runs, lab.rounds(3 if many else 7), process_time, warm=not many)
        for name in samples:
            lab.figures[f"growth.jobs.{name}.{jobs}"] = samples.figure(name, "ms", 1000)
        medians[jobs] = samples.figure("ours", "s").median
    lab.figures["growth.jobs.doubled"] = _doubled(medians)
    lab.figures["growth.jobs.doubled_from_1000"] = _doubled(
        {jobs: seconds for jobs, seconds in medians.items() if jobs >= 1_000}
    )


async def _flights(lab: Lab) -> None:
    url = lab.server.url(lab.jobs(10_000), latency=LATENCY)
    near = lab.server.url(100)
    job_ids = ids(lab.jobs(200))
    for flights in FLIGHTS:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(ours.opened(url, concurrency=flights))
            rounds = lab.rounds(3)
            lab.server.counts()
            listed = await in_turn({"wall": client.list}, rounds, perf_counter, warm=False)
            reads = lab.server.counts().requests / rounds
            close = await stack.enter_async_context(ours.opened(near, concurrency=flights))
            sdk = await stack.enter_async_context(official.opened(near))
            httpx = await stack.enter_async_context(by_hand.opened(near))
            runs: dict[str, Run] = {
                "ours": partial(close.delete, job_ids),
                "official_async": partial(sdk.delete, job_ids, flights),
                "by_hand": partial(httpx.delete, job_ids, flights),
            }
            deleted = await in_turn(runs, rounds, process_time)
        lab.figures[f"growth.flights.wall.{flights}"] = listed.figure("wall", "s")
        lab.figures[f"growth.flights.ideal.{flights}"] = Figure.exactly(
            LATENCY * (1 + ceil((reads - 1) / flights)), "s"
        )
        for name in deleted:
            cost = deleted.figure(name, "µs", 1e6 / len(job_ids))
            lab.figures[f"growth.flights.cpu.{name}.{flights}"] = cost


def _doubled(seconds: dict[int, float]) -> Figure:
    """
    Return how much longer twice the jobs take, by the line closest to the points.
    """
    slope, _ = linear_regression([log2(x) for x in seconds], [log2(y) for y in seconds.values()])
    return Figure.exactly(2**slope, "times")
