"""
The log of a training run: its lines, and the metrics in them.

Some lines are records in the notation of Python or JSON, `{'loss': 1.98, 'epoch': 0.3}`.
They are read by matching one flat pair after the other, never by evaluating them; a line
that is anything else, or longer than any record, is kept as text and nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from math import isfinite

from attrs import field, frozen

_LONGEST_RECORD = 16_384  # characters
_NUMBER = re.compile(
    r"[-+]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][-+]?\d{1,4})?|[-+]?(?:nan|inf|infinity)",
    re.IGNORECASE | re.ASCII,
)
# Each alternative begins with another character and none can match in two ways: matching
# takes time in proportion to the line's length, whatever is in it.
_PAIR = re.compile(
    r"""\s*(?:'(?P<single>[^'\\]{1,100})'|"(?P<double>[^"\\]{1,100})")\s*:\s*"""
    r"""(?:'(?P<text>[^'\\]*)'|"(?P<json_text>[^"\\]*)"|(?P<bare>[-+.\w]{1,100}))\s*(?P<end>[,}])""",
    re.ASCII,
)
_WORDS = frozenset({"None", "True", "False", "null", "true", "false"})


@frozen
class MetricSeries:
    """
    The values of one metric, in the order in which they were logged.
    """

    name: str
    """The metric's key, such as `loss`."""

    values: tuple[float, ...] = ()
    """Its values; `nan` and `inf` stay as the service logged them."""

    epochs: tuple[float | None, ...] = ()
    """The epoch in the same record as each value; None where the record has none."""

    lines: tuple[int, ...] = ()
    """The number of the line that holds each value, from 0."""

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values)

    @property
    def last(self) -> float | None:
        """
        The last value; None where there is none.
        """
        return self.values[-1] if self.values else None

    @property
    def lowest(self) -> float | None:
        """
        The lowest finite value; None where there is none.
        """
        return min(filter(isfinite, self.values), default=None)


@frozen
class MetricRecord:
    """
    A line of the log that holds metrics.
    """

    line: int
    """The number of the line, from 0."""

    figures: Mapping[str, float]
    """The values in it, by the metrics' keys."""


@frozen
class TrainingLog:
    """
    The log of a training run: every line, and the metrics as typed series.
    """

    lines: tuple[str, ...] = field(default=(), repr=lambda lines: f"<{len(lines):,} lines>")
    """Every line, first to last."""

    records: tuple[MetricRecord, ...] = field(default=(), repr=False)
    """The lines that hold metrics."""

    @classmethod
    def read(cls, lines: Iterable[str]) -> TrainingLog:
        """
        Read lines, such as those of `fine_tunes.logs`. Any text will do.
        """
        return cls().extended(lines)

    def extended(self, lines: Iterable[str]) -> TrainingLog:
        """
        Return a log with these lines added; the records of the others are kept, not read again.
        """
        added = tuple(lines)
        if not added:
            return self
        records = [
            MetricRecord(number, figures)
            for number, line in enumerate(added, len(self.lines))
            if (figures := read_figures(line))
        ]
        return TrainingLog(self.lines + added, (*self.records, *records))

    @cached_property
    def series(self) -> Mapping[str, MetricSeries]:
        """
        All series by key, in the order in which their keys first occur.
        """
        values: dict[str, list[float]] = {}
        epochs: dict[str, list[float | None]] = {}
        lines: dict[str, list[int]] = {}
        for record in self.records:
            for name, value in record.figures.items():
                values.setdefault(name, []).append(value)
                epochs.setdefault(name, []).append(record.figures.get("epoch"))
                lines.setdefault(name, []).append(record.line)
        return {
            name: MetricSeries(name, tuple(values[name]), tuple(epochs[name]), tuple(lines[name]))
            for name in values
        }

    def __getitem__(self, name: str) -> MetricSeries:
        return self.series.get(name) or MetricSeries(name)

    def __contains__(self, name: object) -> bool:
        return name in self.series

    def __iter__(self) -> Iterator[str]:
        return iter(self.series)

    @property
    def loss(self) -> MetricSeries:
        """
        The training loss; empty where none was logged.
        """
        return self["loss"]

    @property
    def learning_rate(self) -> MetricSeries:
        """
        The learning rate; empty where none was logged.
        """
        return self["learning_rate"]

    @property
    def epoch(self) -> MetricSeries:
        """
        How far training got, in epochs; empty where it was not logged.
        """
        return self["epoch"]

    @property
    def evaluation(self) -> Mapping[str, MetricSeries]:
        """
        The series of validation, whose keys begin with `eval_`.
        """
        return {name: series for name, series in self.series.items() if name.startswith("eval_")}

    @property
    def final(self) -> Mapping[str, float]:
        """
        The last value of every metric, by key.
        """
        return {name: series.values[-1] for name, series in self.series.items()}


def read_figures(line: str) -> dict[str, float]:
    """
    Return the numbers of a record by key; empty for a line that is not a record.

    A number in quotation marks is read as one. Other values are left out, and a line with
    nested values is not a record.
    """
    text = line.strip()
    if len(text) > _LONGEST_RECORD or not (text.startswith("{") and text.endswith("}")):
        return {}
    figures: dict[str, float] = {}
    position = 1
    while pair := _PAIR.match(text, position):
        name = pair["single"] or pair["double"]
        value = next(
            found for found in pair.group("text", "json_text", "bare") if found is not None
        )
        if len(value) <= 100 and _NUMBER.fullmatch(value.strip()):
            figures[name] = float(value)
        elif pair["bare"] is not None and value not in _WORDS:
            return {}
        position = pair.end()
        if pair["end"] == "}":
            return figures if position == len(text) else {}
    # What is left may be the brace behind a comma that follows the last pair.
    return figures if text[position:].strip() == "}" and figures else {}
