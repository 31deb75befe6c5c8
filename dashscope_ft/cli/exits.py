"""
The exit codes, which scripts can rely on.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from dashscope_ft import (
    AuthenticationFailed,
    ConfigurationError,
    DashScopeError,
    DeadlineExceeded,
    GuardExceeded,
    InvalidArgument,
    ListingInconsistent,
    PlanRefused,
    Throttled,
)

if TYPE_CHECKING:
    from dashscope_ft import Report


class ExitCode(IntEnum):
    """
    The exit codes of all commands.
    """

    DONE = 0
    """Everything that was asked for was done."""

    FAILED = 1
    """The operation failed, or its outcome is unknown."""

    USAGE = 2
    """The command, an argument or a setting is wrong; nothing was sent."""

    REFUSED = 3
    """A guard or a missing confirmation stopped it; nothing was changed."""

    AUTHENTICATION = 4
    """The key is wrong, or belongs to another region."""

    SOME_FAILED = 5
    """Some of several jobs failed."""

    SOME_SKIPPED = 6
    """Some jobs were skipped, and `--strict` was given."""

    INCOMPLETE = 7
    """The listing could not be proven complete."""

    LATER = 75
    """Out of time or rate limited: the same command can be run again."""

    INTERRUPTED = 130
    """Ctrl-C."""

    READER_LEFT = 141
    """The reader of the output closed it early, as `head` does."""

    TERMINATED = 143
    """SIGTERM."""


class Terminated(Exception):
    """
    SIGTERM ended a command.
    """


_BY_ERROR: tuple[tuple[type[DashScopeError], ExitCode], ...] = (
    (ConfigurationError, ExitCode.USAGE),
    (InvalidArgument, ExitCode.USAGE),
    (GuardExceeded, ExitCode.REFUSED),
    (PlanRefused, ExitCode.REFUSED),
    (AuthenticationFailed, ExitCode.AUTHENTICATION),
    (ListingInconsistent, ExitCode.INCOMPLETE),
    (DeadlineExceeded, ExitCode.LATER),
    (Throttled, ExitCode.LATER),
    (DashScopeError, ExitCode.FAILED),
)


def exit_code(end: DashScopeError | Report, *, strict: bool = False) -> ExitCode:
    """
    Return the exit code for an error, or for the report of a run.

    A report about a single job has the code of that job's error. With several jobs, a failed
    authentication takes precedence, since all jobs failed by it; `LATER` is for reports without
    any other failures.
    """
    if isinstance(end, DashScopeError):
        return next(code for kind, code in _BY_ERROR if isinstance(end, kind))
    failures = {
        exit_code(outcome.error) if outcome.error else ExitCode.FAILED
        for outcome in end.outcomes
        if outcome.result == "failed"
    }
    if ExitCode.AUTHENTICATION in failures:
        return ExitCode.AUTHENTICATION
    if failures == {ExitCode.LATER} or (failures and end.selected == 1):
        return failures.pop()
    if failures:
        return ExitCode.SOME_FAILED
    return ExitCode.SOME_SKIPPED if strict and end.skipped else ExitCode.DONE
