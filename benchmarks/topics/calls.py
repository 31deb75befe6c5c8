"""
What a single call costs, blocking and not, alone and from many threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from time import perf_counter, process_time
from typing import Any

from ..contenders import floor, official, ours
from ..lab import Lab, ids
from ..samples import Run, in_turn

CALLS = 300
THREADS = 8


async def measure(lab: Lab) -> None:
    """
    Get jobs one after another, then from several threads that share a client.
    """
    job_ids = ids(lab.jobs(CALLS))
    few = job_ids[: len(job_ids) // 2]  # for each of the threads
    url = lab.server.url(100)
    async with AsyncExitStack() as stack:
        raw = await stack.enter_async_context(floor.opened(url))
        bare = await stack.enter_async_context(ours.opened(url))
        client = stack.enter_context(ours.opened_blocking(url))
        sdk = stack.enter_context(official.opened_sync(url))
        classic = official.OfficialClassic(url)
        alone = await in_turn(
            {
                "floor_await": _awaiting(raw.get, job_ids),
                "ours_await": _awaiting(bare.get, job_ids),
                "ours_blocking": _blocking(client.get, job_ids),
                "official_blocking": _blocking(sdk.get, job_ids),
                "official_classic_blocking": _blocking(classic.get, job_ids),
            },
            lab.rounds(11),
            perf_counter,
        )
        cost = await in_turn({"ours": _awaiting(bare.get, job_ids)}, lab.rounds(11), process_time)
        shared = await in_turn(
            {
                "ours_threads": _threaded(client.get, few),
                "official_threads": _threaded(sdk.get, few),
            },
            lab.rounds(9),
            perf_counter,
        )
    lab.figures["calls.cpu.ours"] = cost.figure("ours", "µs", 1e6 / len(job_ids))
    for name in alone:
        lab.figures[f"calls.wall.{name}"] = alone.figure(name, "µs", 1e6 / len(job_ids))
    for name in shared:
        each = 1e6 / (THREADS * len(few))
        lab.figures[f"calls.wall.{name}"] = shared.figure(name, "µs", each)
    lab.figures["calls.ratio.blocking"] = alone.ratio("ours_blocking", "ours_await")
    lab.figures["calls.ratio.threads"] = shared.ratio("ours_threads", "official_threads")


def _awaiting(get: Callable[[str], Any], job_ids: Sequence[str]) -> Run:
    async def run() -> None:
        for job_id in job_ids:
            await get(job_id)

    return run


def _blocking(get: Callable[[str], Any], job_ids: Sequence[str]) -> Run:
    async def run() -> None:
        for job_id in job_ids:
            get(job_id)

    return run


def _threaded(get: Callable[[str], Any], job_ids: Sequence[str]) -> Run:
    def some() -> None:
        for job_id in job_ids:
            get(job_id)

    async def run() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            for done in [pool.submit(some) for _ in range(THREADS)]:
                done.result()

    return run
