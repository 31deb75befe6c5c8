"""
The requests that the emulator received, in order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Literal

from attrs import define, field

from .faults import Fault


@define(eq=False, kw_only=True)
class Request:
    """
    A request, and how it was answered.
    """

    method: str
    """The HTTP method."""

    target: str
    """The path and query, as sent."""

    path: str
    """The path below the base URL, as sent, such as `/fine-tunes/ft-1`; empty for one outside."""

    operation: str
    """The operation, such as `fine_tunes.delete`; empty for an unknown path or method."""

    job_id: str | None
    """The job id in the path."""

    region: str
    """The region it was sent to; `intl` if the path names none."""

    key: Literal["known", "unknown", "missing"]
    """Whether its key is the region's; the key itself is not kept."""

    workspace: str | None
    """The workspace in the headers."""

    query: Mapping[str, str]
    """The parameters of the query."""

    headers: Mapping[str, str]
    """The headers with names in lower case, without the key."""

    body: Any
    """The parsed JSON body, or None."""

    request_id: str
    """The id in its answer and in the books."""

    connection: int
    """The number of its connection, counted from 1."""

    time: float
    """When it arrived, on the emulator's clock."""

    in_flight: int = 0
    """How many requests were being served when it arrived, including itself."""

    fault: Fault | None = None
    """The fault that affected it."""

    status: int | None = None
    """The HTTP status of the answer; None before there is one, and for a lost answer."""

    ended: float | None = None
    """When it was answered or abandoned, on the emulator's clock."""


@define(eq=False)
class Journal:
    """
    The requests, and counts of concurrent ones.
    """

    requests: list[Request] = field(factory=list)
    """All requests, oldest first."""

    in_flight: int = 0
    """How many requests are being served."""

    most_in_flight: int = 0
    """The most requests that were served at once."""

    connections: int = 0
    """How many connections were accepted."""

    open_connections: int = 0
    """How many connections are open."""

    most_connections: int = 0
    """The most connections that were open at once."""

    _watchers: list[tuple[Callable[[Request], bool], Future[Request]]] = field(factory=list)
    # Reentrant: conditions, and what is called when a future is done, may use the journal.
    _lock: threading.RLock = field(factory=threading.RLock, repr=False)

    def __len__(self) -> int:
        return len(self.requests)

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self.requests))

    def of(self, operation: str) -> list[Request]:
        """
        Return the requests of one operation, such as `fine_tunes.delete`.
        """
        return [request for request in self if request.operation == operation]

    def first(self, condition: Callable[[Request], bool]) -> Future[Request]:
        """
        Return a future for the first request, past or future, that meets a condition.

        Use `.result(timeout)` in blocking code, `await asyncio.wrap_future(…)` in async code. They
        raise what the condition raises.
        """
        future: Future[Request] = Future()
        with self._lock:
            for request in self.requests:
                if condition(request):
                    future.set_result(request)
                    return future
            self._watchers.append((condition, future))
        return future

    def clear(self) -> None:
        """
        Remove the requests, and restart the counts.
        """
        with self._lock:
            self.requests.clear()
            self.most_in_flight = self.in_flight
            self.connections = self.most_connections = self.open_connections

    def connect(self) -> int:
        """
        Count a connection, and return its number.
        """
        self.connections += 1
        self.open_connections += 1
        self.most_connections = max(self.most_connections, self.open_connections)
        return self.connections

    def disconnect(self) -> None:
        """
        Count a connection that has ended.
        """
        self.open_connections -= 1

    def arrive(self, request: Request) -> None:
        """
        Record a request.
        """
        with self._lock:
            self.in_flight += 1
            request.in_flight = self.in_flight
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.requests.append(request)
            watchers, self._watchers = self._watchers, []
            for condition, future in watchers:
                if future.cancelled():
                    continue
                try:
                    met = condition(request)
                except Exception as error:  # noqa: BLE001 - it is the caller's, not the server's
                    future.set_exception(error)
                    continue
                if met:
                    future.set_result(request)
                else:
                    self._watchers.append((condition, future))

    def depart(self, request: Request, status: int | None, time: float) -> None:
        """
        Record the end of a request.
        """
        self.in_flight -= 1
        request.status, request.ended = status, time
