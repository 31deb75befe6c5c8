"""
`dashscope-ft cleanup`: make a plan, review it, apply it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

from .command import Work, command, group
from .files import check_writable
from .listing import write_rows
from .questions import Confirmed, Refused, can_ask
from .rules import (
    By,
    ByTime,
    Creator,
    KeepLatest,
    Model,
    Name,
    NewerThan,
    OlderThan,
    Protect,
    Status,
    What,
    WhatJobs,
    selection_of,
)
from .session import Output, Session, place_of
from .terminal import say, width_of, write, write_lines
from .text import json_line

if TYPE_CHECKING:
    from dashscope_ft import AsyncClient, Plan, Selection

MaxDeletes = Annotated[
    int, Option(min=0, metavar="N", help="Refuse a plan that deletes more jobs than this.")
]
MaxPercent = Annotated[
    float,
    Option(
        min=0,
        max=100,
        metavar="N",
        help="Refuse a plan that deletes a larger share of the listed jobs, in percent.",
    ),
]
CancelRunning = Annotated[
    bool,
    Option(
        "--cancel-running",
        help="Cancel jobs that have not ended before deleting them. Without it they are skipped,"
        " as imports always are.",
    ),
]
Strict = Annotated[bool, Option("--strict", help="Exit with code 6 if any job was skipped.")]
SavedAs = Annotated[
    Path | None,
    Option("-o", "--save", metavar="FILE", help="Save the plan in this file, for `cleanup apply`."),
]
# Without `-o`, which names the plan's file here.
LongOutputForm = Annotated[
    Output | None,
    Option("--output", metavar="FORM", help="How to print: table, json, jsonl or csv."),
]

_MAX_DELETES, _MAX_PERCENT = 20, 50.0
_ENTRY_FIELDS = ("job_id", "status", "model", "name", "output", "create_time", "end_time")

app = group("Delete many jobs by rules: make a plan, look at it, apply it.")


@command(
    app,
    "plan",
    reads=True,
    examples=(
        "cleanup plan --older-than 30d --keep-latest 3 -o plan.json",
        "cleanup plan imports --status FAILED",
    ),
)
def plan_cleanup(
    session: Session,
    what: WhatJobs = What.JOBS,
    status: Status = None,
    model: Model = None,
    name: Name = None,
    creator: Creator = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    by: ByTime = By.CREATED,
    keep_latest: KeepLatest = None,
    protect: Protect = None,
    save: SavedAs = None,
    output: LongOutputForm = None,
) -> None:
    """
    Show which jobs would be deleted, which stay, and why. Deletes nothing.
    """
    session = session.refined(output=output)
    _check_plan_file(save)
    selection = selection_of(
        what,
        status=status,
        model=model,
        name=name,
        creator=creator,
        older_than=older_than,
        newer_than=newer_than,
        by=by,
        keep_latest=keep_latest,
        protect=protect,
    )
    client = session.client()
    plan = _make_plan(client, what, selection, save)
    _write(session, plan, place_of(client))
    if save is not None and plan.entries:
        say(f"Within 24 hours: `{_apply_command(session, plan, save)}`")


@command(
    app,
    "apply",
    examples=(
        "cleanup apply plan.json --dry-run",
        "cleanup apply plan.json --max-deletes 200 --yes --digest 3f9a0c5be217",
    ),
)
def apply_cleanup(
    session: Session,
    file: Annotated[
        Path,
        Argument(
            metavar="PLAN",
            help="The file that `cleanup plan -o` saved.",
            exists=True,
            dir_okay=False,
        ),
    ],
    journal: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Record what is done in this file, so that the same command goes on after an"
            " interruption; beside the plan unless given.",
            dir_okay=False,
        ),
    ] = None,
    max_deletes: MaxDeletes = _MAX_DELETES,
    max_percent: MaxPercent = _MAX_PERCENT,
    cancel_running: CancelRunning = False,
    strict: Strict = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Only say what would be deleted by now.")
    ] = False,
    yes: Annotated[
        bool,
        Option(
            "--yes",
            "-y",
            help="Do not ask for confirmation; without a terminal, give --digest too.",
        ),
    ] = False,
    digest: Annotated[
        str | None,
        Option(
            metavar="HEX",
            help="Refuse any plan but the one with this digest; 12 characters of it or more.",
        ),
    ] = None,
) -> Work:
    """
    Delete the jobs that a plan names, after asking. Each job is checked once more.

    After an interruption, the same command goes on.
    """
    from dashscope_ft import Plan

    from .cleanup_apply import Terms, apply

    plan = Plan.load(file)
    _check_cancelling(plan.noun, cancel_running)
    option = "--journal" if journal else "--journal, beside the plan unless given"
    journal = journal or _journal_beside(file, plan)
    if not dry_run and not journal.exists():
        check_writable(option, journal)
    terms = Terms(
        max_deletes=max_deletes,
        max_percent=max_percent,
        cancel_running=cancel_running,
        strict=strict,
        dry_run=dry_run,
        yes=yes,
        journal=journal,
        digest=digest,
        brief=True,
        resume="The same command goes on with what is left.",
    )
    return apply(session, session.client(), plan, terms)


@command(app, "run")
def run_cleanup(
    session: Session,
    what: WhatJobs = What.JOBS,
    status: Status = None,
    model: Model = None,
    name: Name = None,
    creator: Creator = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    by: ByTime = By.CREATED,
    keep_latest: KeepLatest = None,
    protect: Protect = None,
    save: SavedAs = None,
    max_deletes: MaxDeletes = _MAX_DELETES,
    max_percent: MaxPercent = _MAX_PERCENT,
    cancel_running: CancelRunning = False,
    strict: Strict = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Only show the plan.")] = False,
    yes: Confirmed = False,
    output: LongOutputForm = None,
) -> Work | None:
    """
    Plan, show, ask and apply in one go, on a terminal.
    """
    session = session.refined(output=output)
    _check_cancelling(what, cancel_running)
    if not dry_run and not can_ask():
        raise Refused(
            "Nothing was sent: `run` needs a terminal, to show the plan and ask. Without one, use"
            " `cleanup plan -o FILE`, then `cleanup apply FILE --yes --digest HEX`."
        )
    _check_plan_file(save)
    selection = selection_of(
        what,
        status=status,
        model=model,
        name=name,
        creator=creator,
        older_than=older_than,
        newer_than=newer_than,
        by=by,
        keep_latest=keep_latest,
        protect=protect,
    )
    client = session.client()
    plan = _make_plan(client, what, selection, save)

    from .cleanup_apply import Terms, apply, check_bounds

    if dry_run:
        _write(session, plan, place_of(client))
        check_bounds(plan, max_deletes=max_deletes, max_percent=max_percent)
        return None
    terms = Terms(
        max_deletes=max_deletes,
        max_percent=max_percent,
        cancel_running=cancel_running,
        strict=strict,
        yes=yes,
        journal=_journal_beside(save, plan) if save else None,
    )
    return apply(session, session.client(), plan, terms)


def _make_plan(client: AsyncClient, what: What, selection: Selection, save: Path | None) -> Plan:
    """
    Make a plan, and save it if there is a file for it.
    """
    from .interrupts import run
    from .progress import spinner

    async def make() -> Plan:
        with spinner(f"Listing {what}"):
            async with client:
                resource = client.fine_tunes if what is What.JOBS else client.imports
                return await resource.plan(selection)

    # In a loop of its own: a running loop would handle Ctrl-C during the question that may follow.
    plan = run(make())
    if selection.protect and all(group.reason != "protected" for group in plan.stays):
        say("Note: --protect protects nothing: no job listed has such an id, name or result.")
    if save is not None:
        plan.save(save)
    return plan


def _check_plan_file(save: Path | None) -> None:
    """
    Raise `BadParameter`, before anything is listed, if a plan cannot be saved there.
    """
    if save is None:
        return
    if str(save) in {*Output, "ids"}:  # other commands take these after -o
        raise BadParameter(f"-o names the plan's file here; for {save} say --output {save}.")
    check_writable("-o", save)


def _check_cancelling(noun: str, cancel_running: bool) -> None:
    """
    Raise `BadParameter`, before anything is sent, if imports are to be cancelled.
    """
    if cancel_running and noun == What.IMPORTS:
        raise BadParameter("Imports cannot be cancelled: leave --cancel-running out.")


def _journal_beside(file: Path, plan: Plan) -> Path:
    """
    Return the journal's path, named after file and digest: a new plan in the same file has its own.
    """
    return file.with_name(f"{file.stem}-{plan.digest[:12]}.journal")


def _apply_command(session: Session, plan: Plan, file: Path) -> str:
    """
    Return the command line that applies a plan, with guards that let it pass.
    """
    going = len(plan.entries)
    percent = -(-going * 100 // plan.listed) if going else 0  # rounded up
    options = {
        "--max-deletes": going if going > _MAX_DELETES else None,
        "--max-percent": percent if percent > _MAX_PERCENT else None,
    }
    words = ["cleanup", "apply", str(file)]
    for option, value in options.items():
        if value is not None:
            words += option, str(value)
    return session.command(*words)


def _write(session: Session, plan: Plan, place: str) -> None:
    """
    Write a plan: all of it as text or JSON, the jobs to be deleted as CSV or JSON Lines.
    """
    if session.form is Output.TABLE:
        from .cleanup_plan import plan_lines

        write_lines(plan_lines(plan, place, width=width_of(sys.stdout)), wrapped=True)
        return
    values = plan.to_dict()
    if session.form is Output.JSON:
        write(json_line(values, indent=2))
    else:
        write_rows(session.form, values["entries"], _ENTRY_FIELDS)
