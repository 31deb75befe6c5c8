"""
A server that follows a script, which says beforehand what happens to each request.

It speaks only enough HTTP to find the end of a request. It keeps every byte that it received, so
that a test counts what was on the wire, not what the client believes it sent.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from ssl import SSLContext
from typing import Any, Self

from attrs import define, field, frozen

from dashscope_ft import AsyncClient
from dashscope_ft.codec import Codec
from dashscope_ft.connections import Connections
from dashscope_ft.settings import resolve
from dashscope_ft.transport import Transport

from .hourglass import Hourglass

KEY = "sk-0123456789abcdef-never-to-be-seen"


@frozen
class Answer:
    """
    An HTTP answer.
    """

    body: Any = b""
    """Bytes are sent as they are, anything else as JSON."""

    status: int = 200
    headers: Mapping[str, str] = field(factory=dict, kw_only=True)

    hangs_up: bool = field(default=False, kw_only=True)
    """Whether the connection is closed right after it, without a `Connection: close`."""

    torn: int | None = field(default=None, kw_only=True)
    """After how many bytes of the body the connection ends."""

    drip: float | None = field(default=None, kw_only=True)
    """Seconds between the bytes of the body."""

    when: asyncio.Event | None = field(default=None, kw_only=True)
    """An event that it waits for; None to answer at once."""

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    @property
    def head(self) -> bytes:
        headers = {"Content-Length": str(len(self.content))} | dict(self.headers)
        phrase = HTTPStatus(self.status).phrase if self.status in [*HTTPStatus] else "Unheard Of"
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


@frozen(kw_only=True)
class HangUp:
    """
    The end of a connection, without an answer.
    """

    unread: bool = False
    """Whether it ends before anything was read from it."""

    reset: bool = False
    """Whether it ends with a reset."""


@frozen
class Noise:
    """
    Bytes instead of HTTP, and the end of the connection.
    """

    content: bytes

    stays: bool = field(default=False, kw_only=True)
    """Whether the connection stays open after them, silent."""

    drip: float | None = field(default=None, kw_only=True)
    """Seconds between the bytes."""

    endlessly: bytes = field(default=b"", kw_only=True)
    """Bytes that follow, over and over, until the client closes the connection."""


@frozen(kw_only=True)
class Silence:
    """
    No answer, ever, on a connection that stays open.
    """

    unread: bool = False
    """Whether nothing is read from it either."""


@frozen
class Received:
    """
    A request as it came.
    """

    connection: int
    """Which connection it came on, from 1."""

    head: bytes
    body: bytes

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def method(self) -> str:
        return self.line.split()[0]

    @property
    def target(self) -> str:
        return self.line.split()[1]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return {name.lower(): value.strip() for name, _, value in pairs}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Act = Answer | HangUp | Noise | Silence
Script = Act | Callable[[Received], Act]
"""What a request meets, or what decides that once it has come."""


@define(eq=False)
class ScriptedServer:
    """
    A server whose every request meets the next act of a script; the last act is for all others.
    """

    acts: list[Script]
    tls: SSLContext | None = None
    requests: list[Received] = field(factory=list)
    connections: int = 0
    port: int = 0
    time: Hourglass = field(factory=Hourglass)
    on_silence: Callable[[], object] = lambda: None
    """What happens when nothing more comes for a request, or only drop by drop."""

    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(factory=set)
    _serving: set[asyncio.Task[Any]] = field(factory=set)
    _arrival: asyncio.Condition = field(factory=asyncio.Condition)
    _clients: list[AsyncClient] = field(factory=list)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/api/v1"

    @property
    def sent(self) -> list[str]:
        """
        Method and path of every request, below the base URL.
        """
        return [
            f"{request.method} {request.target.removeprefix('/api/v1')}"
            for request in self.requests
        ]

    async def arrived(self, count: int) -> None:
        """
        Wait until so many requests have come.
        """
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.requests) >= count)

    def client(self, *, real_time: bool = False, **options: Any) -> AsyncClient:
        """
        Give a client whose pauses pass in no time, and always are as long as they may be.
        """
        trace_configs = options.pop("trace_configs", ())
        ssl_context = options.pop("ssl_context", None)
        usual: dict[str, Any] = {"api_key": KEY, "base_url": self.url, "region": "intl"}
        settings = resolve(**(usual | options), environ={})
        connections = Connections(settings, trace_configs=trace_configs, ssl_context=ssl_context)
        if real_time:
            transport = Transport(settings, connections)
        else:
            transport = Transport(
                settings,
                connections,
                clock=self.time,
                sleep=self.time.sleep,
                jitter=lambda bound: bound,
            )
        client = AsyncClient._over(transport, Codec(settings.time_zone))
        self._clients.append(client)
        return client

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self.tls, limit=2**20
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        if self._serving:
            await asyncio.wait(self._serving)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients:
            await client.aclose()
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            await self._converse(self.connections, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self._writers.discard(writer)
            self._serving.discard(task)

    async def _converse(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        act = self._next()
        if isinstance(act, HangUp | Silence) and act.unread:
            self._consume()
            if isinstance(act, Silence):
                return await self._fall_silent(reader)
            return _end(writer, act)
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            request = Received(number, head, b"")
            body = await reader.readexactly(int(request.headers.get("content-length", 0)))
            self.requests.append(Received(number, head, body))
            act = self._consume()
            async with self._arrival:
                self._arrival.notify_all()
            if callable(act):
                act = act(self.requests[-1])
            match act:
                case Answer():
                    if act.when is not None:
                        await act.when.wait()
                    if act.drip is not None:
                        self.on_silence()
                    if not await _say(writer, act):
                        return None
                case HangUp():
                    return _end(writer, act)
                case Noise():
                    if act.drip is not None:
                        self.on_silence()
                    await _send(writer, act.content, act.drip)
                    while act.endlessly:
                        await _send(writer, act.endlessly)
                    return await self._fall_silent(reader) if act.stays else None
                case Silence():
                    return await self._fall_silent(reader)

    async def _fall_silent(self, reader: asyncio.StreamReader) -> None:
        self.on_silence()
        await reader.read()

    def _next(self) -> Script:
        return self.acts[0]

    def _consume(self) -> Script:
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]


async def _say(writer: asyncio.StreamWriter, answer: Answer) -> bool:
    """
    Send an answer, and tell whether the connection lives on.
    """
    content = answer.content[: answer.torn]
    if answer.drip is None:
        await _send(writer, answer.head + content)
    else:
        writer.write(answer.head)
        await _send(writer, content, answer.drip)
    return answer.torn is None and not answer.hangs_up


async def _send(writer: asyncio.StreamWriter, content: bytes, drip: float | None = None) -> None:
    if drip is None:
        writer.write(content)
    else:
        for index in range(len(content)):
            writer.write(content[index : index + 1])
            await writer.drain()
            await asyncio.sleep(drip)
    await writer.drain()


def _end(writer: asyncio.StreamWriter, act: HangUp) -> None:
    if act.reset:
        open_socket = writer.get_extra_info("socket")
        open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


def scripted(*acts: Script | Sequence[Script], tls: SSLContext | None = None) -> ScriptedServer:
    """
    Give a server for acts in their order; the last one is for all later requests too.
    """
    flat: list[Script] = []
    for act in acts:
        flat += act if isinstance(act, Sequence) else [act]
    return ScriptedServer(flat, tls=tls)


def job(status: str = "RUNNING", job_id: str = "ft-1") -> Answer:
    """
    Give the answer to a look at a job.
    """
    return Answer({"request_id": f"r-{status}", "output": {"job_id": job_id, "status": status}})


def refusal(status: int, code: str | None = None, message: str = "", **headers: str) -> Answer:
    """
    Give the service's no.
    """
    words = {"code": code, "message": message, "request_id": "r-no"}
    return Answer(
        {name: word for name, word in words.items() if word},
        status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


ACKNOWLEDGED = Answer({"request_id": "r-yes", "output": {"status": "success"}})
EMPTY_PAGE = Answer({"request_id": "r-page", "output": {"jobs": [], "total": 0}})
NOT_FOUND = refusal(404, "NotFound", "Not Found!")
