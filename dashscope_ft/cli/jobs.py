"""
`dashscope-ft jobs`: fine-tuning jobs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from typer import Option

from .changes import MissingOk, change
from .command import Work, command, group
from .job_ids import JobId, JobIds
from .kind import Column, Kind, minute
from .listing import Limit, ListingForm, show_listing, show_one
from .questions import Confirmed
from .rules import (
    Creator,
    Name,
    NewerThan,
    OlderThan,
    What,
    matcher_of,
    note_pattern,
    statuses_of,
)
from .session import Session, place_of


def _given_name(row: Mapping[str, Any]) -> Any:
    name = row.get("job_name")
    return None if name == row.get("job_id") else name


JOB = Kind(
    group="jobs",
    word="fine-tuning job",
    columns=(
        Column("JOB ID", "job_id"),
        Column("STATUS", "status"),
        Column("MODEL", "model", rank=1, elastic=True),
        Column("CREATED (UTC+8)", minute("create_time"), rank=2),
        Column("TYPE", "training_type", rank=4),
        Column("NAME", _given_name, rank=3, elastic=True),
    ),
    fields=(
        "job_id",
        "job_name",
        "status",
        "model",
        "base_model",
        "training_type",
        "create_time",
        "end_time",
        "finetuned_output",
        "usage",
        "creator",
        "workspace_id",
        "code",
        "message",
    ),
)

app = group("List, create, watch, stop and delete fine-tuning jobs.", kind=JOB)


@command(
    app,
    "list",
    reads=True,
    examples=(
        "jobs list --status FAILED,CANCELED --older-than 30d",
        "jobs list --name 'trial-*' --limit 20 -o csv",
    ),
)
async def list_jobs(
    session: Session,
    model: Annotated[
        str | None,
        Option(metavar="NAME", help="Only jobs that tune this model, or one based on it."),
    ] = None,
    status: Annotated[
        list[str] | None,
        Option(
            metavar="WORD",
            help="Only jobs with one of these statuses; repeatable, or separated by commas. Known:"
            " PENDING, QUEUING, RUNNING, CANCELING, SUCCEEDED, FAILED, CANCELED.",
        ),
    ] = None,
    name: Name = None,
    creator: Creator = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Limit = None,
    output: ListingForm = None,
) -> None:
    """
    List fine-tuning jobs, newest first. Lists all of them, or ends with an error.

    Times are in UTC+8, also where no zone stands beside them, as in json, jsonl and csv.
    """
    wanted = matcher_of(
        What.JOBS, name=name, creator=creator, older_than=older_than, newer_than=newer_than
    )
    async with session.client() as client:
        pager = client.fine_tunes.list(model=model, status=statuses_of(What.JOBS, status) or None)
        note_pattern("--model", model)
        await show_listing(
            session,
            pager,
            kind=JOB,
            limit=limit,
            output=output,
            wanted=wanted,
            filtered_in=place_of(client) if model or status or wanted else None,
        )


@command(app, "show", reads=True)
async def show_job(session: Session, job_id: JobId) -> None:
    """
    Show one fine-tuning job in full.

    Times are in UTC+8.
    """
    async with session.client() as client:
        show_one(session, await client.fine_tunes.get(job_id), kind=JOB)


@command(app, "cancel")
def cancel_jobs(session: Session, job_ids: JobIds, yes: Confirmed = False) -> Work:
    """
    Cancel fine-tuning jobs. They pass through CANCELING first.
    """
    client = session.client()
    run = client.fine_tunes.cancel_many(job_ids)
    return change(session, client, "cancel", JOB, job_ids, run, yes=yes)


@command(
    app,
    "delete",
    examples=(
        "jobs delete ft-202410291653-1c7f",
        "jobs list --status FAILED -o ids | dashscope-ft jobs delete - --yes",
    ),
)
def delete_jobs(
    session: Session, job_ids: JobIds, yes: Confirmed = False, missing_ok: MissingOk = False
) -> Work:
    """
    Delete fine-tuning jobs for good.
    """
    client = session.client()
    run = client.fine_tunes.delete_many(job_ids, missing_ok=missing_ok)
    return change(session, client, "delete", JOB, job_ids, run, yes=yes, missing_ok=missing_ok)
