"""
What fine-tuning jobs and import jobs have in common: nearly all operations on them.
"""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
)
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from attrs import evolve, frozen

from ..arguments import check_callback, check_case, check_job_id, check_page_no, check_page_size
from ..bulk import AsyncOutcomes, Change, Stopping, check_many
from ..calls import Call, Request, Sighting
from ..codec import Codec
from ..creation import Creation, Fields, body, creation_of
from ..envelope import Reply, Row, Rows, malformed, read_rows
from ..errors import InvalidArgument, NotFound, OutcomeUnknown
from ..models import KNOWN_STATUSES, NOUN_IN_WORDS, FineTuneJob, ImportJob, Noun, Page
from ..outcomes import Action, Outcome, Receipt, Report
from ..pagination import AsyncPager, Listing
from ..retry import Operation
from ..transport import Transport
from ..waiting import OnLook, Poll, wait_for_jobs

if TYPE_CHECKING:  # imported at the first clean-up, since it takes long
    from ..cleanup import Plan, Selection

Job = TypeVar("Job", FineTuneJob, ImportJob)
Query = Mapping[str, str | None]

_LARGEST_PAGE = 100
_BEFORE_DELETION: Mapping[Noun, str] = {
    "fine_tunes": "delete it once it has been cancelled or ended.",
    "imports": "wait until it has ended, then delete it.",
}
_SHORTEST_DEADLINE = 0.001  # seconds; settings take none of 0 or less


