"""
The options of the commands that run an emulator.
"""

from __future__ import annotations

from math import inf
from typing import NamedTuple


class Option(NamedTuple):
    """
    A command-line option.
    """

    name: str
    """The name, as an argument of `serve`."""

    kind: type[str | int | float]
    """The type of its value."""

    default: str | float | None
    """The value if it is not given."""

    metavar: str
    """The placeholder for the value in the help."""

    help: str
    """The help text."""

    least: float = -inf
    """The smallest number allowed."""

    most: float = inf
    """The largest number allowed."""


OPTIONS = (
    Option("host", str, "127.0.0.1", "ADDRESS", "The address to listen on."),
    Option("port", int, 8080, "N", "The port to listen on; 0 for any that is free.", 0, 65535),
    Option("seed", int, 0, "N", "The same seed makes the same jobs."),
    Option("jobs", int, 1000, "N", "Fine-tuning jobs in each of both regions.", 0),
    Option("imports", int, 40, "N", "Import jobs in each of both regions.", 0),
    Option("rate", float, None, "N", "Requests admitted a second; any number without it.", 0),
    Option("retry_after", float, None, "SECONDS", "Told to requests beyond the rate.", 0),
    Option("job_quota", int, None, "N", "Running or succeeded jobs; the service allows 20.", 0),
    Option(
        "running_quota", int, None, "N", "Jobs that may be unfinished; any number without it.", 0
    ),
    Option("latency", float, 0.0, "SECONDS", "Added to each request.", 0),
    Option("speed", float, 1.0, "N", "How many times faster jobs live.", 0.001),
)
