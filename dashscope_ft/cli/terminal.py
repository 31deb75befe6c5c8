"""
The two streams: data on stdout, words on stderr, each in the way that its reader can take.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import select
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

_PATIENCE = 0.4
"""Seconds before a progress display appears: what is over sooner needs none."""


_STAND_INS: Final = {"…": "...", "–": "-", "✓": "ok", "✗": "NO"}
"""What is written for signs of ours where they are not known."""

_ESCAPES: Final = "dashscope_ft.escapes"

_COMMAND: Final = re.compile(r" ?`(dashscope-ft [^`]*)`\.? ?")
"""A command to paste, among words."""

_LAST: Final = re.compile(r": `(dashscope-ft [^`]*)`$")
"""One that ends a line, and can be copied without its quotes."""

_unread = False


def _escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    # As JSON does it, or JSON would be none any more.
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPES, _escape)


def prepare_streams() -> None:
    """
    Make all streams take any text, whatever their encoding; where one is closed, words go nowhere,
    and data cannot be written.
    """
    global _unread
    _unread = False
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # In this order each gets the number that nobody else must have: its own.
            access = os.O_WRONLY if name == "stderr" else os.O_RDONLY
            nowhere = open(os.open(os.devnull, access), mode, closefd=False)  # noqa: SIM115
            setattr(sys, name, nowhere)
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        # PYTHONUNBUFFERED would lose, of a long text, what a pipe does not take at once.
        number, encoding = sys.stdout.fileno(), sys.stdout.encoding
        sys.stdout = open(number, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPES)
    if isinstance(sys.stdin, io.TextIOWrapper):
        with suppress(ValueError):  # read before, or closed
            sys.stdin.reconfigure(errors="surrogateescape")


def unread() -> bool:
    """
    Tell whether whoever reads stdout has left before its end.
    """
    return _unread


def spelled(text: str, stream: TextIO | None = None) -> str:
    """
    Spell a text as a stream will show it, stdout unless told otherwise, to know how wide it is.
    """
    encoding = (sys.stdout if stream is None else stream).encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeError:
        for sign, stand_in in _STAND_INS.items():
            text = text.replace(sign, stand_in)
        text = text.encode(encoding, _ESCAPES).decode(encoding)
    return text


@lru_cache(maxsize=4)
def console(stream: TextIO) -> Console:
    """
    Give a stream's console, which takes text literally and colours it only if welcome.

    It is the same each time, so that words come to stand above what it redraws.
    """
    from rich.console import Console

    # rich would still send bold and dim under NO_COLOR: here it means no escape sequence.
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
    Tell how many cells a line may have; None where nobody counts, as on a pipe.
    """
    return console(stream).width if stream.isatty() else None


def write(text: str) -> None:
    """
    Write data to stdout as it is, for a reader who may be waiting for it.

    Raises:
        BrokenPipeError: The reader has left. What else is written goes nowhere.
        OSError: It cannot be written. What else is written goes nowhere.
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
        # What is left of it would be tried again as the interpreter ends.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        raise


def write_lines(lines: Iterable[Text]) -> None:
    """
    Write laid-out lines to stdout, coloured if it is a terminal.

    For a reader who has left they go nowhere: words on stderr may be to follow.
    """
    _show(lines, sys.stdout, wraps=False)


def show_lines(lines: Iterable[Text], stream: TextIO) -> None:
    """
    Write laid-out lines to a stream; on a terminal, sentences among them are wrapped.
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
    Write words to stderr, a line of them on a pipe. Anything in them may come from a server.

    On a terminal a command in backquotes has a line of its own, which is not broken, so that it
    can be copied. That nobody can read the words stops nothing.
    """
    words = spelled(printable(words), sys.stderr)
    if sys.stderr.isatty():
        lines = _COMMAND.sub(r"\n\1\n", words).removesuffix("\n").split("\n")
        text = "".join(
            _laid_out([line], sys.stderr, style=style, end=end, soft_wrap=_is_command(line))
            for line in lines
        )
    else:
        text = _LAST.sub(r": \1", words) + end
    with suppress(OSError):
        _put(text, sys.stderr)


def _is_command(line: str) -> bool:
    return line.startswith("dashscope-ft ")


def can_ask() -> bool:
    """
    Tell whether somebody is there to answer a question.
    """
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """
    Ask on stderr; only a clear yes is one.
    """
    say(f"{question} [y/N]", end=" ")
    # A Ctrl-C in the instant before a read would wait for its end: look in between.
    while os.name == "posix" and not select.select([sys.stdin], [], [], 0.2)[0]:
        pass
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        say("")
    return answer.strip().lower() in {"y", "yes"}


def can_animate(stream: TextIO | None = None) -> bool:
    """
    Tell whether a stream, stderr unless told otherwise, is a terminal that can redraw a line.
    """
    shown_on = sys.stderr if stream is None else stream
    return shown_on.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}


class Steps:
    """
    What goes on in several places at once, a line each.

    Where nothing can be redrawn, each step is told once, as it begins.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._lines: dict[str, TaskID] = {}

    def begin(self, place: str, words: str, *, total: int | None = None) -> None:
        """
        Say what begins in a place, and how much of it there is.
        """
        if self._progress is None:
            say(f"{place}: {words}")
            return
        if place not in self._lines:
            self._lines[place] = self._progress.add_task(words, place=place)
        self._progress.reset(self._lines[place], description=words, total=total)

    def advance(self, place: str, by: int = 1) -> None:
        """
        Count on in a place.
        """
        if self._progress is not None:
            self._progress.advance(self._lines[place], by)


@contextmanager
def steps() -> Iterator[Steps]:
    """
    Show on stderr what goes on in several places at once.
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
    Show a progress display once the block has lasted for a moment. Needs a running event loop.
    """
    import asyncio

    appearance = asyncio.get_running_loop().call_later(_PATIENCE, progress.start)
    try:
        yield
    except BaseException:
        progress.live.transient = True  # how far it came will be told in words
        raise
    finally:
        appearance.cancel()
        progress.stop()


def spinning() -> SpinnerColumn:
    """
    Make the sign that something goes on.
    """
    from rich.progress import SpinnerColumn

    return SpinnerColumn("dots" if spelled("⠋", sys.stderr) == "⠋" else "line")


class Counter:
    """
    A count that rises before the eyes of whoever waits.
    """

    def __init__(self, progress: Progress | None, words: str, total: int | None) -> None:
        self._progress = progress
        self._line = progress.add_task(words, total=total) if progress else None

    def advance(self, by: int = 1) -> None:
        """
        Count on.
        """
        if self._progress is not None and self._line is not None:
            self._progress.advance(self._line, by)


@contextmanager
def counter(words: str, *, total: int | None = None, streams: bool = False) -> Iterator[Counter]:
    """
    Show a count on stderr while something lasts, if it lasts and a terminal is there.

    It is gone when the block ends. Needs a running event loop.

    Args:
        words: What is counted.
        total: How far it goes.
        streams: Whether data is written meanwhile: on the same terminal, that is enough to see.
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
