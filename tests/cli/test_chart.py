from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft.cli.chart import chart


def plain(values: list[float], width: int, height: int) -> list[str]:
    return [line.plain for line in chart(values, width=width, height=height, braille=False)]


def test_a_falling_curve() -> None:
    """
    A curve falls from its highest value, at the top left, to its lowest, at the bottom right.
    """
    assert plain([4.0, 3.0, 2.0, 1.0], width=8, height=4) == [
        "4 |*    ",
        "  | **  ",
        "2 |   * ",
        "1 |    *",
    ]


def test_a_gap() -> None:
    """
    What is no number is a gap, and is not joined over.
    """
    assert plain([1.0, math.nan, 1.0], width=9, height=1) == ["1 |*    *"]


def test_nothing_to_draw() -> None:
    """
    Without a finite value there is no chart.
    """
    assert plain([], 40, 10) == []
    assert plain([math.nan, math.inf], 40, 10) == []


@given(
    st.lists(st.floats(width=32), max_size=300),
    st.integers(12, 120),
    st.integers(1, 30),
    st.booleans(),
)
def test_any_values_fit(values: list[float], width: int, height: int, braille: bool) -> None:
    """
    Whatever the values are, no line is wider than asked for, and there are no more than asked for.
    """
    lines = list(chart(values, width=width, height=height, braille=braille))

    assert len(lines) in (0, height)
    assert all(line.cell_len <= max(width, 14) for line in lines)
