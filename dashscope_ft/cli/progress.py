"""
Progress displays on stderr, if that is a terminal: a count, a bar, or a spinner.

Each appears only when the work has taken a moment, so all of them need a running event loop.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .terminal import can_animate, console, displayed, encodable

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, SpinnerColumn

_PROGRESS_DELAY = 0.4
"""Seconds before a display appears: shorter work does not need one."""


@contextmanager
def counter(
    words: str, *, total: int | None = None, streams: bool = False
) -> Iterator[Callable[[int], None]]:
    """
    Show a count during the block, and yield a function that adds to it.

    Args:
        words: What is counted.
        total: The final count, if known.
        streams: Whether data is written meanwhile; on the same terminal, it shows the progress.
    """
    if not can_animate() or (streams and sys.stdout.isatty()):
        yield lambda number: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    progress = Progress(
        _spinner_column(),
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
    task_id = progress.add_task(words, total=total)
    with _appearing(progress):
        yield lambda number: progress.advance(task_id, number)


@contextmanager
def outcome_bar(
    words: str, *, total: int, settled: int = 0, hidden: bool = False
) -> Iterator[Callable[[bool], None]]:
    """
    Show a bar with rate, failures and time left, and yield a function that counts an outcome: it is
    told whether that is a failure.

    The bar stays visible after the block, unless that raised or was short.

    Args:
        words: What is being done.
        total: How many outcomes there will be.
        settled: How many of them an earlier run had; the rate leaves them out.
        hidden: Whether to show nothing.
    """
    if hidden or not can_animate():
        yield lambda failed: None
        return
    from rich.progress import BarColumn, Progress, TextColumn

    from .progress_columns import RunFigures

    screen = console(sys.stderr)
    columns: list[ProgressColumn] = [RunFigures(rate=screen.width >= 60)]
    if screen.width >= 80:
        columns[:0] = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=20)]
    progress = Progress(*columns, console=screen, redirect_stdout=False, redirect_stderr=False)
    task_id = progress.add_task(words, total=total, completed=settled, settled=settled, failed=0)
    failures = 0

    def count(failed: bool) -> None:
        nonlocal failures
        failures += failed
        progress.update(task_id, advance=1, failed=failures)

    with _appearing(progress):
        yield count


@contextmanager
def spinner(words: str, *, timed: bool = False) -> Iterator[Callable[[str], None]]:
    """
    Show a spinner, for work of unknown length, and yield a function that changes its words.

    Args:
        words: What is being done, at first.
        timed: Whether to show the elapsed time.
    """
    if not can_animate():
        yield lambda words: None
        return
    from rich.progress import Progress, TextColumn

    from .progress_columns import ElapsedTime

    progress = Progress(
        _spinner_column(),
        TextColumn("{task.description}", markup=False),
        *([ElapsedTime()] if timed else []),
        console=console(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task_id = progress.add_task(words, total=None)
    with _appearing(progress):
        yield lambda words: progress.update(task_id, description=displayed(words, sys.stderr))


@contextmanager
def _appearing(progress: Progress) -> Iterator[None]:
    """
    Show a display from a moment after the block has begun until its end.
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


def _spinner_column() -> SpinnerColumn:
    """
    Return a spinner that the encoding of stderr can show.
    """
    from rich.progress import SpinnerColumn

    return SpinnerColumn("dots" if encodable("⠋", sys.stderr) == "⠋" else "line")
