"""
The fields of a new job, and how to find the job if the answer to its creation was lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from attrs import frozen

from .arguments import LONGEST_TEXT, check_text, shown
from .errors import InvalidArgument, OutcomeUnknown
from .models import AnyJob, FineTuneJob
from .settings import UTC_PLUS_8

T = TypeVar("T")
Fields = dict[str, Any]

_PATH = re.compile(r"[/\\]|\.(jsonl?|csv|txt|zip|parquet|xlsx)$", re.IGNORECASE)
_LONGEST_SUFFIX = 8
_LONGEST_DISPLAY_NAME = 50
_LONGEST_KEY = 1023
_SLACK = timedelta(minutes=10)  # by which this clock and the service's may differ


@frozen(kw_only=True)
class Creation:
    """
    The request for a new job, and its time: enough to find the job, if there is one.
    """

    fields: Mapping[str, Any]
    """The fields that were sent."""

    begun: datetime
    """When the call began, aware."""

    ended: datetime
    """When the call ended, aware."""

    def could_be(self, job: AnyJob) -> bool:
        """
        Return whether a job may be the one: its creation time is near, and no known field differs.
        """
        created = job.create_time if isinstance(job, FineTuneJob) else job.gmt_create
        if self.distance(created) > _SLACK:
            return False
        agrees = _fine_tune_agrees if isinstance(job, FineTuneJob) else _import_agrees
        reported = job.to_dict()
        return all(agrees(name, asked, reported) for name, asked in self.fields.items())

    def distance(self, created: datetime | None) -> timedelta:
        """
        Return how long before or after the call a job was created; zero for an unknown time.
        """
        if created is None:
            return timedelta()
        # Some times are sent without a zone, and not every region's is documented: so take each one
        # as it was read, as UTC and as UTC+8.
        readings = {created, created.replace(tzinfo=UTC), created.replace(tzinfo=UTC_PLUS_8)}
        begun, ended = sorted((self.begun, self.ended))  # a clock may be set back meanwhile
        return min(max(begun - reading, reading - ended, timedelta()) for reading in readings)


def creation_of(creation: Creation | OutcomeUnknown) -> Creation:
    """
    Return the creation that an error is about, or the creation given.

    Raises:
        InvalidArgument: The error is about something else.
    """
    found = creation.creation if isinstance(creation, OutcomeUnknown) else creation
    if isinstance(found, Creation):
        return found
    raise InvalidArgument("This is not what a creation ended in: there is nothing to look for.")


def fine_tune_fields(
    *,
    model: str,
    training_file_ids: Sequence[str] | None,
    training_datasets: Sequence[Mapping[str, Any]] | None,
    validation_file_ids: Sequence[str] | None,
    validation_datasets: Sequence[Mapping[str, Any]] | None,
    hyper_parameters: Mapping[str, Any] | None,
    training_type: str | None,
    job_name: str | None,
    model_name: str | None,
    finetuned_output_suffix: str | None,
    priority: str | None,
    extra: Mapping[str, Any] | None,
) -> Fields:
    """
    Check the fields of a new fine-tuning job, and return those that are to be sent.

    Raises:
        InvalidArgument: A field is missing, empty, too long, given twice or of the wrong type.
    """
    fields = _fields(
        extra,
        model=_required_text("model", model),
        training_file_ids=_not_empty(
            "training_file_ids", _file_ids("training_file_ids", training_file_ids)
        ),
        training_datasets=_not_empty(
            "training_datasets", _objects("training_datasets", training_datasets)
        ),
        validation_file_ids=_file_ids("validation_file_ids", validation_file_ids) or None,
        validation_datasets=_objects("validation_datasets", validation_datasets) or None,
        hyper_parameters=_object("hyper_parameters", hyper_parameters),
        training_type=_text("training_type", training_type),
        job_name=_text("job_name", job_name),
        model_name=_text("model_name", model_name),
        finetuned_output_suffix=_short_text(
            "finetuned_output_suffix", finetuned_output_suffix, _LONGEST_SUFFIX
        ),
        priority=_text("priority", priority),
    )
    if not ("training_file_ids" in fields or "training_datasets" in fields):
        raise InvalidArgument("Give training_file_ids or training_datasets.")
    return fields


def import_fields(
    *,
    model_name: str,
    display_name: str | None,
    source: str,
    weight_type: str,
    bucket_name: str,
    object_key: str,
    extra: Mapping[str, Any] | None,
) -> Fields:
    """
    Check the fields of a new import job, and return those that are to be sent.

    Raises:
        InvalidArgument: A field is missing, too long, given twice or not as documented.
    """
    if weight_type not in ("full", "lora"):
        raise InvalidArgument(f"weight_type is {weight_type!r}; it must be 'full' or 'lora'.")
    folder = _required_text("object_key", object_key, _LONGEST_KEY)
    if not folder.endswith("/") or not folder.strip("/"):
        raise InvalidArgument(
            f"object_key is {folder!r}; it must be a folder, ending in '/', and not the "
            "bucket's root."
        )
    return _fields(
        extra,
        model_name=_required_text("model_name", model_name),
        display_name=_short_text("display_name", display_name, _LONGEST_DISPLAY_NAME),
        source=_required_text("source", source),
        weight_type=weight_type,
        storage_info={
            "bucket_name": _required_text("bucket_name", bucket_name),
            "object_key": folder,
        },
        bucket_name=None,  # not beside `storage_info` either
        object_key=None,
    )


def body(fields: Fields) -> bytes:
    """
    Write fields as JSON.

    Raises:
        InvalidArgument: Something in them is not JSON, such as a number that is not finite.
    """
    try:
        return json.dumps(fields, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error)
    raise InvalidArgument(f"The fields cannot be sent as JSON: {reason}.")


def _fields(extra: Mapping[str, Any] | None, /, **known: Any) -> Fields:
    """
    Join the known fields that are given with those of `extra`.
    """
    others = _object("extra", extra) or {}
    if twice := [name for name in known if name in others]:
        raise InvalidArgument(
            f"extra names {', '.join(twice)}, for which there are keywords; use those."
        )
    return {name: value for name, value in known.items() if value is not None} | others


def _text(name: str, value: object, most: int = LONGEST_TEXT) -> str | None:
    # Not a TypeError as elsewhere: the fields may have been read from a user's file.
    if value is not None and not isinstance(value, str):
        raise InvalidArgument(f"{name} must be a string, not {shown(value)}.")
    return check_text(name, value, most)


def _required_text(name: str, value: str, most: int = LONGEST_TEXT) -> str:
    checked = _text(name, value, most)
    if checked is None:
        raise InvalidArgument(f"{name} is missing.")
    return checked


def _short_text(name: str, value: str | None, most: int) -> str | None:
    checked = _text(name, value)
    if checked is not None and len(checked) > most:
        raise InvalidArgument(f"{name} is {checked!r}; it must have at most {most} characters.")
    return checked


def _file_ids(name: str, values: Sequence[str] | None) -> list[str] | None:
    ids = _several(name, values, "a list of ids", lambda value: isinstance(value, str) and value)
    if path := next(filter(_PATH.search, ids or ()), None):
        raise InvalidArgument(
            f"{name} takes ids of files that were uploaded to Model Studio; {shown(path)} looks "
            "like a path."
        )
    return ids


def _objects(name: str, values: Sequence[Mapping[str, Any]] | None) -> list[Fields] | None:
    found = _several(name, values, "a list of objects", lambda value: isinstance(value, Mapping))
    return None if found is None else [dict(value) for value in found]


def _object(name: str, value: Mapping[str, Any] | None) -> Fields | None:
    if value is not None and not isinstance(value, Mapping):
        raise InvalidArgument(f"{name} must hold names and their values, not {shown(value)}.")
    return None if value is None else dict(value)


def _several(
    name: str, values: Sequence[T] | None, kind: str, is_one: Callable[[T], object]
) -> list[T] | None:
    if values is None:
        return None
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise InvalidArgument(f"{name} must be {kind}, not {shown(values)}.")
    listed = [*values]  # once: an iterator has nothing left for a second look
    if not all(map(is_one, listed)):
        raise InvalidArgument(f"{name} must be {kind}.")
    return listed


def _not_empty(name: str, values: list[T] | None) -> list[T] | None:
    if values is not None and not values:
        raise InvalidArgument(f"{name} is empty; leave it out, or name at least one.")
    return values


def _fine_tune_agrees(name: str, asked: Any, reported: Fields) -> bool:
    if name == "model":
        named = {reported.get("model"), reported.get("base_model")} - {None}
        return not named or asked in named
    return _may_equal(asked, reported.get(name))


def _import_agrees(name: str, asked: Any, reported: Fields) -> bool:
    value = reported.get(name)
    if name == "model_name":  # the service makes a name of its own from it
        return not value or str(value).startswith(str(asked))
    if name == "source":
        return not value or str(value).casefold() == str(asked).casefold()
    return _may_equal(asked, value)


def _may_equal(asked: Any, reported: Any) -> bool:
    """
    Return whether a field as sent may be the same as reported: it is, but for its type, or the
    service does not report it, or its value was left to the service.
    """
    if asked is None or reported in (None, "", [], {}):
        return True
    if asked == reported or str(asked) == str(reported):
        return True
    if isinstance(asked, Mapping) and isinstance(reported, Mapping):
        return all(_may_equal(value, reported.get(name)) for name, value in asked.items())
    if isinstance(asked, list | tuple) and isinstance(reported, list):
        return len(asked) == len(reported) and all(map(_may_equal, asked, reported))
    try:
        return float(str(asked)) == float(str(reported))
    except ValueError:
        return False
