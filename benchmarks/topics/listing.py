"""
What it costs to list all jobs: CPU, with the service next door.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from time import process_time

from ..contenders import by_hand, floor, official, ours, stock_cattrs
from ..lab import Lab
from ..samples import Figure, Run, in_turn

JOBS = 10_000
AT_ONCE = ("by_hand_8", "official_async_8")


async def measure(lab: Lab) -> None:
    """
    Measure against the floor in close turns, then all contenders.
    """
    await _against_the_floor(lab)
    await _all(lab)


async def _against_the_floor(lab: Lab) -> None:
    jobs = lab.jobs(JOBS)
    url, odd_url = lab.server.url(jobs), lab.server.url(jobs, flavour="odd")
    pages = [(number, 100) for number in range(1, 1 + -(-jobs // 100))]
    async with (
        floor.opened(url) as raw,
        floor.opened(odd_url) as raw_odd,
        ours.opened(url) as client,
        ours.opened(odd_url) as client_odd,
    ):
        assert len(await client.list()) == jobs
        lab.server.counts()
        await client.list()
        counts = lab.server.counts()
        lab.figures["listing.jobs"] = Figure.exactly(jobs)
        lab.figures["listing.requests"] = Figure.exactly(counts.requests)
        lab.figures["listing.connections"] = Figure.exactly(counts.connections)
        windows = counts.spans
        samples = await in_turn(
            {
                "floor_windows": lambda: raw.list(windows),
                "ours": client.list,
                "floor_pages": lambda: raw.list(pages),
                "ours_odd": client_odd.list,
                "floor_odd": lambda: raw_odd.list(windows),
            },
            lab.rounds(31),
            process_time,
        )
    lab.figures["listing.ratio.windows"] = samples.ratio("ours", "floor_windows")
    lab.figures["listing.ratio.pages"] = samples.ratio("ours", "floor_pages")
    lab.figures["listing.ratio.odd"] = samples.ratio("ours_odd", "floor_odd")


async def _all(lab: Lab) -> None:
    jobs = lab.jobs(JOBS)
    async with AsyncExitStack() as stack:
        near = await _contenders(stack, lab.server.url(jobs), jobs)
        # Eight answers at once leave the heap in another state for whatever is measured next.
        at_once = {"floor": near["floor"]} | {name: near.pop(name) for name in AT_ONCE}
        samples = await in_turn(near, lab.rounds(15), process_time)
        apart = await in_turn(at_once, lab.rounds(15), process_time)
        # Answers that come at once leave connections idle: so these are counted a little away.
        away = await _contenders(stack, lab.server.url(jobs, latency=0.005), jobs)
        for name, run in away.items():
            lab.server.counts()
            await run()
            counts = lab.server.counts()
            lab.figures[f"contest.requests.{name}"] = Figure.exactly(counts.requests)
            lab.figures[f"contest.connections.{name}"] = Figure.exactly(counts.connections)
    for name in (*samples, *AT_ONCE):
        turns = samples if name in samples else apart
        lab.figures[f"contest.cpu.{name}"] = turns.figure(name, "ms", 1000)
        if name != "floor":
            lab.figures[f"contest.ratio.{name}"] = turns.ratio(name, "floor")
    for name in ("official_async", "official_sync"):
        lab.figures[f"contest.ours_to.{name}"] = samples.ratio("ours_8", name)


async def _contenders(stack: AsyncExitStack, url: str, jobs: int) -> dict[str, Run]:
    """
    Open a client each, and give what lists that many jobs with it.
    """
    pages = [(number, 100) for number in range(1, 1 + -(-jobs // 100))]
    raw = await stack.enter_async_context(floor.opened(url))
    httpx_at_once = (await stack.enter_async_context(by_hand.opened(url))).list_at_once
    sdk_at_once = (await stack.enter_async_context(official.opened(url))).list_at_once
    return {
        "floor": partial(raw.list, pages),
        "ours_8": (await stack.enter_async_context(ours.opened(url, concurrency=8))).list,
        "by_hand_8": partial(httpx_at_once, 8),
        "official_async_8": partial(sdk_at_once, 8),
        "stock_cattrs": (await stack.enter_async_context(stock_cattrs.opened(url))).list,
        "by_hand": (await stack.enter_async_context(by_hand.opened(url))).list,
        "official_async": (await stack.enter_async_context(official.opened(url))).list,
        "official_sync": blocking(stack.enter_context(official.opened_sync(url)).list),
        "official_classic": blocking(official.OfficialClassic(url).list),
    }


def blocking(list_all: Callable[[], object]) -> Run:
    """
    Let a blocking function take its turn: nothing else runs on the loop meanwhile.
    """

    async def run() -> object:
        return list_all()

    return run
