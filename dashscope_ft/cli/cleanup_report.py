"""
What came of a plan's jobs: rows as the jobs end, then a table or JSON, and a summary.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from .changes import OUTCOME_FIELDS, outcome_row
from .kind import Column
from .session import Output, Session
from .table import count_table, noted_table
from .terminal import say, width_of, write, write_lines
from .text import csv_line, json_line

if TYPE_CHECKING:
    from dashscope_ft import DashScopeError, Outcome, Plan, Report

_MAX_LISTED = 20
"""The most jobs that the table lists individually."""

_NOT_ATTEMPTED: Final = "not_attempted"
_REASONS: Final = {
    "confirmed": "confirmed by the service",
    "inferred": "inferred: gone after a lost answer",
    "already_gone": "already gone",
    "changed": "changed since it was planned",
    "protected": "protected",
    "undecidable": "cannot be judged by the plan's rules any more",
    _NOT_ATTEMPTED: "not attempted",
    "unknown_outcome": "its outcome is unknown",
    "ConnectionFailed": "no connection to the service",
    "DeadlineExceeded": "out of time",
    "MalformedResponse": "the answer was not readable",
    "NotFound": "not found",
    "ServiceError": "the service failed",
    "StateConflict": "its status does not allow it",
    "Throttled": "too many requests",
}
"""Outcomes' reasons in words; an error code of the service stands for itself."""

_RESULT_ORDER: Final = ("deleted", "goes", "skipped", "failed")
_COUNTS = (
    Column("JOBS", "jobs"),
    Column("RESULT", "result"),
    Column("WHY", "why", rank=1, elastic=True),
)
_JOBS = (
    Column("JOB ID", "job_id"),
    Column("RESULT", "result"),
    Column("WHY", "why", rank=1, elastic=True),
)


class WrittenReport:
    """
    The report on a plan, written in a session's format: JSON Lines and CSV as outcomes arrive, a
    table or a JSON object at the end.

    Args:
        session: Determines the output format.
        plan: The plan being applied.
        dry_run: Whether `done` means that a job would be deleted, rather than that it was.
        settled: The jobs whose outcomes are those of an earlier run.
        cancel_running: Whether jobs that have not ended are cancelled first.
    """

    def __init__(
        self,
        session: Session,
        plan: Plan,
        *,
        dry_run: bool = False,
        settled: frozenset[str] = frozenset(),
        cancel_running: bool = False,
    ) -> None:
        self._form = session.form
        self._plan = plan
        self._dry_run = dry_run
        self._settled = settled
        self._cancel_running = cancel_running
        self._added = 0  # outcomes
        self._has_heading = False

    @property
    def streams(self) -> bool:
        """
        Whether outcomes are written as they arrive.
        """
        return self._form in {Output.JSONL, Output.CSV}

    def add(self, outcome: Outcome) -> None:
        """
        Add an outcome, and write it if the format allows that.
        """
        self._added += 1
        self._write_rows([outcome])

    def close(self, report: Report) -> None:
        """
        Write the outcomes that were not added, and the summary.

        Args:
            report: The report of the whole plan; the added outcomes come first in it.
        """
        try:
            with suppress(BrokenPipeError):  # the exit code reports it
                self._write_rows(report.outcomes[self._added :])
                if self._form is Output.JSON:
                    write(json_line(self._as_json(report), indent=2))
                elif self._form is Output.TABLE and report.outcomes:
                    lines = report_lines(
                        report,
                        width=width_of(sys.stdout),
                        planned=self._planned(report),
                        cancel_running=self._cancel_running,
                    )
                    write_lines(lines)
        finally:
            say(self._summary(report))

    def _write_rows(self, outcomes: Sequence[Outcome]) -> None:
        if self._form is Output.CSV and not self._has_heading:
            write(csv_line(OUTCOME_FIELDS))
            self._has_heading = True
        for outcome in outcomes:
            if self._form is Output.JSONL:
                write(json_line(self._row(outcome)))
            elif self._form is Output.CSV:
                write(csv_line(self._row(outcome).values()))

    def _planned(self, report: Report) -> frozenset[str]:
        """
        Return the jobs whose `done` only means that they would be deleted.
        """
        return frozenset(each.job_id for each in report.outcomes if self._is_planned(each))

    def _is_planned(self, outcome: Outcome) -> bool:
        is_new = self._dry_run and outcome.job_id not in self._settled
        return is_new and outcome.result == "done"

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        row = outcome_row(outcome)
        if self._is_planned(outcome):
            row |= {"result": "planned", "reason": "dry_run"}
        return row

    def _as_json(self, report: Report) -> dict[str, Any]:
        plan, planned = self._plan, len(self._planned(report))
        return {
            "noun": plan.noun,
            "base_url": plan.base_url,
            "workspace": plan.workspace,
            "plan": plan.digest,
            "dry_run": self._dry_run,
            "selected": report.selected,
            "planned": planned,
            "done": report.done - planned,
            "skipped": report.skipped,
            "failed": report.failed,
            "reasons": dict(Counter(self._row(each)["reason"] for each in report.outcomes)),
            "outcomes": [self._row(outcome) for outcome in report.outcomes],
        }

    def _summary(self, report: Report) -> str:
        untried = report.reasons.get(_NOT_ATTEMPTED, 0)
        planned = len(self._planned(report))
        deleted = "deleted"
        earlier = sum(
            outcome.result == "done" and outcome.job_id in self._settled
            for outcome in report.outcomes
        )
        if earlier:
            share = "all" if earlier == report.done - planned else f"{earlier:,} of them"
            deleted += f", {share} in an earlier run"
        parts = {
            "would be deleted": planned,
            deleted: report.done - planned,
            "skipped": report.skipped - untried,
            "failed": report.failed,
            "not attempted": untried,
        }
        words = [f"{number:,} {word}" for word, number in parts.items() if number]
        return (", ".join(words) or "Nothing to delete") + "."


