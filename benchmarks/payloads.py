"""
The jobs that every contender reads, the same bytes for all.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from random import Random
from typing import Any, Literal

import orjson

Flavour = Literal["plain", "odd"]
"""
`plain` rows are as documented. `odd` ones carry fields and words that are newer than any client.
"""

_NEWEST = datetime(2026, 11, 1, 12)
_STATUSES = ("SUCCEEDED", "SUCCEEDED", "SUCCEEDED", "FAILED", "CANCELED", "RUNNING")
_MODELS = ("qwen3-8b", "qwen3-14b", "qwen3-32b", "qwen2.5-72b-instruct")
_OWNER = "1396993924585947"


@cache
def rows(flavour: Flavour, count: int) -> list[bytes]:
    """
    Return that many jobs as JSON, newest first.
    """
    random, time, made = Random(count), _NEWEST, []
    for _ in range(count):
        time -= timedelta(seconds=random.randint(1, 7_200))
        row = _row(random, time)
        made.append(orjson.dumps(_odd(row) if flavour == "odd" else row))
    return made


def row(flavour: Flavour, count: int, job_id: str) -> bytes:
    """
    Return one of those jobs; by an id that none of them has, the newest under that id.
    """
    found = _by_id(flavour, count).get(job_id)
    return found or orjson.dumps(orjson.loads(rows(flavour, count)[0]) | {"job_id": job_id})


@cache
def _by_id(flavour: Flavour, count: int) -> dict[str, bytes]:
    return {orjson.loads(row)["job_id"]: row for row in rows(flavour, count)}


def page(flavour: Flavour, count: int, page_no: int, page_size: int) -> bytes:
    """
    Return the body of one page of those jobs.
    """
    start = (page_no - 1) * page_size
    head = {"page_no": page_no, "page_size": page_size, "total": count}
    # The rows are JSON already: only what is around them is put together.
    opening = orjson.dumps({"request_id": _uuid(Random(page_no)), "output": head})[:-2]
    jobs = b",".join(rows(flavour, count)[start : start + page_size])
    return opening + b',"jobs":[' + jobs + b"]}}"


def _row(random: Random, time: datetime) -> dict[str, Any]:
    status, model = random.choice(_STATUSES), random.choice(_MODELS)
    job_id = f"ft-{time:%Y%m%d%H%M}-{random.randrange(16**4):04x}"
    row: dict[str, Any] = {"job_id": job_id, "job_name": job_id, "status": status}
    if status == "SUCCEEDED":
        row["finetuned_output"] = f"{model}-suffix-{job_id}"
    row |= {
        "model": model,
        "base_model": model,
        "training_file_ids": [_uuid(random) for _ in range(random.randint(1, 2))],
        "validation_file_ids": [],
        "hyper_parameters": {
            "n_epochs": random.randint(1, 5),
            "batch_size": 32,
            "max_length": 8192,
            "learning_rate": "1.6e-5",
            "lr_scheduler_type": "linear",
            "split": 0.9,
        },
    }
    if status == "CANCELED":
        row["code"] = "1"
    row |= {
        "training_type": "sft",
        "create_time": f"{time:%Y-%m-%d %H:%M:%S}",
        "workspace_id": "llm-v71tlv3kd8",
        "user_identity": _OWNER,
        "modifier": _OWNER,
        "creator": _OWNER,
    }
    if status != "RUNNING":
        row["end_time"] = f"{time + timedelta(minutes=18):%Y-%m-%d %H:%M:%S}"
    return row | {"group": "llm", "usage": random.randrange(900_000)}


def _odd(row: dict[str, Any]) -> dict[str, Any]:
    newer = {"cluster": "pai-7", "labels": {"team": "search", "tier": 2}, "spot": True}
    return row | newer | {"status": "ARCHIVED", "training_type": "grpo_lora"}


def _uuid(random: Random) -> str:
    digits = f"{random.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
