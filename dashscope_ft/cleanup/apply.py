"""
Applying a plan: every job is read once more, and gets exactly one outcome.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Final, Protocol

from attrs import evolve, frozen

from ..bulk import (
    GRACE,
    NOTHING_HAPPENED,
    NOTHING_WILL_WORK,
    AsyncOutcomes,
    Stopping,
)
from ..errors import (
    APIError,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    DashScopeError,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    ServiceError,
    StateConflict,
)
from ..models import (
    CANCELED_STATUSES,
    FINISHED_STATUSES,
    AnyJob,
    FineTuneJob,
    ImportJob,
    JobStatus,
    Noun,
)
from ..outcomes import (
    Action,
    Outcome,
    Receipt,
    Report,
    attach_report,
    done,
    failed,
    interruption,
    skipped,
)
from .facts import Facts, instant
from .guards import check_guards, check_place
from .journal import Journal
from .plan import Plan, PlanEntry

_JOB_CLASSES: Final[dict[Noun, type[AnyJob]]] = {"fine_tunes": FineTuneJob, "imports": ImportJob}
_FIRST_INTERVAL: Final = 0.25  # seconds between the first two looks at a cancelled job

# These errors prove that the request changed nothing, except for `ServiceError`, an `APIError`.
_NOTHING_CHANGED: Final = (
    APIError,
    ClientClosed,
    ConfigurationError,
    ConnectionFailed,
    DeadlineExceeded,
    InvalidArgument,
)


class Service(Protocol):
    """
    What a clean-up needs of the service.

    `stopping` is called right before a request is sent; if it returns True, nothing is sent and
    `ConnectionFailed` or `DeadlineExceeded` is raised.
    """

    def get(self, job_id: str, stopping: Stopping, /) -> Awaitable[AnyJob]:
        """
        Read a job.
        """
        ...

    def cancel(self, job_id: str, stopping: Stopping, /) -> Awaitable[Receipt]:
        """
        Cancel a job. Never called for imports, nor unless running jobs are to be cancelled.
        """
        ...

    def delete(self, job_id: str, stopping: Stopping, /) -> Awaitable[Receipt]:
        """
        Delete a job; raise NotFound if it is not there.
        """
        ...


@frozen(kw_only=True)
class Patience:
    """
    How long to wait until a cancelled job has ended, and by which clock.
    """

    deadline: float = 300.0
    """Seconds to wait at most; a job that has not ended by then is left alone."""

    poll_interval: float = 5.0
    """Seconds between two looks at the job; between the first ones it is less."""

    clock: Callable[[], float] = time.monotonic
    """Seconds, monotonic."""

    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits for some seconds."""


