"""
Where reading page after page goes wrong, each time beside the walk over the same list.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from itertools import count, product
from random import Random

import pytest
from attrs import field, frozen

from dashscope_ft.envelope import Rows
from dashscope_ft.errors import ListingInconsistent

from .changing_list import ChangingList

LISTS = int(os.environ.get("NAIVE_LISTS", "100"))
SIZE = 100

Change = Callable[[ChangingList], None]
Record = Callable[[str, object], None]


class ScriptedList(ChangingList):
    """
    A list to which something happens right before its n-th reads.
    """

    def __init__(
        self, jobs: int, script: Mapping[int, Change], *, second: int = 1, seed: int = 0
    ) -> None:
        super().__init__(jobs, random=Random(seed), second=second)
        self.script = script
        self.served_so_far = 0

    def change(self) -> None:
        self.served_so_far += 1
        if happening := self.script.get(self.served_so_far):
            happening(self)


@frozen
class Shortfall:
    """
    What a listing got wrong.
    """

    missed: int
    """Jobs that were there throughout and are not in it."""

    repeated: int
    """Jobs that came again."""


def shortfall(changing: ChangingList, jobs: list[int]) -> Shortfall:
    return Shortfall(len(changing.throughout - set(jobs)), len(jobs) - len(set(jobs)))


def read(changing: ChangingList, page_no: int, size: int = SIZE) -> tuple[list[int], int]:
    rows = changing.snapshot(page_no, size)
    return [int(job_id) for job_id in rows.job_ids], rows.total or 0


# The naive ways


def page_after_page(changing: ChangingList, size: int = SIZE) -> list[int]:
    """
    Read on until a page is short.
    """
    jobs: list[int] = []
    for page_no in count(1):
        page, _ = read(changing, page_no, size)
        jobs += page
        if len(page) < size:
            return jobs
    raise AssertionError


def first_sight_only(changing: ChangingList) -> list[int]:
    """
    Likewise, but forget what was seen before.
    """
    return [*dict.fromkeys(page_after_page(changing))]


def all_pages_at_once(changing: ChangingList, size: int = SIZE) -> list[int]:
    """
    Read the first page, and then as many as its total says, of which the last is served first.
    """
    jobs, total = read(changing, 1, size)
    pages = {1: jobs}
    for page_no in range(-(-total // size), 1, -1):
        pages[page_no], _ = read(changing, page_no, size)
    return [job for page_no in sorted(pages) for job in pages[page_no]]


def last_page_first(changing: ChangingList) -> list[int]:
    """
    Read from the end, so that what is deleted leaves nothing out.
    """
    _, total = read(changing, 1, 1)
    pages = [read(changing, page_no)[0] for page_no in range(-(-total // SIZE), 0, -1)]
    return [job for page in reversed(pages) for job in page]


# What happens meanwhile


def newest_goes(changing: ChangingList) -> None:
    changing.delete(changing.jobs[0])


def one_comes(changing: ChangingList) -> None:
    changing.jobs.insert(0, changing.born)
    changing.born += 1


def two_change_places(changing: ChangingList) -> None:
    """
    Let the jobs around the end of the first page, which are of one second, swap.
    """
    jobs = changing.jobs
    assert jobs[SIZE - 1] // changing.second == jobs[SIZE] // changing.second
    jobs[SIZE - 1], jobs[SIZE] = jobs[SIZE], jobs[SIZE - 1]


# What the service makes of a request


def as_it_is(rows: Rows) -> Rows:
    return rows


def with_total(total: int | None) -> Callable[[Rows], Rows]:
    """
    Let each reply claim that there are so many jobs.
    """
    return lambda rows: rows._replace(total=total)


@frozen(kw_only=True)
class Case:
    """
    A list, what happens to it, and what a naive listing makes of that.
    """

    naive: Callable[[ChangingList], list[int]]
    script: Mapping[int, Change] = field(factory=dict)
    missed: int
    repeated: int
    jobs: int = 250
    second: int = 1
    largest_page: int = SIZE
    distort: Callable[[Rows], Rows] = as_it_is

    def list(self, seed: int = 0) -> ScriptedList:
        scripted = ScriptedList(self.jobs, self.script, second=self.second, seed=seed)
        scripted.cap, scripted.distort = self.largest_page, self.distort
        return scripted


CASES = {
    "a job deleted while paging takes another one out of sight": Case(
        naive=page_after_page, script={2: newest_goes}, missed=1, repeated=0
    ),
    "a job created while paging shows another one twice": Case(
        naive=page_after_page, script={2: one_comes}, missed=0, repeated=1
    ),
    "as many rows as the total says, and yet not the jobs": Case(
        naive=page_after_page, script={2: newest_goes, 3: one_comes}, missed=1, repeated=1
    ),
    "leaving out what came before finds nothing that was lost": Case(
        naive=first_sight_only, script={2: newest_goes, 3: one_comes}, missed=1, repeated=0
    ),
    "pages read at once, and a job deleted between them": Case(
        naive=all_pages_at_once, script={3: newest_goes}, missed=1, repeated=1
    ),
    "pages read at once, and a job created between them": Case(
        naive=all_pages_at_once, script={3: one_comes}, missed=1, repeated=1
    ),
    "a full last page pushed on by a job that came": Case(
        naive=all_pages_at_once, script={2: one_comes}, missed=1, repeated=1, jobs=300
    ),
    "from the last page on, and a job created meanwhile": Case(
        naive=last_page_first, script={3: one_comes}, missed=1, repeated=0
    ),
    "two jobs of one second that change places between pages": Case(
        naive=page_after_page, script={2: two_change_places}, missed=1, repeated=1, second=4
    ),
    "pages of fifty where a hundred were asked for, taken for the last": Case(
        naive=page_after_page, missed=200, repeated=0, largest_page=50
    ),
    "pages of fifty where a hundred were asked for, read at once": Case(
        naive=all_pages_at_once, missed=100, repeated=0, largest_page=50
    ),
    "a total that is too small": Case(
        naive=all_pages_at_once, missed=150, repeated=0, distort=with_total(SIZE)
    ),
    "a total of none": Case(naive=all_pages_at_once, missed=150, repeated=0, distort=with_total(0)),
    "a total that is not told": Case(
        naive=all_pages_at_once, missed=150, repeated=0, distort=with_total(None)
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_where_paging_goes_wrong(name: str, record_property: Record) -> None:
    """
    Naive paging loses or repeats a job where the walk over the same list does neither.
    """
    case, walks = CASES[name], 0
    naive = case.list()
    wrong = shortfall(naive, case.naive(naive))
    missed = repeated = 0
    for seed, looped, at_once in product(range(5), (False, True), (1, 8)):
        changing, walks = case.list(seed), walks + 1
        jobs = asyncio.run(changing.walk(looped=looped, concurrency=at_once))
        walked = shortfall(changing, jobs)
        missed, repeated = missed + walked.missed, repeated + walked.repeated

    assert wrong == Shortfall(case.missed, case.repeated)
    assert (missed, repeated) == (0, 0)
    record_property(
        "figure",
        f"{name.capitalize()}: naive paging missed {wrong.missed} and repeated {wrong.repeated} "
        f"of {case.jobs} jobs, {walks} walks {missed} and {repeated}.",
    )


async def test_a_total_that_is_never_reached(record_property: Record) -> None:
    """
    Reading until there are as many rows as the total says never ends; the walk ends and says so.
    """
    naive, patience = ScriptedList(250, {}), 1_000
    naive.distort = with_total(10**9)
    rows = total = pages = 0
    while pages == 0 or (rows < total and pages < patience):
        pages += 1
        page, total = read(naive, pages)
        rows += len(page)
    walked = ScriptedList(250, {})
    walked.distort = with_total(10**9)
    with pytest.raises(ListingInconsistent) as caught:
        await walked.walk()

    assert pages == patience
    assert caught.value.total == total
    assert len(walked.reads) <= 40
    record_property(
        "figure",
        f"A total of {total:,} over 250 jobs: naive paging was still reading after {pages:,} "
        f"pages, the walk raised after {len(walked.reads)}, with {caught.value.seen} jobs seen.",
    )


async def test_deleting_inside_the_loop(record_property: Record) -> None:
    """
    Deleting each page before reading the next leaves half behind; deleting in the walk nothing.
    """
    jobs = 4 * SIZE
    naive, walked = ScriptedList(jobs, {}), ScriptedList(jobs, {})
    for page_no in count(1):
        page, _ = read(naive, page_no)
        for job in page:
            naive.delete(job)
        if len(page) < SIZE:
            break
    answering = asyncio.create_task(walked.answer())
    async for job in walked.pager():
        walked.delete(job)
    answering.cancel()

    assert len(naive.jobs) == jobs // 2
    assert not walked.jobs
    record_property(
        "figure",
        f"Deleting {jobs} jobs as they are listed: naive paging left {len(naive.jobs)} behind, "
        f"the walk {len(walked.jobs)}.",
    )


@pytest.mark.once
@pytest.mark.parametrize(("naive", "size"), [(page_after_page, 10), (all_pages_at_once, 100)])
def test_how_often_naive_paging_misses_a_job(
    naive: Callable[[ChangingList, int], list[int]], size: int, record_property: Record
) -> None:
    """
    With one change in five reads, naive paging misses jobs in many listings, the walk in none.
    """

    class Lively(ChangingList):
        def change(self) -> None:
            if self.random.random() < 0.2:
                self.random.choice([one_comes, goes_anywhere])(self)

    wrong = walked_wrong = 0
    for seed in range(LISTS):
        changing = Lively(500, random=Random(seed))
        wrong += shortfall(changing, naive(changing, size)).missed > 0
        changing = Lively(500, random=Random(seed))
        walked_wrong += shortfall(changing, asyncio.run(changing.walk())) != Shortfall(0, 0)

    assert wrong > LISTS // 4
    assert walked_wrong == 0
    record_property(
        "figure",
        f"Of {LISTS} listings of 500 jobs with a change in five reads, "
        f"{naive.__name__.replace('_', ' ')} of {size} missed a job in {wrong}; "
        f"the walk missed or repeated one in {walked_wrong}.",
    )


def goes_anywhere(changing: ChangingList) -> None:
    changing.delete(changing.random.choice(changing.jobs))
