from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from itertools import accumulate, product
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashscope_ft.envelope import Row, Rows
from dashscope_ft.errors import ClientClosed, InvalidArgument, ListingInconsistent
from dashscope_ft.pagination import AsyncPager

from .changing_list import ChangingList

CASES = int(os.environ.get("WALK_CASES", "400"))


def with_rows(reply: Rows, rows: list[Row], **changes: Any) -> Rows:
    return reply._replace(rows=rows, job_ids=[row["job_id"] for row in rows], **changes)


def assert_complete(changing: ChangingList, jobs: list[int]) -> None:
    assert len(jobs) == len(set(jobs)), "a job came twice"
    assert changing.throughout <= set(jobs), "a job was missed"
    there = [job for job in jobs if job in changing.throughout]
    groups = [job // changing.second for job in there]
    assert groups == sorted(groups, reverse=True), "jobs came out of order"


def test_a_list_that_changes_before_every_read(
    record_property: Callable[[str, object], None],
) -> None:
    """
    A walk holds every job that was there throughout, once and in order, or it raises.
    """
    ends = Counter[str]()

    @settings(max_examples=CASES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        jobs=st.integers(0, 450),
        page_size=st.integers(20, 100),
        concurrency=st.integers(1, 12),
        changes=st.integers(0, 6),
        inserts=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
        second=st.sampled_from([1, 1, 2, 3, 4, 6]),
        looped=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def walk(
        jobs: int,
        page_size: int,
        concurrency: int,
        changes: int,
        inserts: float,
        second: int,
        looped: bool,
        seed: int,
    ) -> None:
        changing = ChangingList(
            jobs, random=Random(seed), changes=changes, inserts=inserts, second=second
        )
        try:
            walked = asyncio.run(
                changing.walk(page_size=page_size, concurrency=concurrency, looped=looped)
            )
        except ListingInconsistent as error:
            assert changes, "a calm list was called inconsistent"
            assert error.total is not None
            ends["raised"] += 1
        else:
            assert_complete(changing, walked)
            ends["complete"] += 1

        assert changing.most_waiting <= concurrency
        assert not changing.tasks

    walk()

    record_property(
        "figure",
        f"{ends.total():,} walks of lists that change before every read, in every order of "
        f"serving and delivering: {ends['complete']:,} complete, each job once, and "
        f"{ends['raised']:,} said that they could not prove it.",
    )


@pytest.mark.parametrize(
    ("jobs", "reads"), [(0, 1), (1, 1), (60, 1), (99, 1), (100, 2), (250, 3), (500, 6)]
)
async def test_a_calm_list_costs_few_reads(jobs: int, reads: int) -> None:
    """
    A calm listing of 250 jobs is at most four requests; of fewer than a page, one.
    """
    calm = ChangingList(jobs, random=Random(0))

    assert await calm.walk() == list(range(jobs - 1, -1, -1))
    assert len(calm.reads) == reads


@pytest.mark.parametrize("jobs", [1_000, 5_165])
async def test_a_long_calm_list_costs_a_quarter_more_than_plain_pages(jobs: int) -> None:
    """
    Overlap costs at most 1.25 reads a hundred jobs, and one.
    """
    calm = ChangingList(jobs, random=Random(0))

    assert len(await calm.walk()) == jobs
    assert len(calm.reads) <= 1.25 * jobs / 100 + 1


@pytest.mark.parametrize("changes", [1, 2])
def test_walks_of_a_lively_list_mostly_end(changes: int) -> None:
    """
    A walk gives up only where the list changes faster than it can be read.
    """
    given_up = 0
    for seed in range(60):
        lively = ChangingList(500, random=Random(seed), changes=changes)
        try:
            assert_complete(lively, asyncio.run(lively.walk()))
        except ListingInconsistent:
            given_up += 1

    assert given_up == 0


@pytest.mark.parametrize("second", [20, 50, 97, 150, 1000])
def test_many_jobs_of_one_second_in_a_steady_order(second: int) -> None:
    """
    A service that keeps the order of jobs of one second is walked to the end.
    """
    steady = ChangingList(600, random=Random(1), second=second)
    steady.change = lambda: None  # type: ignore[method-assign]

    assert sorted(asyncio.run(steady.walk())) == list(range(600))


def test_many_jobs_of_one_second_that_are_deleted_as_their_order_is_tested() -> None:
    """
    Whenever that happens, the walk ends, or says that it is not complete.
    """
    for last in range(1, 20):
        emptied = ChangingList(600, random=Random(1), second=1000)

        def change(last: int = last, emptied: ChangingList = emptied) -> None:
            if len(emptied.reads) > last:
                emptied.jobs.clear()

        emptied.change = change  # type: ignore[method-assign]
        with suppress(ListingInconsistent):
            asyncio.run(emptied.walk(concurrency=1))


def test_many_jobs_of_one_second_shuffled_at_every_read() -> None:
    """
    Where the order of jobs of one second changes at every read, a walk is complete, or it says
    that it is not.
    """
    ends = set[bool]()
    for second, seed in product((40, 50, 300), range(CASES // 16)):
        shuffled = ChangingList(300, random=Random(seed), second=second)
        try:
            jobs = asyncio.run(shuffled.walk())
        except ListingInconsistent:
            ends.add(False)
        else:
            assert_complete(shuffled, jobs)
            ends.add(True)

    assert ends == {False, True}


@pytest.mark.parametrize("page_size", [20, 50, 100])
@pytest.mark.parametrize("share", [0.1, 0.25, 0.6, 1.0])
@pytest.mark.parametrize("jobs", [95, 285, 2_000])
async def test_deleting_inside_the_loop(jobs: int, share: float, page_size: int) -> None:
    """
    Deleting what is listed, while it is listed, leaves nothing behind.
    """
    changing = ChangingList(jobs, random=Random(2))
    doomed = {job for job in changing.jobs if Random(job).random() < share}
    answering = asyncio.create_task(changing.answer())
    async for job in changing.pager(page_size=page_size):
        if job in doomed:
            changing.delete(job)
    answering.cancel()

    assert not doomed & set(changing.jobs)


async def test_a_first_page_below_its_total() -> None:
    """
    What it showed was seen, though it proves nothing.
    """
    lying = ChangingList(30, random=Random(6))
    lying.distort = lambda rows: rows._replace(total=500)
    with pytest.raises(ListingInconsistent, match="30 jobs were seen") as caught:
        await lying.walk()

    assert caught.value.seen == 30


@pytest.mark.parametrize("cap", [20, 37, 50, 99])
async def test_a_service_that_caps_the_page_size(cap: int) -> None:
    """
    A page echoed with a smaller size is placed by that size, and so are the next.
    """
    capped = ChangingList(333, random=Random(3), cap=cap)

    assert await capped.walk() == list(range(332, -1, -1))


@pytest.mark.parametrize("total", [0, None])
async def test_a_total_that_is_too_small(total: int | None) -> None:
    """
    A total below the truth costs no job, but a look after the end, for a single row.
    """
    lying = ChangingList(333, random=Random(4))
    lying.distort = lambda rows: rows._replace(total=total)

    assert len(await lying.walk()) == 333
    assert lying.reads[-1] == (334, 1)
    assert [size for _, size in lying.reads].count(1) == 1


@pytest.mark.parametrize("total", [0, None, 10])
async def test_a_page_that_is_cut_short_in_silence(total: int | None) -> None:
    """
    Where neither the echoed size nor a total tells it from the end, the look after it does.
    """
    lying = ChangingList(230, random=Random(4), cap=50)
    lying.distort = lambda rows: rows._replace(total=total, page_size=100)
    with pytest.raises(ListingInconsistent, match="51 jobs were seen"):
        await lying.walk()


@pytest.mark.parametrize("created", [1, 2, 3])
async def test_a_page_that_is_cut_short_in_silence_as_jobs_come(created: int) -> None:
    """
    A known job after the end shows only that jobs were created: what follows it is read too.
    """
    lying = ChangingList(100, random=Random(4), cap=20)
    lying.distort = lambda rows: rows._replace(total=None, page_size=100)

    def create() -> None:
        if len(lying.reads) == 2:
            lying.jobs[:0] = range(100 + created - 1, 99, -1)

    lying.change = create  # type: ignore[method-assign]
    with pytest.raises(ListingInconsistent, match="does not say how many") as caught:
        await lying.walk()

    assert caught.value.total is None


async def test_an_end_that_is_never_reached() -> None:
    """
    If a job is created at every read, and no total is told, the walk does not look for the end
    for long.
    """
    growing = ChangingList(30, random=Random(4))
    growing.change = lambda: growing.jobs.insert(0, 100 + len(growing.reads))  # type: ignore[method-assign]
    growing.distort = lambda rows: rows._replace(total=None)
    with pytest.raises(ListingInconsistent):
        await growing.walk()

    assert len(growing.reads) < 10


async def test_a_list_that_grows_at_every_read() -> None:
    """
    Where the chain ends is found again by the total, however many jobs came before it.
    """
    growing = ChangingList(400, random=Random(7), changes=12, inserts=1.0)

    async with asyncio.timeout(60):  # it would read for ever
        jobs = await growing.walk(page_size=20)

    assert growing.throughout <= set(jobs)


@pytest.mark.parametrize("seed", range(150, 160))
async def test_a_second_whose_jobs_are_in_order_by_chance(seed: int) -> None:
    """
    A few jobs of one second in an unchanged order prove nothing where others are shuffled.
    """
    random = Random(seed)
    seconds = [0, *accumulate(random.random() > 0.2 for _ in range(101))]
    shuffled = ChangingList(101, random=Random(seed), second=2, cap=10)
    shuffled.second_of = lambda job: seconds[job]  # type: ignore[method-assign]
    with suppress(ListingInconsistent):
        assert shuffled.throughout <= set(await shuffled.walk(concurrency=4))


@pytest.mark.parametrize("page_size", [20, 50, 100])
@pytest.mark.parametrize("echoed", [10, 20, 50, 100, 1000])
async def test_a_page_size_that_is_echoed_wrongly(echoed: int, page_size: int) -> None:
    """
    Whatever is echoed, a page with as many rows as asked for is the one that was asked for.
    """
    for jobs in range(180, 200):
        lying = ChangingList(jobs, random=Random(4))
        lying.distort = lambda rows: rows._replace(page_size=echoed)
        try:
            assert len(await lying.walk(page_size=page_size, concurrency=1)) == jobs
        except ListingInconsistent:
            assert echoed < 100


def test_what_a_pager_says_of_itself() -> None:
    """
    Whoever looks at one in a notebook learns what to do with it.
    """
    assert repr(ChangingList(1, random=Random(1)).pager()) == (
        "<AsyncPager: iterate over it, or collect() it>"
    )


async def test_another_task_in_a_walk_that_is_left() -> None:
    """
    `async with` leaves a walk to the task that waits in it, and raises what the body did.
    """
    calm = ChangingList(500, random=Random(4))

    async def walk(pager: AsyncPager[int]) -> None:
        async for _ in pager:
            pass

    pager = calm.pager()
    other = asyncio.create_task(walk(pager))
    with pytest.raises(LookupError):
        async with pager:
            while not calm.waiting:
                await asyncio.sleep(0)
            raise LookupError
    other.cancel()
    await asyncio.wait([other])
    assert not calm.tasks


@pytest.mark.parametrize(("total", "reads"), [("true", 12), (None, 20), (0, 20)])
async def test_a_list_whose_beginning_is_deleted_meanwhile(total: Any, reads: int) -> None:
    """
    The total tells at once how far the list has moved; without one, few steps back find out.
    """
    shrinking = ChangingList(1_000, random=Random(25))

    def change() -> None:
        if len(shrinking.reads) == 2:
            for job in shrinking.jobs[:90]:
                shrinking.delete(job)

    shrinking.change = change  # type: ignore[method-assign]
    if total != "true":
        shrinking.distort = lambda rows: rows._replace(total=total)

    assert shrinking.throughout <= set(await shrinking.walk(concurrency=1))
    assert len(shrinking.throughout) <= 910
    assert len(shrinking.reads) <= reads


async def test_a_page_without_a_total_as_jobs_come() -> None:
    """
    New jobs move known ones past the end, which is found some rows later.
    """
    changing = ChangingList(30, random=Random(4), changes=1, inserts=1.0)
    changing.distort = lambda rows: rows._replace(total=None)

    assert set(await changing.walk()) >= changing.throughout


@pytest.mark.parametrize("jobs", [60, 333, 400])
async def test_a_total_that_is_too_large(jobs: int) -> None:
    """
    A total above the truth costs a few reads, then the walk says that it is not complete.
    """
    lying = ChangingList(jobs, random=Random(5))
    lying.distort = lambda rows: rows._replace(total=10**12)
    with pytest.raises(ListingInconsistent) as caught:
        await lying.walk()

    assert caught.value.total == 10**12
    assert caught.value.seen <= jobs
    assert len(lying.reads) <= 40


@pytest.mark.parametrize("seed", range(20))
async def test_a_total_that_changes_at_random(seed: int) -> None:
    """
    A total that means nothing costs bounded reads, whatever it is.
    """
    lying = ChangingList(333, random=Random(seed))
    dice = Random(seed)
    lying.distort = lambda rows: rows._replace(total=dice.choice([0, 1, 333, 500, 10**9, None]))
    with suppress(ListingInconsistent):
        assert len(await lying.walk()) == 333

    assert len(lying.reads) <= 100


@pytest.mark.parametrize("cap", [1, 2, 7])
async def test_a_service_that_caps_the_page_size_too_small(cap: int) -> None:
    """
    Pages too small to overlap cost bounded reads, then the walk says so.
    """
    tiny = ChangingList(500, random=Random(3), cap=cap)
    try:
        assert len(await tiny.walk()) == 500
    except ListingInconsistent as error:
        assert error.hint is not None
        assert error.hint.startswith(f"It gives {cap} jobs a page, ")

    assert len(tiny.reads) <= 4 * 500


async def test_a_service_that_ignores_the_page_number() -> None:
    """
    A service that gives the same page each time costs bounded reads, then the walk says that it is
    not complete.
    """
    stuck = ChangingList(333, random=Random(6))
    page_one = stuck.snapshot(1, 100)
    stuck.distort = lambda rows: page_one._replace(page_no=rows.page_no)
    with pytest.raises(ListingInconsistent):
        await stuck.walk()

    assert len(stuck.reads) <= 60


@pytest.mark.parametrize("misplaced", [1, 2, 3])
async def test_another_page_in_place_of_the_first(misplaced: int) -> None:
    """
    A reply that says it begins elsewhere is no head of the list: it is read again, twice.
    """
    astray = ChangingList(350, random=Random(6))
    second = astray.snapshot(2, 100)
    astray.distort = lambda rows: second if len(astray.reads) <= misplaced else rows

    if misplaced == 3:
        with pytest.raises(ListingInconsistent):
            await astray.walk()
    else:
        assert await astray.walk() == list(range(349, -1, -1))


async def test_a_job_that_stands_twice_in_one_reply() -> None:
    """
    A reply that repeats a job is read again once, and the job comes once.
    """
    repeating = ChangingList(60, random=Random(7))
    repeating.distort = lambda rows: with_rows(
        rows, [*rows.rows[:-1], rows.rows[0]] if len(repeating.reads) == 1 else rows.rows
    )

    assert await repeating.walk() == list(range(59, -1, -1))
    assert len(repeating.reads) == 2


async def test_a_service_that_repeats_itself_without_end() -> None:
    """
    What is read again counts as well: the same odd page costs no more reads than a sound one.
    """
    stuck = ChangingList(333, random=Random(6))
    page_one = stuck.snapshot(1, 100)
    odd = with_rows(page_one, [*page_one.rows[:-1], page_one.rows[0]])
    stuck.distort = lambda rows: odd._replace(page_no=rows.page_no)
    with pytest.raises(ListingInconsistent):
        await stuck.walk()

    assert len(stuck.reads) <= 40


@pytest.mark.parametrize("looped", [True, False])
async def test_pages_that_are_torn_far_ahead_of_the_chain(looped: bool) -> None:
    """
    Reading many windows again while the first is slow is no sign of an inconsistent list.
    """
    torn = ChangingList(12_000, random=Random(13))
    seen: set[int] = set()

    def tear(rows: Rows) -> Rows:
        if rows.page_no == 1 or rows.page_no in seen:
            return rows
        seen.add(rows.page_no)
        return with_rows(rows, [*rows.rows[:-1], rows.rows[0]])

    torn.distort = tear

    assert len(await torn.walk(concurrency=32, looped=looped)) == 12_000


async def test_a_short_page_below_its_own_total() -> None:
    """
    A short page below its total is read again, twice at most.
    """
    short = ChangingList(150, random=Random(8))
    spoiled: list[Rows] = []

    def spoil(rows: Rows) -> Rows:
        if rows.page_no == 2 and len(spoiled) < 2:
            spoiled.append(rows)
            return with_rows(rows, rows.rows[:30])
        return rows

    short.distort = spoil

    assert len(await short.walk()) == 150
    assert len(spoiled) == 2


async def test_a_torn_page_that_arrives_before_its_turn() -> None:
    """
    The error counts what the walk had seen when it was raised, at least all jobs that it gave.
    """
    torn = ChangingList(1_000, random=Random(1))
    torn.pick = lambda several: several.pop()  # type: ignore[method-assign]
    torn.distort = lambda rows: with_rows(rows, [row for row in rows.rows if row["job_id"] != "50"])
    answering = asyncio.create_task(torn.answer())
    jobs: list[int] = []
    with pytest.raises(ListingInconsistent) as caught:
        async for job in torn.pager(concurrency=16):
            jobs.append(job)
    answering.cancel()

    assert len(jobs) <= caught.value.seen < 1_000
    assert f"{caught.value.seen} jobs were seen" in str(caught.value)
    assert caught.value.__context__ is None


async def test_times_that_cannot_be_read() -> None:
    """
    Without readable times, shared jobs alone link pages.
    """
    timeless = ChangingList(333, random=Random(9))
    timeless.distort = lambda rows: rows._replace(
        rows=[{**row, "create_time": None} for row in rows.rows]
    )

    assert await timeless.walk() == list(range(332, -1, -1))
    assert len(timeless.reads) <= 6


async def test_the_oldest_first() -> None:
    """
    Nothing depends on the order that the service chose.
    """
    reverse = ChangingList(333, random=Random(10))
    reverse.jobs.reverse()

    assert await reverse.walk() == list(range(333))


@pytest.mark.parametrize(("limit", "reads"), [(0, 0), (1, 1), (100, 1), (101, 2), (None, 4)])
async def test_a_limit_spares_reads(limit: int | None, reads: int) -> None:
    """
    Collecting a few jobs reads no further than they need.
    """
    calm = ChangingList(340, random=Random(11))
    answering = asyncio.create_task(calm.answer())
    jobs = await calm.pager().collect(limit)
    answering.cancel()

    assert jobs == list(range(339, -1, -1))[:limit]
    assert len(calm.reads) == reads


@pytest.mark.parametrize("limit", [-1, 1.5, True])
async def test_a_limit_that_is_none(limit: Any) -> None:
    """
    A limit that is no number of jobs is refused, and nothing is read.
    """
    calm = ChangingList(340, random=Random(12))
    with pytest.raises(InvalidArgument, match="limit"):
        await calm.pager().collect(limit)

    assert not calm.reads


async def test_reading_ahead_while_the_body_of_the_loop_runs() -> None:
    """
    At most `concurrency` pages are under way while the first jobs are looked at.
    """
    calm = ChangingList(2_000, random=Random(13))
    answering = asyncio.create_task(calm.answer())
    async with calm.pager(concurrency=5) as pager:
        async for _ in pager:
            for _ in range(200):
                await asyncio.sleep(0)
            assert len(calm.reads) == 1 + 5
            break
    answering.cancel()

    assert not calm.tasks


async def test_a_loop_left_while_pages_are_under_way() -> None:
    """
    After an `async with` in which a loop was left, nothing is being read any more.
    """
    calm = ChangingList(2_000, random=Random(13))
    answering = asyncio.create_task(calm.answer())
    async with calm.pager(concurrency=5) as pager:
        async for _ in pager:
            answering.cancel()
            while len(calm.reads) < 1 + 5:
                await asyncio.sleep(0)
            break
        under_way = set(calm.tasks)

    assert len(under_way) == 5
    assert not calm.tasks


@pytest.mark.parametrize(("keeps_all", "reads"), [(False, 1 + 5), (True, 1 + 2 * 5)])
async def test_reading_on_behind_a_slow_page(keeps_all: bool, reads: int) -> None:
    """
    A page that keeps a loop waiting stops the reading ahead; `collect` reads a round more.
    """
    calm = ChangingList(2_000, random=Random(18))
    pager = calm.pager(concurrency=5)
    walk = asyncio.create_task(pager.collect() if keeps_all else looped(pager))
    for _ in range(200):
        await asyncio.sleep(0)
        if len(calm.reads) == 1:
            calm.step()
        elif len(calm.waiting) > 1:  # the second page is never answered
            page_no, page_size, answer = calm.waiting.pop(1)
            answer.set_result(calm.snapshot(page_no, page_size))
    walk.cancel()
    with pytest.raises(asyncio.CancelledError):
        await walk

    assert len(calm.reads) == reads
    assert not calm.tasks


async def looped(pager: AsyncPager[int]) -> list[int]:
    return [job async for job in pager]


async def test_leaving_the_loop_early() -> None:
    """
    Leaving the loop leaves no read behind, within the event loop's next turns.
    """
    calm = ChangingList(2_000, random=Random(14))
    answering = asyncio.create_task(calm.answer())
    async for _ in calm.pager():
        break
    gc.collect()
    for _ in range(10):
        await asyncio.sleep(0)
    answering.cancel()

    assert not calm.tasks


async def test_batches_left_early_while_the_pager_lives_on() -> None:
    """
    An abandoned walk ends although its pager is still there, and a new one starts afresh.
    """
    calm = ChangingList(500, random=Random(15))
    answering = asyncio.create_task(calm.answer())
    pager = calm.pager()
    async for batch in pager.batches():
        assert len(batch) == 100
        break
    for _ in range(10):
        await asyncio.sleep(0)
    assert not calm.tasks
    again = await pager.collect()
    answering.cancel()

    assert len(again) == 500


async def test_a_walk_that_is_cancelled() -> None:
    """
    Cancelling a walk cancels its reads, and is not swallowed.
    """
    silent = ChangingList(500, random=Random(16))
    walk = asyncio.create_task(silent.pager().collect())
    for _ in range(5):
        await asyncio.sleep(0)
    silent.step()
    silent.step()
    for _ in range(10):
        await asyncio.sleep(0)
    assert silent.tasks
    walk.cancel()
    with pytest.raises(asyncio.CancelledError):
        await walk

    assert not silent.tasks


async def test_reads_that_are_cancelled_while_some_have_arrived() -> None:
    """
    What arrived before the client was closed still comes; then the walk ends as closed.
    """
    calm = ChangingList(500, random=Random(22))
    batches = calm.pager().batches()
    await first_batch(calm, batches)
    page_no, page_size, next_one = min(calm.waiting, key=where)
    next_one.set_result(calm.snapshot(page_no, page_size))
    await turns(5)
    for reader in [*calm.tasks]:
        reader.cancel()
    await turns(5)

    assert await anext(batches)
    async with asyncio.timeout(5):
        with pytest.raises(ClientClosed):
            await anext(batches)


@pytest.mark.parametrize(("concurrency", "twice"), [(1, 0), (8, 60), (9, 60)])
async def test_rows_of_the_overlap_become_jobs_once(concurrency: int, twice: int) -> None:
    """
    What two pages show is decoded once, but for pages that overtake the one before them.
    """
    calm = ChangingList(1_000, random=Random(24))

    jobs = await calm.walk(concurrency=concurrency)

    assert sorted(set(calm.decoded), reverse=True) == jobs
    assert len(calm.decoded) - len(jobs) <= twice


async def first_batch(calm: ChangingList, batches: AsyncGenerator[list[int], None]) -> None:
    """
    Walk up to the first page, so that the others are being read.
    """
    first = asyncio.ensure_future(anext(batches))
    await turns(5)
    calm.step()
    calm.step()
    assert len(await first) == 100
    await turns(5)


def where(read: tuple[int, int, object]) -> int:
    page_no, page_size, _ = read
    return (page_no - 1) * page_size


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_error_in_the_middle_of_a_walk() -> None:
    """
    Jobs proven before the error stand, and the error is raised where it belongs.
    """
    failing = ChangingList(500, random=Random(17))

    def fail(rows: Rows) -> Rows:
        if rows.page_no * rows.page_size > 300:
            return with_rows(rows, rows.rows[:3], total=10**6)
        return rows

    failing.distort = fail
    jobs: list[int] = []
    answering = asyncio.create_task(failing.answer())
    with pytest.raises(ListingInconsistent):
        async for job in failing.pager():
            jobs.append(job)
    answering.cancel()

    assert jobs == list(range(499, 499 - len(jobs), -1))
    assert len(jobs) >= 190