async def apply_plan(
    plan: Plan,
    service: Service,
    *,
    noun: Noun,
    base_url: str,
    workspace: str | None,
    concurrency: int,
    journal: str | os.PathLike[str] | Journal | None = None,
    max_deletes: int = 20,
    max_percent: float = 50,
    cancel_running: bool = False,
    on_outcome: Callable[[Outcome], object] | None = None,
    patience: Patience = Patience(),
    grace: float = GRACE,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Report:
    """
    Delete what a plan names and what still matches it.

    Each job is read again. One that does not exist, differs from its entry in the plan, or no
    longer matches the selection, is skipped; `keep_latest` is not counted anew. When cancelled,
    the run begins nothing more, waits up to 10 s for what is under way, and writes the journal.
    Whatever ends it early is raised with the report so far, every planned job in it, as its
    `report`, and in a note.

    Args:
        plan: The plan.
        service: Reads, cancels and deletes.
        noun: The noun that the service serves.
        base_url: The endpoint that it asks.
        workspace: The workspace that it asks, None for the key's own.
        concurrency: How many jobs are under way at most.
        journal: A file from which a later call with the same plan resumes: what is done stands,
            and what failed or was not attempted is tried again. None for no file. A closed
            `Journal` is read from, but not written to.
        max_deletes: How many jobs the plan may name.
        max_percent: The largest share of the listed jobs that it may name, in percent.
        cancel_running: Whether a job that is not finished is cancelled first. Otherwise, or if
            it is not `CANCELED` in time, it is skipped for its state.
        on_outcome: Called with each outcome, also while a cancelled run waits.
        patience: How long to wait until a cancelled job has ended.
        grace: Seconds to wait for what is under way when the run itself is cancelled.
        now: Returns the present time, aware.

    Raises:
        PlanRefused: The plan was made elsewhere or too long ago, or the journal is not its own
            or in use. Nothing was deleted.
        GuardExceeded: The plan names too many jobs. Nothing was deleted.
        InvalidArgument: The journal is not a regular file. Nothing was deleted.
        OSError: The journal cannot be written. Nothing was deleted after that.
    """
    check_place(plan, noun=noun, base_url=base_url, workspace=workspace, now=now())
    check_guards(plan, max_deletes=max_deletes, max_percent=max_percent)
    if not isinstance(journal, Journal):
        journal = Journal(plan.digest, journal, now=now)
    with journal:
        work = _Application(plan, service, journal, patience, cancel_running=cancel_running)
        run = AsyncOutcomes(
            [entry.job_id for entry in plan.entries],
            work,
            model=_JOB_CLASSES[noun],
            concurrency=concurrency,
            on_outcome=on_outcome,
            grace=grace,
        )
        try:
            async with aclosing(run.batches()) as batches:
                async for _ in batches:
                    pass
        except BaseException as error:
            attach_report(error, work.account(run.so_far), "jobs planned")
            raise
        return run.so_far


class _Application:
    """
    The application of one plan: the work of a bulk run, which settles one job at a time.

    For each job it takes a look at the job, writes the intent to delete it, deletes it, and writes
    the outcome. An intent in the journal without an outcome leaves a doubt: the change may have
    been made.
    """

    action: Action = "delete"

    def __init__(
        self,
        plan: Plan,
        service: Service,
        journal: Journal,
        patience: Patience,
        *,
        cancel_running: bool,
    ) -> None:
        self._plan = plan
        self._entries = {entry.job_id: entry for entry in plan.entries}
        self._service = service
        self._journal = journal
        self._patience = patience
        self._cancel_running = cancel_running

    async def settle(self, job_id: str, job: AnyJob | None, stopping: Stopping) -> Outcome:
        if standing := self._journal.standing(job_id):
            return standing
        outcome = await self._outcome(self._entries[job_id], stopping)
        if outcome.reason != "not_attempted":
            self._journal.record(outcome)
        return outcome

    def interrupted(self, job_id: str, job: AnyJob | None) -> Outcome:
        return self._journal.standing(job_id) or self._unsettled(job_id, job=job)

    def account(self, so_far: Report) -> Report:
        """
        Complete the report of a run that ended early with the jobs it never reached.
        """
        known = {outcome.job_id for outcome in so_far.outcomes}
        rest = [self.interrupted(job_id, None) for job_id in self._entries if job_id not in known]
        return Report(outcomes=(*so_far.outcomes, *rest))

    def _unsettled(
        self, job_id: str, *, error: DashScopeError | None = None, job: AnyJob | None = None
    ) -> Outcome:
        """
        Return the outcome of a job that a stopping run left: `not_attempted`, unless it may have
        been cancelled or deleted by this run or an earlier one.
        """
        if doubt := self._doubt(job_id):
            return failed("delete", job_id, doubt, job=job)
        return _skip(job_id, "not_attempted", error=error, job=job)

    def _doubt(self, job_id: str) -> OutcomeUnknown | None:
        """
        Return the error for a job that may have been deleted or cancelled; None for any other.
        """
        if self._journal.may_have("delete", job_id):
            return _unwritten(job_id) if self._journal.broken else interruption(job_id)
        return _maybe_cancelled(job_id) if self._journal.may_have("cancel", job_id) else None

    def _failed(
        self, job_id: str, error: DashScopeError, job: AnyJob | None, *, reached_deletion: bool
    ) -> Outcome:
        """
        Return the outcome of a failure. If it came before the deletion, an earlier doubt remains.
        """
        doubt = None if reached_deletion else self._doubt(job_id)
        if doubt is None or isinstance(error, NOTHING_WILL_WORK):  # which has to stop the run
            return failed("delete", job_id, error, job=job)
        unknown = OutcomeUnknown(
            f"{doubt.message} It could not be looked at: {error.message}",
            code=error.code,
            status=error.status,
            request_id=error.request_id,
            hint=doubt.hint,
        )
        return failed("delete", job_id, unknown, job=job)

    async def _outcome(self, entry: PlanEntry, stopping: Stopping) -> Outcome:
        """
        Look at a job, delete it if it is still as planned, and return what came of it.
        """
        job_id = entry.job_id
        if stopping():
            return self._unsettled(job_id)
        # An earlier run intended to delete the job, and did not record how that ended.
        in_doubt = self._journal.may_have("delete", job_id)
        job: AnyJob | None = None
        reached_deletion = False
        try:
            job = await self._service.get(job_id, stopping)
            skip = self._skip_if_changed(entry, job) or await self._cancel_if_running(
                entry, job, stopping
            )
            if skip is not None:
                return skip
            if stopping():
                return self._unsettled(job_id, job=job)
            reached_deletion = True
            receipt = await self._change("delete", self._service.delete, job_id, stopping)
        except NotFound as error:
            if not error.is_from_service:
                return self._failed(job_id, error, job, reached_deletion=reached_deletion)
            if in_doubt:
                unconfirmed = Receipt(job_id=job_id, request_id=error.request_id, confirmed=False)
                return done("delete", unconfirmed, job=job)
            return _skip(job_id, "already_gone", error=error, job=job)
        except StateConflict as error:
            return _skip(job_id, "state", error=error, job=job)
        except DashScopeError as error:
            if stopping() and isinstance(error, NOTHING_HAPPENED):
                return self._unsettled(job_id, error=error, job=job)
            return self._failed(job_id, error, job, reached_deletion=reached_deletion)
        return done("delete", receipt, job=job)

    def _skip_if_changed(self, entry: PlanEntry, job: AnyJob) -> Outcome | None:
        """
        Return the outcome of a job that is not as planned any more, or is to stay; else None.
        """
        fresh = Facts.of(job)
        if _identity(fresh) != _identity(entry):
            if not (self._journal.may_have("cancel", entry.job_id) and _only_ended(entry, fresh)):
                return _skip(entry.job_id, "changed", job=job)
            # An earlier run cancelled it; to go on with that takes the same consent.
            if not self._cancel_running:
                return _skip(entry.job_id, "state", job=job)
        return self._skip_if_kept(entry, job)

    def _skip_if_kept(self, entry: PlanEntry, job: AnyJob) -> Outcome | None:
        """
        Ask the selection once more; return an outcome if the job is to stay now, else None.
        """
        # With the status it was planned with, since it may have been cancelled in order to go.
        planned = evolve(Facts.of(job), status=entry.status, end_time=entry.end_time)
        why_not = self._plan.selection.why_not(planned, self._plan.created)
        if why_not and why_not[0] in ("protected", "undecidable"):
            return _skip(entry.job_id, why_not[0], job=job)
        if why_not or _title(PlanEntry.of(planned)) != _title(entry):
            return _skip(entry.job_id, "changed", job=job)
        return None

    async def _cancel_if_running(
        self, entry: PlanEntry, job: AnyJob, stopping: Stopping
    ) -> Outcome | None:
        """
        Cancel a job that has not ended, and wait until it has.

        Returns:
            The outcome if the job must be skipped; None if it can be deleted now.
        """
        job_id = entry.job_id
        if job.status in FINISHED_STATUSES:
            return None
        if not self._cancel_running or isinstance(job, ImportJob):
            return _skip(job_id, "state", job=job)
        if stopping():
            return self._unsettled(job_id, job=job)
        ends_at = self._patience.clock() + self._patience.deadline
        interval = min(_FIRST_INTERVAL, self._patience.poll_interval)
        if job.status != JobStatus.CANCELING:
            with suppress(OutcomeUnknown):  # the looks below show whether it was cancelled
                await self._change("cancel", self._service.cancel, job_id, stopping)
        while True:
            job = await self._service.get(job_id, stopping)
            if job.status == JobStatus.CANCELED:
                if not _only_ended(entry, Facts.of(job)):
                    return _skip(job_id, "changed", job=job)
                return self._skip_if_kept(entry, job)
            wait = min(interval, ends_at - self._patience.clock())
            if job.status in FINISHED_STATUSES or wait <= 0:
                return _skip(job_id, "state", job=job)
            await self._patience.sleep(wait)
            interval = min(interval * 2, self._patience.poll_interval)
            if stopping():
                return self._unsettled(job_id, job=job)

    async def _change(
        self,
        action: Action,
        change: Callable[[str, Stopping], Awaitable[Receipt]],
        job_id: str,
        stopping: Stopping,
    ) -> Receipt:
        """
        Make a change once its intent is on disk; retract the intent if nothing can have changed.
        """
        in_doubt = self._journal.may_have(action, job_id)
        self._journal.intend(action, job_id)
        try:
            return await change(job_id, stopping)
        except _NOTHING_CHANGED as error:
            # The error says nothing of what an earlier run may have done.
            if not in_doubt and not isinstance(error, ServiceError):
                self._journal.retract(action, job_id)
            raise


def _skip(
    job_id: str, reason: str, *, error: DashScopeError | None = None, job: AnyJob | None = None
) -> Outcome:
    return skipped("delete", job_id, reason, error=error, job=job)


def _unwritten(job_id: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"What came of {job_id} could not be written to the journal.",
        hint="Apply the plan again; it checks this job first.",
    )


def _maybe_cancelled(job_id: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"{job_id} was to be cancelled first, and may have been; it was not deleted.",
        hint="Apply the plan again, with running jobs cancelled, to go on with it.",
    )


def _identity(job: Facts | PlanEntry) -> tuple[object, ...]:
    """
    Return what must be as planned for a job to be deleted.
    """
    return job.job_id, job.status, instant(job.create_time), instant(job.end_time), job.output


def _title(entry: PlanEntry) -> tuple[str | None, str | None]:
    """
    Return what a person saw of the job in the plan.

    It must be as planned, too: a new name may be a colleague's only way to say "keep it".
    """
    return entry.model, entry.name


def _only_ended(entry: PlanEntry, fresh: Facts) -> bool:
    """
    Return whether a job that was unfinished differs from the plan only in being cancelled by now.
    """
    return (
        entry.status not in FINISHED_STATUSES
        and fresh.status in CANCELED_STATUSES
        and _identity(evolve(fresh, status=entry.status, end_time=entry.end_time))
        == _identity(entry)
    )
