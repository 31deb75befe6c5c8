"""
The two streams: data on stdout, words on stderr, each in the way that its reader can take.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from dashscope_ft.characters import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console
    from rich.progress import Progress, TaskID
    from rich.text import Text

_PATIENCE = 0.4
"""Seconds before a progress display appears: what is over sooner needs none."""


def prepare_streams() -> None:
    """
    Make both streams take any text, whatever their encoding.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def drop_stdout() -> None:
    """
    Send what is left for stdout nowhere, after its reader has gone.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def console(stream: TextIO) -> Console:
    """
    Make a console for a stream, which takes text literally and colours it only if welcome.
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
    """
    sys.stdout.write(text)
    sys.stdout.flush()


def write_lines(lines: Iterable[Text]) -> None:
    """
    Write laid-out lines to stdout, coloured if it is a terminal.
    """
    output = console(sys.stdout)
    for line in lines:
        output.print(line, soft_wrap=True)
    sys.stdout.flush()


def show_lines(lines: Iterable[Text], stream: TextIO) -> None:
    """
    Write laid-out lines to a stream; on a terminal, sentences among them are wrapped.
    """
    output, wraps = console(stream), stream.isatty()
    for line in lines:
        output.print(line, soft_wrap=not wraps)
    stream.flush()


def say(words: str, *, style: str = "", end: str = "\n") -> None:
    """
    Write words to stderr, a line of them on a pipe. Anything in them may come from a server.
    """
    words = printable(words)
    if sys.stderr.isatty():
        console(sys.stderr).print(words, style=style, end=end)
    else:
        print(words, end=end, file=sys.stderr, flush=True)  # noqa: T201


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


def can_animate() -> bool:
    """
    Tell whether stderr is a terminal that can redraw a line.
    """
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}


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
    ) as progress:
        yield Steps(progress)


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
    import asyncio

    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        *([BarColumn(bar_width=20)] if total else []),
        TextColumn(
            "{task.completed:,.0f} of {task.total:,.0f}" if total else "{task.completed:,.0f}"
        ),
        console=console(sys.stderr),
        transient=True,
        redirect_stdout=False,
    )
    appearance = asyncio.get_running_loop().call_later(_PATIENCE, progress.start)
    try:
        yield Counter(progress, words, total)
    finally:
        appearance.cancel()
        progress.stop()
