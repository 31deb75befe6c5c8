"""
Calls the official SDK as it is told on stdin, a line of JSON each, and tells what came of it.

Runs under the SDK's own interpreter and imports nothing of this library.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import dashscope  # type: ignore[import-not-found]  # pyright: ignore[reportMissingImports]

SLEPT: list[float] = []


def rest(seconds: Any) -> None:
    SLEPT.append(seconds)
    REALLY_SLEEP(min(seconds, 0.02))


REALLY_SLEEP = time.sleep
time.sleep = rest


def perform(order: dict[str, Any]) -> Any:
    arguments, options = order["arguments"], order["options"]
    if order["face"] == "classic":
        dashscope.base_http_api_url = order["base_url"]
        method = getattr(dashscope.FineTunes, order["method"])
        return method(*arguments, api_key=order["key"], workspace=order["workspace"], **options)
    settings = {
        "base_url": order["base_url"],
        "api_key": order["key"],
        "workspace": order["workspace"],
    }
    if order["face"] == "sync":
        with dashscope.Client(**settings) as client:
            return getattr(client.fine_tunes, order["method"])(*arguments, **options)

    async def call() -> Any:
        async with dashscope.AsyncClient(**settings) as client:
            return await getattr(client.fine_tunes, order["method"])(*arguments, **options)

    return asyncio.run(call())


def plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump()
    return dict(value) if hasattr(value, "keys") else vars(value)


for line in sys.stdin:
    SLEPT.clear()
    answer: dict[str, Any] = {"value": None, "error": None, "code": None, "text": ""}
    try:
        answer["value"] = perform(json.loads(line))
    except Exception as error:  # noqa: BLE001 - whatever the caller would see is told
        answer["error"] = type(error).__name__
        answer["code"] = getattr(error, "code", None)
        answer["text"] = str(error)
    answer["slept"] = SLEPT
    sys.stdout.write(json.dumps(answer, default=plain) + "\n")
    sys.stdout.flush()
