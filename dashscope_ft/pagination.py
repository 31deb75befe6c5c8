"""
Walks over numbered pages that lose nothing while the list changes.

A walk reads overlapping windows of the list, several at once and ahead of its caller. It joins
them one by one to a chain, which `stitching` proves to have no gap, and yields a job once the
chain has reached it. Where a window does not link, the walk reads back from the end of the chain
until one does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, MutableSet
from contextlib import suppress
from datetime import datetime
from typing import Any, Generic, NamedTuple, Self, TypeVar
from weakref import WeakSet

from .arguments import check_count
from .envelope import Row, Rows
from .errors import ClientClosed, ListingInconsistent
from .stitching import (
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

T = TypeVar("T")

_FEWEST_ROWS = 20  # smaller pages cannot overlap at every place of the list
_MOST_BEYOND = 5  # rows read after what should be the end of the list
_READ_AGAIN = 2  # times that a page which contradicts itself may be read again

_PendingWindow = asyncio.Future[Window | Exception]


class Listing(NamedTuple, Generic[T]):
    """
    A list on the service, and how to walk it.
    """

    read: Callable[[int, int], Coroutine[Any, Any, Rows]]
    """Reads the page of a number and a size."""

    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    """Starts a task that reads ahead, and that ends with the client at the latest."""

    decode: Callable[[list[Row]], list[T]]
    """Turns rows into models."""

    wanted: Callable[[T], bool] | None
    """Whether a model passes the caller's filters; None where there are none."""

    read_time: Callable[[str], datetime]
    """Reads a creation time; raises ValueError where it cannot."""

    page_size: int
    """The largest page to ask for."""

    concurrency: int
    """The most pages to read at once, and to keep ready ahead of the consumer."""


class _Unproven(Exception):
    """
    The listing cannot be proven complete.

    A read ahead may notice this long before the chain gets there. So the walk builds
    `ListingInconsistent` only when it tells the caller, with the counts of that time.

    Args:
        total: How many jobs the service counted.
        unlinked: Jobs that were read and did not join the chain.
    """

    def __init__(self, total: int, unlinked: frozenset[str] = frozenset()) -> None:
        self.total = total
        self.unlinked = unlinked