def report_lines(
    report: Report,
    *,
    width: int | None,
    planned: Collection[str] = (),
    cancel_running: bool = False,
) -> Iterator[Text]:
    """
    Yield a report as lines: how many jobs had which result, then the jobs that were skipped or
    failed.

    Args:
        report: The report.
        width: The greatest width of a line; None for a pipe.
        planned: The jobs whose `done` only means that they would be deleted.
        cancel_running: Whether jobs that have not ended were to be cancelled first.
    """
    counts = Counter(
        ("goes", "")
        if outcome.job_id in planned
        else (_result(outcome), _why(outcome, cancel_running))
        for outcome in report.outcomes
    )
    rows = [
        {"jobs": number, "result": result, "why": why}
        for (result, why), number in sorted(
            counts.items(), key=lambda item: (_RESULT_ORDER.index(item[0][0]), -item[1])
        )
    ]
    rows.append({"jobs": report.selected, "result": "in all", "why": ""})
    yield from count_table(_COUNTS, rows, width=width)
    not_done = [
        outcome
        for outcome in report.outcomes
        if outcome.result != "done" and outcome.reason != _NOT_ATTEMPTED
    ]
    if not_done:
        yield Text()
        yield from _one_by_one(not_done, width=width, cancel_running=cancel_running)


def _one_by_one(
    outcomes: Sequence[Outcome], *, width: int | None, cancel_running: bool
) -> Iterator[Text]:
    """
    Yield the first failed and skipped jobs, each with the reason.
    """
    failed_first = sorted(outcomes, key=lambda outcome: outcome.result)
    rows = [
        {
            "job_id": outcome.job_id,
            "result": outcome.result,
            "why": _cause(outcome.error, outcome.job_id)
            if outcome.result == "failed" and outcome.error
            else _why(outcome, cancel_running),
        }
        for outcome in failed_first[:_MAX_LISTED]
    ]
    yield from noted_table(_JOBS, rows, width=width)
    if len(outcomes) > _MAX_LISTED:
        yield Text(f"… and {len(outcomes) - _MAX_LISTED:,} more; --output jsonl tells of each.")


def _cause(error: DashScopeError, job_id: str) -> str:
    """
    Return an error's text without the job's id, since that stands beside it in the table.
    """
    error = copy(error)
    if error.what is None:  # our own text: the service's stays unchanged
        error.message = error.message.replace(f" {job_id} ", " it ")
    error.what = None
    return str(error)


def _result(outcome: Outcome) -> str:
    return "deleted" if outcome.result == "done" else outcome.result


def _why(outcome: Outcome, cancel_running: bool) -> str:
    if outcome.reason == "state":
        return _why_its_status(outcome, cancel_running)
    return _REASONS.get(outcome.reason, outcome.reason)


def _why_its_status(outcome: Outcome, cancel_running: bool) -> str:
    """
    Return which status kept a job from being deleted, and what to do about it.
    """
    from dashscope_ft import ImportJob
    from dashscope_ft.models import CANCELED_STATUSES, FINISHED_STATUSES

    job = outcome.job
    status = getattr(outcome.error, "job_status", None) or (job and job.status)
    if not status:
        return "its status does not allow it"
    if status in FINISHED_STATUSES:
        if outcome.error:
            return f"{status}, but the service refused"
        if status in CANCELED_STATUSES and not cancel_running:
            return f"{status} by an earlier run; --cancel-running deletes it"
        return f"ended as {status} meanwhile"
    if isinstance(job, ImportJob):
        return f"still {status}; it can be deleted when it has ended"
    if cancel_running:
        return f"still {status}; it was not cancelled in time"
    if status in CANCELED_STATUSES:
        return f"still {status}; --cancel-running waits for its end"
    return f"still {status}; --cancel-running cancels it first"
