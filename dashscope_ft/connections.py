"""
One attempt: a request on the wire, at most once, and what came of it.

The only module that uses aiohttp. From an exception of aiohttp's, nobody can tell whether the
request was sent: `_Connector` records that. And aiohttp sends some requests again by itself:
`_Trip`, a middleware, prevents that.
"""

from __future__ import annotations

import asyncio
import os
import select
import sys
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextvars import ContextVar
from ssl import SSLContext, SSLError
from types import TracebackType
from typing import Any, NamedTuple
from weakref import WeakSet, finalize

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession, TraceConfig
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from attrs import define, field
from yarl import URL

from . import __version__
from .arguments import shown
from .calls import Request
from .credentials import Secret
from .envelope import Reply, read_reply
from .errors import ConfigurationError
from .retry import Evidence
from .settings import Settings

LARGEST_BODY = 8 * 1024 * 1024  # bytes, decoded


class NoReply(NamedTuple):
    """
    An attempt that got no complete answer.
    """

    evidence: Evidence
    """`UNSENT`, `UNREACHABLE` or `LOST`."""

    reason: str
    """What happened, in words."""

    timed_out: bool = False
    """Whether time ran out."""

    is_permanent: bool = False
    """Whether a retry would fail in the same way."""


class Timeouts:
    """
    Timeouts of one client, which expire early when it is closed.
    """

    def __init__(self) -> None:
        # The timeouts whose bodies are running, and a future that is resolved at the body's end.
        self._running: dict[asyncio.Timeout, asyncio.Future[None]] = {}

    def bounded(self, seconds: float | None = None) -> _Timeout:
        """
        Return a context that raises TimeoutError after that time, or when the client is closed.
        """
        return _Timeout(self._running, asyncio.timeout(seconds))

    async def expire(self) -> None:
        """
        Expire the timeouts of the running loop, and return when their bodies have ended.
        """
        loop = asyncio.get_running_loop()
        here = {bound: end for bound, end in self._running.items() if end.get_loop() is loop}
        for bound in here:
            if not bound.expired():
                bound.reschedule(loop.time())
        if here:
            await asyncio.wait(here.values())


@define(eq=False)
class _Timeout:
    """
    A timeout that `Timeouts.expire` can expire.
    """

    _running: dict[asyncio.Timeout, asyncio.Future[None]]
    _bound: asyncio.Timeout

    async def __aenter__(self) -> None:
        await self._bound.__aenter__()
        self._running[self._bound] = asyncio.get_running_loop().create_future()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._running.pop(self._bound).set_result(None)
        await self._bound.__aexit__(kind, error, trace)


