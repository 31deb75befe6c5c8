"""
Records of jobs, the collections that hold them, and the books of all changes.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

from attrs import define, field, frozen

from ..models import ImportStatus, JobStatus, Noun
from .wire import local_time

Action = Literal["created", "canceled", "deleted", "exported"]


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

    plan: deque[tuple[float, str]] = field(factory=deque)
    """Its future statuses, and when it enters them."""

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
    def place(self) -> tuple[float, int]:
        """
        The sort key of a listing, which begins with the highest.
        """
        return self.created, self.number

    def live(self, now: float) -> None:
        """
        Apply the planned changes that are due.
        """
        while self.plan and self.plan[0][0] <= now:
            time, status = self.plan.popleft()
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
        insort(self._oldest_first, record, key=lambda other: other.place)

    def remove(self, record: Record) -> None:
        """
        Remove a record.
        """
        del self._by_id[record.job_id]
        index = bisect_left(self._oldest_first, record.place, key=lambda other: other.place)
        del self._oldest_first[index]


@frozen(kw_only=True)
class Caller:
    """
    The caller of an operation.
    """

    workspace: str | None = None
    """The caller's workspace; None for the account's own."""

    request_id: str | None = None
    """The id of the request, for the books."""


DEFAULT_CALLER = Caller()


@frozen(kw_only=True)
class Entry:
    """
    One change to an account.
    """

    action: Action
    """What was done."""

    noun: Noun
    """The kind of job."""

    job_id: str
    """The job's id."""

    time: float
    """When it was done, on the emulator's clock."""

    request_id: str | None
    """The id of the request that did it; None if a test or a seed did."""

    job: dict[str, Any]
    """The job just before the change, or as it was created."""


class Books:
    """
    Every change to an account, in order, to audit a client's reports against.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    @property
    def created(self) -> list[str]:
        """
        The ids of all jobs that were ever added, in that order.
        """
        return self._ids("created")

    @property
    def canceled(self) -> list[str]:
        """
        The ids of the jobs whose cancellation was accepted.
        """
        return self._ids("canceled")

    @property
    def deleted(self) -> list[str]:
        """
        The ids of the jobs that were deleted.
        """
        return self._ids("deleted")

    @property
    def exported(self) -> list[str]:
        """
        The ids of the jobs whose checkpoints were published, once for each checkpoint.
        """
        return self._ids("exported")

    def _ids(self, action: Action) -> list[str]:
        return [entry.job_id for entry in list(self.entries) if entry.action == action]
