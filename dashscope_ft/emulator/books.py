"""
The books: every change to an account, in order.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

from ..models import Noun

Action = Literal["created", "canceled", "deleted", "exported"]


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