class Connections:
    """
    The connections of one client: a pool for each event loop that it is used on.

    A pool ends with its loop, or with `aclose()`.

    Args:
        settings: The endpoint, the key, and the most connections at once.
        ssl_context: The TLS settings; None for the system's certificate authorities.
        trace_configs: The caller's own traces.

    Raises:
        ConfigurationError: `ssl_context` or a trace is of another type.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        ssl_context: SSLContext | None = None,
        trace_configs: Sequence[TraceConfig] = (),
    ) -> None:
        self._settings = settings
        self._ssl_context = _checked_ssl_context(ssl_context)
        self._trace_configs = _checked_traces(trace_configs)
        self._proxy, self._proxy_headers = _proxy(settings.proxy)
        self._pools: dict[tuple[asyncio.AbstractEventLoop, bool], _Pool] = {}
        self.timeouts = Timeouts()
        if not self._trace_configs:  # they may lead back to the client, which would never go then
            # A session that is collected together with its client complains that it was not
            # closed: so pools are kept until the client is gone.
            finalize(self, self._pools.clear).atexit = False

    async def attempt(self, request: Request, *, timeout: float) -> Reply | NoReply:
        """
        Send a request once.

        Args:
            request: What to send.
            timeout: Seconds for all of it: connecting, sending, and reading the answer.

        Returns:
            The answer, or why there is none; network errors are not raised.
        """
        session = await self._session_here(request.fresh_connection)
        url = URL(self._settings.base_url + request.path, encoded=True)
        if request.query:
            url = url.with_query(request.query)
        trip = _Trip(self._settings.api_key, url.raw_path)
        _under_way.set(trip)  # for the connector; the next attempt sets its own
        try:
            async with (
                self.timeouts.bounded(timeout),
                session.request(
                    request.method,
                    url,
                    data=request.body,
                    allow_redirects=False,
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers,
                    middlewares=(trip,),
                ) as response,
            ):
                body = await _read(response)
                return read_reply(
                    response.status,
                    response.headers,
                    body,
                    now=time.time(),
                    secret=self._settings.api_key,
                )
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return trip.without_reply(error, timeout)

    async def aclose(self) -> None:
        """
        End what is under way on the running loop, and close its pools.
        """
        await self.timeouts.expire()
        here = asyncio.get_running_loop()
        for place in [each for each in self._pools if each[0] is here]:
            pool = self._pools.pop(place, None)  # which another call of this may have closed
            if pool is not None:
                await pool.life.aclose()

    async def _session_here(self, fresh_connection: bool) -> ClientSession:
        place = (asyncio.get_running_loop(), fresh_connection)
        pool = self._pools.get(place)
        if pool is None or pool.session.closed:
            # Those of closed loops ended with them. Others may be a parent process's: closing
            # or collecting one here would take the parent's sockets out of its selector.
            for other in [each for each in list(self._pools) if each[0].is_closed()]:
                self._pools.pop(other, None)  # a loop in another thread may have been here first
            life = _session(
                self._settings,
                self._ssl_context,
                self._trace_configs,
                fresh_connection=fresh_connection,
            )
            pool = self._pools[place] = _Pool(await anext(life), life)
        return pool.session


async def _session(
    settings: Settings,
    ssl_context: SSLContext | None,
    trace_configs: Sequence[TraceConfig],
    *,
    fresh_connection: bool,
) -> AsyncGenerator[ClientSession, None]:
    """
    Yield a session, and close it when the generator is closed, which its loop does at the latest.

    It has no reference to the client, so that a dropped client's sessions are collected too.
    """
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": f"dashscope-ft/{__version__}",
    }
    if settings.workspace:
        headers["X-DashScope-WorkSpace"] = settings.workspace
    connector = _Connector(
        limit=settings.concurrency,
        force_close=fresh_connection,
        ssl=ssl_context or True,
    )
    async with ClientSession(
        connector=connector,
        headers=headers,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
        trace_configs=[*trace_configs],
    ) as session:
        yield session


class _Connector(aiohttp.TCPConnector):
    """
    Records when an attempt has a connection: from then on it may have been sent.

    Discards idle connections on which unexpected bytes arrived: aiohttp would take these for
    the answer to the next request, and that answer for the one after. Before a change, it asks the
    socket for bytes that the loop had no time to read, too; answers to reads say what they are of.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used = WeakSet[object]()  # the protocols of connections that have had a request

    async def connect(
        self, req: ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        trip = _under_way.get()
        trip.connecting = True
        connection = await super().connect(req, traces, timeout)
        for _ in range(self.limit):  # there cannot be more idle ones
            if not self._has_unexpected(connection.protocol, is_change=req.method != "GET"):
                break
            connection.close()
            connection = await super().connect(req, traces, timeout)
        self._used.add(connection.protocol)
        trip.connected = True
        return connection

    def _has_unexpected(self, protocol: ResponseHandler | None, *, is_change: bool) -> bool:
        """
        Return whether anything came on a connection that was idle, its end included.
        """
        if protocol is not None and protocol.should_close:
            return True
        # On a new connection, news of TLS may wait to be read.
        asks_socket = is_change and protocol in self._used
        if protocol is None or protocol.transport is None or not asks_socket:
            return False
        socket = protocol.transport.get_extra_info("socket")
        if not hasattr(select, "poll"):  # on Windows, where `select` takes sockets of any number
            return bool(select.select([socket], [], [], 0)[0])
        poll = select.poll()
        poll.register(socket, select.POLLIN)
        return bool(poll.poll(0))


class _Pool(NamedTuple):
    session: ClientSession
    life: AsyncGenerator[ClientSession, None]


class _NotReplayed(aiohttp.ClientError):
    """
    Stands for a failure on which aiohttp would send the request again.
    """


@define(eq=False)
class _Trip:
    """
    One attempt on its way through aiohttp, as a middleware; `_Connector` records how far it got.
    """

    _key: str = field(repr=False)
    _path: str
    connecting: bool = False
    """Whether it was given to the connector."""

    connected: bool = False
    """Whether it has a connection, and so may have been sent."""

    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        if request.url.raw_path != self._path:
            raise aiohttp.InvalidURL(request.url.raw_path, "not the path that was asked for")
        # aiohttp passes the headers to the caller's traces; a traceback of theirs may show locals.
        request.headers["Authorization"] = Secret(f"Bearer {self._key}")
        try:
            return await handler(request)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            reason = _description(error)
        raise _NotReplayed(reason)

    def without_reply(self, error: Exception, timeout: float) -> NoReply:
        """
        Conclude from an exception, and from how far the attempt got, what can have happened.
        """
        unsent = self.connecting and not self.connected
        if isinstance(error, TimeoutError):
            doing = "connection" if unsent else "whole answer"
            return NoReply(
                evidence=Evidence.UNSENT if unsent else Evidence.LOST,
                reason=f"no {doing} within {timeout:.3g} s",
                timed_out=True,
            )
        evidence = Evidence.LOST
        if isinstance(error, _PERMANENT):
            evidence = Evidence.UNREACHABLE
        elif unsent:
            evidence = Evidence.UNSENT
        outage = isinstance(error, aiohttp.ClientHttpProxyError) and error.status >= 500
        is_permanent = evidence is Evidence.UNREACHABLE and not outage
        return NoReply(evidence=evidence, reason=_description(error), is_permanent=is_permanent)


_under_way: ContextVar[_Trip] = ContextVar("_under_way")

_PERMANENT = (
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ServerFingerprintMismatch,
    aiohttp.ClientHttpProxyError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


async def _read(response: ClientResponse) -> bytes | None:
    """
    Read the body; None if it is larger than `LARGEST_BODY`.
    """
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > LARGEST_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _description(error: BaseException) -> str:
    """
    Describe what happened without the URL, headers or proxy credentials that some exceptions carry.
    """
    if isinstance(error, _NotReplayed):
        return str(error)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "the host's certificate was not accepted"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy refused with HTTP {error.status}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "no such host"
    if isinstance(error, aiohttp.ClientConnectorSSLError | SSLError):
        return "no TLS connection came about"  # its number is not one of the system's
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the connection was closed without an answer"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the answer broke off"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer was not HTTP"
    if sys.platform == "win32" and isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()  # a refused connection has the number of a wrong argument
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower() if error.errno > 0 else "the host has no address"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection came about"
    return type(error).__name__


def _proxy(address: str | None) -> tuple[URL | None, dict[str, str] | None]:
    """
    Return a proxy's URL without its credentials, which aiohttp's frames and errors would show, and
    the header that holds them.
    """
    if address is None:
        return None, None
    url = URL(address)
    if url.user is None and url.password is None:
        return url, None
    credentials = b64encode(f"{url.user or ''}:{url.password or ''}".encode()).decode()
    return url.with_user(None), {"Proxy-Authorization": Secret(f"Basic {credentials}")}


def _checked_ssl_context(context: object) -> SSLContext | None:
    if context is None or isinstance(context, SSLContext):
        return context
    raise ConfigurationError(f"ssl_context must be an ssl.SSLContext, not {shown(context)}.")


def _checked_traces(configs: object) -> tuple[TraceConfig, ...]:
    if not isinstance(configs, Iterable):
        raise ConfigurationError(
            f"trace_configs must be a list of aiohttp.TraceConfig, not {shown(configs)}."
        )
    traces = tuple(configs)  # once: each session needs all of them
    for trace in traces:
        if not isinstance(trace, TraceConfig):
            raise ConfigurationError(
                f"trace_configs must hold aiohttp.TraceConfig only, not {shown(trace)}."
            )
    return traces
