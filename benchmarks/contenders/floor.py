"""
aiohttp and orjson without models: what any client on this stack has to pay.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson

HEADERS = {"Authorization": "Bearer sk-benchmark"}


class Floor:
    """
    One session; rows stay the dicts that the parser made.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def list(self, spans: Iterable[tuple[int, int]]) -> list[Any]:
        """
        Read these pages, one after another.
        """
        jobs: list[Any] = []
        for page_no, page_size in spans:
            query = {"page_no": page_no, "page_size": page_size}
            async with self._session.get(f"{self._url}/fine-tunes", params=query) as response:
                jobs += orjson.loads(await response.read())["output"]["jobs"]
        return jobs

    async def get(self, job_id: str) -> Any:
        """
        Get a job.
        """
        async with self._session.get(f"{self._url}/fine-tunes/{job_id}") as response:
            return orjson.loads(await response.read())["output"]

    async def delete(self, job_ids: Sequence[str]) -> None:
        """
        Delete these jobs, one after another.
        """
        for job_id in job_ids:
            await self._delete(job_id)

    async def delete_at_once(self, job_ids: Sequence[str], concurrency: int) -> None:
        """
        Delete these jobs, so many at once.
        """
        turn = asyncio.Semaphore(concurrency)

        async def delete(job_id: str) -> None:
            async with turn:
                await self._delete(job_id)

        await asyncio.gather(*map(delete, job_ids))

    async def _delete(self, job_id: str) -> None:
        async with self._session.delete(f"{self._url}/fine-tunes/{job_id}") as response:
            orjson.loads(await response.read())


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[Floor, None]:
    """
    Open a session.
    """
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        yield Floor(session, url)
