"""
The log lines and checkpoints of a training run, which are the same at every read.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any

from .records import Record
from .wire import local_time

_STEPS_PER_EPOCH = 20
_DAY = 86_400.0


def log_lines(record: Record, now: float) -> list[str]:
    """
    Return the log lines that training has written so far.
    """
    if record.log is not None:
        return record.log
    if record.begins is None or record.ends is None or now < record.begins:
        return []
    reached = _reached(record, now)
    return [text for time, text in _full_log(record, record.begins, record.ends) if time <= reached]


def checkpoints(record: Record, now: float) -> list[dict[str, Any]]:
    """
    Return the checkpoints that training has saved so far, one per epoch.
    """
    if record.begins is None or record.ends is None:
        return []
    reached = _reached(record, now)
    epochs, job_id = _epochs(record.wire), record.job_id
    kept = []
    for epoch in range(1, epochs + 1):
        taken = record.begins + (record.ends - record.begins) * epoch / epochs
        if taken > reached:
            break
        name = f"checkpoint-{epoch * _STEPS_PER_EPOCH}"
        checkpoint: dict[str, Any] = {
            "checkpoint_id": f"{job_id}:{name}",
            "full_name": f"{job_id}:{name}",
            "checkpoint": name,
            "job_id": job_id,
            "step": epoch * _STEPS_PER_EPOCH,
            "status": "PENDING",
            "create_time": local_time(taken, "%Y-%m-%dT%H:%M:%S"),
            "expire_time": local_time(taken + 30 * _DAY, "%Y-%m-%dT%H:%M:%S"),
        }
        if name in record.exports:
            exported, display_name = record.exports[name]
            checkpoint["status"] = "PROCESSING" if now < exported else "SUCCEEDED"
            checkpoint["model_display_name"] = display_name
            if now >= exported:
                checkpoint["model_name"] = f"{record.wire.get('finetuned_output')}-{name}"
        kept.append(checkpoint)
    return kept


def _reached(record: Record, now: float) -> float:
    """
    Return the time up to which a job has trained.
    """
    return now if record.ended is None else min(now, record.ended)


def _full_log(record: Record, begins: float, ends: float) -> list[tuple[float, str]]:
    """
    Return the lines of the whole training, each with its time.
    """
    job, random = record.wire, Random(record.job_id)  # noqa: S311
    steps = _epochs(job) * _STEPS_PER_EPOCH
    peak = _number((job.get("hyper_parameters") or {}).get("learning_rate"), 1.6e-5)
    start, floor = random.uniform(1.6, 2.6), random.uniform(0.3, 0.9)

    def message(time: float, text: str) -> tuple[float, str]:
        return time, f"{local_time(time)},{int(time * 1000) % 1000:03d} - INFO - {text}"

    lines = [
        message(begins, "data preparation finished"),
        message(begins, f"training of {job.get('model')} started, {steps} steps"),
    ]
    for step in range(1, steps + 1):
        time, done = begins + (ends - begins) * step / steps, step / steps
        loss = floor + (start - floor) * math.exp(-4 * done) + random.uniform(-0.05, 0.05)
        epoch = round(step / _STEPS_PER_EPOCH, 2)
        rate = peak * (1 - done)
        lines.append(
            (time, f"{{'loss': {loss:.4f}, 'learning_rate': {rate:.6g}, 'epoch': {epoch}}}")
        )
        if step % _STEPS_PER_EPOCH == 0:
            figures = f"'eval_loss': {loss + 0.08:.4f}, 'eval_runtime': {random.uniform(2, 6):.2f}"
            lines.append((time, f"{{{figures}, 'epoch': {epoch}}}"))
            lines.append(message(time, f"saved checkpoint-{step}"))
    lines += [
        (ends, f"{{'train_runtime': {ends - begins:.1f}, 'train_loss': {floor + 0.2:.4f}}}"),
        message(ends, "actual training tokens: 279808"),
        (ends, "##FT_COMPLETE##"),
    ]
    return lines


def _epochs(job: dict[str, Any]) -> int:
    given = (job.get("hyper_parameters") or {}).get("n_epochs")
    return max(1, min(100, int(_number(given, 3))))


def _number(value: object, default: float) -> float:
    try:
        number = float(str(value))
    except ValueError:
        return default
    return number if math.isfinite(number) else default
