"""
Server text made harmless, and jobs as lines of JSON or CSV. Pure functions.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Controls, formats (bidirectional overrides and invisible characters among them), lone
# surrogates, line and paragraph separators: what could move the cursor, hide or reorder text.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Letters and marks that nobody sees: joiners, fillers, variation selectors but those of emoji.
_INVISIBLE: Final = frozenset(
    map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810)))
) | frozenset(map(chr, (*range(0xFE00, 0xFE0E), *range(0xE0100, 0xE01F0))))

_MARKS: Final = frozenset({"Mn", "Me"})
_MOST_MARKS: Final = 4
"""Marks on one letter: languages do with fewer, and more of them grow over the lines around."""

# A cell that starts so is a formula to spreadsheets; signs of other widths count as the others.
_FORMULA_STARTS: Final = tuple("=+-@＝＋－＠﹦﹢﹣﹫−")
_BREAKS: Final = ("\t", "\r", "\n")


def printable(text: str) -> str:
    """
    Write whatever could steer a terminal as the escape that Python would use for it.
    """
    if text.isascii() and text.isprintable():
        return text
    return _without_steering(
        text, lambda character: character.encode("unicode_escape").decode("ascii")
    )


def _without_steering(text: str, escaped: Callable[[str], str]) -> str:
    characters: list[str] = []
    marks = 0
    for character in text:
        kind = category(character)
        marks = marks + 1 if kind in _MARKS else 0
        hidden = kind in _UNPRINTABLE or character in _INVISIBLE or marks > _MOST_MARKS
        characters.append(escaped(character) if hidden else character)
    return "".join(characters)


def json_text(value: Any, *, indent: int | None = None) -> str:
    """
    Write a value as JSON that any terminal can be shown, and that loses nothing.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isascii() and "\x7f" not in text:
        return text
    return _without_steering(
        text, lambda character: character if character == "\n" else json.dumps(character)[1:-1]
    )


def csv_line(values: Iterable[Any]) -> str:
    """
    Write one record as RFC 4180 has it, its line end included, with no live formula in it.
    """
    line = io.StringIO()
    csv.writer(line).writerow([_csv_cell(value) for value in values])
    return line.getvalue()


def plain(value: Any) -> str:
    """
    Write a field's value as a word or two: nothing for None, JSON for lists and objects.
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else json_text(value)


def _csv_cell(value: Any) -> str:
    text = plain(value)
    if isinstance(value, str) and (
        text.lstrip().startswith(_FORMULA_STARTS) or text.startswith(_BREAKS)
    ):
        text = "'" + text
    return printable(text)
