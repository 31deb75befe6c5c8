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
class Hour:
    """
    An hour of one core, clearing workspaces: list all jobs, look at each again, delete it.
    """

    requests: int
    """Requests for one workspace."""

    cpu: float
    """CPU seconds for one workspace."""

    workspaces: int
    """Workspaces that a core clears in an hour."""

    jobs: int
    """Jobs that these are."""

    admitted: int
    """Workspaces that one after the other would be cleared in that hour at the service's pace."""

    at_once: int
    """Workspaces that a core keeps busy at that pace, each."""


def hour(figures: Mapping[str, Figure]) -> Hour:
    """
    Reckon it from the CPU of a read, a get and a deletion.
    """
    listed = figures["listing.jobs"].median
    reads = figures["listing.requests"].median * JOBS / listed
    cpu = figures["listing.cpu.ours"].median / 1000 * JOBS / listed
    cpu += JOBS * figures["calls.cpu.get"].median / 1e6
    cpu += JOBS * figures["deleting.cpu.ours"].median / 1e6
    requests = round(reads) + 2 * JOBS
    workspaces = 3600 / cpu
    admitted = 3600 / (requests / PACE)
    return Hour(
        requests=requests,
        cpu=cpu,
        workspaces=int(workspaces),
        jobs=int(workspaces) * JOBS,
        admitted=int(admitted),
        at_once=int(workspaces / admitted),
    )
