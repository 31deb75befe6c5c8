"""
Server text made harmless, and jobs as lines of JSON or CSV. Pure functions.
"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Iterable

# Controls, formats (bidirectional overrides and invisible characters among them), lone
# surrogates, line and paragraph separators: what could move the cursor, hide or reorder text.
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# A cell that starts so is a formula to spreadsheets; the full-width signs count as the others.
_FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


def printable(text: str) -> str:
    """
    Write whatever could steer a terminal as the escape that Python would use for it.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode("ascii")
        if category(character) in _UNPRINTABLE
        else character
        for character in text
    )


def json_text(value: Any, *, indent: int | None = None) -> str:
    """
    Write a value as JSON that any terminal can be shown, and that loses nothing.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(
        json.dumps(character)[1:-1]
        if character != "\n" and category(character) in _UNPRINTABLE
        else character
        for character in text
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
    if isinstance(value, str) and text.lstrip(" ").startswith(_FORMULA_STARTS):
        text = "'" + text
    return printable(text)
