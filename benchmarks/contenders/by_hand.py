"""
httpx and pydantic, as one writes it in an afternoon.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from math import ceil
from typing import Any

import httpx  # type: ignore[import-not-found]
from pydantic import BaseModel, ConfigDict

from .floor import HEADERS

PAGE_SIZE = 100


class Job(BaseModel):
    """
    A fine-tuning job.
    """

    model_config = ConfigDict(extra="allow")

    job_id: str
    status: str
    job_name: str | None = None
    model: str | None = None
    base_model: str | None = None
    finetuned_output: str | None = None
    training_type: str | None = None
    training_file_ids: list[str] | None = None
    validation_file_ids: list[str] | None = None
    hyper_parameters: dict[str, Any] | None = None
    create_time: datetime | None = None
    end_time: datetime | None = None
    usage: int | None = None
    workspace_id: str | None = None
    user_identity: str | None = None
    creator: str | None = None
    modifier: str | None = None
    group: str | None = None
    code: str | None = None
    message: str | None = None


class Output(BaseModel):
    """
    What a listing holds.
    """

    total: int
    jobs: list[Job]


class Answer(BaseModel):
    """
    A listing.
    """

    request_id: str
    output: Output


class ByHand:
    """
    One `httpx.AsyncClient`, with its pool as it comes: 20 of its connections are kept.

    With as many kept as there are requests in flight it takes several times as long, since
    httpx looks through all connections of its pool for each request.
    """

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client = client
        self._url = url

    async def list(self) -> list[Job]:
        """
        List all jobs, page by page.
        """
        jobs: list[Job] = []
        page_no, total = 1, 1
        while len(jobs) < total:
            output = await self._page(page_no)
            jobs += output.jobs
            page_no, total = page_no + 1, output.total
        return jobs

    async def list_at_once(self, concurrency: int) -> Sequence[Job]:
        """
        List all jobs, so many pages at once. As page by page, a list that changes loses jobs.
        """
        first = await self._page(1)
        turn = asyncio.Semaphore(concurrency)

        async def page(page_no: int) -> Output:
            async with turn:
                return await self._page(page_no)

        rest = await asyncio.gather(*map(page, range(2, 1 + ceil(first.total / PAGE_SIZE))))
        return [job for output in (first, *rest) for job in output.jobs]

    async def delete(self, job_ids: Sequence[str], concurrency: int) -> None:
        """
        Delete these jobs, so many at once.
        """
        turn = asyncio.Semaphore(concurrency)

        async def delete(job_id: str) -> None:
            async with turn:
                response = await self._client.delete(f"{self._url}/fine-tunes/{job_id}")
                response.raise_for_status()

        await asyncio.gather(*map(delete, job_ids))

    async def _page(self, page_no: int) -> Output:
        query = {"page_no": page_no, "page_size": PAGE_SIZE}
        response = await self._client.get(f"{self._url}/fine-tunes", params=query)
        return Answer.model_validate_json(response.content).output


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[ByHand, None]:
    """
    Open a client.
    """
    async with httpx.AsyncClient(headers=HEADERS) as client:
        yield ByHand(client, url)
