"""
Values as JSON, CSV and plain text. Pure functions.
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

# Spreadsheets take cells that start like this for formulas, also with signs of other widths.
_FORMULA_STARTS: Final = tuple("=+-@＝＋－＠﹦﹢﹣﹫−")
_BREAKS: Final = ("\t", "\r", "\n")


def json_text(value: Any, *, indent: int | None = None) -> str:
    """
    Return a value as JSON that is lossless and safe to show on any terminal.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isascii() and "\x7f" not in text:
        return text
    return printable(
        text, lambda character: character if character == "\n" else json.dumps(character)[1:-1]
    )


def json_line(value: Any, *, indent: int | None = None) -> str:
    """
    Return a value as JSON, with a line end.
    """
    return json_text(value, indent=indent) + "\n"


def csv_line(values: Iterable[Any]) -> str:
    """
    Return one record as RFC 4180 defines it, with its line end, and with formulas neutralized.
    """
    line = io.StringIO()
    csv.writer(line).writerow([_csv_cell(value) for value in values])
    return line.getvalue()


def finite(value: float) -> float | str:
    """
    Return a number as JSON can hold it: as text if it is not finite.
    """
    return value if isfinite(value) else str(value)


def plain(value: Any) -> str:
    """
    Return a field's value as text: empty for None, JSON for lists and objects.
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
