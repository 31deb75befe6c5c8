"""
The page that says what every operation comes to under every fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

from .matrix import MATRIX, OPERATIONS, Fault
from .trial import Cell, tried

PAGE = Path(__file__).with_name("MATRIX.md")

_HEAD = """\
# What every operation comes to under every fault

Written by `python -m tests.faults` from a run of all of it, on real sockets.

A cell tells what the caller gets and how many requests the server received; where time plays a
part also after how many seconds on the client's clock, jitter being at its most. ″ is the same as
to its left. The settings are the usual ones: 4 attempts, 30 s for each, 120 s for all.

Every fault lasts: each request of a call meets it, repetitions and looks at the job too. A number
behind it counts the forms in which it was tried. A walk outwaits refusals for the rate until its
deadline; what deletes or cancels looks at the job where that tells more; a creation is sent once.

{faults} faults in {forms} forms under {operations} operations are {cells:,} cells. In {sound:,} of
them no deadline was passed by more than 50 ms, the key showed in nothing raised, returned or
logged, no cookie went back, no redirect was followed, and the next call was answered rightly and
in one request.
"""


@frozen
class Tried:
    """
    A fault and what each of its forms came to, an end an operation.
    """

    fault: Fault
    ends: Mapping[str, Sequence[str]]
    sound: int
    """In how many cells nothing else was wrong."""


def promised() -> dict[str, list[Tried]]:
    """
    Give what the matrix says.
    """
    return {
        heading: [
            Tried(fault, dict.fromkeys(fault.forms, fault.ends), len(fault.forms) * len(OPERATIONS))
            for fault in faults
        ]
        for heading, faults in MATRIX.items()
    }


def run(wrongs: list[str]) -> dict[str, list[Tried]]:
    """
    Try everything, give what it came to, and note where that is not what the matrix says.
    """
    return {
        heading: [_run(fault, wrongs) for fault in faults] for heading, faults in MATRIX.items()
    }


def _run(fault: Fault, wrongs: list[str]) -> Tried:
    cells = {form: tried(fault, wire) for form, wire in fault.forms.items()}
    told = {form: _told(fault, row) for form, row in cells.items()}
    for form, row in cells.items():
        for operation, cell, end, expected in zip(
            OPERATIONS, row, told[form], fault.ends, strict=True
        ):
            where = f"{operation}, {fault.name}{form and f' ({form})'}"
            if end != expected:
                wrongs.append(f"{where}: {end}, not {expected}")
            wrongs += [f"{where}: {wrong}" for wrong in cell.wrongs]
    return Tried(fault, told, sum(not cell.wrongs for row in cells.values() for cell in row))


def _told(fault: Fault, row: Sequence[Cell]) -> list[str]:
    return [cell.told(expected) for cell, expected in zip(row, fault.ends, strict=True)]


def count(tried: Mapping[str, Sequence[Tried]]) -> dict[str, int]:
    """
    Count what was tried.
    """
    all_tried = [each for faults in tried.values() for each in faults]
    forms = sum(len(each.ends) for each in all_tried)
    return {
        "faults": len(all_tried),
        "forms": forms,
        "operations": len(OPERATIONS),
        "cells": forms * len(OPERATIONS),
        "sound": sum(each.sound for each in all_tried),
    }


def page(tried: Mapping[str, Sequence[Tried]]) -> str:
    """
    Write the page.
    """
    return "\n".join(_lines(tried))


def _lines(tried: Mapping[str, Sequence[Tried]]) -> Iterator[str]:
    yield _HEAD.format(**count(tried))
    for heading, faults in tried.items():
        yield f"## {heading}\n"
        yield f"| fault | {' | '.join(OPERATIONS)} |"
        yield "| --- |" + " --- |" * len(OPERATIONS)
        for each in faults:
            forms = f" ({len(each.ends)})" if len(each.ends) > 1 else ""
            words = [_cell(ends) for ends in zip(*each.ends.values(), strict=True)]
            cells = [
                "″" if index and cell == words[index - 1] else cell
                for index, cell in enumerate(words)
            ]
            yield f"| {each.fault.name}{forms} | {' | '.join(cells)} |"
        yield ""


def _cell(ends: Sequence[str]) -> str:
    return " or ".join(_words(end) for end in dict.fromkeys(ends))


def _words(end: str) -> str:
    what, requests, *seconds = end.split("/")
    sent, _, tries = requests.partition("of")
    words = f"{what} {sent}"
    if tries:
        words += " (1 try)" if tries == "1" else f" ({tries} tries)"
    return words + (f", {seconds[0]} s" if seconds else "")
