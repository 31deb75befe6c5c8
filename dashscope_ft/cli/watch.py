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

_FIELDS = ("job_id", "status", "fraction", "lines", "figures")
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
    Yield a picture for a terminal that can redraw, otherwise lines.
    """
    if session.form is not Output.TABLE or not can_animate(sys.stdout):
        yield _Lines(session.form)
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


class _Lines:
    """
    A line for each poll that brings something new; messages go to stderr, apart from it.
    """

    def __init__(self, form: Output) -> None:
        self._form = form
        self._last = ""

    def show(self, progress: Progress) -> None:
        """
        Write a line, unless it is the same as the last.
        """
        line = self._line(progress)
        if self._form is Output.CSV and not self._last:
            write(csv_line(_FIELDS))
        if line != self._last:
            write(line)
        self._last = line

    def tell(self, words: str) -> None:
        """
        Write a message.
        """
        say(words)

    def _line(self, progress: Progress) -> str:
        job, log = progress.job, progress.log
        if self._form is Output.TABLE:
            parts = [job.status, _percent(progress), _figures(progress)]
            words = printable("  ".join(filter(None, parts)))
            return f"{words}\n" if words else ""
        figures = {name: finite(value) for name, value in log.final.items()}
        values = (job.job_id, job.status, progress.fraction, len(log.lines), figures)
        if self._form is Output.CSV:
            return csv_line(values)
        return json_line(dict(zip(_FIELDS, values, strict=True)))


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

        lines = _draw(progress, width=self._width, height=self._height, braille=self._braille)
        self._live.update(Group(*lines), refresh=True)

    def tell(self, words: str) -> None:
        """
        Show a message above the picture: on stderr it would corrupt a picture on the same terminal.
        """
        from rich.text import Text

        if sys.stderr.isatty():
            write_lines([Text(printable(words))], wrapped=True)
        else:
            say(words)


def _draw(progress: Progress, *, width: int, height: int, braille: bool) -> Iterator[Text]:
    """
    Yield a job's progress as lines for a terminal: what it is, how far it is, and its loss.
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
    """
    Return how far a job is, such as `40%, epoch 1.2 of 3`; nothing if that is not known.
    """
    fraction, epoch = progress.fraction, progress.log.epoch.last
    if fraction is None:
        return ""
    epochs = (progress.job.hyper_parameters or {}).get("n_epochs")
    words = f"{fraction:.0%}"
    return words if epoch is None or epochs is None else f"{words}, epoch {epoch:.3g} of {epochs}"


def _figures(progress: Progress) -> str:
    """
    Return the last figures of a job's log, the usual ones first.
    """
    final = progress.log.final
    names = [name for name in _FIRST_FIGURES if name in final]
    names += [name for name in final if name not in names]
    if progress.fraction is not None and "epoch" in names:
        names.remove("epoch")
    return "  ".join(f"{name} {final[name]:.4g}" for name in names[:_MAX_FIGURES])
