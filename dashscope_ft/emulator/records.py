"""
The record that is kept of a job, and the collection of such records.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from typing import Any

from attrs import define, field

from ..models import ImportStatus, JobStatus, Noun
from .wire import local_time


@define(eq=False, kw_only=True)
class Record:
    """
    A job of either kind, with what the service knows of it but does not show.
    """

    wire: dict[str, Any]
    """The job as the service shows it."""

    noun: Noun
    """The kind of job."""

    created: float
    """When it was created, on the emulator's clock."""

    number: int
    """Its place in the order of creation, which distinguishes jobs of the same second."""

    workspace: str
    """The workspace it belongs to."""

    planned: deque[tuple[float, str]] = field(factory=deque)
    """The statuses that it will have, each with the time at which it enters it."""

    begins: float | None = None
    """When training begins, or began."""

    ends: float | None = None
    """When training is due to be complete."""

    ended: float | None = None
    """When training actually ended, for any reason."""

    log: list[str] | None = None
    """Log lines set by a test; None to generate them."""

    exports: dict[str, tuple[float, str]] = field(factory=dict)
    """Exported checkpoints: when the export is complete, and the model's display name."""

    @property
    def job_id(self) -> str:
        """
        The job's id.
        """
        return str(self.wire["job_id"])

    @property
    def status(self) -> str:
        """
        The job's status.
        """
        return str(self.wire["status"])

    @property
    def sort_key(self) -> tuple[float, int]:
        """
        The key by which a listing is sorted, the highest first.
        """
        return self.created, self.number

    def catch_up(self, now: float) -> None:
        """
        Enter the planned statuses that are due.
        """
        while self.planned and self.planned[0][0] <= now:
            time, status = self.planned.popleft()
            self.enter(status, time)

    def enter(self, status: str, time: float) -> None:
        """
        Set the status, and the fields that depend on it.
        """
        self.wire["status"] = status
        for name in ("end_time", "code", "message", "error_code"):
            self.wire.pop(name, None)
        if self.noun == "fine_tunes":
            finished = status in JobStatus.FINISHED
            self.ended = time if finished else None
            self.wire["usage"] = 0
            if finished:
                self.wire |= {"end_time": local_time(time)} | _FINAL_FIELDS[status]
        elif status == ImportStatus.FAILED:
            self.wire["error_code"] = "The weights' configuration could not be read."


_FINAL_FIELDS: dict[str, dict[str, Any]] = {
    JobStatus.SUCCEEDED: {"usage": 279_808},
    JobStatus.FAILED: {"code": "InternalError", "message": "Training diverged."},
    JobStatus.CANCELED: {"code": "1"},
}


class Records:
    """
    A collection of records, by id and newest first.
    """

    def __init__(self) -> None:
        self._by_id: dict[str, Record] = {}
        self._oldest_first: list[Record] = []

    def __iter__(self) -> Iterator[Record]:
        return reversed(self._oldest_first)

    def find(self, job_id: str) -> Record | None:
        """
        Return the record with that id, or None.
        """
        return self._by_id.get(job_id)

    def add(self, record: Record) -> None:
        """
        Insert a record in the order of creation.
        """
        self._by_id[record.job_id] = record
        insort(self._oldest_first, record, key=lambda other: other.sort_key)

    def remove(self, record: Record) -> None:
        """
        Remove a record.
        """
        del self._by_id[record.job_id]
        index = bisect_left(self._oldest_first, record.sort_key, key=lambda other: other.sort_key)
        del self._oldest_first[index]
