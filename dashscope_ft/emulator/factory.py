"""
The records of new jobs, and the times at which their statuses change and training takes place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from random import Random
from typing import Any

from ..models import ImportStatus, JobStatus, Noun
from . import wire
from .records import Record
from .rules import Pace


class JobFactory:
    """
    A factory of the records of new jobs, with ids that are never reused.
    """

    def __init__(self, random: Random) -> None:
        self._random = random
        self._job_ids: set[str] = set()
        self._count = 0

    def job(
        self, fields: Mapping[str, Any], *, status: str, created: float, workspace: str
    ) -> Record:
        """
        Return the record of a fine-tuning job; its statuses are still to be planned.
        """
        job = wire.fine_tune(
            fields,
            job_id=self._new_job_id(created),
            status=status,
            created=created,
            workspace=workspace,
        )
        return self._record("fine_tunes", job, created, workspace)

    def model_import(
        self, fields: Mapping[str, Any], *, status: str, created: float, workspace: str
    ) -> Record:
        """
        Return the record of an import job; its statuses are still to be planned.
        """
        job = wire.model_import(fields, random=self._random, status=status, created=created)
        return self._record("imports", job, created, workspace)

    def _record(self, noun: Noun, job: dict[str, Any], created: float, workspace: str) -> Record:
        self._count += 1
        return Record(wire=job, noun=noun, created=created, number=self._count, workspace=workspace)

    def _new_job_id(self, created: float) -> str:
        minute, digits = wire.local_time(created, "%Y%m%d%H%M"), 4
        while True:
            job_id = f"ft-{minute}-{self._random.randrange(16**digits):0{digits}x}"
            if job_id not in self._job_ids:
                self._job_ids.add(job_id)
                return job_id
            digits += 1


def plan_statuses(record: Record, pace: Pace, *, created: float, fails: bool) -> None:
    """
    Plan the statuses of a new job, and when its training begins and ends.
    """
    if record.noun == "fine_tunes":
        last = JobStatus.FAILED if fails else JobStatus.SUCCEEDED
        record.planned = deque(pace.job_plan(created, last))
        _, (record.begins, _), (record.ends, _) = record.planned
    else:
        last = ImportStatus.FAILED if fails else ImportStatus.SUCCESSED
        record.planned = deque(pace.import_plan(created, last))


def add_history(record: Record, pace: Pace, random: Random, now: float) -> None:
    """
    Give a seeded job the past and the planned statuses that fit its status.
    """
    status = record.status
    ages = {
        JobStatus.PENDING: 0.0,
        JobStatus.QUEUING: pace.pending,
        JobStatus.RUNNING: pace.pending + pace.queuing,
    }
    if record.noun == "imports":
        ages = {ImportStatus.PENDING: 0.0, ImportStatus.RUNNING: pace.import_pending}
    if status in ages:
        plan_statuses(record, pace, created=now - ages[status], fails=False)
        while record.planned[0][0] <= now:
            record.planned.popleft()
    elif status == JobStatus.CANCELING:
        record.planned.append((now + pace.canceling, JobStatus.CANCELED))
    elif record.noun == "fine_tunes" and status in JobStatus.FINISHED:
        # A job too young for all of this went through it faster, so that it has ended by now.
        scale = min(1.0, (now - record.created) / 7_200)
        record.begins = record.created + 300 * scale
        record.ends = record.begins + random.randint(600, 6_000) * scale
        reached = 1.0 if status == JobStatus.SUCCEEDED else random.random()
        record.ended = record.begins + (record.ends - record.begins) * reached
        record.wire["end_time"] = wire.local_time(record.ended)


def fit_training(record: Record, pace: Pace, now: float) -> None:
    """
    Fit the training of a fine-tuning job to the status that a test has just set.
    """
    status = record.status
    has_begun = record.begins is not None and record.begins <= now
    if not has_begun or status in (JobStatus.PENDING, JobStatus.QUEUING):
        record.begins = record.ends = None
    if status == JobStatus.RUNNING and (record.ends is None or record.ends <= now):
        record.begins, record.ends = now, now + pace.running
    elif status == JobStatus.SUCCEEDED:
        record.begins = record.created if record.begins is None else record.begins
        record.ends = now if record.ends is None else min(record.ends, now)