@frozen(kw_only=True)
class Jobs(Generic[Job]):
    """
    One kind of job on the service.
    """

    transport: Transport
    """What sends the calls."""

    codec: Codec
    """Reads times and checkpoints."""

    noun: Noun
    """Which kind of job this is, in the words of the public API."""

    model: type[Job]
    """The class of its jobs."""

    decode: Callable[[list[Row]], list[Job]]
    """Turns rows into jobs of this class."""

    path: str
    """The path of the listing, below the base URL."""

    rows: str
    """The field of a listing's `output` that holds the rows."""

    time_field: str
    """The name of the field that holds the creation time."""

    read_deletion: Callable[[Jobs[Job], str, Reply], Receipt]
    """
    Reads the answer to a deletion of the job with this id. It is not a bound method: with a
    reference cycle, a client that is dropped as its loop ends would not be closed.
    """

    def id_of(self, job: str | Job) -> str:
        """
        Return the checked id of a job that a caller gave as an id or as a job.

        Raises:
            InvalidArgument: The id cannot be one.
            TypeError: It is neither an id nor a job of this kind.
        """
        if isinstance(job, self.model):
            return check_job_id(job.job_id)
        if isinstance(job, str):
            return check_job_id(job)
        raise TypeError(
            f"job must be an id or a {self.model.__name__}, not of type {type(job).__name__}."
        )

    def request(self, method: str, job_id: str, suffix: str = "") -> Request:
        """
        Return a request about one job.
        """
        return Request(method=method, path=f"{self.path}/{job_id}{suffix}")

    async def get(
        self, job: str | Job, stopping: Stopping | None = None, *, patient: bool = False
    ) -> Job:
        """
        Get a job as it is now; in a run that can be stopped, wait out rate limits.
        """
        job_id = self.id_of(job)
        call = Call(
            what=f"Getting {job_id}",
            operation=Operation.READ,
            request=self.request("GET", job_id),
            read=lambda reply: self.read(reply, job_id),
            patient=patient or stopping is not None,
            stopping=stopping,
        )
        return await self.transport.send(call)

    async def create(self, what: str, fields: Fields, *, look_for: str) -> Job:
        """
        Create a job, by one request that may have been received at most.

        Args:
            what: The call in words, for errors.
            fields: What to send.
            look_for: What to look for when nobody can know what happened.
        """
        transport = self.transport
        begun = datetime.fromtimestamp(transport.now(), transport.settings.time_zone)
        call = Call(
            what=what,
            operation=Operation.CREATE,
            request=Request(
                method="POST", path=self.path, body=body(fields), fresh_connection=True
            ),
            read=self.read,
            when_unknown=f"It may exist and be billed: before creating it again, look for "
            f"{look_for}, created at about {begun:%Y-%m-%d %H:%M %Z}.",
        )
        try:
            return await transport.send(call)
        except OutcomeUnknown as unknown:
            ended = datetime.fromtimestamp(transport.now(), transport.settings.time_zone)
            unknown.creation = Creation(fields=fields, begun=begun, ended=ended)
            unknown.hint = f"{unknown.hint} reconcile_create() does so, given this error."
            raise

    async def candidates(self, creation: Creation | OutcomeUnknown) -> list[Job]:
        """
        Return the jobs that a creation may have made, the nearest in time first.
        """
        asked = creation_of(creation)
        jobs = await self.pager({}, asked.could_be, None).collect()
        return sorted(jobs, key=lambda job: asked.distance(getattr(job, self.time_field)))

    async def wait(
        self,
        jobs: Iterable[str | Job] | AsyncIterable[str | Job],
        *,
        poll_interval: float,
        deadline: float,
        check: bool,
        on_look: OnLook | None,
    ) -> list[Job]:
        """
        Wait until jobs have ended.
        """
        check_many(jobs)
        check_callback("on_look", on_look)
        poll = self.poll(poll_interval, deadline)
        if isinstance(jobs, AsyncIterable):
            jobs = [job async for job in jobs]
        job_ids = [self.id_of(job) for job in jobs]
        source = PolledJobs(self)
        return await wait_for_jobs(job_ids, source, poll, check=check, on_look=on_look)

    def poll(self, poll_interval: float, deadline: float) -> Poll:
        """
        Start a wait, whose deadline runs from now on.
        """
        return Poll(poll_interval, deadline, clock=self.transport.clock, sleep=self.transport.sleep)

    def within(self, seconds: float) -> Self:
        """
        Return a view whose calls end in so many seconds from now at the latest.
        """
        bound = min(self.transport.settings.deadline, max(seconds, _SHORTEST_DEADLINE))
        return evolve(self, transport=self.transport.ending_in(bound))

    async def cancel(self, job: str | Job, stopping: Stopping | None = None) -> Receipt:
        """
        Cancel a job; in a run that can be stopped, wait out rate limits.
        """
        job_id = self.id_of(job)
        call = Call(
            what=f"Cancelling {job_id}",
            operation=Operation.CANCEL,
            request=self.request("POST", job_id, "/cancel"),
            read=lambda reply: acknowledged(self, job_id, reply),
            infer=lambda request_id: _unconfirmed(job_id, request_id),
            # The look ignores `stopping`: what was sent is checked even after the run has stopped.
            look=self.look(job_id, patient=stopping is not None),
            when_unknown="Get the job: if it is CANCELING or CANCELED, it was cancelled.",
            patient=stopping is not None,
            stopping=stopping,
        )
        return await self.transport.send(call)

    async def delete(
        self, job: str | Job, stopping: Stopping | None = None, *, missing_ok: bool = False
    ) -> Receipt:
        """
        Delete a job; in a run that can be stopped, wait out rate limits.
        """
        job_id = self.id_of(job)
        call = Call(
            what=f"Deleting {job_id}",
            operation=Operation.DELETE,
            request=self.request("DELETE", job_id),
            read=lambda reply: self.read_deletion(self, job_id, reply),
            infer=lambda request_id: _unconfirmed(job_id, request_id),
            look=self.look(job_id, patient=stopping is not None),
            when_unknown="Get the job: if it is not found, it was deleted.",
            while_unfinished=_BEFORE_DELETION[self.noun],
            patient=stopping is not None,
            stopping=stopping,
        )
        try:
            return await self.transport.send(call)
        except NotFound as missing:
            if missing_ok and missing.is_from_service:
                return _unconfirmed(job_id, missing.request_id)
            raise

    def many(
        self,
        action: Action,
        jobs: Iterable[str | Job] | AsyncIterable[str | Job],
        act: Callable[[str, Stopping], Awaitable[Receipt]],
        *,
        missing_ok: bool = False,
    ) -> AsyncOutcomes:
        """
        Return a run that does the same to many jobs.
        """
        return AsyncOutcomes(
            jobs,
            Change(action, act, missing_ok=missing_ok),
            model=self.model,
            concurrency=self.transport.settings.concurrency,
        )

    async def plan(self, selection: Selection) -> Plan:
        """
        Plan a clean-up from a complete walk.
        """
        from ..cleanup import Selection, make_plan

        if not isinstance(selection, Selection):
            raise TypeError(f"selection is a {type(selection).__name__}; it must be a Selection.")
        settings = self.transport.settings
        return await make_plan(
            self.noun,
            self.pager({}, None, None),
            selection,
            base_url=settings.base_url,
            workspace=settings.workspace,
        )

    async def apply(
        self,
        plan: Plan,
        *,
        journal: str | PathLike[str] | None,
        max_deletes: int,
        max_percent: float,
        cancel_running: bool,
        on_outcome: Callable[[Outcome], object] | None,
    ) -> Report:
        """
        Apply a plan.
        """
        from ..cleanup import Patience, Plan, apply_plan

        if not isinstance(plan, Plan):
            raise TypeError(
                f"plan is a {type(plan).__name__}; it must be a Plan: "
                "Plan.load(path) reads a saved one."
            )
        check_callback("on_outcome", on_outcome)
        transport = self.transport
        return await apply_plan(
            plan,
            self,
            noun=self.noun,
            base_url=transport.settings.base_url,
            workspace=transport.settings.workspace,
            concurrency=transport.settings.concurrency,
            journal=journal,
            max_deletes=max_deletes,
            max_percent=max_percent,
            cancel_running=cancel_running,
            on_outcome=on_outcome,
            patience=Patience(clock=transport.clock, sleep=transport.sleep),
        )

    def look(self, job_id: str, *, patient: bool = False) -> Call[Sighting]:
        """
        Return the call that reads a job's status.
        """
        return Call(
            what=f"Looking at {job_id}",
            operation=Operation.READ,
            request=self.request("GET", job_id),
            read=lambda reply: Sighting(self.read(reply, job_id).status, reply.request_id),
            patient=patient,
        )

    def read(self, reply: Reply, job_id: str | None = None) -> Job:
        """
        Read one job; where `job_id` is given, it must be that one.

        Raises:
            MalformedResponse: There is no job, it has no id, or it is another one.
        """
        row = reply.output
        if not isinstance(row, dict):
            raise malformed("output", reply, "a job")
        if not (isinstance(row.get("job_id"), str) and row["job_id"]):
            raise malformed("output.job_id", reply, "a non-empty string")
        if job_id is not None and row["job_id"] != job_id:
            raise malformed("output.job_id", reply, job_id)
        return self.decode([row])[0]

    async def page(
        self,
        page_no: int,
        page_size: int,
        query: Query,
        wanted: Callable[[Job], bool],
        *,
        patient: bool = False,
    ) -> Page[Job]:
        """
        Read one page, keeping the rows that pass the filters sent with it.
        """
        rows = await self._rows(
            check_page_no(page_no), check_page_size(page_size), query, patient=patient
        )
        items = [job for job in self.decode(rows.rows) if wanted(job)]
        least = (rows.page_no - 1) * rows.page_size + len(rows.rows)
        return Page(
            items=items,
            page_no=rows.page_no,
            page_size=rows.page_size,
            total=least if rows.total is None else rows.total,
            request_id=rows.request_id,
        )

    def pager(
        self, query: Query, wanted: Callable[[Job], bool] | None, page_size: int | None
    ) -> AsyncPager[Job]:
        """
        Return a pager over the jobs that pass the filters; over all jobs, if there are none.
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
            what=f"Listing page {page_no} of {NOUN_IN_WORDS[self.noun]}",
            operation=Operation.READ,
            request=Request(method="GET", path=self.path, query=sent),
            read=lambda reply: read_rows(
                reply, self.rows, self.time_field, page_no=page_no, page_size=page_size
            ),
            patient=patient,
        )
        return await self.transport.send(call)


@frozen
class PolledJobs(Generic[Job]):
    """
    The source of jobs that are waited for: a `JobSource`.
    """

    jobs: Jobs[Job]
    """The jobs of their kind."""

    async def get(self, job_id: str, within: float) -> Job:
        """
        Get one job.
        """
        return await self.jobs.within(within).get(job_id, patient=True)

    async def page(self, page_no: int, within: float) -> Page[Job]:
        """
        Read a page of the listing, with as many jobs as there may be on one.
        """
        return await self.jobs.within(within).page(
            page_no, _LARGEST_PAGE, {}, lambda _: True, patient=True
        )


def acknowledged(_: Jobs[Any], job_id: str, reply: Reply) -> Receipt:
    """
    Read the acknowledgement of a change: `output.status` is `success`.

    Raises:
        MalformedResponse: It is not.
    """
    status = reply.output.get("status") if isinstance(reply.output, dict) else None
    if not (isinstance(status, str) and status.lower() == "success"):
        raise malformed("output.status", reply, "'success'")
    return Receipt(job_id=job_id, request_id=reply.request_id)


def _unconfirmed(job_id: str, request_id: str | None) -> Receipt:
    return Receipt(job_id=job_id, request_id=request_id, confirmed=False)


def status_filter(status: str | Collection[str] | None) -> frozenset[str] | None:
    """
    Return the status words of a filter as a set; None if there is no filter.

    Raises:
        InvalidArgument: A word is empty, or a known one in another case, or there is none.
        TypeError: It is neither a word nor several.
    """
    if status is None:
        return None
    listed = isinstance(status, Iterable) and not isinstance(status, str)
    several: tuple[Any, ...] = tuple(status) if listed else (status,)
    if not all(isinstance(word, str) for word in several):
        raise TypeError("status is a word or several, such as 'FAILED' or {'FAILED', 'CANCELED'}.")
    chosen = frozenset(several)
    if not chosen or "" in chosen:
        raise InvalidArgument("status is empty; leave it out for all jobs, or give one or several.")
    check_case(chosen, KNOWN_STATUSES)
    return chosen
