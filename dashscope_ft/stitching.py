"""
How overlapping pages prove that nothing between them was missed.

A reply is a contiguous slice of the list at one instant, and two jobs keep their order. So if
two replies share a job, no job that existed throughout the walk lies between them. A chain of
replies that are linked in this way, from the head of the list to its end, therefore holds every
job that existed throughout.

Everything here is pure; `pagination` does the reading.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum, auto
from functools import lru_cache
from typing import Any, NamedTuple

from .envelope import Rows

OVERLAP = 5  # rows; about 1.18 times the fewest reads, and links survive some deletions
_ENOUGH_IN_ORDER = 3  # shared rows in one order, where nothing better can be had


class Span(NamedTuple):
    """
    A page to ask for.
    """

    page_no: int
    page_size: int

    @property
    def start(self) -> int:
        """
        The index of its first row.
        """
        return (self.page_no - 1) * self.page_size

    @property
    def end(self) -> int:
        """
        The index after its last row.
        """
        return self.page_no * self.page_size


class Link(Enum):
    """
    How a reply joins the chain.
    """

    PROVEN = auto()
    """No job that existed throughout lies between them."""

    TIED = auto()
    """They share jobs, but meet among jobs of one second, whose order may change."""

    NONE = auto()
    """They share no job."""


class Window(NamedTuple):
    """
    One reply, placed in the list.
    """

    job_ids: list[str]
    """The ids of its rows, in order."""

    span: Span
    """Where it lies, as the service echoes it."""

    total: int
    """How many rows the same reply counts in all; 0 where it does not say."""

    ids: frozenset[str]
    """The same ids as a set."""

    sent_times: list[Any]
    """The creation times of its rows, whatever the service sent."""

    read_time: Callable[[str], datetime]
    """Reads such a time; raises ValueError where it cannot."""

    @classmethod
    def of(cls, reply: Rows, read_time: Callable[[str], datetime]) -> Window:
        """
        Place a reply.

        Args:
            reply: The reply.
            read_time: Reads a creation time; raises ValueError where it cannot.
        """
        return cls(
            job_ids=reply.job_ids,
            span=Span(reply.page_no, reply.page_size),
            total=reply.total or 0,
            ids=frozenset(reply.job_ids),
            sent_times=reply.times,
            read_time=read_time,
        )

    @property
    def covered(self) -> int:
        """
        The index after its last row.
        """
        return self.span.start + len(self.job_ids)

    @property
    def repeats_itself(self) -> bool:
        """
        Whether a job stands in it twice.
        """
        return len(self.ids) < len(self.job_ids)

    @property
    def is_short(self) -> bool:
        """
        Whether it has fewer rows than a page: the list ends in it, or before it.
        """
        return len(self.job_ids) < self.span.page_size

    @property
    def times(self) -> list[str]:
        """
        The `sent_times` where all are readable, written alike and newest first; else empty.
        """
        times = self.sent_times
        if {*map(type, times)} != {str} or len({*map(len, times)}) > 1:
            return []
        try:
            self.read_time(times[0])
            self.read_time(times[-1])
        except ValueError:
            return []
        return times if times == sorted(times, reverse=True) else []

    @property
    def last_second_start(self) -> int:
        """
        The index of the first row that has the same second as the last; `covered` if unknown.
        """
        times = self.times
        return self.span.start + times.index(times[-1]) if times else self.covered


def link(tail: Window, seen: set[str], window: Window) -> Link:
    """
    Return how a reply joins the chain.

    Jobs of one second may change places, so a shared job alone is enough only where times cannot
    be compared. Otherwise, let a job that existed throughout stand before the reply's first row:
    it is as new as that row, or newer. If the chain has a row of the reply that is strictly older
    than the first, then the job stands before that row in every reply, and so is in the chain.

    Args:
        tail: The chain's last window.
        seen: The jobs of all its windows.
        window: The reply.
    """
    for job_id, time in zip(window.job_ids, window.sent_times, strict=True):
        # A time that differs from the first is an older one; or times say nothing, and any shared
        # job will do.
        if job_id in seen and time != window.sent_times[0]:
            return Link.PROVEN
    known = window.ids & seen
    if not known:
        return Link.NONE
    begins, ends = window.times, tail.times
    if not begins or not ends:
        return Link.PROVEN
    # It is as good if the reply begins strictly newer than the chain ends, and shares a job with
    # the chain's last window.
    newer = window.read_time(begins[0]) > tail.read_time(ends[-1])
    if newer and not tail.ids.isdisjoint(known):
        return Link.PROVEN
    return Link.TIED


def same_order(tail: Window, window: Window) -> bool:
    """
    Return whether the jobs that both replies share are in the same order, with none in between.

    Where more jobs share a second than a page can straddle, this is all the evidence there
    can be that the service keeps their order.
    """
    places = [
        tail.job_ids.index(job_id) if job_id in tail.ids else None for job_id in window.job_ids
    ]
    shared = [place for place in places if place is not None]
    enough = min(_ENOUGH_IN_ORDER, len(tail.job_ids), len(window.job_ids))
    if not shared or len(shared) < enough:
        return False
    among = places[places.index(shared[0]) :][: len(shared)]
    return among == sorted(shared)


def take_unseen(window: Window, seen: set[str], *, anchored: bool) -> list[str]:
    """
    Return the ids of a joined reply's rows that are new, and add them to `seen`.

    Unless the reply is anchored at the head of the list, its rows before the first one that the
    chain has are left out, since they were not there throughout; except for rows of that one's
    second, which may have changed places with it.
    """
    begin = 0
    if not anchored:
        begin = next(place for place, job_id in enumerate(window.job_ids) if job_id in seen)
        if begin and (times := window.times):
            begin = times.index(times[begin])
    shown = window.job_ids[begin:]
    if window.repeats_itself:
        shown = [*dict.fromkeys(shown)]
    fresh = [job_id for job_id in shown if job_id not in seen]
    seen.update(fresh)
    return fresh


@lru_cache(maxsize=4096)
def next_span(covered: int, overlap: int, largest: int) -> Span:
    """
    Plan the page that begins at least `overlap` rows before `covered` and reaches furthest.

    A page begins at a multiple of its size, so only the size can be chosen. If no page with that
    overlap ends after `covered`, the overlap is halved until one does.

    Args:
        covered: The index up to which rows were read.
        overlap: How many of them to read again.
        largest: The largest page to ask for.
    """
    while True:
        span = _furthest(covered - overlap, largest)
        if span.end > covered or overlap <= 1:
            return span
        overlap //= 2


def bridging_span(covered: int, back: int, largest: int) -> Span:
    """
    Plan the page that begins at least `back` rows before `covered`, whether it advances or not.
    """
    return _furthest(covered - back, largest)


def _furthest(start: int, largest: int) -> Span:
    if start <= 0:
        return Span(1, largest)
    spans = (Span(start // size + 1, size) for size in range(largest, 0, -1))
    return max(spans, key=lambda span: span.end)
