"""
The options that select jobs, for a clean-up or a listing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

from typer import Argument, Option

from dashscope_ft import InvalidArgument

from .kind import UTC_PLUS_8
from .terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashscope_ft import FineTuneJob, ImportJob, Selection


class What(StrEnum):
    """
    The kinds of jobs, as the command line names them.
    """

    JOBS = "jobs"
    IMPORTS = "imports"


class By(StrEnum):
    """
    The times from which a job's age can be counted.
    """

    CREATED = "created"
    ENDED = "ended"


WhatJobs = Annotated[
    What, Argument(metavar="jobs|imports", help="What to clean up: jobs, unless given, or imports.")
]
Status = Annotated[
    list[str] | None,
    Option(
        metavar="WORD",
        help="Delete jobs with these statuses; repeatable, or separated by commas. FAILED and"
        " CANCELED unless given.",
        show_default=False,
    ),
]
Model = Annotated[
    list[str] | None,
    Option(metavar="PATTERN", help="Only jobs whose model matches, such as qwen3-*; repeatable."),
]
Name = Annotated[
    list[str] | None,
    Option(
        metavar="PATTERN",
        help="Only jobs whose name or display name matches, such as trial-*; repeatable.",
    ),
]
Creator = Annotated[
    list[str] | None,
    Option(metavar="PATTERN", help="Only jobs whose creator's id matches; repeatable."),
]
OlderThan = Annotated[
    str | None,
    Option(
        metavar="AGE",
        help="Only jobs older than an age such as 12h, 30d or 2w, or than a date (UTC+8).",
    ),
]
NewerThan = Annotated[
    str | None,
    Option(metavar="AGE", help="Only jobs newer than such an age or date."),
]
ByTime = Annotated[
    By,
    Option(
        metavar="created|ended",
        help="Which time --older-than, --newer-than and --keep-latest go by.",
    ),
]
KeepLatest = Annotated[
    int | None,
    Option(
        min=0,
        metavar="N",
        help="Keep the newest N jobs of each model, counting only jobs that match --status,"
        " --model, --name and --creator, whatever their age.",
    ),
]
Protect = Annotated[
    list[str] | None,
    Option(
        metavar="PATTERN",
        help="Never delete jobs whose id, name or resulting model matches; repeatable.",
    ),
]

_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def selection_of(
    what: What,
    *,
    status: list[str] | None = None,
    model: list[str] | None = None,
    name: list[str] | None = None,
    creator: list[str] | None = None,
    older_than: str | None = None,
    newer_than: str | None = None,
    by: By = By.CREATED,
    keep_latest: int | None = None,
    protect: list[str] | None = None,
) -> Selection:
    """
    Return the selection that the options describe.

    Raises:
        InvalidArgument: An option is invalid, or two contradict each other.
    """
    from dashscope_ft import Selection
    from dashscope_ft.cleanup.selection import moment_of

    words = statuses_of(what, status, therefore="; it may go all the same")
    before, after = bound_of("--older-than", older_than), bound_of("--newer-than", newer_than)
    if before is not None and after is not None:
        now = datetime.now(UTC)
        if moment_of(after, now) >= moment_of(before, now):
            raise InvalidArgument(
                f"No job can be both --older-than {older_than} and --newer-than {newer_than}."
            )
    return Selection(
        **({"status": words} if words else {}),
        model=model or (),
        name=name or (),
        creator=creator or (),
        older_than=before,
        newer_than=after,
        by="create_time" if by is By.CREATED else "end_time",
        keep_latest=keep_latest,
        protect=protect or (),
    )


def matcher_of(
    what: What,
    *,
    name: list[str] | None,
    older_than: str | None,
    newer_than: str | None,
    creator: list[str] | None = None,
) -> Callable[[FineTuneJob | ImportJob], bool] | None:
    """
    Return a function that says whether a job matches a listing's rules; None if there are none.

    A job for which that cannot be decided does not match. Its status plays no part.

    Raises:
        InvalidArgument: An option is invalid, or two contradict each other.
    """
    if all(rule in (None, []) for rule in (name, creator, older_than, newer_than)):
        return None

    from attrs import evolve

    from dashscope_ft.cleanup import Facts

    selection = selection_of(
        what, name=name, creator=creator, older_than=older_than, newer_than=newer_than
    )
    now = datetime.now(UTC)
    allowed = min(selection.status)  # any status that the selection lets pass
    goes_by_time = selection.older_than is not None or selection.newer_than is not None

    def matches(job: FineTuneJob | ImportJob) -> bool:
        facts = evolve(Facts.of(job), status=allowed)
        if not goes_by_time:  # or a time that cannot be read would exclude the job
            facts = evolve(facts, garbled_time=None)
        return selection.why_not(facts, now) is None

    return matches


def note_pattern(option: str, value: str | None) -> None:
    """
    Print a note if a value looks like a pattern, and the option takes a whole name.
    """
    if value and {*value} & {*"*?["}:
        say(f"Note: {option} takes a whole name here; --name takes patterns.")


def statuses_of(what: What, status: list[str] | None, *, therefore: str = "") -> set[str]:
    """
    Return statuses in upper case, and print a note on those that are not known for such jobs.

    Args:
        what: The kind of jobs.
        status: What was given: each item is a status, or several with commas between them.
        therefore: What follows from an unknown one, to go on with after the note's first words.
    """
    words = {word.strip().upper() for text in status or () for word in text.split(",")}
    for word in sorted(words - known_statuses(what) - {""}):  # the library refuses an empty one
        known = ", ".join(statuses_in_order(what))
        say(f"Note: {word} is not a known status of {what}{therefore}. Known: {known}.")
    return words


def known_statuses(what: What) -> frozenset[str]:
    """
    Return the statuses of a kind of job, and their alternative spellings.
    """
    from dashscope_ft import ImportStatus, JobStatus

    if what is What.IMPORTS:
        return ImportStatus.KNOWN | ImportStatus.SPELLINGS.keys()
    return JobStatus.KNOWN


def statuses_in_order(what: What) -> list[str]:
    """
    Return the statuses of a kind of job, in the order in which a job has them.
    """
    from dashscope_ft import ImportStatus, JobStatus

    words = ImportStatus if what is What.IMPORTS else JobStatus
    return [name for name in vars(words) if name in words.KNOWN]


def bound_of(option: str, text: str | None) -> timedelta | datetime | None:
    """
    Parse an age, or a date and time; without a zone, it is in UTC+8, as the service's times are.

    Raises:
        InvalidArgument: It is neither. That includes `6m`, which could be minutes or months.
    """
    if text is None:
        return None
    bound: timedelta | datetime | None = None
    try:
        if age := re.fullmatch(r"(\d+)([hdw])", text, re.ASCII):
            bound = int(age[1]) * _UNITS[age[2]]
        else:
            moment = datetime.fromisoformat(text)
            bound = moment if moment.tzinfo else moment.replace(tzinfo=UTC_PLUS_8)
    except (ValueError, OverflowError):
        pass
    if bound is None:
        raise InvalidArgument(
            f"{option} is an age in hours, days or weeks, such as 12h, 30d or 2w,"
            f" or a date such as 2026-01-31, not {text!r}."
        )
    return bound
