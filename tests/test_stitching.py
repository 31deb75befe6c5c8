"""
Window planning and linking, without a service: which replies join, and what to ask for next.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft.envelope import Rows
from dashscope_ft.stitching import (
    OVERLAP,
    Link,
    Span,
    Window,
    bridging_span,
    link,
    next_span,
    same_order,
    take_unseen,
)

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def window(
    jobs: Sequence[int],
    *,
    page_no: int = 1,
    page_size: int = 4,
    total: int | None = 100,
    second: int = 1,
    times: Sequence[Any] | None = None,
) -> Window:
    """
    Place a reply whose jobs are numbered by age, newest highest, several to a second.
    """
    if times is None:
        times = [(EPOCH + timedelta(seconds=job // second)).isoformat() for job in jobs]
    rows: list[dict[str, Any]] = [
        {"job_id": str(job), "create_time": time} for job, time in zip(jobs, times, strict=True)
    ]
    reply = Rows(
        rows=rows,
        job_ids=[str(job) for job in jobs],
        times=[*times],
        page_no=page_no,
        page_size=page_size,
        total=total,
    )
    return Window.of(reply, datetime.fromisoformat)


def ids(jobs: Sequence[int]) -> set[str]:
    return {str(job) for job in jobs}


def taken(reply: Window, seen: set[str], *, anchored: bool) -> list[int]:
    return [int(job_id) for job_id in take_unseen(reply, seen, anchored=anchored)]


# Windows


def test_where_a_window_lies() -> None:
    """
    A window knows its place by the page that the service echoes, and where its rows end.
    """
    third = window([9, 8, 7], page_no=3)

    assert (third.span.start, third.span.end, third.covered) == (8, 12, 11)
    assert window([9, 8, 7], page_no=2, page_size=5).covered == 8
    assert third.total == 100
    assert window([9], total=None).total == 0


@pytest.mark.parametrize(
    ("jobs", "short", "repeats"),
    [
        ([9, 8, 7, 6], False, False),
        ([9, 8, 7], True, False),
        ([9, 8, 7, 6, 5], False, False),
        ([9, 8, 9, 7], False, True),
    ],
)
def test_what_a_window_tells_of_itself(jobs: list[int], short: bool, repeats: bool) -> None:
    """
    A window of fewer rows than a page is short, and one with a job twice repeats itself.
    """
    assert window(jobs).is_short is short
    assert window(jobs).repeats_itself is repeats


@pytest.mark.parametrize(
    "times",
    [
        [],
        ["2026-01-01T00:00:01", None],
        ["2026-01-01T00:00:01", 7],
        ["2026-01-01T00:00:01.5", "2026-01-01T00:00:01"],
        ["2026-01-01T00:00:01", "2026-01-01T00:00:02"],
        ["yesterday", "the day"],
        ["2026-01-01T00:00:01", "1926-??-01T00:00:00"],
        ["2026-??-01T00:00:00", "2026-01-01T00:00:01"],
    ],
)
def test_times_that_say_nothing(times: list[Any]) -> None:
    """
    Times count only where all can be read, are written alike, and are newest first.
    """
    silent = window(range(len(times), 0, -1), times=times)

    assert (silent.times, silent.last_second_start) == ([], silent.covered)


@pytest.mark.parametrize(
    ("jobs", "begins"), [([9, 8, 7, 6], 7), ([9, 8, 7], 6), ([11, 10, 9, 8], 4), ([13, 8, 7], 6)]
)
def test_where_the_last_second_begins(jobs: list[int], begins: int) -> None:
    """
    The jobs of a window's last second begin where the first of them stands.
    """
    assert window(jobs, page_no=2, second=4 if jobs[0] == 11 else 1).last_second_start == begins
    assert window([9, 8, 7, 6], page_no=2, page_size=3).last_second_start == 6


# Links


@pytest.mark.parametrize(
    ("tail", "reply", "joint"),
    [
        ([9, 8, 7, 6], [5, 4, 3, 2], Link.NONE),
        ([9, 8, 7, 6], [7, 6, 5, 4], Link.PROVEN),
        ([9, 8, 7, 6], [6, 5, 4, 3], Link.TIED),
        ([9, 8, 7, 6], [8, 6, 5, 4], Link.PROVEN),
    ],
)
def test_how_a_reply_joins(tail: list[int], reply: list[int], joint: Link) -> None:
    """
    A reply joins by a job that the chain has and that is strictly older than its first.
    """
    assert link(window(tail), ids(tail), window(reply)) is joint


def test_a_reply_that_joins_behind_its_neighbour() -> None:
    """
    Any job of the chain will do, not only one of its last window.
    """
    chain = ids([9, 8, 7, 6])

    assert link(window([7, 6]), chain, window([9, 8])) is Link.PROVEN


def test_a_reply_whose_first_job_is_newer_than_the_chains_last() -> None:
    """
    A reply that starts newer than the chain ends joins by a job of the chain's last window.
    """
    tail = window([9, 8, 7, 5], second=2)
    reply = window([9, 8], second=2)

    assert link(tail, ids([9, 8, 7, 5]), reply) is Link.PROVEN
    assert link(window([5], second=2), ids([9, 5]), reply) is Link.TIED
    assert link(window([9, 8, 5]), ids([9, 8, 5]), window([8, 4])) is Link.PROVEN


def test_seconds_that_tie() -> None:
    """
    Jobs of one second may swap places between reads: to share those alone proves nothing.
    """
    tail, reply = window([11, 10, 9, 8], second=4), window([9, 8, 7, 6], second=4)

    assert link(tail, ids([11, 10, 9, 8]), reply) is Link.TIED
    assert link(tail, ids([11, 10, 9, 8]), window([9, 7, 6], second=4)) is Link.TIED


@pytest.mark.parametrize("timeless", ["tail", "reply"])
def test_replies_without_times(timeless: str) -> None:
    """
    Where either side has no times, a shared job is all the proof there can be.
    """
    tail = window([9, 8], times=[None, None] if timeless == "tail" else None)
    reply = window([8, 7], times=[None, None] if timeless == "reply" else None)

    assert link(tail, ids([9, 8]), reply) is Link.PROVEN


@pytest.mark.parametrize(
    ("tail", "reply", "same"),
    [
        ([9, 8, 7, 6], [8, 7, 6, 5], True),
        ([9, 8, 7, 6], [7, 8, 6, 5], False),
        ([9, 8, 7, 6], [8, 5, 7, 6], False),
        ([9, 8, 7, 6], [7, 6, 5, 4], False),
        ([9, 8, 7, 6], [3, 8, 7, 6], True),
        ([7, 6], [7, 6, 5], True),
        ([9, 8, 7, 6], [7, 6], True),
        ([9, 8, 7, 6], [6], True),
        ([9, 8, 7, 6, 5], [8, 7, 6, 5], True),
        ([9, 8, 7, 6], [5, 4, 3], False),
        ([9, 8, 7, 6], [], False),
    ],
)
def test_one_order_in_both(tail: list[int], reply: list[int], same: bool) -> None:
    """
    Three shared jobs, or as many as there can be, in one order and side by side.
    """
    assert same_order(window(tail), window(reply)) is same


# What is new


@pytest.mark.parametrize(
    ("reply", "anchored", "new"),
    [
        ([9, 7, 6, 5], True, [9, 6, 5]),
        ([9, 7, 6, 5], False, [6, 5]),
        ([8, 6, 5, 4], False, [6, 5, 4]),
    ],
)
def test_what_a_reply_adds(reply: list[int], anchored: bool, new: list[int]) -> None:
    """
    New are the rows behind the first that the chain has; at the head of the list, all.
    """
    seen = ids([8, 7])
    fresh = taken(window(reply), seen, anchored=anchored)

    assert fresh == new
    assert seen == ids([8, 7, *new])
    assert taken(window(reply), seen, anchored=anchored) == []


@pytest.mark.parametrize("anchored", [True, False])
def test_a_reply_that_shows_a_job_twice(anchored: bool) -> None:
    """
    It is new once.
    """
    assert taken(window([8, 7, 6, 7, 6]), ids([8]), anchored=anchored) == [7, 6]


def test_what_stands_in_one_second_with_a_known_job() -> None:
    """
    Rows before a known one are new where they are of its second: they may have swapped places.
    """
    seen = ids([8])
    fresh = taken(window([12, 9, 8, 7], second=4), seen, anchored=False)

    assert fresh == [9, 7]


def test_rows_before_a_known_one_without_times() -> None:
    """
    Rows before a known one are not taken for new ones where their times are not known.
    """
    fresh = taken(window([9, 8, 7], times=[None] * 3), ids([8]), anchored=False)

    assert fresh == [7]


# What to ask for


@given(covered=st.integers(1, 5_000), largest=st.integers(20, 100))
def test_the_next_page(covered: int, largest: int) -> None:
    """
    The next page reaches back over the overlap, forward as far as any page of that size can.
    """
    span = next_span(covered, OVERLAP, largest)

    assert 1 <= span.page_size <= largest
    assert span.start <= max(0, covered - OVERLAP)
    assert span.end > covered
    if covered > OVERLAP:
        reachable = (((covered - OVERLAP) // size + 1) * size for size in range(1, largest + 1))
        assert span.end == max(reachable)


def test_the_next_page_where_the_overlap_reaches_the_head() -> None:
    """
    A page that begins at the head of the list is the first, of the largest size.
    """
    assert next_span(OVERLAP, OVERLAP, 20) == Span(1, 20)
    assert next_span(3, OVERLAP, 20) == Span(1, 20)
    assert next_span(OVERLAP + 1, OVERLAP, 20) != Span(2, 20)


def test_pages_too_small_for_the_overlap() -> None:
    """
    Where no page reaches over the whole overlap and beyond, half of it has to do, and half of that.
    """
    assert next_span(30, 10, 3) == Span(10, 3)
    assert next_span(30, 10, 1).end <= 30
    assert next_span(33, 2, 3) == Span(17, 2)
    assert next_span(8, 6, 2) == Span(4, 2)


@given(covered=st.integers(0, 3_000), back=st.integers(1, 400), largest=st.integers(1, 100))
def test_a_page_that_steps_back(covered: int, back: int, largest: int) -> None:
    """
    A step back begins at least so many rows before, wherever that may end.
    """
    span = bridging_span(covered, back, largest)

    assert span.start <= max(0, covered - back)
    assert span.end > covered - back
    assert 1 <= span.page_size <= largest
    if covered <= back:
        assert span == Span(1, largest)
