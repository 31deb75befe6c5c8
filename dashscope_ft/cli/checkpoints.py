"""
`jobs checkpoints` and `jobs export`: list checkpoints, and publish one.
"""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

from dashscope_ft.characters import printable

from .job_ids import JobId
from .kind import Column, Kind, minute
from .listing import write_row, write_rows, write_table
from .session import Output, Session
from .terminal import say, write
from .waiting import (
    Deadline,
    PollInterval,
    check_wait_options,
    failing_at_deadline,
    reporting_failed_polls,
    saying_if_cancelled,
)

CHECKPOINT = Kind(
    group="jobs",
    word="checkpoint",
    columns=(
        Column("CHECKPOINT", "checkpoint"),
        Column("STEP", "step"),
        Column("EXPORT", "status", rank=1),
        Column("MODEL", "model_name", rank=2, elastic=True),
        Column("TAKEN (UTC+8)", minute("create_time"), rank=3),
        Column("EXPIRES (UTC+8)", minute("expire_time"), rank=4),
    ),
    fields=(
        "checkpoint",
        "step",
        "status",
        "model_name",
        "model_display_name",
        "create_time",
        "expire_time",
        "checkpoint_id",
        "job_id",
    ),
)


async def list_checkpoints(session: Session, job_id: JobId) -> None:
    """
    List a fine-tuning job's checkpoints by step.

    Times are in UTC+8, also where no zone stands beside them, as in json, jsonl and csv.
    """
    async with session.client() as client:
        rows = [each.to_dict() for each in await client.fine_tunes.checkpoints(job_id)]
    if session.form is Output.TABLE:
        if rows:
            write_table(CHECKPOINT, rows)
        say(f"{CHECKPOINT.count(len(rows))}.")
    else:
        write_rows(session.form, rows, CHECKPOINT.fields)


async def export_checkpoint(
    session: Session,
    job_id: JobId,
    checkpoint: Annotated[
        str, Argument(metavar="CHECKPOINT", help="The checkpoint's name, such as checkpoint-30.")
    ],
    model_name: Annotated[
        str, Option(metavar="NAME", help="The name of the model to publish.", show_default=False)
    ],
    wait: Annotated[bool, Option("--wait", help="Wait until the model is published.")] = False,
    poll_interval: PollInterval = 15.0,
    deadline: Deadline = 86_400.0,
) -> None:
    """
    Publish a checkpoint as a model. The export is never requested twice.
    """
    check_wait_options(poll_interval, deadline)
    look = session.command("jobs", "checkpoints", job_id)
    async with session.client() as client:
        fine_tunes = client.fine_tunes
        with saying_if_cancelled(
            f"Interrupted: it may have been asked for. Before exporting it again, look at `{look}`."
        ):
            receipt = await fine_tunes.export_checkpoint(job_id, checkpoint, model_name=model_name)
        row = {
            "job_id": receipt.job_id,
            "checkpoint": checkpoint,
            "status": "PROCESSING",
            "model_name": None,
            "request_id": receipt.request_id,
        }
        if wait:
            with (
                saying_if_cancelled(f"The export goes on by itself: `{look}` shows how it is."),
                failing_at_deadline(look),
                reporting_failed_polls(),
            ):
                exported = await fine_tunes.wait_for_export(
                    job_id, checkpoint, poll_interval=poll_interval, deadline=deadline
                )
            row |= {"status": exported.status, "model_name": exported.model_name}
    if session.form is Output.TABLE:
        write(printable(row["model_name"] or f"{checkpoint}  exporting") + "\n")
    else:
        write_row(session.form, row, tuple(row))
