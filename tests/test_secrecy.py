"""
The key is in no message, no log, no pickle, and no traceback that shows locals.
"""

from __future__ import annotations

import asyncio
import io
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console
from rich.traceback import Traceback

from dashscope_ft import AsyncClient, Client, ConfigurationError, DashScopeError, Selection
from dashscope_ft.settings import resolve

from .asks import Ask, cancel, create, delete, get, walk
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
from .secrecy import HERE, traces

CALLS: dict[str, Ask] = {
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
    "repeated_in_code": refusal(400, f"Bad.{KEY}"),
    "repeated_in_request_id": Answer({"code": "X", "request_id": KEY}, 400),
    "repeated_in_success": Answer({"request_id": KEY, "output": {"odd": "x" * 90 + KEY}}),
    "repeated_in_header": Answer(b"", 502, headers={"x-request-id": KEY}),
    "repeated_in_nested_error": Answer({"error": {"message": KEY, "type": KEY}}, 400),
    "repeated_where_it_redirects": Answer(b"", 302, headers={"Location": f"/?{KEY}"}),
    "repeated_as_cookie": Answer(b"", 500, headers={"Set-Cookie": f"key={KEY}"}),
}


@pytest.mark.once
async def test_calls_that_fail(
    caplog: pytest.LogCaptureFixture, record_property: Callable[[str, object], None]
) -> None:
    """
    However a call fails, the key is in nothing that is shown, logged or kept.
    """
    loop = asyncio.get_running_loop()
    loop.slow_callback_duration = 0.0  # so that debug mode tells of each step
    caplog.set_level(logging.DEBUG)
    found: dict[str, list[str]] = {}
    records = 0
    for call, ask in CALLS.items():
        loop.set_debug(call == "cancel")  # it makes two kinds of request, and debug mode is slow
        for end, act in ENDS.items():
            async with scripted(act) as server:
                client = server.client(timeout=0.05, max_attempts=2, deadline=30.0)
                with pytest.raises(DashScopeError) as caught:
                    await ask(client)
            # What tells of the server tells of what the server was sent.
            told = [each for each in caplog.records if "Scripted" not in each.getMessage()]
            records += len(told)
            shown = [
                *traces(caught.value, KEY),
                *traces([each.getMessage() for each in told], KEY),
                *(place for each in told if each.exc_info for place in traces(each, KEY)),
                *traces(vars(client), KEY),
            ]
            caplog.clear()
            if shown:
                found[f"{call}, {end}"] = shown

    assert found == {}
    assert records > 300
    repeating = sum(end.startswith("repeated") for end in ENDS)
    record_property(
        "figure",
        f"{len(CALLS)} operations by {len(ENDS)} failures, {repeating} of them repeating the key: "
        f"0 traces of it in errors, in {records:,} log records (debug mode) and in clients.",
    )


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

        assert traces(caught.value, KEY) == []


