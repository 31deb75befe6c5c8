from __future__ import annotations

import sys
from io import BytesIO
from math import isfinite, isnan
from pathlib import Path
from typing import Any

import pytest

from dashscope_ft import ConfigurationError, InvalidArgument, TrainingLog, plot
from dashscope_ft.plot import _COLOURS, _INK, draw_figures

LOG = [f"{{'loss': {3 - n / 50}, 'epoch': {n / 50}}}" for n in range(100)]


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["#ffffff", "#0d1117", "#1e1e1e"])
def test_colours_stand_out(ground: str) -> None:
    """
    Lines and text are told from a light ground and from a dark one.
    """
    assert min(contrast(colour, ground) for colour in (*_COLOURS, _INK)) >= 3


def test_the_ground_is_transparent() -> None:
    """
    A picture takes the ground of the page that it stands on.
    """
    pytest.importorskip("matplotlib")

    figure = draw_figures({"ft-1": TrainingLog.read(LOG)})
    picture = BytesIO()
    figure.savefig(picture, format="png")
    from matplotlib.image import imread

    picture.seek(0)
    assert imread(picture)[0, 0, 3] == 0


def test_a_line_for_each_job() -> None:
    """
    Each job is named with its last value; validation is dashed, on the same axis.
    """
    pytest.importorskip("matplotlib")
    logs = {f"ft-{n}": TrainingLog.read([*LOG, "{'eval_loss': 1.5, 'epoch': 2}"]) for n in range(9)}

    figure = draw_figures(logs)

    [axes], [legend] = figure.axes, figure.legends  # beside the curves, which it would cover
    names = [text.get_text() for text in legend.get_texts()]
    assert names == [f"ft-{n}   1.02  (1.5)" for n in range(9)] + ["(eval_loss)"]
    assert axes.get_xlabel() == "epoch"
    assert axes.lines[2].get_xdata().tolist() == [2.0]  # type: ignore[union-attr]


def drawn(metric: str, *logs: TrainingLog) -> tuple[str, list[list[float]]]:
    """
    Give what the axis is called, and the heights of each line.
    """
    [axes] = draw_figures({f"ft-{n}": log for n, log in enumerate(logs)}, metric).axes
    return axes.get_ylabel(), [list(line.get_ydata()) for line in axes.lines]  # type: ignore[arg-type]


def test_averages_are_called_so() -> None:
    """
    Where one loss of a picture is long, all are drawn as averages before the raw values.
    """
    pytest.importorskip("matplotlib")
    short = TrainingLog.read(LOG[::10])

    label, lines = drawn("loss", TrainingLog.read(LOG), short)

    assert label == "loss  (moving average; pale: as logged)"
    assert [len(line) for line in lines] == [100, 100, 10, 10]
    assert lines[2] == list(short.loss.values) != lines[3]


