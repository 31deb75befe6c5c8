"""
This library.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from dashscope_ft import AsyncClient, Client, FineTuneJob, JobStatus, Report, Selection

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

    async def clear(self, journal: Path | None = None) -> Report:
        """
        Plan to delete all jobs that have ended, and apply the plan.
        """
        plan = await self._client.fine_tunes.plan(Selection(status=JobStatus.FINISHED))
        report = await self._client.fine_tunes.apply(
            plan, journal=journal, max_deletes=len(plan.entries), max_percent=100
        )
        assert report.done == report.selected > 0
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
