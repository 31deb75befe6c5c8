"""
Text that is shown and never obeyed, and in which nothing hides.
"""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft.characters import printable

HOSTILE = "a\x1b[31mred\x1b]0;title\x07\r\n\t\x9b2J\u202etxt.exe\u2066\u200f\u2028\x7f\U000e0041"


def steers(text: str) -> bool:
    return any(unicodedata.category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for each in text)


def test_text_that_tries_to_steer_the_terminal() -> None:
    """
    Escape sequences, bidirectional overrides and line breaks are shown, not obeyed.
    """
    shown = printable(HOSTILE)

    assert shown == (
        r"a\x1b[31mred\x1b]0;title\x07\r\n\t\x9b2J\u202etxt.exe\u2066\u200f\u2028\x7f\U000e0041"
    )


def ordinary(character: str) -> bool:
    """
    Tell a character that is shown as it is, wherever it stands: many marks on a letter are not.
    """
    return printable(character) == character and unicodedata.category(character)[0] != "M"


@given(st.text(alphabet=st.characters()))
def test_any_text(text: str) -> None:
    """
    Nothing in any text can steer a terminal, and ordinary characters stay as they are.
    """
    shown = printable(text)

    assert not steers(shown)
    assert [each for each in text if ordinary(each)] == [
        each for each in text if each in shown and ordinary(each)
    ]


def test_chinese_names_and_signs() -> None:
    """
    Text that people read stays as it is, rich's markup and emoji codes included.
    """
    assert printable("我的模型 [red]x[/red] :smile: é ✓") == "我的模型 [red]x[/red] :smile: é ✓"


def test_languages_that_need_marks() -> None:
    """
    Letters with the marks that languages put on them stay as they are.
    """
    for text in ("Việt Nam".encode().decode(), "é̂", "ที่นี่", "שָׁלוֹם", "हिन्दी", "❤️ ok"):
        assert printable(text) == text


@pytest.mark.parametrize(
    "hidden",
    [*"\u3164\u034f\ufe00\u2800\u2065\ufff0\U000e0fff\xa0\u2003\u202f", "\u0301" * 5],
)
def test_a_name_that_looks_like_another(hidden: str) -> None:
    """
    What nobody sees in a name, or takes for a space, is shown as an escape.
    """
    shown = printable(f"pro{hidden}d")

    assert shown.startswith("pro")
    assert shown.endswith(hidden[-1].encode("unicode_escape").decode() + "d")


def test_an_escape_of_another_kind() -> None:
    """
    Whoever writes for machines says how what is not shown is written.
    """
    assert printable("a\x07b\u200bc", lambda character: f"<{ord(character)}>") == "a<7>b<8203>c"
