"""
Calls that tests make on a client, and the errors that these end in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dashscope_ft import AsyncClient, DashScopeError

Ask = Callable[[AsyncClient], Awaitable[Any]]


async def get(client: AsyncClient) -> Any:
    return await client.fine_tunes.get("ft-1")


async def page(client: AsyncClient) -> Any:
    return await client.fine_tunes.page()


async def walk(client: AsyncClient) -> Any:
    return await client.fine_tunes.list().collect()


async def create(client: AsyncClient) -> Any:
    return await client.fine_tunes.create(model="qwen3-14b", training_file_ids=["file-1"])


async def create_import(client: AsyncClient) -> Any:
    return await client.imports.create(
        model_name="qwen3-32b", weight_type="lora", bucket_name="bucket", object_key="weights/"
    )


async def delete(client: AsyncClient) -> Any:
    return await client.fine_tunes.delete("ft-1")


async def delete_import(client: AsyncClient) -> Any:
    return await client.imports.delete("im-1")


async def cancel(client: AsyncClient) -> Any:
    return await client.fine_tunes.cancel("ft-1")


async def ended(asked: Awaitable[Any]) -> DashScopeError:
    """
    Return the error that a call ends in.
    """
    with pytest.raises(DashScopeError) as caught:
        await asked
    return caught.value
