"""
What one core clears in an hour, from what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from .samples import Figure

JOBS = 1_000
"""Jobs in a workspace to be cleared."""

PACE = 10.0
"""Requests a second that a workspace is taken to be admitted; the service publishes no rate."""


@frozen
class Clearing:
    """
    What clearing a workspace takes: list all jobs, look at each again, delete it.
    """

    requests: int
    """Requests."""

    cpu: float
    """CPU seconds."""

    @property
    def seconds(self) -> float:
        """
        How long it takes at the service's pace.
        """
        return self.requests / PACE

    @property
    def an_hour(self) -> float:
        """
        For how many workspaces an hour of one core is enough.
        """
        return 3600 / self.cpu

    @property
    def at_once(self) -> float:
        """
        How many workspaces a core keeps up with at once, each at the service's pace.
        """
        return self.seconds / self.cpu


def clearing(figures: Mapping[str, Figure]) -> Clearing:
    """
    Reckon it from the CPU of listing, of a get and of a deletion.
    """
    share = JOBS / figures["listing.jobs"].median
    listing = figures["contest.cpu.ours_8"].median / 1e3
    each = figures["calls.cpu.ours"].median + figures["deleting.cpu.ours"].median
    return Clearing(
        requests=round(share * figures["listing.requests"].median) + 2 * JOBS,
        cpu=share * listing + JOBS * each / 1e6,
    )
