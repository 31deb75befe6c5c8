"""
Jobs of either kind on stdout: a listing as its rows are proven, or one job in full.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from typer import Option

from dashscope_ft.characters import printable

from .progress import counter
from .session import Output, Session
from .terminal import say, width_of, write, write_lines
from .text import csv_line, json_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from dashscope_ft import AsyncPager, FineTuneJob, ImportJob

    from .kind import Kind

    AnyPager: TypeAlias = AsyncPager[FineTuneJob] | AsyncPager[ImportJob]


class Form(StrEnum):
    """
    The output formats of a listing: those of all data, and ids only.
    """

    TABLE = Output.TABLE.value
    JSON = Output.JSON.value
    JSONL = Output.JSONL.value
    CSV = Output.CSV.value
    IDS = "ids"


Limit = Annotated[
    int | None, Option(min=1, metavar="N", help="List at most N jobs, the newest first.")
]
ListingForm = Annotated[
    Form | None,
    Option(
        "--output",
        "-o",
        metavar="FORM",
        help="How to print: table, json, jsonl, csv, or ids, one a line.",
        show_default=False,
    ),
]


async def show_listing(
    session: Session,
    pager: AnyPager,
    *,
    kind: Kind,
    limit: int | None,
    output: Form | None,
    wanted: Callable[[FineTuneJob | ImportJob], bool] | None = None,
    filtered_in: str | None = None,
) -> None:
    """
    Write a listing in the requested format, or else the session's.

    JSON Lines, CSV and ids are written as rows are proven, a table or a JSON array when all are.
    After an error, the rows so far are still written as a table, but not as a JSON array, which
    would look complete.

    Args:
        session: Determines the output format.
        pager: The jobs.
        kind: The kind of job.
        limit: How many jobs to write at most.
        output: The output format, if not the session's.
        wanted: Which of the pager's jobs to write; None for all.
        filtered_in: The region, host and workspace if only some of its jobs are listed, else None.
    """
    form = output or Form(session.form)
    streams = form in {Form.JSONL, Form.CSV, Form.IDS}
    with counter(f"Listing {kind.word}s", streams=streams) as advance:
        if streams:
            if form is Form.CSV:
                write(csv_line(kind.fields))
            async for batch in _batches(pager, limit, wanted):
                write("".join(_record(form, row, kind) for row in batch))
                advance(len(batch))
            return
        rows: list[dict[str, Any]] = []
        try:
            async for batch in _batches(pager, limit, wanted):
                rows += batch
                advance(len(batch))
        except Exception:
            if rows and form is Form.TABLE:
                write_table(kind, rows)
            raise
    if form is Form.JSON:
        write(json_line(rows, indent=2))
        return
    if rows:
        write_table(kind, rows)
    if not rows and filtered_in is not None:
        say(f"No {kind.word} in {filtered_in} matches.")
        return
    limited = limit is not None and len(rows) >= limit
    say(f"{kind.count(len(rows))}{', the newest' if limited else ''}.")


def show_one(session: Session, job: FineTuneJob | ImportJob, *, kind: Kind) -> None:
    """
    Write one job in full, in the session's format.
    """
    row = job.to_dict()
    if session.form is Output.TABLE:
        from .table import details

        write_lines(details(row, width=width_of(sys.stdout)))
    else:
        write_row(session.form, row, kind.fields)


async def _batches(
    pager: AnyPager,
    limit: int | None,
    wanted: Callable[[FineTuneJob | ImportJob], bool] | None,
) -> AsyncIterator[list[dict[str, Any]]]:
    """
    Yield the wanted jobs as the API's objects, as many at once as were proven, up to the limit.
    """
    if limit is not None and wanted is None:
        # `collect` reads only as far as needed; a loop that is left early would have read ahead.
        yield [job.to_dict() for job in await pager.collect(limit)]
        return
    left = limit
    async with pager:
        async for batch in pager.batches():
            rows = [job.to_dict() for job in batch if wanted is None or wanted(job)][:left]
            if rows:
                yield rows
            if left is not None:
                left -= len(rows)
                if not left:
                    return


def _record(form: Form, row: Mapping[str, Any], kind: Kind) -> str:
    if form is Form.CSV:
        return csv_line([row.get(name) for name in kind.fields])
    if form is Form.IDS:
        return printable(row["job_id"]) + "\n"
    return json_line(row)


def write_row(form: Output, row: Mapping[str, Any], fields: Sequence[str]) -> None:
    """
    Write one object as JSON, or as CSV with these fields.
    """
    if form is Output.CSV:
        write(csv_line(fields) + csv_line([row.get(name) for name in fields]))
    else:
        write(json_line(row, indent=2 if form is Output.JSON else None))


def write_rows(form: Output, rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> None:
    """
    Write objects as a JSON array, as JSON Lines, or as CSV with these fields.
    """
    if form is Output.JSON:
        write(json_line(rows, indent=2))
    elif form is Output.CSV:
        records = [fields, *([row.get(name) for name in fields] for row in rows)]
        write("".join(map(csv_line, records)))
    else:
        write("".join(map(json_line, rows)))


def write_table(kind: Kind, rows: Sequence[Mapping[str, Any]]) -> None:
    """
    Write rows as a table, and print which columns a narrow terminal has no room for.
    """
    from .table import Table, left_out_note

    table = Table(kind.columns, rows, width=width_of(sys.stdout))
    write_lines(table.lines())
    if table.left_out:
        say(f"{left_out_note(table.left_out)}; -o csv has all.")
