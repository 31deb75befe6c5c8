"""
The client for asyncio.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from ssl import SSLContext
from typing import TYPE_CHECKING, Self

from .codec import Codec
from .connections import Connections
from .credentials import concealed
from .resources.fine_tunes import FineTunes
from .resources.imports import Imports
from .settings import resolve, with_changes
from .transport import Transport

if TYPE_CHECKING:
    from aiohttp import TraceConfig


class AsyncClient:
    """
    A client for one region and account, to be used as `async with` or closed by `aclose()`.

    One attempt is one request on the wire. A call that is safe to repeat is retried, with
    growing pauses, up to `max_attempts` attempts and within `deadline`. If the answer to a
    change is lost, the client finds out whether it happened; if that is impossible, the call
    raises `OutcomeUnknown`. A creation is billed, and sent again only if the first request was
    provably not received. All requests of a client share one limit, `concurrency`, and one
    pace, which slows down when the service says that requests come too fast.

    It serves several `asyncio.run` in turn.

    Args:
        api_key: The key; else `DASHSCOPE_API_KEY`, or a key file.
        region: `intl`, `cn`, `hk`, `us` or a region id; else `DASHSCOPE_REGION`, or `intl`.
        workspace: The workspace's id; else `DASHSCOPE_WORKSPACE`, or the key's own.
        base_url: Where to send instead of the region's host, with or without `/api/v1`;
            https, except on this machine. Else `DASHSCOPE_BASE_URL`, unless `region` is given.
        timeout: Seconds for one attempt, its answer included.
        deadline: Seconds for one call, its attempts and pauses included, from its turn on.
            A walk has one for each read, a run over many jobs one for each job.
        max_attempts: The most attempts for one call, the first included.
        concurrency: The most requests in flight at once, 1 to 1000.
        page_size: Jobs per request when listing, 20 to 100.
        time_zone: The zone of times that the service sends without one; None for UTC+8.
        proxy: The proxy's URL; else the usual environment variables, read once.
        ssl_context: The TLS settings; None for the system's certificate authorities.
        trace_configs: aiohttp's hooks, for tracing.

    Attributes:
        fine_tunes: The account's fine-tuning jobs.
        imports: The account's import jobs.

    Raises:
        ConfigurationError: A setting is wrong or missing.

    Warns:
        UserWarning: Two variables disagree, or one with `region`; it says which was used.
    """

    fine_tunes: FineTunes
    imports: Imports

    def __init__(
        self,
        *,
        api_key: str | None = None,
        region: str | None = None,
        workspace: str | None = None,
        base_url: str | None = None,
        timeout: float = 30.0,
        deadline: float = 120.0,
        max_attempts: int = 4,
        concurrency: int = 8,
        page_size: int = 100,
        time_zone: tzinfo | None = None,
        proxy: str | None = None,
        ssl_context: SSLContext | None = None,
        trace_configs: Sequence[TraceConfig] = (),
    ) -> None:
        api_key, proxy = concealed(api_key), concealed(proxy)
        settings = resolve(
            api_key=api_key,
            region=region,
            workspace=workspace,
            base_url=base_url,
            timeout=timeout,
            deadline=deadline,
            max_attempts=max_attempts,
            concurrency=concurrency,
            page_size=page_size,
            time_zone=time_zone,
            proxy=proxy,
        )
        connections = Connections(
            settings,
            ssl_context=ssl_context,
            trace_configs=trace_configs,
        )
        self._set_up(Transport(settings, connections), Codec(settings.time_zone))

    @classmethod
    def _over(cls, transport: Transport, codec: Codec) -> Self:
        client = cls.__new__(cls)
        client._set_up(transport, codec)
        return client

    def _set_up(self, transport: Transport, codec: Codec) -> None:
        self._transport = transport
        self._codec = codec
        self._is_view = False
        self.fine_tunes = FineTunes(transport, codec)
        self.imports = Imports(transport, codec)

    @property
    def region(self) -> str:
        """
        The region that is asked: `intl`, `cn`, `hk` or `us`.
        """
        return self._transport.settings.region

    @property
    def base_url(self) -> str:
        """
        Where requests go; it ends in `/api/v1`.
        """
        return self._transport.settings.base_url

    @property
    def workspace(self) -> str | None:
        """
        The workspace that is asked for; None leaves the choice to the service.
        """
        return self._transport.settings.workspace

    def with_options(
        self,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        max_attempts: int | None = None,
        page_size: int | None = None,
    ) -> AsyncClient:
        """
        Return a view of this client with other limits, over the same connections and limiter.

        Closing the view closes nothing.

        Args:
            timeout: Seconds for one attempt.
            deadline: Seconds for one call.
            max_attempts: The most attempts for one call, the first included.
            page_size: Jobs per request when listing, 20 to 100.

        Raises:
            ConfigurationError: A value is out of range.
        """
        settings = with_changes(
            self._transport.settings,
            timeout=timeout,
            deadline=deadline,
            max_attempts=max_attempts,
            page_size=page_size,
        )
        view = AsyncClient._over(self._transport.with_settings(settings), self._codec)
        view._is_view = True
        return view

    async def aclose(self) -> None:
        """
        Close the connections. What is under way ends; later calls raise `ClientClosed`.
        """
        if not self._is_view:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # A traceback with locals may show a client whose settings were refused.
        if not hasattr(self, "_transport"):
            return f"<{type(self).__name__} without settings>"
        settings = self._transport.settings
        workspace = f", workspace={settings.workspace!r}" if settings.workspace else ""
        return (
            f"{type(self).__name__}(region={settings.region!r}, "
            f"base_url={settings.base_url!r}{workspace})"
        )
