"""
Escapes for untrusted text, before a terminal shows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Callable

# Controls, formats (bidirectional overrides and invisible characters among them), lone
# surrogates, line and paragraph separators: what could move the cursor, hide or reorder text.
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# Letters and marks that nobody sees, those still to come too: joiners, fillers, a blank,
# variation selectors but those of emoji.
_INVISIBLE: Final = frozenset(
    chr(code)
    for codes in (
        (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2065, 0x2800, 0x3164, 0xFFA0),
        *(range(0x180B, 0x1810), range(0xFE00, 0xFE0E), range(0xFFF0, 0xFFF9)),
        range(0xE0000, 0xE1000),
    )
    for code in codes
)

# The others look like the first of these, and make two names look the same.
_SPACES: Final = " \N{IDEOGRAPHIC SPACE}"

_MARKS: Final = frozenset({"Mn", "Me"})
_MOST_MARKS: Final = 4
"""Marks on one letter: languages do with fewer, and more of them grow over the lines around."""


def _in_python(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def printable(text: str, escape: Callable[[str], str] = _in_python) -> str:
    """
    Escape whatever could steer a terminal, is not seen, or looks like a space.

    Args:
        text: The text.
        escape: Writes one such character otherwise; as Python would, unless told.
    """
    if text.isascii() and text.isprintable():
        return text
    characters: list[str] = []
    marks = 0
    for character in text:
        kind = category(character)
        marks = marks + 1 if kind in _MARKS else 0
        hidden = (
            kind in _UNPRINTABLE
            or character in _INVISIBLE
            or (kind == "Zs" and character not in _SPACES)
            or marks > _MOST_MARKS
        )
        characters.append(escape(character) if hidden else character)
    return "".join(characters)
