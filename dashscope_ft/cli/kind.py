"""
Kinds of things that commands show, and the columns of their tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

UTC_PLUS_8 = timezone(timedelta(hours=8))
"""The service's time zone; importing it from the settings would slow down `--help`."""


@dataclass(frozen=True)
class Column:
    """
    A column of a table: its content, and its priority.
    """

    title: str
    """The heading."""

    value: str | Callable[[Mapping[str, Any]], Any]
    """The field that it shows, or a function of the row."""

    rank: int = 0
    """On a narrow terminal, the column with the highest goes first; the first two always stay."""

    elastic: bool = False
    """Whether its text may be cut to make the table fit."""

    def of(self, row: Mapping[str, Any]) -> Any:
        """
        Return the value of a row's cell.
        """
        return self.value(row) if callable(self.value) else row.get(self.value)


@dataclass(frozen=True)
class Kind:
    """
    A kind of thing that commands show: fine-tuning jobs, import jobs or checkpoints.
    """

    group: str
    """The group of the commands that show it: `jobs` or `imports`."""

    word: str
    """The singular, such as `import job`."""

    columns: Sequence[Column]
    """The columns of a table."""

    fields: Sequence[str]
    """The fields of a CSV record."""

    def count(self, number: int) -> str:
        """
        Return a number of them in words, such as `2 import jobs`.
        """
        return f"{number:,} {self.word}{'' if number == 1 else 's'}"


def minute(field: str) -> Callable[[Mapping[str, Any]], Any]:
    """
    Return a function of a row that formats the time in a field, to the minute and in UTC+8; values
    that are not times are returned unchanged.
    """

    def of(row: Mapping[str, Any]) -> Any:
        try:
            time = datetime.fromisoformat(row[field])
            if time.tzinfo:  # without a zone, it is in UTC+8 already
                time = time.astimezone(UTC_PLUS_8)
        except (KeyError, OverflowError, TypeError, ValueError):
            return row.get(field)
        return time.strftime("%Y-%m-%d %H:%M")

    return of
