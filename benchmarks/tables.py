"""
Figures as Markdown, for the README: nothing in it is typed by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .arithmetic import JOBS, PACE, hour
from .charts import NAMES, points
from .goals import goals
from .samples import Figure


def write(figures: Mapping[str, Figure], machine: Mapping[str, str]) -> str:
    """
    Give all tables.
    """
    parts = [
        f"Measured by `python -m benchmarks` on {machine['cores']} shared cores, "
        f"{machine['python']}, {machine['system']}, against {machine['official']}. "
        "Medians, with quartiles in brackets; ratios are taken round by round.",
        "### Side by side",
        _contest(figures),
        "### Goals",
        _goals(figures),
        "### How the cost grows",
        _growth(figures),
        "### One core, one hour",
        _hour(figures),
    ]
    return "\n\n".join(parts) + "\n"


def _contest(figures: Mapping[str, Figure]) -> str:
    rows = []
    for name, words in NAMES.items():
        wall = "latency.wall." + {"ours": "ours_8"}.get(name, name)
        rows.append(
            (
                words,
                str(figures[f"contest.cpu.{name}"]),
                str(figures[f"contest.ratio.{name}"]),
                str(figures.get(wall, "–")),
                str(figures[f"contest.requests.{name}"]),
                str(figures[f"contest.connections.{name}"]),
            )
        )
    columns = (
        "listing 10,000 jobs",
        "CPU",
        "to raw aiohttp",
        "wall at 50 ms",
        "requests",
        "connections",
    )
    return _table(columns, rows)


def _goals(figures: Mapping[str, Figure]) -> str:
    rows = [
        (
            goal.what,
            f"{'≤' if goal.side == 'at most' else '≥'} {goal.bound:,g}",
            str(figures[goal.figure]),
            "yes" if goal.is_met(figures) else "**no**",
        )
        for goal in goals(figures)
    ]
    return _table(("what", "goal", "measured", "met"), rows)


def _growth(figures: Mapping[str, Figure]) -> str:
    jobs = points(figures, "growth.jobs.ours.")
    flights = points(figures, "growth.flights.wall.")
    overall = figures["growth.jobs.exponent"].median
    from_1000 = figures["growth.jobs.exponent_from_1000"].median
    narrow = figures["growth.flights.exponent_to_16"].median
    last = figures["growth.flights.wall.64"].median / figures["growth.flights.ideal.64"].median
    (_, first), (_, busiest) = flights[0], flights[-1]
    each = [f"{1000 * cost.median / count:,.0f} µs a job with {count:,}" for count, cost in jobs]
    return "\n".join(
        (
            f"* With the jobs: as their number to the power of {from_1000:.2f} from 1,000 on "
            f"({overall:.2f} from 100, where a single request weighs more): {', '.join(each)}.",
            f"* With the requests in flight: listing takes time as their number to the power of "
            f"{narrow:.2f} up to 16, from {first} at 1 to {busiest} at 64. Beyond that it is no "
            f"longer linear: at 64 it takes {last:.1f} times what latency alone would, since one "
            "core reads and decodes the answers meanwhile.",
        )
    )


def _hour(figures: Mapping[str, Figure]) -> str:
    one = hour(figures)
    return (
        f"Clearing a workspace of {JOBS:,} jobs takes {one.requests:,} requests (list all, look "
        f"at each again, delete it) and {one.cpu:.2f} s of CPU. So one core clears "
        f"{one.workspaces:,} workspaces, {one.jobs:,} jobs, an hour. The service publishes no "
        f"rate; at {PACE:g} requests a second it would let {one.admitted} workspaces through in "
        f"that hour one after the other, and one core keeps {one.at_once} busy at once. So the "
        "service's pace is the bound, and workspaces, not jobs, are what to spread over machines."
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
