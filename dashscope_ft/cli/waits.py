"""
`jobs wait` and `imports wait`: wait until one or several jobs have ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from dashscope_ft import DashScopeError, DeadlineExceeded, NotFound
from dashscope_ft.arguments import check_seconds
from dashscope_ft.characters import printable

from .exits import ExitCode
from .faults import told
from .job_ids import JobIds
from .session import Output, Session
from .terminal import say, write
from .text import csv_line, json_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dashscope_ft import FineTuneJob, ImportJob

    Jobs = Sequence[FineTuneJob] | Sequence[ImportJob]

PollInterval = Annotated[
    float, Option(metavar="SECONDS", help="Seconds between two looks.", min=0.01, show_default=True)
]
Deadline = Annotated[
    float, Option(metavar="SECONDS", help="Seconds to wait at most.", min=0.01, show_default=True)
]


async def wait_for_jobs(
    session: Session,
    job_ids: JobIds,
    poll_interval: PollInterval = 15.0,
    deadline: Deadline = 86_400.0,
) -> int:
    """
    Wait until fine-tuning jobs have ended.

    Fails if one of them did not succeed.
    """
    async with session.client() as client:
        jobs = await ends_of(
            client.fine_tunes.wait_many,
            job_ids,
            get=client.fine_tunes.get,
            tell=lambda error: told(error, session),
            poll_interval=poll_interval,
            deadline=deadline,
        )
    _write(session, jobs)
    return tell_ends(jobs, missing=len(set(job_ids)) - len(jobs))


async def wait_for_imports(
    session: Session,
    job_ids: JobIds,
    poll_interval: PollInterval = 15.0,
    deadline: Deadline = 86_400.0,
) -> int:
    """
    Wait until import jobs have ended.

    Fails if one of them did not succeed.
    """
    async with session.client() as client:
        jobs = await ends_of(
            client.imports.wait_many,
            job_ids,
            get=client.imports.get,
            tell=lambda error: told(error, session),
            poll_interval=poll_interval,
            deadline=deadline,
        )
    _write(session, jobs)
    return tell_ends(jobs, missing=len(set(job_ids)) - len(jobs))


async def ends_of(
    wait_many: Callable[..., Coroutine[Any, Any, Jobs]],
    job_ids: Sequence[str],
    *,
    poll_interval: float,
    deadline: float,
    get: Callable[[str], Coroutine[Any, Any, FineTuneJob | ImportJob]] | None = None,
    tell: Callable[[DashScopeError], str] = str,
) -> Jobs:
    """
    Return jobs once they have ended, successfully or not, and show their statuses meanwhile. With
    `get`, print which of several jobs do not exist, in the words of `tell`, and return the others.
    """
    with _wait_display(job_ids) as shown:
        try:
            return await wait_many(
                job_ids,
                poll_interval=poll_interval,
                deadline=deadline,
                check=False,
                on_look=shown,
            )
        except NotFound as missing:
            # A gateway's 404 ends the wait at once; the service's comes when all others have ended.
            if get is None or len(set(job_ids)) == 1 or not missing.is_from_service:
                raise
    ends: list[Any] = []
    for job_id in dict.fromkeys(job_ids):
        try:
            ends.append(await get(job_id))
        except NotFound as missing:
            say(f"Error: {tell(missing)}", style="red")
    return ends


def check_patience(poll_interval: float, deadline: float) -> None:
    """
    Check the options of a wait, before anything is sent.

    Raises:
        InvalidArgument: One of them is not finite.
    """
    check_seconds("--poll-interval", poll_interval)
    check_seconds("--deadline", deadline)


@contextmanager
def saying_when_left(words: str) -> Iterator[None]:
    """
    Print a message if the block is cancelled.
    """
    from asyncio import CancelledError

    try:
        yield
    except CancelledError:
        say(words)
        raise


def leaving(job_ids: Sequence[str]) -> AbstractContextManager[None]:
    """
    Print that the jobs continue, if the block is cancelled.
    """
    one = len(set(job_ids)) == 1
    return saying_when_left(
        "The job goes on by itself." if one else "The jobs go on by themselves."
    )


@contextmanager
def telling_failed_looks(tell: Callable[[str], object] = say) -> Iterator[None]:
    """
    Report why polls fail during a wait, once and again whenever the reason changes.
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
            # The last poll may just have had less time.
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
def failing_when_late(command: str) -> Iterator[None]:
    """
    Turn `DeadlineExceeded` into a plain failure that names the command to continue with.

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
def _wait_display(job_ids: Sequence[str]) -> Iterator[Callable[[Mapping[str, str | None]], None]]:
    """
    Show on stderr how long jobs have been waited for, and their statuses once known; print that
    they continue, if the block is cancelled.
    """
    from .progress import spinner

    number = len(set(job_ids))

    def states(unfinished: Mapping[str, str | None]) -> None:
        counts = Counter(status or "unknown" for status in unfinished.values())
        words = ", ".join(f"{word} {count}" for word, count in counts.most_common())
        tell(next(iter(counts), "") if number == 1 else f"{words} of {number}")

    with leaving(job_ids), spinner("Waiting", timed=True) as tell, telling_failed_looks():
        yield states


def tell_ends(jobs: Jobs, *, missing: int = 0) -> int:
    """
    Print which jobs did not succeed, and return the exit code for all, including the missing ones.
    """
    from dashscope_ft.waiting import failure

    errors = [error for job in jobs if (error := failure(job))]
    for error in errors:
        say(f"Error: {error}", style="red")
    if not (errors or missing):
        return ExitCode.DONE
    return ExitCode.FAILED if len(jobs) + missing == 1 else ExitCode.SOME_FAILED


def _write(session: Session, jobs: Jobs) -> None:
    if session.form is Output.JSON:
        write(json_line([job.to_dict() for job in jobs], indent=2))
        return
    if session.form is Output.CSV:
        write(csv_line(["job_id", "status"]))
    for job in jobs:
        if session.form is Output.JSONL:
            write(json_line(job.to_dict()))
        elif session.form is Output.CSV:
            write(csv_line([job.job_id, job.status]))
        else:
            write(printable(f"{job.job_id}  {job.status}") + "\n")
