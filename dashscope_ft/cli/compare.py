"""
`jobs compare`: the settings and results of jobs, side by side.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .job_ids import JobIds
from .kind import Column
from .progress import counter
from .session import Output, Session
from .terminal import displayed, encodable, say, width_of, write, write_lines
from .text import csv_line, finite, json_line, plain

if TYPE_CHECKING:
    from dashscope_ft import FineTuneJob, TrainingLog

_FIELDS = ("status", "model", "training_type", "training_file_ids", "create_time", "usage")
_MARK = 3  # cells after the name, for the mark of a difference
_HEADINGS = {
    "job": "Job",
    "hyper_parameters": "Hyper-parameters",
    "figures": "Final figures",
}


async def compare_jobs(session: Session, job_ids: JobIds) -> None:
    """
    Compare fine-tuning jobs side by side.

    Shows their hyper-parameters and the final figures of their logs.
    """
    ids = list(dict.fromkeys(job_ids))
    sides: list[dict[str, Any]] = []
    async with session.client() as client:
        with counter("Reading jobs", total=len(ids)) as advance:
            for job_id in ids:
                job = await client.fine_tunes.get(job_id)
                sides.append(_side(job, await client.fine_tunes.training_log(job)))
                advance(1)
    match session.form:
        case Output.JSON:
            write(json_line(sides, indent=2))
        case Output.JSONL:
            write("".join(json_line(side) for side in sides))
        case Output.CSV:
            write(csv_line(["part", "field", *ids]))
            for part, name, values in _rows(sides):
                write(csv_line([part, name, *values]))
        case Output.TABLE:
            _write_table(sides, width_of(sys.stdout))
            if len(sides) > 1:
                say("* differs.")


def _side(job: FineTuneJob, log: TrainingLog) -> dict[str, Any]:
    """
    Return what is compared of a job.
    """
    values = job.to_dict()
    figures: dict[str, Any] = dict(log.final)
    if log.loss.lowest is not None:
        figures["lowest_loss"] = log.loss.lowest
    return {
        "job_id": job.job_id,
        "job": {name: values.get(name) for name in _FIELDS},
        "hyper_parameters": job.hyper_parameters or {},
        "figures": {name: finite(value) for name, value in figures.items()},
    }


def _rows(sides: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[Any]]]:
    """
    Return every field that any of the jobs has: its part, its name, and the value of each job.
    """
    rows = []
    for part in ("job", "hyper_parameters", "figures"):
        for name in dict.fromkeys(name for side in sides for name in side[part]):
            values = [side[part].get(name) for side in sides]
            if any(value not in (None, []) for value in values):
                rows.append((part, name, values))
    return rows


def _write_table(sides: Sequence[Mapping[str, Any]], width: int | None) -> None:
    """
    Write the jobs side by side, as many as their ids leave room for, and the others below.

    Values that are too wide are cut in the middle. Ids are cut last, at the front.
    """
    from rich.cells import cell_len

    from .table import table

    rows: list[dict[str, Any]] = []
    section = ""
    for part, name, values in _rows(sides):
        if part != section:
            section = part
            rows.append({"name": _HEADINGS[part], "mark": "", "values": [""] * len(sides)})
        rows.append(
            {
                "name": displayed(f"  {name}"),
                "mark": "*" if len({plain(value) for value in values}) > 1 else "",
                "values": [displayed(_short(value)) for value in values],
            }
        )
    ids = [displayed(side["job_id"]) for side in sides]
    min_widths = list(map(cell_len, ids))
    natural = [
        max([min_widths[n], *(cell_len(row["values"][n]) for row in rows)])
        for n in range(len(sides))
    ]
    name_width = max((cell_len(row["name"]) for row in rows), default=0)
    room = None
    if width is not None:
        # Names make room for the ids: down to 20 cells for all of them, to 10 for the widest.
        for shortest, beside in ((20, min_widths), (10, [max(min_widths)])):
            name_width = min(
                name_width, max(shortest, width - _MARK - sum(size + 2 for size in beside))
            )
        room = width - name_width - _MARK
    for number, block in enumerate(_blocks(min_widths, room)):
        if number:
            write("\n")
        columns = [Column("", lambda row: _cut(row["name"], name_width)), Column("", "mark")]
        for n, size in _sizes(block, min_widths, natural, room).items():
            columns.append(Column(_cut(ids[n], size, front=0), _value(n, size)))
        write_lines(table(columns, rows, width=None))


def _blocks(min_widths: Sequence[int], room: int | None) -> list[list[int]]:
    """
    Return the jobs in groups that fit side by side, with at least one job in each.
    """
    blocks: list[list[int]] = []
    left = 0
    for number, size in enumerate(min_widths):
        if not blocks or (room is not None and left < size + 2):
            blocks.append([])
            left = room or 0
        blocks[-1].append(number)
        left -= size + 2
    return blocks


def _sizes(
    block: Sequence[int], min_widths: Sequence[int], natural: Sequence[int], room: int | None
) -> dict[int, int]:
    """
    Return the widths of a block's jobs: each gets that of its id, and what it needs beyond that if
    there is room; those that need least come first.
    """
    if room is None:
        return {n: natural[n] for n in block}
    sizes = dict.fromkeys(block, 0)
    spare = room - sum(min_widths[n] + 2 for n in block)
    modest_first = sorted(block, key=lambda n: natural[n] - min_widths[n])
    for left, n in zip(range(len(block), 0, -1), modest_first, strict=True):
        more = min(natural[n] - min_widths[n], spare // left)
        sizes[n] = max(1, min_widths[n] + more)
        spare -= more
    return sizes


def _value(number: int, size: int) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: _cut(row["values"][number], size)


def _cut(text: str, size: int, *, front: int | None = None) -> str:
    """
    Return a text cut to `size` cells, after the first `front` cells: by default, in the middle.
    """
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= size:
        return text
    front = size // 2 if front is None else front
    ellipsis = encodable("…")
    end = set_cell_size(text[::-1], max(0, size - cell_len(ellipsis) - front))[::-1]
    return f"{set_cell_size(text, front)}{ellipsis}{end}"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else plain(value)
