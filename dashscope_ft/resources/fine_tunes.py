"""
Fine-tuning jobs.
"""

from __future__ import annotations

import builtins
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..arguments import check_seconds, check_text
from ..bulk import AsyncOutcomes
from ..codec import Codec
from ..creation import Creation, fine_tune_fields
from ..errors import OutcomeUnknown
from ..models import Checkpoint, FineTuneJob, Page
from ..outcomes import Outcome, Receipt, Report
from ..pagination import AsyncPager
from ..transport import Transport
from ..waiting import when_there_is_room
from .jobs import Jobs, PolledJobs, acknowledged, status_filter

if TYPE_CHECKING:
    from ..cleanup import Plan, Selection
    from ..tail import Progress
    from ..training_log import TrainingLog
    from .checkpoints import Checkpoints
    from .logs import Logs

_CAPACITY_INTERVAL = 15.0  # seconds between two looks at the running jobs


class FineTunes:
    """
    The fine-tuning jobs of an account: `client.fine_tunes`.

    A job is named by its id or by a `FineTuneJob`. Before anything is sent, an invalid id,
    number or field of a new job raises `InvalidArgument`, and what is neither an id nor such a
    job raises `TypeError`. In `cancel_many` and `delete_many`, an invalid id is a failed
    outcome instead.
    """

    def __init__(self, transport: Transport, codec: Codec) -> None:
        self._jobs = Jobs(
            transport=transport,
            codec=codec,
            noun="fine_tunes",
            model=FineTuneJob,
            decode=codec.fine_tune_jobs,
            path="/fine-tunes",
            rows="jobs",
            time_field="create_time",
            read_deletion=acknowledged,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._jobs.transport.settings.base_url}>"

    def list(
        self,
        *,
        model: str | None = None,
        status: str | Collection[str] | None = None,
        page_size: int | None = None,
    ) -> AsyncPager[FineTuneJob]:
        """
        List the jobs, newest first. None is lost or repeated while the list changes.

        Args:
            model: The tuned model, or its base model. Sent, and checked again on every row.
            status: One or several of `JobStatus`. Applied by the client, never sent.
            page_size: Jobs per request, 20 to 100; None for the client's.

        Returns:
            A pager. Nothing is sent before its first use.

        Raises:
            InvalidArgument: A filter or `page_size` is invalid; nothing was sent.
            TypeError: A filter is of the wrong type; nothing was sent.

        Wire: `GET /fine-tunes`.
        """
        model = check_text("model", model)
        chosen = status_filter(status)

        def wanted(job: FineTuneJob) -> bool:
            return _is_of(job, model) and (chosen is None or job.status in chosen)

        filtered = model is not None or chosen is not None
        return self._jobs.pager({"model": model}, wanted if filtered else None, page_size)

    async def page(
        self, page_no: int = 1, page_size: int = 10, *, model: str | None = None
    ) -> Page[FineTuneJob]:
        """
        Read one numbered page. While jobs come and go, pages may miss or repeat some: see `list`.

        Args:
            page_no: From 1.
            page_size: 1 to 100.
            model: The tuned model, or its base model. Sent, and checked again on every row.

        Raises:
            InvalidArgument: A number or the filter is out of bounds; nothing was sent.
            DashScopeError: The request failed.

        Wire: `GET /fine-tunes`.
        """
        model = check_text("model", model)
        return await self._jobs.page(
            page_no, page_size, {"model": model}, lambda job: _is_of(job, model)
        )

    async def get(self, job_id: str | FineTuneJob) -> FineTuneJob:
        """
        Get a job as it is now.

        Args:
            job_id: Its id, or the job as it was.

        Raises:
            NotFound: No such job, or none that this key and workspace may see.
            DashScopeError: The request failed.

        Wire: `GET /fine-tunes/{job_id}`.
        """
        return await self._jobs.get(job_id)

    async def cancel(self, job: str | FineTuneJob) -> Receipt:
        """
        Cancel a job. It is `CANCELING` for a while: `wait` tells when it has ended.

        A lost answer is resolved by looking at the job: if it shows the cancellation, `confirmed`
        is False; if it still runs, the request is sent once more.

        Raises:
            StateConflict: It has ended already; `job_status` is its status.
            NotFound: No such job, or none that this key and workspace may see.
            OutcomeUnknown: The request was sent, and its outcome could not be determined.
            DashScopeError: The request failed, and nothing happened.

        Wire: `POST /fine-tunes/{job_id}/cancel`.
        """
        return await self._jobs.cancel(job)

    async def delete(self, job: str | FineTuneJob, *, missing_ok: bool = False) -> Receipt:
        """
        Delete a job. The service decides in which states a job can be deleted.

        A lost answer is resolved by asking again: if the job is gone by then, `confirmed` is False.

        Args:
            job: The job.
            missing_ok: Whether to return a receipt (`confirmed` False) if there is no such job.

        Raises:
            StateConflict: Its state does not allow it; `job_status` is its status.
            NotFound: No such job, or none that this key and workspace may see.
            OutcomeUnknown: The request was sent, and its outcome could not be determined.
            DashScopeError: The request failed, and nothing happened.

        Wire: `DELETE /fine-tunes/{job_id}`.
        """
        return await self._jobs.delete(job, missing_ok=missing_ok)

    async def create(
        self,
        *,
        model: str,
        training_file_ids: Sequence[str] | None = None,
        training_datasets: Sequence[Mapping[str, Any]] | None = None,
        validation_file_ids: Sequence[str] | None = None,
        validation_datasets: Sequence[Mapping[str, Any]] | None = None,
        hyper_parameters: Mapping[str, Any] | None = None,
        training_type: str | None = None,
        job_name: str | None = None,
        model_name: str | None = None,
        finetuned_output_suffix: str | None = None,
        priority: str | None = None,
        extra: Mapping[str, Any] | None = None,
        wait_for_capacity: float | None = None,
    ) -> FineTuneJob:
        """
        Create a job, which is billed.

        The request is sent again only if the first one was provably not received.

        Args:
            model: The model to tune.
            training_file_ids: The files to train on.
            training_datasets: The newer form of `training_file_ids`; one of the two is needed.
            validation_file_ids: The files to validate with; an empty list is the same as None.
            validation_datasets: The newer form of `validation_file_ids`, likewise.
            hyper_parameters: Such as `n_epochs`, `batch_size`, `learning_rate`; sent untouched.
            training_type: `sft`, `efficient_sft`, `cpt`, `dpo_full`, `dpo_lora`.
            job_name: The job's name; its id where None.
            model_name: The result's display name.
            finetuned_output_suffix: At most 8 characters of the result's name.
            priority: The job's place in the queue.
            extra: Fields that this library does not know; one that has a keyword is refused.
            wait_for_capacity: Seconds to wait for running jobs to end if there are too many; None
                for no wait. If there are too many stored jobs, the call never waits.

        Returns:
            The job as the service describes it.

        Raises:
            InvalidArgument: A field cannot be sent as it is; nothing was sent.
            QuotaExceeded: Too many jobs are running or kept; nothing was created.
            OutcomeUnknown: The request was sent, and it is unknown whether a job exists;
                `reconcile_create` takes this error.
            DashScopeError: The request failed, and nothing was created.

        Wire: `POST /fine-tunes`.
        """
        fields = fine_tune_fields(
            model=model,
            training_file_ids=training_file_ids,
            training_datasets=training_datasets,
            validation_file_ids=validation_file_ids,
            validation_datasets=validation_datasets,
            hyper_parameters=hyper_parameters,
            training_type=training_type,
            job_name=job_name,
            model_name=model_name,
            finetuned_output_suffix=finetuned_output_suffix,
            priority=priority,
            extra=extra,
        )
        what = f"a fine-tuning job of {fields['model']}"
        name = f" named {fields['job_name']}" if job_name else ""

        async def create() -> FineTuneJob:
            return await self._jobs.create(f"Creating {what}", fields, look_for=what + name)

        if wait_for_capacity is None:
            return await create()
        patience = check_seconds("wait_for_capacity", wait_for_capacity)
        poll = self._jobs.poll(_CAPACITY_INTERVAL, patience)

        async def running() -> Collection[str]:
            jobs = self._jobs.within(poll.seconds_left)
            pager = jobs.pager({}, lambda job: not job.is_finished, None)
            return [job.job_id for job in await pager.collect()]

        return await when_there_is_room(create, running, PolledJobs(self._jobs), poll)

    async def reconcile_create(
        self, creation: Creation | OutcomeUnknown
    ) -> builtins.list[FineTuneJob]:
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

        Wire: `GET /fine-tunes`.
        """
        return await self._jobs.candidates(creation)

    async def wait(
        self,
        job: str | FineTuneJob,
        *,
        poll_interval: float = 15.0,
        deadline: float = 86_400.0,
        check: bool = True,
    ) -> FineTuneJob:
        """
        Poll a job until it has ended. Failed polls are retried; an unknown status is not an end.

        Args:
            job: The job.
            poll_interval: Seconds between two polls, above 0.
            deadline: Seconds to wait in total, above 0.
            check: Whether a job that failed or was cancelled is an error.

        Returns:
            The finished job.

        Raises:
            JobFailed: It ended as `FAILED` or `CANCELED`; with its own code and message.
            DeadlineExceeded: It has not ended in time; `last_status` is the last one seen.
            NotFound: No such job, or none that this key and workspace may see.
            DashScopeError: A poll failed with an error that a retry would meet again.

        Wire: `GET /fine-tunes/{job_id}`.
        """
        [ended] = await self._jobs.wait(
            [job], poll_interval=poll_interval, deadline=deadline, check=check, on_look=None
        )
        return ended

    async def wait_many(
        self,
        jobs: Iterable[str | FineTuneJob] | AsyncIterable[str | FineTuneJob],
        *,
        poll_interval: float = 15.0,
        deadline: float = 86_400.0,
        check: bool = True,
        on_look: Callable[[Mapping[str, str | None]], object] | None = None,
    ) -> builtins.list[FineTuneJob]:
        """
        Poll several jobs until all have ended, by pages of the listing.

        Args:
            jobs: Ids and jobs, from any iterable or async iterable, such as a pager.
            poll_interval: Seconds between two polls of all of them.
            deadline: Seconds for all of it. A source that takes longer is still read to its end.
            check: Whether a job that failed or was cancelled is an error, once all have ended.
            on_look: A plain function that is called after each look, with the last status of each
                job that has not ended, None before it is known. It runs on the client's own
                event loop, as `on_outcome` of `apply` does.

        Returns:
            The finished jobs in the order given, each once.

        Raises:
            JobFailed: One ended as `FAILED` or `CANCELED`; with its own code and message.
            DeadlineExceeded: Some have not ended in time; `last_status` is the first one's.
            NotFound: One does not exist, or no longer.
            DashScopeError: A poll failed with an error that a retry would meet again.

        Wire: `GET /fine-tunes`; `GET /fine-tunes/{job_id}` for jobs that no page shows.
        """
        return await self._jobs.wait(
            jobs, poll_interval=poll_interval, deadline=deadline, check=check, on_look=on_look
        )

    def logs(
        self,
        job: str | FineTuneJob,
        *,
        follow: bool = False,
        poll_interval: float = 15.0,
        deadline: float = 86_400.0,
    ) -> AsyncGenerator[str, None]:
        """
        Read a job's log: every line once, from the first.

        Args:
            job: The job.
            follow: Whether to go on until the job has ended and its log was read to the end.
            poll_interval: Seconds between two looks when following.
            deadline: Seconds for all of it when following.

        Raises:
            NotFound: No such job, or none that this key and workspace may see.
            DeadlineExceeded: It was followed, and its end was not reached in time.
            MalformedResponse: The log ended before the number of lines that the service reported.
            DashScopeError: A request failed.

        Wire: `GET /fine-tunes/{job_id}/logs`, and `GET /fine-tunes/{job_id}` when following.
        """
        return _each_line(
            self._logs_in_batches(
                job, follow=follow, poll_interval=poll_interval, deadline=deadline
            )
        )

    async def training_log(self, job: str | FineTuneJob) -> TrainingLog:
        """
        Read a job's log as it is now, and the figures in it as typed series.

        Raises:
            NotFound: No such job, or none that this key and workspace may see.
            MalformedResponse: The log ended before the number of lines that the service reported.
            DashScopeError: A request failed.

        Wire: `GET /fine-tunes/{job_id}/logs`.
        """
        return await self._logs.read(self._jobs.id_of(job))

    def watch(
        self,
        job: str | FineTuneJob,
        *,
        poll_interval: float = 15.0,
        deadline: float = 86_400.0,
    ) -> AsyncGenerator[Progress, None]:
        """
        Watch a job to its end: its status, the new lines of its log, and the figures so far.

        Args:
            job: The job.
            poll_interval: Seconds between two polls, above 0.
            deadline: Seconds to wait in total, above 0.

        Yields:
            The progress, at least once a poll; the last one is of the finished job.

        Raises:
            NotFound: No such job, or none that this key and workspace may see.
            DeadlineExceeded: It has not ended in time, or its log was not read to its end;
                `last_status` is the last one seen.
            MalformedResponse: It has ended, but its log ended before the number of lines that the
                service reported.
            DashScopeError: A poll failed with an error that a retry would meet again.

        Wire: `GET /fine-tunes/{job_id}`, `GET /fine-tunes/{job_id}/logs`.
        """
        job_id = self._jobs.id_of(job)
        return self._logs.watch(job_id, self._jobs.poll(poll_interval, deadline))

    async def checkpoints(self, job: str | FineTuneJob) -> builtins.list[Checkpoint]:
        """
        List a job's checkpoints, in the order of their steps; those without a step last.

        Raises:
            NotFound: There is no such job that this key and workspace may see.
            DashScopeError: The request failed.

        Wire: `GET /fine-tunes/{job_id}/checkpoints`.
        """
        return await self._checkpoints.of(self._jobs.id_of(job))

    async def export_checkpoint(
        self, job: str | FineTuneJob, checkpoint: str | Checkpoint, *, model_name: str
    ) -> Receipt:
        """
        Publish a checkpoint as a model.

        The request is sent again only if the first one was provably not received.

        Args:
            job: The job.
            checkpoint: The checkpoint or its name, such as `checkpoint-30`.
            model_name: The model's name.

        Returns:
            The acknowledgement. The export itself takes longer: see `wait_for_export`.

        Raises:
            InvalidArgument: A name is invalid, or the checkpoint is another job's.
            StateConflict: It cannot be exported, or is being exported already; `job_status` is
                the job's.
            NotFound: There is no such job or checkpoint.
            OutcomeUnknown: The request was sent, and its outcome could not be determined.
            DashScopeError: The request failed, and nothing happened.

        Wire: `GET /fine-tunes/{job_id}/export/{checkpoint}`.
        """
        return await self._checkpoints.export(self._jobs.id_of(job), checkpoint, model_name)

    async def wait_for_export(
        self,
        job: str | FineTuneJob,
        checkpoint: str | Checkpoint,
        *,
        poll_interval: float = 15.0,
        deadline: float = 86_400.0,
        check: bool = True,
    ) -> Checkpoint:
        """
        Poll a checkpoint until its export has ended.

        Args:
            job: The job.
            checkpoint: The checkpoint or its name.
            poll_interval: Seconds between two polls, above 0.
            deadline: Seconds to wait in total, above 0.
            check: Whether an export that failed, or cannot be, is an error.

        Returns:
            The checkpoint, with the `model_name` that it was published as.

        Raises:
            InvalidArgument: A name is invalid, or the checkpoint is another job's.
            JobFailed: The export failed, or is not supported.
            DeadlineExceeded: The export has not ended in time; `last_status` is its last status.
            NotFound: There is no such job or checkpoint.
            DashScopeError: A poll failed with an error that a retry would meet again.

        Wire: `GET /fine-tunes/{job_id}/checkpoints`.
        """
        poll = self._jobs.poll(poll_interval, deadline)
        return await self._checkpoints.wait(self._jobs.id_of(job), checkpoint, poll, check=check)

    def cancel_many(
        self, jobs: Iterable[str | FineTuneJob] | AsyncIterable[str | FineTuneJob]
    ) -> AsyncOutcomes:
        """
        Cancel many jobs, one request each. A failure does not stop the others.

        Args:
            jobs: Ids and jobs, from any iterable or async iterable, such as a pager.

        Returns:
            A run that begins at its first `async for` or `report()`: an `Outcome` for each job.

        Raises:
            TypeError: Something is neither an id nor a `FineTuneJob`.

        Wire: `POST /fine-tunes/{job_id}/cancel`, one for each.
        """
        return self._jobs.many("cancel", jobs, self._jobs.cancel)

    def delete_many(
        self,
        jobs: Iterable[str | FineTuneJob] | AsyncIterable[str | FineTuneJob],
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
            TypeError: Something is neither an id nor a `FineTuneJob`.

        Wire: `DELETE /fine-tunes/{job_id}`, one for each.
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

        Wire: `GET /fine-tunes`.
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
            cancel_running: Whether to cancel a planned job that still runs, and then delete it.
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

        Wire: `GET`, `DELETE /fine-tunes/{job_id}`, and `POST …/cancel` where asked for.
        """
        return await self._jobs.apply(
            plan,
            journal=journal,
            max_deletes=max_deletes,
            max_percent=max_percent,
            cancel_running=cancel_running,
            on_outcome=on_outcome,
        )

    def _logs_in_batches(
        self,
        job: str | FineTuneJob,
        *,
        follow: bool = False,
        poll_interval: float = 15.0,
        deadline: float = 86_400.0,
    ) -> AsyncGenerator[builtins.list[str], None]:
        """
        Read a job's log as `logs` does, the lines of one request at a time.
        """
        job_id = self._jobs.id_of(job)
        if not follow:
            return self._logs.lines(job_id)
        return self._logs.new_lines(job_id, self._jobs.poll(poll_interval, deadline))

    @property
    def _logs(self) -> Logs:
        from .logs import Logs

        return Logs(self._jobs)

    @property
    def _checkpoints(self) -> Checkpoints:
        from .checkpoints import Checkpoints

        return Checkpoints(self._jobs)


def _is_of(job: FineTuneJob, model: str | None) -> bool:
    if model is None:
        return True
    named = {job.model, job.base_model}
    return model in named or named == {None}


async def _each_line(
    batches: AsyncGenerator[builtins.list[str], None],
) -> AsyncGenerator[str, None]:
    async with aclosing(batches):
        async for lines in batches:
            for line in lines:
                yield line
