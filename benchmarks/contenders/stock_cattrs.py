"""
aiohttp, orjson and attrs, with cattrs as it comes, and a hook for times.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
from attrs import define
from cattrs import Converter

from .floor import HEADERS


@define
class Job:
    """
    A fine-tuning job.
    """

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


CONVERTER = Converter()
CONVERTER.register_structure_hook(
    datetime, lambda text, _: datetime.fromisoformat(text).replace(tzinfo=UTC)
)


class StockCattrs:
    """
    One session, one stock converter.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def list(self) -> list[Job]:
        """
        List all jobs, page by page.
        """
        jobs: list[Job] = []
        page_no, total = 1, 1
        while len(jobs) < total:
            query = {"page_no": page_no, "page_size": 100}
            async with self._session.get(f"{self._url}/fine-tunes", params=query) as response:
                output = orjson.loads(await response.read())["output"]
            jobs += CONVERTER.structure(output["jobs"], list[Job])
            page_no, total = page_no + 1, output["total"]
        return jobs


@asynccontextmanager
async def opened(url: str) -> AsyncGenerator[StockCattrs, None]:
    """
    Open a session.
    """
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        yield StockCattrs(session, url)
