"""
Jobs like those of an account after months of use; equal random numbers make equal jobs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from ..models import ImportStatus, JobStatus
from .wire import uuid_text

MODELS = ("qwen3-8b", "qwen3-14b", "qwen3-32b", "qwen2.5-7b-instruct", "qwen2.5-72b-instruct")

_UNFINISHED = (JobStatus.PENDING, JobStatus.QUEUING, JobStatus.RUNNING, JobStatus.RUNNING)
_FINISHED = (JobStatus.SUCCEEDED,) * 5 + (JobStatus.FAILED,) * 3 + (JobStatus.CANCELED,) * 2
_FINISHED_IMPORTS = (ImportStatus.SUCCESSED,) * 3 + (ImportStatus.FAILED,)
_USERS = ("1396993924585947", "1396993924585101", "1396993924585202")


class Seed(NamedTuple):
    """
    A job to be added.
    """

    fields: dict[str, Any]
    """Its fields."""

    status: str
    """Its status."""

    created: float
    """When it was created."""


def jobs(
    random: Random,
    count: int,
    now: float,
    *,
    statuses: str | Sequence[str] | None,
    models: str | Sequence[str],
    same_second: int,
) -> Iterator[Seed]:
    """
    Yield plausible fine-tuning jobs, oldest first; the arguments are those of `Account.seed`.
    """
    words = _statuses(random, count, statuses)
    times = _times(random, count, now, same_second)
    for status, created in zip(words, times, strict=True):
        yield Seed(_job_fields(random, status, models), status, created)


def imports(
    random: Random,
    count: int,
    now: float,
    *,
    statuses: str | Sequence[str] | None,
    models: str | Sequence[str],
) -> Iterator[Seed]:
    """
    Yield plausible import jobs, oldest first; the arguments are those of `Account.seed`.
    """
    words = _import_statuses(random, count, statuses)
    for status, created in zip(words, _times(random, count, now), strict=True):
        yield Seed(_import_fields(random, status, models), status, created)


def _statuses(random: Random, count: int, chosen: str | Sequence[str] | None) -> list[str]:
    """
    Return a status for each job, oldest first: by default, the newest tenth is unfinished.
    """
    if chosen is not None:
        return [_choice(random, chosen) for _ in range(count)]
    unfinished = count // 10
    finished = [random.choice(_FINISHED) for _ in range(count - unfinished)]
    return finished + [random.choice(_UNFINISHED) for _ in range(unfinished)]


def _import_statuses(random: Random, count: int, chosen: str | Sequence[str] | None) -> list[str]:
    """
    Return a status for each import, oldest first: by default, the newest is running.
    """
    if chosen is not None:
        return [_choice(random, chosen) for _ in range(count)]
    finished = [random.choice(_FINISHED_IMPORTS) for _ in range(count)]
    return [*finished[:-1], ImportStatus.RUNNING] if count > 1 else finished


def _times(random: Random, count: int, now: float, same_second: int = 0) -> list[float]:
    """
    Return times before now, oldest first.

    Each is a different second, except for `same_second` jobs in the middle, which share one.
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


def _job_fields(random: Random, status: str, models: str | Sequence[str]) -> dict[str, Any]:
    """
    Return the fields of a plausible fine-tuning job, including its result.
    """
    model, user = _choice(random, models), random.choice(_USERS)
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
        "user_identity": _USERS[0],
        "creator": user,
        "modifier": user,
        "usage": random.randint(20_000, 900_000) if status == JobStatus.SUCCEEDED else 0,
    }
    if status == JobStatus.CANCELED:
        fields["code"] = "1"
    if status == JobStatus.FAILED:
        fields |= {"code": "InvalidFile", "message": "A line of the training file is not JSON."}
    return fields


def _import_fields(random: Random, status: str, models: str | Sequence[str]) -> dict[str, Any]:
    """
    Return the fields of a plausible import job, including its error.
    """
    model = _choice(random, models)
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


def _choice(random: Random, words: str | Sequence[str]) -> str:
    return random.choice((words,) if isinstance(words, str) else words)
