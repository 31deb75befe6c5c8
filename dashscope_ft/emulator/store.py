"""
The jobs of one account, whose statuses change with time.
"""

from __future__ import annotations

import math
import threading

from ..models import Noun
from .books import Action, Books, Entry
from .clock import Clock
from .records import Record, Records
from .refusals import not_found


class Store:
    """
    Jobs of both kinds, the times at which their statuses change, and the books.

    Attributes:
        books: Every change, in order.
        lock: Must be held while anything here is read or changed.
    """

    def __init__(self, clock: Clock) -> None:
        self.books = Books()
        self.lock = threading.RLock()
        self._clock = clock
        self._records: dict[Noun, Records] = {"fine_tunes": Records(), "imports": Records()}
        self._scheduled: dict[str, Record] = {}
        self._next_change = math.inf

    def records(self, noun: Noun) -> Records:
        """
        Return the jobs of one kind.
        """
        return self._records[noun]

    def catch_up(self) -> None:
        """
        Let all jobs enter the planned statuses that are due.
        """
        now = self._clock.time()
        if now < self._next_change:
            return
        for record in list(self._scheduled.values()):
            record.catch_up(now)
            if not record.planned:
                del self._scheduled[record.job_id]
        changes = (record.planned[0][0] for record in self._scheduled.values())
        self._next_change = min(changes, default=math.inf)

    def schedule(self, record: Record) -> None:
        """
        Take note of the planned statuses of a job; to be called whenever they were set.
        """
        if record.planned:
            self._scheduled[record.job_id] = record
            self._next_change = min(self._next_change, record.planned[0][0])
        else:
            self._scheduled.pop(record.job_id, None)

    def add(self, record: Record, request_id: str | None) -> None:
        """
        Add a new job.
        """
        self._records[record.noun].add(record)
        self.schedule(record)
        self.note("created", record, request_id)

    def remove(self, record: Record, request_id: str | None) -> None:
        """
        Delete a job.
        """
        self._records[record.noun].remove(record)
        self._scheduled.pop(record.job_id, None)
        self.note("deleted", record, request_id)

    def note(self, action: Action, record: Record, request_id: str | None) -> None:
        """
        Add a change to the books.
        """
        self.books.entries.append(
            Entry(
                action=action,
                noun=record.noun,
                job_id=record.job_id,
                time=self._clock.time(),
                request_id=request_id,
                job=dict(record.wire),
            )
        )

    def find(self, noun: Noun, job_id: str, workspace: str) -> Record:
        """
        Return a job of a workspace.

        Raises:
            Refusal: There is none.
        """
        record = self._records[noun].find(job_id)
        if record is None or record.workspace != workspace:
            raise not_found()
        return record

    def find_any(self, job_id: str) -> Record:
        """
        Return a job of either noun and any workspace.

        Raises:
            KeyError: There is none.
        """
        for records in self._records.values():
            if record := records.find(job_id):
                return record
        raise KeyError(job_id)
