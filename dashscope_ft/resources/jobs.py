"""
What fine-tuning jobs and import jobs have in common: how they are named, read and listed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Generic, TypeVar

from attrs import frozen

from ..codec import Codec
from ..connections import Request
from ..envelope import Reply, Row, Rows, malformed, read_rows
from ..errors import InvalidArgument
from ..models import FineTuneJob, ImportJob, Page
from ..pagination import AsyncPager, Listing
from ..retry import Operation
from ..settings import check_job_id, check_page_no, check_page_size
from ..transport import Call, Sighting, Transport

Job = TypeVar("Job", FineTuneJob, ImportJob)
Query = Mapping[str, str | None]


@frozen(kw_only=True)
class Jobs(Generic[Job]):
    """
    One kind of job on the service.
    """

    transport: Transport
    """What sends the calls."""

    codec: Codec
    """What reads times."""

    model: type[Job]
    """The class of its jobs."""

    decode: Callable[[Row], Job]
    """Makes a row one of them."""

    path: str
    """Where they lie, below the base URL."""

    rows: str
    """Where a listing keeps them, below `output`."""

    time_field: str
    """Their field with the creation time."""

    def id_of(self, job: object) -> str:
        """
        Give the id of a job that a caller named by its id or by itself.

        Raises:
            InvalidArgument: The id cannot be one.
            TypeError: It is neither an id nor a job of this kind.
        """
        if isinstance(job, self.model):
            return check_job_id(job.job_id)
        if isinstance(job, str):
            return check_job_id(job)
        raise TypeError(
            f"job is a {type(job).__name__}; it must be an id or a {self.model.__name__}."
        )

    def request(self, method: str, job_id: str, suffix: str = "") -> Request:
        """
        Give a request about one job.
        """
        return Request(method=method, path=f"{self.path}/{job_id}{suffix}")

    async def get(self, job: object, *, patient: bool = False) -> Job:
        """
        Get a job afresh.
        """
        job_id = self.id_of(job)
        call = Call(
            what=f"Getting {job_id}",
            operation=Operation.READ,
            request=self.request("GET", job_id),
            read=self.read,
            patient=patient,
        )
        return await self.transport.send(call)

    def look(self, job_id: str) -> Call[Sighting]:
        """
        Give the call that sees a job's status.
        """
        return Call(
            what=f"Looking at {job_id}",
            operation=Operation.READ,
            request=self.request("GET", job_id),
            read=lambda reply: Sighting(self.read(reply).status, reply.request_id),
        )

    def read(self, reply: Reply) -> Job:
        """
        Read one job.

        Raises:
            MalformedResponse: There is no job with an id.
        """
        row = reply.output
        if not isinstance(row, dict):
            raise malformed("output", reply, "a job")
        if not (isinstance(row.get("job_id"), str) and row["job_id"]):
            raise malformed("output.job_id", reply, "a non-empty string")
        return self.decode(row)

    async def page(
        self, page_no: int, page_size: int, query: Query, wanted: Callable[[Job], bool]
    ) -> Page[Job]:
        """
        Read one page, keeping the rows that pass the filters sent with it.
        """
        rows = await self._rows(
            check_page_no(page_no), check_page_size(page_size), query, patient=False
        )
        items = [job for row in rows.rows if wanted(job := self.decode(row))]
        least = (rows.page_no - 1) * rows.page_size + len(rows.rows)
        return Page(
            items=items,
            page_no=rows.page_no,
            page_size=rows.page_size,
            total=least if rows.total is None else rows.total,
            request_id=rows.request_id,
        )

    def pager(
        self, query: Query, wanted: Callable[[Job], bool], page_size: int | None
    ) -> AsyncPager[Job]:
        """
        Give a walk over all that pass the filters.
        """
        settings = self.transport.settings

        async def read(page_no: int, page_size: int) -> Rows:
            return await self._rows(page_no, page_size, query, patient=True)

        return AsyncPager(
            Listing(
                read=read,
                spawn=self.transport.spawn,
                decode=self.decode,
                wanted=wanted,
                time_field=self.time_field,
                read_time=self.codec.read_time,
                page_size=settings.page_size
                if page_size is None
                else check_page_size(page_size, lowest=20),
                concurrency=settings.concurrency,
            )
        )

    async def _rows(self, page_no: int, page_size: int, query: Query, *, patient: bool) -> Rows:
        sent: dict[str, str | int] = {"page_no": page_no, "page_size": page_size}
        sent |= {name: value for name, value in query.items() if value is not None}
        call = Call(
            what=f"Listing page {page_no} of {self.path[1:]}",
            operation=Operation.READ,
            request=Request(method="GET", path=self.path, query=sent),
            read=lambda reply: read_rows(reply, self.rows, page_no=page_no, page_size=page_size),
            patient=patient,
        )
        return await self.transport.send(call)


def words(status: str | Collection[str] | None) -> frozenset[str] | None:
    """
    Give the status words of a filter as a set; None where there is no filter.

    Raises:
        InvalidArgument: A word is empty, or there is none.
        TypeError: It is neither a word nor several.
    """
    if status is None:
        return None
    chosen = frozenset({status} if isinstance(status, str) else status)
    if not all(isinstance(word, str) for word in chosen):
        raise TypeError("status is a word or several, such as 'FAILED' or {'FAILED', 'CANCELED'}.")
    if not chosen or "" in chosen:
        raise InvalidArgument("status is empty; it must be a word or several, or None for all.")
    return chosen


def present(**fields: Any) -> dict[str, Any]:
    """
    Give the fields that were set.
    """
    return {name: value for name, value in fields.items() if value is not None}
