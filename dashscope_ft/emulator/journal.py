"""
Every request that the emulator saw, in the order in which they came.
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
    One request, and what was answered.
    """

    method: str
    """Its method."""

    target: str
    """Its path and query, as they were sent."""

    path: str
    """The path below the base URL, as it was sent, such as `/fine-tunes/ft-1`."""

    operation: str
    """Such as `fine_tunes.delete`; empty for a path that the service doesn't have."""

    job_id: str | None
    """The job in its path."""

    region: str
    """The region it was sent to."""

    key: Literal["known", "unknown", "missing"]
    """Whether its key is the region's; the key itself is not kept."""

    workspace: str | None
    """The workspace in its header."""

    query: Mapping[str, str]
    """Its query."""

    headers: Mapping[str, str]
    """Its headers with names in lower case, without the key."""

    body: Any
    """Its JSON, or None."""

    request_id: str
    """The id that its answer carries, and the books."""

    connection: int
    """The connection that it came on, counted from 1."""

    time: float
    """When it came, on the emulator's clock."""

    in_flight: int
    """How many requests were being served when it came, itself included."""

    fault: Fault | None = None
    """What was done to it."""

    status: int | None = None
    """The HTTP status answered; None while there is none, and for a lost answer."""

    ended: float | None = None
    """When it was answered or given up, on the emulator's clock."""


@define(eq=False)
class Journal:
    """
    The requests, and how many there were at once.
    """

    requests: list[Request] = field(factory=list)
    """All of them, oldest first."""

    in_flight: int = 0
    """How many are being served."""

    most_in_flight: int = 0
    """How many were at most."""

    connections: int = 0
    """How many connections were accepted."""

    open_connections: int = 0
    """How many of them are open."""

    most_connections: int = 0
    """How many were at most."""

    _watchers: list[tuple[Callable[[Request], bool], Future[Request]]] = field(factory=list)
    _lock: threading.Lock = field(factory=threading.Lock, repr=False)

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
        Return the first request that fulfils a condition, seen or to come, when it has come.

        Use `.result(timeout)` from blocking code, `await asyncio.wrap_future(…)` from async.
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
        Forget the requests, and start to count afresh.
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
        Note a request.
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
                if condition(request):
                    future.set_result(request)
                else:
                    self._watchers.append((condition, future))

    def depart(self, request: Request, status: int | None, time: float) -> None:
        """
        Note what was answered.
        """
        self.in_flight -= 1
        request.status, request.ended = status, time
