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
from ..models import ImportJob, ImportStatus, Page
from ..outcomes import Outcome, Receipt, Report
from ..pagination import AsyncPager
from ..transport import Transport
from .jobs import Jobs, acknowledged, status_filter

if TYPE_CHECKING:
    from ..cleanup import Plan, Selection


class Imports:
    """
    The model-import jobs of an account: `client.imports`.

    A job is named by its id or by an `ImportJob`. Before anything is sent, an invalid id,
    number or field of a new job raises `InvalidArgument`, and what is neither an id nor such a
    job raises `TypeError`. In `delete_many`, an invalid id is a failed outcome instead.
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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._jobs.transport.settings.base_url}>"

    def list(
        self,
        *,
        status: str | Collection[str] | None = None,
        model_name: str | None = None,
        page_size: int | None = None,
    ) -> AsyncPager[ImportJob]:
        """
        List the jobs, newest first. None is lost or repeated while the list changes.

        Args:
            status: One or several of `ImportStatus`, in either spelling. Applied by the client,
                never sent.
            model_name: The generated name, in full. Sent, and checked again on every row.
            page_size: Jobs per request, 20 to 100; None for the client's.

        Returns:
            A pager. Nothing is sent before its first use.

        Raises:
            InvalidArgument: A filter or `page_size` is invalid; nothing was sent.
            TypeError: A filter is of the wrong type; nothing was sent.

        Wire: `GET /custom_models/import`.
        """
        model_name = check_text("model_name", model_name)
        chosen = _status_filter(status)

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
        Read one numbered page. While jobs come and go, pages may miss or repeat some: see `list`.

        Args:
            page_no: From 1.
            page_size: 1 to 100.
            status: One of `ImportStatus`. Sent as it is, and checked again on every row.
            model_name: The generated name, in full. Sent, and checked again on every row.

        Raises:
            InvalidArgument: A number or a filter is out of bounds; nothing was sent.
            DashScopeError: The request failed.

        Wire: `GET /custom_models/import`.
        """
        status = check_text("status", status)
        model_name = check_text("model_name", model_name)
        chosen = _status_filter(status)
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
            NotFound: No such job, or none that this key and workspace may see.
            DashScopeError: The request failed.

        Wire: `GET /custom_models/import/{job_id}`.
        """
        return await self._jobs.get(job_id)

    async def delete(self, job: str | ImportJob, *, missing_ok: bool = False) -> Receipt:
        """
        Delete a job together with its files. Only ended jobs can be deleted.

        A lost answer is resolved by asking again: if the job is gone by then, `confirmed` is False.

        Args:
            job: The job.
            missing_ok: Whether to return a receipt (`confirmed` False) if there is no such job.

        Returns:
            A receipt whose `job` is the one that the service says it deleted, where it does.

        Raises:
            StateConflict: It has not ended; `job_status` is its status.
            NotFound: No such job, or none that this key and workspace may see.
            OutcomeUnknown: The request was sent, and its outcome could not be determined.
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
        Import weights from an OSS bucket.

        The request is sent again only if the first one was provably not received.

        Args:
            model_name: The base model that the weights are of.
            weight_type: `full` or `lora`.
            bucket_name: The bucket.
            object_key: The folder in it, ending in `/`, not the bucket's root.
            display_name: A name of your own, at most 50 characters.
            source: Where the weights lie; the service knows `oss` only.
            extra: Fields that this library does not know; one that has a keyword is refused.

        Returns:
            The job as the service describes it; its `model_name` is the generated one.

        Raises:
            InvalidArgument: A field cannot be sent as it is; nothing was sent.
            OutcomeUnknown: The request was sent, and it is unknown whether a job exists;
                `reconcile_create` takes this error.
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
        Find the jobs that a creation whose outcome is unknown may have made.

        Args:
            creation: The `OutcomeUnknown` that `create` ended in, or its `creation`.

        Returns:
            The jobs that may be it, the nearest in time first: created within ten minutes of
            the call, with no known field that differs. More than one if equal jobs were created
            then; empty if none is listed yet, since a new job may appear later.

        Raises:
            InvalidArgument: The error does not come from `create`.
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
        Poll a job until it has ended. Failed polls are retried; an unknown status is not an end.

        Args:
            job: The job.
            poll_interval: Seconds between two polls, above 0.
            deadline: Seconds to wait in total, above 0.
            check: Whether a job that failed is an error.

        Returns:
            The finished job.

        Raises:
            JobFailed: It ended as `FAILED`; with its own message.
            DeadlineExceeded: It has not ended in time; `last_status` is the last one seen.
            NotFound: No such job, or none that this key and workspace may see.
            DashScopeError: A poll failed with an error that a retry would meet again.

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
        Poll several jobs until all have ended, by pages of the listing.

        Args:
            jobs: Ids and jobs, from any iterable or async iterable, such as a pager.
            poll_interval: Seconds between two polls of all of them.
            deadline: Seconds for all of it. A source that takes longer is still read to its end.
            check: Whether a job that failed is an error, once all have ended.
            on_look: A plain function that is called after each look, with the last status of each
                job that has not ended, None before it is known. It runs on the client's own
                event loop, as `on_outcome` of `apply` does.

        Returns:
            The finished jobs in the order given, each once.

        Raises:
            JobFailed: One ended as `FAILED`; with its own message.
            DeadlineExceeded: Some have not ended in time; `last_status` is the first one's.
            NotFound: One does not exist, or no longer.
            DashScopeError: A poll failed with an error that a retry would meet again.

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
        Delete many jobs, one request each. A failure does not stop the others.

        Args:
            jobs: Ids and jobs, from any iterable or async iterable, such as a pager.
            missing_ok: Whether an id that is not found counts as done.

        Returns:
            A run that begins at its first `async for` or `report()`: an `Outcome` for each job.

        Raises:
            TypeError: Something is neither an id nor an `ImportJob`.

        Wire: `DELETE /custom_models/import/{job_id}`, one for each.
        """
        return self._jobs.many("delete", jobs, self._jobs.delete, missing_ok=missing_ok)

    async def plan(self, selection: Selection) -> Plan:
        """
        Plan a clean-up from a listing that is proven complete. Nothing is changed.

        Args:
            selection: The rules for which jobs to delete.

        Returns:
            The plan: the jobs to delete, and why the others stay.

        Raises:
            TypeError: `selection` is not a `Selection`; nothing was sent.
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
        Apply a plan: read each job once more, and delete those that still match.

        An interrupted run raises with the report so far: `CancelledError` (blocking:
        `KeyboardInterrupt`) has it as `report`.

        Args:
            plan: What `plan` gave, at this endpoint and workspace, within 24 hours.
            journal: A file from which a later call with the same plan resumes this one.
            max_deletes: The most jobs that the plan may delete.
            max_percent: The largest share of the listed jobs that it may delete, in percent.
            cancel_running: Takes no effect: the service cannot cancel an import.
            on_outcome: A plain function that is called with each `Outcome`, those that stand in
                the journal included. It runs on the client's own event loop: in the blocking
                client, that is another thread, on which blocking calls of the client are errors.
                When a run ends early, it is called for the jobs that were under way, but not for
                all that were never begun; the report has all of them.

        Returns:
            A report with exactly one outcome for each planned job.

        Raises:
            TypeError: `plan` is not a `Plan`, or `on_outcome` not a plain function; nothing was
                sent.
            InvalidArgument: `journal` is not a regular file, or a bound not a number from 0;
                nothing was deleted.
            PlanRefused: The plan is too old or made for elsewhere, or the journal is not its
                own, damaged or in use; nothing was deleted.
            GuardExceeded: It would delete more than its bounds allow; nothing was deleted.
            OSError: The journal cannot be opened; nothing was deleted. Or a line of it cannot be
                written; the error's `report` has what was done by then.

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


def _status_filter(status: str | Collection[str] | None) -> frozenset[str] | None:
    chosen = status_filter(status)
    return chosen and frozenset(ImportStatus.SPELLINGS.get(word, word) for word in chosen)
