"""
What only a stand-in for aiohttp can do: an attempt that no connector sees.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientConnectorError, ClientOSError, ServerDisconnectedError
from aioresponses import aioresponses

from dashscope_ft import AsyncClient, ConnectionFailed, OutcomeUnknown

from .scripted import KEY

URL = "https://dashscope-intl.aliyuncs.com/api/v1/fine-tunes"
REFUSED = ClientConnectorError(Mock(), ConnectionRefusedError(111, "refused"))


@pytest.mark.parametrize(
    "failure",
    [REFUSED, ClientOSError(), ServerDisconnectedError()],
    ids=lambda error: type(error).__name__,
)
async def test_an_attempt_that_no_connector_saw(stubbed: aioresponses, failure: Any) -> None:
    """
    No exception proves by its type that nothing was sent: unless a connector says so, it was.
    """
    stubbed.post(URL, exception=failure, repeat=True)
    async with AsyncClient(api_key=KEY, region="intl") as client:
        with pytest.raises(OutcomeUnknown) as caught:
            await client.fine_tunes.create(model="m", training_file_ids=["f"])

    assert caught.value.attempts == 1
    assert [len(calls) for calls in stubbed.requests.values()] == [1]


async def test_the_host_of_a_region(stubbed: aioresponses, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is asked of a region goes to its host, with neither redirects nor a proxy.
    """
    monkeypatch.setenv("no_proxy", "*")
    url = "https://dashscope.aliyuncs.com/api/v1/custom_models/import/im-1"
    stubbed.get(url, payload={"output": {"job_id": "im-1", "status": "RUNNING"}})
    async with AsyncClient(api_key=KEY, region="cn") as client:
        assert (await client.imports.get("im-1")).status == "RUNNING"

    [[call]] = stubbed.requests.values()

    assert call.kwargs["allow_redirects"] is False
    assert call.kwargs["proxy"] is None
    assert "Authorization" not in call.kwargs["headers"]


async def test_a_read_that_no_trace_saw(stubbed: aioresponses) -> None:
    """
    A read changes nothing, sent or not.
    """
    stubbed.get(f"{URL}/ft-1", exception=REFUSED, repeat=True)
    async with AsyncClient(api_key=KEY, region="intl", max_attempts=1) as client:
        with pytest.raises(ConnectionFailed):
            await client.fine_tunes.get("ft-1")
