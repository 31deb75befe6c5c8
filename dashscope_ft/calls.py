"""
What is asked of the service: the request, and how its answer is read and retried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from .envelope import Reply
from .retry import Operation

T = TypeVar("T")


class Request(NamedTuple):
    """
    An HTTP request.
    """

    method: str
    """The HTTP method."""

    path: str
    """The path below the base URL, beginning with a slash, of segments that were checked."""

    query: Mapping[str, str | int] | None = None
    """The query, not yet quoted."""

    body: bytes | None = None
    """The body, as JSON."""

    fresh_connection: bool = False
    """
    Whether to open a connection for it alone. The server may just have dropped one of the pool,
    which looks the same as a lost answer.
    """


class Call(NamedTuple, Generic[T]):
    """
    One operation on the service, and how to read the answer to it.
    """

    what: str
    """The call in words, for errors: `Deleting ft-…`."""

    operation: Operation
    """The kind of operation, which decides what a lost answer means."""

    request: Request
    """What to send."""

    read: Callable[[Reply], T]
    """Reads a success; raises MalformedResponse where it has another shape."""

    infer: Callable[[str | None], T] | None = None
    """
    Builds the result of a change that was inferred rather than confirmed, from the request id;
    None for calls whose success cannot be inferred.
    """

    look: Call[Sighting] | None = None
    """The call that reads the job's status, to learn what happened or why it was refused."""

    when_unknown: str = ""
    """The hint of an `OutcomeUnknown`; empty for calls that change nothing."""

    while_unfinished: str = ""
    """Advice for the caller if it is refused because the job has not ended."""

    patient: bool = False
    """Whether rate limits cost no attempts, so that only the deadline ends the waiting."""

    stopping: Callable[[], bool] | None = None
    """Called right before each attempt; if it returns True, the request is not sent."""


class Sighting(NamedTuple):
    """
    A job's status, as `Call.look` reads it.
    """

    status: str
    request_id: str | None
