"""
Cancelling and deleting jobs by id: confirmation, execution and report.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from .command import Work
from .errors import error_text
from .exits import exit_code
from .progress import counter
from .questions import confirm
from .session import Output, Session, place_of
from .terminal import say, write
from .text import csv_line, json_line

if TYPE_CHECKING:
    from dashscope_ft import AsyncClient, AsyncOutcomes, Outcome, Report
    from dashscope_ft.outcomes import Action

    from .kind import Kind


MissingOk = Annotated[
    bool, Option("--missing-ok", help="Do not fail for jobs that are gone already.")
]

_WORDS = {
    ("cancel", "confirmed"): "cancelling",
    ("cancel", "inferred"): "cancelling (the answer was lost)",
    ("delete", "confirmed"): "deleted",
    ("delete", "inferred"): "gone",
}
_MISSING = "not found"
OUTCOME_FIELDS = ("job_id", "action", "result", "reason", "request_id", "error")
"""The fields of an outcome, as written in CSV and JSON."""


def change(
    session: Session,
    client: AsyncClient,
    action: Action,
    kind: Kind,
    job_ids: Sequence[str],
    run: AsyncOutcomes,
    *,
    yes: bool,
    missing_ok: bool = False,
) -> Work:
    """
    Ask for confirmation, and return the coroutine that cancels or deletes the jobs.

    Args:
        session: Determines the output format.
        client: The client of the run, which is closed after it.
        action: What is done.
        kind: The kind of job.
        job_ids: The ids, as given.
        run: The library's run over them.
        yes: Whether the user confirmed in advance.
        missing_ok: Whether jobs that are gone already are no failures; otherwise, after an
            interruption, a message tells to allow them.

    Raises:
        InvalidArgument: An id is invalid.
        Refused: It was not confirmed.
    """
    from dashscope_ft.arguments import check_job_id

    ids = [check_job_id(job_id) for job_id in dict.fromkeys(job_ids)]
    question = f"{action.capitalize()} {kind.count(len(ids))} in {place_of(client)}?"
    confirm(question, ids, yes=yes, stdin_taken=session.stdin_taken)
    tolerant = "" if missing_ok else " with --missing-ok"
    resume = f"The same command{tolerant} goes on with what is left." if action == "delete" else ""
    return _carry_out(session, client, action, run, ids, resume)


async def _carry_out(
    session: Session,
    client: AsyncClient,
    action: Action,
    run: AsyncOutcomes,
    ids: Sequence[str],
    resume: str,
) -> int:
    """
    Write an outcome for each job, also after an interrupt, and return the exit code.
    """
    from dashscope_ft import Report
    from dashscope_ft.outcomes import skipped

    written: list[Outcome] = []
    if session.form is Output.CSV:
        write(csv_line(OUTCOME_FIELDS))
    word = "Cancelling" if action == "cancel" else "Deleting"
    try:
        with counter(word, total=len(ids), streams=session.form is not Output.JSON) as advance:
            async with client, run:
                async for outcome in run:
                    written.append(outcome)
                    _write_outcome(session, outcome)
                    advance(1)
    finally:
        # After an interrupt: the outcomes of calls in flight, and the jobs not attempted.
        rest = list(run.so_far.outcomes[len(written) :])
        known = {outcome.job_id for outcome in (*written, *rest)}
        rest += [skipped(action, job_id, "not_attempted") for job_id in ids if job_id not in known]
        report = Report(outcomes=[*written, *rest])
        try:
            with suppress(BrokenPipeError):  # the exit code reports it
                for outcome in rest:
                    _write_outcome(session, outcome)
                if session.form is Output.JSON:
                    rows = [outcome_row(outcome) for outcome in report.outcomes]
                    write(json_line(rows, indent=2))
        finally:
            if len(ids) > 1:
                say(_summary(action, report))
            if resume and "not_attempted" in report.reasons:
                say(resume)
    return exit_code(report)


def _is_missing(outcome: Outcome) -> bool:
    """
    Return whether a job counts as done since it was not found, as `--missing-ok` allows.
    """
    return outcome.result == "done" and outcome.error is not None


def _write_outcome(session: Session, outcome: Outcome) -> None:
    if session.form is Output.JSONL:
        write(json_line(outcome_row(outcome)))
    elif session.form is Output.CSV:
        write(csv_line(outcome_row(outcome).values()))
    elif session.form is Output.TABLE and outcome.result != "failed":
        word = _WORDS.get((outcome.action, outcome.reason), outcome.reason.replace("_", " "))
        write(f"{outcome.job_id}  {_MISSING if _is_missing(outcome) else word}\n")
    if outcome.result == "failed":
        error = outcome.error
        words = error_text(error, session) if error else f"{outcome.job_id}: {outcome.reason}"
        say(f"Error: {words}", style="red")


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """
    Return an outcome as plain values, under the names of `OUTCOME_FIELDS`.
    """
    error = None if outcome.error is None else str(outcome.error)
    return {name: getattr(outcome, name) for name in OUTCOME_FIELDS} | {"error": error}


def _summary(action: Action, report: Report) -> str:
    untried = report.reasons.get("not_attempted", 0)
    missing = sum(map(_is_missing, report.outcomes))
    parts = {
        "cancelling" if action == "cancel" else "deleted": report.done - missing,
        _MISSING: missing,
        "skipped": report.skipped - untried,
        "failed": report.failed,
        "not attempted": untried,
    }
    return ", ".join(f"{number:,} {word}" for word, number in parts.items() if number) + "."
