"""
The two output streams: data on stdout, messages on stderr, each as its terminal or pipe needs it.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TextIO

from dashscope_ft.characters import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.text import Text

_SUBSTITUTES: Final = {"…": "...", "–": "-", "✓": "ok", "✗": "NO"}
"""Substitutes for our own symbols, for encodings that lack them."""

_POSITIVE: Final = re.compile("0*[1-9][0-9]*")
"""A number of columns or lines that a screen can have."""

_ESCAPES: Final = "dashscope_ft.escapes"
"""The name under which Python knows `_escape`, for text that an encoding cannot hold."""

_COMMAND: Final = re.compile(r" ?`(dashscope-ft [^`]*)`\.? ?")
"""A command to paste, within a message."""

_FINAL_COMMAND: Final = re.compile(r": `(dashscope-ft [^`]*)`$")
"""A command at the end of a line, which can be copied without its quotes."""

_reader_left = False


def _escape(error: UnicodeError) -> tuple[str, int]:
    """
    Escape what an encoding cannot hold, as `codecs.register_error` wants it.
    """
    if not isinstance(error, UnicodeEncodeError):
        raise error
    # In JSON's notation, so that JSON stays valid.
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPES, _escape)


def prepare_streams() -> None:
    """
    Make the streams of this process fit for any text, however they were opened or closed.
    """
    global _reader_left
    _reader_left = False
    _ignore_impossible_size()
    _replace_closed_streams()
    _buffer_stdout()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)
    if isinstance(sys.stdin, io.TextIOWrapper):
        with suppress(ValueError):  # already read from, or closed
            sys.stdin.reconfigure(errors="surrogateescape")


def _ignore_impossible_size() -> None:
    """
    Drop a size of the screen that is none: rich would fit all output into it, and show nothing.
    """
    for variable in ("COLUMNS", "LINES"):
        if not _POSITIVE.fullmatch(os.environ.get(variable, "1")):
            del os.environ[variable]


def _replace_closed_streams() -> None:
    """
    Put a stream in place of each that is closed: it discards messages, and fails to write data.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # In this order, each gets its own file descriptor number, which no other file may have.
            access = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            null = open(os.open(os.devnull, access), mode, closefd=False)  # noqa: SIM115
            setattr(sys, name, null)


def _buffer_stdout() -> None:
    """
    Buffer stdout under PYTHONUNBUFFERED, too: text that a pipe does not take at once would be lost.
    """
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        number, encoding = sys.stdout.fileno(), sys.stdout.encoding
        sys.stdout = open(number, "w", encoding=encoding, closefd=False)  # noqa: SIM115


def reader_left() -> bool:
    """
    Return whether the reader of stdout closed it before the end.
    """
    return _reader_left


def displayed(text: str, stream: TextIO | None = None) -> str:
    """
    Return any text, such as a server's, as a stream, by default stdout, can safely show it.
    """
    return encodable(printable(text), stream)


def encodable(text: str, stream: TextIO | None = None) -> str:
    """
    Return a text in characters that the encoding of a stream, by default stdout, has.

    To be called before a text is measured, since substitutes and escapes can be wider.
    """
    encoding = (sys.stdout if stream is None else stream).encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeError:
        for symbol, substitute in _SUBSTITUTES.items():
            text = text.replace(symbol, substitute)
        text = text.encode(encoding, _ESCAPES).decode(encoding)
    return text


@lru_cache(maxsize=4)
def console(stream: TextIO) -> Console:
    """
    Return a stream's console, which takes text literally, and colours it only if that is wanted.

    There is one for each stream, so that messages appear above what the same console redraws.
    """
    from rich.console import Console

    # With NO_COLOR, rich would still send bold and dim; here it means no escape sequences at all.
    colours = None if os.environ.get("NO_COLOR") else "auto"
    return Console(
        file=stream,
        markup=False,
        highlight=False,
        emoji=False,
        color_system=colours,  # type: ignore[arg-type]
    )


def width_of(stream: TextIO) -> int | None:
    """
    Return a terminal's width in cells; None for other streams, such as pipes.
    """
    return console(stream).width if stream.isatty() else None


def write(text: str) -> None:
    """
    Write data to stdout unchanged, and flush it: a reader may be waiting.

    Raises:
        BrokenPipeError: The reader closed the pipe. Whatever follows is discarded.
        OSError: It cannot be written. Whatever follows is discarded.
    """
    global _reader_left
    try:
        _put(text, sys.stdout)
    except OSError as error:
        _reader_left = isinstance(error, BrokenPipeError)
        error.filename = "stdout"
        raise


def _put(text: str, stream: TextIO) -> None:
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        # Otherwise the interpreter would try to write the rest at exit.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
        raise


def write_lines(
    lines: Iterable[Text], stream: TextIO | None = None, *, wrapped: bool = False
) -> None:
    """
    Write formatted lines to a stream, by default stdout; a terminal gets their colours.

    If stdout is a closed pipe, this does not raise, since messages on stderr may follow.

    Args:
        lines: The lines.
        stream: The stream.
        wrapped: Whether to break lines that are too long for a terminal between words.
    """
    target = sys.stdout if stream is None else stream
    text = encodable(_rendered(lines, target, wrapped=wrapped and target.isatty()), target)
    if target is not sys.stdout:
        _put(text, target)
        return
    with suppress(BrokenPipeError):
        write(text)


def _rendered(
    lines: Iterable[Text | str], stream: TextIO, *, wrapped: bool, style: str = "", end: str = "\n"
) -> str:
    """
    Return lines as rich writes them to a stream.
    """
    output = console(stream)
    with output.capture() as text:
        for line in lines:
            output.print(line, style=style, end=end, soft_wrap=not wrapped)
    return text.get()


def say(words: str, *, style: str = "", end: str = "\n") -> None:
    """
    Write a message to stderr, on a pipe as one line. Any part of it may come from a server.

    On a terminal, a command in backquotes gets a line of its own, which is not wrapped, so that it
    can be copied. If the message cannot be written, it is dropped.
    """
    words = displayed(words, sys.stderr)
    if sys.stderr.isatty():
        lines = _COMMAND.sub(r"\n\1\n", words).removesuffix("\n").split("\n")
        text = "".join(
            _rendered([line], sys.stderr, wrapped=not _is_command(line), style=style, end=end)
            for line in lines
        )
    else:
        text = _FINAL_COMMAND.sub(r": \1", words) + end
    with suppress(OSError):
        _put(text, sys.stderr)


def _is_command(line: str) -> bool:
    return line.startswith("dashscope-ft ")


def can_animate(stream: TextIO | None = None) -> bool:
    """
    Return whether a stream, by default stderr, is a terminal that can redraw a line.
    """
    shown_on = sys.stderr if stream is None else stream
    return shown_on.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
