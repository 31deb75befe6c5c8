"""
One attempt is one request on the wire, and the phase tells what was provably not sent.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import ssl
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TraceConfig

from dashscope_ft import (
    AsyncClient,
    ConnectionFailed,
    DeadlineExceeded,
    OutcomeUnknown,
    StateConflict,
)

from .asks import (
    Ask,
    cancel,
    create,
    create_import,
    delete,
    delete_import,
    ended,
    get,
    page,
)
from .scripted import (
    ACKNOWLEDGED,
    KEY,
    Act,
    Answer,
    HangUp,
    Noise,
    ScriptedServer,
    Silence,
    job,
    refusal,
    scripted,
)

CERTIFICATE = Path(__file__).with_name("certificate.pem")

ASKED: dict[str, Ask] = {
    "get": get,
    "page": page,
    "delete": delete,
    "delete_import": delete_import,
    "cancel": cancel,
    "create": create,
    "create_import": create_import,
}
LOSSES: dict[str, Act] = {
    "closed": HangUp(),
    "reset": HangUp(reset=True),
    "torn_head": Noise(b"HTTP/1.1 200 OK\r\nContent-"),
    "torn_body": Answer({"output": {}}, torn=3),
    "not_http": Noise(b"220 smtp.example ready\r\n"),
}

every_call = pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


# One attempt, one request


@every_loss
@every_call
async def test_a_lost_answer_on_a_fresh_connection(ask: Ask, loss: Act) -> None:
    """
    One attempt whose answer is lost is one request, whatever its method: nothing replays it.
    """
    async with scripted(loss) as server:
        error = await ended(ask(server.client(max_attempts=1)))
        changing = [sent for sent in server.sent if not sent.startswith("GET")]

        assert len(changing) <= 1
        if ask in (get, page):
            assert len(server.requests) == 1
            assert type(error) is ConnectionFailed
            assert error.attempts == 1
        else:
            assert len(changing) == 1
            assert type(error) is OutcomeUnknown


@every_loss
@every_call
async def test_a_lost_answer_on_a_used_connection(ask: Ask, loss: Act) -> None:
    """
    One attempt whose answer is lost is one request on a connection that served before, too.
    """
    async with scripted(job(), loss) as server:
        client = server.client(max_attempts=1)
        await client.fine_tunes.get("ft-1")
        del server.requests[:]

        await ended(ask(client))
        changing = [sent for sent in server.sent if not sent.startswith("GET")]

        assert len(changing) == (0 if ask in (get, page) else 1)
        if ask in (get, page):
            assert len(server.requests) == 1


@every_call
async def test_a_connection_that_ends_before_the_request_is_read(ask: Ask) -> None:
    """
    A connection that stood once may have carried the request: one attempt, and no second one.
    """
    async with scripted(HangUp(unread=True)) as server:
        error = await ended(ask(server.client(max_attempts=1)))

        assert server.requests == []
        if ask in (get, page):
            assert server.connections == 1
            assert type(error) is ConnectionFailed
        else:
            assert type(error) is OutcomeUnknown


async def test_attempts_and_requests_are_counted_alike() -> None:
    """
    Four attempts are four requests, and the error says so.
    """
    async with scripted(HangUp()) as server:
        error = await ended(get(server.client()))

        assert error.attempts == len(server.requests) == 4
        assert "4 attempts" in str(error)


@pytest.mark.parametrize("ask_socket", ["poll", "select"])
async def test_an_answer_that_nobody_asked_for_while_the_loop_was_busy(
    ask_socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    It is not taken for the answer to the next request, which goes out on another connection; also
    on Windows, which has no `poll`.
    """
    if ask_socket == "select":
        monkeypatch.delattr(select, "poll")
    async with scripted(job(), refusal(400, "UnsupportedOperation"), job()) as server:
        client = server.client()
        await get(client)
        [connection] = server._writers
        connection.write(ACKNOWLEDGED.head + ACKNOWLEDGED.content)
        error = await ended(delete(client))

        assert type(error) is StateConflict
        assert [request.connection for request in server.requests] == [1, 2, 2]


