"""
Fine-tuning jobs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson

from ..codec import Codec
from ..connections import Request
from ..envelope import Reply, read_acknowledgement
from ..errors import InvalidArgument, NotFound
from ..models import FineTuneJob, Page, Receipt
from ..pagination import AsyncPager
from ..retry import Operation
from ..settings import check_filter
from ..transport import Call, Transport
from .jobs import Jobs, present, words

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
        return await self._change(Operation.CANCEL, self._jobs.id_of(job))

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
        job_id = self._jobs.id_of(job)
        try:
            return await self._change(Operation.DELETE, job_id)
        except NotFound as missing:
            if not missing_ok:
                raise
            return Receipt(job_id=job_id, request_id=missing.request_id, confirmed=False)

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

    async def _change(self, operation: Operation, job_id: str) -> Receipt:
        deleting = operation is Operation.DELETE
        request = (
            self._jobs.request("DELETE", job_id)
            if deleting
            else self._jobs.request("POST", job_id, "/cancel")
        )

        def acknowledged(reply: Reply) -> Receipt:
            read_acknowledgement(reply)
            return Receipt(job_id=job_id, request_id=reply.request_id)

        call = Call(
            what=f"{'Deleting' if deleting else 'Cancelling'} {job_id}",
            operation=operation,
            request=request,
            read=acknowledged,
            infer=lambda request_id: Receipt(job_id=job_id, request_id=request_id, confirmed=False),
            look=self._jobs.look(job_id),
            when_unknown=(
                "Get the job: if it is not found, it was deleted."
                if deleting
                else "Get the job: if it is CANCELING or CANCELED, it was cancelled."
            ),
        )
        return await self._transport.send(call)


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
