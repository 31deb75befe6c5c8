"""
The text of a plan, for a person to read.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from ..characters import printable
from ..models import NOUN_IN_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .groups import Group
    from .plan import Plan, PlanEntry


def summary_of(plan: Plan, *, jobs: int) -> str:
    """
    Return what goes, what stays and why, by status, model and age, with totals.
    """
    workspace = f", workspace {plan.workspace}" if plan.workspace else ""
    deletes, noun = len(plan.entries), NOUN_IN_WORDS[plan.noun]
    # In the zone of the jobs' times: in another, a job might seem newer than the plan.
    times = (group.newest for group in (*plan.goes, *plan.stays))
    zone = next((time.tzinfo for time in times if time), UTC)
    parts = [
        f"Clean-up of {noun} at {plan.base_url}{workspace}",
        f"planned {plan.created.astimezone(zone):%Y-%m-%d %H:%M %Z}, digest {plan.digest[:12]}",
        "rules: " + "; ".join(plan.selection.describe()),
        "",
        f"GOES: {deletes} of {plan.listed} {noun}",
    ]
    parts += _table(
        ("status", "model", "jobs", "oldest", "newest"),
        [
            (group.status, group.model or "", str(group.jobs), *_ages(group, plan.created))
            for group in plan.goes
        ],
    )
    parts += ["", f"STAYS: {plan.listed - deletes}"]
    parts += _table(
        ("why", "status", "model", "jobs", "oldest", "newest"),
        [
            (
                f"{group.reason}: {group.detail}",
                group.status or "(none)",
                group.model or "",
                str(group.jobs),
                *_ages(group, plan.created),
            )
            for group in plan.stays
        ],
    )
    shown = plan.entries[:jobs]
    if shown:
        parts += ["", f"THE JOBS THAT GO{f', the {jobs} oldest' if deletes > jobs else ''}:"]
        parts += _table(
            ("job", "status", "model", "name", "created", "result"),
            [_row(entry, plan.created) for entry in shown],
        )
        if deletes > jobs:
            parts.append(f"  … and {deletes - jobs} more")
    return "\n".join(map(printable, parts))


def _row(entry: PlanEntry, now: datetime) -> tuple[str, ...]:
    return (
        entry.job_id,
        entry.status,
        entry.model or "",
        entry.name or "",
        _age(entry.create_time, now),
        entry.output or "",
    )


def _ages(group: Group, now: datetime) -> tuple[str, str]:
    return _age(group.oldest, now), _age(group.newest, now)


def _age(time: datetime | None, now: datetime) -> str:
    if time is None:
        return "unknown"
    days = max((now - time).days, 0)  # created meanwhile, or by a clock that is ahead
    return f"{time.date().isoformat()} ({days} d)"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return ["  (none)"]
    cells = [tuple(map(printable, row)) for row in (head, *rows)]
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    return [
        "  "
        + "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    ]


def _width(text: str) -> int:
    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)
