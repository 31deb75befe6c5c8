"""
A plan as text, for a person to decide on: which jobs are deleted, which stay, and why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import evolve
from rich.text import Text

from dashscope_ft.characters import printable
from dashscope_ft.models import FINISHED_STATUSES

from .imports import IMPORT
from .jobs import JOB
from .kind import Column, Kind, minute
from .table import count_table, noted_table

if TYPE_CHECKING:
    from dashscope_ft import Plan
    from dashscope_ft.cleanup import Group

_KINDS = {"fine_tunes": JOB, "imports": IMPORT}
_MAX_GROUPS = 20
"""The most groups of staying jobs that are shown; groups of jobs to be deleted are all shown."""
_MAX_ENTRIES = 5
"""The most jobs to be deleted that are listed individually."""

_ROOM_FOR_MODELS = 60
"""The width in cells below which the models of staying jobs are left out."""

_GOES = (
    Column("JOBS", "jobs"),
    Column("STATUS", "status"),
    Column("AGE", "age", rank=1),
    Column("MODEL", "model", rank=2, elastic=True),
)
_STAYS = (
    Column("JOBS", "jobs"),
    Column("WHY", "why", elastic=True),
    Column("STATUS", "status", rank=1),
    Column("AGE", "age", rank=2),
    Column("MODEL", "model", rank=3, elastic=True),
)
_ENTRIES = (
    Column("JOB ID", "job_id"),
    Column("STATUS", "status"),
    Column("MODEL", "model", rank=1, elastic=True),
    Column("CREATED (UTC+8)", minute("create_time"), rank=2),
    Column("NAME", "name", rank=3, elastic=True),
    Column("RESULT", "output", rank=4, elastic=True),
)


def kind_of(plan: Plan) -> Kind:
    """
    Return the kind of jobs that a plan is about.
    """
    return _KINDS[plan.noun]


def count_unfinished(plan: Plan, *, but: Collection[str] = ()) -> int:
    """
    Return how many jobs of a plan, except those in `but`, had not ended: they cannot be deleted.
    """
    return sum(
        entry.status not in FINISHED_STATUSES and entry.job_id not in but for entry in plan.entries
    )


def plan_lines(
    plan: Plan,
    place: str,
    *,
    width: int | None,
    brief: bool = False,
    naming_all: str = "--output jsonl",
) -> Iterator[Text]:
    """
    Yield a plan as lines.

    Sentences may be wider than `width`: they are left to the terminal to wrap.

    Args:
        plan: The plan.
        place: The region, host and workspace of the jobs.
        width: The greatest width of a line, in cells; None for a pipe.
        brief: Whether to leave out the models of the jobs that stay, for users who have seen the
            plan before.
        naming_all: The options with which the command lists all jobs to be deleted.
    """
    yield _heading(f"Clean-up of {kind_of(plan).word}s in {place}")
    for rule in plan.selection.describe():
        yield Text(f"  {printable(rule)}")
    made = minute("created")({"created": plan.created.isoformat()})
    yield Text(f"  planned {made} (UTC+8)")
    yield Text(f"  digest {plan.digest[:12]}")
    yield Text()
    yield from _what_goes(plan, width)
    yield Text()
    yield from _what_stays(plan, width, brief=brief)
    if plan.entries:
        yield Text()
        yield from _first_entries(plan, width, naming_all)


def _what_goes(plan: Plan, width: int | None) -> Iterator[Text]:
    going, kind = len(plan.entries), kind_of(plan)
    share = f" ({going / plan.listed:.0%})" if plan.listed else ""
    yield _heading(f"GOES: {going:,} of {kind.count(plan.listed)}{share}")
    if going:
        yield from _group_table(_GOES, "status", plan.goes, plan.created, width, total=going)
    if running := count_unfinished(plan):
        verb = "has" if running == 1 else "have"
        end = (
            "skipped, since imports cannot be cancelled"
            if kind is IMPORT
            else "cancelled first with --cancel-running, else skipped"
        )
        yield Text(f"{running:,} of them {verb} not ended: {end}.", "yellow")


def _what_stays(plan: Plan, width: int | None, *, brief: bool) -> Iterator[Text]:
    staying = plan.listed - len(plan.entries)
    yield _heading(f"STAYS: {staying:,}")
    if staying:
        narrow = width is not None and width < _ROOM_FOR_MODELS
        groups = _merged(plan.stays) if narrow or brief else plan.stays
        yield from _group_table(
            _STAYS,
            "why",
            groups[:_MAX_GROUPS],
            plan.created,
            width,
            total=staying,
            hidden=["MODEL"] if narrow else [],
        )


def _first_entries(plan: Plan, width: int | None, naming_all: str) -> Iterator[Text]:
    more = len(plan.entries) - _MAX_ENTRIES
    yield _heading(f"THE JOBS THAT GO{', the oldest' if more > 0 else ''}")
    shown = evolve(plan, entries=plan.entries[:_MAX_ENTRIES], stays=())
    rows = [
        {**entry, "status": entry["status"] or "(none)"} for entry in shown.to_dict()["entries"]
    ]
    yield from noted_table(_ENTRIES, rows, width=width)
    if more > 0:
        yield Text(f"… and {more:,} more; {naming_all} names all of them.")


def _heading(words: str) -> Text:
    return Text(printable(words), "bold")


def _group_table(
    columns: Sequence[Column],
    label: str,
    groups: Sequence[Group],
    now: datetime,
    width: int | None,
    *,
    total: int,
    hidden: Sequence[str] = (),
) -> Iterator[Text]:
    """
    Return groups of jobs as a table, and below them the number of the jobs of all groups.

    Args:
        columns: The columns.
        label: The field in which the last rows say what they are.
        groups: The groups to show.
        now: When the plan was made.
        width: The greatest width of a line, in cells; None for a pipe.
        total: How many jobs there are, in groups that are not shown, too.
        hidden: The titles of columns that are left out for want of room.
    """
    rows: list[dict[str, Any]] = [
        {
            "jobs": group.jobs,
            "why": _why(group),
            "status": group.status or "(none)",
            "model": "(not told)" if group.model is None else group.model,
            "age": _age(group, now),
        }
        for group in groups
    ]
    if rest := total - sum(group.jobs for group in groups):
        rows.append({"jobs": rest, label: "in smaller groups"})
    rows.append({"jobs": total, label: "in all"})
    return count_table(columns, rows, width=width, hidden=hidden)


def _merged(groups: Iterable[Group]) -> list[Group]:
    """
    Merge groups that differ only in their model.
    """
    alike: defaultdict[tuple[str, str, str], list[Group]] = defaultdict(list)
    for group in groups:
        alike[group.reason, group.detail, group.status].append(group)
    merged = [
        evolve(
            same[0],
            model="",
            jobs=sum(group.jobs for group in same),
            oldest=min((group.oldest for group in same if group.oldest), default=None),
            newest=max((group.newest for group in same if group.newest), default=None),
        )
        for same in alike.values()
    ]
    return sorted(merged, key=lambda group: -group.jobs)


def _why(group: Group) -> str:
    if group.reason == "undecidable":
        return f"cannot be judged: {group.detail}"
    return group.detail or group.reason


def _age(group: Group, now: datetime) -> str:
    if group.oldest is None or group.newest is None:
        return "unknown"
    # A job may have been created meanwhile, or by a clock that is ahead.
    newest, oldest = (max((now - time).days, 0) for time in (group.newest, group.oldest))
    return f"{newest} d" if newest == oldest else f"{newest}–{oldest} d"
