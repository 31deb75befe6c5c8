"""
Jobs cancelled or deleted by id: confirmed, done, accounted for.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Exit, Option

from .command import Output, Session, confirm
from .exits import exit_code
from .terminal import counter, say, write
from .text import csv_line, json_line

if TYPE_CHECKING:
    from dashscope_ft import AsyncClient, AsyncOutcomes, Outcome, Report
    from dashscope_ft.outcomes import Action

    from .noun import Noun


def _ids(given: Sequence[str]) -> list[str]:
    """
    Put the ids on stdin in the place of a `-`; without any id, there is nothing to run.
    """
    ids = [
        job_id for each in given for job_id in (sys.stdin.read().split() if each == "-" else [each])
    ]
    if not ids:
        say("No ids on stdin: nothing to do.")
        raise Exit
    return ids


JobId = Annotated[str, Argument(metavar="JOB_ID", help="The job's id.")]
JobIds = Annotated[
    list[str],
    Argument(
        metavar="JOB_ID",
        help="The jobs' ids; - reads them from stdin.",
        callback=_ids,
        show_default=False,
    ),
]
Confirmed = Annotated[bool, Option("--yes", "-y", help="Don't ask.")]
MissingOk = Annotated[bool, Option("--missing-ok", help="A missing job is not a failure.")]

Work = Coroutine[Any, Any, int]
"""What is left to run once the questions are answered."""

_WORDS = {
    ("cancel", "confirmed"): "cancelling",
    ("cancel", "inferred"): "cancelling (the answer was lost)",
    ("delete", "confirmed"): "deleted",
    ("delete", "inferred"): "gone",
}
_MISSING = "not found"
OUTCOME_FIELDS = ("job_id", "action", "result", "reason", "request_id", "error")
"""What is written of an outcome."""


def change(
    session: Session,
    client: AsyncClient,
    action: Action,
    noun: Noun,
    job_ids: Sequence[str],
    run: AsyncOutcomes,
    *,
    yes: bool,
    missing_ok: bool = False,
) -> Work:
    """
    Ask for confirmation, then give back the run over the jobs, to be awaited.

    Where a deletion leaves jobs out, it says how to go on without failing for those that are gone.

    Raises:
        InvalidArgument: An id is none.
        Refused: Nobody confirmed.
    """
    from dashscope_ft.arguments import check_job_id

    ids = [check_job_id(job_id) for job_id in dict.fromkeys(job_ids)]
    place = session.place(client)
    confirm(f"{action.capitalize()} {noun.count(len(ids))} in {place}?", ids, yes=yes)
    tolerant = "" if missing_ok else " with --missing-ok"
    resume = f"The same command{tolerant} goes on with what is left." if action == "delete" else ""
    return _account(session, client, action, run, ids, resume)


async def _account(
    session: Session,
    client: AsyncClient,
    action: Action,
    run: AsyncOutcomes,
    ids: Sequence[str],
    resume: str,
) -> int:
    from dashscope_ft import Report
    from dashscope_ft.outcomes import skipped

    told: list[Outcome] = []
    if session.form is Output.CSV:
        write(csv_line(OUTCOME_FIELDS))
    word = "Cancelling" if action == "cancel" else "Deleting"
    try:
        with counter(word, total=len(ids), streams=session.form is not Output.JSON) as progress:
            async with client, run:
                async for outcome in run:
                    told.append(outcome)
                    _tell(session, outcome)
                    progress.advance()
    finally:
        # An interrupt leaves what was in flight then, and what never began.
        rest = list(run.so_far.outcomes[len(told) :])
        known = {outcome.job_id for outcome in (*told, *rest)}
        rest += [skipped(action, job_id, "not_attempted") for job_id in ids if job_id not in known]
        report = Report(outcomes=[*told, *rest])
        try:
            with suppress(BrokenPipeError):  # told by the exit code
                for outcome in rest:
                    _tell(session, outcome)
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
    return outcome.result == "done" and outcome.error is not None


def _tell(session: Session, outcome: Outcome) -> None:
    if session.form is Output.JSONL:
        write(json_line(outcome_row(outcome)))
    elif session.form is Output.CSV:
        write(csv_line(outcome_row(outcome).values()))
    elif session.form is Output.TABLE and outcome.result != "failed":
        word = _WORDS.get((outcome.action, outcome.reason), outcome.reason.replace("_", " "))
        write(f"{outcome.job_id}  {_MISSING if _is_missing(outcome) else word}\n")
    if outcome.result == "failed":
        say(f"Error: {outcome.error or f'{outcome.job_id}: {outcome.reason}'}", style="red")


def outcome_row(outcome: Outcome) -> dict[str, Any]:
    """
    Give an outcome as plain values, under the names of `OUTCOME_FIELDS`.
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
