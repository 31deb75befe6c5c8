"""
What the service wants of a request before it looks at any job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .records import Refusal


def invalid(text: str) -> Refusal:
    """
    Return the refusal of a parameter.
    """
    return Refusal(400, "InvalidParameter", text)


def missing(name: str) -> Refusal:
    """
    Return the refusal of a request without a parameter.
    """
    return invalid(f"Missing required parameter: {name}.")


def check_range(name: str, value: int, low: int, high: int | None) -> None:
    """
    Refuse a number that is out of bounds.
    """
    if value < low or (high is not None and value > high):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise invalid(f"Parameter {name} must be {bounds}.")


def check_job(fields: Mapping[str, Any]) -> None:
    """
    Refuse a fine-tuning job that lacks something, or has it in another form.
    """
    _check_text(fields, "model")
    if not fields.get("training_file_ids") and not fields.get("training_datasets"):
        raise missing("training_file_ids")
    for name in ("training_file_ids", "validation_file_ids", "training_datasets"):
        if not isinstance(fields.get(name) or [], list):
            raise invalid(f"Parameter {name} must be an array.")
    if not isinstance(fields.get("hyper_parameters") or {}, dict):
        raise invalid("Parameter hyper_parameters must be an object.")
    if len(str(fields.get("finetuned_output_suffix") or "")) > 8:
        raise invalid("Parameter finetuned_output_suffix must have at most 8 characters.")


def check_import(fields: Mapping[str, Any]) -> None:
    """
    Refuse an import that lacks something, or has it in another form.
    """
    for name in ("model_name", "source", "weight_type"):
        _check_text(fields, name)
    if fields["source"].lower() != "oss":
        raise invalid("Parameter source must be oss.")
    if fields["weight_type"] not in ("full", "lora"):
        raise invalid("Parameter weight_type must be full or lora.")
    if len(str(fields.get("display_name") or "")) > 50:
        raise invalid("Parameter display_name must have at most 50 characters.")
    storage = fields.get("storage_info")
    if not isinstance(storage, dict):
        raise missing("storage_info")
    for name in ("bucket_name", "object_key"):
        _check_text(storage, name)
    if storage["object_key"] == "/" or not storage["object_key"].endswith("/"):
        raise invalid("Parameter object_key must be a folder, ending in /, and not the root.")


def _check_text(fields: Mapping[str, Any], name: str) -> None:
    if not fields.get(name):
        raise missing(name)
    if not isinstance(fields[name], str):
        raise invalid(f"Parameter {name} must be a string.")
