"""
Values as JSON, as CSV and as words. Pure functions.
"""

from __future__ import annotations

import csv
import io
import json
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from dashscope_ft.characters import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

# A cell that starts so is a formula to spreadsheets; signs of other widths count as the others.
_FORMULA_STARTS: Final = tuple("=+-@＝＋－＠﹦﹢﹣﹫−")
_BREAKS: Final = ("\t", "\r", "\n")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """
    Write a value as JSON that any terminal can be shown, and that loses nothing.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isascii() and "\x7f" not in text:
        return text
    return printable(
        text, lambda character: character if character == "\n" else json.dumps(character)[1:-1]
    )


def json_line(value: Any, *, indent: int | None = None) -> str:
    """
    Write a value as JSON, its line end included.
    """
    return json_text(value, indent=indent) + "\n"


def csv_line(values: Iterable[Any]) -> str:
    """
    Write one record as RFC 4180 has it, its line end included, with no live formula in it.
    """
    line = io.StringIO()
    csv.writer(line).writerow([_csv_cell(value) for value in values])
    return line.getvalue()


def finite(value: float) -> float | str:
    """
    Give a number that JSON can hold; one that is not finite as a text.
    """
    return value if isfinite(value) else str(value)


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
