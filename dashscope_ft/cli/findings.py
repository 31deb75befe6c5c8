"""
What the demonstration found, and whether it is as promised.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from dashscope_ft import Report


@dataclass(frozen=True)
class Findings:
    """
    What was found in one region. Ids throughout, so that every figure can be counted.
    """

    region: str
    """The region's name."""

    before: set[str]
    """The jobs in the emulator as the listing began."""

    after: set[str]
    """The jobs in the emulator as the listing ended."""

    listed: list[str]
    """The jobs that the library listed."""

    missed_plainly: int
    """How many jobs page-by-page reading missed meanwhile, of those there throughout."""

    reports: tuple[Report, Report, Report]
    """What the library says it cancelled, deleted, and deleted of imports."""

    books: tuple[set[str], set[str], set[str]]
    """The same in the emulator's own books."""

    listed_again: list[str]
    """The jobs that the library listed at the end."""

    left: set[str]
    """The jobs in the emulator at the end."""

    @property
    def throughout(self) -> set[str]:
        """
        The jobs that existed all the while.
        """
        return self.before & self.after

    @property
    def missed(self) -> int:
        """
        How many of them were not listed.
        """
        return len(self.throughout - set(self.listed))

    @property
    def repeated(self) -> int:
        """
        How many times a job was listed again.
        """
        return len(self.listed) - len(set(self.listed))

    @property
    def inferred(self) -> int:
        """
        How many changes were settled after their answer was lost.
        """
        return sum(report.reasons.get("inferred", 0) for report in self.reports)

    def done(self, index: int) -> set[str]:
        """
        The jobs that a report says were changed.
        """
        return {each.job_id for each in self.reports[index].outcomes if each.result == "done"}

    def agrees(self, index: int) -> bool:
        """
        Tell whether a report and the emulator's books name the same jobs, and nothing failed.
        """
        return self.done(index) == self.books[index] and not self.reports[index].failed


@dataclass(frozen=True)
class _Line:
    words: str
    figure: Callable[[Findings], int]
    holds: Callable[[Findings], bool] | None = None


_LINES = (
    _Line("Jobs when listing began", lambda found: len(found.before)),
    _Line("  came meanwhile", lambda found: len(found.after - found.before)),
    _Line("  went meanwhile", lambda found: len(found.before - found.after)),
    _Line("There throughout", lambda found: len(found.throughout)),
    _Line(
        "  seen",
        lambda found: len(found.throughout & set(found.listed)),
        lambda found: found.throughout <= set(found.listed),
    ),
    _Line("  missed", lambda found: found.missed, lambda found: not found.missed),
    _Line("  seen twice", lambda found: found.repeated, lambda found: not found.repeated),
    _Line("  missed by plain paging", lambda found: found.missed_plainly),
    _Line("Running, cancelled", lambda found: len(found.done(0))),
    _Line(
        "  in the emulator's books",
        lambda found: len(found.books[0]),
        lambda found: found.agrees(0),
    ),
    _Line("Failed, deleted", lambda found: len(found.done(1))),
    _Line(
        "  in the emulator's books",
        lambda found: len(found.books[1]),
        lambda found: found.agrees(1),
    ),
    _Line("Imports deleted", lambda found: len(found.done(2))),
    _Line(
        "  in the emulator's books",
        lambda found: len(found.books[2]),
        lambda found: found.agrees(2),
    ),
    _Line("  settled though answer lost", lambda found: found.inferred),
    _Line("Listed at the end", lambda found: len(found.listed_again)),
    _Line(
        "  left in the emulator",
        lambda found: len(found.left),
        lambda found: sorted(found.listed_again) == sorted(found.left),
    ),
)


def verdict(findings: Sequence[Findings]) -> tuple[list[Text], bool]:
    """
    Lay the findings out, a column for each region, and tell whether every promise holds.
    """
    held = {line: all(map(line.holds, findings)) for line in _LINES if line.holds}
    margin = max(cell_len(line.words) for line in _LINES)
    widths = [max(5, cell_len(found.region)) for found in findings]
    lines = [Text(" " * margin, "bold")]
    for found, width in zip(findings, widths, strict=True):
        lines[0].append(f"  {found.region:>{width}}")
    for line in _LINES:
        text = Text(f"{line.words:<{margin}}", "" if line.words.startswith(" ") else "bold")
        for found, width in zip(findings, widths, strict=True):
            text.append(f"  {line.figure(found):>{width},}", "none")
        if line in held:
            text.append("  " + _mark(held[line]), "bold green" if held[line] else "bold red")
        lines.append(text)
    good = all(held.values())
    words = (
        "Nothing was missed, nothing twice; the books agree."
        if good
        else "Not as promised: look at the marks above."
    )
    lines.append(Text(words, "bold green" if good else "bold red"))
    return lines, good


def _mark(good: bool) -> str:
    try:
        "✓✗".encode(sys.stdout.encoding or "ascii")
    except UnicodeError:
        return "ok" if good else "NO"
    return "✓" if good else "✗"
