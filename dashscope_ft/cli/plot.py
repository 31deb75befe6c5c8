"""
`jobs plot`: the curves of one or several jobs as a picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from dashscope_ft import DashScopeError, InvalidArgument

from .files import check_writable
from .job_ids import JobIds
from .progress import counter
from .session import Session
from .terminal import say

_KINDS = (".svg", ".png")


async def plot_jobs(
    session: Session,
    job_ids: JobIds,
    output: Annotated[
        Path,
        Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The picture's file, .svg or .png.",
            dir_okay=False,
        ),
    ] = Path("loss.svg"),
    metric: Annotated[
        str, Option(metavar="NAME", help="Which figure of the log to draw.")
    ] = "loss",
) -> None:
    """
    Draw the curves of fine-tuning jobs.

    Draws the loss, or another figure, into a file with a transparent background, readable on
    light and dark pages. Needs the extra `plot`.
    """
    from dashscope_ft import TrainingLog
    from dashscope_ft.plot import draw_figures, require_matplotlib

    if output.suffix.lower() not in _KINDS:
        raise InvalidArgument(f"{output} must end in {' or '.join(_KINDS)}.")
    check_writable("-o", output)
    require_matplotlib()  # before any log is read
    logs: dict[str, TrainingLog] = {}
    ids = list(dict.fromkeys(job_ids))
    async with session.client() as client:
        with counter("Reading logs", total=len(ids)) as advance:
            for job_id in ids:
                logs[job_id] = await client.fine_tunes.training_log(job_id)
                advance(1)
    drawn = {job_id: log for job_id, log in logs.items() if log[metric].values}
    for job_id in logs.keys() - drawn.keys():
        say(f"{job_id} has logged no {metric}.")
    try:
        figure = draw_figures(drawn or logs, metric)
    except InvalidArgument as error:
        raise DashScopeError(error.message) from None  # not a usage error: a job may log it later
    figure.savefig(output, metadata={"Date": None} if output.suffix.lower() == ".svg" else None)
    say(f"{output}: {metric} of {len(drawn)} {'job' if len(drawn) == 1 else 'jobs'}.")
