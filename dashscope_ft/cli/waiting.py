"""
What all commands that wait share: their options, and what they say meanwhile and at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from typer import Option

from dashscope_ft import DashScopeError, DeadlineExceeded, NotFound
from dashscope_ft.arguments import check_seconds

from .errors import error_text
from .exits import ExitCode
from .progress import spinner
from .terminal import say

if TYPE_CHECKING:
    from dashscope_ft import FineTuneJob, FineTunes, ImportJob, Imports

    from .session import Session

    AnyJobs: TypeAlias = Sequence[FineTuneJob] | Sequence[ImportJob]

PollInterval = Annotated[
    float, Option(metavar="SECONDS", help="Seconds between two looks.", min=0.01, show_default=True)
]
Deadline = Annotated[
    float, Option(metavar="SECONDS", help="Seconds to wait at most.", min=0.01, show_default=True)
]


def check_wait_options(poll_interval: float, deadline: float) -> None:
    """
    Check the options of a wait, before anything is sent.

    Raises:
        InvalidArgument: One of them is not finite.
    """
    check_seconds("--poll-interval", poll_interval)
    check_seconds("--deadline", deadline)


async def ended_jobs(
    session: Session,
    resource: FineTunes | Imports,
    job_ids: Sequence[str],
    *,
    poll_interval: float,
    deadline: float,
) -> AnyJobs:
    """
    Wait until jobs have ended, successfully or not, and return them; show their statuses meanwhile.

    Of several jobs, those that do not exist are named in a message and left out.

    Raises:
        NotFound: There is one job, and it does not exist.
    """
    with _wait_display(job_ids) as show_statuses:
        try:
            return await resource.wait_many(
                job_ids,
                poll_interval=poll_interval,
                deadline=deadline,
                check=False,
                on_look=show_statuses,
            )
        except NotFound as missing:
            # A gateway's 404 ends the wait at once; the service's comes when all others have ended.
            if len(set(job_ids)) == 1 or not missing.is_from_service:
                raise
    ended: list[Any] = []
    for job_id in dict.fromkeys(job_ids):
        try:
            ended.append(await resource.get(job_id))
        except NotFound as missing:
            say(f"Error: {error_text(missing, session)}", style="red")
    return ended


def report_ends(jobs: AnyJobs, *, missing: int = 0) -> int:
    """
    Print which jobs did not succeed, and return the exit code of the wait.

    Args:
        jobs: The jobs that ended.
        missing: How many other jobs were waited for, and do not exist.
    """
    from dashscope_ft.waiting import failure

    errors = [error for job in jobs if (error := failure(job))]
    for error in errors:
        say(f"Error: {error}", style="red")
    if not (errors or missing):
        return ExitCode.DONE
    return ExitCode.FAILED if len(jobs) + missing == 1 else ExitCode.SOME_FAILED


@contextmanager
def saying_if_cancelled(words: str) -> Iterator[None]:
    """
    Print a message if the block is cancelled.
    """
    from asyncio import CancelledError

    try:
        yield
    except CancelledError:
        say(words)
        raise


def saying_jobs_go_on(job_ids: Sequence[str]) -> AbstractContextManager[None]:
    """
    Print that the jobs go on, if the block is cancelled.
    """
    one = len(set(job_ids)) == 1
    return saying_if_cancelled(
        "The job goes on by itself." if one else "The jobs go on by themselves."
    )


@contextmanager
def failing_at_deadline(command: str) -> Iterator[None]:
    """
    Turn `DeadlineExceeded` into a plain failure, whose hint is the command to go on with.

    Its own exit code would tell scripts to run the same command again, and so to pay twice.
    """
    try:
        yield
        return
    except DeadlineExceeded as error:
        error.hint = None  # it says to wait again, which the command does
        late = str(error)
    raise DashScopeError(late, hint=f"Go on with `{command}`.")


@contextmanager
def reporting_failed_polls(tell: Callable[[str], object] = say) -> Iterator[None]:
    """
    Report why polls fail during the block: the first time, and whenever the reason changes.
    """
    import logging

    last_reason = ""

    class PollFailures(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            nonlocal last_reason
            reason = record.getMessage()
            if record.levelno > logging.DEBUG:  # no further poll will change it
                tell(reason)
                return
            # With less time left, a message begins otherwise, and ends with the same reason.
            if last_reason and reason.endswith(last_reason):
                return
            tell(f"Cannot be looked at for now: {reason}")
            last_reason = reason

    # The library reports failures that a wait tolerates only in its log.
    logger, handler = logging.getLogger("dashscope_ft.waiting"), PollFailures()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


@contextmanager
def _wait_display(job_ids: Sequence[str]) -> Iterator[Callable[[Mapping[str, str | None]], None]]:
    """
    Show how long jobs have been waited for, and yield a function that shows their statuses.

    Failed polls are reported. If the block is cancelled, a message says that the jobs go on.
    """
    number = len(set(job_ids))

    def show(unfinished: Mapping[str, str | None]) -> None:
        counts = Counter(status or "unknown" for status in unfinished.values())
        words = ", ".join(f"{word} {count}" for word, count in counts.most_common())
        describe(next(iter(counts), "") if number == 1 else f"{words} of {number}")

    with (
        saying_jobs_go_on(job_ids),
        spinner("Waiting", timed=True) as describe,
        reporting_failed_polls(),
    ):
        yield show
