"""
A plan as text, to decide whether to apply it: what is deleted, what stays, and why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from attrs import evolve
from rich.text import Text

from dashscope_ft.characters import printable
from dashscope_ft.models import FINISHED_STATUSES

from .imports import IMPORT
from .jobs import JOB
from .kind import Column, Kind, minute
from .table import noted_table

if TYPE_CHECKING:
    from dashscope_ft import Plan
    from dashscope_ft.cleanup import Group

_KINDS = {"fine_tunes": JOB, "imports": IMPORT}
_MAX_GROUPS = 20
"""The most groups of staying jobs shown; all groups of jobs to be deleted are."""
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


def unfinished(plan: Plan, *, but: Collection[str] = ()) -> int:
    """
    Return how many jobs of a plan, except those in `but`, have not ended and so cannot be deleted.
    """
    return sum(
        entry.status not in FINISHED_STATUSES and entry.job_id not in but for entry in plan.entries
    )


def decision(
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
        brief: Whether to leave out what matters less to a user who has seen the plan: the models
            of the jobs that stay.
        naming_all: The options with which the command lists all jobs to be deleted.
    """
    going, kind, now = len(plan.entries), kind_of(plan), plan.created
    yield _heading(f"Clean-up of {kind.word}s in {place}")
    for rule in plan.selection.describe():
        yield Text(f"  {printable(rule)}")
    made = minute("created")({"created": now.isoformat()})
    yield Text(f"  planned {made} (UTC+8)")
    yield Text(f"  digest {plan.digest[:12]}")

    share = f" ({going / plan.listed:.0%})" if plan.listed else ""
    yield Text()
    yield _heading(f"GOES: {going:,} of {kind.count(plan.listed)}{share}")
    if going:
        yield from _groups(_GOES, "status", plan.goes, now, width, total=going)
    if running := unfinished(plan):
        verb = "has" if running == 1 else "have"
        end = (
            "skipped, since imports cannot be cancelled"
            if kind is IMPORT
            else "cancelled first with --cancel-running, else skipped"
        )
        yield Text(f"{running:,} of them {verb} not ended: {end}.", "yellow")

    staying = plan.listed - going
    yield Text()
    yield _heading(f"STAYS: {staying:,}")
    if staying:
        narrow = width is not None and width < _ROOM_FOR_MODELS
        groups = _merged(plan.stays) if narrow or brief else plan.stays
        hidden = ["MODEL"] if narrow else []
        yield from _groups(
            _STAYS, "why", groups[:_MAX_GROUPS], now, width, total=staying, hidden=hidden
        )

    if going:
        oldest = ", the oldest" if going > _MAX_ENTRIES else ""
        yield Text()
        yield _heading(f"THE JOBS THAT GO{oldest}")
        rows = [_entry(each) for each in plan.to_dict()["entries"][:_MAX_ENTRIES]]
        yield from noted_table(_ENTRIES, rows, width=width)
        if going > _MAX_ENTRIES:
            yield Text(f"… and {going - _MAX_ENTRIES:,} more; {naming_all} names all of them.")


def _heading(words: str) -> Text:
    return Text(printable(words), "bold")


def _groups(
    columns: Sequence[Column],
    label: str,
    groups: Sequence[Group],
    now: datetime,
    width: int | None,
    *,
    total: int,
    hidden: Sequence[str] = (),
) -> Iterator[Text]:
    rows: list[dict[str, Any]] = [
        {
            "jobs": f"{group.jobs:,}",
            "why": _why(group),
            "status": group.status or "(none)",
            "model": "(not told)" if group.model is None else group.model,
            "age": _age(group, now),
        }
        for group in groups
    ]
    if rest := total - sum(group.jobs for group in groups):
        rows.append({"jobs": f"{rest:,}", label: "in smaller groups"})
    rows.append({"jobs": f"{total:,}", label: "in all"})
    digits = max(len("JOBS"), len(rows[-1]["jobs"]))
    for row in rows:
        row["jobs"] = row["jobs"].rjust(digits)
    yield from noted_table(columns, rows, width=width, hidden=hidden)


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


def _entry(values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, "status": values["status"] or "(none)"}
