"""
A service that costs nothing to ask: bytes made beforehand, in a process of its own.

What it serves is said by the base URL alone, `http://127.0.0.1:PORT/{flavour}/{count}/{latency}`:
that many jobs, each answer that many milliseconds after its request. It keeps no state but
its counts, which `GET /counts` gives and resets. Deleting always succeeds.

Run as `python -m benchmarks.server`, it prints its port and serves until its stdin ends.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from functools import lru_cache
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import parse_qs, urlsplit

import orjson
from attrs import asdict, define, field, frozen

from . import payloads
from .payloads import Flavour

_ROOT = Path(__file__).resolve().parents[1]


@define
class Counts:
    """
    What the server saw since it was last asked.
    """

    requests: int = 0
    """Requests that came."""

    connections: int = 0
    """Connections that any of them came on."""

    most_in_flight: int = 0
    """How many were unanswered at once, at most."""

    spans: list[tuple[int, int]] = field(factory=list)
    """Number and size of each page that was asked for."""


class Server:
    """
    The server's process, for whoever measures against it.
    """

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "benchmarks.server"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def url(self, jobs: int, *, flavour: Flavour = "plain", latency: float = 0.0) -> str:
        """
        Return the base URL of an account with that many jobs, that far away.

        Args:
            jobs: How many jobs it has.
            flavour: What its rows are like.
            latency: Seconds from each request to its answer.
        """
        milliseconds = round(1000 * latency)
        return f"http://127.0.0.1:{self.port}/{flavour}/{jobs}/{milliseconds}/api/v1"

    def counts(self) -> Counts:
        """
        Return what was seen since this was last asked.
        """
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counts") as answer:
            return Counts(**orjson.loads(answer.read()))


@frozen
class _Answer:
    latency: float
    data: bytes
    span: tuple[int, int] | None = None


@lru_cache(maxsize=4096)
def _answer(method: str, target: str) -> _Answer:
    url = urlsplit(target)
    _, flavour, count, latency, _, _, _, *job_id = url.path.split("/")
    jobs, delay = int(count), int(latency) / 1000
    kind = cast(Flavour, flavour)
    if not job_id:
        query = parse_qs(url.query)
        span = int(query["page_no"][0]), int(query["page_size"][0])
        return _Answer(delay, _http(payloads.page(kind, jobs, *span)), span)
    output: Any = {"status": "success"}
    if method == "GET":
        output = orjson.loads(payloads.row(kind, jobs, job_id[0]))
    return _Answer(delay, _http(orjson.dumps({"request_id": "4b1d-77", "output": output})))


def _http(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@define
class _Tally:
    """
    Counts under way.
    """

    counts: Counts = field(factory=Counts)
    in_flight: int = 0
    seen: set[_Visitor] = field(factory=set)

    def begin(self, visitor: _Visitor, span: tuple[int, int] | None) -> None:
        counts = self.counts
        counts.requests += 1
        self.seen.add(visitor)
        counts.connections = len(self.seen)
        self.in_flight += 1
        counts.most_in_flight = max(counts.most_in_flight, self.in_flight)
        if span:
            counts.spans.append(span)

    def take(self) -> bytes:
        counts, self.counts = self.counts, Counts()
        self.seen.clear()
        return orjson.dumps(asdict(counts))


class _Visitor(asyncio.Protocol):
    """
    One connection. Nothing that is measured here sends a body.
    """

    def __init__(self, tally: _Tally) -> None:
        self._tally = tally
        self._received = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._received = (self._received + data).split(b"\r\n\r\n")
        for head in heads:
            method, target, _ = head[: head.index(b"\r\n")].decode().split(" ")
            if target == "/counts":
                self._transport.write(_http(self._tally.take()))
                continue
            answer = _answer(method, target)
            self._tally.begin(self, answer.span)
            if answer.latency:
                asyncio.get_running_loop().call_later(answer.latency, self._send, answer.data)
            else:
                self._send(answer.data)

    def _send(self, data: bytes) -> None:
        self._tally.in_flight -= 1
        self._transport.write(data)


async def _serve() -> None:
    loop, tally = asyncio.get_running_loop(), _Tally()
    server = await loop.create_server(lambda: _Visitor(tally), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
