"""
Model-import jobs.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterable, Callable, Collection, Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..arguments import check_text
from ..bulk import AsyncOutcomes
from ..codec import Codec
from ..creation import Creation, import_fields
from ..envelope import Reply, malformed
from ..errors import OutcomeUnknown
from ..models import ImportJob, ImportStatus, Outcome, Page, Receipt, Report
from ..pagination import AsyncPager
from ..transport import Transport
from .jobs import Jobs, acknowledged, words

if TYPE_CHECKING:
    from ..cleanup import Plan, Selection


class Imports:
    """
    The model-import jobs of an account: `client.imports`.

    A job is named by its id or by an `ImportJob`.
    """

    def __init__(self, transport: Transport, codec: Codec) -> None:
        self._jobs = Jobs(
            transport=transport,
            codec=codec,
            noun="imports",
            model=ImportJob,
            decode=codec.import_jobs,
            path="/custom_models/import",
            rows="list",
            time_field="gmt_create",
            read_deletion=_deleted,
        )

    def list(
        self,
        *,
        status: str | Collection[str] | None = None,
        model_name: str | None = None,
        page_size: int | None = None,
    ) -> AsyncPager[ImportJob]:
        """
        Walk the jobs, newest first, losing none while the list changes.

        Args:
            status: A word of `ImportStatus` or several, in either spelling. Applied here,
                never sent.
            model_name: The generated name, in full. Sent, and checked again on every row.
            page_size: Jobs a request, 20 to 100; the client's where None.

        Returns:
            A pager. Nothing is sent before its first use.

        Raises:
            InvalidArgument: A filter or the page size cannot be one.

        Wire: `GET /custom_models/import`.
        """
        model_name = check_text("model_name", model_name)
        chosen = _words(status)

        def wanted(job: ImportJob) -> bool:
            return _is_named(job, model_name) and _is_in(job, chosen)

        filtered = model_name is not None or chosen is not None
        return self._jobs.pager({"model_name": model_name}, wanted if filtered else None, page_size)

    async def page(
        self,
        page_no: int = 1,
        page_size: int = 10,
        *,
        status: str | None = None,
        model_name: str | None = None,
    ) -> Page[ImportJob]:
        """
        Read one page, as the service numbers them: no proof that none is missed in between.

        Args:
            page_no: From 1.
            page_size: 1 to 100.
            status: A word of `ImportStatus`. Sent as it is, and checked again on every row.
            model_name: The generated name, in full. Sent, and checked again on every row.

        Raises:
            InvalidArgument: A number or a filter is out of bounds; nothing was sent.
            DashScopeError: The request failed.

        Wire: `GET /custom_models/import`.
        """
        status = check_text("status", status)
        model_name = check_text("model_name", model_name)
        chosen = _words(status)
        return await self._jobs.page(
            page_no,
            page_size,
            {"status": status, "model_name": model_name},
            lambda job: _is_named(job, model_name) and _is_in(job, chosen),
        )

    async def get(self, job_id: str | ImportJob) -> ImportJob:
        """
        Get a job as it is now.

        Args:
            job_id: Its id, or the job as it was.

        Raises:
            NotFound: There is none that this key and workspace may see.
            DashScopeError: The request failed.

        Wire: `GET /custom_models/import/{job_id}`.
        """
        return await self._jobs.get(job_id)

    async def delete(self, job: str | ImportJob, *, missing_ok: bool = False) -> Receipt:
        """
        Delete a job together with its files. Only ended jobs can be deleted.

        A lost answer is resolved by asking again, and then `confirmed` is False.

        Args:
            job: The job.
            missing_ok: Whether a job that is not there will do; `confirmed` is False then.

        Returns:
            A receipt whose `job` is the one that the service says it deleted.

        Raises:
            StateConflict: It has not ended; `job_status` says what it does.
            NotFound: There is none that this key and workspace may see.
            OutcomeUnknown: It was asked for, and nobody can know what came of it.
            DashScopeError: The request failed, and nothing happened.

        Wire: `DELETE /custom_models/import/{job_id}`.
        """
        return await self._jobs.delete(job, missing_ok=missing_ok)

    async def create(
        self,
        *,
        model_name: str,
        weight_type: str,
        bucket_name: str,
        object_key: str,
        display_name: str | None = None,
        source: str = "oss",
        extra: Mapping[str, Any] | None = None,
    ) -> ImportJob:
        """
        Import weights from an OSS bucket. Never sent twice unless the first was not received.

        Args:
            model_name: The base model that the weights are of.
            weight_type: `full` or `lora`.
            bucket_name: The bucket.
            object_key: The folder in it, ending in `/`, not the bucket's root.
            display_name: A name of your own, at most 50 characters.
            source: Where the weights lie; the service knows `oss` only.
            extra: Fields that are newer than this library; none that has a keyword.

        Returns:
            The job as the service describes it; its `model_name` is the generated one.

        Raises:
            InvalidArgument: A field cannot be sent as it is; nothing was sent.
            OutcomeUnknown: It was sent, and nobody can know whether a job exists; it has what
                `reconcile_create` takes.
            DashScopeError: The request failed, and nothing was created.

        Wire: `POST /custom_models/import`.
        """
        fields = import_fields(
            model_name=model_name,
            display_name=display_name,
            source=source,
            weight_type=weight_type,
            bucket_name=bucket_name,
            object_key=object_key,
            extra=extra,
        )
        place = f"{bucket_name}/{object_key}"
        return await self._jobs.create(
            f"Importing {place}", fields, look_for=f"an import of {place}"
        )

    async def reconcile_create(
        self, creation: Creation | OutcomeUnknown
    ) -> builtins.list[ImportJob]:
        """
        Find the job that a creation led to, when nobody can know whether it did.

        Args:
            creation: The `OutcomeUnknown` that `create` ended in, or its `creation`.

        Returns:
            The jobs that may be it, the nearest in time first: of that time, and nothing known
            of them speaks against it. More than one where equal jobs were created at that time,
            and an empty list where none is listed; a creation still on its way may show later.

        Raises:
            InvalidArgument: The error is not one of a creation.
            ListingInconsistent: The listing could not be proven complete.
            DashScopeError: A request failed.

        Wire: `GET /custom_models/import`.
        """
        return await self._jobs.candidates(creation)

    async def wait(
        self,
        job: str | ImportJob,
        *,
        poll_interval: float = 15.0,
        deadline: float = 86_400.0,
        check: bool = True,
    ) -> ImportJob:
        """
        Wait until a job has ended. Failed looks and unknown words are waited through.

        Args:
            job: The job.
            poll_interval: Seconds between two looks.
            deadline: Seconds for all of it.
            check: Whether a job that failed is an error.

        Returns:
            The finished job.

        Raises:
            JobFailed: It ended as `FAILED`; with its own message.
            DeadlineExceeded: It has not ended in time; `last_status` says how it was.
            NotFound: There is none that this key and workspace may see.
            DashScopeError: A look failed, and another one would too.

        Wire: `GET /custom_models/import/{job_id}`.
        """
        [ended] = await self._jobs.wait(
            [job], poll_interval=poll_interval, deadline=deadline, check=check, on_look=None
        )
        return ended

    async def wait_many(
        self,
        jobs: Iterable[str | ImportJob] | AsyncIterable[str | ImportJob],
        *,
        poll_interval: float = 15.0,
        deadline: float = 86_400.0,
        check: bool = True,
        on_look: Callable[[Mapping[str, str | None]], object] | None = None,
    ) -> builtins.list[ImportJob]:
        """
        Wait until all of several jobs have ended, looking at pages of the listing.

        Args:
            jobs: Ids and jobs, from any iterable or async iterable, such as a pager.
            poll_interval: Seconds between two looks at all of them.
            deadline: Seconds for all of it; a source that takes longer is read to its end first.
            check: Whether a job that failed is an error, once all have ended.
            on_look: A plain function, called after each look with the last status of each job
                that has not ended, None before it is known; on the client's own event loop, as
                `on_outcome` is.

        Returns:
            The finished jobs in the order given, each once.

        Raises:
            JobFailed: One ended as `FAILED`; with its own message.
            DeadlineExceeded: Some have not ended in time; `last_status` is the first one's.
            NotFound: One is not there, or not any more.
            DashScopeError: A look failed, and another one would too.

        Wire: `GET /custom_models/import`; `GET /custom_models/import/{job_id}` for jobs that
        no page shows.
        """
        return await self._jobs.wait(
            jobs, poll_interval=poll_interval, deadline=deadline, check=check, on_look=on_look
        )

    def delete_many(
        self,
        jobs: Iterable[str | ImportJob] | AsyncIterable[str | ImportJob],
        *,
        missing_ok: bool = False,
    ) -> AsyncOutcomes:
        """
        Delete many jobs, each alone: one that fails stops no other.

        Args:
            jobs: Ids and jobs, from any iterable or async iterable, such as a pager.
            missing_ok: Whether a bare id that is not found will do.

        Returns:
            A run that begins at its first `async for` or `report()`: an `Outcome` for each job.

        Raises:
            TypeError: Something is neither an id nor an `ImportJob`.

        Wire: `DELETE /custom_models/import/{job_id}`, one for each.
        """
        return self._jobs.many("delete", jobs, self._jobs.delete, missing_ok=missing_ok)

    async def plan(self, selection: Selection) -> Plan:
        """
        Plan a clean-up: nothing is changed, and the listing it rests on is proven complete.

        Args:
            selection: Which jobs are to go.

        Raises:
            TypeError: It is no `Selection`; nothing was sent.
            ListingInconsistent: The listing could not be proven complete.
            DashScopeError: A request failed.

        Wire: `GET /custom_models/import`.
        """
        return await self._jobs.plan(selection)

    async def apply(
        self,
        plan: Plan,
        *,
        journal: str | PathLike[str] | None = None,
        max_deletes: int = 20,
        max_percent: float = 50,
        cancel_running: bool = False,
        on_outcome: Callable[[Outcome], object] | None = None,
    ) -> Report:
        """
        Carry a plan out: look at each job once more, and delete what still matches.

        Being interrupted, it raises with the report so far: `CancelledError` (blocking:
        `KeyboardInterrupt`) carries it as `report`.

        Args:
            plan: What `plan` gave, at this endpoint and workspace, within 24 hours.
            journal: A file that a later call with the same plan takes up where this one ended.
            max_deletes: How many jobs the plan may delete.
            max_percent: How many of a hundred listed jobs it may delete.
            cancel_running: Takes no effect: the service cannot cancel an import.
            on_outcome: A plain function, called with each `Outcome` as it ends, on the client's
                own event loop: in the blocking client on another thread, where a blocking call
                to it is an error. What the journal has settled before is told again. A run that
                ends early tells what comes of jobs that are under way, and not of all that
                were never begun: those are in the report alone.

        Returns:
            A report in which every planned job stands exactly once.

        Raises:
            TypeError: `plan` is no `Plan`, or `on_outcome` no plain function; nothing was sent.
            InvalidArgument: `journal` is no regular file; nothing was deleted.
            PlanRefused: The plan is altered, too old, or made for elsewhere; nothing was deleted.
            GuardExceeded: It would delete more than its bounds allow; nothing was deleted.
            OSError: The journal cannot be written; its `report` has what was done by then.

        Wire: `GET`, `DELETE /custom_models/import/{job_id}`.
        """
        return await self._jobs.apply(
            plan,
            journal=journal,
            max_deletes=max_deletes,
            max_percent=max_percent,
            cancel_running=cancel_running,
            on_outcome=on_outcome,
        )


def _deleted(jobs: Jobs[ImportJob], job_id: str, reply: Reply) -> Receipt:
    if not isinstance(reply.output, dict):
        raise malformed("output", reply, "the deleted job")
    if "job_id" not in reply.output:
        return acknowledged(jobs, job_id, reply)
    job = jobs.read(reply)
    if not _is_shown_as(job.job_id, job_id):
        raise malformed("output.job_id", reply, job_id)
    return Receipt(job_id=job_id, request_id=reply.request_id, job=job)


def _is_shown_as(shown: str, job_id: str) -> bool:
    # The documented answer to a deletion has asterisks in place of some characters.
    return len(shown) == len(job_id) and all(
        mask in (char, "*") for char, mask in zip(job_id, shown, strict=True)
    )


def _is_named(job: ImportJob, model_name: str | None) -> bool:
    return model_name is None or job.model_name in (model_name, None)


def _is_in(job: ImportJob, chosen: frozenset[str] | None) -> bool:
    return chosen is None or job.status in chosen


def _words(status: str | Collection[str] | None) -> frozenset[str] | None:
    chosen = words(status)
    return chosen and frozenset(ImportStatus.SPELLINGS.get(word, word) for word in chosen)
