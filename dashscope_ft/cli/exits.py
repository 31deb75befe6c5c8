"""
How a command ends, as a number that scripts can rely on.
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
    What each number means.
    """

    DONE = 0
    """Everything that was asked for was done."""

    FAILED = 1
    """The operation failed, or nobody knows."""

    USAGE = 2
    """The command, an argument or a setting is wrong; nothing was sent."""

    REFUSED = 3
    """A guard or a missing confirmation stopped it; nothing was changed."""

    AUTHENTICATION = 4
    """The key is wrong, or of another region."""

    SOME_FAILED = 5
    """Of several jobs, some failed."""

    SOME_SKIPPED = 6
    """Of several jobs, some were skipped, and `--strict` asked to be told."""

    INCOMPLETE = 7
    """The listing could not be proven complete."""

    LATER = 75
    """Out of time, or held back by a rate limit: the same command can be run again."""

    INTERRUPTED = 130
    """Ctrl-C."""

    READER_LEFT = 141
    """Whoever read the output left, as `head` does."""

    TERMINATED = 143
    """SIGTERM."""


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
    Tell the exit code for an error, or for what became of many jobs.

    A report about a single job ends as that job's error would. Among several, a failed
    authentication outweighs the rest, since it failed them all; failures that only
    need time count as such if there are no others.
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