class AsyncPager(Generic[T]):
    """
    The jobs of a listing, newest first.

    `async for` walks all of them, each walk anew. A walk yields every job that existed
    throughout exactly once, whatever is created or deleted meanwhile, or raises
    `ListingInconsistent`. Pages are read ahead while the loop's body runs. Leaving the loop
    stops that within the event loop's next turns; `async with` stops it at once. Cancelling
    the wait for a job, as `asyncio.wait_for(anext(walk), 1)` does, ends the walk.

    A request that fails ends the walk with its `DashScopeError`.

    Wire: `GET /fine-tunes`, `GET /custom_models/import`; fewer jobs than `page_size` are one
    request.
    """

    def __init__(self, listing: Listing[T]) -> None:
        self._listing = listing
        self._walks: MutableSet[AsyncGenerator[Any, None]] = WeakSet()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: iterate over it, or collect() it>"

    def __aiter__(self) -> AsyncIterator[T]:
        return self._tracked(self._jobs())

    async def __aenter__(self) -> Self:
        self._walks = set(self._walks)  # no longer weak: a dropped walk would be closed too late
        return self

    async def __aexit__(self, *_: object) -> None:
        walks, self._walks = self._walks, WeakSet()
        for walk in walks:
            with suppress(RuntimeError):  # another task is waiting in this walk, and has to end it
                await walk.aclose()

    def batches(self) -> AsyncGenerator[list[T], None]:
        """
        Walk in lists of jobs, never empty, each as soon as it is proven complete so far.

        Raises:
            ListingInconsistent: The listing could not be proven complete.
            DashScopeError: A request failed.
        """
        return self._tracked(self._batches())

    async def collect(self, limit: int | None = None) -> list[T]:
        """
        Return all jobs, or the first `limit` of them, for which fewer requests are sent.

        Args:
            limit: The most jobs to return; None for all.

        Raises:
            InvalidArgument: `limit` is not a whole number from 0; nothing was sent.
            ListingInconsistent: The listing could not be proven complete, and `limit` jobs
                were not reached before that.
            DashScopeError: A request failed.
        """
        if limit is not None:
            limit = check_count("limit", limit)
        jobs: list[T] = []
        if limit == 0:
            return jobs
        walk = _Walk(self._listing, limit=limit, keeps_all=True)
        try:
            while batch := await walk.next():
                jobs += batch
                if limit is not None and len(jobs) >= limit:
                    break
        finally:
            await walk.stop()
        return jobs[:limit]

    # Neither of these two generators uses the other: a loop that ends closes all generators at
    # once, and fails to close one that another is waiting in.

    async def _batches(self) -> AsyncGenerator[list[T], None]:
        walk = _Walk(self._listing)
        try:
            while batch := await walk.next():
                yield batch
        finally:
            await walk.stop()

    async def _jobs(self) -> AsyncGenerator[T, None]:
        walk = _Walk(self._listing)
        try:
            while batch := await walk.next():
                for job in batch:
                    yield job
        finally:
            await walk.stop()

    def _tracked(self, walk: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        self._walks.add(walk)
        return walk


class _Walk(Generic[T]):
    """
    One walk: a chain of windows from the head of the list to its end, and reads ahead of it.

    Args:
        listing: The list.
        limit: How many jobs are wanted; None for all.
        keeps_all: Whether the caller keeps every job anyway, so that more may be read ahead.
    """

    def __init__(
        self, listing: Listing[T], *, limit: int | None = None, keeps_all: bool = False
    ) -> None:
        self._listing = listing
        self._limit = limit
        self._most_ahead = listing.concurrency * (2 if keeps_all else 1)
        self._turns = asyncio.Semaphore(listing.concurrency)
        self._largest = listing.page_size
        self._seen: set[str] = set()  # the jobs of the chain
        self._jobs: dict[str, T] = {}  # jobs that were read and have not joined the chain yet
        self._started = False
        self._ended = False
        self._given = 0  # jobs that the caller got
        self._reads = 0  # windows that the chain has asked for or passed, and those read again
        self._useful_reads = 0  # windows that brought something new
        self._tail: Window  # the last window of the chain
        self._ahead: deque[_PendingWindow] = deque()  # windows after the chain, arrived or not
        self._readers: list[asyncio.Task[None]] = []
        self._total = 0  # jobs, by the latest reply
        self._order_is_kept: bool | None = None  # among jobs of one second; None until needed
        self._horizon = 0  # the index up to which windows are planned
        self._last_horizon = 0  # the index up to which they are to be planned

    async def next(self) -> list[T]:
        """
        Return the next jobs that the caller wants: those of one window; empty at the end.
        """
        try:
            return await self._next()
        except _Unproven as unproven:
            total, unlinked = unproven.total, unproven.unlinked
        raise self._inconsistent(total, unlinked)

    async def _next(self) -> list[T]:
        while not self._ended:
            job_ids = await self._advance() if self._started else await self._begin()
            self._ended = self._tail.is_short
            jobs = [*map(self._jobs.pop, job_ids)]
            if self._listing.wanted is not None:
                jobs = [*filter(self._listing.wanted, jobs)]
            self._given += len(jobs)
            if not self._ended:
                self._read_ahead()
            if jobs:
                return jobs
        await self._check_end()
        return []

    async def stop(self) -> None:
        """
        End all reads ahead.
        """
        self._ahead.clear()
        self._last_horizon = 0
        for reader in self._readers:
            reader.cancel()
        if self._readers:
            await asyncio.wait(self._readers)

    async def _begin(self) -> list[str]:
        """
        Read the head of the list, which begins the chain, and return its jobs.
        """
        self._started = True
        return self._join(await self._read(Span(1, self._largest)), anchored=True)

    async def _advance(self) -> list[str]:
        """
        Join one more window to the chain, and return the jobs that are new in it.
        """
        while self._ahead:
            window = await self._next_ahead()
            if not window.ids <= self._seen:
                joint = link(self._tail, self._seen, window)
                if joint is not Link.PROVEN:
                    return await self._bridge(window if joint is Link.TIED else None)
                self._drop_next()
                return self._join(window)
            self._drop_next()  # the chain has all that it shows
        return await self._bridge(None)

    async def _bridge(self, tied: Window | None) -> list[str]:
        """
        Read windows that begin further and further back in the chain, until one joins it.

        Args:
            tied: A window that was read and meets the chain among jobs of one second; None if
                there is none.

        Returns:
            The jobs that are new in the window that joined.
        """
        tail, back = self._tail, OVERLAP
        while True:
            end = self._end_of_tail()
            if tied is not None:
                # A page that begins before the tail's last second and ends after it would prove
                # the link. If no page is large enough for that, an unchanged order has to do.
                whole_second = tail.covered - tail.last_second_start + 1
                can_straddle = bridging_span(end, whole_second, self._largest).end > end
                if not can_straddle and same_order(tail, tied) and await self._keeps_order(tied):
                    return self._join(tied)
                back = max(back, whole_second)
            # At the normal overlap the page must also advance; further back only the link counts.
            plan = next_span if back == OVERLAP else bridging_span
            span = plan(end, back, self._largest)
            window = await self._read(span)
            anchored = span.start == 0
            joint = Link.PROVEN if anchored else link(tail, self._seen, window)
            if joint is Link.PROVEN:
                return self._join(window, anchored=anchored)
            if joint is Link.TIED and tied is None:
                tied = window
            elif self._end_of_tail() == end:  # otherwise try the new end of the chain first
                back *= 2

    async def _keeps_order(self, window: Window) -> bool:
        """
        Find out, once a walk, whether the jobs of one second come in the same order at each read:
        a few may do so by chance.
        """
        if self._order_is_kept is None:
            again = [await self._read(window.span) for _ in range(_READ_AGAIN)]
            self._order_is_kept = all(same_order(window, each) for each in again)
        return self._order_is_kept

    async def _check_end(self) -> None:
        """
        Make sure that the list ends with the chain, if the service's total does not confirm it.

        The service may have cut the last page short without saying so. So read single rows after
        it until there is none. A row that the chain has already is no objection: it stands there
        since jobs were created meanwhile.

        Raises:
            ListingInconsistent: There is a row that the chain does not have, or there are too many.
        """
        tail = self._tail
        if not tail.job_ids or tail.total >= tail.covered:
            return
        beyond = tail
        for page_no in range(tail.covered + 1, tail.covered + 1 + _MOST_BEYOND):
            beyond = await self._read(Span(page_no, 1))
            if not beyond.job_ids:
                return
            if not beyond.ids <= self._seen:
                break
        raise _Unproven(beyond.total, beyond.ids)

    def _end_of_tail(self) -> int:
        """
        Return the index at which the chain ends by now, estimated by how the total has changed.

        New jobs stand before the chain's end, and raise its index. Deleted jobs may all have stood
        there too, so each is assumed to lower it.
        """
        tail = self._tail
        return tail.covered + (self._total - tail.total if self._total and tail.total else 0)

    def _join(self, window: Window, *, anchored: bool = False) -> list[str]:
        """
        Make a window the chain's tail, and return the jobs that are new in it.

        Args:
            window: The window, which links to the chain.
            anchored: Whether it needs no link, since it is the head of the list.
        """
        fresh = take_unseen(window, self._seen, anchored=anchored)
        self._useful_reads += bool(fresh)
        self._tail = window
        if not self._ahead:
            self._horizon = window.covered
        return fresh

    def _drop_next(self) -> None:
        """
        Drop the next window that was read ahead, and count it.
        """
        self._ahead.popleft()
        self._count_read()

    def _read_ahead(self) -> None:
        """
        Start as many readers as may run at once and have something to read.
        """
        tail, listing = self._tail, self._listing
        self._last_horizon = tail.total
        if self._limit is not None:
            self._last_horizon = min(tail.total, tail.covered + self._limit - self._given)
        self._readers = [reader for reader in self._readers if not reader.done()]
        while len(self._readers) < listing.concurrency and (planned := self._plan_ahead()):
            reader = listing.spawn(self._keep_reading(*planned))
            reader.add_done_callback(self._reader_ended)
            self._readers.append(reader)

    def _plan_ahead(self) -> tuple[Span, _PendingWindow] | None:
        """
        Plan the next window to read ahead: its span, and the future that will hold it. None if
        enough windows are waiting already, or all of the list is planned.
        """
        if len(self._ahead) >= self._most_ahead or self._horizon >= self._last_horizon:
            return None
        span = next_span(self._horizon, OVERLAP, self._largest)
        if span.end <= self._horizon:
            return None
        self._horizon = span.end
        pending: _PendingWindow = asyncio.get_running_loop().create_future()
        self._ahead.append(pending)
        return span, pending

    async def _keep_reading(self, span: Span, pending: _PendingWindow) -> None:
        """
        Read a window, then plan and read the next, without waiting for the caller in between.
        """
        while True:
            try:
                got: Window | Exception = await self._read_uncounted(span)
            except Exception as error:  # noqa: BLE001 - it is raised when the chain gets there
                got = error
            if not pending.done():
                pending.set_result(got)
            planned = None if isinstance(got, Exception) else self._plan_ahead()
            if planned is None:
                return
            span, pending = planned

    def _reader_ended(self, reader: asyncio.Task[None]) -> None:
        if reader.cancelled():
            for pending in self._ahead:
                if not pending.done():
                    pending.set_result(ClientClosed("This client was closed during the walk."))

    async def _next_ahead(self) -> Window:
        """
        Return the next window that was read ahead, once it has arrived; it stays in `_ahead`.
        """
        got = await self._ahead[0]  # without a shield: a wait that is cancelled ends the walk
        if isinstance(got, Exception):
            raise got
        return got

    async def _read(self, span: Span) -> Window:
        """
        Read a window that the chain needs now.
        """
        self._count_read()
        return await self._read_uncounted(span)

    def _count_read(self) -> None:
        """
        Count a read.

        Raises:
            ListingInconsistent: The walk takes too many reads for what they bring.
        """
        self._reads += 1
        # Windows that were read ahead count as useful until the chain reaches them.
        if self._reads > 4 * (self._useful_reads + len(self._ahead)) + 20:
            raise _Unproven(self._total)

    async def _read_uncounted(self, span: Span) -> Window:
        """
        Read a window, and read it again if it contradicts itself; only these repetitions count.
        """
        again = 0
        while True:
            async with self._turns:
                reply = await self._listing.read(*span)
            if len(reply.rows) == span.page_size:
                # The page that was asked for, whatever size is echoed.
                reply = reply._replace(page_size=span.page_size)
            if reply.page_size < span.page_size:
                self._largest = min(self._largest, reply.page_size)
            window = Window.of(reply, self._listing.read_time)
            self._total = window.total
            misplaced = span.start == 0 < window.span.start  # not the head that was asked for
            truncated = window.is_short and window.covered < window.total
            if misplaced or truncated:
                if again == _READ_AGAIN:
                    raise _Unproven(window.total, window.ids)
            elif again or not window.repeats_itself:  # a repeated id is read again only once
                self._decode(reply)
                return window
            again += 1
            self._count_read()

    def _decode(self, reply: Rows) -> None:
        """
        Decode the rows at once, since jobs need less memory than rows; but not those at the
        beginning that other windows have shown.
        """
        job_ids, seen, jobs = reply.job_ids, self._seen, self._jobs
        known = (job_id in seen or job_id in jobs for job_id in job_ids)
        begin = next((index for index, is_known in enumerate(known) if not is_known), len(job_ids))
        jobs.update(zip(job_ids[begin:], self._listing.decode(reply.rows[begin:]), strict=True))

    def _inconsistent(self, total: int, unlinked: frozenset[str]) -> ListingInconsistent:
        seen = len(self._seen | unlinked)
        claim = f"counts {total}" if total else "does not say how many there are"
        hint = "List again when fewer jobs come and go."
        if self._largest < _FEWEST_ROWS:
            hint = (
                f"It gives {self._largest} jobs a page, too few to prove that none is missing; "
                "read single pages with `page`."
            )
        error = ListingInconsistent(
            f"The listing could not be proven complete: {seen} jobs were seen, and "
            f"the service {claim}.",
            hint=hint,
        )
        error.seen = seen
        error.total = total or None
        return error
