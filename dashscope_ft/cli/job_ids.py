"""
The ids of jobs, as arguments or from stdin.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

from typer import Argument, Context, Exit

from .terminal import say

STDIN_TAKEN = "dashscope_ft.stdin_taken"
"""The key under which typer's context says whether the ids were read from stdin."""


def _ids(context: Context, given: Sequence[str]) -> list[str]:
    """
    Replace `-` with the ids on stdin; exit if there are no ids at all.
    """
    ids = [
        job_id for each in given for job_id in (sys.stdin.read().split() if each == "-" else [each])
    ]
    if not ids:
        say("No ids on stdin: nothing to do.")
        raise Exit
    context.meta[STDIN_TAKEN] = "-" in given
    return ids


JobId = Annotated[str, Argument(metavar="JOB_ID", help="The id of the job.")]
JobIds = Annotated[
    list[str],
    Argument(
        metavar="JOB_ID",
        help="The ids of the jobs; - reads them from stdin.",
        callback=_ids,
        show_default=False,
    ),
]
