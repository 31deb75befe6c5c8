"""
`dashscope-ft imports`: model-import jobs.
"""

from __future__ import annotations

from typing import Annotated

from typer import Option

from .changes import MissingOk, change
from .command import Work, command, group
from .job_ids import JobId, JobIds
from .kind import Column, Kind, minute
from .listing import Limit, ListingForm, show_listing, show_one
from .questions import Confirmed
from .rules import Name, NewerThan, OlderThan, What, matcher_of, note_pattern, statuses_of
from .session import Session, place_of

IMPORT = Kind(
    group="imports",
    word="import job",
    columns=(
        Column("JOB ID", "job_id"),
        Column("STATUS", "status"),
        Column("MODEL NAME", "model_name", rank=1, elastic=True),
        Column("CREATED (UTC+8)", minute("gmt_create"), rank=2),
        Column("DISPLAY NAME", "display_name", rank=3, elastic=True),
    ),
    fields=(
        "job_id",
        "status",
        "model_name",
        "display_name",
        "source",
        "storage_info",
        "gmt_create",
        "error_code",
    ),
)

app = group("List, create and delete model-import jobs.", kind=IMPORT)


@command(
    app,
    "list",
    reads=True,
    examples=("imports list --status FAILED --older-than 30d",),
)
async def list_imports(
    session: Session,
    model_name: Annotated[
        str | None,
        Option(metavar="NAME", help="Only the import with this model name, which is generated."),
    ] = None,
    status: Annotated[
        list[str] | None,
        Option(
            metavar="WORD",
            help="Only imports with one of these statuses; repeatable, or separated by commas."
            " Known: PENDING, RUNNING, SUCCESSED, FAILED.",
        ),
    ] = None,
    name: Name = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Limit = None,
    output: ListingForm = None,
) -> None:
    """
    List import jobs, newest first. Lists all of them, or ends with an error.
    """
    wanted = matcher_of(What.IMPORTS, name=name, older_than=older_than, newer_than=newer_than)
    async with session.client() as client:
        words = statuses_of(What.IMPORTS, status) or None
        pager = client.imports.list(status=words, model_name=model_name)
        note_pattern("--model-name", model_name)
        await show_listing(
            session,
            pager,
            kind=IMPORT,
            limit=limit,
            output=output,
            wanted=wanted,
            filtered_in=place_of(client) if model_name or status or wanted else None,
        )


@command(app, "show", reads=True)
async def show_import(session: Session, job_id: JobId) -> None:
    """
    Show one import job in full.
    """
    async with session.client() as client:
        show_one(session, await client.imports.get(job_id), kind=IMPORT)


@command(app, "delete")
def delete_imports(
    session: Session, job_ids: JobIds, yes: Confirmed = False, missing_ok: MissingOk = False
) -> Work:
    """
    Delete import jobs and their files for good.
    """
    client = session.client()
    run = client.imports.delete_many(job_ids, missing_ok=missing_ok)
    return change(session, client, "delete", IMPORT, job_ids, run, yes=yes, missing_ok=missing_ok)
