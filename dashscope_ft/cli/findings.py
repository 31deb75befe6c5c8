"""
The findings of the demonstration, and whether the guarantees hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from .terminal import encodable

if TYPE_CHECKING:
    from dashscope_ft import Report
    from dashscope_ft.emulator import Books


@dataclass(frozen=True)
class Book:
    """
    The emulator's record of one kind of change.
    """

    by_request: set[str]
    """The jobs that a request changed."""

    by_anybody: set[str]
    """The jobs that anyone changed, other users included."""

    @classmethod
    def of(cls, books: Books, action: str, noun: str) -> Book:
        """
        Return the record of one action on one kind of job.
        """
        entries = [each for each in books.entries if (each.action, each.noun) == (action, noun)]
        return cls(
            by_request={each.job_id for each in entries if each.request_id is not None},
            by_anybody={each.job_id for each in entries},
        )


@dataclass(frozen=True)
class Findings:
    """
    The findings in one region, as ids, so that every figure can be counted.
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
    """How many jobs plain paging missed, of those that existed throughout."""

    reports: tuple[Report, Report, Report]
    """The library's reports on cancelled jobs, deleted jobs and deleted imports."""

    books: tuple[Book, Book, Book]
    """The same changes in the emulator's own books."""

    listed_again: list[str]
    """The jobs that the library listed at the end."""

    left: set[str]
    """The jobs in the emulator at the end."""

    @property
    def throughout(self) -> set[str]:
        """
        The jobs that existed during the whole listing.
        """
        return self.before & self.after

    @property
    def missed(self) -> int:
        """
        How many of these were not listed.
        """
        return len(self.throughout - set(self.listed))

    @property
    def repeated(self) -> int:
        """
        How many entries of the listing are repetitions.
        """
        return len(self.listed) - len(set(self.listed))

    @property
    def inferred(self) -> int:
        """
        How many changes were inferred after their answers were lost.
        """
        return sum(report.reasons.get("inferred", 0) for report in self.reports)

    def done(self, index: int) -> set[str]:
        """
        Return the jobs that were changed according to a report.
        """
        return {each.job_id for each in self.reports[index].outcomes if each.result == "done"}

    def found(self, index: int) -> int:
        """
        Return how many of these are in the emulator's books.
        """
        return len(self.done(index) & self.books[index].by_anybody)

    def agrees(self, index: int) -> bool:
        """
        Return whether a report names all that its requests changed, nothing that did not happen,
        and no failure.

        A job that another user deleted while an answer was lost rightly counts as done.
        """
        done, book = self.done(index), self.books[index]
        return book.by_request <= done <= book.by_anybody and not self.reports[index].failed


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
        lambda found: found.found(0),
        lambda found: found.agrees(0),
    ),
    _Line("Failed, deleted", lambda found: len(found.done(1))),
    _Line(
        "  in the emulator's books",
        lambda found: found.found(1),
        lambda found: found.agrees(1),
    ),
    _Line("Imports deleted", lambda found: len(found.done(2))),
    _Line(
        "  in the emulator's books",
        lambda found: found.found(2),
        lambda found: found.agrees(2),
    ),
    _Line("Settled though answer lost", lambda found: found.inferred),
    _Line("Listed at the end", lambda found: len(found.listed_again)),
    _Line(
        "  left in the emulator",
        lambda found: len(found.left),
        lambda found: sorted(found.listed_again) == sorted(found.left),
    ),
)


def verdict(findings: Sequence[Findings]) -> tuple[list[Text], bool]:
    """
    Return the findings as lines, with a column per region, and whether every guarantee holds.
    """
    margin = max(cell_len(line.words) for line in _LINES)
    width = max(6, *(cell_len(found.region) for found in findings))
    heading = Text(" " * margin)
    for found in findings:
        heading.append(f"  {found.region:>{width}}  ", "bold")
    lines = [heading]
    all_good = True
    for line in _LINES:
        text = Text()
        text.append(f"{line.words:<{margin}}", "dim" if line.words.startswith(" ") else "bold")
        for found in findings:
            good = line.holds is None or line.holds(found)
            all_good = all_good and good
            mark = " " if line.holds is None else encodable("✓" if good else "✗")
            text.append(f"  {line.figure(found):>{width},} ")
            text.append(mark, "bold green" if good else "bold red")
        lines.append(text)
    words = (
        "Nothing missed, nothing twice; the books agree."
        if all_good
        else "Not as promised: look at the marks above."
    )
    lines += [Text(), Text(words, "bold green" if all_good else "bold red")]
    for each in lines:
        each.rstrip()
    return lines, all_good