async def test_a_connection_that_ended_while_the_loop_was_busy() -> None:
    """
    No request goes out on it, so that no answer is lost.
    """
    async with scripted(job(), ACKNOWLEDGED) as server:
        client = server.client(max_attempts=1)
        await get(client)
        [connection] = server._writers
        connection.write_eof()
        receipt = await delete(client)

        assert receipt.confirmed
        assert [request.connection for request in server.requests] == [1, 2]


async def test_a_dropped_pooled_connection_is_no_ambiguity_for_a_creation() -> None:
    """
    A server that drops idle connections never makes a creation ambiguous: it opens its own.
    """
    async with scripted(Answer(job().body, hangs_up=True)) as server:
        client = server.client(max_attempts=1)
        for _ in range(50):
            with suppress(ConnectionFailed):  # which is right for this one
                await client.fine_tunes.get("ft-1")
            created = await create(client)

            assert created.job_id == "ft-1"

        posts = [request for request in server.requests if request.method == "POST"]

        assert len(posts) == 50
        assert len({request.connection for request in posts}) == 50


async def test_creations_have_connections_of_their_own() -> None:
    """
    A creation neither takes a connection that served before nor leaves one for later.
    """
    async with scripted(job()) as server:
        client = server.client()
        for ask in (get, create, get, create_import, create, get):
            await ask(client)

        assert [request.connection for request in server.requests] == [1, 2, 1, 3, 4, 1]


# The phase


@pytest.fixture
def free_port() -> Iterator[int]:
    """
    A port that nobody listens on, but nobody else gets either.
    """
    with closing(socket.socket()) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


@every_call
async def test_a_port_that_refuses(ask: Ask, free_port: int) -> None:
    """
    Where nobody listens nothing was sent, and that is what a creation says too.
    """
    server = ScriptedServer([ACKNOWLEDGED], port=free_port)
    async with server.client() as client:
        error = await ended(ask(client))

    assert type(error) is ConnectionFailed
    assert error.attempts == 4
    assert error.retryable
    assert server.time.slept == [0.5, 1, 2]
    assert f"127.0.0.1:{free_port}" in str(error)


@every_call
async def test_a_server_that_comes_up_meanwhile(ask: Ask, free_port: int) -> None:
    """
    What was provably not sent is sent again, be it a billed creation.
    """
    server = ScriptedServer([_welcome(ask)], port=free_port)
    server.time.meanwhile = lambda: server.start() if len(server.time.slept) == 2 else None
    async with server.client() as client:
        await ask(client)
    await server.stop()

    assert len(server.requests) == 1
    assert server.time.slept == [0.5, 1]


