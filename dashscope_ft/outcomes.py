"""
What came of one job, in the words of `Outcome`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import OutcomeUnknown
from .models import Outcome

if TYPE_CHECKING:
    from .errors import DashScopeError
    from .models import Action, FineTuneJob, ImportJob, Receipt


def done(
    action: Action, receipt: Receipt, *, job: FineTuneJob | ImportJob | None = None
) -> Outcome:
    """
    Say that it was done, and on what evidence.
    """
    return Outcome(
        job_id=receipt.job_id,
        action=action,
        result="done",
        reason="confirmed" if receipt.confirmed else "inferred",
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
