"""
Jobs cancelled or deleted by id: confirmed, done, accounted for.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from dashscope_ft import AuthenticationFailed, DashScopeError, NotFound, OutcomeUnknown
from dashscope_ft.settings import check_job_id

from .command import Output, Session, confirm
from .exits import exit_code
from .terminal import counter, say, write
from .text import csv_line, json_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from dashscope_ft import AsyncClient, Outcome, Receipt, Report
    from dashscope_ft.models import Action

    from .noun import Noun

JobIds = Annotated[list[str], Argument(metavar="JOB_ID", help="The jobs' ids.", show_default=False)]
Confirmed = Annotated[bool, Option("--yes", "-y", help="Don't ask.")]
MissingOk = Annotated[bool, Option("--missing-ok", help="A job that is not there is no failure.")]

Work = Coroutine[Any, Any, int]
"""What is left to run once the questions are answered."""

_GRACE = 10.0
"""Seconds that a request in flight is given after an interrupt."""

_DONE = {"cancel": "cancelling", "delete": "deleted"}
_FIELDS = ("job_id", "action", "result", "reason", "request_id", "error")


def change(
    session: Session,
    client: AsyncClient,
    action: Action,
    noun: Noun,
    job_ids: Sequence[str],
    call: Callable[[str], Coroutine[Any, Any, Receipt]],
    *,
    yes: bool,
    missing_ok: bool = False,
) -> Work:
    """
    Ask for confirmation, then give back the run over the jobs.

    Raises:
        InvalidArgument: An id is none.
        Refused: Nobody confirmed.
    """
    ids = [check_job_id(job_id) for job_id in dict.fromkeys(job_ids)]
    confirm(
        f"{action.capitalize()} {noun.count(len(ids))} in {session.place(client)}?", ids, yes=yes
    )
    outcomes = _in_turn(action, ids, call, missing_ok=missing_ok)
    return _account(session, client, action, outcomes, len(ids))


async def _account(
    session: Session,
    client: AsyncClient,
    action: Action,
    outcomes: AsyncIterator[Outcome],
    total: int,
) -> int:
    from dashscope_ft import Report

    ended: list[Outcome] = []
    if session.form is Output.CSV:
        write(csv_line(_FIELDS))
    try:
        async with client:
            with counter(
                "Cancelling" if action == "cancel" else "Deleting", total=total
            ) as progress:
                async for outcome in outcomes:
                    ended.append(outcome)
                    _tell(session, outcome)
                    progress.advance()
    finally:
        # An interrupted run accounts for what it did as well.
        report = Report(outcomes=ended)
        if session.form is Output.JSON:
            write(json_text([_row(outcome) for outcome in ended], indent=2) + "\n")
        if total > 1:
            say(_summary(action, report, total))
    return exit_code(report)


async def _in_turn(
    action: Action,
    ids: Sequence[str],
    call: Callable[[str], Coroutine[Any, Any, Receipt]],
    *,
    missing_ok: bool,
) -> AsyncIterator[Outcome]:
    """
    Change one job after the other.

    When cancelled, it waits for the one in flight, yields its outcome, and begins no other.
    """
    import asyncio  # here, since `--help` need not pay for it

    for job_id in ids:
        request = asyncio.create_task(_outcome(action, job_id, call, missing_ok=missing_ok))
        try:
            outcome = await asyncio.shield(request)
        except asyncio.CancelledError:
            await asyncio.wait({request}, timeout=_GRACE)
            if request.done() and not request.cancelled():
                yield request.result()
            else:
                request.cancel()
                yield _interrupted(action, job_id)
            raise
        yield outcome
        if isinstance(outcome.error, AuthenticationFailed):
            return


async def _outcome(
    action: Action,
    job_id: str,
    call: Callable[[str], Coroutine[Any, Any, Receipt]],
    *,
    missing_ok: bool,
) -> Outcome:
    from dashscope_ft import Outcome

    try:
        receipt = await call(job_id)
    except NotFound as error:
        if missing_ok:
            return Outcome(
                job_id=job_id,
                action=action,
                result="skipped",
                reason="already_gone",
                request_id=error.request_id,
            )
        failure: DashScopeError = error
    except DashScopeError as error:
        failure = error
    else:
        return Outcome(
            job_id=job_id,
            action=action,
            result="done",
            reason="confirmed" if receipt.confirmed else "inferred",
            request_id=receipt.request_id,
            job=receipt.job,
        )
    unknown = isinstance(failure, OutcomeUnknown)
    return Outcome(
        job_id=job_id,
        action=action,
        result="failed",
        reason="unknown_outcome" if unknown else failure.code or type(failure).__name__,
        error=failure,
        request_id=failure.request_id,
    )


def _interrupted(action: Action, job_id: str) -> Outcome:
    from dashscope_ft import Outcome

    error = OutcomeUnknown(
        "Interrupted before the answer came.", hint=f"Look at {job_id} before doing it again."
    )
    return Outcome(
        job_id=job_id, action=action, result="failed", reason="unknown_outcome", error=error
    )


def _tell(session: Session, outcome: Outcome) -> None:
    if session.form is Output.JSONL:
        write(json_text(_row(outcome)) + "\n")
    elif session.form is Output.CSV:
        write(csv_line(_row(outcome).values()))
    elif session.form is Output.TABLE and outcome.result != "failed":
        word = (
            _DONE[outcome.action] if outcome.result == "done" else outcome.reason.replace("_", " ")
        )
        note = " (inferred: its answer was lost)" if outcome.reason == "inferred" else ""
        write(f"{word}  {outcome.job_id}{note}\n")
    if outcome.error is not None:
        say(f"Error: {outcome.job_id}: {outcome.error}", style="red")


def _row(outcome: Outcome) -> dict[str, Any]:
    error = None if outcome.error is None else str(outcome.error)
    return {name: getattr(outcome, name) for name in _FIELDS} | {"error": error}


def _summary(action: Action, report: Report, total: int) -> str:
    parts = {
        _DONE[action]: report.done,
        "skipped": report.skipped,
        "failed": report.failed,
        "not attempted": total - report.selected,
    }
    return ", ".join(f"{number:,} {word}" for word, number in parts.items() if number) + "."
