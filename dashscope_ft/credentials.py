"""
The API key: where it is looked up, and how it is kept out of sight.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NoReturn

from .errors import ConfigurationError

_KEY_SIZE = 4096


class Secret(str):
    """
    A string that neither its `repr` nor a pickle gives away, so that a traceback may show locals.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled; look it up again where it is needed")


def concealed(value: str | None) -> Secret | None:
    """
    Wrap a value as a `Secret`; what is not a string becomes an empty one, which no check accepts.
    """
    if value is None:
        return None
    return Secret(value) if isinstance(value, str) else Secret()


class Environment(dict[str, str]):
    """
    Variables that a traceback with locals does not show.
    """

    def __repr__(self) -> str:
        return "{...}"

    def found(self, *names: str) -> tuple[str, ...]:
        """
        Tell which of some variables are set; an empty one is not.
        """
        return tuple(name for name in names if self.get(name))


def found_key(environ: Environment, home: Path | None) -> Secret:
    """
    Look the key up: in its variable, in the file another names, in the usual file.

    Raises:
        ConfigurationError: There is none, or it cannot be one.
    """
    if environ.found("DASHSCOPE_API_KEY"):
        return checked_key(Secret(environ["DASHSCOPE_API_KEY"]), "DASHSCOPE_API_KEY")
    if environ.found("DASHSCOPE_API_KEY_FILE_PATH"):
        # Not shown in an error: people have put the key itself there.
        named = Secret(environ["DASHSCOPE_API_KEY_FILE_PATH"])
        source = "the file that DASHSCOPE_API_KEY_FILE_PATH names"
        key = _file_content(_at_home(named, home), source)
        if not key:
            raise ConfigurationError(f"{source[0].upper()}{source[1:]} is missing or empty.")
        return checked_key(key, f"the key in {source}")
    default = _at_home("~/.dashscope/api_key", home)
    if key := _file_content(default, "~/.dashscope/api_key"):
        return checked_key(key, "the key in ~/.dashscope/api_key")
    raise ConfigurationError(
        "There is no API key: api_key was not given, DASHSCOPE_API_KEY and "
        "DASHSCOPE_API_KEY_FILE_PATH are unset, and ~/.dashscope/api_key is missing or empty."
    )


def _at_home(path: str, home: Path | None) -> Path:
    if home is not None and path.startswith("~/"):
        return home / path[2:]
    return Path(os.path.expanduser(path))


def _file_content(path: Path, source: str) -> Secret:
    try:
        with path.open("rb") as file:
            # One byte too many is enough for the check to refuse the rest.
            text = file.read(_KEY_SIZE + 3).decode("utf-8-sig", "replace")
            return Secret(text.strip())
    except (FileNotFoundError, NotADirectoryError):
        return Secret()
    except (OSError, ValueError) as failure:
        reason = getattr(failure, "strerror", None) or "not a usable path"
    raise ConfigurationError(f"The API key cannot be read from {source}: {reason}.")


def checked_key(key: Secret, source: str) -> Secret:
    """
    Give a key back that can be sent in a header.

    Raises:
        ConfigurationError: It cannot; the message does not show it.
    """
    if not re.fullmatch(rf"[!-~]{{1,{_KEY_SIZE}}}", key):
        raise ConfigurationError(
            f"{source} must be a string of visible ASCII characters, "
            "not empty, without spaces and line breaks."
        )
    return key
