"""
Fine-tuning jobs.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Collection, Iterable, Mapping, Sequence
from os import PathLike
from typing import Any

import orjson

from ..arguments import check_filter
from ..bulk import AsyncOutcomes, Stopping
from ..cleanup import Plan, Selection
from ..codec import Codec
from ..connections import Request
from ..envelope import Reply, read_acknowledgement
from ..errors import InvalidArgument, NotFound
from ..models import FineTuneJob, Outcome, Page, Receipt, Report
from ..pagination import AsyncPager
from ..retry import Operation
from ..transport import Call, Transport
from .jobs import Jobs, Upkeep, present, words

_LONGEST_SUFFIX = 8


class FineTunes:
    """
    The fine-tuning jobs of an account: `client.fine_tunes`.

    A job is named by its id or by a `FineTuneJob`.
    """

    def __init__(self, transport: Transport, codec: Codec) -> None:
        self._transport = transport
        self._jobs = Jobs(
            transport=transport,
            codec=codec,
            noun="fine_tunes",
            model=FineTuneJob,
            decode=codec.fine_tune_job,
            path="/fine-tunes",
            rows="jobs",
            time_field="create_time",
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
        check_filter("model", model)
        chosen = words(status)
        return self._jobs.pager(
            {"model": model},
            lambda job: _is_of(job, model) and (chosen is None or job.status in chosen),
            page_size,
        )

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
        check_filter("model", model)
        return await self._jobs.page(
            page_no, page_size, {"model": model}, lambda job: _is_of(job, model)
        )

    async def get(self, job: str | FineTuneJob) -> FineTuneJob:
        """
        Get a job as it is now.

        Raises:
            NotFound: There is none that this key and workspace may see.
            DashScopeError: The request failed.

        Wire: `GET /fine-tunes/{job_id}`.
        """
        return await self._jobs.get(job)

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
        return await self._cancel(job)

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
        try:
            return await self._delete(job)
        except NotFound as missing:
            if not (missing_ok and missing.is_from_service):
                raise
            return Receipt(
                job_id=self._jobs.id_of(job), request_id=missing.request_id, confirmed=False
            )

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
    ) -> FineTuneJob:
        """
        Create a job, which is billed: never sent twice unless the first was provably not received.

        Args:
            model: The model to tune.
            training_file_ids: The files to train on.
            training_datasets: The newer form of `training_file_ids`; one of the two is needed.
            validation_file_ids: The files to validate with.
            validation_datasets: The newer form of `validation_file_ids`.
            hyper_parameters: Such as `n_epochs`, `batch_size`, `learning_rate`; sent untouched.
            training_type: `sft`, `efficient_sft`, `cpt`, `dpo_full`, `dpo_lora`.
            job_name: The job's name; its id where None.
            model_name: The result's display name.
            finetuned_output_suffix: At most 8 characters of the result's name.
            priority: The job's place in the queue.
            extra: Fields that are newer than this library.

        Returns:
            The job as the service describes it.

        Raises:
            InvalidArgument: A field cannot be sent as it is; nothing was sent.
            QuotaExceeded: Too many jobs are running or kept; nothing was created.
            OutcomeUnknown: It was sent, and nobody can know whether a job exists.
            DashScopeError: The request failed, and nothing was created.

        Wire: `POST /fine-tunes`.
        """
        fields = present(
            model=_name("model", model),
            training_file_ids=_ids("training_file_ids", training_file_ids),
            training_datasets=_objects("training_datasets", training_datasets),
            validation_file_ids=_ids("validation_file_ids", validation_file_ids),
            validation_datasets=_objects("validation_datasets", validation_datasets),
            hyper_parameters=None if hyper_parameters is None else dict(hyper_parameters),
            training_type=check_filter("training_type", training_type),
            job_name=check_filter("job_name", job_name),
            model_name=check_filter("model_name", model_name),
            finetuned_output_suffix=check_filter(
                "finetuned_output_suffix", finetuned_output_suffix
            ),
            priority=check_filter("priority", priority),
        )
        if not ("training_file_ids" in fields or "training_datasets" in fields):
            raise InvalidArgument("Give training_file_ids or training_datasets.")
        if len(fields.get("finetuned_output_suffix", "")) > _LONGEST_SUFFIX:
            raise InvalidArgument(
                f"finetuned_output_suffix is {finetuned_output_suffix!r}; "
                f"it must have at most {_LONGEST_SUFFIX} characters."
            )
        call = Call(
            what=f"Creating a fine-tuning job of {model}",
            operation=Operation.CREATE,
            request=Request(
                method="POST",
                path="/fine-tunes",
                body=_json(fields | dict(extra or {})),
                fresh_connection=True,
            ),
            read=self._jobs.read,
            when_unknown=(
                "It may exist and be billed: list the newest jobs before creating it again."
            ),
        )
        return await self._transport.send(call)

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
        return self._jobs.many("cancel", jobs, self._cancel)

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
        return self._jobs.many("delete", jobs, self._delete, missing_ok=missing_ok)

    async def plan(self, selection: Selection) -> Plan:
        """
        Plan a clean-up: nothing is changed, and the listing it rests on is proven complete.

        Args:
            selection: Which jobs are to go.

        Raises:
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

        Args:
            plan: What `plan` gave, at this endpoint and workspace, within 24 hours.
            journal: A file that a later call with the same plan takes up where this one ended.
            max_deletes: How many jobs the plan may delete.
            max_percent: How many of a hundred listed jobs it may delete.
            cancel_running: Whether to cancel a planned job that still runs, and then delete it.
            on_outcome: Called with each `Outcome` as it ends.

        Returns:
            A report in which every planned job stands exactly once.

        Raises:
            PlanRefused: The plan is altered, too old, or made for elsewhere; nothing was deleted.
            GuardExceeded: It would delete more than its bounds allow; nothing was deleted.

        Wire: `GET`, `DELETE /fine-tunes/{job_id}`, and `POST …/cancel` where asked for.
        """
        return await self._jobs.apply(
            plan,
            Upkeep(get=self._jobs.get, cancel=self._cancel, delete=self._delete),
            journal=journal,
            max_deletes=max_deletes,
            max_percent=max_percent,
            cancel_running=cancel_running,
            on_outcome=on_outcome,
        )

    async def _cancel(self, job: object, stopping: Stopping | None = None) -> Receipt:
        return await self._change(Operation.CANCEL, self._jobs.id_of(job), stopping)

    async def _delete(self, job: object, stopping: Stopping | None = None) -> Receipt:
        return await self._change(Operation.DELETE, self._jobs.id_of(job), stopping)

    async def _change(
        self, operation: Operation, job_id: str, stopping: Stopping | None
    ) -> Receipt:
        def acknowledged(reply: Reply) -> Receipt:
            read_acknowledgement(reply)
            return Receipt(job_id=job_id, request_id=reply.request_id)

        return await self._jobs.change(job_id, operation, acknowledged, stopping)


def _is_of(job: FineTuneJob, model: str | None) -> bool:
    named = {job.model, job.base_model}
    return model is None or model in named or named == {None}


def _name(name: str, value: str) -> str:
    checked = check_filter(name, value)
    if checked is None:
        raise InvalidArgument(f"{name} is missing.")
    return checked


def _ids(name: str, values: Sequence[str] | None) -> list[str] | None:
    if values is None:
        return None
    if isinstance(values, str) or not all(isinstance(value, str) and value for value in values):
        raise InvalidArgument(f"{name} must be a list of ids.")
    if not values:
        raise InvalidArgument(f"{name} is empty; leave it out, or name at least one file.")
    return [*values]


def _objects(name: str, values: Sequence[Mapping[str, Any]] | None) -> list[Any] | None:
    if values is None:
        return None
    if isinstance(values, (str, Mapping)) or not all(isinstance(each, Mapping) for each in values):
        raise InvalidArgument(f"{name} must be a list of objects.")
    if not values:
        raise InvalidArgument(f"{name} is empty; leave it out, or name at least one.")
    return [dict(value) for value in values]


def _json(fields: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(fields)
    except TypeError as error:
        reason = str(error)
    raise InvalidArgument(f"The fields cannot be sent as JSON: {reason}.")
