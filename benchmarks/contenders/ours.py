"""
This library.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from dashscope_ft import AsyncClient, Client, FineTuneJob, Report

KEY = "sk-benchmark"


class Ours:
    """
    An `AsyncClient`.
    """

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def list(self) -> list[FineTuneJob]:
        """
        List all jobs.
        """
        return await self._client.fine_tunes.list().collect()

    async def get(self, job_id: str) -> FineTuneJob:
        """
        Get a job.
        """
        return await self._client.fine_tunes.get(job_id)

    async def delete(self, job_ids: Sequence[str]) -> Report:
        """
        Delete these jobs.
        """
        report = await self._client.fine_tunes.delete_many(job_ids).report()
        assert report.done == len(job_ids)
        return report


class OursBlocking:
    """
    A `Client`.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, job_id: str) -> FineTuneJob:
        """
        Get a job.
        """
        return self._client.fine_tunes.get(job_id)


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncGenerator[Ours, None]:
    """
    Open an async client.
    """
    async with AsyncClient(api_key=KEY, base_url=url, **options) as client:
        yield Ours(client)


@contextmanager
def opened_blocking(url: str, **options: Any) -> Generator[OursBlocking, None, None]:
    """
    Open a blocking client.
    """
    with Client(api_key=KEY, base_url=url, **options) as client:
        yield OursBlocking(client)
