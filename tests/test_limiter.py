"""
The limiter finds the service's pace, keeps the line in order, and loses no turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import pairwise

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft import AsyncClient, DeadlineExceeded, Throttled
from dashscope_ft.calls import Request
from dashscope_ft.codec import Codec
from dashscope_ft.connections import Connections
from dashscope_ft.envelope import Reply
from dashscope_ft.limiter import Limiter
from dashscope_ft.outcomes import Report
from dashscope_ft.settings import Settings, resolve
from dashscope_ft.transport import Transport

from .driven import LATENCY, Bucket, Quota, Rate, Service, Windows, drive, now

pytestmark = pytest.mark.once

PATIENCE = 120.0
JOBS = 300


def limiter_of(concurrency: int, *, jitter: float = 0.5) -> Limiter:
    """
    Give a limiter in driven time, whose jitter is a share of what it may be.
    """
    return Limiter(concurrency, clock=now, sleep=asyncio.sleep, jitter=lambda most: jitter * most)


def throttle(limiter: Limiter, retry_after: float | None = None) -> None:
    """
    Refuse a request that was sent just now.
    """
    limiter.refused(now(), retry_after)


@asynccontextmanager
async def turn(
    limiter: Limiter, *, patience: float = PATIENCE, again: bool = False
) -> AsyncIterator[None]:
    await limiter.enter(patience, again=again)
    try:
        yield
    finally:
        limiter.leave()


async def nothing_more_happens() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# The service's pace

QUOTAS: dict[str, Callable[[Rate], tuple[Quota, float]]] = {
    "a_bucket_of_a_second": lambda rate: (Bucket(rate, rate(0)), rate(0)),
    "no_burst_at_all": lambda rate: (Bucket(rate, 1), 1),
    "windows": lambda rate: (Windows(rate), rate(0)),
}

every_quota = pytest.mark.parametrize("quota_of", QUOTAS.values(), ids=QUOTAS)
every_rate = pytest.mark.parametrize("rate", [2, 5, 20])
with_and_without_advice = pytest.mark.parametrize(
    "retry_after", [None, 1.0], ids=["silent", "retry_after_1"]
)
few_and_many = pytest.mark.parametrize("concurrency", [8, 64])


@define
class Pool:
    """
    As many workers as may be in flight; a request that is refused is sent again.
    """

    service: Service
    concurrency: int
    retry_after: float | None = None
    given_up: int = 0
    limiter: Limiter = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.limiter = limiter_of(self.concurrency)

    async def run(self, jobs: int) -> None:
        left = iter(range(jobs))

        async def work() -> None:
            for _ in left:
                try:
                    await self._settle()
                except (Throttled, TimeoutError):
                    self.given_up += 1

        async with asyncio.TaskGroup() as workers:
            for _ in range(self.concurrency):
                workers.create_task(work())

    async def run_until(self, end: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                await self.run(1_000_000)

    async def _settle(self) -> None:
        ends_at = None
        while True:
            again = ends_at is not None
            await self.limiter.enter(PATIENCE if ends_at is None else ends_at - now(), again=again)
            sent_at = now()
            ends_at = ends_at or sent_at + PATIENCE
            try:
                if sent_at >= ends_at:
                    raise TimeoutError
                admitted = await self.service.admit()
            finally:
                self.limiter.leave()
            if admitted:
                return self.limiter.admitted()
            self.limiter.refused(sent_at, self.retry_after)


class Scarce(Connections):
    """
    Connections to a service that deletes what it admits.
    """

    def __init__(self, settings: Settings, service: Service, retry_after: float | None) -> None:
        super().__init__(settings)
        self._service = service
        self._retry_after = retry_after
        self._first_sent_at: dict[str, float] = {}
        self.slowest = 0.0

    async def attempt(self, request: Request, *, timeout: float) -> Reply:
        first_sent_at = self._first_sent_at.setdefault(request.path, now())
        if await self._service.admit():
            self.slowest = max(self.slowest, now() - first_sent_at)
            return Reply(status=200, output={"status": "success"}, request_id="r-1")
        return Reply(
            status=429, failed=True, code="Throttling.RateQuota", retry_after=self._retry_after
        )


def settings_of(concurrency: int, deadline: float = PATIENCE) -> Settings:
    return resolve(
        api_key="sk-driven", region="intl", concurrency=concurrency, deadline=deadline, environ={}
    )


def client_over(connections: Scarce, settings: Settings) -> AsyncClient:
    transport = Transport(
        settings,
        connections,
        clock=now,
        sleep=asyncio.sleep,
        jitter=lambda most: most / 2,
    )
    return AsyncClient._over(transport, Codec(settings.time_zone))


def longest(rate: float, burst: float, retry_after: float | None) -> float:
    """
    Give the seconds that the jobs may take.
    """
    ideal = (JOBS - burst) / rate
    return 1.6 * ideal + 5 if retry_after is None else 2.5 * ideal


@every_quota
@every_rate
@with_and_without_advice
@few_and_many
def test_a_service_with_a_limit(
    quota_of: Callable[[Rate], tuple[Quota, float]],
    rate: float,
    retry_after: float | None,
    concurrency: int,
) -> None:
    """
    Every request gets through in time, with few refusals, and not much later than possible.
    """
    quota, burst = quota_of(lambda _: rate)
    service = Service(quota)
    pool = Pool(service, concurrency, retry_after)

    async def run() -> float:
        await pool.run(JOBS)
        return now()

    took = drive(run())

    assert pool.given_up == 0
    assert len(service.arrivals) <= 1.5 * JOBS
    assert took <= longest(rate, burst, retry_after)
    assert service.most_in_flight <= concurrency


@every_quota
@every_rate
@with_and_without_advice
@few_and_many
def test_deleting_many_jobs_on_a_service_with_a_limit(
    quota_of: Callable[[Rate], tuple[Quota, float]],
    rate: float,
    retry_after: float | None,
    concurrency: int,
) -> None:
    """
    `delete_many` deletes them all, with few refusals, and not much later than possible.
    """
    quota, burst = quota_of(lambda _: rate)
    service = Service(quota)
    settings = settings_of(concurrency)
    connections = Scarce(settings, service, retry_after)

    async def run() -> tuple[Report, float]:
        async with client_over(connections, settings) as client:
            jobs = [f"ft-{number}" for number in range(JOBS)]
            return await client.fine_tunes.delete_many(jobs).report(), now()

    report, took = drive(run())

    assert report.reasons == {"confirmed": JOBS}
    assert connections.slowest <= PATIENCE / 2, "a job came too near its deadline"
    assert len(service.arrivals) <= 1.5 * JOBS
    assert took <= longest(rate, burst, retry_after)
    assert service.most_in_flight <= concurrency


@every_quota
@with_and_without_advice
@few_and_many
@pytest.mark.parametrize("changes_at", [20.0, 22.3, 25.1])
@pytest.mark.parametrize(("before", "after"), [(2, 20), (20, 2)], ids=["raised", "lowered"])
def test_a_limit_that_changes(
    quota_of: Callable[[Rate], tuple[Quota, float]],
    before: float,
    after: float,
    changes_at: float,
    retry_after: float | None,
    concurrency: int,
) -> None:
    """
    Within ten seconds the pace has followed: half of what is possible, and few refusals.
    """
    quota, _ = quota_of(lambda time: before if time < changes_at else after)
    service = Service(quota)
    followed = changes_at + 10

    drive(Pool(service, concurrency, retry_after).run_until(followed + 20))

    best = max(
        service.admitted(followed - start / 10 - 1, followed - start / 10) for start in range(10)
    )
    assert best >= after / 2
    assert service.admitted(followed, followed + 20) >= after * 20 / 2
    assert service.refused(followed, followed + 20) <= max(8, after * 20 / 5)


@few_and_many
def test_a_service_that_asks_for_long_pauses(concurrency: int) -> None:
    """
    A client seldom provokes the long pauses that a service asks for.
    """
    service = Service(Bucket(lambda _: 5, 5))

    async def run() -> float:
        await Pool(service, concurrency, retry_after=10.0).run(JOBS)
        return now()

    assert drive(run()) <= longest(5, 5, 10.0)


def test_a_service_with_a_high_limit() -> None:
    """
    The first refusal does not set the client far back.
    """
    service = Service(Bucket(lambda _: 100, 100))

    async def run() -> float:
        await Pool(service, 8).run(3000)
        return now()

    assert drive(run()) <= 1.1 * 29


def test_a_service_without_a_limit() -> None:
    """
    A service without a limit is sent as much as may be in flight, without a pause.
    """
    service = Service(Bucket(lambda _: 1e9, 1e9))

    async def run() -> float:
        await Pool(service, 8).run(JOBS)
        return now()

    assert drive(run()) == pytest.approx(-(-JOBS // 8) * LATENCY)


async def test_no_refusal_yet() -> None:
    """
    Until the service refuses something the limiter does not even look at the clock.
    """

    def forbidden(*_: object) -> float:
        raise AssertionError

    async def forbidden_sleep(_: float) -> None:
        raise AssertionError

    limiter = Limiter(8, clock=forbidden, sleep=forbidden_sleep, jitter=forbidden)
    for _ in range(100):
        async with turn(limiter):
            pass
        limiter.admitted()


@few_and_many
def test_a_limit_that_is_gone(concurrency: int) -> None:
    """
    In the end nothing is held back any more, and the clock is looked at no more.
    """
    service = Service(Windows(lambda time: 2 if time < 20 else 1e9))
    looks = 0

    def counting() -> float:
        nonlocal looks
        looks += 1
        return now()

    async def run() -> int:
        pool = Pool(service, concurrency)
        pool.limiter = Limiter(
            concurrency, clock=counting, sleep=asyncio.sleep, jitter=lambda most: most
        )
        await pool.run_until(40)
        before = looks
        await pool.run_until(45)
        return looks - before

    assert drive(run()) == 0
    assert service.admitted(40, 45) == pytest.approx(5 * concurrency / LATENCY, rel=0.05)


def test_a_pace_is_kept_on_the_next_loop() -> None:
    """
    What was learned of the service is known there; who was in flight is not waited for.
    """

    async def run() -> None:
        limiter = limiter_of(2)
        await limiter.enter(PATIENCE)
        await limiter.enter(PATIENCE)
        throttle(limiter, retry_after=30)

        moved = limiter.vacated()

        with pytest.raises(Throttled):
            await moved.enter(patience=1)
        await moved.enter(PATIENCE)
        assert now() >= 30

    drive(run())


# The gate


def starts_after(
    retry_after: float | None, *, jitter: float = 0.5, calls: int = 1, patience: float = PATIENCE
) -> list[float]:
    """
    Give when calls start that come right after a refusal.
    """

    async def run() -> list[float]:
        limiter = limiter_of(8, jitter=jitter)
        starts = []

        async def call() -> None:
            async with turn(limiter, patience=patience):
                starts.append(now())

        await limiter.enter(PATIENCE)
        limiter.leave()
        throttle(limiter, retry_after)
        await asyncio.gather(*(call() for _ in range(calls)))
        return starts

    return drive(run())


@pytest.mark.parametrize(("jitter", "pause"), [(0.0, 0.25), (0.5, 0.5), (1.0, 0.75)])
def test_a_refusal_without_advice(jitter: float, pause: float) -> None:
    """
    Nothing is sent for a quarter to three quarters of a second.
    """
    assert starts_after(None, jitter=jitter) == [pause]


@pytest.mark.parametrize("retry_after", [1.0, 7.5, 60.0])
def test_a_refusal_with_advice(retry_after: float) -> None:
    """
    Nothing is sent by anyone before the time that the service named, then one at a time.
    """
    starts = starts_after(retry_after, calls=5)

    assert starts[0] == retry_after
    assert all(later > earlier for earlier, later in pairwise(starts))


@pytest.mark.parametrize(
    ("retry_after", "patience"), [(60.5, 120.0), (3600.0, 1e9), (7.5, 7.0), (0.0, 0.1)]
)
def test_a_pause_that_outlasts_the_caller(retry_after: float, patience: float) -> None:
    """
    Who cannot wait so long is told how long it lasts, and sends nothing.
    """
    with pytest.raises(Throttled) as caught:
        starts_after(retry_after, patience=patience)

    assert caught.value.retry_after == (retry_after or 0.5)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_first_refusal_while_calls_wait(concurrency: int) -> None:
    """
    Nobody in line gets the turns of refused requests before the time that the service named, and
    then they go one at a time.
    """

    async def run() -> list[float]:
        limiter = limiter_of(concurrency)
        starts = []

        async def call() -> None:
            async with turn(limiter):
                starts.append(now())

        for _ in range(concurrency):
            await limiter.enter(PATIENCE)
        calls = [asyncio.create_task(call()) for _ in range(5)]
        await asyncio.sleep(1)
        for _ in range(concurrency):
            limiter.leave()
        throttle(limiter, 7.5)
        await asyncio.wait(calls)
        return starts

    starts = drive(run())

    assert starts[0] == 1 + 7.5
    assert all(later > earlier for earlier, later in pairwise(starts))
    assert len(starts) == 5


def test_a_long_pause_that_begins_while_calls_wait() -> None:
    """
    Those in line are told at once, and only those who cannot wait so long.
    """

    async def run() -> list[object]:
        limiter = limiter_of(1)
        ended: list[object] = []

        async def call(patience: float) -> None:
            try:
                async with turn(limiter, patience=patience):
                    ended.append((patience, now()))
            except Throttled as error:
                ended.append((patience, now(), error.retry_after))

        async with turn(limiter):
            calls = [asyncio.create_task(call(patience)) for patience in (50.0, 5.0, 40.0)]
            await asyncio.sleep(1)
            throttle(limiter, 30.0)
            await asyncio.sleep(1)
        await asyncio.wait(calls)
        return ended

    told, first, second = drive(run())

    assert told == (5.0, 1.0, 30.0)
    assert first == (50.0, 31.0)
    assert isinstance(second, tuple)
    assert second[0] == 40.0


def test_a_longer_pause_that_begins_while_a_call_waits_for_the_first() -> None:
    """
    A call that waits for one pause is told of a longer one when it would have gone.
    """

    async def run() -> tuple[float, float | None]:
        limiter = limiter_of(8)
        sent_at = now()
        await asyncio.sleep(LATENCY)
        throttle(limiter, 1.0)
        call = asyncio.create_task(limiter.enter(PATIENCE))
        await nothing_more_happens()
        limiter.refused(sent_at, 90.0)
        with pytest.raises(Throttled) as caught:
            await call
        return now(), caught.value.retry_after

    assert drive(run()) == (LATENCY + 1.0, 89.0)


def test_refusals_of_requests_sent_together() -> None:
    """
    Refusals of requests sent together slow the client down once, and their longest advice is heard.
    """

    async def run(refusals: Iterable[float | None]) -> list[float]:
        limiter = limiter_of(8)
        starts = []
        async with AsyncExitStack() as turns:
            for _ in range(8):
                await turns.enter_async_context(turn(limiter))
            sent_at = now()
            await asyncio.sleep(LATENCY)
        for retry_after in refusals:
            limiter.refused(sent_at, retry_after)
        for _ in range(5):
            async with turn(limiter):
                starts.append(now())
        return [start - starts[0] for start in starts] + starts[:1]

    once = drive(run([5.0]))

    assert drive(run([5.0, None, 1.0, None])) == once
    assert drive(run([None, 5.0])) == pytest.approx([*drive(run([None]))[:-1], LATENCY + 5.0])


def test_refusals_with_nothing_admitted_in_between() -> None:
    """
    The pause doubles, up to sixteen times; the pace stays as it was.
    """

    async def run() -> list[float]:
        limiter = limiter_of(8)
        starts = []
        for _ in range(8):
            async with turn(limiter):
                starts.append(now())
            throttle(limiter)
        return starts

    starts = drive(run())

    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert pauses == [0.5, 1, 2, 4, 8, 8, 8]


def test_admissions_of_requests_sent_before_the_refusal() -> None:
    """
    What was sent before the refusal and admitted is no sign that the pause was long enough.
    """

    async def run() -> list[float]:
        limiter = limiter_of(8)
        starts = []
        for _ in range(4):
            async with turn(limiter):
                starts.append(now())
            throttle(limiter)
            limiter.admitted()
        return starts

    assert [later - earlier for earlier, later in pairwise(drive(run()))] == [0.5, 1, 2]


def test_flights_after_a_refusal() -> None:
    """
    Half as many requests may be in flight, and one more again for each that is admitted.
    """

    async def run() -> list[int]:
        limiter = limiter_of(8)
        most = []
        async with turn(limiter):
            pass
        throttle(limiter)
        for _ in range(6):
            async with AsyncExitStack() as turns:
                count = 0
                with suppress(TimeoutError):
                    async with asyncio.timeout(60):
                        while True:
                            await turns.enter_async_context(turn(limiter))
                            count += 1
            most.append(count)
            limiter.admitted()
        return most

    assert drive(run()) == [4, 5, 6, 7, 8, 8]


# The line


def order_of(calls: str, *, throttled: bool) -> str:
    """
    Give the order in which calls get their turn; those in capitals had one before.
    """

    async def run() -> str:
        limiter = limiter_of(1)
        order = []

        async def call(name: str) -> None:
            async with turn(limiter, again=name.isupper()):
                order.append(name)
                await asyncio.sleep(LATENCY)

        async with turn(limiter):
            tasks = []
            for name in calls:
                tasks.append(asyncio.create_task(call(name)))
                await nothing_more_happens()
            if throttled:
                throttle(limiter)
        await asyncio.wait(tasks)
        return "".join(order)

    return drive(run())


@pytest.mark.parametrize("throttled", [False, True])
def test_many_in_line(throttled: bool) -> None:
    """
    Who comes first goes first, but for those whose time is running already.
    """
    assert order_of("abcdefgh", throttled=throttled) == "abcdefgh"
    assert order_of("abCdEfgH", throttled=throttled) == "CEHabdfg"


def test_many_in_line_at_a_pace() -> None:
    """
    Calls in line start in the order in which they came, each some time after the one before.
    """

    async def run() -> list[tuple[int, float]]:
        limiter = limiter_of(64)
        starts = []

        async def call(number: int) -> None:
            async with turn(limiter):
                starts.append((number, now()))
                await asyncio.sleep(LATENCY)

        throttle(limiter)
        await asyncio.gather(*(call(number) for number in range(20)))
        return starts

    starts = drive(run())

    assert [number for number, _ in starts] == [*range(20)]
    assert all(later - earlier > 0.01 for (_, earlier), (_, later) in pairwise(starts))


def test_an_admission_while_a_call_waits_for_a_flight() -> None:
    """
    The call starts then, and need not wait until another ends.
    """

    async def run() -> None:
        limiter = limiter_of(2)
        throttle(limiter)
        async with turn(limiter):
            call = asyncio.create_task(limiter.enter(PATIENCE))
            await asyncio.sleep(10)
            assert not call.done()
            limiter.admitted()
            await call
            limiter.leave()

    drive(run())


def test_a_newcomer_while_the_line_moves() -> None:
    """
    A newcomer does not slip in before those who wait.
    """

    async def run() -> list[str]:
        limiter = limiter_of(1)
        order = []

        async def call(name: str) -> None:
            async with turn(limiter):
                order.append(name)

        await limiter.enter(PATIENCE)
        waiting = asyncio.create_task(call("first"))
        await nothing_more_happens()
        limiter.leave()
        await asyncio.gather(waiting, call("newcomer"))
        return order

    assert drive(run()) == ["first", "newcomer"]


def test_a_refused_call_whose_deadline_ends_in_line() -> None:
    """
    A refused call ends at its deadline, not when its turn would come.
    """
    service = Service(Bucket(lambda _: 0.25, 1))
    deadline = 10.0
    settings = settings_of(8, deadline)

    async def run() -> tuple[list[BaseException], float]:
        async with client_over(Scarce(settings, service, None), settings) as client:
            patient = client.with_options(max_attempts=50).fine_tunes
            ends = await asyncio.gather(
                *(patient.delete(f"ft-{number}") for number in range(8)), return_exceptions=True
            )
            return [end for end in ends if isinstance(end, BaseException)], now()

    errors, ended_at = drive(run())

    assert len(errors) >= 4
    assert {type(error) for error in errors} <= {DeadlineExceeded, Throttled}
    assert ended_at <= deadline + LATENCY


# Turns


@define
class Caller:
    """
    One call of a random schedule.
    """

    comes_after: float
    stays: float
    leaves_line_after: float | None
    again: bool
    patience: float
    answer: bool | None


moments = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.25, 0.5, 1.0, 3.0])
callers = st.builds(
    Caller,
    comes_after=moments,
    stays=moments,
    leaves_line_after=st.none() | moments,
    again=st.booleans(),
    patience=st.sampled_from([0.1, 5.0, 120.0]),
    answer=st.sampled_from([True, True, True, False, None]),
)


@given(
    st.lists(callers, max_size=40),
    st.integers(1, 5),
    st.none() | st.sampled_from([0.0, 1.0, 90.0]),
)
def test_any_schedule_of_calls_and_cancellations(
    schedule: list[Caller], concurrency: int, retry_after: float | None
) -> None:
    """
    Never more calls than allowed are in flight, and no turn is ever lost.
    """
    limiter = limiter_of(concurrency)
    in_flight = 0

    async def call(caller: Caller) -> None:
        nonlocal in_flight
        await limiter.enter(caller.patience, again=caller.again)
        in_flight += 1
        sent_at = now()
        try:
            assert in_flight <= concurrency
            await asyncio.sleep(caller.stays)
        finally:
            in_flight -= 1
            limiter.leave()
        if caller.answer:
            limiter.admitted()
        elif caller.answer is not None:
            limiter.refused(sent_at, retry_after)

    async def run() -> None:
        tasks = []
        for caller in schedule:
            task = asyncio.create_task(call(caller))
            tasks.append(task)
            if caller.leaves_line_after is not None:
                asyncio.get_running_loop().call_later(caller.leaves_line_after, task.cancel)
            await asyncio.sleep(caller.comes_after)
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            assert ended is None or isinstance(ended, (Throttled, asyncio.CancelledError))

        await asyncio.sleep(100)  # no pause is longer
        for _ in range(2 * concurrency):
            async with turn(limiter):
                pass
            limiter.admitted()
        async with AsyncExitStack() as turns:
            for _ in range(concurrency):
                await turns.enter_async_context(turn(limiter))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1000):
                    await limiter.enter(PATIENCE)

    drive(run())


@pytest.mark.parametrize("throttled", [False, True])
def test_a_cancellation_that_comes_with_the_turn(throttled: bool) -> None:
    """
    The turn of a call that is cancelled as it gets it goes to the next.
    """

    async def run() -> None:
        limiter = limiter_of(1)
        if throttled:
            throttle(limiter)
        async with turn(limiter):
            unlucky, lucky = (asyncio.create_task(limiter.enter(PATIENCE)) for _ in range(2))
            await nothing_more_happens()
        unlucky.cancel()
        await lucky
        with pytest.raises(asyncio.CancelledError):
            await unlucky
        limiter.leave()

    drive(run())


def test_a_cancellation_that_comes_with_a_long_pause() -> None:
    """
    A call that is cancelled as a long pause comes is cancelled, and ends in nothing else.
    """

    async def run() -> None:
        limiter = limiter_of(1)
        async with turn(limiter):
            call = asyncio.create_task(limiter.enter(PATIENCE))
            await nothing_more_happens()
            throttle(limiter, 90.0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    drive(run())


@pytest.mark.parametrize("throttled", [False, True])
def test_one_loop_after_another(throttled: bool) -> None:
    """
    What a run left undone when it ended does not hold up the next.
    """
    limiter = limiter_of(2)

    async def call() -> None:
        async with turn(limiter):
            await asyncio.sleep(10)

    async def leave_much_undone() -> None:
        calls = [asyncio.create_task(call()) for _ in range(6)]
        await nothing_more_happens()
        if throttled:
            throttle(limiter, 30.0)
        await asyncio.wait(calls, timeout=1)

    async def use() -> None:
        await asyncio.sleep(100)  # each loop's time begins at zero
        await asyncio.gather(*(call() for _ in range(6)))

    for _ in range(3):
        drive(leave_much_undone())
        drive(use())
