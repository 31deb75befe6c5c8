"""
The results of changes: a receipt for one, an outcome for each of many, and their report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from attrs import frozen

from .errors import DashScopeError, OutcomeUnknown
from .models import AnyJob, FineTuneJob, ImportJob

Action = Literal["cancel", "delete"]
Result = Literal["done", "skipped", "failed"]


@frozen(kw_only=True)
class Receipt:
    """
    The result of one cancellation, deletion or export.
    """

    job_id: str
    """The job it is about."""

    request_id: str | None = None
    """The service's id of the request that settled it."""

    confirmed: bool = True
    """
    True if the service acknowledged it. False if it was inferred after a lost answer, or if
    the job did not exist and `missing_ok` was set.
    """

    job: ImportJob | None = None
    """The import job that the service says it deleted."""


@frozen(kw_only=True)
class Outcome:
    """
    The result for one job of a run over many.
    """

    job_id: str
    """The job it is about."""

    action: Action
    """The requested action."""

    result: Result
    """Whether it was done, skipped or failed."""

    reason: str
    """
    Done: `confirmed`, `inferred`. Skipped: `already_gone`, `changed`, `state`, `protected`,
    `undecidable`, `not_attempted`. Failed: an error's code, or `unknown_outcome`.
    """

    error: DashScopeError | None = None
    """The error, if any; with `done` it is the `NotFound` that `missing_ok` allowed."""

    request_id: str | None = None
    """The service's id of the request that settled it."""

    job: FineTuneJob | ImportJob | None = None
    """The job, where it was seen."""


@frozen(kw_only=True)
class Report:
    """
    The result of a run over many jobs: exactly one outcome for each job.
    """

    outcomes: Sequence[Outcome] = ()
    """One for each job, in the order in which they ended."""

    @property
    def selected(self) -> int:
        """
        How many jobs the run was about: always `done + skipped + failed`.
        """
        return len(self.outcomes)

    @property
    def done(self) -> int:
        """
        How many were cancelled or deleted.
        """
        return self._count("done")

    @property
    def skipped(self) -> int:
        """
        How many were not touched; `Outcome.reason` says why.
        """
        return self._count("skipped")

    @property
    def failed(self) -> int:
        """
        How many failed, including those whose outcome is unknown.
        """
        return self._count("failed")

    @property
    def reasons(self) -> Mapping[str, int]:
        """
        The number of jobs for each `Outcome.reason`, the most frequent first.
        """
        return dict(Counter(outcome.reason for outcome in self.outcomes).most_common())

    def raise_for_failures(self) -> None:
        """
        Raise the first failure, with a note on how many others there were.

        Raises:
            DashScopeError: Where any job failed.
        """
        errors = [
            outcome.error
            for outcome in self.outcomes
            if outcome.error and outcome.result == "failed"
        ]
        if errors:
            note = f"{self.failed} of {self.selected} jobs failed; this is the first."
            if note not in getattr(errors[0], "__notes__", ()):
                errors[0].add_note(note)
            raise errors[0]

    def __repr__(self) -> str:
        # Not the outcomes: a notebook would show thousands of jobs.
        return (
            f"Report(selected={self.selected}, done={self.done}, skipped={self.skipped}, "
            f"failed={self.failed}, reasons={self.reasons!r})"
        )

    def _count(self, result: Result) -> int:
        return sum(outcome.result == result for outcome in self.outcomes)


def done(
    action: Action,
    receipt: Receipt,
    *,
    error: DashScopeError | None = None,
    job: AnyJob | None = None,
) -> Outcome:
    """
    Build the outcome of a success: confirmed or inferred, as its receipt says. An `error` is one
    that the caller allowed, such as `NotFound` by `missing_ok`.
    """
    return Outcome(
        job_id=receipt.job_id,
        action=action,
        result="done",
        reason="confirmed" if receipt.confirmed else "inferred",
        error=error,
        request_id=receipt.request_id,
        job=receipt.job or job,
    )


def skipped(
    action: Action,
    job_id: str,
    reason: str,
    *,
    error: DashScopeError | None = None,
    job: AnyJob | None = None,
) -> Outcome:
    """
    Build the outcome of a job that was left alone, with the reason for that.
    """
    return Outcome(
        job_id=job_id,
        action=action,
        result="skipped",
        reason=reason,
        error=error,
        request_id=error.request_id if error is not None else None,
        job=job,
    )


def failed(
    action: Action,
    job_id: str,
    error: DashScopeError,
    *,
    job: AnyJob | None = None,
) -> Outcome:
    """
    Build the outcome of a failure, with the reason `unknown_outcome`, the service's code or else
    the error's class.
    """
    unknown = isinstance(error, OutcomeUnknown)
    return Outcome(
        job_id=job_id,
        action=action,
        result="failed",
        reason="unknown_outcome" if unknown else error.code or type(error).__name__,
        error=error,
        request_id=error.request_id,
        job=job,
    )


def interruption(job_id: str) -> OutcomeUnknown:
    """
    Build the error for an answer that was not waited for.
    """
    return OutcomeUnknown(
        f"Interrupted before the answer about {job_id} came.",
        hint="Look at the job before doing it again.",
    )


def attach_report(error: BaseException, report: Report, jobs: str) -> None:
    """
    Attach a run's report to the error that ended it: as `report`, and its counts in a note.

    Args:
        error: The error, which may be a cancellation.
        report: The report at that time.
        jobs: The words for what it counts, such as `jobs planned`.
    """
    ends = Counter(
        outcome.reason if outcome.result == "skipped" else outcome.result
        for outcome in report.outcomes
    )
    counts = ", ".join(f"{number} {end}" for end, number in ends.items())
    vars(error)["report"] = report  # type checkers know of no such attribute
    note = f"Of {report.selected} {jobs}: {counts or 'nothing to do'}."
    if note not in getattr(error, "__notes__", ()):  # it may be raised again
        error.add_note(note)
