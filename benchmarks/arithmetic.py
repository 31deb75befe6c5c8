"""
How many workspaces one core clears in an hour, computed from the measurements.
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
    The cost of clearing a workspace: to list all jobs, look at each again, and delete it.
    """

    requests: int
    """The number of requests."""

    cpu: float
    """The CPU time in seconds."""

    @property
    def seconds(self) -> float:
        """
        The seconds that it takes at the service's pace.
        """
        return self.requests / PACE

    @property
    def an_hour(self) -> float:
        """
        How many workspaces one core clears in an hour.
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
    Compute the cost from the CPU time of a listing, of a get and of a deletion.
    """
    share = JOBS / figures["listing.jobs"].median
    listing = figures["contest.cpu.ours_8"].median / 1e3
    each = figures["calls.cpu.ours"].median + figures["deleting.cpu.ours"].median
    return Clearing(
        requests=round(share * figures["listing.requests"].median) + 2 * JOBS,
        cpu=share * listing + JOBS * each / 1e6,
    )