@every_call
async def test_a_host_that_has_no_address(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A name that does not resolve proves that nothing was sent.
    """
    asked: list[str] = []

    async def no_address(_: object, host: str, *rest: Any, **options: Any) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", no_address)
    server = ScriptedServer([ACKNOWLEDGED])
    async with server.client(base_url="https://studio.invalid") as client:
        error = await ended(ask(client))

    assert type(error) is ConnectionFailed
    assert "no such host" in str(error)
    assert error.attempts == 4
    assert asked == ["studio.invalid"] * 4


async def test_a_connection_refused_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    There the system says why; the error's number, which stands for many errors, does not.
    """

    async def refuse(*_: object) -> None:
        raise ConnectionRefusedError(errno.EINVAL, "The remote computer refused the connection")

    monkeypatch.setattr(asyncio.SelectorEventLoop, "sock_connect", refuse)
    monkeypatch.setattr(sys, "platform", "win32")
    server = ScriptedServer([ACKNOWLEDGED])
    async with server.client(base_url="http://127.0.0.1:9", max_attempts=1) as client:
        error = await ended(get(client))

    assert type(error) is ConnectionFailed
    assert "the remote computer refused the connection. " in str(error)


@every_call
async def test_a_connection_that_takes_too_long(ask: Ask, deaf_port: int) -> None:
    """
    A connection that was not made in time proves that nothing was sent: out of time, not unknown.
    """
    server = ScriptedServer([ACKNOWLEDGED], port=deaf_port)
    async with server.client(timeout=0.05, max_attempts=2) as client:
        error = await ended(ask(client))

    assert type(error) is DeadlineExceeded
    assert error.attempts == 2
    assert "no connection within" in str(error)


@every_call
async def test_a_tls_handshake_that_breaks_off(ask: Ask) -> None:
    """
    A connection that ends within the TLS handshake carried nothing: it is tried again.
    """
    async with scripted(HangUp(unread=True)) as server:
        url = server.url.replace("http", "https")
        error = await ended(ask(server.client(base_url=url)))

        assert type(error) is ConnectionFailed
        assert error.attempts == server.connections == 4


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "no TLS connection came about"),
        (b"", "no connection came about"),
    ],
)
async def test_a_server_that_does_not_speak_tls(answer: bytes, reason: str) -> None:
    """
    The error names TLS, and not what the system would call an error of that number; and it is in
    words where the server says nothing at all.
    """

    async def plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(2**16)
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(plainly, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"https://127.0.0.1:{port}/api/v1"
        async with AsyncClient(base_url=url, api_key=KEY, max_attempts=1) as client:
            error = await ended(get(client))

    assert type(error) is ConnectionFailed
    assert reason in str(error)
    assert error.retryable


@every_call
async def test_a_certificate_that_nobody_vouches_for(ask: Ask) -> None:
    """
    An untrusted certificate is no better next time: one connection, no request, no key sent.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    async with scripted(ACKNOWLEDGED, tls=context) as server:
        error = await ended(ask(server.client()))

        assert type(error) is ConnectionFailed
        assert "certificate" in str(error)
        assert not error.retryable
        assert error.attempts == 1
        assert server.requests == []
        assert server.time.slept == []


async def test_a_certificate_that_the_caller_trusts() -> None:
    """
    A certificate is trusted if the caller's `ssl_context` says so.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    trust = ssl.create_default_context(cafile=str(CERTIFICATE))
    async with scripted(job(), tls=context) as server:
        await get(server.client(ssl_context=trust))

        assert len(server.requests) == 1


@every_call
async def test_a_trace_that_fails_as_a_connection_comes_about(ask: Ask) -> None:
    """
    Whatever a caller's own trace raises before the request is written proves it unsent.
    """
    trace = TraceConfig()
    failures = [OSError("once")]

    async def fail(*_: object) -> None:
        if failures:
            raise failures.pop()

    trace.on_connection_create_end.append(fail)
    async with scripted(_welcome(ask)) as server:
        await ask(server.client(trace_configs=[trace]))

        assert not failures
        assert len(server.requests) == 1


@every_call
async def test_a_path_that_changes_on_its_way(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A request goes to the very path that was checked, or not at all.
    """
    build = ClientSession._build_url
    monkeypatch.setattr(ClientSession, "_build_url", lambda *given: build(*given) / "elsewhere")
    async with scripted(_welcome(ask)) as server:
        error = await ended(ask(server.client()))

        assert type(error) is ConnectionFailed
        assert not error.retryable
        assert server.connections == 0


@every_call
async def test_an_answer_that_takes_too_long(ask: Ask) -> None:
    """
    Silence after the request is a lost answer: reads end in time, changes in the unknown.
    """
    async with scripted(Silence()) as server:
        error = await ended(ask(server.client(timeout=0.3, max_attempts=1)))

        assert type(error) is (DeadlineExceeded if ask in (get, page) else OutcomeUnknown)
        assert "0.3 s" in str(error)


def _welcome(ask: Ask) -> Answer:
    if ask is page:
        return Answer({"output": {"jobs": [], "total": 0}})
    if ask in (delete, cancel):
        return ACKNOWLEDGED
    return job(job_id="im-1" if ask is delete_import else "ft-1")
