"""
The goals that were set for the speed, and whether they are met.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from .samples import Figure

REMEMBERED = 0.12
"""KB that may be remembered of each job that a stream has passed."""


@frozen
class Goal:
    """
    A bound on one figure.
    """

    what: str
    """What is bounded, in words."""

    figure: str
    """The figure's name."""

    bound: float
    """The bound."""

    side: Literal["at most", "at least"] = "at most"
    """Whether the figure is to be at most or at least the bound."""

    def is_met(self, figures: Mapping[str, Figure]) -> bool:
        """
        Return whether the figure's median keeps the bound.
        """
        value = figures[self.figure].median
        return value <= self.bound if self.side == "at most" else value >= self.bound


def goals(figures: Mapping[str, Figure]) -> list[Goal]:
    """
    Return all goals; some bounds are counted from figures.
    """
    listed, deleted = figures["listing.jobs"], figures["deleting.jobs"]
    return [
        Goal(
            f"CPU of listing {listed} jobs, to the floor's reading the same windows",
            "listing.ratio.windows",
            1.5,
        ),
        Goal("… to the floor's reading plain pages of 100", "listing.ratio.pages", 1.9),
        Goal(
            "… with unknown fields and words in every row, same windows", "listing.ratio.odd", 1.8
        ),
        Goal("… to the official async client's", "contest.ours_to.official_async", 0.30),
        Goal("… to the official sync client's", "contest.ours_to.official_sync", 0.40),
        Goal("Wall at 50 ms latency, 8 in flight, to its requests' ideal", "latency.ratio.8", 1.10),
        Goal("… 16 in flight", "latency.ratio.16", 1.10),
        Goal("… 32 in flight", "latency.ratio.32", 1.20),
        Goal(
            "… 8 in flight, times faster than the official async client's pages",
            "latency.faster.8",
            6,
            "at least",
        ),
        Goal("… 32 in flight", "latency.faster.32", 15, "at least"),
        Goal(
            f"Requests to list {listed} jobs",
            "listing.requests",
            1.25 * listed.median / 100 + 1,
        ),
        Goal(
            f"Wall of deleting {deleted} jobs at 50 ms, 8 in flight, to the ideal",
            "deleting.ideal.8",
            1.08,
        ),
        Goal("… 64 in flight", "deleting.ideal.64", 1.08),
        Goal(
            "CPU of a deletion, to a sequential loop over raw aiohttp", "deleting.ratio.ours", 1.3
        ),
        Goal("A blocking call, to our own `await`", "calls.ratio.blocking", 1.8),
        Goal("8 threads sharing a client, to the official one", "calls.ratio.threads", 0.4),
        Goal("Memory a job kept", "memory.traced.kept", 2.2),
        Goal(
            f"Peak above idle while streaming {figures['memory.jobs']} jobs, "
            f"less {REMEMBERED} KB a job seen",
            "memory.traced.streamed",
            3,
        ),
        Goal("`import dashscope_ft` over bare Python", "starting.import_over_bare", 10),
        Goal("A script listing one page, to raw aiohttp", "starting.ratio.script", 1.2),
        Goal("`dashscope-ft --help` to `dashscope --help`", "starting.ratio.help", 0.25),
        Goal("Connections, 8 allowed", "listing.connections", 8),
        Goal("… 32 allowed", "latency.connections.32", 32),
        Goal("… deleting, 64 allowed", "deleting.connections.ours_64", 64),
        Goal("Requests in flight, 8 allowed", "latency.most_in_flight.8", 8),
        Goal("… deleting, 64 allowed", "deleting.most_in_flight.ours_64", 64),
    ]
