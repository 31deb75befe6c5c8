"""
Rows as a table that fits the terminal it is for.

Where it is narrow, columns go, the least important first; then the elastic ones are
cut short; and where even the first two don't fit side by side, each row is stacked.
The first column, an id, is always whole. On a pipe nothing is cut, dropped or stacked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from .noun import Column
from .text import plain, printable

_GAP = "  "
_ELASTIC_LEAST = 10

_STYLES = {
    "SUCCEEDED": "green",
    "SUCCESSED": "green",
    "done": "green",
    "FAILED": "red",
    "failed": "red",
    "RUNNING": "cyan",
    "CANCELING": "yellow",
    "CANCELED": "yellow",
    "skipped": "yellow",
    "PENDING": "blue",
    "QUEUING": "blue",
}


def table(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], *, width: int | None
) -> Iterator[Text]:
    """
    Lay rows out in lines at most `width` cells wide; None for a pipe.

    Only an id wider than the terminal makes a longer line.
    """
    cells = [[printable(plain(column.of(row))) for column in columns] for row in rows]
    widest = [
        max((cell_len(cell) for cell in column), default=0) for column in zip(*cells, strict=True)
    ]
    # A column without a word in it is worth its place only to whoever counts columns.
    natural = [
        max(size, cell_len(column.title)) if size or width is None else 0
        for column, size in zip(columns, widest, strict=True)
    ]
    shown = dict(enumerate(natural)) if width is None else _fit(columns, natural, width)
    if shown is None:
        yield from _stacked(cells, width or 0)
        return
    yield _line([columns[index].title for index in shown], list(shown.values()), heading=True)
    for line in cells:
        yield _line([line[index] for index in shown], list(shown.values()))


def details(row: Mapping[str, Any], *, width: int | None) -> Iterator[Text]:
    """
    Lay one row out in full, a field a line; long values are indented below their name.
    """
    values = {name: printable(plain(value)) for name, value in row.items()}
    margin = max((cell_len(name) for name in values), default=0)
    for name, value in values.items():
        beside = width is None or margin + len(_GAP) + cell_len(value) <= width
        line = Text(set_cell_size(printable(name), margin) if beside else printable(name), "bold")
        line.append(_GAP if beside else "\n" + _GAP)
        line.append(value, _STYLES.get(value, "none"))
        yield line


def _fit(columns: Sequence[Column], natural: list[int], width: int) -> dict[int, int] | None:
    """
    Choose the columns to show, in their order, with a width each; None if they won't go.
    """
    least = [
        min(size, _ELASTIC_LEAST) if column.elastic else size
        for column, size in zip(columns, natural, strict=True)
    ]
    shown = [index for index, size in enumerate(natural) if index < 2 or size]

    def needed() -> int:
        return sum(least[index] for index in shown) + len(_GAP) * (len(shown) - 1)

    while needed() > width and len(shown) > 2:
        shown.remove(max(shown[2:], key=lambda index: columns[index].rank))
    if needed() > width:
        return None
    spare = width - needed()
    widths = {}
    for index in sorted(shown, key=lambda index: columns[index].rank):
        widths[index] = least[index] + min(spare, natural[index] - least[index])
        spare -= widths[index] - least[index]
    return {index: widths[index] for index in shown}


def _line(cells: list[str], widths: list[int], *, heading: bool = False) -> Text:
    line = Text(no_wrap=True, overflow="ignore", end="\n")
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        if cell_len(cell) > width:
            cell = set_cell_size(cell, width - 1).rstrip() + "…"
        last = index == len(cells) - 1
        style = "bold" if heading else _STYLES.get(cell, "none")
        line.append(cell, style)
        line.append("" if last else " " * (width - cell_len(cell)) + _GAP)
    line.rstrip()
    return line


def _stacked(cells: list[list[str]], width: int) -> Iterator[Text]:
    for first, *others in cells:
        yield Text(first, "bold", no_wrap=True, overflow="ignore")
        line = Text(_GAP, no_wrap=True, overflow="ignore")
        for other in filter(None, others):
            if line.cell_len + cell_len(other) > width:
                break
            line.append(other, _STYLES.get(other, "none")).append(_GAP)
        line.rstrip()
        yield line
