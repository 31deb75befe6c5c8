"""
The key is in no message, no log, no pickle, and no traceback that shows locals.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import pytest

from dashscope_ft import AsyncClient, Client, ConfigurationError, DashScopeError

from .scripted import (
    KEY,
    NOT_FOUND,
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

HERE = str(Path(__file__).parent)


async def get(client: AsyncClient) -> Any:
    return await client.fine_tunes.get("ft-1")


async def walk(client: AsyncClient) -> Any:
    return await client.fine_tunes.list().collect()


async def create(client: AsyncClient) -> Any:
    return await client.fine_tunes.create(model="qwen3-14b", training_file_ids=["file-1"])


async def delete(client: AsyncClient) -> Any:
    return await client.fine_tunes.delete("ft-1")


async def cancel(client: AsyncClient) -> Any:
    return await client.fine_tunes.cancel("ft-1")


CALLS: dict[str, Callable[[AsyncClient], Awaitable[Any]]] = {
    "get": get,
    "walk": walk,
    "create": create,
    "delete": delete,
    "cancel": cancel,
}
ENDS: dict[str, Act] = {
    "lost": HangUp(),
    "reset": HangUp(reset=True),
    "torn": Answer({"output": {}}, torn=3),
    "not_http": Noise(b"220 ready\r\n"),
    "silence": Silence(),
    "html": Answer(b"<html>"),
    "other_shape": Answer([]),
    "outage": refusal(503),
    "busy": refusal(429),
    "not_found": NOT_FOUND,
    "forbidden_state": refusal(400, "UnsupportedOperation"),
    "wrong_key": refusal(401, "InvalidApiKey"),
    "repeated_in_message": refusal(401, "InvalidApiKey", f"Wrong key {KEY}!"),
    "repeated_in_text": Answer(f"<html>{KEY}</html>".encode(), 502),
    "repeated_at_the_cut": Answer(b"x" * 100 + KEY.encode()),
}


def frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def shown_safely(value: object) -> str:
    try:
        return repr(value)
    except AttributeError as error:  # an object whose constructor raised
        return repr(error)


def assert_key_is_not_in(error: BaseException) -> None:
    for each in chain(error):
        shown = [str(each), repr(each), repr(each.args), repr(vars(each))]
        shown += traceback.format_exception(each)
        if isinstance(each, DashScopeError):
            shown.append(pickle.dumps(each).decode("latin-1"))
        for frame in frames(each.__traceback__):
            # The tests know the key, and every frame of theirs may.
            if not frame.f_code.co_filename.startswith(HERE):
                shown += map(shown_safely, frame.f_locals.values())

        assert not [text for text in shown if KEY[:12] in text]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_fails(
    call: str, end: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    However a call fails, the key is in nothing that is shown, logged or kept.
    """
    asyncio.get_running_loop().set_debug(True)
    caplog.set_level(logging.DEBUG)
    async with scripted(ENDS[end]) as server:
        with pytest.raises(DashScopeError) as caught:
            await CALLS[call](server.client(timeout=0.05, max_attempts=2, deadline=30.0))

        assert_key_is_not_in(caught.value)
        assert KEY[:12] not in caplog.text


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_is_cancelled(call: str) -> None:
    """
    A cancellation carries a traceback through everything below: the key is not in it.
    """
    async with scripted(Silence()) as server:
        asked = asyncio.ensure_future(CALLS[call](server.client(real_time=True)))
        await server.arrived(1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await asked

        assert_key_is_not_in(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9"])
async def test_a_host_that_cannot_be_reached(url: str) -> None:
    """
    Neither is it in what is said of connections that were never made.
    """
    async with ScriptedServer([]).client(base_url=url, max_attempts=2) as client:
        with pytest.raises(DashScopeError) as caught:
            await get(client)

    assert_key_is_not_in(caught.value)


async def test_a_blocking_call_that_fails() -> None:
    """
    The same for the blocking client, whose errors come from another thread.
    """
    async with scripted(refusal(401, "InvalidApiKey", f"Wrong key {KEY}!")) as server:

        def ask() -> None:
            with Client(base_url=server.url, api_key=KEY) as client:
                client.fine_tunes.get("ft-1")

        with pytest.raises(DashScopeError) as caught:
            await asyncio.to_thread(ask)

        assert_key_is_not_in(caught.value)


def test_settings_that_are_refused() -> None:
    """
    Neither is it in what is said of settings, its own being wrong included.
    """
    refused: list[dict[str, Any]] = [
        {"api_key": KEY + "\n"},
        {"api_key": KEY + " "},
        {"api_key": KEY, "region": "moon"},
        {"api_key": KEY, "base_url": "http://example.com"},
        {"api_key": KEY, "timeout": -1},
        {"api_key": KEY, "workspace": "a/b"},
    ]
    for options in refused:
        with pytest.raises(ConfigurationError) as caught:
            AsyncClient(**options)

        assert_key_is_not_in(caught.value)


async def test_what_a_client_shows_of_itself() -> None:
    """
    Clients, views and all that they are made of show no key.
    """
    async with scripted(job()) as server:
        client = server.client(workspace="ws-1")
        await get(client)
        view = client.with_options(timeout=1.0)
        shared = client._transport.shared
        parts = [client, view, client.fine_tunes, client._transport, client._transport.settings]
        parts += [shared, shared.connections, client.fine_tunes.list(), vars(client)]
        parts += [vars(shared.connections), vars(client._transport), *shared.connections._pools]
        text = " ".join(map(repr, parts))

        assert KEY[:12] not in text
        assert repr(client) == (
            f"AsyncClient(region='intl', base_url='{server.url}', workspace='ws-1')"
        )
