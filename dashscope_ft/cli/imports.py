"""
`dashscope-ft imports`: model-import jobs.
"""

from __future__ import annotations

from typing import Annotated

from typer import Option

from .changes import Confirmed, JobId, JobIds, MissingOk, Work, change
from .command import Session, command, group
from .listing import ListingForm, show_listing, show_one
from .noun import Column, Noun, minute
from .rules import What, statuses_of

IMPORT = Noun(
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

app = group("Model-import jobs.")


@command(app, "list")
async def list_imports(
    session: Session,
    model_name: Annotated[
        str | None, Option(metavar="NAME", help="Only with this generated name.")
    ] = None,
    status: Annotated[
        list[str] | None,
        Option(
            metavar="WORD",
            help="Only with this status; can be given several times. Known: PENDING, RUNNING,"
            " SUCCESSED, FAILED.",
        ),
    ] = None,
    limit: Annotated[int | None, Option(min=1, metavar="N", help="The newest so many.")] = None,
    output: ListingForm = None,
) -> None:
    """
    List import jobs, newest first: all of them, or an error.
    """
    async with session.client() as client:
        words = statuses_of(What.IMPORTS, status) or None
        pager = client.imports.list(status=words, model_name=model_name)
        await show_listing(session, pager, noun=IMPORT, limit=limit, output=output)


@command(app, "show")
async def show_import(session: Session, job_id: JobId) -> None:
    """
    Show one import job in full.
    """
    async with session.client() as client:
        show_one(session, await client.imports.get(job_id), noun=IMPORT)


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
