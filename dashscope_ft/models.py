"""
The service's objects as attrs classes.

Jobs have the API's own field names. Only `job_id` is guaranteed: a field that is absent or
cannot be parsed is None (`status`: an empty string); in the latter case `extra` has the raw value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from attrs import define, field, fields, frozen

T = TypeVar("T")


class JobStatus:
    """
    The known statuses of a fine-tuning job. The service may add others.
    """

    PENDING: Final = "PENDING"
    QUEUING: Final = "QUEUING"
    RUNNING: Final = "RUNNING"
    CANCELING: Final = "CANCELING"
    SUCCEEDED: Final = "SUCCEEDED"
    FAILED: Final = "FAILED"
    CANCELED: Final = "CANCELED"

    FINISHED: Final = frozenset({SUCCEEDED, FAILED, CANCELED})
    KNOWN: Final = FINISHED | {PENDING, QUEUING, RUNNING, CANCELING}


class ImportStatus:
    """
    The known statuses of an import job, spelled as the service spells them: `SUCCESSED`.
    """

    PENDING: Final = "PENDING"
    RUNNING: Final = "RUNNING"
    SUCCESSED: Final = "SUCCESSED"
    FAILED: Final = "FAILED"

    FINISHED: Final = frozenset({SUCCESSED, FAILED})
    KNOWN: Final = FINISHED | {PENDING, RUNNING}
    SPELLINGS: Final[Mapping[str, str]] = {"SUCCEEDED": SUCCESSED}
    """Other spellings, and the status that each is read as."""


KNOWN_STATUSES: Final = JobStatus.KNOWN | ImportStatus.KNOWN
"""All known statuses, of both kinds of job."""

FINISHED_STATUSES: Final = JobStatus.FINISHED | ImportStatus.FINISHED
"""The final statuses of both kinds of job."""

CANCELED_STATUSES: Final = frozenset({JobStatus.CANCELING, JobStatus.CANCELED})
"""The statuses that show that the service accepted a cancellation."""


@define(repr=False)
class FineTuneJob:
    """
    A fine-tuning job.
    """

    job_id: str
    """The job's id, such as `ft-202410291653-1c7f`."""

    status: str = ""
    """One of `JobStatus`, or a newer status; empty if the service sent none."""

    job_name: str | None = None
    """The job's name; the service takes the id unless one was given."""

    model: str | None = None
    """The model that is tuned."""

    base_model: str | None = None
    """The foundation model that `model` derives from."""

    finetuned_output: str | None = None
    """The name of the resulting model; set even before the job has succeeded."""

    model_name: str | None = None
    """The result's display name."""

    training_type: str | None = None
    """`sft`, `efficient_sft`, `cpt`, `dpo_full`, `dpo_lora`, or one that is newer."""

    training_file_ids: list[str] | None = None
    """The files trained on."""

    validation_file_ids: list[str] | None = None
    """The files validated with."""

    training_datasets: list[dict[str, Any]] | None = None
    """The newer form of `training_file_ids`."""

    validation_datasets: list[dict[str, Any]] | None = None
    """The newer form of `validation_file_ids`."""

    hyper_parameters: dict[str, Any] | None = None
    """The hyperparameters it was created with, untouched: a number may come as a string."""

    create_time: datetime | None = None
    """When the job was created, aware."""

    end_time: datetime | None = None
    """When the job ended, aware."""

    usage: int | None = None
    """Tokens used."""

    output_cnt: int | None = None
    """How many checkpoints there are, for models that keep several."""

    max_output_cnt: int | None = None
    """How many checkpoints there can be."""

    charge_type: str | None = None
    """How the job is billed."""

    priority: str | None = None
    """The job's place in the queue."""

    workspace_id: str | None = None
    """The workspace it belongs to."""

    user_identity: str | None = None
    """The account it belongs to."""

    creator: str | None = None
    """Who created it."""

    modifier: str | None = None
    """Who changed it last."""

    group: str | None = None
    """The service's name for the kind of job, such as `llm`."""

    code: str | None = None
    """The job's own failure code, not the request's."""

    message: str | None = None
    """The job's own failure message, not the request's."""

    extra: dict[str, Any] = field(factory=dict)
    """Fields that are newer than this library, and raw values that could not be read."""

    def __repr__(self) -> str:
        return _repr_without_defaults(self)

    @property
    def is_finished(self) -> bool:
        """
        Whether the status is final. An unknown status counts as not final.
        """
        return self.status in JobStatus.FINISHED

    def to_dict(self) -> dict[str, Any]:
        """
        Return the job as the API's JSON object, without fields that have default values.
        """
        return _wire_dict(self, _format_local_time)


