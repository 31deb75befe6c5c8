"""
A job and its life, the shelf that jobs stand on, and the books of what was done to them.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

from attrs import define, field, frozen

from dashscope_ft.models import ImportStatus, JobStatus, Noun

from .wire import local_time

Action = Literal["created", "canceled", "deleted", "exported"]


@define(eq=False, kw_only=True)
class Record:
    """
    A job of either noun, with what the service knows of it but doesn't show.
    """

    wire: dict[str, Any]
    """What the service shows."""

    noun: Noun
    """Which kind of job it is."""

    created: float
    """When it was created, on the emulator's clock."""

    number: int
    """How many were created before it; tells jobs of one second apart."""

    workspace: str
    """The workspace it belongs to."""

    plan: deque[tuple[float, str]] = field(factory=deque)
    """What becomes of it, and when."""

    begins: float | None = None
    """When training begins, or began."""

    ends: float | None = None
    """When training is due to be complete."""

    ended: float | None = None
    """When training did end, for whatever reason."""

    log: list[str] | None = None
    """Lines set from outside; None for those that the training itself writes."""

    exports: dict[str, tuple[float, str]] = field(factory=dict)
    """Checkpoints being published: when that began, and the model's name."""

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
        Where it stands in a listing, which begins with the highest.
        """
        return self.created, self.number

    def live(self, now: float) -> None:
        """
        Go through all that is due.
        """
        while self.plan and self.plan[0][0] <= now:
            time, status = self.plan.popleft()
            self.enter(status, time)

    def enter(self, status: str, time: float) -> None:
        """
        Take on a status, and what comes with it.
        """
        self.wire["status"] = status
        if self.noun == "fine_tunes" and status in JobStatus.FINISHED:
            self.ended = time
            self.wire |= {"end_time": local_time(time)} | _ENDINGS[status]
        elif self.noun == "imports" and status == ImportStatus.FAILED:
            self.wire["error_code"] = "The weights' configuration could not be read."


_ENDINGS: dict[str, dict[str, Any]] = {
    JobStatus.SUCCEEDED: {"usage": 279_808},
    JobStatus.FAILED: {"code": "InternalError", "message": "Training diverged."},
    JobStatus.CANCELED: {"code": "1"},
}


class Shelf:
    """
    Records by id, and newest first.
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
        Put a record where its time of creation belongs.
        """
        self._by_id[record.job_id] = record
        insort(self._oldest_first, record, key=lambda other: other.place)

    def remove(self, record: Record) -> None:
        """
        Take a record out.
        """
        del self._by_id[record.job_id]
        index = bisect_left(self._oldest_first, record.place, key=lambda other: other.place)
        del self._oldest_first[index]


@frozen(kw_only=True)
class Caller:
    """
    On whose behalf an operation is done.
    """

    workspace: str | None = None
    """The workspace that is meant; None for the account's own."""

    request_id: str | None = None
    """The request that asks for it, which goes into the books."""


SOMEBODY = Caller()


@frozen(kw_only=True)
class Entry:
    """
    One change to an account.
    """

    action: Action
    """What was done."""

    noun: Noun
    """To which kind of job."""

    job_id: str
    """To which one."""

    time: float
    """When, on the emulator's clock."""

    request_id: str | None
    """The request that did it; None where a test or a seed did."""

    job: dict[str, Any]
    """The job as it was just before, or as it was created."""


class Books:
    """
    Every change to an account, in order: what a client's own account is audited against.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    @property
    def created(self) -> list[str]:
        """
        The ids of all jobs that ever were, in the order in which they were added.
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
        The ids of the jobs of which a checkpoint was published, once for each.
        """
        return self._ids("exported")

    def _ids(self, action: Action) -> list[str]:
        return [entry.job_id for entry in list(self.entries) if entry.action == action]
