"""
Jobs as an account has them after months of use, the same ones for the same randomness.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from dashscope_ft.models import ImportStatus, JobStatus

from .wire import uuid_text

MODELS = ("qwen3-8b", "qwen3-14b", "qwen3-32b", "qwen2.5-7b-instruct", "qwen2.5-72b-instruct")

_LIVE = (JobStatus.PENDING, JobStatus.QUEUING, JobStatus.RUNNING, JobStatus.RUNNING)
_OVER = (JobStatus.SUCCEEDED,) * 5 + (JobStatus.FAILED,) * 3 + (JobStatus.CANCELED,) * 2
_IMPORT_OVER = (ImportStatus.SUCCESSED,) * 3 + (ImportStatus.FAILED,)
_PEOPLE = ("1396993924585947", "1396993924585101", "1396993924585202")


def statuses(random: Random, count: int, chosen: Sequence[str] | None) -> list[str]:
    """
    Return a status each, oldest job first: the newest tenth is alive unless some are chosen.
    """
    if chosen is not None:
        return [random.choice(chosen) for _ in range(count)]
    alive = count // 10
    over = [random.choice(_OVER) for _ in range(count - alive)]
    return over + [random.choice(_LIVE) for _ in range(alive)]


def import_statuses(random: Random, count: int, chosen: Sequence[str] | None) -> list[str]:
    """
    Return a status each, oldest import first: the newest is running unless some are chosen.
    """
    if chosen is not None:
        return [random.choice(chosen) for _ in range(count)]
    over = [random.choice(_IMPORT_OVER) for _ in range(count)]
    return [*over[:-1], ImportStatus.RUNNING] if count > 1 else over


def times(random: Random, count: int, now: float, same_second: int = 0) -> list[float]:
    """
    Return times before now, oldest first.

    Each is another second, but for the given number of jobs in the middle, which share one.
    """
    same_second = min(same_second, count)
    first = (count - same_second) // 2
    tied = range(first + 1, first + same_second)
    moment, newest_first = float(int(now)), []
    for index in range(count):
        if index not in tied:
            moment -= random.randint(1, 7_200)
        newest_first.append(moment)
    return newest_first[::-1]


def job_fields(random: Random, status: str, models: Sequence[str]) -> dict[str, Any]:
    """
    Return what someone might have created a fine-tuning job with, and how it went.
    """
    model, person = random.choice(models), random.choice(_PEOPLE)
    fields: dict[str, Any] = {
        "model": model,
        "training_file_ids": [uuid_text(random)],
        "validation_file_ids": [],
        "hyper_parameters": {
            "n_epochs": random.choice((1, 2, 3)),
            "batch_size": random.choice((16, 32, "128")),
            "max_length": 8192,
            "learning_rate": random.choice(("1.6e-5", 1.6e-05, "3e-4")),
            "lr_scheduler_type": "linear",
            "split": 0.9,
        },
        "training_type": random.choice(("sft", "efficient_sft", "dpo_lora")),
        "user_identity": _PEOPLE[0],
        "creator": person,
        "modifier": person,
        "usage": random.randint(20_000, 900_000) if status == JobStatus.SUCCEEDED else 0,
    }
    if status == JobStatus.CANCELED:
        fields["code"] = "1"
    if status == JobStatus.FAILED:
        fields |= {"code": "InvalidFile", "message": "A line of the training file is not JSON."}
    return fields


def import_fields(random: Random, status: str, models: Sequence[str]) -> dict[str, Any]:
    """
    Return what someone might have imported, and how it went.
    """
    model = random.choice(models)
    fields: dict[str, Any] = {
        "model_name": model,
        "display_name": f"Weights of team {random.randint(1, 9)}",
        "source": "oss",
        "weight_type": random.choice(("full", "lora")),
        "storage_info": {"bucket_name": "team-weights", "object_key": f"models/{model}/"},
    }
    if status == ImportStatus.FAILED:
        fields["error_code"] = "The weights' configuration could not be read."
    return fields
