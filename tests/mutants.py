"""
Break the pure cores in every small way, and see that a test notices: `python -m tests.mutants`.

Runs cosmic-ray (`pip install cosmic-ray`) on a copy of the checkout, half an hour on one core.
What came of a core is kept in `.mutants` until its code or its tests change, and written into
`tests/MUTATION.md`. What survives has to be named in `HARMLESS` with the reason why no
test could or should notice it; anything else fails the run.
"""

from __future__ import annotations

import ast
import hashlib
import os
import pickle
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import define, field, frozen

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("MUTATION.md")
KEPT = ROOT / ".mutants"

CORES = {
    "retry": ["tests/test_retry.py"],
    "stitching": ["tests/test_stitching.py"],
    "cleanup/selection": ["tests/cleanup/test_selection.py"],
    "codec": ["tests/test_codec.py"],
}
"""The modules, and the tests that are to notice."""

HARMLESS = {
    r"strict=False": "both sides are of one length; the word says so to the reader",
    r"→ OVERLAP": "how much to overlap is a matter of cost, not of truth",
    r"lru_cache": "a cache changes no answer",
    r"→ if not keeps_offset": "what one of both ways leaves, the careful reader reads alike",
    r"→ .*, /, (anchored|keeps_offset)": "its callers name it",
    r"→ self.read_time = .*=False": "windows compare moments, in whatever zone they are told",
    r"→ .*len\(self.ids\) (!=|is not)": "a set has no more than its list",
    r"→ newer = .* != tail": "a job of the tail is no older than the tail's last",
    r"^@define → $": "a default is a class attribute then, from which each instance starts",
    r"→ if text is not text.strip": "a text with no blank at an end is what stripping gives back",
    r"→ .*overlap == 1": "an overlap is never less than 1",
    r"→ if start ": "a page that begins within the first rows is the first, either way",
    r"→ .*times\)}\) != 1": "no times at all are of no type, which ends it before",
    r"→ .*len\(self\) (==|is) _MOST": "there are never more than the most",
    r"kw_only=False": "type checkers hold callers to the names",
    r"→ .* if n != 1": "no count is less than 1",
    r"→ .*self.by <= ": "there are two words, and they compare the same",
    r"→ .*times >= sorted": "nothing comes before itself sorted",
    r"→ .*decode\(\) < text": "what replaces half a character comes before any",
}
"""What survives, as a pattern of the changed line, and why that is right."""

_CONFIGURATION = """
[cosmic-ray]
module-path = "dashscope_ft/{core}.py"
timeout = 60.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider {tests}"
[cosmic-ray.distributor]
name = "local"
"""


@frozen
class Survivor:
    """
    A mutant that no test noticed.
    """

    line: int
    change: str
    """The line as it was, and as it was in the mutant."""

    @property
    def reason(self) -> str | None:
        return next((why for what, why in HARMLESS.items() if re.search(what, self.change)), None)


@define
class Tally:
    """
    What became of a core's mutants.
    """

    mutants: int = 0
    killed: int = 0
    same: Counter[str] = field(factory=Counter)
    """Those not tried since they mean the same, by the reason."""

    survivors: list[Survivor] = field(factory=list)


def main() -> int:
    """
    Try all cores, or those named, unless they have been, and write the page.
    """
    KEPT.mkdir(exist_ok=True)
    for core in sys.argv[1:] or CORES:
        if not kept(core).exists():
            print(core, flush=True)
            kept(core).write_bytes(pickle.dumps(tried(core)))
    tallies = {core: pickle.loads(kept(core).read_bytes()) for core in CORES if kept(core).exists()}
    unexplained = 0
    for core, tally in tallies.items():
        for survivor in tally.survivors:
            if survivor.reason is None:
                unexplained += 1
                print(f"{core}, line {survivor.line}, survived: {survivor.change}", flush=True)
    PAGE.write_text(page(tallies))
    return unexplained


def kept(core: str) -> Path:
    """
    Give where a core's tally is kept: a name that changes with the code and with its tests.
    """
    files = [f"dashscope_ft/{core}.py", *CORES[core]]
    state = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in files)).hexdigest()
    return KEPT / f"{core.replace('/', '.')}-{state[:16]}"


