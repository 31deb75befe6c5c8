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
from os import PathLike
from typing import TYPE_CHECKING, Any

from ..arguments import check_text
from ..bulk import AsyncOutcomes
from ..codec import Codec
from ..creation import Creation, fine_tune_fields
from ..errors import OutcomeUnknown
from ..models import Checkpoint, FineTuneJob, Outcome, Page, Receipt, Report
from ..pagination import AsyncPager
from ..transport import Transport
from ..waiting import when_there_is_room
from .jobs import JobLookout, Jobs, acknowledged, words

if TYPE_CHECKING:
    from ..cleanup import Plan, Selection
    from ..tail import Progress
    from ..training_log import TrainingLog
    from .checkpoints import Checkpoints
    from .logs import Logs

_CAPACITY_INTERVAL = 15.0  # seconds between two looks at the jobs that are in the way


class FineTunes:
    """
    The fine-tuning jobs of an account: `client.fine_tunes`.

    A job is named by its id or by a `FineTuneJob`.
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

    def list(
        self,
        *,
        model: str | None = None,
        status: str | Collection[str] | None = None,
        page_size: int | None = None,
    ) -> AsyncPager[FineTuneJob]:
        """
        Walk the jobs, newest first, losing none while the list changes.

        Args:
            model: The model tuned, or its root. Sent, and checked again on every row.
            status: A word of `JobStatus` or several. Applied here, never sent.
            page_size: Jobs a request, 20 to 100; the client's where None.

        Returns:
            A pager. Nothing is sent before its first use.

        Raises:
            InvalidArgument: A filter or the page size cannot be one.

        Wire: `GET /fine-tunes`.
        """
        model = check_text("model", model)
        chosen = words(status)

        def wanted(job: FineTuneJob) -> bool:
            return _is_of(job, model) and (chosen is None or job.status in chosen)

        filtered = model is not None or chosen is not None
        return self._jobs.pager({"model": model}, wanted if filtered else None, page_size)

    async def page(
        self, page_no: int = 1, page_size: int = 10, *, model: str | None = None
    ) -> Page[FineTuneJob]:
        """
        Read one page, as the service numbers them: no proof that none is missed in between.

        Args:
            page_no: From 1.
            page_size: 1 to 100.
            model: The model tuned, or its root. Sent, and checked again on every row.

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
            NotFound: There is none that this key and workspace may see.
            DashScopeError: The request failed.

        Wire: `GET /fine-tunes/{job_id}`.
        """
        return await self._jobs.get(job_id)

    async def cancel(self, job: str | FineTuneJob) -> Receipt:
        """
        Cancel a job. It passes through `CANCELING`: get or wait for it to know when it ended.

        A lost answer is resolved by looking at the job, and then `confirmed` is False.

        Raises:
            StateConflict: It has ended already; `job_status` says how.
            NotFound: There is none that this key and workspace may see.
            OutcomeUnknown: It was asked for, and nobody can know what came of it.
            DashScopeError: The request failed, and nothing happened.

        Wire: `POST /fine-tunes/{job_id}/cancel`.
        """
        return await self._jobs.cancel(job)

    async def delete(self, job: str | FineTuneJob, *, missing_ok: bool = False) -> Receipt:
        """
        Delete a job. Which states allow it is the service's to decide.

        A lost answer is resolved by asking again, and then `confirmed` is False.

        Args:
            job: The job.
            missing_ok: Whether a job that is not there will do; `confirmed` is False then.

        Raises:
            StateConflict: Its state forbids it; `job_status` says which that is.
            NotFound: There is none that this key and workspace may see.
            OutcomeUnknown: It was asked for, and nobody can know what came of it.
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
        Create a job, which is billed: never sent twice unless the first was provably not received.

        Args:
            model: The model to tune.
            training_file_ids: The files to train on.
            training_datasets: The newer form of `training_file_ids`; one of the two is needed.
            validation_file_ids: The files to validate with; an empty list is none given.
            validation_datasets: The newer form of `validation_file_ids`, likewise.
            hyper_parameters: Such as `n_epochs`, `batch_size`, `learning_rate`; sent untouched.
            training_type: `sft`, `efficient_sft`, `cpt`, `dpo_full`, `dpo_lora`.
            job_name: The job's name; its id where None.
            model_name: The result's display name.
            finetuned_output_suffix: At most 8 characters of the result's name.
            priority: The job's place in the queue.
            extra: Fields that are newer than this library; none that has a keyword.
            wait_for_capacity: Seconds to wait for running jobs to end, where they are too many;
                None not to wait. A quota of kept jobs is never waited for.

        Returns:
            The job as the service describes it.

        Raises:
            InvalidArgument: A field cannot be sent as it is; nothing was sent.
            QuotaExceeded: Too many jobs are running or kept; nothing was created.
            OutcomeUnknown: It was sent, and nobody can know whether a job exists; it has what
                `reconcile_create` takes.
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
        vigil = self._jobs.vigil(_CAPACITY_INTERVAL, wait_for_capacity)

        async def running() -> Collection[str]:
            jobs = self._jobs.within(vigil.left)
            pager = jobs.pager({}, lambda job: not job.is_finished, None)
            return [job.job_id for job in await pager.collect()]

        return await when_there_is_room(create, running, JobLookout(self._jobs), vigil)

    async def reconcile_create(
        self, creation: Creation | OutcomeUnknown
    ) -> builtins.list[FineTuneJob]:
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
        Wait until a job has ended. Failed looks and unknown words are waited through.

        Args:
            job: The job.
            poll_interval: Seconds between two looks.
            deadline: Seconds for all of it.
            check: Whether a job that failed or was cancelled is an error.

        Returns:
            The finished job.

        Raises:
            JobFailed: It ended as `FAILED` or `CANCELED`; with its own code and message.
            DeadlineExceeded: It has not ended in time; `last_status` says how it was.
            NotFound: There is none that this key and workspace may see.
            DashScopeError: A look failed, and another one would too.

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
        Wait until all of several jobs have ended, looking at pages of the listing.

        Args:
            jobs: Ids and jobs, from any iterable or async iterable, such as a pager.
            poll_interval: Seconds between two looks at all of them.
            deadline: Seconds for all of it; a source that takes longer is read to its end first.
            check: Whether a job that failed or was cancelled is an error, once all have ended.
            on_look: A plain function, called after each look with the last status of each job
                that has not ended, None before it is known; on the client's own event loop, as
                `on_outcome` is.

        Returns:
            The finished jobs in the order given, each once.

        Raises:
            JobFailed: One ended as `FAILED` or `CANCELED`; with its own code and message.
            DeadlineExceeded: Some have not ended in time; `last_status` is the first one's.
            NotFound: One is not there, or not any more.
            DashScopeError: A look failed, and another one would too.

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
            NotFound: There is none that this key and workspace may see.
            DeadlineExceeded: It was followed, and has not ended in time.
            MalformedResponse: It ended below the number of lines that the service counts.
            DashScopeError: A request failed.

        Wire: `GET /fine-tunes/{job_id}/logs`, and `GET /fine-tunes/{job_id}` when following.
        """
        job_id = self._jobs.id_of(job)
        if not follow:
            return self._logs.lines(job_id)
        return self._logs.new_lines(job_id, self._jobs.vigil(poll_interval, deadline))

    async def training_log(self, job: str | FineTuneJob) -> TrainingLog:
        """
        Read a job's log as it is now, and the figures in it as typed series.

        Raises:
            NotFound: There is none that this key and workspace may see.
            MalformedResponse: It ended below the number of lines that the service counts.
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
            poll_interval: Seconds between two looks.
            deadline: Seconds for all of it.

        Yields:
            How far it is, at least once a look; the last one is of the finished job.

        Raises:
            NotFound: There is none that this key and workspace may see.
            DeadlineExceeded: It has not ended in time; `last_status` says how it was.
            MalformedResponse: It has, but its log ended below the number of lines that the
                service counts.
            DashScopeError: A look failed, and another one would too.

        Wire: `GET /fine-tunes/{job_id}`, `GET /fine-tunes/{job_id}/logs`.
        """
        job_id = self._jobs.id_of(job)
        return self._logs.watch(job_id, self._jobs.vigil(poll_interval, deadline))

    async def checkpoints(self, job: str | FineTuneJob) -> builtins.list[Checkpoint]:
        """
        List what training has kept of a job, by step, the first first.

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
        Publish a checkpoint as a model: never asked for twice, since it is a GET that changes.

        Args:
            job: The job.
            checkpoint: The checkpoint or its name, such as `checkpoint-30`.
            model_name: The model's name.

        Returns:
            The acknowledgement. The export goes on behind it: see `wait_for_export`.

        Raises:
            InvalidArgument: The name cannot be one, or the checkpoint is another job's.
            StateConflict: It cannot be exported, or is being exported already; `job_status` is
                the job's.
            NotFound: There is no such job or checkpoint.
            OutcomeUnknown: It was asked for, and nobody can know what came of it.
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
        Wait until a checkpoint that is being exported is a model.

        Args:
            job: The job.
            checkpoint: The checkpoint or its name.
            poll_interval: Seconds between two looks.
            deadline: Seconds for all of it.
            check: Whether an export that failed, or cannot be, is an error.

        Returns:
            The checkpoint, with the `model_name` that it was published as.

        Raises:
            InvalidArgument: The name cannot be one, or the checkpoint is another job's.
            JobFailed: The export failed, or is not supported.
            DeadlineExceeded: It is not there in time; `last_status` is the checkpoint's.
            NotFound: There is no such job or checkpoint.
            DashScopeError: A look failed, and another one would too.

        Wire: `GET /fine-tunes/{job_id}/checkpoints`.
        """
        vigil = self._jobs.vigil(poll_interval, deadline)
        return await self._checkpoints.wait(self._jobs.id_of(job), checkpoint, vigil, check=check)

    def cancel_many(
        self, jobs: Iterable[str | FineTuneJob] | AsyncIterable[str | FineTuneJob]
    ) -> AsyncOutcomes:
        """
        Cancel many jobs, each alone: one that fails stops no other.

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
        Delete many jobs, each alone: one that fails stops no other.

        Args:
            jobs: Ids and jobs, from any iterable or async iterable, such as a pager.
            missing_ok: Whether a bare id that is not found will do.

        Returns:
            A run that begins at its first `async for` or `report()`: an `Outcome` for each job.

        Raises:
            TypeError: Something is neither an id nor a `FineTuneJob`.

        Wire: `DELETE /fine-tunes/{job_id}`, one for each.
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
        Carry a plan out: look at each job once more, and delete what still matches.

        Being interrupted, it raises with the report so far: `CancelledError` (blocking:
        `KeyboardInterrupt`) carries it as `report`.

        Args:
            plan: What `plan` gave, at this endpoint and workspace, within 24 hours.
            journal: A file that a later call with the same plan takes up where this one ended.
            max_deletes: How many jobs the plan may delete.
            max_percent: How many of a hundred listed jobs it may delete.
            cancel_running: Whether to cancel a planned job that still runs, and then delete it.
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
