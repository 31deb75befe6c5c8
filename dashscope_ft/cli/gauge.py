"""
Progress displays: the count, rate and time left of a run over many jobs, or a spinner.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from dashscope_ft.characters import printable

from .terminal import appearing, can_animate, console, spelled, spinning


class Gauge:
    """
    A displayed count of outcomes.
    """

    def __init__(self, progress: Progress | None, words: str, total: int, settled: int) -> None:
        self._progress = progress
        self._failed = 0
        self._task_id = (
            progress.add_task(words, total=total, completed=settled, settled=settled, failed=0)
            if progress
            else None
        )

    def count(self, *, failed: bool) -> None:
        """
        Count one more outcome.
        """
        self._failed += failed
        if self._progress is not None and self._task_id is not None:
            self._progress.update(self._task_id, advance=1, failed=self._failed)


@contextmanager
def gauge(words: str, *, total: int, settled: int = 0, hidden: bool = False) -> Iterator[Gauge]:
    """
    Show a progress bar with rate, failures and time left, if stderr is a terminal.

    It stays visible after the block, unless that raised or was short. Needs a running event loop.

    Args:
        words: What is being done.
        total: How many outcomes there will be.
        settled: How many of them an earlier run had; the rate leaves them out.
        hidden: Whether to show nothing.
    """
    if hidden or not can_animate():
        yield Gauge(None, words, total, settled)
        return
    screen = console(sys.stderr)
    columns: list[ProgressColumn] = [_Figures(rate=screen.width >= 60)]
    if screen.width >= 80:
        columns[:0] = [TextColumn("{task.description}", markup=False), BarColumn(bar_width=20)]
    progress = Progress(*columns, console=screen, redirect_stdout=False, redirect_stderr=False)
    with appearing(progress):
        yield Gauge(progress, words, total, settled)


@contextmanager
def spinner(words: str, *, timed: bool = False) -> Iterator[Callable[[str], None]]:
    """
    Show a spinner on stderr, for work of unknown length, and yield a function that sets its words.

    Args:
        words: What is being done, at first.
        timed: Whether to show the elapsed time.
    """
    if not can_animate():
        yield lambda words: None
        return
    progress = Progress(
        spinning(),
        TextColumn("{task.description}", markup=False),
        *([_ElapsedTime()] if timed else []),
        console=console(sys.stderr),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with appearing(progress):
        line = progress.add_task(words, total=None)
        yield lambda words: progress.update(line, description=spelled(printable(words), sys.stderr))


class _ElapsedTime(ProgressColumn):
    """
    The elapsed minutes and seconds.
    """

    def render(self, task: Task) -> Text:
        return Text(_minutes(task.elapsed or 0))


class _Figures(ProgressColumn):
    """
    The figures that are known so far.
    """

    def __init__(self, *, rate: bool) -> None:
        super().__init__()
        self._rate = rate

    def render(self, task: Task) -> Text:
        text = Text(f"{task.completed:,.0f} of {task.total or 0:,.0f}", no_wrap=True)
        # rich's own speed would count the burst of settled outcomes at the start of a resumed run.
        elapsed = task.finished_time or task.elapsed
        speed = (task.completed - task.fields["settled"]) / elapsed if elapsed else 0
        if self._rate and speed:
            text.append(f"  {speed:.1f}/s")
        failed = task.fields["failed"]
        text.append(f"  {failed:,} failed", "red" if failed else "")
        if task.finished:
            text.append(f"  in {_minutes(task.finished_time or 0)}")
        elif speed:
            text.append(f"  {_minutes((task.remaining or 0) / speed)} left")
        return text


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
