"""
The two output streams: data on stdout, messages on stderr, each in a form its reader can use.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TextIO

from dashscope_ft.characters import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TaskID
    from rich.text import Text

_PROGRESS_DELAY = 0.4
"""Seconds before a progress display appears: shorter work does not need one."""


_SUBSTITUTES: Final = {"…": "...", "–": "-", "✓": "ok", "✗": "NO"}
"""Substitutes for our own symbols, for encodings that lack them."""

_POSITIVE: Final = re.compile("0*[1-9][0-9]*")

_ESCAPES: Final = "dashscope_ft.escapes"

_COMMAND: Final = re.compile(r" ?`(dashscope-ft [^`]*)`\.? ?")
"""A command to paste, within a message."""

_FINAL_COMMAND: Final = re.compile(r": `(dashscope-ft [^`]*)`$")
"""A command at the end of a line, which can be copied without its quotes."""

_unread = False


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    # In JSON's notation, so that JSON stays valid.
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPES, _escape)


def prepare_streams() -> None:
    """
    Make all streams accept any text, whatever their encoding. If one is closed, messages are
    discarded, and writing data fails. A size of the screen that is none counts as not given.
    """
    global _unread
    _unread = False
    for variable in ("COLUMNS", "LINES"):
        if not _POSITIVE.fullmatch(os.environ.get(variable, "1")):
            del os.environ[variable]  # rich would fit all output into no columns, and show nothing
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # In this order, each gets its own file descriptor number, which no other file may have.
            access = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            null = open(os.open(os.devnull, access), mode, closefd=False)  # noqa: SIM115
            setattr(sys, name, null)
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        # With PYTHONUNBUFFERED, text that a pipe does not take at once would be lost.
        number, encoding = sys.stdout.fileno(), sys.stdout.encoding
        sys.stdout = open(number, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)
    if isinstance(sys.stdin, io.TextIOWrapper):
        with suppress(ValueError):  # already read from, or closed
            sys.stdin.reconfigure(errors="surrogateescape")


def unread() -> bool:
    """
    Return whether the reader of stdout closed it before the end.
    """
    return _unread


def spelled(text: str, stream: TextIO | None = None) -> str:
    """
    Return a text as a stream, by default stdout, will show it, so that its width is known.
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

    It is cached, so that messages appear above what the same console redraws.
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
    global _unread
    try:
        _put(text, sys.stdout)
    except OSError as error:
        _unread = isinstance(error, BrokenPipeError)
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


def write_lines(lines: Iterable[Text]) -> None:
    """
    Write formatted lines to stdout, coloured if it is a terminal.

    A closed pipe does not raise here, since messages on stderr may follow.
    """
    _show(lines, sys.stdout, wraps=False)


def show_lines(lines: Iterable[Text], stream: TextIO) -> None:
    """
    Write formatted lines to a stream; on a terminal, sentences among them are wrapped.
    """
    _show(lines, stream, wraps=stream.isatty())


def _show(lines: Iterable[Text], stream: TextIO, *, wraps: bool) -> None:
    text = spelled(_laid_out(lines, stream, soft_wrap=not wraps), stream)
    if stream is not sys.stdout:
        _put(text, stream)
        return
    with suppress(BrokenPipeError):
        write(text)


def _laid_out(lines: Iterable[Text | str], stream: TextIO, **manner: Any) -> str:
    output = console(stream)
    with output.capture() as text:
        for line in lines:
            output.print(line, **manner)
    return text.get()


def say(words: str, *, style: str = "", end: str = "\n") -> None:
    """
    Write a message to stderr, on a pipe as one line. Any part of it may come from a server.

    On a terminal, a command in backquotes gets a line of its own, which is not wrapped, so that it
    can be copied. If the message cannot be written, it is dropped.
    """
    words = spelled(printable(words), sys.stderr)
    if sys.stderr.isatty():
        lines = _COMMAND.sub(r"\n\1\n", words).removesuffix("\n").split("\n")
        text = "".join(
            _laid_out([line], sys.stderr, style=style, end=end, soft_wrap=_is_command(line))
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


class Steps:
    """
    The progress in several places at once, with a line for each.

    If lines cannot be redrawn, each step is printed once, when it begins.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._lines: dict[str, TaskID] = {}

    def begin(self, place: str, words: str, *, total: int | None = None) -> None:
        """
        Begin a step in a place, with the count that it will reach.
        """
        if self._progress is None:
            say(f"{place}: {words}")
            return
        if place not in self._lines:
            self._lines[place] = self._progress.add_task(words, place=place)
        self._progress.reset(self._lines[place], description=words, total=total)

    def advance(self, place: str, by: int = 1) -> None:
        """
        Advance the count of a place.
        """
        if self._progress is not None:
            self._progress.advance(self._lines[place], by)


@contextmanager
def steps() -> Iterator[Steps]:
    """
    Show the progress in several places at once on stderr.
    """
    if not can_animate():
        yield Steps(None)
        return
    from rich.progress import BarColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.fields[place]:<4}", style="bold", markup=False),
        TextColumn("{task.description:<17}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.completed:>4,.0f}", markup=False),
        console=console(sys.stderr),
        expand=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as progress:
        yield Steps(progress)


@contextmanager
def appearing(progress: Progress) -> Iterator[None]:
    """
    Show a progress display after the block has run for a moment. Needs a running event loop.
    """
    import asyncio

    appearance = asyncio.get_running_loop().call_later(_PROGRESS_DELAY, progress.start)
    try:
        yield
    except BaseException:
        progress.live.transient = True  # a message will report how far it got
        raise
    finally:
        appearance.cancel()
        progress.stop()


def spinning() -> SpinnerColumn:
    """
    Return a spinner that the encoding of stderr can show.
    """
    from rich.progress import SpinnerColumn

    return SpinnerColumn("dots" if spelled("⠋", sys.stderr) == "⠋" else "line")


class Counter:
    """
    A displayed count.
    """

    def __init__(self, progress: Progress | None, words: str, total: int | None) -> None:
        self._progress = progress
        self._task_id = progress.add_task(words, total=total) if progress else None

    def advance(self, by: int = 1) -> None:
        """
        Advance the count.
        """
        if self._progress is not None and self._task_id is not None:
            self._progress.advance(self._task_id, by)


@contextmanager
def counter(words: str, *, total: int | None = None, streams: bool = False) -> Iterator[Counter]:
    """
    Show a count during the block, unless that is short, if stderr is a terminal.

    It disappears when the block ends. Needs a running event loop.

    Args:
        words: What is counted.
        total: The final count, if known.
        streams: Whether data is written meanwhile; on the same terminal, it shows the progress.
    """
    if not can_animate() or (streams and sys.stdout.isatty()):
        yield Counter(None, words, total)
        return
    from rich.progress import BarColumn, Progress, TextColumn

    progress = Progress(
        spinning(),
        TextColumn("{task.description}", markup=False),
        *([BarColumn(bar_width=20)] if total else []),
        TextColumn(
            "{task.completed:,.0f} of {task.total:,.0f}" if total else "{task.completed:,.0f}"
        ),
        console=console(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with appearing(progress):
        yield Counter(progress, words, total)
