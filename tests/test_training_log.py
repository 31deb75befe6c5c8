from __future__ import annotations

import json
import math
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft import MetricSeries, TrainingLog
from dashscope_ft.training_log import read_figures

LINES = [
    "2026-11-20 10:00:00,123 - INFO - data preparation finished",
    "{'loss': 1.98, 'learning_rate': 1.6e-05, 'epoch': 0.3}",
    "{'loss': 1.5, 'learning_rate': 8e-06, 'epoch': 0.6}",
    "{'eval_loss': 1.6, 'eval_runtime': 3.2, 'epoch': 0.6}",
    "##FT_COMPLETE##",
    "{'train_runtime': 216.4, 'train_loss': 1.7}",
]


def test_figures_become_series() -> None:
    """
    Each figure is a series with its values, epochs and lines; text stays text.
    """
    log = TrainingLog.read(LINES)

    assert log.lines == tuple(LINES)
    assert log.loss == MetricSeries("loss", (1.98, 1.5), (0.3, 0.6), (1, 2))
    assert log.learning_rate.last == 8e-06
    assert list(log.epoch) == [0.3, 0.6, 0.6]
    assert log.evaluation == {
        "eval_loss": MetricSeries("eval_loss", (1.6,), (0.6,), (3,)),
        "eval_runtime": MetricSeries("eval_runtime", (3.2,), (0.6,), (3,)),
    }
    assert log["train_runtime"].epochs == (None,)
    assert log.final["train_loss"] == 1.7
    assert list(log.series) == [
        "loss",
        "learning_rate",
        "epoch",
        "eval_loss",
        "eval_runtime",
        "train_runtime",
        "train_loss",
    ]


def test_a_log_by_its_names() -> None:
    """
    A log has the names of its series, to ask for and to go through.
    """
    log = TrainingLog.read(LINES)

    assert list(islice(log, 9)) == list(log.series)
    assert "loss" in log
    assert "accuracy" not in log


def test_a_log_without_figures() -> None:
    """
    What was not logged is an empty series, not an error.
    """
    log = TrainingLog.read(["nothing here"])

    assert (len(log.loss), log.loss.last, log.loss.lowest) == (0, None, None)
    assert log.final == {}
    assert log["anything"].name == "anything"


def test_a_log_that_grows() -> None:
    """
    Read piece by piece or at once, a log is the same.
    """
    grown = TrainingLog()
    for line in LINES:
        grown = grown.extended([line])

    assert grown == TrainingLog.read(LINES)
    assert grown.series == TrainingLog.read(LINES).series


@pytest.mark.parametrize(
    ("line", "figures"),
    [
        ('{"loss": 1.5, "epoch": 1}', {"loss": 1.5, "epoch": 1.0}),
        ("  {'loss': 1,}  ", {"loss": 1.0}),
        ("{'loss': '1.6e-05', 'epoch': \"0.5\"}", {"loss": 1.6e-05, "epoch": 0.5}),
        ("{'loss': -.5, 'x': +3., 'y': 1E+2}", {"loss": -0.5, "x": 3.0, "y": 100.0}),
        ("{'loss': 1.0, 'stage': 'train', 'best': None, 'flag': True}", {"loss": 1.0}),
        ("{'loss': 1.0, 'loss': 2.0}", {"loss": 2.0}),
        ("{'loss':1.0,'step':'5/100'}", {"loss": 1.0}),
        ("{'loss': inf, 'a': -Infinity}", {"loss": math.inf, "a": -math.inf}),
        ("{'loss': 1e999}", {"loss": math.inf}),
        ("{}", {}),
        ("{'stage': 'train'}", {}),
        ("", {}),
        ("{", {}),
        ("{'loss': 1.0", {}),
        ("{'loss': 1.0}}", {}),
        ("{'loss': 1.0} and more", {}),
        ("before {'loss': 1.0}", {}),
        ("{'loss': [1.0]}", {}),
        ("{'loss': {'a': 1}}", {}),
        ("{'loss': 1.0, 'b': __import__('os')}", {}),
        ("{'loss': 1.0, 'b': exit}", {}),
        ("{loss: 1.0}", {}),
        ("{'loss' 1.0}", {}),
        ("{1: 1.0}", {}),
        ("{'loss': 0x10}", {}),
        ("{'loss': 1_000}", {}),
        ("{'loss': ٣}", {}),
    ],
)
def test_what_is_a_record(line: str, figures: dict[str, float]) -> None:
    """
    Flat records of Python or JSON are read, numbers in quotation marks too; nothing else is.
    """
    assert read_figures(line) == figures


def test_a_loss_that_is_no_number() -> None:
    """
    A training that diverged shows: `nan` is kept, and is not the lowest.
    """
    log = TrainingLog.read(["{'loss': 1.5}", "{'loss': nan}"])

    assert log.loss.last is not None
    assert math.isnan(log.loss.last)
    assert log.loss.lowest == 1.5


@pytest.mark.parametrize(
    "line",
    [
        "{" * 100_000,
        "{" + "'a': 1, " * 100_000 + "}",
        "{'" + "a" * 16_000 + "': 1}",
        "{'a': " + "9" * 16_000 + "}",
        "{'a': " + "(" * 8_000 + ")" * 8_000 + "}",
        "{'a'" + " " * 16_000 + "}",
        "{" + " " * 16_000 + "}",
        "{'a': '" + "'" * 16_000 + "}",
        "{'a':" + "1" * 8_000 + " " * 8_000 + "x}",
        "{" + "'a':'" * 3_000 + "}",
        "{'a': 1" + "," * 16_000 + "}",
    ],
)
def test_hostile_lines_are_kept(line: str) -> None:
    """
    A line made to hurt is text like any other, and the test ends.
    """
    log = TrainingLog.read([line])

    assert log.lines == (line,)
    assert log.records == ()


@given(st.lists(st.text() | st.sampled_from(LINES)))
def test_any_text_is_read(lines: list[str]) -> None:
    """
    Whatever the lines are, all of them are kept, and reading them never fails.
    """
    log = TrainingLog.read(lines)

    assert log.lines == tuple(lines)
    assert all(lines[record.line].strip().startswith("{") for record in log.records)


@given(
    st.dictionaries(
        st.from_regex(r"[a-zA-Z_/ .-]{1,30}", fullmatch=True),
        st.floats(allow_nan=False) | st.integers(-(10**30), 10**30),
        min_size=1,
        max_size=50,
    )
)
def test_what_python_and_json_write_is_read_back(figures: dict[str, float]) -> None:
    """
    Records as Python and JSON write them come back as the numbers that they hold.
    """
    expected = {name: float(value) for name, value in figures.items()}

    assert read_figures(repr(figures)) == expected
    assert read_figures(json.dumps(figures)) == expected
