"""
`jobs logs`: the training log of a job.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import Annotated

from typer import Option

from dashscope_ft.characters import printable

from .job_ids import JobId
from .session import Output, Session
from .terminal import write
from .text import csv_line, json_line
from .waiting import Deadline, PollInterval, reporting_failed_polls


async def show_log(
    session: Session,
    job_id: JobId,
    follow: Annotated[
        bool, Option("--follow", "-f", help="Go on printing until the job has ended.")
    ] = False,
    poll_interval: PollInterval = 15.0,
    deadline: Deadline = 86_400.0,
) -> None:
    """
    Print a fine-tuning job's log.

    Prints every line once, starting with the first.
    """
    lines: list[str] = []
    async with session.client() as client:
        log = client.fine_tunes.logs(
            job_id, follow=follow, poll_interval=poll_interval, deadline=deadline
        )
        if session.form is Output.CSV:
            write(csv_line(["line", "text"]))
        with reporting_failed_polls():
            async with aclosing(log):
                number = 0
                async for line in log:
                    match session.form:
                        case Output.TABLE:
                            write(printable(line) + "\n")
                        case Output.JSONL:
                            write(json_line({"line": number, "text": line}))
                        case Output.CSV:
                            write(csv_line([number, line]))
                        case Output.JSON:
                            lines.append(line)
                    number += 1
    if session.form is Output.JSON:
        write(json_line(lines, indent=2))
