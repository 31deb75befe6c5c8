"""
Show every promise, and write down what was seen: `python -m tests.proof`.

Each line of the page comes from running its command: tests hand over what they counted (pytest's
`record_property("figure", …)`), trials print it. Where one fails, the page stays as it was.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from attrs import field, frozen

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("PROOF.md")


@frozen
class Suite:
    """
    Tests that show something.
    """

    what: str
    where: tuple[str, ...]
    """Files or tests, from the top of the repository."""

    only: str = ""
    """Which of their tests, in pytest's own words."""

    variables: Mapping[str, str] = field(factory=dict)
    """What makes them more thorough than the ordinary run."""

    @property
    def command(self) -> str:
        words = [f"{name}={value}" for name, value in self.variables.items()]
        words += ["python -m pytest", *self.where]
        return " ".join(words) + (f' -k "{self.only}"' if self.only else "")


@frozen
class Trial:
    """
    A program that shows something, and prints it.
    """

    what: str
    module: str
    arguments: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        return " ".join(["python -m", self.module, *self.arguments])


@frozen
class Page:
    """
    A page that a command writes by itself.
    """

    what: str
    file: str
    """From beside this one."""

    command: str


Proof = Suite | Trial | Page

PROOFS: dict[str, list[Proof]] = {
    "A listing is complete, or it says that it isn't": [
        Suite(
            "Jobs come and go before every read",
            ("tests/test_pagination.py",),
            "before_every_read",
            {"WALK_CASES": "20000"},
        ),
        Suite("Deleting what is listed, while it is listed", ("tests/test_pagination.py",), "loop"),
        Suite(
            "Where plain paging loses jobs",
            ("tests/test_naive_paging.py",),
            variables={"NAIVE_LISTS": "2000"},
        ),
        Suite("What each rule of linking is for", ("tests/test_stitching.py",)),
    ],
    "What is known is told; what isn't is called unknown": [
        Suite("Every operation under every fault", ("tests/faults",)),
        Suite("The verdict table, whole", ("tests/test_retry.py",)),
        Suite("One attempt is one request", ("tests/test_attempts.py",)),
        Suite("A creation is never billed twice", ("tests/test_create.py",), "thousand"),
        Suite("Whatever a call says is in the service's books", ("tests/test_truth.py",)),
        Suite("A service in trouble is not hit harder", ("tests/test_budget.py",)),
        Suite(
            "An id is one segment of a path, or refused",
            ("tests/test_job_ids.py",),
            variables={"JOB_ID_CASES": "10000"},
        ),
    ],
    "Nothing destructive by surprise": [
        Suite("A crash at any step, and at any two", ("tests/cleanup/test_crashes.py",)),
        Suite(
            "Plans applied, crashed, interrupted and resumed while all changes",
            ("tests/cleanup/test_histories.py",),
            variables={"HISTORIES": "2000"},
        ),
        Suite("A journal torn at any byte", ("tests/cleanup/test_journal.py",)),
        Suite("What is selected, and what never", ("tests/cleanup/test_selection.py",)),
    ],
    "It stays within the service's limits by itself": [
        Suite("Limits of 2, 5 and 20 requests a second, and changes", ("tests/test_limiter.py",)),
        Trial("64 callers, faults and a limit, for a minute", "tests.trials.soak"),
    ],
    "One implementation, in both faces": [
        Suite("Names, signatures, docstrings and types", ("tests/test_typing.py",)),
        Suite(
            "Interrupts, forks, threads, exits",
            ("tests/test_sync_under_fire.py",),
            variables={"INTERRUPTS": "3000"},
        ),
        Suite(
            "Cancelled at every await",
            ("tests/test_cancellation.py",),
            variables={"CANCELLATIONS": "1000000"},
        ),
    ],
    "The key is nowhere, and no text steers": [
        Suite("The key, after calls that fail", ("tests/test_secrecy.py",)),
        Suite("The key, in what commands write", ("tests/cli/test_secrecy.py",)),
        Suite("Whether the search would find it", ("tests/test_the_search.py",)),
        Suite("Key files", ("tests/test_key_files.py",)),
        Suite("Hostile text on terminals and in spreadsheets", ("tests/cli/test_hostile_text.py",)),
    ],
    "What is installed is what was tested": [
        Suite("Bounds, wheel and sdist", ("tests/test_supply.py",)),
        Page("What the tests notice", "MUTATION.md", "python -m tests.mutants"),
        Page("What they reach, and what not and why", "COVERAGE.md", "python -m tests.covered"),
    ],
}

NOT_SHOWN = {
    "The live service": "nothing here was run against a real account. What the service does is "
    "taken from its documentation and from the official SDK, which runs against the emulator "
    "(`tests/contract`).",
    "An answer to another request, unasked, while one is in flight": "HTTP/1.1 cannot tell it from "
    "the right one. On an idle connection it is passed over.",
    "Known vulnerabilities of what is installed": "there was no access to a database of them; "
    "`pip-audit` in the environment shows it elsewhere.",
    "Windows and macOS": "all figures are from Linux.",
    "A power cut": "a crash is the end of a process; what the disk keeps is the system's word.",
}
"""What no run here could show, and why."""


def main() -> int:
    """
    Run all proofs, then write the page.
    """
    began, lines = time.monotonic(), []
    for promise, proofs in PROOFS.items():
        lines += [f"\n## {promise}\n", "| what | what was seen | command |", "| --- | --- | --- |"]
        for proof in proofs:
            print(proof.command, flush=True)
            seen = shown(proof)
            if seen is None:
                print(f"FAILED: {proof.command}; the page stays as it was.")
                return 1
            lines.append(f"| {proof.what} | {'<br>'.join(seen)} | `{proof.command}` |")
    lines += ["\n## Could not be shown\n"]
    lines += [f"* {what}: {why}" for what, why in NOT_SHOWN.items()]
    minutes = (time.monotonic() - began) / 60
    PAGE.write_text(
        "# What was promised, and what was seen\n\n"
        f"Written by `python -m tests.proof` on {time.strftime('%Y-%m-%d')} from a run of "
        f"{minutes:.0f} minutes: Python {platform.python_version()}, {platform.system()}, "
        f"{os.cpu_count()} shared cores. What is as fast as which peer is in "
        "[benchmarks/results/table.md](../benchmarks/results/table.md).\n" + "\n".join(lines) + "\n"
    )
    return 0


def shown(proof: Proof) -> list[str] | None:
    """
    Run a proof; give what was seen, or None where it failed.
    """
    if isinstance(proof, Page):
        return [f"[{proof.file}]({proof.file})"]
    if isinstance(proof, Trial):
        command = [sys.executable, "-m", proof.module, *proof.arguments]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        return ran.stdout.strip().splitlines() if ran.returncode == 0 else None
    return _figures(proof)


def _figures(tests: Suite) -> list[str] | None:
    with TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-o", "junit_family=xunit1", f"--junitxml={report}", *tests.where]
        command += ["-k", tests.only] if tests.only else []
        environment = os.environ | tests.variables
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            print(ran.stdout)
            return None
        suite = ET.parse(report).getroot()
        handed_over = [each for each in suite.iter("property") if each.get("name") == "figure"]
        figures = [each.get("value", "") for each in handed_over]
        passed = sum(int(each.get("tests", 0)) for each in suite.iter("testsuite"))
        return figures or [f"{passed:,} test{'s' if passed > 1 else ''} passed"]


if __name__ == "__main__":
    sys.exit(main())
