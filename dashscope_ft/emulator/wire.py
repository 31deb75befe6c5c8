"""
Jobs in the form in which the service shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any

_SERVICE_TIME = timezone(timedelta(hours=8))
_USER = "1396993924585947"

ASSIGNED = frozenset(
    {
        *("job_id", "status", "create_time", "end_time", "code", "message", "usage", "output_cnt"),
        *("finetuned_output", "base_model", "group", "workspace_id"),
        *("user_identity", "modifier", "creator"),
    }
)
"""The fields of a fine-tuning job that only the service sets."""


def local_time(time: float, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """
    Return a time in the service's format, which has no zone.
    """
    return datetime.fromtimestamp(time, _SERVICE_TIME).strftime(form)


def uuid_text(random: Random) -> str:
    """
    Return a random UUID.
    """
    digits = f"{random.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def fine_tune(
    fields: Mapping[str, Any], *, job_id: str, status: str, created: float, workspace: str
) -> dict[str, Any]:
    """
    Return a fine-tuning job with the given fields, and those that the service adds.
    """
    parts = (fields["model"], fields.get("finetuned_output_suffix"), job_id)
    own = {
        "job_id": job_id,
        "job_name": job_id,
        "status": status,
        "finetuned_output": "-".join(part for part in parts if part),
        "model": fields["model"],
        "base_model": fields["model"],
        "training_file_ids": [],
        "validation_file_ids": [],
        "hyper_parameters": {},
        "training_type": "sft",
        "create_time": local_time(created),
        "workspace_id": workspace,
        "user_identity": _USER,
        "modifier": _USER,
        "creator": _USER,
        "group": "llm",
        "usage": 0,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    given.pop("finetuned_output_suffix", None)
    return own | given


def model_import(
    fields: Mapping[str, Any], *, random: Random, status: str, created: float
) -> dict[str, Any]:
    """
    Return an import job with the given fields, and those that the service adds.
    """
    date, tail = local_time(created, "%Y%m%d"), f"{random.randrange(16**4):04x}"
    storage = fields["storage_info"]
    own = {
        "job_id": uuid_text(random),
        "model_name": f"{fields['model_name']}-offline-{date}-{tail}",
        "display_name": fields.get("display_name"),
        "source": "OSS",
        "storage_info": {name: storage[name] for name in ("bucket_name", "object_key")},
        "status": status,
        "gmt_create": datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds"),
    }
    return own | ({"error_code": fields["error_code"]} if "error_code" in fields else {})
