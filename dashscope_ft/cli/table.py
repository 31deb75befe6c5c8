"""
Rows as a table that fits the terminal.

On a narrow terminal, columns are dropped, the least important first; then the elastic ones are
shortened; and if even the first two don't fit side by side, each row is stacked. The first
column, an id, is never shortened. On a pipe, nothing is shortened, dropped or stacked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from .kind import Column
from .terminal import displayed, encodable
from .text import plain

_GAP = "  "
_PREFERRED_WIDTH = 20
"""The width in cells of an elastic column before less important ones are shown at all."""
_MIN_WIDTH = 10
"""The width in cells that suffices for the least important elastic column."""

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
    Return the style in which a word, such as a status, is shown.
    """
    return _STYLES.get(word, "none")


class Table:
    """
    Rows laid out in lines at most `width` cells wide; None for a pipe.

    Only an id that is wider than the terminal makes a longer line.
    """

    def __init__(
        self, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], *, width: int | None
    ) -> None:
        self._width = width
        self._cells = [[_shown(column.of(row)) for column in columns] for row in rows]
        self._titles = [_shown(column.title) for column in columns]
        widest = [
            max((cell_len(line[index]) for line in self._cells), default=0)
            for index in range(len(columns))
        ]
        # Empty columns matter only on a pipe, where a program may count columns.
        self._full_widths = [
            max(size, cell_len(title)) if size or width is None else 0
            for title, size in zip(self._titles, widest, strict=True)
        ]
        self._shown = (
            dict(enumerate(self._full_widths))
            if width is None
            else _column_widths(columns, self._full_widths, width)
        )

    @property
    def left_out(self) -> list[str]:
        """
        The titles of the columns that have content, and no room.
        """
        if self._shown is None:  # stacked: of the others, as many as fit
            room = min(
                (len(_fitting_cells(others, self._width)) for _, *others in self._cells), default=0
            )
            shown: Collection[int] = range(room + 1)
        else:
            shown = self._shown
        return [
            title
            for index, (title, size) in enumerate(zip(self._titles, self._full_widths, strict=True))
            if size and index not in shown
        ]

    def lines(self) -> Iterator[Text]:
        """
        Yield the heading and the rows.
        """
        if self._shown is None:
            for first, *others in self._cells:
                yield Text(first, "bold", no_wrap=True, overflow="ignore")
                yield _joined(_fitting_cells(others, self._width))
            return
        widths = list(self._shown.values())
        yield _line([self._titles[index] for index in self._shown], widths, heading=True)
        for line in self._cells:
            yield _line([line[index] for index in self._shown], widths)


def table(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], *, width: int | None
) -> Iterator[Text]:
    """
    Return rows as the lines of a `Table`.
    """
    return Table(columns, rows, width=width).lines()


def noted_table(
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    *,
    width: int | None,
    hidden: Sequence[str] = (),
) -> Iterator[Text]:
    """
    Yield rows as the lines of a `Table`, and a note on the columns that it has no room for.

    Args:
        columns: The columns.
        rows: The rows.
        width: The greatest width of a line, in cells; None for a pipe.
        hidden: The titles of columns that were left out before, for the same reason.
    """
    shown = Table(columns, rows, width=width)
    yield from shown.lines()
    if titles := [*shown.left_out, *hidden]:
        yield Text(f"{left_out_note(titles)}.")


def count_table(
    columns: Sequence[Column],
    rows: Sequence[Mapping[str, Any]],
    *,
    width: int | None,
    hidden: Sequence[str] = (),
) -> Iterator[Text]:
    """
    Yield rows as `noted_table` does; in their column `jobs` are numbers, which are right-aligned.
    """
    numbers = [f"{row['jobs']:,}" for row in rows]
    digits = max(map(len, ("JOBS", *numbers)))
    rows = [
        {**row, "jobs": number.rjust(digits)} for row, number in zip(rows, numbers, strict=True)
    ]
    return noted_table(columns, rows, width=width, hidden=hidden)


def left_out_note(titles: Sequence[str]) -> str:
    """
    Return in words which columns are not shown; their titles go without the time zone.
    """
    names = ", ".join(title.partition(" (")[0] for title in titles)
    return f"Left out for width: {names}"


def details(row: Mapping[str, Any], *, width: int | None) -> Iterator[Text]:
    """
    Yield one row in full, a line for each field.

    A value too long to fit beside its name follows below it, lists and objects item by item.
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
    Return a line, shortened and marked with an ellipsis if it is too wide.
    """
    if text.cell_len > width:
        ellipsis = encodable("…")
        text.truncate(max(0, width - cell_len(ellipsis)), overflow="crop")
        text.rstrip()
        text.append(ellipsis)
    return text


def _shown(value: Any) -> str:
    return displayed(plain(value))


def _items(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}: {plain(item)}" for name, item in value.items()]
    return [plain(item) for item in value] if isinstance(value, list) else [plain(value)]


def _column_widths(columns: Sequence[Column], full: list[int], width: int) -> dict[int, int] | None:
    """
    Return the columns to show, in order, with their widths; None if not even two fit.

    Args:
        columns: All columns.
        full: The width that each needs to be shown whole.
        width: The width of the terminal.
    """
    shown = [index for index, size in enumerate(full) if index < 2 or size]

    def min_width(index: int) -> int:
        if not columns[index].elastic:
            return full[index]
        last = max(columns[other].rank for other in shown)
        return min(full[index], _MIN_WIDTH if columns[index].rank == last else _PREFERRED_WIDTH)

    def needed() -> int:
        return sum(map(min_width, shown)) + len(_GAP) * (len(shown) - 1)

    while needed() > width and len(shown) > 2:
        shown.remove(max(shown[2:], key=lambda index: columns[index].rank))
    if needed() > width:
        return None
    spare = width - needed()
    widths = {}
    for index in sorted(shown, key=lambda index: columns[index].rank):
        widths[index] = min_width(index) + min(spare, full[index] - min_width(index))
        spare -= widths[index] - min_width(index)
    return {index: widths[index] for index in shown}


def _line(cells: list[str], widths: list[int], *, heading: bool = False) -> Text:
    line = Text(no_wrap=True, overflow="ignore", end="\n")
    for index, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        text = shortened(Text(cell, "bold" if heading else style_of(cell)), width)
        line.append_text(text)
        line.append("" if index == len(cells) - 1 else " " * (width - text.cell_len) + _GAP)
    line.rstrip()
    return line


def _fitting_cells(cells: list[str], width: int | None) -> list[str]:
    """
    Return the cells, from the first on, that fit into an indented line.
    """
    end = 0
    for index, cell in enumerate(cells):
        end += (len(_GAP) + cell_len(cell)) if cell else 0
        if end > (width or 0):
            return cells[:index]
    return cells


def _joined(cells: list[str]) -> Text:
    line = Text(_GAP, no_wrap=True, overflow="ignore")
    for cell in filter(None, cells):
        line.append(cell, style_of(cell)).append(_GAP)
    line.rstrip()
    return line
