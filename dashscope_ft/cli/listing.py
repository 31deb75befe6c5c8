"""
Jobs of either noun on stdout: a listing as it is proven, or one job in full.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from .command import Output, Session
from .terminal import counter, say, width_of, write, write_lines
from .text import csv_line, json_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from dashscope_ft import AsyncPager, FineTuneJob, ImportJob

    from .noun import Noun

    AnyPager: TypeAlias = AsyncPager[FineTuneJob] | AsyncPager[ImportJob]


async def show_listing(
    session: Session,
    pager: AnyPager,
    *,
    noun: Noun,
    limit: int | None,
) -> None:
    """
    Write a listing in the session's form.

    JSON Lines and CSV are written as rows are proven, a table when all are; a table that
    could not be completed is still written, a JSON array is not, since it would look whole.
    """
    streams = session.form in {Output.JSONL, Output.CSV}
    with counter(f"Listing {noun.word}s", streams=streams) as progress:
        if streams:
            if session.form is Output.CSV:
                write(csv_line(noun.fields))
            async for batch in _wire_batches(pager, limit):
                write("".join(_record(session.form, row, noun) for row in batch))
                progress.advance(len(batch))
            return
        rows: list[dict[str, Any]] = []
        try:
            async for batch in _wire_batches(pager, limit):
                rows += batch
                progress.advance(len(batch))
        except Exception:
            if rows and session.form is Output.TABLE:
                _write_table(noun, rows)
            raise
    if session.form is Output.JSON:
        write(json_text(rows, indent=2) + "\n")
        return
    if rows:
        _write_table(noun, rows)
    limited = limit is not None and len(rows) >= limit
    say(f"{'The first ' if limited else ''}{noun.count(len(rows))}.")


def show_one(session: Session, job: FineTuneJob | ImportJob, *, noun: Noun) -> None:
    """
    Write one job in the session's form.
    """
    row = job.to_dict()
    if session.form is Output.TABLE:
        from .table import details

        write_lines(details(row, width=width_of(sys.stdout)))
    elif session.form is Output.CSV:
        write(csv_line(noun.fields) + _record(session.form, row, noun))
    else:
        write(json_text(row, indent=2 if session.form is Output.JSON else None) + "\n")


async def _wire_batches(pager: AnyPager, limit: int | None) -> AsyncIterator[list[dict[str, Any]]]:
    if limit is not None:
        # It knows how far to read; a loop left early would have read ahead.
        yield [job.to_dict() for job in await pager.collect(limit)]
        return
    async with pager:
        async for batch in pager.batches():
            yield [job.to_dict() for job in batch]


def _record(form: Output, row: Mapping[str, Any], noun: Noun) -> str:
    if form is Output.CSV:
        return csv_line([row.get(name) for name in noun.fields])
    return json_text(row) + "\n"


def _write_table(noun: Noun, rows: Sequence[Mapping[str, Any]]) -> None:
    from .table import table

    write_lines(table(noun.columns, rows, width=width_of(sys.stdout)))
