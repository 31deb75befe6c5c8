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

from dashscope_ft.characters import printable

from .noun import Column
from .terminal import spelled
from .text import plain

_GAP = "  "
_COMFORT = 20
"""Cells that an elastic column has before less important ones get a place."""
_LEAST = 10
"""Cells that the least important elastic column can do with."""

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


def style_of(word: str) -> str:
    """
    Tell the style in which a word, such as a status, is shown.
    """
    return _STYLES.get(word, "none")


def table(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], *, width: int | None
) -> Iterator[Text]:
    """
    Lay rows out in lines at most `width` cells wide; None for a pipe.

    Only an id wider than the terminal makes a longer line.
    """
    cells = [[_shown(column.of(row)) for column in columns] for row in rows]
    widest = [
        max((cell_len(cell) for cell in column), default=0) for column in zip(*cells, strict=True)
    ]
    titles = [_shown(column.title) for column in columns]
    # A column without a word in it is worth its place only to whoever counts columns.
    natural = [
        max(size, cell_len(title)) if size or width is None else 0
        for title, size in zip(titles, widest, strict=True)
    ]
    shown = dict(enumerate(natural)) if width is None else _fit(columns, natural, width)
    if shown is None:
        yield from _stacked(cells, width or 0)
        return
    yield _line([titles[index] for index in shown], list(shown.values()), heading=True)
    for line in cells:
        yield _line([line[index] for index in shown], list(shown.values()))


def details(row: Mapping[str, Any], *, width: int | None) -> Iterator[Text]:
    """
    Lay one row out in full, a field a line.

    What is too long to stand beside its name stands below it, lists and objects item by item.
    """
    margin = max((cell_len(_shown(name)) for name in row), default=0)
    for name, value in row.items():
        text = _shown(value)
        heading = _shown(name)
        if width is None or margin + len(_GAP) + cell_len(text) <= width:
            line = Text()
            line.append(set_cell_size(heading, margin) + _GAP, "bold")
            line.append(text, style_of(text))
            line.rstrip()
            yield line
            continue
        yield Text(heading, "bold")
        for item in _items(value):
            yield Text(_GAP + _shown(item))


def shortened(text: Text, width: int) -> Text:
    """
    Cut a line short that is too wide, and show that it is.
    """
    if text.cell_len > width:
        sign = spelled("…")
        text.truncate(max(0, width - cell_len(sign)), overflow="crop")
        text.rstrip()
        text.append(sign)
    return text


def _shown(value: Any) -> str:
    return spelled(printable(plain(value)))


def _items(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}: {plain(item)}" for name, item in value.items()]
    return [plain(item) for item in value] if isinstance(value, list) else [plain(value)]


def _fit(columns: Sequence[Column], natural: list[int], width: int) -> dict[int, int] | None:
    """
    Choose the columns to show, in their order, with a width each; None if they won't go.
    """
    shown = [index for index, size in enumerate(natural) if index < 2 or size]

    def least(index: int) -> int:
        if not columns[index].elastic:
            return natural[index]
        last = max(columns[other].rank for other in shown)
        return min(natural[index], _LEAST if columns[index].rank == last else _COMFORT)

    def needed() -> int:
        return sum(map(least, shown)) + len(_GAP) * (len(shown) - 1)

    while needed() > width and len(shown) > 2:
        shown.remove(max(shown[2:], key=lambda index: columns[index].rank))
    if needed() > width:
        return None
    spare = width - needed()
    widths = {}
    for index in sorted(shown, key=lambda index: columns[index].rank):
        widths[index] = least(index) + min(spare, natural[index] - least(index))
        spare -= widths[index] - least(index)
    return {index: widths[index] for index in shown}


def _line(cells: list[str], widths: list[int], *, heading: bool = False) -> Text:
    line = Text(no_wrap=True, overflow="ignore", end="\n")
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = shortened(Text(cell, "bold" if heading else style_of(cell)), width)
        line.append_text(text)
        line.append("" if index == len(cells) - 1 else " " * (width - text.cell_len) + _GAP)
    line.rstrip()
    return line


def _stacked(cells: list[list[str]], width: int) -> Iterator[Text]:
    for first, *others in cells:
        yield Text(first, "bold", no_wrap=True, overflow="ignore")
        line = Text(_GAP, no_wrap=True, overflow="ignore")
        for other in filter(None, others):
            if line.cell_len + cell_len(other) > width:
                break
            line.append(other, style_of(other)).append(_GAP)
        line.rstrip()
        yield line
