"""
Figures as Markdown, for the README: nothing in it is typed by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .arithmetic import PACE, clearing
from .charts import NAMES, beneath, label, points
from .goals import REMEMBERED, goals
from .samples import Figure

_LINEAR = 1.2
"""How many times the ideal a time may be, and still grow as that does."""


def write(
    figures: Mapping[str, Figure], machine: Mapping[str, str], versions: Mapping[str, str]
) -> str:
    """
    Return all tables.
    """
    peers = ", ".join(f"{name} {version}" for name, version in versions.items())
    parts = [
        f"Measured by `python -m benchmarks` on {machine['cores']} shared cores, "
        f"{machine['python']}, {machine['system']}, with {peers}. Medians, with quartiles in "
        "brackets; ratios are taken round by round. Pages are read one after another unless a "
        "row says how many at once; – is for what was not measured. All speak plain HTTP: TLS "
        "would add to each.",
        "### Side by side",
        _contest(figures),
        "### Goals",
        _goals(figures),
        "### Listing, 50 ms away",
        _latency(figures),
        "### Single calls, deletions, starting",
        _calls(figures),
        "### Memory",
        _memory(figures),
        "### How the cost grows",
        _growth(figures),
        "### One core, one hour",
        _hour(figures),
    ]
    return "\n\n".join(parts) + "\n"


def _contest(figures: Mapping[str, Figure]) -> str:
    rows = [
        (
            label(name),
            str(cpu),
            str(figures.get(f"contest.ratio.{name}", 1)),  # the floor has none to itself
            str(figures.get(f"latency.wall.{name}", "–")),
            str(figures[f"contest.requests.{name}"]),
            str(figures[f"contest.connections.{name}"]),
        )
        for name, cpu in beneath(figures, "contest.cpu.").items()
    ]
    jobs = f"listing {figures['listing.jobs']} jobs"
    return _table((jobs, "CPU", "to raw aiohttp", "wall at 50 ms", "requests", "connections"), rows)


def _goals(figures: Mapping[str, Figure]) -> str:
    rows = []
    for goal in goals(figures):
        figure, side = figures[goal.figure], "≤" if goal.side == "at most" else "≥"
        bound = f"{side} {goal.bound:,g} {figure.unit}".strip()
        rows.append((goal.what, bound, str(figure), "yes" if goal.is_met(figures) else "**no**"))
    return _table(("what", "goal", "measured", "met"), rows)


def _latency(figures: Mapping[str, Figure]) -> str:
    widths = [flights for flights, _ in points(figures, "latency.ratio.")]
    columns = {str(flights): f"{flights} at once" for flights in widths}
    rows = {
        "wall": "latency.alone.{}",
        "… divided by what latency alone would take for its requests": "latency.ratio.{}",
        "dashscope async's wall divided by ours, in the same rounds": "latency.faster.{}",
        "requests in flight, at most": "latency.most_in_flight.{}",
        "connections": "latency.connections.{}",
    }
    jobs = f"listing {figures['listing.jobs']} jobs with {NAMES['ours']}"
    return _grid(figures, jobs, columns, rows)


def _calls(figures: Mapping[str, Figure]) -> str:
    columns = {
        "ours": NAMES["ours"],
        "floor": "raw aiohttp",
        "by_hand": "httpx by hand",
        "official": "dashscope",
        "official_classic": NAMES["official_classic"],
    }
    rows = {
        "fetching a job, CPU": "calls.cpu.{}",
        "… wall, awaited": "calls.wall.{}_await",
        "… wall, blocking": "calls.wall.{}_blocking",
        "… wall, blocking, 8 threads sharing a client, divided by all their calls": (
            "calls.wall.{}_threads"
        ),
        "deleting a job, CPU, 8 at once": "deleting.cpu.{}",
        f"deleting {figures['deleting.jobs']} jobs at 50 ms, 64 at once": "deleting.wall.{}_64",
        "… requests in flight, at most": "deleting.most_in_flight.{}_64",
        "… connections": "deleting.connections.{}_64",
        f"importing it, CPU (bare Python: {figures['starting.cpu.bare']})": (
            "starting.cpu.import_{}"
        ),
        "importing its client, CPU": "starting.cpu.client_{}",
        "a script listing one page, CPU": "starting.cpu.script_{}",
        "`--help`, CPU": "starting.cpu.help_{}",
    }
    return _grid(figures, "what", columns, rows)


def _memory(figures: Mapping[str, Figure]) -> str:
    columns = {"traced": "by Python's count", "resident": "by the system's"}
    rows = {
        "a job kept": "memory.{}.kept",
        f"peak above idle while streaming {figures['memory.jobs']} jobs": (
            "memory.{}.streamed_total"
        ),
        f"… less {REMEMBERED} KB a job seen": "memory.{}.streamed",
    }
    return _grid(figures, NAMES["ours"], columns, rows)


def _growth(figures: Mapping[str, Figure]) -> str:
    walls = points(figures, "growth.flights.wall.")
    ideals = [ideal.median for _, ideal in points(figures, "growth.flights.ideal.")]
    times = [f"{Figure.exactly(wall.median, 's')} with {flights}" for flights, wall in walls]
    ratios = [
        f"{wall.median / ideal:.2f} with {flights}"
        for (flights, wall), ideal in zip(walls, ideals, strict=True)
    ]
    return "\n".join(
        (
            "* With the jobs: twice the jobs take "
            f"{figures['growth.jobs.doubled_from_1000']} the CPU from 1,000 jobs on "
            f"({figures['growth.jobs.doubled']} from 100 on). A job costs {NAMES['ours']} "
            f"{_each(figures, 'ours')}; raw aiohttp {_each(figures, 'floor')}. The more is "
            "kept, the longer each of Python's garbage collections takes, with either.",
            f"* With the requests in flight: listing {figures['listing.jobs']} jobs at 50 ms "
            f"takes {', '.join(times)}. Divided by what latency alone would take for its "
            "requests, that is "
            f"{', '.join(ratios)}. {_where_it_bends(figures)}",
        )
    )


def _where_it_bends(figures: Mapping[str, Figure]) -> str:
    cpu = Figure.exactly(figures["contest.cpu.ours_8"].median, "ms")
    alone = dict(points(figures, "growth.flights.ideal."))
    for flights, wall in points(figures, "growth.flights.wall."):
        if wall.median > _LINEAR * alone[flights].median:
            return (
                f"From {flights} on it is more than {_LINEAR:g} times that: answers are read and "
                f"decoded on one core, which takes {cpu}, beside {alone[flights]} of latency."
            )
    return f"It is never more than {_LINEAR:g} times that."


def _each(figures: Mapping[str, Figure], name: str) -> str:
    costs = points(figures, f"growth.jobs.{name}.")
    each = {jobs: Figure.exactly(1000 * cost.median / jobs, "µs") for jobs, cost in costs}
    return ", ".join(f"{cost} with {jobs:,}" for jobs, cost in each.items())


def _hour(figures: Mapping[str, Figure]) -> str:
    takes = clearing(figures)
    return (
        f"Clearing a workspace of {figures['clearing.jobs']} jobs by `plan` and `apply` takes "
        f"{takes.requests:,} requests (list all, look at each again, delete it) and "
        f"{figures['clearing.cpu.journaled']} of CPU with a journal, whose lines are flushed to "
        f"disk, {figures['clearing.cpu.plain']} without: with one, an hour of one core is enough "
        f"for about {_about(takes.an_hour)} of them. The service publishes no rate; at {PACE:g} "
        f"requests a second a workspace takes {takes.seconds:.0f} s, and one core keeps up with "
        f"about {_about(takes.at_once)} workspaces at once."
    )


def _about(number: float) -> str:
    return f"{float(f'{number:.2g}'):,g}"


def _grid(
    figures: Mapping[str, Figure],
    corner: str,
    columns: Mapping[str, str],
    rows: Mapping[str, str],
) -> str:
    """
    Return a table whose rows are figures by name, but for the part that is the column's.
    """
    cells = [
        (words, *(str(figures.get(name.format(part), "–")) for part in columns))
        for words, name in rows.items()
    ]
    return _table((corner, *columns.values()), cells)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
