"""
The vendor's SDK: its async client, its sync client, and its 1.x functions.

It lists a page at a time, so that its users write the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from math import ceil
from typing import Any

import dashscope  # type: ignore[import-not-found]

KEY = "sk-benchmark"
PAGE_SIZE = 100


class OfficialAsync:
    """
    A `dashscope.AsyncClient`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    async def list(self) -> list[Any]:
        """
        List all jobs, page by page.
        """
        jobs: list[Any] = []
        page_no, total = 1, 1
        while len(jobs) < total:
            page = await self._client.fine_tunes.list(page_no=page_no, page_size=PAGE_SIZE)
            jobs += page.jobs
            page_no, total = page_no + 1, page.total_count
        return jobs

    async def list_at_once(self, concurrency: int) -> Sequence[Any]:
        """
        List all jobs, so many pages at once. As page by page, a list that changes loses jobs.
        """
        turn = asyncio.Semaphore(concurrency)

        async def page(page_no: int) -> Any:
            async with turn:
                return await self._client.fine_tunes.list(page_no=page_no, page_size=PAGE_SIZE)

        first = await page(1)
        others = map(page, range(2, 1 + ceil(first.total_count / PAGE_SIZE)))
        rest = await asyncio.gather(*others)
        return [job for each in (first, *rest) for job in each.jobs]

    async def delete(self, job_ids: Sequence[str], concurrency: int) -> None:
        """
        Delete these jobs, so many at once.
        """
        turn = asyncio.Semaphore(concurrency)

        async def delete(job_id: str) -> None:
            async with turn:
                await self._client.fine_tunes.delete(job_id)

        await asyncio.gather(*map(delete, job_ids))


class OfficialSync:
    """
    A `dashscope.Client`.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def list(self) -> list[Any]:
        """
        List all jobs, page by page.
        """
        jobs: list[Any] = []
        page_no, total = 1, 1
        while len(jobs) < total:
            page = self._client.fine_tunes.list(page_no=page_no, page_size=PAGE_SIZE)
            jobs += page.jobs
            page_no, total = page_no + 1, page.total_count
        return jobs

    def get(self, job_id: str) -> Any:
        """
        Get a job.
        """
        return self._client.fine_tunes.get(job_id)


class OfficialClassic:
    """
    The functions of its 1.x API, which have one endpoint for all.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def list(self) -> list[Any]:
        """
        List all jobs, page by page.
        """
        dashscope.base_http_api_url = self._url
        jobs: list[Any] = []
        page_no, total = 1, 1
        while len(jobs) < total:
            page = dashscope.FineTunes.list(page_no=page_no, page_size=PAGE_SIZE, api_key=KEY)
            jobs += page.output.jobs
            page_no, total = page_no + 1, page.output.total
        return jobs

    def get(self, job_id: str) -> Any:
        """
        Get a job.
        """
        dashscope.base_http_api_url = self._url
        return dashscope.FineTunes.get(job_id, api_key=KEY)


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[OfficialAsync, None]:
    """
    Open an async client.
    """
    async with dashscope.AsyncClient(api_key=KEY, base_url=url) as client:
        yield OfficialAsync(client)


@contextmanager
def opened_sync(url: str) -> Generator[OfficialSync, None, None]:
    """
    Open a sync client.
    """
    with dashscope.Client(api_key=KEY, base_url=url) as client:
        yield OfficialSync(client)
