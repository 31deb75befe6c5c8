"""
What progress displays show beside rich's own bars and counts.
"""

from __future__ import annotations

from rich.progress import ProgressColumn, Task
from rich.text import Text


class ElapsedTime(ProgressColumn):
    """
    The minutes and seconds since the display began.
    """

    def render(self, task: Task) -> Text:
        """
        Return them as text.
        """
        return Text(_minutes(task.elapsed or 0))


class RunFigures(ProgressColumn):
    """
    The count of a run over many jobs, its failures, and its rate and time once they are known.

    Args:
        rate: Whether there is room for the rate.
    """

    def __init__(self, *, rate: bool) -> None:
        super().__init__()
        self._rate = rate

    def render(self, task: Task) -> Text:
        """
        Return them as text.
        """
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
