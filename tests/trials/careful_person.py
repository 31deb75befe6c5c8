"""
A clean-up as a careful person would try it, before trusting it with an account.

    python -m tests.trials.careful_person

Thousands of jobs, others who create, change and delete jobs all the while, a rate limit, one
answer in fifty lost, Ctrl-C half way, and the same command once more. Then every job of the
plan is looked up in the emulator's own books, and compared with what the report says of it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

from attrs import define, field, frozen

from dashscope_ft.emulator import Account, Emulator, Fault, Request

COMMAND = [sys.executable, "-m", "dashscope_ft", "cleanup"]
DELETE = "fine_tunes.delete"
AT_ONCE = 0.25  # seconds; what is sent by then was under way at the signal
RULES = [
    *("--status", "FAILED", "--status", "CANCELED", "--status", "SUCCEEDED"),
    *("--keep-latest", "5", "--protect", "ft-*-c*"),
]


@frozen(kw_only=True)
class Scale:
    """
    How large a trial is.
    """

    jobs: int = 5_000
    rate: float = 20.0
    burst: float | None = None
    lost: int = 50
    """One answer in so many is lost."""

    calm: float = 0.5
    """Seconds between two changes by others, on average."""

    seed: int = 7
    patience: float = 1_800.0


@define(kw_only=True)
class Findings:
    """
    What a trial came to.
    """

    figures: dict[str, Any] = field(factory=dict)
    disagreements: list[str] = field(factory=list)
    late: list[float] = field(factory=list)
    """How many seconds after the signal deletions still came."""

    def text(self) -> str:
        lines = [f"{name:<36}{value}" for name, value in self.figures.items()]
        return "\n".join(
            [*lines, f"{'disagreements':<36}{len(self.disagreements)}", *self.disagreements]
        )


@define
class Others:
    """
    The other people who use the account.
    """

    account: Account
    random: Random
    changed: set[str] = field(factory=set)
    """Jobs of which they changed the status."""

    changes: int = 0

    def act(self) -> None:
        deed = self.random.random()
        some = self.random.choice(list(self.account.jobs))
        if deed < 0.4:
            self.account.create_job({"model": "qwen3-8b", "training_file_ids": ["file-1"]})
        elif deed < 0.9:
            self.account.remove(some)
        else:
            self.changed.add(some)
            now = self.account.jobs[some]["status"]
            self.account.set_status(some, "SUCCEEDED" if now == "FAILED" else "FAILED")
        self.changes += 1


@contextmanager
def coming_and_going(others: Others, calm: float) -> Iterator[None]:
    over = Event()

    def live() -> None:
        while not over.wait(others.random.uniform(0, 2 * calm)):
            others.act()

    thread = Thread(target=live, name="others")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def try_out(scale: Scale, folder: Path) -> Findings:
    """
    Plan, apply, interrupt, go on, and compare.
    """
    plan_file = folder / "plan.json"
    with Emulator(seed=scale.seed, rate=scale.rate) as studio:
        account = studio.account()
        account.rules.burst = scale.burst
        studio.seed(jobs=scale.jobs)
        studio.inject(Fault(lose="after", every=scale.lost, times=None))
        environment = surroundings(studio)
        others = Others(account, Random(scale.seed))

        def command(*arguments: str) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [*COMMAND, *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        def end(process: subprocess.Popen[str]) -> tuple[int, str]:
            output, words = process.communicate(timeout=scale.patience)
            print(words, file=sys.stderr, end="")
            return process.returncode, output

        with coming_and_going(others, scale.calm):
            begun = time.monotonic()
            code, _ = end(command("plan", *RULES, "-o", str(plan_file)))
            planned_in = time.monotonic() - begun
            if code:
                raise AssertionError(f"The plan ended with {code}.")
            plan = json.loads(plan_file.read_text())
            ids = [entry["job_id"] for entry in plan["entries"]]
            apply = [
                *("apply", str(plan_file), "--yes", "--digest", plan["digest"]),
                *("--max-deletes", str(len(ids)), "--max-percent", "100", "--output", "json"),
            ]

            begun = time.monotonic()
            process = command(*apply)
            nth_deletion(studio, len(ids) // 2).result(scale.patience)
            signalled = time.time()
            process.send_signal(signal.SIGINT)
            interrupted, first = end(process)
            stopped_in = time.time() - signalled
            late = [r.time - signalled for r in studio.journal.of(DELETE) if r.time > signalled]
            first_books = ours(account)

            resumed, second = end(command(*apply))
            applied_in = time.monotonic() - begun

    findings = Findings(late=late)
    reports = [json.loads(first), json.loads(second)]
    compare_interrupted(findings, ids, reports[0], first_books)
    compare(findings, ids, reports[1], account, others, list(studio.journal))
    sent = [r for r in studio.journal.of(DELETE) if r.status != 429]
    findings.figures |= {
        "jobs at first": f"{scale.jobs:,}",
        "listed, planned, in seconds": f"{plan['listed']:,}, {len(ids):,}, {planned_in:.1f}",
        "changes by others meanwhile": f"{others.changes:,}",
        "exit codes": f"{interrupted}, then {resumed}",
        "of the first report": reports[0]["reasons"],
        "of the second report": reports[1]["reasons"],
        "deletions that came after the signal": ", ".join(f"{s * 1e3:.1f} ms" for s in late) or 0,
        "from the signal to the end": f"{stopped_in:.2f} s",
        "applied in, both runs": f"{applied_in:.1f} s",
        "requests, refused for their rate": f"{len(studio.journal):,}, "
        f"{sum(r.status == 429 for r in studio.journal):,}",
        "answers lost": f"{sum(r.fault is not None for r in studio.journal):,}",
        "sends a deletion, without refusals": f"{len(sent) / max(1, len(ours(account))):.3f}",
        "deleted by us, by others": f"{len(ours(account)):,}, {len(theirs(account)):,}",
    }
    if (interrupted, resumed) != (130, 0):
        findings.disagreements.append(f"The runs ended with {interrupted} and {resumed}.")
    return findings


def compare_interrupted(
    findings: Findings, ids: list[str], report: Mapping[str, Any], deleted: Mapping[str, str | None]
) -> None:
    """
    Compare what was said after Ctrl-C with what the books said then.

    Of a job whose answer was lost in that moment, nothing but that is said.
    """
    outcomes = once_each(findings, ids, report)
    for job_id, outcome in outcomes.items():
        if outcome["reason"] == "unknown_outcome":
            continue
        if (outcome["result"] == "done") != (job_id in deleted):
            findings.disagreements.append(
                f"{job_id}: {outcome['reason']} after Ctrl-C, and the books say otherwise"
            )


def compare(
    findings: Findings,
    ids: list[str],
    report: Mapping[str, Any],
    account: Account,
    others: Others,
    requests: list[Request],
) -> None:
    """
    Compare the last report with the books, job by job.
    """
    outcomes = once_each(findings, ids, report)
    by_us, by_them, left = ours(account), theirs(account), account.jobs
    lost = {r.job_id for r in requests if r.operation == DELETE and r.fault is not None}
    for job_id, outcome in outcomes.items():
        match outcome["result"], outcome["reason"]:
            case "done", "confirmed":
                agrees = by_us.get(job_id) == outcome["request_id"]
            case "done", "inferred":
                agrees = job_id in lost and (job_id in by_us or job_id in by_them)
            case "skipped", "already_gone":
                agrees = job_id in by_them
            case "skipped", "changed":
                agrees = job_id in others.changed and job_id not in by_us
            case _:
                agrees = False
        if not agrees:
            findings.disagreements.append(
                f"{job_id}: {outcome['result']}, {outcome['reason']};"
                f" by us: {job_id in by_us}, by others: {job_id in by_them}, left: {job_id in left}"
            )
    for job_id in sorted(by_us.keys() - set(ids)):
        findings.disagreements.append(f"{job_id}: deleted, and not in the plan")
    for job_id in sorted({str(r.job_id) for r in requests if r.operation == DELETE} - set(ids)):
        findings.disagreements.append(f"{job_id}: a deletion was sent, and it is not in the plan")
    findings.figures["agreeing, job by job"] = f"{len(outcomes) - len(findings.disagreements):,}"


def once_each(
    findings: Findings, ids: list[str], report: Mapping[str, Any]
) -> dict[str, Mapping[str, Any]]:
    times = Counter(outcome["job_id"] for outcome in report["outcomes"])
    for job_id in {*ids, *times}:
        if times[job_id] != (job_id in ids):
            findings.disagreements.append(f"{job_id}: {times[job_id]} times in a report")
    total = report["done"] + report["skipped"] + report["failed"]
    if not report["selected"] == total == len(ids):
        findings.disagreements.append(f"{report['selected']} jobs reported, {len(ids)} planned")
    return {outcome["job_id"]: outcome for outcome in report["outcomes"]}


def ours(account: Account) -> dict[str, str | None]:
    """
    The jobs deleted over HTTP, with the request that did it.
    """
    return {
        entry.job_id: entry.request_id
        for entry in list(account.books.entries)
        if entry.action == "deleted" and entry.request_id is not None
    }


def theirs(account: Account) -> set[str]:
    """
    The jobs deleted by others.
    """
    return {
        entry.job_id
        for entry in list(account.books.entries)
        if entry.action == "deleted" and entry.request_id is None
    }


def nth_deletion(studio: Emulator, number: int) -> Any:
    seen = 0

    def is_it(request: Request) -> bool:
        nonlocal seen
        seen += request.operation == DELETE
        return seen >= number

    return studio.journal.first(is_it)


def surroundings(studio: Emulator) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not re.match("DASHSCOPE", name)}
    return kept | {"DASHSCOPE_BASE_URL": studio.url, "DASHSCOPE_API_KEY": studio.key()}


def main() -> int:
    with TemporaryDirectory() as folder:
        findings = try_out(Scale(), Path(folder))
    print(findings.text())
    went_on = any(seconds > AT_ONCE for seconds in findings.late)
    if went_on:
        print(f"Deletions came later than {AT_ONCE} s after the signal.")
    return bool(findings.disagreements) or went_on


if __name__ == "__main__":
    sys.exit(main())
