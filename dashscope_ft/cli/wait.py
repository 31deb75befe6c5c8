"""
`jobs wait` and `imports wait`: wait until one or several jobs have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dashscope_ft.characters import printable

from .job_ids import JobIds
from .listing import write_rows
from .session import Output, Session
from .terminal import write
from .waiting import Deadline, PollInterval, ended_jobs, report_ends

if TYPE_CHECKING:
    from dashscope_ft import AsyncClient, FineTunes, Imports

    from .waiting import AnyJobs


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
    client = session.client()
    return await _wait(session, client, client.fine_tunes, job_ids, poll_interval, deadline)


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
    client = session.client()
    return await _wait(session, client, client.imports, job_ids, poll_interval, deadline)


async def _wait(
    session: Session,
    client: AsyncClient,
    resource: FineTunes | Imports,
    job_ids: Sequence[str],
    poll_interval: float,
    deadline: float,
) -> int:
    async with client:
        jobs = await ended_jobs(
            session, resource, job_ids, poll_interval=poll_interval, deadline=deadline
        )
    _write(session, jobs)
    return report_ends(jobs, missing=len(set(job_ids)) - len(jobs))


def _write(session: Session, jobs: AnyJobs) -> None:
    if session.form is Output.TABLE:
        for job in jobs:
            write(printable(f"{job.job_id}  {job.status}") + "\n")
    else:
        write_rows(session.form, [job.to_dict() for job in jobs], ("job_id", "status"))
