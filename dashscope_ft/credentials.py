"""
The API key: where it is looked up, and how it is kept out of sight.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, SupportsIndex

from .errors import ConfigurationError

_KEY_SIZE = 4096


class Secret(str):
    """
    A string that its `repr` masks and that cannot be pickled: tracebacks may show locals.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"

    def __getitem__(self, place: SupportsIndex | slice) -> Secret:
        # A tool that shortens a long string before it shows it must get a masked piece.
        return Secret(super().__getitem__(place))

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled; look it up again where it is needed")


def concealed(value: str | None) -> Secret | None:
    """
    Wrap a value as a `Secret`; what is not a string becomes an empty one, which no check accepts.
    """
    if value is None:
        return None
    return Secret(value) if isinstance(value, str) else Secret()


class Environment:
    """
    Environment variables that no traceback with locals shows, even one that expands mappings.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    def __getitem__(self, name: str) -> str:
        return self._variables[name]

    def __repr__(self) -> str:
        return "{...}"

    def found(self, *names: str) -> tuple[str, ...]:
        """
        Return which of some variables are set; an empty one is not.
        """
        return tuple(name for name in names if self._variables.get(name))


def found_key(environ: Environment, home: Path | None) -> Secret:
    """
    Look the key up: in its variable, in the file that another variable names, in the usual file.

    Raises:
        ConfigurationError: There is none, or what was found cannot be a key.
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
        "There is no API key: DASHSCOPE_API_KEY and DASHSCOPE_API_KEY_FILE_PATH are unset or "
        "empty, and ~/.dashscope/api_key is missing or empty.",
        hint="Set DASHSCOPE_API_KEY, or write the key into that file, readable by you alone.",
    )


def _at_home(path: str, home: Path | None) -> Secret:
    if home is not None and path.startswith("~/"):
        return Secret(home / path[2:])
    return Secret(os.path.expanduser(path))


def _file_content(path: Secret, source: str) -> Secret:
    try:
        content, fault = _read(path)
    except (FileNotFoundError, NotADirectoryError):
        return Secret()
    except (OSError, ValueError) as failure:
        content, fault = Secret(), getattr(failure, "strerror", None) or "not a usable path"
    if fault:
        raise ConfigurationError(f"The API key cannot be read from {source}: {fault}.")
    return content


def _read(path: Secret) -> tuple[Secret, str | None]:
    """
    Read a file that only its owner can read.

    Returns:
        The content without the space around it, and what is wrong with it or with the file.
    """
    # Look before opening: that affects a FIFO or a device, and whoever waits at its other end.
    if fault := _file_fault(os.lstat(path)):
        return Secret(), fault
    with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
        # By now, there may be another file at the path.
        if fault := _file_fault(os.fstat(file.fileno())):
            return Secret(), fault
        content = Secret((file.read(_KEY_SIZE + 3) or b"").decode("utf-8-sig", "replace").strip())
    return content, _content_fault(content)


def _open_without_waiting(path: str, flags: int) -> int:
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY"):
        flags |= getattr(os, name, 0)
    return os.open(path, flags)


def _file_fault(file: os.stat_result) -> str | None:
    if stat.S_ISLNK(file.st_mode):
        return "it is a symbolic link; name the file itself"
    if not stat.S_ISREG(file.st_mode):
        kind = next((word for test, word in _KINDS.items() if test(file.st_mode)), "something else")
        return f"it is {kind}, and has to be a regular file"
    if sys.platform != "win32":
        if file.st_uid not in {os.geteuid(), 0}:
            return "it belongs to another user, and has to be this one's"
        if file.st_mode & 0o077:
            mode = stat.S_IMODE(file.st_mode)
            return f"others can get at it (its mode is {mode:04o}); chmod 600 makes it yours alone"
    if file.st_size > _KEY_SIZE + 3:
        return f"it has {file.st_size:,} bytes, and has to hold the key alone"
    return None


_KINDS: dict[Any, str] = {
    stat.S_ISDIR: "a directory",
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


def _content_fault(content: Secret) -> str | None:
    if len(content.splitlines()) > 1:
        return "it has several lines, and has to hold the key alone"
    if (content and not content.isprintable()) or "\ufffd" in content:
        return "it is not text, and has to hold the key alone"
    return None


def checked_key(key: Secret, source: str) -> Secret:
    """
    Check that a key can be sent in a header, and return it.

    Raises:
        ConfigurationError: It cannot; the message does not show it.
    """
    if not re.fullmatch(rf"[!-~]{{1,{_KEY_SIZE}}}", key):
        raise ConfigurationError(
            f"{source} must be a string of visible ASCII characters, "
            "not empty, without spaces and line breaks."
        )
    return key