@pytest.mark.parametrize("call", CALLS)
async def test_a_proxys_password_when_a_call_is_cancelled(call: str) -> None:
    """
    The proxy's credentials are as secret, while aiohttp waits for it to answer.
    """
    async with scripted(Silence()) as proxy:
        url = f"http://who:{KEY}@127.0.0.1:{proxy.port}"
        client = proxy.client(base_url="https://studio.example", proxy=url, real_time=True)
        asked = asyncio.ensure_future(CALLS[call](client))
        await proxy.arrived(1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await asked
        [sent] = proxy.requests
        credentials = b64encode(f"who:{KEY}".encode()).decode()

        assert sent.headers["proxy-authorization"] == f"Basic {credentials}"
        assert traces(caught.value, KEY) == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9"])
async def test_a_host_that_cannot_be_reached(url: str) -> None:
    """
    The key is not in what is said of connections that were never made.
    """
    async with ScriptedServer([]).client(base_url=url, max_attempts=2) as client:
        with pytest.raises(DashScopeError) as caught:
            await get(client)

    assert traces(caught.value, KEY) == []


async def test_a_blocking_call_that_fails() -> None:
    """
    The key is in no error of the blocking client either, where errors come from another thread.
    """
    async with scripted(refusal(401, "InvalidApiKey", f"Wrong key {KEY}!")) as server:

        def ask() -> None:
            with Client(base_url=server.url, api_key=KEY) as client:
                client.fine_tunes.get("ft-1")

        with pytest.raises(DashScopeError) as caught:
            await asyncio.to_thread(ask)

        assert traces(caught.value, KEY) == []


def test_settings_that_are_refused() -> None:
    """
    The key is not in what is said of settings that are refused, even where the key itself is wrong.
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

        assert traces(caught.value, KEY) == []


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

        assert traces(parts, KEY) == []
        assert repr(client) == (
            f"AsyncClient(region='intl', base_url='{server.url}', workspace='ws-1')"
        )


async def test_a_client_in_the_middle_of_a_request() -> None:
    """
    While a request is under way, nothing that the client leads to shows the key.
    """
    for ask in CALLS.values():
        async with scripted(Silence()) as server:
            client = server.client(real_time=True)
            asked = asyncio.ensure_future(ask(client))
            await server.arrived(1)

            assert traces(client, KEY) == []
            assert traces(vars(client), KEY) == []
            asked.cancel()
            await asyncio.wait([asked])


def in_rich(error: BaseException) -> str:
    """
    Show an error as rich does, its locals cut after 80 characters and looked into.
    """
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename.startswith(HERE):
        trace = trace.tb_next
    shown = io.StringIO()
    console = Console(file=shown, width=500)
    console.print(Traceback.from_exception(type(error), error, trace, show_locals=True))
    return shown.getvalue()


def in_mappings(error: BaseException) -> str:
    """
    Show what collectors of errors send, which look into every mapping among the locals.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    places = [frame.f_locals for frame in frames if not frame.f_code.co_filename.startswith(HERE)]
    return str([dict(v) for place in places for v in place.values() if isinstance(v, Mapping)])


@pytest.mark.parametrize(
    "hook",
    ["on_request_start", "on_connection_create_end", "on_request_headers_sent", "on_request_end"],
)
@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_trace_of_the_callers_own_that_fails(hook: str, cancelled: bool) -> None:
    """
    What the caller's own trace raises, or is cancelled in, passes the frames that hold the
    headers: none of their locals show the key, nor does what the trace is given.
    """
    given: list[Any] = []
    reached = asyncio.Event()

    async def fail(_session: Any, context: Any, params: Any) -> None:
        given.extend([params, repr(params)])
        reached.set()
        if cancelled:
            await asyncio.Event().wait()
        raise RuntimeError("the caller's own")

    config = aiohttp.TraceConfig()
    getattr(config, hook).append(fail)
    async with scripted(job()) as server:
        asked = asyncio.ensure_future(get(server.client(trace_configs=[config], real_time=True)))
        await reached.wait()
        if cancelled:
            asked.cancel()
        with pytest.raises((RuntimeError, asyncio.CancelledError)) as caught:
            await asked

        assert traces(caught.value, KEY) == []
        assert KEY not in given[1]
        if hook == "on_request_headers_sent":
            assert KEY not in in_rich(caught.value)


def test_a_long_key_that_is_cut_before_it_is_shown() -> None:
    """
    A key too long for what shows locals is not shown in part; nor is an environment's.
    """
    key = KEY * 5
    wrong: list[dict[str, Any]] = [
        {"api_key": key, "region": "moon", "environ": {}},
        {"api_key": key, "timeout": -1, "environ": {}},
        {"api_key": key, "proxy": f"ftp://user:{key}@host", "environ": {}},
        {"region": "moon", "environ": {"DASHSCOPE_API_KEY": key}},
        {"environ": {"DASHSCOPE_API_KEY": f"{key} "}},
        {"environ": {"DASHSCOPE_API_KEY": key, "DASHSCOPE_BASE_URL": "http://example.com"}},
    ]
    for options in wrong:
        with pytest.raises(ConfigurationError) as caught:
            resolve(**options)

        assert KEY not in in_rich(caught.value)
        assert KEY not in in_mappings(caught.value)
        assert traces(caught.value, key) == []


async def test_what_a_clean_up_leaves_behind(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """
    Plans, journals, reports with their errors, and pickles of them hold no key.
    """
    row = {"job_id": "ft-1", "status": "FAILED", "create_time": "2024-01-01 00:00:00"}
    page = Answer({"output": {"jobs": [row], "total": 1, "page_no": 1, "page_size": 100}})
    found = Answer({"output": row})
    async with scripted(page, found, refusal(400, "Bad", f"No: {KEY}")) as server:
        client = server.client()
        plan = await client.fine_tunes.plan(Selection(status={"FAILED"}))
        plan.save(tmp_path / "plan.json")
        report = await client.fine_tunes.apply(
            plan, journal=tmp_path / "plan.journal", max_percent=100
        )
        [outcome] = report.outcomes
        with pytest.raises(DashScopeError) as caught:
            report.raise_for_failures()
        left: dict[str, object] = {
            "the plan": plan,
            "its summary": plan.summary(),
            "its fields": plan.to_dict(),
            "the report": report,
            "the outcome": outcome,
            "its error": outcome.error,
            "the failure raised": caught.value,
            "the files": tmp_path,
            "the pager": client.fine_tunes.list(),
            "the settings": client._transport.settings,
            "a view": client.with_options(timeout=3.0),
        }

        assert len(list(tmp_path.iterdir())) >= 2
        assert outcome.error is not None
        assert {name: traces(each, KEY) for name, each in left.items()} == {
            name: [] for name in left
        }
    record_property(
        "figure",
        f"{len(left)} things that a clean-up with a failure leaves behind (plan, journal, report, "
        "errors, pickles, settings, …): 0 traces of the key.",
    )
