"""
The server: it takes requests on a real socket, and answers them, or spoils the answer by a fault.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable, Mapping
from contextlib import suppress
from random import Random
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

import orjson
from attrs import evolve

from . import routes
from .account import Account
from .clock import Clock
from .faults import Fault, Faults
from .http import LARGEST_HEAD, Answer, Message, read_message
from .journal import Journal, Request
from .refusals import Refusal, unknown_key, usual
from .wire import uuid_text

_HANDOVER = 3  # iterations of the loop until asyncio has reported all connections it accepted
_BASE = "/api/v1"
_NO_FAULT = Fault()
_WITHOUT_BODY = (204, 304)


class Server:
    """
    The server of all accounts: `/intl/api/v1` and `/cn/api/v1`; `/api/v1` is that of `intl`, too.
    """

    def __init__(
        self,
        accounts: Mapping[str, Account],
        *,
        faults: Faults,
        journal: Journal,
        clock: Clock,
        latency: float,
        random: Random,
    ) -> None:
        self._accounts = accounts
        self._faults = faults
        self._journal = journal
        self._clock = clock
        self._latency = latency
        self._random = random
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> int:
        """
        Start to listen, and return the port.
        """
        self._server = await asyncio.start_server(
            self._accept, host, port, limit=LARGEST_HEAD, backlog=1024
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """
        End the connections, and stop listening.
        """
        # To close would break connections that asyncio has accepted and not reported yet: so first
        # accept no more, then wait for those.
        with suppress(NotImplementedError):  # Windows
            for listening in self._server.sockets:
                asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(_HANDOVER):
            await asyncio.sleep(0)
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            writer.close()  # also if the task ended before its first step

        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(ended)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = self._journal.connect()
        try:
            while (message := await read_message(reader)) is not None:
                if not await self._exchange(message, writer, connection):
                    break
        except (OSError, EOFError, ValueError, asyncio.CancelledError):
            pass  # the client left or does not speak HTTP, or the emulator ends
        finally:
            self._journal.disconnect()

    async def _exchange(
        self, message: Message, writer: asyncio.StreamWriter, connection: int
    ) -> bool:
        """
        Serve one request, and return whether the connection stays open.
        """
        request, route, path_values = self._new_request(message, connection)
        self._journal.arrive(request)
        try:
            fault = self._next_fault(request)
            delay = self._latency + fault.delay
            # Without a delay, still yield to the loop, so that requests can overlap.
            await (self._clock.sleep(delay) if delay else asyncio.sleep(0))
            answer = Answer(fault.status or 200, b"{}")
            if fault.takes_effect:
                answer = self._perform(request, route, path_values)
            answer = _altered(answer, fault, request.request_id)
            if fault.answer_delay:
                await self._clock.sleep(fault.answer_delay)
            if fault.lose is None:
                await self._send(request, answer, fault, writer)
        finally:
            self._end_request(request, None)
        if fault.lose is not None or fault.torn is not None:
            _cut(writer, reset=fault.reset)
            return False
        return message.headers.get("connection", "").lower() != "close"

    def _next_fault(self, request: Request) -> Fault:
        """
        Return the fault that affects a request, or one that does nothing.
        """
        request.fault = self._faults.strike(
            operation=request.operation,
            method=request.method,
            path=request.path,
            region=request.region,
        )
        return request.fault or _NO_FAULT

    def _end_request(self, request: Request, status: int | None) -> None:
        """
        Record the end of a request, unless that was done before.
        """
        if request.ended is None:
            self._journal.depart(request, status, self._clock.time())

    def _new_request(
        self, message: Message, connection: int
    ) -> tuple[Request, routes.Route | None, tuple[str, ...]]:
        """
        Return the request that a message makes, its route, and the values in its path.
        """
        raw_path, _, raw_query = message.target.partition("?")
        region, path = _below_base(raw_path, self._accounts)
        found = routes.find(
            message.method, tuple(unquote(segment) for segment in path.split("/")[1:])
        )
        route, path_values = found or (None, ())
        headers = dict(message.headers)
        given = headers.pop("authorization", None)
        key: Literal["known", "unknown", "missing"] = "missing"
        if given is not None:
            known = given == f"Bearer {self._accounts[region].key}"
            key = "known" if known else "unknown"
        request = Request(
            method=message.method,
            target=message.target,
            path=path,
            operation=route.name if route else "",
            job_id=path_values[0] if path_values else None,
            region=region,
            key=key,
            workspace=headers.get("x-dashscope-workspace"),
            query=dict(parse_qsl(raw_query, keep_blank_values=True)),
            headers=headers,
            body=_parsed(message.body),
            request_id=uuid_text(self._random),
            connection=connection,
            time=self._clock.time(),
        )
        return request, route, path_values

    def _perform(
        self, request: Request, route: routes.Route | None, path_values: tuple[str, ...]
    ) -> Answer:
        """
        Perform a request's operation, if there is one and it is admitted, and return the answer.
        """
        if route is None:
            return _no_such_path(request)
        account = self._accounts[request.region]
        try:
            if request.key != "known":
                raise unknown_key()
            account.admit()
            output = route.perform(account, path_values, request)
        except Refusal as refusal:
            return _refused(refusal, request.request_id)
        return _json(200, {"request_id": request.request_id, "output": output})

    async def _send(
        self, request: Request, answer: Answer, fault: Fault, writer: asyncio.StreamWriter
    ) -> None:
        """
        Send an answer, as far as its fault allows.
        """
        body = b"" if request.method == "HEAD" else answer.body[: fault.torn]
        if fault.drip is None:
            # The journal first, so that it is complete when the client has the answer.
            self._end_request(request, answer.status)
            writer.write(answer.head() + body)
        else:
            writer.write(answer.head())
            for byte in body:
                await writer.drain()
                await self._clock.sleep(fault.drip)
                writer.write(bytes((byte,)))
            self._end_request(request, answer.status)
        await writer.drain()


def _below_base(path: str, regions: Iterable[str]) -> tuple[str, str]:
    """
    Return the region of a path, and the part below its base URL: nothing for a path outside.
    """
    bases = {f"/{region}{_BASE}": region for region in regions} | {_BASE: "intl"}
    for base, region in bases.items():
        if path.startswith(f"{base}/"):
            return region, path.removeprefix(base)
    return "intl", ""


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _json(status: int, content: Any) -> Answer:
    headers = {"content-type": "application/json"}
    request_id = content.get("request_id") if isinstance(content, dict) else None
    if request_id:
        headers["x-request-id"] = request_id
    return Answer(status, orjson.dumps(content), headers)


def _refused(refusal: Refusal, request_id: str) -> Answer:
    content = {"code": refusal.code, "request_id": request_id, "message": refusal.message}
    answer = _json(refusal.status, content)
    if refusal.retry_after is not None:
        answer.headers["retry-after"] = f"{refusal.retry_after:g}"
    return answer


def _no_such_path(request: Request) -> Answer:
    """
    Return the answer to an unknown path or method, which a gateway gives, without an envelope.
    """
    methods = {route.method for route in routes.ROUTES} - {request.method}
    segments = tuple(request.path.split("/")[1:])
    if any(routes.find(method, segments) for method in methods):
        page = b"<html><body><h1>405 Not Allowed</h1></body></html>"
        return Answer(405, page, {"content-type": "text/html"})
    return Answer(404, b"", {"x-request-id": request.request_id})


def _altered(answer: Answer, fault: Fault, request_id: str) -> Answer:
    """
    Return an answer with the status, headers and body that a fault has it send instead.
    """
    status = fault.status or answer.status
    if isinstance(fault.body, (bytes, str)):
        body = fault.body if isinstance(fault.body, bytes) else fault.body.encode()
        altered = Answer(status, body, answer.headers)
    elif fault.body is not None:
        altered = _json(status, fault.body)
    elif fault.status is not None and status >= 400:
        refusal = usual(status)
        bare = Answer(status, b"", {"x-request-id": request_id})
        altered = _refused(refusal, request_id) if refusal else bare
    else:
        altered = Answer(status, answer.body, answer.headers)
    if status in _WITHOUT_BODY:
        altered = evolve(altered, body=b"")
    added = {name.lower(): value for name, value in fault.headers.items()}
    return evolve(altered, headers=altered.headers | added)


def _cut(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    if reset:
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
    else:
        writer.close()
