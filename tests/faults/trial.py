"""
One operation under one fault, tried on real sockets: what it came to, and what it left behind.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import socket
import ssl
import struct
import termios
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from dashscope_ft import AsyncClient, DashScopeError, Receipt

from ..scripted import KEY, Answer, ScriptedServer, scripted
from ..secrecy import traces
from .clock import LoopTime, PatientLoop
from .matrix import ELSEWHERE, OPERATIONS, Fault, Stage, Wire
from .wires import healthy

CERTIFICATES = Path(__file__).with_name("certificates")
DEADLINE = 120.0  # seconds, the product's own default
TOLERANCE = 0.05

Ask = Callable[[AsyncClient], Awaitable[Any]]

_ASKED: dict[str, Ask] = {
    "list": lambda client: client.fine_tunes.list().collect(),
    "get": lambda client: client.fine_tunes.get("ft-1"),
    "delete": lambda client: client.fine_tunes.delete("ft-1"),
    "delete an import": lambda client: client.imports.delete("ft-1"),
    "cancel": lambda client: client.fine_tunes.cancel("ft-1"),
    "create": lambda client: client.fine_tunes.create(model="qwen3", training_file_ids=["f-1"]),
}


@frozen(kw_only=True)
class Cell:
    """
    What an operation came to.
    """

    what: str
    """An error's class, or `ok`."""

    requests: int
    """How many the server received."""

    tries: int
    """How many attempts the error counts."""

    seconds: float
    """On the client's own clock."""

    wrongs: tuple[str, ...]
    """What must not be in any cell, and was."""

    def told(self, expected: str) -> str:
        """
        Give what it came to in the words of the matrix, with as many facts as those expected.
        """
        _, requests, *seconds = expected.split("/")
        told = f"{self.what}/{self.requests}"
        if "of" in requests:
            told += f"of{self.tries}"
        if seconds:
            kept = abs(self.seconds - float(seconds[0])) <= TOLERANCE
            told += f"/{seconds[0] if kept else self.seconds}"
        return told


def tried(fault: Fault, wire: Wire) -> tuple[Cell, ...]:
    """
    Try each operation under one form of a fault.
    """
    with asyncio.Runner(loop_factory=PatientLoop) as runner:
        return tuple(runner.run(_tried(fault.stage, wire, name)) for name in OPERATIONS)


async def _tried(stage: Stage, wire: Wire, operation: str) -> Cell:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, PatientLoop)
    async with AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(scripted(healthy))
        server = ScriptedServer(
            [_aimed(wire, elsewhere.url)],
            tls=_shown(stage.certificate) if stage.certificate else None,
            port=stack.enter_context(closing(_held())).getsockname()[1],
            time=LoopTime(loop=loop),
            on_silence=loop.fall_silent,
        )
        stack.push_async_callback(server.stop)
        if stage.listens:
            await server.start()
        scheme = "https" if stage.over_tls else "http"
        client = server.client(
            base_url=f"{scheme}://localhost:{server.port}",
            ssl_context=_trust() if stage.over_tls else None,
            trace_configs=[loop.attempts()],
        )
        stack.push_async_callback(client.aclose)
        stack.callback(loop.fall_silent)  # so that what still drips comes to its end
        if stage.is_used:
            server.acts.insert(0, healthy)
            await client.fine_tunes.get("ft-0")
        loop.knows_names = stage.has_address

        before, began = len(server.requests), loop.time()
        with _logged() as records:
            what, end = await _end_of(_ASKED[operation](client))
        seconds = loop.time() - began
        loop.speak()
        loop.knows_names = True
        received = server.requests[before:]

        wrongs = [f"the key: {trace}" for thing in (end, records) for trace in traces(thing, KEY)]
        if seconds > DEADLINE + TOLERANCE:
            wrongs.append(f"over the deadline: {seconds} s")
        if stage.is_used and operation != "create" and received[0].connection != 1:
            wrongs.append("not on the used connection")
        if elsewhere.connections:
            wrongs.append("another server was asked")
        loop.advance(getattr(end, "retry_after", None) or 0.0)
        if stage.later:
            await _say(server, stage.later)
        if stage.over_tls or not stage.listens:
            await server.stop()
            server = ScriptedServer(
                [healthy], tls=_shown("good.pem") if stage.over_tls else None, port=server.port
            )
            stack.push_async_callback(server.stop)
            await server.start()
        server.acts[:] = [healthy]
        wrongs += await _wrongs_after(client, server)
        return Cell(
            what=what,
            requests=len(received),
            tries=getattr(end, "attempts", 1),
            seconds=seconds,
            wrongs=tuple(wrongs),
        )


async def _end_of(asked: Awaitable[Any]) -> tuple[str, object]:
    """
    Say how a call ends, and give its result or its error.
    """
    try:
        result = await asked
    except DashScopeError as error:
        chained = error.__cause__ or error.__context__
        return type(error).__name__ + (f" over {chained!r}" if chained else ""), error
    except Exception as error:  # noqa: BLE001 - whatever else comes out is for the report
        return f"{type(error).__name__}!", error
    if isinstance(result, Receipt):
        right = result.job_id == "ft-1" and result.confirmed
    else:
        right = [job.job_id for job in (result if type(result) is list else [result])] == ["ft-1"]
    return "ok" if right else repr(result), result


async def _wrongs_after(client: AsyncClient, server: ScriptedServer) -> list[str]:
    """
    Say what is wrong with the next call, to a server that is well.
    """
    before = len(server.requests)
    what, end = await _end_of(client.fine_tunes.get("ft-1"))
    wrongs = [] if what == "ok" else [f"next call: {end!r}"]
    if len(server.requests) - before != 1:
        wrongs.append(f"next call: {len(server.requests) - before} requests")
    if any("cookie" in request.headers for request in server.requests):
        wrongs.append("a cookie was sent back")
    return wrongs


async def _say(server: ScriptedServer, content: bytes) -> None:
    """
    Say something on all open connections, and come back when the client has it.
    """
    writers = list(server._writers)
    for writer in writers:
        writer.write(content)
    while any(_on_their_way(writer.get_extra_info("socket")) for writer in writers):
        time.sleep(0.0005)
    for _ in range(3):
        await asyncio.sleep(0)


def _on_their_way(connection: Any) -> int:
    """
    Count the bytes that the other side has not acknowledged.
    """
    [count] = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))
    return int(count)


def _held() -> socket.socket:
    """
    Hold a port on which one may listen, but nobody else will.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def _aimed(wire: Wire, url: str) -> Wire:
    """
    Fill in where a redirect leads.
    """
    if isinstance(wire, Answer) and ELSEWHERE in wire.headers.get("Location", ""):
        return evolve(wire, headers={"Location": url})
    return wire


@cache
def _shown(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / certificate)
    return context


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))


class _Keeper(logging.Handler):
    def __init__(self, kept: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self.kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


@contextmanager
def _logged() -> Iterator[list[logging.LogRecord]]:
    """
    Give what is logged meanwhile, by anybody and at any level.
    """
    records: list[logging.LogRecord] = []
    keeper, root = _Keeper(records), logging.getLogger()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)
