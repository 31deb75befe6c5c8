"""
Figures as pictures: SVG without a ground of its own, in colours that read on light and dark.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from .samples import Figure

INK = "#808890"
OURS = "#2f9e6e"
FLOOR = "#8a94a0"
OTHERS = "#d0782e"
SECOND = "#5b84d6"

NAMES = {
    "floor": "raw aiohttp + orjson, no models",
    "ours": "dashscope-ft",
    "stock_cattrs": "aiohttp + stock cattrs",
    "by_hand": "httpx + pydantic by hand",
    "official_async": "dashscope async",
    "official_sync": "dashscope sync",
    "official_classic": "dashscope 1.x API",
}

mpl.use("svg")
mpl.rcParams |= {
    "svg.hashsalt": "dashscope-ft",
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "savefig.transparent": True,
}


def draw_all(figures: Mapping[str, Figure], folder: Path) -> None:
    """
    Draw every chart.
    """
    listed = f"list {figures['listing.jobs']} jobs"
    with _chart(folder / "cpu.svg", height=3.6) as axes:
        _bars(axes, beneath(figures, "contest.cpu."))
        axes.set_title(f"CPU to {listed}")
    with _chart(folder / "latency.svg", height=3.1) as axes:
        _bars(axes, beneath(figures, "latency.wall."))
        axes.set_title(f"Time to {listed}, service 50 ms away")
    with _chart(folder / "growth_jobs.svg") as axes:
        _curve(axes, figures, "growth.jobs.ours.", OURS, NAMES["ours"])
        _curve(axes, figures, "growth.jobs.floor.", FLOOR, NAMES["floor"])
        doubled = figures["growth.jobs.doubled_from_1000"]
        _scales(axes, "jobs", "CPU to list them, ms")
        axes.set_title(f"From 1,000 jobs on, twice the jobs take {doubled} the CPU")
    with _chart(folder / "growth_flights.svg") as axes:
        _curve(axes, figures, "growth.flights.wall.", OURS, "measured")
        _curve(axes, figures, "growth.flights.ideal.", FLOOR, "ideal: latency alone", dashed=True)
        _scales(axes, "requests in flight", f"time to {listed}, s", base=2)
        axes.set_title(f"Listing with {NAMES['ours']}, service 50 ms away")
    with _chart(folder / "growth_cpu.svg") as axes:
        _curve(axes, figures, "growth.flights.cpu.by_hand.", SECOND, NAMES["by_hand"])
        _curve(axes, figures, "growth.flights.cpu.official_async.", OTHERS, NAMES["official_async"])
        _curve(axes, figures, "growth.flights.cpu.ours.", OURS, NAMES["ours"])
        axes.set_xscale("log", base=2)
        _plain_ticks(axes, [int(x) for x, _ in points(figures, "growth.flights.cpu.ours.")])
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, axis="y")
        axes.set_xlabel("requests in flight")
        axes.set_ylabel("CPU a deletion, µs")
        axes.legend(labelcolor=INK)
        axes.set_title("CPU a request, by requests in flight")


def label(name: str) -> str:
    """
    Return the words for a contender, whose name may end in how many requests it has in flight.
    """
    who, _, flights = name.rpartition("_")
    return f"{NAMES[who]}, {flights} at once" if flights.isdecimal() else NAMES[name]


def beneath(figures: Mapping[str, Figure], prefix: str) -> dict[str, Figure]:
    """
    Return the figures whose names begin so, by the rest of their names.
    """
    named = figures.items()
    return {name.removeprefix(prefix): each for name, each in named if name.startswith(prefix)}


def points(figures: Mapping[str, Figure], prefix: str) -> list[tuple[int, Figure]]:
    """
    Return the figures of a curve, by the number that their names end in.
    """
    by_number = {int(end): figure for end, figure in beneath(figures, prefix).items()}
    return sorted(by_number.items(), key=itemgetter(0))


@contextmanager
def _chart(path: Path, *, height: float = 4.0) -> Generator[Any, None, None]:
    drawing, axes = plt.subplots(figsize=(7.6, height), layout="constrained")
    yield axes
    drawing.savefig(path, metadata={"Date": None})
    plt.close(drawing)


def _bars(axes: Any, figures: Mapping[str, Figure]) -> None:
    shown = sorted(figures, key=lambda name: -figures[name].median)
    values = [figures[name] for name in shown]
    axes.barh(
        [label(name) for name in shown],
        [value.median for value in values],
        xerr=[
            [value.median - value.low for value in values],
            [value.high - value.median for value in values],
        ],
        color=[_colour(name) for name in shown],
        ecolor=INK,
        height=0.62,
    )
    widest = max(value.high for value in values)
    for place, value in enumerate(values):
        text = str(Figure.exactly(value.median, value.unit))
        axes.text(value.high + widest / 80, place, text, va="center")
    axes.set_xlim(0, widest * 1.15)
    axes.tick_params(axis="y", length=0)
    axes.spines["bottom"].set_visible(False)
    axes.set_xticks([])


def _colour(name: str) -> str:
    if name.startswith("ours"):
        return OURS
    return FLOOR if name == "floor" else OTHERS


def _curve(
    axes: Any,
    figures: Mapping[str, Figure],
    prefix: str,
    colour: str,
    label: str,
    *,
    dashed: bool = False,
) -> None:
    drawn = points(figures, prefix)
    axes.errorbar(
        [x for x, _ in drawn],
        [y.median for _, y in drawn],
        yerr=[[y.median - y.low for _, y in drawn], [y.high - y.median for _, y in drawn]],
        color=colour,
        label=label,
        linestyle="--" if dashed else "-",
        marker="" if dashed else "o",
        capsize=0 if dashed else 3,
    )


def _scales(axes: Any, x: str, y: str, *, base: int = 10) -> None:
    axes.set_xscale("log", base=base)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))
    axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,g}"))
    axes.yaxis.set_minor_formatter(mpl.ticker.NullFormatter())
    axes.grid(visible=True)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(labelcolor=INK)


def _plain_ticks(axes: Any, places: Sequence[int]) -> None:
    axes.set_xticks(places, [str(place) for place in places])