def test_a_long_log_is_drawn_in_proportion_to_its_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    The work on a value does not grow with the number of values, and one that is enormous changes
    only the averages near it.
    """
    pytest.importorskip("matplotlib")
    looks = 0

    def counted(value: float) -> bool:
        nonlocal looks
        looks += 1
        return isfinite(value)

    monkeypatch.setattr(plot, "isfinite", counted)
    values = [1e300] + [2.0] * 3998 + [float("nan")]

    _, lines = drawn("loss", TrainingLog.read(f"{{'loss': {value}}}" for value in values))

    averages = lines[1]
    assert looks <= 10 * len(values)
    assert averages[0] == pytest.approx(1e300 / 101)
    assert averages[101:-1] == [2.0] * 3898
    assert isnan(averages[-1])


def test_where_validation_without_epochs_stands() -> None:
    """
    Without epochs, a value of the validation stands behind the records that were logged before it.
    """
    pytest.importorskip("matplotlib")
    log = TrainingLog.read(["{'loss': 3}", "{'loss': 2}", "{'eval_loss': 2}", "{'loss': 1}"])

    [axes] = draw_figures({"ft-1": log}).axes

    assert list(axes.lines[1].get_xdata()) == [2]  # type: ignore[arg-type]


def test_what_is_logged_is_drawn() -> None:
    """
    Short losses and figures that are no loss, such as a schedule, are drawn as they are.
    """
    pytest.importorskip("matplotlib")
    long, short = TrainingLog.read(LOG), TrainingLog.read(LOG[:39])

    assert drawn("loss", short) == ("loss", [list(short.loss.values)])
    assert drawn("epoch", long) == ("epoch", [list(long.epoch.values)])


@pytest.mark.parametrize(
    "lines",
    [
        ["{'loss': nan}"],
        ["{'loss': 1}"],
        ["{'loss': 1, 'epoch': nan}", "{'loss': 2, 'epoch': 1}"],
        ["{'loss': 1e300}", "{'loss': -1e300}", "{'loss': inf}"],
        ["{'loss': 1}", "{'eval_loss': 1}", "{'loss': 2, 'epoch': 1}"],
        ["{'loss': 1, 'epoch': 2}", "{'loss': 2, 'epoch': 1}"],
        LOG + LOG,
        [line.replace("'loss': 2", "'loss': nan, 'x': 2") for line in LOG],
    ],
)
def test_any_log_is_drawn(lines: list[str], tmp_path: Path) -> None:
    """
    Figures that are none, epochs that go back, formulas in names: a picture comes of it.
    """
    pytest.importorskip("matplotlib")

    figure = draw_figures({r"$\frac$ <&>": TrainingLog.read(lines), "_other": TrainingLog.read([])})
    figure.savefig(tmp_path / "loss.svg")

    assert (tmp_path / "loss.svg").stat().st_size > 0


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Without the extra, the error says which it is.
    """
    monkeypatch.setitem(sys.modules, "matplotlib", None)

    with pytest.raises(ConfigurationError, match=r"dashscope-ft\[plot\]"):
        draw_figures({"ft-1": TrainingLog.read(LOG)})


def test_a_single_value() -> None:
    """
    A single value is a dot, at its epoch, and the other jobs' curves stay over their epochs, too.
    """
    pytest.importorskip("matplotlib")
    logs = {"ft-1": TrainingLog.read(LOG[:3]), "ft-2": TrainingLog.read(LOG[1:2])}

    figure = draw_figures(logs)

    [axes] = figure.axes
    curve, dot = axes.lines
    assert axes.get_xlabel() == "epoch"
    assert [curve.get_marker(), dot.get_marker()] == ["None", "o"]
    assert list(dot.get_xdata()) == [1 / 50]  # type: ignore[arg-type]
    assert axes.get_legend() is not None


def test_records_are_counted_in_whole_numbers() -> None:
    """
    Where epochs are missing, the axis counts records.
    """
    pytest.importorskip("matplotlib")

    [axes] = draw_figures({"ft-1": TrainingLog.read(["{'loss': 1}", "{'loss': 2}"])}).axes

    assert axes.get_xlabel() == "record"
    assert all(tick == round(tick) for tick in axes.get_xticks())


def test_a_notebook_shows_the_figure() -> None:
    """
    A figure is a picture by itself, whatever the notebook was told of drawing.
    """
    pytest.importorskip("matplotlib")

    figure: Any = draw_figures({"ft-1": TrainingLog.read(LOG)})

    assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("logs", "metric", "words"),
    [
        ({"ft-1": TrainingLog.read(LOG)}, "accurracy", "No log has 'accurracy'. Logged are: epoch"),
        ({"ft-1": TrainingLog()}, "loss", "No log has 'loss'. They have logged nothing yet."),
        ({}, "loss", "nothing yet"),
        (TrainingLog.read(LOG), "loss", "logs must map names to training logs"),
        ([TrainingLog.read(LOG)], "loss", "logs must map names to training logs"),
    ],
)
def test_nothing_to_draw(logs: Any, metric: str, words: str) -> None:
    """
    An empty picture would say nothing of what is wrong.
    """
    pytest.importorskip("matplotlib")

    with pytest.raises(InvalidArgument, match=words):
        draw_figures(logs, metric)
