"""
Applying a plan: it is checked, shown, confirmed by the user, carried out, and reported on.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashscope_ft import GuardExceeded, Outcome, PlanRefused, Report
from dashscope_ft.cleanup.guards import check_guards, check_place
from dashscope_ft.cleanup.journal import Journal, JournalUnwritable
from dashscope_ft.cleanup.rehearsal import rehearse

from .cleanup_plan import count_unfinished, kind_of, plan_lines
from .cleanup_report import WrittenReport
from .exits import exit_code
from .progress import outcome_bar, spinner
from .questions import Refused, agree, can_ask
from .session import Session, place_of
from .terminal import say, width_of, write_lines

if TYPE_CHECKING:
    from dashscope_ft import AsyncClient, FineTunes, Imports, Plan

    from .command import Work

_MIN_DIGEST_LENGTH = 12
"""The fewest characters of a digest that identify a plan; so many are shown."""


@dataclass(frozen=True, kw_only=True)
class Terms:
    """
    The terms on which a plan is applied.
    """

    max_deletes: int
    """How many jobs may be deleted at most."""

    max_percent: float
    """What percentage of the listed jobs may be deleted at most."""

    cancel_running: bool
    """Whether unfinished jobs are cancelled first."""

    strict: bool
    """Whether skipped jobs affect the exit code."""

    yes: bool
    """Whether the plan was confirmed in advance."""

    dry_run: bool = False
    """Whether to change nothing."""

    brief: bool = False
    """Whether the user has seen the plan before, so that it is shown in brief."""

    journal: Path | None = None
    """The file that records what is done, so that an interrupted run can be resumed."""

    digest: str | None = None
    """The beginning of the digest of the plan that was confirmed."""

    resume: str = "The same command plans anew, and goes on with what is left."
    """What to print after an interruption or failures: how to go on."""


def apply(session: Session, client: AsyncClient, plan: Plan, terms: Terms) -> Work:
    """
    Check a plan, show it and ask for confirmation; return the coroutine that carries it out.

    Raises:
        PlanRefused: It was made elsewhere or too long ago, or is not the one confirmed.
        GuardExceeded: It names too many jobs.
        Refused: It was not confirmed.
    """
    place = place_of(client)
    check_place(
        plan,
        noun=plan.noun,
        base_url=client.base_url,
        workspace=client.workspace,
        now=datetime.now(UTC),
    )
    if terms.digest is not None:
        _check_digest(plan, terms.digest)
    journal = _read_journal(plan, terms.journal)
    settled = frozenset(entry.job_id for entry in plan.entries if journal.standing(entry.job_id))
    left = len(plan.entries) - len(settled)
    if sys.stderr.isatty() and (left or not plan.entries):
        lines = plan_lines(
            plan,
            place,
            width=width_of(sys.stderr),
            brief=terms.brief,
            naming_all="--dry-run --output jsonl",
        )
        write_lines(lines, sys.stderr, wrapped=True)
        say("")
    if terms.dry_run:
        return _rehearse(session, client, plan, terms, journal)
    check_bounds(plan, max_deletes=terms.max_deletes, max_percent=terms.max_percent)
    if left:
        _confirm(_question(plan, terms, settled, place), terms)
    return _carry_out(session, client, plan, terms, settled)


def check_bounds(plan: Plan, *, max_deletes: int, max_percent: float) -> None:
    """
    Check that a plan deletes no more than allowed; errors name the options as they are typed.

    Raises:
        GuardExceeded: It would delete more.
    """
    try:
        check_guards(plan, max_deletes=max_deletes, max_percent=max_percent)
        return
    except GuardExceeded as error:
        text, hint = (
            words.replace("max_", "--max-").replace("=", " ")
            for words in (error.message, error.hint or "")
        )
    raise GuardExceeded(text, hint=hint)


def _check_digest(plan: Plan, digest: str) -> None:
    if len(digest) < _MIN_DIGEST_LENGTH:
        raise PlanRefused(
            f"--digest is too short with {len(digest)} characters.",
            hint=f"Give {_MIN_DIGEST_LENGTH} of them, or more.",
        )
    if not plan.digest.startswith(digest.lower()):
        # Showing the right digest would make it possible to skip looking at the plan.
        raise PlanRefused(
            f"--digest {digest} is not this plan's.",
            hint="Look at the plan: --dry-run without --digest shows it on a terminal.",
        )


def _read_journal(plan: Plan, file: Path | None) -> Journal:
    """
    Return the journal of earlier runs, closed, since it is only read here.
    """
    path = file if file is not None and file.exists() else None
    journal = Journal(plan.digest, path, now=lambda: datetime.now(UTC))
    journal.close()
    return journal


def _question(plan: Plan, terms: Terms, settled: frozenset[str], place: str) -> str:
    """
    Return the question whether to delete the jobs of a plan that an earlier run has not settled.
    """
    count = kind_of(plan).count(len(plan.entries))
    if settled:
        count = f"the {len(plan.entries) - len(settled):,} that are left of {count}"
    running = count_unfinished(plan, but=settled)
    if not running:
        return f"Delete {count} in {place}?"
    if terms.cancel_running:
        return f"Delete {count} in {place}, and cancel {running:,} of them for it?"
    return f"Delete {count} in {place}, but for {running:,} that have not ended?"


def _confirm(question: str, terms: Terms) -> None:
    """
    Return only if the user confirms, or did so in advance: without a terminal, by digest, too.

    Raises:
        Refused: The plan was not confirmed.
    """
    if terms.yes and (terms.digest is not None or can_ask()):
        return
    if not can_ask():
        raise Refused(
            f"{question} There is no terminal to ask this on; add --yes, and --digest with the"
            " digest of the plan that was looked at. Nothing was deleted."
        )
    agree(question, "Nothing was deleted.")


async def _carry_out(
    session: Session, client: AsyncClient, plan: Plan, terms: Terms, settled: frozenset[str]
) -> int:
    """
    Delete the jobs of a plan, write what came of them, and return the exit code.
    """
    written = WrittenReport(session, plan, settled=settled, cancel_running=terms.cancel_running)
    rows_suffice = written.streams and sys.stdout.isatty()
    async with client:
        try:
            with outcome_bar(
                "Deleting", total=len(plan.entries), settled=len(settled), hidden=rows_suffice
            ) as count:

                def on_outcome(outcome: Outcome) -> None:
                    if outcome.job_id not in settled and outcome.reason != "not_attempted":
                        count(outcome.result == "failed")
                    written.add(outcome)

                report = await _stoppable(
                    _resource(client, plan).apply(
                        plan,
                        journal=terms.journal,
                        max_deletes=terms.max_deletes,
                        max_percent=terms.max_percent,
                        cancel_running=terms.cancel_running,
                        on_outcome=on_outcome,
                    )
                )
        except BaseException as error:
            so_far = vars(error).get("report")
            if isinstance(so_far, Report):  # otherwise nothing was started
                written.close(so_far)
                if not isinstance(error, JournalUnwritable):  # which says how to resume
                    say(terms.resume)
            raise
        written.close(report)
    if report.failed:
        say(terms.resume)
    return exit_code(report, strict=terms.strict)


async def _stoppable(work: Coroutine[Any, Any, Report]) -> Report:
    """
    Await a run; when cancelled, print what is being waited for, and await its end.
    """
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError as interruption:
        task.cancel()
        # Called by the loop, so that a second Ctrl-C during the call interrupts the `await` below.
        asyncio.get_running_loop().call_soon(
            say,
            "Stopping: nothing new begins, and what is under way gets 10 seconds."
            " Ctrl-C leaves at once.",
        )
        vars(interruption)["report"] = await task  # it ended despite being cancelled
        raise


async def _rehearse(
    session: Session,
    client: AsyncClient,
    plan: Plan,
    terms: Terms,
    journal: Journal,
) -> int:
    """
    Write what applying a plan would do by now, and return the exit code.
    """
    with spinner(f"Listing {kind_of(plan).word}s"):
        async with client:
            report = await rehearse(
                plan,
                _resource(client, plan).list(),
                base_url=client.base_url,
                workspace=client.workspace,
                cancel_running=terms.cancel_running,
                journal=journal,
            )
    # What an earlier run deleted, as recorded or inferred, has not been seen by this one.
    settled = frozenset(
        outcome.job_id
        for outcome in report.outcomes
        if outcome.result == "done" and outcome.job is None
    )
    written = WrittenReport(
        session, plan, dry_run=True, settled=settled, cancel_running=terms.cancel_running
    )
    written.close(report)
    check_bounds(plan, max_deletes=terms.max_deletes, max_percent=terms.max_percent)
    return exit_code(report, strict=terms.strict)


def _resource(client: AsyncClient, plan: Plan) -> FineTunes | Imports:
    return client.fine_tunes if plan.noun == "fine_tunes" else client.imports
