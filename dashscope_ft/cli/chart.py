"""
Curves in a terminal: eight dots per cell if it can show braille, otherwise one mark per cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from rich.text import Text

# A braille cell is two dots wide and four high; a dot's bit, by column and row.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800


def chart(
    values: Sequence[float], *, width: int, height: int, braille: bool = True, style: str = "cyan"
) -> Iterator[Text]:
    """
    Yield a curve as `height` lines of `width` cells, with its bounds on the left.

    Non-finite values leave gaps. If there are more values than columns, they are averaged.
    """
    finite = [value for value in values if isfinite(value)]
    if not finite:
        return
    low, high = min(finite), max(finite)
    labels = [f"{low + (high - low) * (1 - row / max(1, height - 1)):.4g}" for row in range(height)]
    margin = max(len(labels[0]), len(labels[height // 2]), len(labels[-1]))
    room = max(2, width - margin - 2)
    across, down = (2, 4) if braille else (1, 1)
    grid = [[0] * room for _ in range(height)]
    for x, y in _dots(values, low, high, room * across, height * down):
        grid[y // down][x // across] |= _DOTS[x % across][y % down] if braille else 1
    for row, cells in enumerate(grid):
        labelled = row in {0, height // 2, height - 1} and (low < high or row == 0)
        line = Text(no_wrap=True, overflow="ignore")
        line.append(f"{labels[row] if labelled else '':>{margin}} ", "dim")
        line.append("┤" if braille else "|", "dim")
        line.append("".join(_cell(bits, braille) for bits in cells), style)
        yield line


def _cell(bits: int, braille: bool) -> str:
    if braille:
        return chr(_BLANK + bits)
    return "*" if bits else " "


def _dots(
    values: Sequence[float], low: float, high: float, across: int, down: int
) -> Iterator[tuple[int, int]]:
    """
    Yield the dots of the curve, each point joined to the one before.
    """
    last: tuple[int, int] | None = None
    for x, value in _columns(values, across):
        if value is None:
            last = None
            continue
        share = (value - low) / (high - low) if high > low else 0.0
        y = round((1 - share) * (down - 1))
        if last is None:
            yield x, y
        else:
            yield from _line(last, (x, y))
        last = x, y


def _columns(values: Sequence[float], across: int) -> Iterator[tuple[int, float | None]]:
    """
    Yield columns with their values; values that share a column are averaged.
    """
    if len(values) <= across:
        step = (across - 1) / max(1, len(values) - 1)
        for index, value in enumerate(values):
            yield round(index * step), value if isfinite(value) else None
        return
    for x in range(across):
        shared = values[x * len(values) // across : (x + 1) * len(values) // across]
        finite = [value for value in shared if isfinite(value)]
        yield x, sum(finite) / len(finite) if finite else None


def _line(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    (x, y), (x_end, y_end) = start, end
    steps = max(abs(x_end - x), abs(y_end - y), 1)
    for step in range(steps + 1):
        yield x + round((x_end - x) * step / steps), y + round((y_end - y) * step / steps)
