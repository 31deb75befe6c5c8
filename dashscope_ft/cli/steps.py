"""
The progress of the demonstration: what goes on in each region, a line for each.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .terminal import can_animate, console, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


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
