"""
What every topic needs: the server, how thoroughly to measure, and a place for the figures.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from attrs import field, frozen

from .samples import Figure
from .server import Server

LATENCY = 0.05
"""Seconds to a service far away."""


@frozen
class Lab:
    """
    The surroundings of all measurements.
    """

    server: Server
    """The service that is asked."""

    quick: bool
    """Whether to check that everything works, rather than to measure."""

    figures: dict[str, Figure] = field(factory=dict)
    """All figures by name: topic, what, who."""

    def rounds(self, number: int) -> int:
        """
        Return how often to measure.
        """
        return 2 if self.quick else number

    def jobs(self, number: int) -> int:
        """
        Return how many jobs to measure with.
        """
        return number // 10 if self.quick else number

    def python(self, code: str) -> str:
        """
        Run code in an interpreter of its own, and give what it printed.
        """
        return run(sys.executable, "-c", code)


def run(*command: str) -> str:
    """
    Run a command as it runs where it was installed, with its modules compiled; give its output.
    """
    environment = os.environ | {"COLUMNS": "100"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


def ids(number: int) -> Sequence[str]:
    """
    Return that many ids, as the service makes them.
    """
    return [f"ft-202611011200-{index:04x}" for index in range(number)]