@define(repr=False)
class ImportJob:
    """
    A model-import job.
    """

    job_id: str
    """The job's id, a UUID."""

    status: str = field(default="", metadata={"spellings": ImportStatus.SPELLINGS})
    """One of `ImportStatus` (`SUCCEEDED` is read as `SUCCESSED`), or a newer status."""

    model_name: str | None = None
    """The generated name, such as `qwen3-32b-offline-20240101-abc1`."""

    display_name: str | None = None
    """The name that was given."""

    source: str | None = None
    """Where the weights come from: `OSS`."""

    weight_type: str | None = None
    """`full` or `lora`; the service sends it in the answer to a creation only."""

    storage_info: dict[str, Any] | None = None
    """Where the weights are stored: `bucket_name`, `object_key`."""

    gmt_create: datetime | None = field(default=None, metadata={"keeps_offset": True})
    """When the job was created, aware."""

    error_code: str | None = None
    """Why it failed, in free text."""

    extra: dict[str, Any] = field(factory=dict)
    """Fields that are newer than this library, and raw values that could not be read."""

    def __repr__(self) -> str:
        return _repr_without_defaults(self)

    @property
    def is_finished(self) -> bool:
        """
        Whether the status is final. An unknown status counts as not final.
        """
        return self.status in ImportStatus.FINISHED

    def to_dict(self) -> dict[str, Any]:
        """
        Return the job as the API's JSON object, without fields that have default values.
        """
        return _wire_dict(self, _format_offset_time)


@define(repr=False)
class Checkpoint:
    """
    A snapshot of the model that training saved.
    """

    checkpoint: str = ""
    """Its name within the job, such as `checkpoint-30`."""

    checkpoint_id: str | None = None
    """Job id and name, joined by a colon."""

    full_name: str | None = None
    """The service's full name for it."""

    job_id: str | None = None
    """The job that it belongs to."""

    step: int | None = None
    """The training step that it was taken at."""

    status: str = ""
    """
    The status of its export: `PENDING`, `PROCESSING`, `SUCCEEDED`, `FAILED`, `UNSUPPORTED`, or a
    newer one; empty if the service sent none.
    """

    model_name: str | None = None
    """The model it was published as."""

    model_display_name: str | None = None
    """That model's display name."""

    create_time: datetime | None = None
    """When it was taken, aware."""

    expire_time: datetime | None = None
    """When the service drops it, aware."""

    extra: dict[str, Any] = field(factory=dict)
    """Fields that are newer than this library, and raw values that could not be read."""

    def __repr__(self) -> str:
        return _repr_without_defaults(self)

    def to_dict(self) -> dict[str, Any]:
        """
        Return the checkpoint as the API's JSON object, without fields that have default values.
        """
        return _wire_dict(self, _format_zoneless_iso_time)


@frozen(kw_only=True)
class Page(Generic[T]):
    """
    One page of a listing, as the service gave it.
    """

    items: list[T]
    """The jobs on it."""

    page_no: int
    """Its number, from 1."""

    page_size: int
    """How many jobs a full page has, as the service says: it may differ from what was asked."""

    total: int
    """The number of jobs according to the service; if it sends none, the number known to exist."""

    request_id: str | None = None
    """The service's id of the request."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


Noun = Literal["fine_tunes", "imports"]

NOUN_IN_WORDS: Final[Mapping[Noun, str]] = {
    "fine_tunes": "fine-tuning jobs",
    "imports": "import jobs",
}
"""What to call the jobs of each kind, for messages."""

AnyJob: TypeAlias = FineTuneJob | ImportJob


def _repr_without_defaults(model: AnyJob | Checkpoint) -> str:
    values = ((each, getattr(model, each.name)) for each in fields(type(model)))
    shown = [
        f"{each.name}={value!r}"
        for each, value in values
        if value != each.default and (each.name != "extra" or value)
    ]
    return f"{type(model).__name__}({', '.join(shown)})"


def _wire_dict(
    model: AnyJob | Checkpoint, format_time: Callable[[datetime], str]
) -> dict[str, Any]:
    wire: dict[str, Any] = {}
    for attribute in fields(type(model)):
        value = getattr(model, attribute.name)
        if attribute.name != "extra" and value != attribute.default:
            wire[attribute.name] = format_time(value) if isinstance(value, datetime) else value
    return wire | model.extra


def _format_local_time(time: datetime) -> str:
    # Not by strftime, which drops leading zeros of a year on some systems.
    return time.replace(tzinfo=None).isoformat(" ")


def _format_zoneless_iso_time(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat()


def _format_offset_time(time: datetime) -> str:
    return time.isoformat(timespec="auto" if time.microsecond % 1000 else "milliseconds")
