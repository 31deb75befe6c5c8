"""
Pictures of training: the extra `plot`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from itertools import accumulate
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from .arguments import shown
from .errors import ConfigurationError, InvalidArgument
from .training_log import MetricSeries, TrainingLog

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Each stands out from white and from black by three to one or more, and from its neighbours
# for those who see red and green alike.
_COLOURS = ("#3b82f6", "#d55e00", "#009e73", "#cc79a7", "#a87b00", "#0891b2")
_INK = "#767676"  # the grey that is read equally well on white and on black
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 11,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "text.parse_math": False,  # a name with dollars in it is no formula
}
_MOST_INSIDE = 6  # entries of a legend that has room among the curves
_NOISY = 40  # values of a loss from which on only its average shows where it goes


def draw_figures(logs: Mapping[str, TrainingLog], metric: str = "loss") -> Figure:
    """
    Draw one metric of one or several jobs, over their epochs if all logs have them.

    The background is transparent, and the colours suit a light and a dark one. A long loss is
    noisy: if there is one, all are drawn faintly, with their moving averages on top, and the axis
    says so. The same metric of the validation, with `eval_` before its name, is dashed.

    Args:
        logs: The logs, by the names to show for them, such as their jobs' ids.
        metric: The name of a series of `TrainingLog`.

    Returns:
        A matplotlib `Figure`: `figure.savefig("loss.svg")`, or the last line of a notebook's cell.

    Raises:
        ConfigurationError: matplotlib is not installed.
        InvalidArgument: No log has the metric, or `logs` is not a mapping of logs.
    """
    require_matplotlib()
    _check(logs, metric)
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    with rc_context(_STYLE):
        figure = _figure_class()(figsize=(8, 4.8), dpi=144, facecolor="none", layout="constrained")
        axes = figure.add_subplot(facecolor="none")
        by_epoch = all(_rises(log[metric].epochs) for log in logs.values())
        smooth = "loss" in metric and any(len(log[metric]) >= _NOISY for log in logs.values())
        for number, (name, log) in enumerate(logs.items()):
            _draw_job(axes, number, name, log, metric, by_epoch=by_epoch, smooth=smooth)
        if any(log[f"eval_{metric}"].values for log in logs.values()):
            axes.plot(
                [], [], "--o", color=_INK, linewidth=1.2, markersize=4, label=f"(eval_{metric})"
            )
        axes.set_xlabel("epoch" if by_epoch else "record")
        if not by_epoch:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylabel(f"{metric}  (moving average; pale: as logged)" if smooth else metric)
        axes.grid(visible=True, color=_INK, alpha=0.2, linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(colors=_INK)
        axes.margins(x=0.01)
        handles, labels = axes.get_legend_handles_labels()
        if len(handles) > _MOST_INSIDE:  # it would cover the curves
            figure.legend(
                handles, labels, loc="outside right upper", labelcolor=_INK, frameon=False
            )
        else:
            axes.legend(frameon=False, labelcolor=_INK)
    return figure


def require_matplotlib() -> None:
    """
    Check that pictures can be drawn.

    Raises:
        ConfigurationError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ConfigurationError(
            'Drawing needs matplotlib, which the extra "plot" installs: '
            'pip install "dashscope-ft[plot]".'
        )


def _check(logs: object, metric: str) -> None:
    if not (
        isinstance(logs, Mapping) and all(isinstance(log, TrainingLog) for log in logs.values())
    ):
        raise InvalidArgument("logs must map names to training logs, such as {job.job_id: log}.")
    known = sorted({name for log in logs.values() for name in log})
    if metric not in known:
        told = f"Logged are: {', '.join(known)}." if known else "They have logged nothing yet."
        raise InvalidArgument(f"No log has {shown(metric)}. {told}")


@cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure

    class NotebookFigure(Figure):
        """
        A figure that a notebook shows even before it was told to draw inline.
        """

        def _repr_png_(self) -> bytes:
            picture = BytesIO()
            self.savefig(picture, format="png")
            return picture.getvalue()

    return NotebookFigure


def _draw_job(
    axes: Axes,
    number: int,
    name: str,
    log: TrainingLog,
    metric: str,
    *,
    by_epoch: bool,
    smooth: bool,
) -> None:
    series, checked = log[metric], log[f"eval_{metric}"]
    colour = _COLOURS[number % len(_COLOURS)]
    style = ("-", "-.", ":")[number // len(_COLOURS) % 3]
    values = [value if isfinite(value) else nan for value in series.values]
    if values:
        label = f"{name}   {series.values[-1]:.4g}"
        if checked.values:
            label += f"  ({checked.values[-1]:.4g})"
        places = _places(series, series, by_epoch=by_epoch)
        if smooth:  # behind the averages of all
            axes.plot(places, values, color=colour, linewidth=0.8, alpha=0.4, zorder=1.5)
            values = _averages(values)
        axes.plot(
            places,
            values,
            style,
            color=colour,
            linewidth=2,
            label=label,
            marker="o" if len(values) == 1 else None,  # a line of one point is nothing
        )
    if checked.values:
        axes.plot(
            _places(checked, series, by_epoch=by_epoch),
            [value if isfinite(value) else nan for value in checked.values],
            "--o",
            color=colour,
            linewidth=1.2,
            markersize=4,
        )


def _places(series: MetricSeries, main: MetricSeries, *, by_epoch: bool) -> Sequence[float]:
    """
    Return the places of a series on the horizontal axis: its epochs, or its places among the
    records of the main series.
    """
    if by_epoch and None not in series.epochs:
        return [epoch or 0.0 for epoch in series.epochs]
    if series is main:
        return range(1, len(series) + 1)
    lines = sorted(main.lines)
    return [bisect_left(lines, place) for place in series.lines]


def _rises(epochs: Sequence[float | None]) -> bool:
    known = [epoch for epoch in epochs if epoch is not None and isfinite(epoch)]
    stands_still = len(known) > 1 and len(set(known)) == 1
    return len(known) == len(epochs) and known == sorted(known) and not stands_still


def _averages(values: Sequence[float]) -> list[float]:
    """
    Return the average around each value, over a window of a twentieth of the series; nan for a
    value that is not finite.
    """
    reach = max(1, len(values) // 40)
    finite = [isfinite(value) for value in values]
    counts = [*accumulate(finite, initial=0)]
    # As fractions, since they are exact: one enormous value would leave nothing of later ones.
    exact = (Fraction(value) if isfinite(value) else Fraction() for value in values)
    sums = [*accumulate(exact, initial=Fraction())]
    averages = []
    for index, is_finite in enumerate(finite):
        begin, end = max(0, index - reach), min(index + reach + 1, len(values))
        near = sums[end] - sums[begin]
        averages.append(float(near / (counts[end] - counts[begin])) if is_finite else nan)
    return averages
