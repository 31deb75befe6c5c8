"""
How many workspaces one core clears in an hour, computed from the measurements.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from .samples import Figure

PACE = 10.0
"""Requests a second that a workspace is taken to be admitted; the service publishes no rate."""


@frozen
class Clearing:
    """
    What it takes to clear a workspace.
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
    Take the cost of a clean-up that keeps a journal.
    """
    return Clearing(
        requests=round(figures["clearing.requests"].median),
        cpu=figures["clearing.cpu.journaled"].median,
    )
