from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft.characters import printable
from dashscope_ft.cli.text import csv_line, json_text, plain
from tests.test_characters import steers

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("indent", [None, 2])
@given(value=anything)
def test_any_value_as_json(indent: int | None, value: Any) -> None:
    """
    JSON comes back as it went, and is safe to show.
    """
    text = json_text(value, indent=indent)

    assert json.loads(text) == value
    assert not steers(text.replace("\n", "") if indent else text)


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))))
def test_any_record_as_csv(values: list[str]) -> None:
    """
    CSV comes back as it went, but for a sign before what a spreadsheet would run.
    """
    line = csv_line(["id", *values])
    [record] = csv.reader(io.StringIO(line, newline=""))

    assert line.endswith("\r\n")
    assert record == [
        "id",
        *(
            f"'{each}" if each.lstrip().startswith(tuple("=+-@＝＋－＠﹦﹢﹣﹫−")) else each
            for each in map(printable, values)
        ),
    ]


@pytest.mark.parametrize("start", list("=+-@\t\r＝＋－＠"))
def test_a_formula_in_csv(start: str) -> None:
    """
    A name that a spreadsheet would run as a formula becomes text.
    """
    assert csv_line([f'{start}HYPERLINK("x")']).lstrip('"').startswith("'")


def test_csv_of_many_kinds() -> None:
    """
    Quotes, commas and line breaks keep a record on one line; numbers stay numbers.
    """
    assert csv_line(['say "hi", now', "two\nlines", -5, None, True, ["a"]]) == (
        '"say ""hi"", now",two\\nlines,-5,,true,"[""a""]"\r\n'
    )


def test_fields_as_words() -> None:
    """
    A missing field is empty, text is itself, and the rest is JSON.
    """
    assert [plain(each) for each in (None, "x", 3, {"a": None})] == ["", "x", "3", '{"a": null}']