def tried(core: str) -> Tally:
    """
    Try all mutants of one core on a copy of this checkout.
    """
    from cosmic_ray.work_db import use_db  # type: ignore[import-not-found]

    with TemporaryDirectory() as folder:
        copy, session = Path(folder, "copy"), Path(folder, "session.sqlite")
        left_out = shutil.ignore_patterns(".*", "__pycache__", "results")
        shutil.copytree(ROOT, copy, ignore=left_out)
        configuration = Path(folder, "configuration.toml")
        configuration.write_text(
            _CONFIGURATION.format(core=core, python=sys.executable, tests=" ".join(CORES[core]))
        )
        here: dict[str, Any] = {"cwd": copy, "env": os.environ | {"PYTHONPATH": str(copy)}}
        tests = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        subprocess.run([*tests, *CORES[core]], check=True, **here)  # as it is, all has to pass
        tool = [sys.executable, "-m", "cosmic_ray.cli"]
        subprocess.run([*tool, "init", configuration, session], check=True, **here)
        with use_db(session) as work:
            _pass_over_the_same(core, work)
        subprocess.run([*tool, "exec", configuration, session], check=True, **here)
        with use_db(session) as work:
            return _tally(work)


def _pass_over_the_same(core: str, work: Any) -> None:
    """
    Spare the mutants that mean the same as the original.
    """
    from cosmic_ray.work_item import (  # type: ignore[import-not-found]
        WorkerOutcome,
        WorkResult,
    )

    unread = list(_annotations(ROOT / "dashscope_ft" / f"{core}.py"))
    for item in list(work.pending_work_items):
        [mutation] = item.mutations
        reason = None
        if mutation.operator_name.endswith(("_Is_Eq", "_IsNot_NotEq")):
            reason = "`is` and `==` say the same of enum members, classes and None"
        elif any(begin <= mutation.start_pos < end for begin, end in unread):
            reason = "annotations are never evaluated"
        if reason:
            work.set_result(item.job_id, WorkResult(WorkerOutcome.SKIPPED, output=reason))


def _annotations(module: Path) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """
    Give where each annotation begins and ends, in lines and columns.
    """
    for node in ast.walk(ast.parse(module.read_text())):
        for name in ("annotation", "returns"):
            note = getattr(node, name, None)
            if note is not None:
                yield (note.lineno, note.col_offset), (note.end_lineno, note.end_col_offset)


def _tally(work: Any) -> Tally:
    tally = Tally()
    results = dict(work.results)
    for item in work.work_items:
        result = results[item.job_id]
        if result.worker_outcome.value == "skipped":
            tally.same[result.output] += 1
            continue
        tally.mutants += 1
        if result.is_killed:
            tally.killed += 1
        else:
            tally.survivors.append(Survivor(item.mutations[0].start_pos[0], _change(result.diff)))
    tally.survivors.sort(key=lambda survivor: survivor.line)
    return tally


def _change(diff: str) -> str:
    lines = [line for line in diff.splitlines() if re.match(r"[-+](?![-+])", line)]
    was = [line[1:].strip() for line in lines if line[0] == "-" and line[1:].strip()]
    became = [line[1:].strip() for line in lines if line[0] == "+" and line[1:].strip()]
    return f"{' '.join(was)} → {' '.join(became)}"


def page(tallies: dict[str, Tally]) -> str:
    """
    Give the page with what became of them.
    """
    parts = [
        "# What the tests notice",
        "Written by `python -m tests.mutants`: each small change that cosmic-ray can make to the "
        "pure cores, and whether their own tests fail.",
        "| module | mutants | killed | survived, see below |\n| --- | --- | --- | --- |\n"
        + "\n".join(_row(core, tallies.get(core)) for core in CORES),
        "Not tried, since they mean the same: "
        + "; ".join(
            f"{count} where {reason}"
            for reason, count in sum((t.same for t in tallies.values()), Counter[str]()).items()
        )
        + ".",
        "## Survivors",
    ]
    for core, tally in tallies.items():
        if tally.survivors:
            parts.append(f"### `{core}.py`")
            parts.append(
                "\n".join(
                    f"* `{each.change}`\n  {each.reason or '**not noticed yet**'}"
                    for each in tally.survivors
                )
            )
    return "\n\n".join(parts) + "\n"


def _row(core: str, tally: Tally | None) -> str:
    if tally is None:
        return f"| `{core}.py` | not tried since it or its tests changed | | |"
    return f"| `{core}.py` | {tally.mutants} | {tally.killed} | {len(tally.survivors)} |"


if __name__ == "__main__":
    sys.exit(main())
