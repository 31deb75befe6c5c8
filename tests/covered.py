"""
Name what no test reaches: `python -m tests.covered`.

Runs the tests, but for those of types, of the official SDK and of interrupts by the hundred, under
coverage (`pip install coverage`), with branches and in every process that they start; ten minutes.
What no test reaches has to be named in `REASONS` with the reason why; anything else fails the
run. Writes `tests/COVERAGE.md`.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("COVERAGE.md")

_SEEN_BY_TYPES = "type checkers need to see that the cases are all"
_ELSEWHERE = "only Windows comes here"
_IN_ONE_INSTANT = "two things have to happen in one instant, which no test can arrange"
_IN_A_STORM = "interrupts by the hundred come here, and those are left out"

REASONS = {
    r"cli/\w+\.py: case Output\.(TABLE|JSON): → ": _SEEN_BY_TYPES,
    r"cli/checkpoints\.py: if wait: → if session": "taken, but nobody is told of the way out of an "
    "`async with` on Python 3.11",
    r"cli/terminal\.py: raise error$": "type checkers need it: only what is written comes here",
    r"cleanup/journal\.py: return$": _ELSEWHERE,
    r"connections\.py: if not bound\.expired\(\): → ": _IN_ONE_INSTANT,
    r"connections\.py: for _ in range\(self\.limit\).* → ": "there are never more idle "
    "connections than connections",
    r"credentials\.py: if sys\.platform != .win32.: → ": _ELSEWHERE,
    r"loop_thread\.py: if self\.calls: .* → ": "no loop breaks while it runs",
    r"loop_thread\.py: try:$": "coverage is not told of a thread that `_thread` starts",
    r"loop_thread\.py: (self\.wake\(loop_thread\)$|if not self\.submit\(call, callback\): → "
    r"|if not self\.closing:  # else|return$)": _IN_A_STORM,
    r"loop_thread\.py: time\.sleep": "coverage is not told of a thread that `_thread` starts",
    r"loop_thread\.py: raise$": _IN_A_STORM,
    r"loop_thread\.py: _thread\.interrupt_main": _ELSEWHERE,
    r"loop_thread\.py: return END$": "nothing asks a stream that has ended, which types cannot say",
    r"portal\.py: if hasattr\(os, .register_at_fork.\): → ": _ELSEWHERE,
}
"""What is not reached, as a pattern of `file: line of code`, and why that is right."""

_NOT_NEEDED = ("tests/test_typing.py", "tests/test_proof.py")
"""Left out, as none of what they do is the package's: type checkers, and pages such as this."""

_STORMS = (
    "tests/test_portal.py::test_interrupts_at_every_instant",
    "tests/test_portal.py::test_interrupts_during_the_start",
    "tests/test_sync_under_fire.py::test_interrupts_of_a_tight_loop",
)
"""Left out: an interrupt that falls where coverage holds its own lock leaves it locked for good."""

_CONFIGURATION = """
[run]
branch = True
parallel = True
patch = subprocess, _exit
source = dashscope_ft
data_file = {folder}/data
[json]
output = {folder}/report.json
"""


@frozen
class Place:
    """
    Lines that no test reached, or a way out of a line that none took.
    """

    file: str
    line: int
    """The first of the lines."""

    code: str
    """Its text."""

    way: str = ""
    """Where the way leads that was not taken; empty for lines."""

    @property
    def reason(self) -> str | None:
        where = f"{self.file}: {self.code}{self.way}"
        return next((why for what, why in REASONS.items() if re.search(what, where)), None)


def main() -> int:
    """
    Run the tests, write the page, and give how many places are not explained.
    """
    report = measured()
    if report is None:
        return 1
    places = [*unreached(report)]
    PAGE.write_text(page(report, places))
    strange = [place for place in places if place.reason is None]
    for place in strange:
        print(f"not explained: {place.file}:{place.line}: {place.code}{place.way}")
    return len(strange)


def measured() -> dict[str, Any] | None:
    """
    Give coverage's own report, or None where a test failed.
    """
    with TemporaryDirectory() as folder:
        configuration = Path(folder, "configuration")
        configuration.write_text(_CONFIGURATION.format(folder=folder))
        tool = [sys.executable, "-m", "coverage"]
        settings = f"--rcfile={configuration}"
        tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not contract"]
        tests += [
            *(f"--ignore={name}" for name in _NOT_NEEDED),
            *(f"--deselect={name}" for name in _STORMS),
        ]
        ran = subprocess.run([*tool, "run", settings, *tests], cwd=ROOT, check=False)
        if ran.returncode:
            return None
        subprocess.run([*tool, "combine", "-q", settings], cwd=ROOT, check=True)
        subprocess.run([*tool, "json", "-q", settings], cwd=ROOT, check=True)
        report: dict[str, Any] = json.loads(Path(folder, "report.json").read_text())
        return report


def unreached(report: dict[str, Any]) -> Iterator[Place]:
    """
    Give each run of lines, and each way out of a line that was reached.
    """
    for file, found in sorted(report["files"].items()):
        code = ["", *(ROOT / file).read_text().splitlines()]
        missing = found["missing_lines"]
        for line in missing:
            if line - 1 not in missing:
                yield Place(file, line, code[line].strip())
        for line, target in found["missing_branches"]:
            if line not in missing and target not in missing:
                way = f" → {code[target].strip()}" if target > 0 else " → the end of its block"
                yield Place(file, line, code[line].strip(), way)


def page(report: dict[str, Any], places: list[Place]) -> str:
    """
    Give the page with what was reached, and what was not.
    """
    totals = report["totals"]
    rows = [
        f"| `{file}` | {found['summary']['num_statements']} | {found['summary']['num_branches']} | "
        f"{found['summary']['percent_covered']:.1f} % |"
        for file, found in sorted(report["files"].items())
        if found["summary"]["percent_covered"] < 100
    ]
    whole = len(report["files"]) - len(rows)
    named = [
        f"* `{place.file}:{place.line}` `{place.code}{place.way}`\n"
        f"  {place.reason or '**not explained**'}"
        for place in places
    ]
    return (
        "# What the tests reach\n\n"
        f"Written by `python -m tests.covered` with Python {platform.python_version()} on "
        f"{platform.system()}: of {totals['num_statements']:,} statements the tests reach "
        f"{totals['covered_lines']:,}, of {totals['num_branches']:,} ways out of a branch they "
        f"take {totals['covered_branches']:,}; {totals['percent_covered']:.2f} % in all.\n\n"
        f"{whole} files are reached whole; the others are\n\n"
        "| file | statements | branches | reached |\n| --- | --- | --- | --- |\n"
        + "\n".join(rows)
        + "\n\n## Not reached\n\n"
        + "\n".join(named)
        + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
