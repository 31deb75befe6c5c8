"""
HTTP/1.1 messages, read and written here so that an answer can be cut, slowed or lost at any byte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from attrs import field, frozen

LARGEST_HEAD = 64 * 1024
"""The most bytes of a request before its body."""

_LARGEST_BODY = 16 * 1024 * 1024
_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


@frozen
class Message:
    """
    A request, as received.
    """

    method: str
    """The HTTP method."""

    target: str
    """The path and query."""

    headers: Mapping[str, str]
    """The headers, with names in lower case."""

    body: bytes
    """The body; empty if there is none."""


@frozen
class Answer:
    """
    An answer, as sent.
    """

    status: int
    """The HTTP status."""

    body: bytes
    """The body."""

    headers: dict[str, str] = field(factory=dict)
    """The headers; `content-length` is added unless it is among them."""

    def head(self) -> bytes:
        """
        Return the status line and the headers.
        """
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, 'Status')}"]
        headers = {"content-length": str(len(self.body))} | self.headers
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_message(reader: asyncio.StreamReader) -> Message | None:
    """
    Read the next request of a connection; None if there is none, or one that is too large.

    Raises:
        OSError: The connection broke.
        EOFError: It ended within the body.
        ValueError: It is not HTTP.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if "chunked" in headers.get("transfer-encoding", ""):
        return Message(method, target, headers, await _read_chunks(reader))
    length = int(headers.get("content-length", "0"))
    if length > _LARGEST_BODY:
        return None
    return Message(method, target, headers, await reader.readexactly(length) if length else b"")


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return b"".join(chunks)
