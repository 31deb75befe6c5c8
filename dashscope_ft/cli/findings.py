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
class Change:
    """
    One kind of change: what the library reported, and what the emulator's books say.
    """

    report: Report
    """The library's report."""

    by_request: set[str]
    """The jobs that a request changed."""

    by_anybody: set[str]
    """The jobs that anyone changed, other users included."""

    @classmethod
    def of(cls, report: Report, books: Books, action: str, noun: str) -> Change:
        """
        Return a report beside the entries of the books on the same action and kind of job.
        """
        entries = [each for each in books.entries if (each.action, each.noun) == (action, noun)]
        return cls(
            report=report,
            by_request={each.job_id for each in entries if each.request_id is not None},
            by_anybody={each.job_id for each in entries},
        )

    @property
    def done(self) -> set[str]:
        """
        The jobs that were changed according to the report.
        """
        return {each.job_id for each in self.report.outcomes if each.result == "done"}

    @property
    def confirmed_by_books(self) -> int:
        """
        How many of these are in the books.
        """
        return len(self.done & self.by_anybody)

    @property
    def agrees(self) -> bool:
        """
        Whether the report names all that its requests changed, nothing that did not happen, and no
        failure.

        A job that another user deleted while an answer was lost rightly counts as done.
        """
        return self.by_request <= self.done <= self.by_anybody and not self.report.failed


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

    cancelled: Change
    """The running jobs, which were cancelled."""

    deleted: Change
    """The failed jobs, which were deleted."""

    imports_deleted: Change
    """The import jobs that were deleted."""

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
        changes = (self.cancelled, self.deleted, self.imports_deleted)
        return sum(change.report.reasons.get("inferred", 0) for change in changes)


@dataclass(frozen=True)
class _Line:
    words: str
    figure: Callable[[Findings], int]
    holds: Callable[[Findings], bool] | None = None  # whether a promise is kept, if it is about one


def _change_lines(words: str, change: Callable[[Findings], Change]) -> tuple[_Line, _Line]:
    return (
        _Line(words, lambda found: len(change(found).done)),
        _Line(
            "  in the emulator's books",
            lambda found: change(found).confirmed_by_books,
            lambda found: change(found).agrees,
        ),
    )


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
    *_change_lines("Running, cancelled", lambda found: found.cancelled),
    *_change_lines("Failed, deleted", lambda found: found.deleted),
    *_change_lines("Imports deleted", lambda found: found.imports_deleted),
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
