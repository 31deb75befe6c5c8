"""
How a kind of job is called and shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

UTC_PLUS_8 = timezone(timedelta(hours=8))
"""The service's zone; that of the settings would make `--help` slow."""


@dataclass(frozen=True)
class Column:
    """
    What stands in a column, and how hard it holds its place.
    """

    title: str
    """Its heading."""

    value: str | Callable[[Mapping[str, Any]], Any]
    """The field that it shows, or what to make of the row."""

    rank: int = 0
    """On narrow terminals the highest goes first; the first two columns never go."""

    elastic: bool = False
    """Whether its text may be cut short."""

    def of(self, row: Mapping[str, Any]) -> Any:
        """
        Give the cell's value.
        """
        return self.value(row) if callable(self.value) else row.get(self.value)


@dataclass(frozen=True)
class Noun:
    """
    A kind of job.
    """

    word: str
    """What one is called."""

    columns: Sequence[Column]
    """What a table shows."""

    fields: Sequence[str]
    """What CSV holds."""

    def count(self, number: int) -> str:
        """
        Say how many.
        """
        return f"{number:,} {self.word}{'' if number == 1 else 's'}"


def minute(field: str) -> Callable[[Mapping[str, Any]], Any]:
    """
    Make a column's value of a time: to the minute, at UTC+8; what is no time stays as it is.
    """

    def of(row: Mapping[str, Any]) -> Any:
        try:
            time = datetime.fromisoformat(row[field])
            if time.tzinfo:  # one without a zone is at UTC+8 already
                time = time.astimezone(UTC_PLUS_8)
        except (KeyError, OverflowError, TypeError, ValueError):
            return row.get(field)
        return time.strftime("%Y-%m-%d %H:%M")

    return of
