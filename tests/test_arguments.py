"""
What callers may give to an operation, and what is refused before anything is sent.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft.arguments import (
    check_callback,
    check_count,
    check_job_id,
    check_page_no,
    check_page_size,
    check_text,
)
from dashscope_ft.errors import InvalidArgument

NOT_WHOLE = [True, False, 1.0, "1", None, float("nan")]


class Integer:
    """
    An integer as NumPy's are: of a class of its own, and usable wherever an index is.
    """

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


@pytest.mark.parametrize(
    "job_id",
    [
        "ft-202410291653-1c7f",
        "937b0e2c-1c7f-4a2b-9d3e-000000000000",
        "a",
        "0",
        "a" * 128,
        "a.:_-",
    ],
)
def test_a_job_id_is_given_back(job_id: str) -> None:
    """
    An id of the service's kind is given back as it was.
    """
    assert check_job_id(job_id) == job_id


@pytest.mark.parametrize(
    "job_id",
    [
        "",
        ".",
        "..",
        "...",
        "-a",
        "a/b",
        "a\\b",
        "a b",
        "a\n",
        "\na",
        "a\0",
        "a%2f",
        "é",
        "a" * 129,
    ],
)
def test_a_job_id_that_could_change_the_path_is_refused(job_id: str) -> None:
    """
    What could change the path is refused with a short printable excerpt.
    """
    with pytest.raises(InvalidArgument) as caught:
        check_job_id(job_id)

    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("job_id", [None, 7, True, b"ft-1", ["ft-1"]])
def test_a_job_id_of_another_type_is_refused(job_id: object) -> None:
    """
    What is not a string is a `TypeError`.
    """
    with pytest.raises(TypeError, match="a job id is a string"):
        check_job_id(job_id)


def test_a_member_of_an_enum_stands_for_its_value() -> None:
    """
    A string enum's member stands for its value.
    """

    class Name(str, Enum):  # noqa: UP042 - a StrEnum's `str()` would do
        MODEL = "qwen3-14b"

    assert check_text("model", Name.MODEL) == "qwen3-14b"
    assert type(check_text("model", Name.MODEL)) is str
    assert type(check_job_id(Name.MODEL)) is str


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9./:_%\x00-\x1f-]*")))
def test_an_accepted_job_id_is_one_segment_of_a_path(text: str) -> None:
    """
    No id that is accepted can leave its place in the path.
    """
    try:
        job_id = check_job_id(text)
    except InvalidArgument:
        return

    assert job_id == text
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", job_id)
    assert job_id.strip(".")


@pytest.mark.parametrize("value", [0, -1, 2**31, *NOT_WHOLE])
def test_a_page_number_below_1_is_refused(value: Any) -> None:
    """
    Pages count from 1.
    """
    with pytest.raises(InvalidArgument, match="page_no must be a whole number from 1"):
        check_page_no(value)


@pytest.mark.parametrize("value", [0, 101, *NOT_WHOLE])
def test_a_page_size_out_of_bounds_is_refused(value: Any) -> None:
    """
    A page has 1 to 100 jobs.
    """
    with pytest.raises(InvalidArgument, match="from 1 to 100"):
        check_page_size(value)


def test_page_numbers_and_sizes_are_given_back() -> None:
    """
    Numbers within bounds are given back; a walk asks for more than a page does.
    """
    assert [check_page_no(1), check_page_size(1), check_page_size(100)] == [1, 1, 100]
    assert check_page_size(20, lowest=20) == 20
    with pytest.raises(InvalidArgument, match="from 20 to 100"):
        check_page_size(19, lowest=20)


def test_integers_of_any_class_count_pages() -> None:
    """
    Pages are counted by integers of any class, and by plain ones from then on.
    """
    number: Any = Integer(20)

    for checked in (check_page_no(number), check_page_size(number, lowest=20)):
        assert type(checked) is int
        assert checked == 20


@pytest.mark.parametrize("value", [-1, *NOT_WHOLE])
def test_a_count_is_a_whole_number(value: Any) -> None:
    """
    A number of things is a whole number, and may be none.
    """
    assert [check_count("limit", number) for number in (0, 7, Integer(7))] == [0, 7, 7]
    with pytest.raises(InvalidArgument, match="limit must be a whole number from 0, not"):
        check_count("limit", value)


def test_a_callback_is_a_plain_function() -> None:
    """
    What is called back is anything that can be called, but nobody would await it.
    """

    async def tell(_: object) -> None: ...

    class Teller:
        async def __call__(self, _: object) -> None: ...

    told: list[object] = []

    for callback in (None, print, told.append, str, lambda _: None):
        check_callback("on_outcome", callback)
    for wrong in (5, "print"):
        with pytest.raises(TypeError, match="; it must be a function"):
            check_callback("on_outcome", wrong)
    for unawaited in (tell, partial(tell, 1), Teller()):
        with pytest.raises(TypeError, match="on_outcome is an async function"):
            check_callback("on_outcome", unawaited)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "model must have 1 to 256 characters, not 0."),
        ("a" * 257, "model must have 1 to 256 characters, not 257."),
        ("a\n", "model holds '\\n', which is not a printable character."),
        ("\x1b[31m", "model holds '\\x1b', which is not a printable character."),
        ("\ud800", "model holds '\\ud800', which is not a printable character."),
        (
            "a\u200bb",
            "model holds '\\u200b' (zero width space), which is not a printable character.",
        ),
        (
            "👩\u200d",
            "model holds '\\u200d' (zero width joiner), which is not a printable character.",
        ),
    ],
)
def test_a_text_that_is_not_printable_is_refused(value: str, told: str) -> None:
    """
    A text is a printable word or more; otherwise the error names the character that is none.
    """
    with pytest.raises(InvalidArgument) as caught:
        check_text("model", value)

    assert str(caught.value) == told


def test_a_filter_may_be_any_name() -> None:
    """
    A filter may be any name, or none.
    """
    assert check_text("model", None) is None
    for name in ("通义 千问/3 & more", "👩\u200d👩\u200d👧 family", "می\u200cخواهم", "क्\u200dष"):
        assert check_text("model", name) == name
    with pytest.raises(TypeError, match="model is a string"):
        check_text("model", 3)
