"""
`jobs compare`: what jobs were made of and what came of them, side by side.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dashscope_ft.characters import printable

from .changes import JobIds
from .command import Output, Session
from .noun import Column
from .terminal import counter, say, width_of, write, write_lines
from .text import csv_line, json_text, plain

if TYPE_CHECKING:
    from dashscope_ft import FineTuneJob, TrainingLog

_FIELDS = ("status", "model", "training_type", "training_file_ids", "create_time", "usage")


_HEADINGS = {
    "job": "Job",
    "hyper_parameters": "Hyper-parameters",
    "figures": "Final figures",
}


async def compare_jobs(session: Session, job_ids: JobIds) -> None:
    """
    Compare fine-tuning jobs side by side.

    Their hyper-parameters, and the final figures of their logs.
    """
    ids = list(dict.fromkeys(job_ids))
    sides: list[dict[str, Any]] = []
    async with session.client() as client:
        with counter("Reading jobs", total=len(ids)) as progress:
            for job_id in ids:
                job = await client.fine_tunes.get(job_id)
                sides.append(_side(job, await client.fine_tunes.training_log(job)))
                progress.advance()
    match session.form:
        case Output.JSON:
            write(json_text(sides, indent=2) + "\n")
        case Output.JSONL:
            write("".join(json_text(side) + "\n" for side in sides))
        case Output.CSV:
            write(csv_line(["part", "field", *ids]))
            for part, name, values in _rows(sides):
                write(csv_line([part, name, *values]))
        case Output.TABLE:
            _write_table(sides, width_of(sys.stdout))
            if len(sides) > 1:
                say("* differs.")


def _side(job: FineTuneJob, log: TrainingLog) -> dict[str, Any]:
    told = job.to_dict()
    figures: dict[str, Any] = dict(log.final)
    if log.loss.lowest is not None:
        figures["lowest loss"] = log.loss.lowest
    return {
        "job_id": job.job_id,
        "job": {name: told.get(name) for name in _FIELDS},
        "hyper_parameters": job.hyper_parameters or {},
        "figures": {name: _finite(value) for name, value in figures.items()},
    }


def _finite(value: float) -> float | str:
    """
    Give a number that JSON can hold.
    """
    from math import isfinite

    return value if isfinite(value) else str(value)


def _rows(sides: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, list[Any]]]:
    """
    Give part, name and each job's value of everything that any of the jobs has.
    """
    rows = []
    for part in ("job", "hyper_parameters", "figures"):
        for name in dict.fromkeys(name for side in sides for name in side[part]):
            values = [side[part].get(name) for side in sides]
            if any(value not in (None, []) for value in values):
                rows.append((part, name, values))
    return rows


def _write_table(sides: Sequence[Mapping[str, Any]], width: int | None) -> None:
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
                "name": f"  {name}",
                "mark": "*" if len({plain(value) for value in values}) > 1 else "",
                "values": [_short(value) for value in values],
            }
        )
    head = max(cell_len(printable(row["name"])) for row in rows) + 5
    widest = [
        max(cell_len(printable(text)) for text in (side["job_id"], *(r["values"][n] for r in rows)))
        for n, side in enumerate(sides)
    ]
    for number, block in enumerate(_blocks(widest, None if width is None else width - head)):
        if number:
            write("\n")
        columns = [Column("", "name"), Column("", "mark")]
        columns += [Column(sides[n]["job_id"], _value(n), elastic=True) for n in block]
        write_lines(table(columns, rows, width=width))


def _blocks(widest: Sequence[int], room: int | None) -> list[list[int]]:
    """
    Say which jobs stand side by side: as many as there is room for, one at least.
    """
    blocks: list[list[int]] = []
    left = 0
    for number, size in enumerate(widest):
        if not blocks or (room is not None and left < size + 2):
            blocks.append([])
            left = room or 0
        blocks[-1].append(number)
        left -= size + 2
    return blocks


def _value(number: int) -> Any:
    return lambda row: row["values"][number]


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else plain(value)
