"""
The two streams: data on stdout, words on stderr, each in the way that its reader can take.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from .text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console
    from rich.progress import Progress
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


def say(words: str, *, style: str = "") -> None:
    """
    Write a line of words to stderr. Anything in it may come from a server.
    """
    words = printable(words)
    if style and sys.stderr.isatty():
        console(sys.stderr).print(words, style=style, soft_wrap=True)
    else:
        print(words, file=sys.stderr, flush=True)  # noqa: T201


def can_ask() -> bool:
    """
    Tell whether somebody is there to answer a question.
    """
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """
    Ask on stderr; only a clear yes is one.
    """
    print(printable(question), end=" [y/N] ", file=sys.stderr, flush=True)  # noqa: T201
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        print(file=sys.stderr)  # noqa: T201
    return answer.strip().lower() in {"y", "yes"}


def can_animate() -> bool:
    """
    Tell whether stderr is a terminal that can redraw a line.
    """
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}


class Counter:
    """
    A count that rises before the eyes of whoever waits.
    """

    def __init__(self, progress: Progress | None, description: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total) if progress else None

    def advance(self, by: int = 1) -> None:
        """
        Count on.
        """
        if self._progress is not None and self._task is not None:
            self._progress.advance(self._task, by)


@contextmanager
def counter(description: str, *, total: int | None = None) -> Iterator[Counter]:
    """
    Show a count on stderr while something lasts, if it lasts and a terminal is there.

    It is gone when the block ends. Needs a running event loop.
    """
    if not can_animate():
        yield Counter(None, description, total)
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
    )
    appearance = asyncio.get_running_loop().call_later(_PATIENCE, progress.start)
    try:
        yield Counter(progress, description, total)
    finally:
        appearance.cancel()
        progress.stop()
