"""
The requests that the service refuses, and its codes and messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """
    A refusal by the service, with an HTTP status, a code and a message.
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def usual(status: int) -> Refusal | None:
    """
    Return the usual refusal with an HTTP status, or None.
    """
    if status >= 500:
        text = "An internal error has occurred, please try again later."
        return Refusal(status, "InternalError", text)
    return Refusal(status, *_BY_STATUS[status]) if status in _BY_STATUS else None


def not_found() -> Refusal:
    """
    Return the refusal of a job that does not exist in this workspace.
    """
    return Refusal(404, *_BY_STATUS[404])


def unknown_key() -> Refusal:
    """
    Return the refusal of a key that is missing, wrong, or of another region.
    """
    return Refusal(401, *_BY_STATUS[401])


def too_fast(retry_after: float | None) -> Refusal:
    """
    Return the refusal of a request beyond the rate.
    """
    return Refusal(429, *_BY_STATUS[429], retry_after=retry_after)


def too_many_running() -> Refusal:
    """
    Return the refusal of a job beyond the quota of running ones.
    """
    text = "Too many fine-tuning jobs are running, please try again later."
    return Refusal(429, "Throttling", text)


def too_many_kept(quota: int) -> Refusal:
    """
    Return the refusal of a job beyond the quota of running and succeeded ones.
    """
    text = f"You have reached the maximum of {quota} running or succeeded fine-tuning jobs."
    return Refusal(429, "Throttling", text)


def unsupported(verb: str, status: str) -> Refusal:
    """
    Return the refusal of an operation that the state of a fine-tuning job forbids.
    """
    text = f"The fine-tuning job can not be {verb} because it is {status.lower()}."
    return Refusal(400, "UnsupportedOperation", text)


def denied(status: int) -> Refusal:
    """
    Return the refusal of an operation that the state of an import job forbids.
    """
    text = "The import job is currently running and cannot be deleted."
    return Refusal(status, "OperationDenied", text)


def invalid(text: str) -> Refusal:
    """
    Return the refusal of a parameter.
    """
    return Refusal(400, "InvalidParameter", text)


def missing(name: str) -> Refusal:
    """
    Return the refusal of a request that lacks a parameter.
    """
    return invalid(f"Missing required parameter: {name}.")


def check_range(name: str, value: int, low: int, high: int | None) -> None:
    """
    Raise a `Refusal` if a number is out of bounds.
    """
    if value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise invalid(f"Parameter {name} must be {bounds}.")


def check_job(fields: Mapping[str, Any]) -> None:
    """
    Raise a `Refusal` if a fine-tuning job lacks a parameter, or one is malformed.
    """
    _check_text(fields, "model")
    if not fields.get("training_file_ids") and not fields.get("training_datasets"):
        raise missing("training_file_ids")
    for name in ("training_file_ids", "validation_file_ids"):
        _check_array(fields, name, str, "strings")
    for name in ("training_datasets", "validation_datasets"):
        _check_array(fields, name, dict, "objects")
    if not isinstance(fields.get("hyper_parameters") or {}, dict):
        raise invalid("Parameter hyper_parameters must be an object.")
    for name in ("job_name", "model_name", "training_type", "finetuned_output_suffix"):
        _check_optional_text(fields, name)
    if len(fields.get("finetuned_output_suffix") or "") > 8:
        raise invalid("Parameter finetuned_output_suffix must have at most 8 characters.")


def check_import(fields: Mapping[str, Any]) -> None:
    """
    Raise a `Refusal` if an import job lacks a parameter, or one is malformed.
    """
    for name in ("model_name", "source", "weight_type"):
        _check_text(fields, name)
    if fields["source"].lower() != "oss":
        raise invalid("Parameter source must be oss.")
    if fields["weight_type"] not in ("full", "lora"):
        raise invalid("Parameter weight_type must be full or lora.")
    _check_optional_text(fields, "display_name")
    if len(fields.get("display_name") or "") > 50:
        raise invalid("Parameter display_name must have at most 50 characters.")
    storage = fields.get("storage_info")
    if not isinstance(storage, dict):
        raise missing("storage_info")
    for name in ("bucket_name", "object_key"):
        _check_text(storage, name)
    if not storage["object_key"].strip("/") or not storage["object_key"].endswith("/"):
        raise invalid("Parameter object_key must be a folder, ending in /, and not the root.")


def _check_text(fields: Mapping[str, Any], name: str) -> None:
    if not fields.get(name):
        raise missing(name)
    _check_optional_text(fields, name)


def _check_optional_text(fields: Mapping[str, Any], name: str) -> None:
    if not isinstance(fields.get(name) or "", str):
        raise invalid(f"Parameter {name} must be a string.")


def _check_array(fields: Mapping[str, Any], name: str, item: type, items: str) -> None:
    values = fields.get(name) or []
    if not (isinstance(values, list) and all(isinstance(value, item) for value in values)):
        raise invalid(f"Parameter {name} must be an array of {items}.")


_BY_STATUS = {
    400: ("InvalidParameter", "A parameter is missing or malformed."),
    401: ("InvalidApiKey", "Invalid API-key provided."),
    403: ("AccessDenied", "Access denied."),
    404: ("NotFound", "Not Found!"),
    409: ("Conflict", "The name is taken."),
    429: ("Throttling.RateQuota", "Requests rate limit exceeded, please try again later."),
}
