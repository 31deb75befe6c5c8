"""
Checks of the arguments that a caller passes to an operation.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Collection, Iterable
from contextlib import suppress
from inspect import iscoroutinefunction
from operator import index
from typing import Any
from unicodedata import category
from unicodedata import name as name_of

from .errors import ConfigurationError, InvalidArgument

LONGEST_TEXT = 256  # characters

# Between other characters, Persian, the scripts of India and emoji of several parts need them.
_JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


def check_job_id(value: object) -> str:
    """
    Check a job's id and return it; it is safe as one segment of a path.

    Raises:
        TypeError: Where it is not a string.
        InvalidArgument: Where it is not 1 to 128 letters, digits and `._:-`, the first
            a letter or digit.
    """
    return _segment("job id", value)


def check_checkpoint(value: object) -> str:
    """
    Check a checkpoint's name and return it; it is safe as one segment of a path.

    Raises:
        TypeError: Where it is not a string.
        InvalidArgument: Where it is not of such characters as a job id.
    """
    return _segment("checkpoint name", value)


def check_page_no(value: object) -> int:
    """
    Check a page number and return it.

    Raises:
        InvalidArgument: Where it is not a whole number from 1.
    """
    return whole_number("page_no", value, 1, 2**31 - 1, InvalidArgument)


def check_page_size(value: object, *, lowest: int = 1) -> int:
    """
    Check a page size and return it.

    Raises:
        InvalidArgument: Where it is not a whole number from `lowest` to 100.
    """
    return whole_number("page_size", value, lowest, 100, InvalidArgument)


def check_count(name: str, value: object) -> int:
    """
    Check a number of things and return it.

    Raises:
        InvalidArgument: Where it is not a whole number from 0.
    """
    return whole_number(name, value, 0, sys.maxsize, InvalidArgument)


def check_text(name: str, value: object, most: int = LONGEST_TEXT) -> str | None:
    """
    Check the text of a filter or a field and return it; None passes.

    Raises:
        TypeError: Where it is not a string.
        InvalidArgument: Where it is not 1 to `most` printable characters.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"{name} is a string, not {type(value).__name__}")
    if not 1 <= len(value) <= most:
        raise InvalidArgument(f"{name} must have 1 to {most} characters, not {len(value)}.")
    for character in value:
        if not _is_printable(character, value):
            known_as = name_of(character, "")
            named = f" ({known_as.lower()})" if known_as else ""
            raise InvalidArgument(
                f"{name} holds {character!a}{named}, which is not a printable character."
            )
    # A plain string, whatever an enum's own `__str__` says.
    return str.__str__(value)


def check_case(statuses: Iterable[str], known: Collection[str]) -> None:
    """
    Refuse statuses that would be known ones in upper case: no job ever has them.

    Raises:
        InvalidArgument: There is such a status.
    """
    for status in statuses:
        if status not in known and status.upper() in known:
            raise InvalidArgument(f"status {status!r} must be {status.upper()!r}.")


def check_seconds(name: str, value: object) -> float:
    """
    Check a number of seconds and return it.

    Raises:
        InvalidArgument: Where it is not a finite number above 0.
    """
    return positive_seconds(name, value, InvalidArgument)


def check_callback(name: str, value: object) -> None:
    """
    Check a callback; None is one that is not wanted.

    Raises:
        TypeError: Where it cannot be called, or is async, so that nobody would await it.
    """
    if value is None:
        return
    if not callable(value):
        raise TypeError(f"{name} is a {type(value).__name__}; it must be a function.")
    if iscoroutinefunction(value) or iscoroutinefunction(type(value).__call__):
        raise TypeError(f"{name} is an async function; it must be a plain one.")


def check_regular_file(what: str, path: str | os.PathLike[str]) -> None:
    """
    Refuse the path of anything but a regular file or a file that does not exist yet.

    Raises:
        InvalidArgument: It is the path of a directory or a device, say; nothing was read or
            written.
    """
    with suppress(OSError):  # to open the file will raise it, too
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise InvalidArgument(
                f"The {what} {os.fspath(path)} is not a regular file.",
                hint="Nothing was done; name another file.",
            )


def whole_number(
    name: str,
    value: object,
    lowest: int,
    highest: int,
    error: type[ConfigurationError | InvalidArgument],
) -> int:
    """
    Return a whole number within bounds, or raise `error`; True is not a number.
    """
    number = _integer(value)
    if number is not None and lowest <= number <= highest:
        return number
    bounds = f"from {lowest}" if highest >= 2**31 - 1 else f"from {lowest} to {highest}"
    given = value if number is None else number
    raise error(f"{name} must be a whole number {bounds}, not {shown(given)}.")


def positive_seconds(
    name: str, value: object, error: type[ConfigurationError | InvalidArgument]
) -> float:
    """
    Return a number of seconds, finite and above 0, or raise `error`.
    """
    number = value if isinstance(value, float) else _integer(value)
    if number is not None and 0 < number <= sys.float_info.max:
        return float(number)
    given = value if number is None else number
    raise error(f"{name} must be a finite number of seconds above 0, not {shown(given)}.")


def _integer(value: Any) -> int | None:
    """
    Return an integer of any class, such as one of NumPy's, as an `int`; None for anything else.
    """
    try:
        return None if isinstance(value, bool) else index(value)
    except TypeError:
        return None


def _segment(kind: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a {kind} is a string, not {type(value).__name__}")
    match = _SEGMENT.fullmatch(value)
    if match is None:
        raise InvalidArgument(
            f"{shown(value)} is not a {kind}: 1 to 128 letters, digits and . _ : -, "
            "beginning with a letter or digit."
        )
    return match.group()


def _is_printable(character: str, text: str) -> bool:
    # To Python, the spaces of other scripts are not printable.
    joins = character in _JOINERS and character not in (text[0], text[-1])
    return joins or character.isprintable() or category(character) == "Zs"


def shown(value: object) -> str:
    """
    Show what was passed in, short and printable.
    """
    if isinstance(value, str):
        return ascii(value[:40]) + ("..." if len(value) > 40 else "")
    if isinstance(value, (bool, float)) or value is None:
        return repr(value)
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a number beyond all bounds"
    return f"an object of type {type(value).__name__}"
