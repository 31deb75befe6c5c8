"""
A dry run of a plan.
"""

from __future__ import annotations

from collections.abc import AsyncIterable

from attrs import evolve

from ..bulk import Stopping
from ..errors import NotFound
from ..models import AnyJob, JobStatus
from ..outcomes import Receipt, Report
from .apply import apply_plan
from .journal import Journal
from .plan import Plan


async def rehearse(
    plan: Plan,
    jobs: AsyncIterable[AnyJob],
    *,
    base_url: str,
    workspace: str | None,
    cancel_running: bool = False,
    journal: Journal | None = None,
) -> Report:
    """
    Report what applying a plan would do, by the rules of `apply`; only reads are sent.

    Jobs that would be deleted are `done` and `inferred` in the report; the bounds on their number
    are not checked. Deletions that the service would refuse cannot be foreseen.

    Args:
        plan: The plan.
        jobs: All jobs as they are now, from a walk that raises rather than ends early.
        base_url: The endpoint that is asked.
        workspace: The workspace that is asked.
        cancel_running: As for `apply`.
        journal: The closed journal of earlier runs; the outcomes in it that stand are reported.

    Raises:
        PlanRefused: The plan was made elsewhere or too long ago.
        Exception: Whatever the walk raises, `ListingInconsistent` say.
    """
    planned = {entry.job_id for entry in plan.entries}
    return await apply_plan(
        plan,
        _Stage({job.job_id: job async for job in jobs if job.job_id in planned}),
        noun=plan.noun,
        base_url=base_url,
        workspace=workspace,
        concurrency=1,
        max_deletes=len(plan.entries),
        max_percent=100,
        cancel_running=cancel_running,
        journal=journal,
    )


class _Stage:
    """
    The service as a listing shows it; changes are made to the copies of its jobs only.
    """

    def __init__(self, jobs: dict[str, AnyJob]) -> None:
        self._jobs = jobs

    async def get(self, job_id: str, stopping: Stopping, /) -> AnyJob:
        if job_id not in self._jobs:
            raise NotFound(f"{job_id} is not in the listing.", code="NotFound")
        job = self._jobs[job_id]
        if job.status == JobStatus.CANCELING:  # the next poll finds it cancelled
            self._jobs[job_id] = evolve(job, status=JobStatus.CANCELED)
        return job

    async def cancel(self, job_id: str, stopping: Stopping, /) -> Receipt:
        self._jobs[job_id] = evolve(self._jobs[job_id], status=JobStatus.CANCELED)
        return Receipt(job_id=job_id, confirmed=False)

    async def delete(self, job_id: str, stopping: Stopping, /) -> Receipt:
        return Receipt(job_id=job_id, confirmed=False)
