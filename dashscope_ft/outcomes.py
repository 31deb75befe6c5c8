"""
What came of one job, in the words of `Outcome`, and what an interruption tells of many.
"""

from __future__ import annotations

from collections import Counter

from .errors import DashScopeError, OutcomeUnknown
from .models import Action, FineTuneJob, ImportJob, Outcome, Receipt, Report


def done(
    action: Action,
    receipt: Receipt,
    *,
    error: DashScopeError | None = None,
    job: FineTuneJob | ImportJob | None = None,
) -> Outcome:
    """
    Say that it was done, and on what evidence; an error is one that was to be expected.
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
    job: FineTuneJob | ImportJob | None = None,
) -> Outcome:
    """
    Say that the job was left alone, and why.
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
    job: FineTuneJob | ImportJob | None = None,
) -> Outcome:
    """
    Say that it failed: with `unknown_outcome`, the service's code, or else the error's class.
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
    Say that an answer was not waited for.
    """
    return OutcomeUnknown(
        f"Interrupted before the answer about {job_id} came.",
        hint="Look at the job before doing it again.",
    )


def carry(error: BaseException, report: Report, jobs: str) -> None:
    """
    Let what interrupted a run carry its report: as `report` and, in numbers, in a note.

    Args:
        error: What interrupted it.
        report: What was known by then.
        jobs: What the report counts, such as `jobs planned`.
    """
    ends = Counter(
        outcome.reason if outcome.result == "skipped" else outcome.result
        for outcome in report.outcomes
    )
    counts = ", ".join(f"{number} {end}" for end, number in ends.items())
    vars(error)["report"] = report
    note = f"Of {report.selected} {jobs}: {counts or 'nothing to do'}."
    if note not in getattr(error, "__notes__", ()):  # it may be raised again
        error.add_note(note)
