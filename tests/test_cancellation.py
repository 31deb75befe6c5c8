"""
Cancelling an operation at each of its awaits, one after the other.

An operation's tasks, its own and those that it starts, are stepped through, and cancelled at
the first await, the second, and so on: either as they begin to wait, or at the very moment
when what they wait for has come.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import types
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import define, field

from dashscope_ft import AsyncClient, Plan, Selection
from dashscope_ft.codec import Codec
from dashscope_ft.connections import Connections
from dashscope_ft.emulator import Emulator, Fault, ManualClock
from dashscope_ft.settings import resolve
from dashscope_ft.transport import Transport

MOST = int(os.environ.get("CANCELLATIONS", "12"))  # awaits tried of an operation, each way
LISTED, CHANGED = 250, 10  # jobs

# So that pauses are struck too, and standing in line behind one; later where there are many
# requests, which go one by one from the refusal on.
FAULTS = (Fault(status=503), Fault(status=429))
FAULTS_AMONG_MANY = (Fault(status=503), Fault(status=429, every=12))

Record = Callable[[str, object], None]


@define(eq=False)
class Strike:
    """
    A cancellation at the n-th await of an operation, whichever of its tasks that is in.
    """

    at: int
    """Which await, from 1; none is struck where it is 0."""

    as_it_ends: bool
    """Whether it comes together with what was awaited, rather than before."""

    steps: int = 0
    """How many awaits there were."""

    struck: bool = False
    tasks: list[asyncio.Task[Any]] = field(factory=list)
    """The operation's own first."""

    def begin(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """
        Start the operation, on a loop whose tasks are made by `task_factory`.
        """
        context = copy_context()
        context.run(_strike.set, self)
        return context.run(asyncio.create_task, work)

    def pass_await(self, awaited: Any) -> None:
        self.steps += 1
        if self.steps != self.at:
            return
        if self.as_it_ends and asyncio.isfuture(awaited):
            awaited.add_done_callback(self._cancel)
        else:
            self._cancel()

    def _cancel(self, _: object = None) -> None:
        self.struck = self.tasks[0].cancel()


_strike: ContextVar[Strike | None] = ContextVar("_strike", default=None)


def task_factory(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    """
    Make a task that is stepped through if it belongs to an operation.
    """
    strike = _strike.get()
    if strike is None:
        return asyncio.Task(work, loop=loop, **options)
    task = asyncio.Task(_run_through(work, strike), loop=loop, **options)
    strike.tasks.append(task)
    return task


async def _run_through(work: Coroutine[Any, Any, Any], strike: Strike) -> Any:
    return await _stepped(work, strike)


@types.coroutine
def _stepped(work: Coroutine[Any, Any, Any], strike: Strike) -> Generator[Any, Any, Any]:
    resume: Callable[[], Any] = partial(work.send, None)
    while True:
        try:
            awaited = resume()
        except StopIteration as end:
            return end.value
        strike.pass_await(awaited)
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001 - whatever is thrown in goes on
            resume = partial(work.throw, error)
        else:
            resume = partial(work.send, None)


@define(eq=False)
class Scene:
    """
    A service, a client that knows no real time, and jobs.
    """

    emulator: Emulator
    clock: ManualClock
    client: AsyncClient
    folder: Path
    jobs: list[str] = field(factory=list)
    plan: Plan | None = None

    @property
    def pooled(self) -> int:
        """
        How many idle connections the client keeps.
        """
        pools = self.client._transport.shared.connections._pools.values()
        connectors: list[Any] = [pool.session.connector for pool in pools]
        return sum(len(idle) for each in connectors for idle in each._conns.values())

    @property
    def connections(self) -> int:
        """
        How many sockets are open.
        """
        return self.emulator.journal.open_connections

    @property
    def journal(self) -> Path:
        """
        Where a clean-up keeps its own.
        """
        return self.folder / (self.plan.digest if self.plan else "none")


@asynccontextmanager
async def a_client(emulator: Emulator, clock: ManualClock, at_once: int) -> AsyncIterator[Any]:
    async def sleep(seconds: float) -> None:
        clock.advance(seconds)
        await asyncio.sleep(0)

    settings = resolve(
        api_key=emulator.key(), base_url=emulator.url, concurrency=at_once, environ={}
    )
    transport = Transport(
        settings,
        Connections(settings),
        clock=clock.time,
        sleep=sleep,
        jitter=lambda bound: bound,
        now=clock.time,
    )
    async with AsyncClient._over(transport, Codec(settings.time_zone)) as client:
        yield client


Deed = Callable[[Scene], Awaitable[object]]


async def walking_in_a_loop(scene: Scene) -> None:
    jobs = [job.job_id async for job in scene.client.fine_tunes.list(page_size=20)]

    assert len(jobs) == len(set(jobs)) == LISTED


async def collecting(scene: Scene) -> None:
    assert len(await scene.client.fine_tunes.list(page_size=20).collect()) == LISTED


async def deleting(scene: Scene) -> None:
    await scene.client.fine_tunes.delete(scene.jobs[0], missing_ok=True)

    assert scene.jobs[0] not in scene.emulator.account().jobs


async def deleting_many(scene: Scene) -> None:
    run = scene.client.fine_tunes.delete_many(scene.jobs, missing_ok=True)

    assert (await run.report()).done == CHANGED


async def deleting_each(scene: Scene) -> None:
    run = scene.client.fine_tunes.delete_many(scene.jobs, missing_ok=True)

    assert len([outcome async for outcome in run]) == CHANGED


async def waiting(scene: Scene) -> None:
    [job_id, *_] = scene.jobs

    assert (await scene.client.fine_tunes.wait(job_id, check=False)).job_id == job_id


async def waiting_for_many(scene: Scene) -> None:
    ended = await scene.client.fine_tunes.wait_many(scene.jobs, check=False)

    assert [job.job_id for job in ended] == scene.jobs


async def applying(scene: Scene) -> None:
    assert scene.plan is not None
    report = await scene.client.fine_tunes.apply(scene.plan, journal=scene.journal, max_percent=100)

    assert report.selected == report.done == CHANGED
    assert not scene.emulator.account().jobs


async def following_a_log(scene: Scene) -> None:
    lines = [line async for line in scene.client.fine_tunes.logs(scene.jobs[0], follow=True)]

    assert lines[0] == "a first line"


# What each operation works on; those that change it need it anew each time.
OVER: dict[Deed, tuple[str, ...]] = {
    walking_in_a_loop: ("SUCCEEDED",) * LISTED,
    collecting: ("SUCCEEDED",) * LISTED,
    deleting: ("FAILED",),
    deleting_many: ("FAILED",) * CHANGED,
    deleting_each: ("FAILED",) * CHANGED,
    waiting: ("RUNNING",),
    waiting_for_many: ("RUNNING",) * CHANGED,
    applying: ("FAILED",) * CHANGED,
    following_a_log: ("RUNNING",),
}


async def prepare(scene: Scene, deed: Deed) -> None:
    emulator, account = scene.emulator, scene.emulator.account()
    emulator.faults.clear()
    emulator.journal.clear()
    if len(account.jobs) != LISTED:
        for job_id in account.jobs:
            account.remove(job_id)
        scene.jobs = emulator.seed(jobs=len(OVER[deed]), statuses=OVER[deed])
    if deed is following_a_log:
        account.set_log(scene.jobs[0], ["a first line"])
    if deed is applying:
        scene.plan = await scene.client.fine_tunes.plan(Selection())
        emulator.journal.clear()
    emulator.inject(*(FAULTS if len(OVER[deed]) == 1 else FAULTS_AMONG_MANY))


@define
class Tally:
    """
    What a number of cancellations came to.
    """

    awaits: int = 0
    chosen: int = 0
    """At how many of them it was tried."""

    struck: int = 0
    """How many cancellations came while the operation went on."""

    held: Counter[str] = field(factory=Counter)
    """What was still held after them."""

    done_after: int = 0
    """How often the same client then did the same to the end."""

    in_flight: int = 0
    """Requests that were at most in flight where nothing was cancelled."""


async def cancel_at_the_awaits_of(
    deed: Deed, at_once: int, folder: Path, tally: Tally, *, as_it_ends: bool
) -> None:
    """
    Cancel an operation at its awaits, or as many of them as are asked for.
    """
    clock = ManualClock()
    async with Emulator(clock=clock) as emulator:
        calm = Strike(0, as_it_ends)
        await strike_once(calm, deed, at_once, emulator, clock, folder, Tally())
        tally.in_flight = max(tally.in_flight, emulator.journal.most_in_flight)
        awaits = range(1, calm.steps + 1)
        tally.awaits += len(awaits)
        for at in sorted(Random(deed.__name__).sample(awaits, min(MOST, len(awaits)))):
            strike = Strike(at, as_it_ends)
            tally.chosen += 1
            await strike_once(strike, deed, at_once, emulator, clock, folder, tally)
            tally.struck += strike.struck


async def strike_once(
    strike: Strike,
    deed: Deed,
    at_once: int,
    emulator: Emulator,
    clock: ManualClock,
    folder: Path,
    tally: Tally,
) -> None:
    loop = asyncio.get_running_loop()
    async with a_client(emulator, clock, at_once) as client:
        scene = Scene(emulator, clock, client, folder, list(emulator.account().jobs))
        await prepare(scene, deed)
        loop.set_task_factory(task_factory)
        try:
            task = strike.begin(_coroutine(deed(scene)))
            await asyncio.wait([task], timeout=20)
        finally:
            loop.set_task_factory(None)

        assert task.done(), f"cancelled at await {strike.at}, it goes on without end"
        if strike.struck:
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert type(caught.value) is asyncio.CancelledError
        else:
            await task
        left = await held(scene, strike)
        tally.held += left
        assert not any(left.values()), f"cancelled at await {strike.at}, it holds {left}"

        await deed(scene)

        tally.done_after += strike.struck
        if deed is applying:
            refused = len(FAULTS) - len(emulator.faults)
            assert len(emulator.journal.of("fine_tunes.delete")) <= CHANGED + refused
    await soon(lambda: scene.connections == 0)

    assert scene.connections == 0, "a closed client has a socket"


async def _coroutine(work: Awaitable[object]) -> None:
    await work


async def held(scene: Scene, strike: Strike) -> Counter[str]:
    """
    Count what is held within the loop's next turns.
    """
    shared = scene.client._transport.shared

    def count() -> Counter[str]:
        limiter = shared.limiter_here()
        return Counter(
            tasks=sum(not task.done() for task in strike.tasks) + len(shared.tasks),
            sockets=abs(scene.connections - scene.pooled),
            turns=limiter._in_flight + limiter._pacing_one,
            bounds=len(shared.connections.timeouts._running),
            locks=is_locked(scene.journal),
        )

    await soon(lambda: not any(count().values()))
    return count()


def is_locked(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def soon(condition: Callable[[], bool]) -> None:
    """
    Give the loop some turns, and the other end of a socket a moment to hear of it.
    """
    for turn in range(300):
        if condition():
            return
        await asyncio.sleep(0 if turn < 100 else 0.01)


@pytest.mark.once
@pytest.mark.parametrize("deed", OVER, ids=lambda deed: deed.__name__)
async def test_cancelling_at_every_await(
    deed: Deed,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    """
    Wherever it is cancelled, an operation ends in that and holds nothing; its client goes on.
    """
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power is cut here
    tally = Tally()
    for at_once, as_it_ends in product((1, 8), (False, True)):
        await cancel_at_the_awaits_of(deed, at_once, tmp_path, tally, as_it_ends=as_it_ends)

    assert tally.struck == tally.chosen > 0
    words, left = deed.__name__.replace("_", " ").capitalize(), tally.held
    record_property(
        "figure",
        f"{words}, with a concurrency of 1 and of 8 (at most {tally.in_flight} in flight): "
        f"cancelled at {tally.struck} of {tally.awaits} beginnings and ends of awaits; held behind "
        f"it: {left['tasks']} tasks, {left['sockets']} sockets but pooled ones, {left['turns']} "
        f"turns at the limiter, {left['locks']} file locks; done to the end by the same client "
        f"then: {tally.done_after}.",
    )
