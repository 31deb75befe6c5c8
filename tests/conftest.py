"""
What every test is held to: nothing it opened or started is left. And fixtures for all.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses

_PATIENCE = 2.0

# What is started in the background ignores Ctrl-C, and so would all that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _threads() -> set[str]:
    return {
        f"thread {thread.name}"
        for thread in threading.enumerate()
        if thread.name.startswith("dashscope-ft")
    }


def _sockets() -> set[str]:
    if sys.platform != "linux":
        return set()
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            found.add(f"{target} as descriptor {descriptor}")
    return found


def _open() -> set[str]:
    return _threads() | _sockets()


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """
    Fail a test that leaves a thread of this library or a socket behind.
    """
    before = _open()
    yield
    if _open() <= before:
        return
    gc.collect()
    end = time.monotonic() + _PATIENCE
    while (left := _open() - before) and time.monotonic() < end:
        time.sleep(0.01)  # a thread that was told to end may still be ending

    assert not left, f"left behind: {', '.join(sorted(left))}"


@pytest.fixture(autouse=True)
def nothing_left_running(request: pytest.FixtureRequest, nothing_left_open: None) -> None:
    """
    Fail a test that leaves a task behind; the loop would cancel it without a word.
    """
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("no_task_left_behind")


@pytest.fixture
async def no_task_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    here = asyncio.current_task()
    turns = 10
    while (left := asyncio.all_tasks() - before - {here}) and turns:
        turns -= 1
        await asyncio.sleep(0)

    assert not left, f"left behind: {', '.join(map(str, left))}"


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """
    Give a port whose queue of connections is full: the next one is never made.
    """
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """
    Stand in for aiohttp's sessions: no socket, no trace, and no middleware either.
    """

    class Response(ClientResponse):
        # aiohttp 3.14 wants to know who wrote the request, which aioresponses doesn't tell.
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{"stream_writer": Mock()} | options)

    monkeypatch.setattr("aioresponses.core.ClientResponse", Response)
    with aioresponses() as stubs:
        yield stubs
