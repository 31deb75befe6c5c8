"""
`jobs watch`: the live progress of a job.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Protocol

from dashscope_ft.characters import printable

from .job_ids import JobId
from .session import Output, Session
from .terminal import can_animate, console, displayed, encodable, say, write, write_lines
from .text import csv_line, finite, json_line
from .waiting import Deadline, PollInterval, report_ends, reporting_failed_polls, saying_jobs_go_on

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from dashscope_ft import FineTuneJob, Progress

_FIRST_FIGURES = ("loss", "eval_loss", "learning_rate", "epoch")
"""The figures that come first, if present."""

_MAX_FIGURES = 6
_MAX_HEIGHT = 14
_OTHER_LINES = 5
"""Lines of the screen that the curve does not use."""
_MARGIN = 3
"""Cells left free: otherwise the `^C` of a terminal would push the picture up by a line."""


async def watch_job(
    session: Session,
    job_id: JobId,
    poll_interval: PollInterval = 5.0,
    deadline: Deadline = 86_400.0,
) -> int:
    """
    Watch a fine-tuning job to its end.

    On a terminal: status, progress, last figures, and a curve of the loss as it grows.
    Elsewhere: a line for each change. Fails if the job does not succeed.
    """
    ends: list[FineTuneJob] = []
    with saying_jobs_go_on([job_id]):
        async with session.client() as client:
            watch = client.fine_tunes.watch(job_id, poll_interval=poll_interval, deadline=deadline)
            with _screen(session) as screen, reporting_failed_polls(screen.tell):
                async with aclosing(watch):
                    async for progress in watch:
                        screen.show(progress)
                        ends = [progress.job]
    return report_ends(ends)


class Screen(Protocol):
    """
    A display of a job's progress.
    """

    def show(self, progress: Progress) -> None:
        """
        Show a job's progress.
        """
        ...

    def tell(self, words: str) -> None:
        """
        Show a message beside it.
        """
        ...


@contextmanager
def _screen(session: Session) -> Iterator[Screen]:
    """
    Yield records for a data format, a picture on a terminal that can redraw, or else lines.
    """
    if session.form is not Output.TABLE:
        yield _Records(session.form)
        return
    if not can_animate(sys.stdout):
        yield _Lines()
        return
    from rich.live import Live

    output = console(sys.stdout)
    with Live(
        console=output,
        auto_refresh=False,
        vertical_overflow="crop",
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        yield _Picture(live, output)


class _MessagesOnStderr:
    """
    Messages on stderr, separate from the data.
    """

    def tell(self, words: str) -> None:
        """
        Write a message.
        """
        say(words)


class _Records(_MessagesOnStderr):
    """
    A line of JSON, or of CSV below a header, for each poll that brings something new.
    """

    last = ""

    def __init__(self, form: Output) -> None:
        self._csv = form is Output.CSV

    def show(self, progress: Progress) -> None:
        """
        Write a line, unless it is the same as the last.
        """
        figures = {name: finite(value) for name, value in progress.log.final.items()}
        row = {
            "job_id": progress.job.job_id,
            "status": progress.job.status,
            "fraction": progress.fraction,
            "lines": len(progress.log.lines),
            "figures": figures,
        }
        line = csv_line(row.values()) if self._csv else json_line(row)
        if self._csv and not self.last:
            write(csv_line(row))
        if line != self.last:
            write(line)
        self.last = line


class _Lines(_MessagesOnStderr):
    """
    A line of text for each poll that brings something new.
    """

    last = ""

    def show(self, progress: Progress) -> None:
        """
        Write a line, unless it is the same as the last.
        """
        parts = [progress.job.status, _percent(progress), _figures(progress)]
        line = printable("  ".join(filter(None, parts)))
        if line != self.last:
            write(line + "\n")
        self.last = line


class _Picture:
    """
    A picture that is redrawn at each poll.
    """

    def __init__(self, live: Live, output: Console) -> None:
        self._live = live
        self._width = min(output.width - _MARGIN, 100)
        self._height = max(3, min(_MAX_HEIGHT, output.height - _OTHER_LINES))
        self._braille = encodable("⣿") == "⣿"

    def show(self, progress: Progress) -> None:
        """
        Draw the picture.
        """
        from rich.console import Group

        lines = draw(progress, width=self._width, height=self._height, braille=self._braille)
        self._live.update(Group(*lines), refresh=True)

    def tell(self, words: str) -> None:
        """
        Show a message above the picture, which stderr on the same terminal would corrupt.
        """
        from rich.text import Text

        if sys.stderr.isatty():
            write_lines([Text(printable(words))], wrapped=True)
        else:
            say(words)


def draw(progress: Progress, *, width: int, height: int, braille: bool) -> Iterator[Text]:
    """
    Yield a job's progress as lines for a terminal.
    """
    from rich.text import Text

    from .chart import chart
    from .table import shortened, style_of

    job = progress.job
    head = Text(no_wrap=True, overflow="ignore")
    head.append(displayed(job.job_id), "bold").append("  ")
    head.append(displayed(job.status), style_of(job.status))
    head.append(f"  {displayed(job.model or '')}", "dim")
    yield shortened(head, width)
    fraction = progress.fraction
    if fraction is not None:
        room = max(10, min(50, width - 30))
        full = round(fraction * room)
        bar = Text(no_wrap=True, overflow="ignore")
        bar.append(("█" if braille else "#") * full, "cyan")
        bar.append(("░" if braille else ".") * (room - full), "dim")
        yield shortened(bar.append(f" {displayed(_percent(progress))}"), width)
    if figures := _figures(progress):
        line = Text(displayed(figures), no_wrap=True, overflow="ignore")
        yield shortened(line, width)
    yield from chart(progress.log.loss.values, width=width, height=height, braille=braille)


def _percent(progress: Progress) -> str:
    fraction, epoch = progress.fraction, progress.log.epoch.last
    if fraction is None:
        return ""
    epochs = (progress.job.hyper_parameters or {}).get("n_epochs")
    words = f"{fraction:.0%}"
    return words if epoch is None or epochs is None else f"{words}, epoch {epoch:.3g} of {epochs}"


def _figures(progress: Progress) -> str:
    final = progress.log.final
    names = [name for name in _FIRST_FIGURES if name in final]
    names += [name for name in final if name not in names]
    if progress.fraction is not None and "epoch" in names:
        names.remove("epoch")
    return "  ".join(f"{name} {final[name]:.4g}" for name in names[:_MAX_FIGURES])
