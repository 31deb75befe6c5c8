"""
Measurements in turns, and the figures made of them.

On a shared machine, a figure by itself says little. So what is compared runs in turn, round after
round, each time in another order. The ratio is taken in each round, and the median of the ratios
counts.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Self

from attrs import frozen

from .progress import progress

Run = Callable[[], Awaitable[object]]
"""Does what is measured; its result is freed only after the clock was read."""

Unit = Literal["s", "ms", "µs", "KB", "MB", "times", ""]


@frozen
class Figure:
    """
    The median of several measurements, and their spread.
    """

    median: float
    """The median."""

    low: float
    """The lower quartile."""

    high: float
    """The upper quartile."""

    count: int
    """The number of measurements; 1 for what is counted rather than measured."""

    unit: Unit
    """The unit of all of them."""

    @classmethod
    def of(cls, samples: Sequence[float], unit: Unit) -> Self:
        """
        Sum up measurements.
        """
        if len(samples) == 1:
            return cls.exactly(samples[0], unit)
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, low, high, len(samples), unit)

    @classmethod
    def exactly(cls, value: float, unit: Unit = "") -> Self:
        """
        Take a value that has no spread.
        """
        return cls(value, value, value, 1, unit)

    def __str__(self) -> str:
        middle = f"{_digits(self.median)} {self.unit}".strip()
        if self.low == self.high:
            return middle
        return f"{middle} ({_digits(self.low)}–{_digits(self.high)})"


class Samples(dict[str, list[float]]):
    """
    Measurements of several, of the same rounds in the same places.
    """

    def figure(self, name: str, unit: Unit, scale: float = 1.0) -> Figure:
        """
        Sum up one of them.
        """
        return Figure.of([scale * sample for sample in self[name]], unit)

    def ratio(self, name: str, to: str) -> Figure:
        """
        Compare two of them, round by round.
        """
        pairs = zip(self[name], self[to], strict=True)
        return Figure.of([one / other for one, other in pairs], "times")


async def in_turn(
    runs: Mapping[str, Run],
    rounds: int,
    clock: Callable[[], float],
    *,
    warm: bool = True,
) -> Samples:
    """
    Measure several in turn, each round in another order.

    Args:
        runs: What to measure, by name.
        rounds: How often.
        clock: `time.process_time` for what it costs, `time.perf_counter` for how long it takes.
        warm: Whether to run each once before.
    """
    samples = Samples({name: [] for name in runs})
    names = list(runs)
    if warm:
        for name in names:
            await runs[name]()
    for number in range(rounds):
        turn = number // 2 % len(names)
        order = names[turn:] + names[:turn]
        for name in order if number % 2 else reversed(order):
            gc.collect()
            began = clock()
            kept = await runs[name]()
            samples[name].append(clock() - began)
            del kept
        progress(f"  round {number + 1} of {rounds}")
    return samples


def _digits(value: float) -> str:
    whole = value == int(value) or abs(value) >= 99.5
    return f"{value:,.0f}" if whole else f"{value:#.3g}"
