"""
Many callers on one client for a while, and what is left of it.

    python -m tests.trials.soak [--seconds 60] [--callers 64]

The emulator runs in a process of its own, slow, with a rate limit, and with something going
wrong in one request of a hundred. The callers read, walk, create, cancel and delete. Memory,
tasks and sockets are sampled meanwhile. Then what each call ended in is compared with the
emulator's own books; the claims are kept in a file, so that they don't weigh on the memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median
from tempfile import TemporaryDirectory
from typing import IO, Any, TypeVar

from attrs import define, field, frozen

from dashscope_ft import (
    AsyncClient,
    DashScopeError,
    FineTuneJob,
    NotFound,
    OutcomeUnknown,
    Receipt,
)
from dashscope_ft.emulator import Emulator, Fault

T = TypeVar("T")

CONCURRENCY = 8
FRESH = CONCURRENCY  # connections for creations alone
GROWTH = 0.04  # of the memory after warming up, or this many MiB: what counts as flat
GROWTH_MIB = 3.0
TIMEOUT = 2.0

# About one in a hundred, in six ways.
FAULTS = [
    Fault(lose="after", every=450, times=None),
    Fault(lose="before", every=450, times=None),
    Fault(lose="after", reset=True, every=550, times=None),
    Fault(status=503, every=550, times=None),
    Fault(torn=40, every=650, times=None),
    Fault(answer_delay=2 * TIMEOUT, every=1_300, times=None),
]


@frozen(kw_only=True)
class Scale:
    """
    How large a trial is.
    """

    seconds: float = 60.0
    callers: int = 64
    jobs: int = 2_000
    rate: float = 150.0
    latency: float = 0.005
    sampled_every: float = 0.25
    seed: int = 7

    @property
    def shows_memory(self) -> bool:
        """
        Whether it is long enough to tell growth from warming up.
        """
        return self.seconds >= 30


@frozen
class Sample:
    """
    What the process holds at one moment.
    """

    second: float
    mebibytes: float
    tasks: int
    sockets: int


@define
class Findings:
    """
    What a trial came to.
    """

    figures: dict[str, Any] = field(factory=dict)
    disagreements: list[str] = field(factory=list)

    def check(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.disagreements.append(otherwise)

    def sentence(self) -> str:
        """
        All of it on one line.
        """
        facts = [f"{name}: {value}" for name, value in self.figures.items()]
        return "; ".join([*facts, f"disagreements: {len(self.disagreements)}"]) + "."

    def text(self) -> str:
        lines = [f"{name:<40}{value}" for name, value in self.figures.items()]
        return "\n".join(
            [*lines, f"{'disagreements':<40}{len(self.disagreements)}", *self.disagreements]
        )


@define
class Ledger:
    """
    What every call ended in.
    """

    file: IO[str]
    begun: int = 0
    ends: Counter[str] = field(factory=Counter)
    """How calls ended: `answered`, or the name of the error."""

    foreign: list[str] = field(factory=list)
    """Errors that are none of the tree."""

    async def account(self, deed: str, subject: str, call: Callable[[], Awaitable[T]]) -> T | None:
        """
        Make a call, and note what it ended in.
        """
        self.begun += 1
        answer: T | None = None
        claim: dict[str, Any] = {"deed": deed, "subject": subject}
        try:
            answer = await call()
        except DashScopeError as error:
            claim["end"] = type(error).__name__
        except BaseException as error:
            self.foreign.append(f"{deed} {subject}: {error!r}")
            raise
        else:
            claim["end"] = "answered"
        self.ends[claim["end"]] += 1
        if isinstance(answer, Receipt):
            claim |= {"confirmed": answer.confirmed, "request_id": answer.request_id}
        if isinstance(answer, FineTuneJob):
            claim["job_id"] = answer.job_id
        if deed in ("create", "cancel", "delete"):
            self.file.write(json.dumps(claim) + "\n")
        return answer


@define
class Caller:
    """
    One of many who use the client, with jobs of its own to change.
    """

    number: int
    client: AsyncClient
    ledger: Ledger
    random: Random
    known: list[str]
    """Jobs that nobody changes."""

    own: list[str] = field(factory=list)
    created: int = 0

    async def live(self, over: Callable[[], bool]) -> None:
        deeds = [self.page, self.get, self.walk, self.logs, self.create, self.cancel, self.delete]
        while not over():
            [deed] = self.random.choices(deeds, weights=[24, 30, 6, 10, 10, 5, 15])
            await deed()

    async def page(self) -> None:
        number = self.random.randrange(1, 10)
        await self.ledger.account("page", "", lambda: self.client.fine_tunes.page(number, 50))

    async def get(self) -> None:
        job_id = self.random.choice(self.known)
        job = await self.ledger.account("get", job_id, lambda: self.client.fine_tunes.get(job_id))
        if job is not None and job.job_id != job_id:
            self.ledger.foreign.append(f"asked for {job_id}, answered with {job.job_id}")

    async def walk(self) -> None:
        async def some() -> int:
            seen = 0
            async with self.client.fine_tunes.list(page_size=50) as jobs:
                async for _ in jobs:
                    seen += 1
                    if seen == 120:
                        break
            return seen

        await self.ledger.account("walk", "", some)

    async def logs(self) -> None:
        async def lines() -> int:
            return len([line async for line in self.client.fine_tunes.logs(job_id)])

        job_id = self.random.choice(self.known)
        await self.ledger.account("logs", job_id, lines)

    async def create(self) -> None:
        self.created += 1
        name = f"soak-{self.number}-{self.created}"
        job = await self.ledger.account(
            "create",
            name,
            lambda: self.client.fine_tunes.create(
                model="qwen3-8b", training_file_ids=["file-1"], job_name=name
            ),
        )
        if job is not None:
            self.own.append(job.job_id)

    async def cancel(self) -> None:
        if self.own:
            job_id = self.own[-1]
            await self.ledger.account(
                "cancel", job_id, lambda: self.client.fine_tunes.cancel(job_id)
            )

    async def delete(self) -> None:
        if not self.own:
            return await self.create()
        job_id = self.own.pop(0)

        async def delete() -> Receipt:
            try:
                return await self.client.fine_tunes.delete(job_id)
            except OutcomeUnknown:
                raise  # never asked again, so that it stays what it is until the end
            except DashScopeError:
                self.own.append(job_id)
                raise

        await self.ledger.account("delete", job_id, delete)
        return None


async def soak(scale: Scale, folder: Path) -> Findings:
    """
    Let the callers live, and compare.
    """
    findings = Findings()
    with studio(scale) as process, (folder / "claims").open("w+") as file:
        told = json.loads(await asyncio.to_thread(_line, process))
        ledger, samples, random = Ledger(file), list[Sample](), Random(scale.seed)
        before = sample(0.0)
        client = AsyncClient(
            base_url=told["url"],
            api_key=told["key"],
            timeout=TIMEOUT,
            deadline=20.0,
            concurrency=CONCURRENCY,
        )
        callers = [
            Caller(number, client, ledger, Random(random.random()), told["known"])
            for number in range(scale.callers)
        ]
        begun = time.monotonic()
        lives = [
            asyncio.create_task(each.live(lambda: time.monotonic() - begun >= scale.seconds))
            for each in callers
        ]
        while not all(life.done() for life in lives):
            samples.append(sample(time.monotonic() - begun))
            await asyncio.wait(lives, timeout=scale.sampled_every)
        lasted = time.monotonic() - begun
        for life in lives:
            findings.check(life.exception() is None, f"a caller ended in {life.exception()!r}")
        after_calls = sample(lasted)

        file.seek(0)
        claims = [json.loads(line) for line in file]
        unknown = [c["subject"] for c in claims if c["end"] == "OutcomeUnknown"]
        resolved = {
            subject: await is_gone(client, subject)
            for subject in unknown
            if not subject.startswith("soak-")
        }
        await client.aclose()
        await asyncio.sleep(0)
        after = sample(lasted)
        books = json.loads(await asyncio.to_thread(_books, process))

    compare(findings, claims, resolved, books)
    findings.check(not ledger.foreign, f"not of the tree: {ledger.foreign[:5]}")
    findings.check(
        ledger.begun == ledger.ends.total(),
        f"{ledger.begun} calls begun, {ledger.ends.total()} ended",
    )
    look_for_leaks(findings, scale, before, samples, after_calls, after)
    errors = {end: count for end, count in ledger.ends.most_common() if end != "answered"}
    findings.figures = {
        "callers, seconds": f"{scale.callers}, {lasted:.1f}",
        "calls, a second": f"{ledger.begun:,}, {ledger.begun / lasted:.0f}",
        "answered": f"{ledger.ends['answered']:,}",
        "ended in an error of the tree": f"{sum(errors.values()):,} {errors or ''}",
        "ended in anything else, or not at all": f"{ledger.begun - ledger.ends.total():,}",
        "requests at the emulator": f"{books['requests']:,}",
        "of these, struck by a fault": f"{books['faults']:,} "
        f"({books['faults'] / max(1, books['requests']):.2%})",
        "of these, refused for the rate": f"{books['throttled']:,}",
        "most connections at once": books["most_connections"],
    } | findings.figures
    return findings


async def is_gone(client: AsyncClient, job_id: str) -> bool:
    """
    Ask until there is an answer.
    """
    while True:
        try:
            await client.fine_tunes.get(job_id)
        except NotFound:
            return True
        except DashScopeError:
            continue
        return False


def compare(
    findings: Findings,
    claims: list[dict[str, Any]],
    resolved: dict[str, bool],
    books: dict[str, Any],
) -> None:
    """
    Compare what callers were told with what was done.
    """
    deleted, canceled = dict(books["deleted"]), dict(books["canceled"])
    created = [job_id for job_id, _ in books["created"]]
    findings.check(len(deleted) == len(books["deleted"]), "a job was deleted twice")

    asked = [claim for claim in claims if claim["deed"] == "delete"]
    last = {claim["subject"]: claim for claim in asked}
    stray = deleted.keys() - last.keys()
    findings.check(not stray, f"deleted, and nobody asked: {sorted(stray)[:5]}")
    ends = Counter[str]()
    for job_id, claim in last.items():
        match claim:
            case {"end": "answered", "confirmed": True}:
                ends["confirmed"] += 1
                agrees = deleted.get(job_id) == claim["request_id"]
            case {"end": "answered"}:
                ends["inferred"] += 1
                agrees = job_id in deleted
            case {"end": "OutcomeUnknown"}:
                ends["unknown, then looked up"] += 1
                agrees = resolved[job_id] == (job_id in deleted)
            case _:
                ends["refused"] += 1
                agrees = job_id not in deleted
        findings.check(agrees, f"{job_id}: {claim}; in the books: {deleted.get(job_id)}")

    for claim in claims:
        if claim["deed"] == "cancel" and claim.get("confirmed"):
            agrees = claim["subject"] in canceled
            findings.check(agrees, f"{claim}: not in the books as cancelled")

    creations = [claim for claim in claims if claim["deed"] == "create"]
    known = {claim["job_id"] for claim in creations if claim["end"] == "answered"}
    in_doubt = {claim["subject"] for claim in creations if claim["end"] == "OutcomeUnknown"}
    nameless = [books["names"].get(job_id) for job_id in created if job_id not in known]
    findings.check(known <= set(created), "a creation was answered, and is not in the books")
    findings.check(len(nameless) == len(set(nameless)), f"created twice: {nameless}")
    findings.check(set(nameless) <= in_doubt, f"created, and told otherwise: {nameless}")
    findings.figures |= {
        "jobs asked to be deleted": f"{len(last):,} {dict(ends)}",
        "deletions in the books": f"{len(deleted):,}, of which nobody asked for {len(stray)}",
        "creations, in the books": f"{len(creations):,}, {len(created):,}; "
        f"in doubt {len(in_doubt)}, of which {len(nameless)} happened, 0 twice"
        if len(nameless) == len(set(nameless))
        else nameless,
    }


def look_for_leaks(
    findings: Findings,
    scale: Scale,
    before: Sample,
    samples: list[Sample],
    after_calls: Sample,
    after: Sample,
) -> None:
    """
    Compare what the process holds early and late.
    """
    most_tasks = max(each.tasks for each in samples)
    most_sockets = max(each.sockets for each in samples) - before.sockets
    findings.check(
        most_sockets <= CONCURRENCY + FRESH, f"{most_sockets} sockets for {CONCURRENCY} flights"
    )
    findings.check(after_calls.tasks == before.tasks, f"{after_calls.tasks} tasks after the calls")
    findings.check(after.tasks == before.tasks, f"{after.tasks} tasks left")
    findings.check(after.sockets == before.sockets, f"{after.sockets} sockets, {before.sockets}")
    settled = [each for each in samples if each.second >= scale.seconds / 3]
    quarter = max(1, len(settled) // 4)
    early = median(each.mebibytes for each in settled[:quarter])
    late = median(each.mebibytes for each in settled[-quarter:])
    if scale.shows_memory:
        bound = max(GROWTH_MIB, GROWTH * early)
        findings.check(late - early <= bound, f"memory grew from {early:.1f} to {late:.1f} MiB")
    findings.figures |= {
        "tasks: before, at most, after": f"{before.tasks}, {most_tasks}, {after.tasks}",
        "sockets: before, at most, after": f"{before.sockets}, {most_sockets + before.sockets}, "
        f"{after.sockets}",
        "memory once warm, at the end": f"{early:.1f} MiB, {late:.1f} MiB ({late - early:+.1f})"
        f" in {len(samples):,} samples",
    }


def sample(second: float) -> Sample:
    """
    Look at this process; what a system doesn't tell is 0.
    """
    mebibytes = sockets = 0.0
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        mebibytes = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        for descriptor in os.listdir("/proc/self/fd"):
            path = f"/proc/self/fd/{descriptor}"
            sockets += os.path.islink(path) and os.readlink(path).startswith("socket:")
    return Sample(second, mebibytes, len(asyncio.all_tasks()), int(sockets))


@contextmanager
def studio(scale: Scale) -> Iterator[subprocess.Popen[str]]:
    """
    Run the emulator in a process of its own, which this one's memory does not count.
    """
    options = [*("--jobs", str(scale.jobs)), *("--rate", str(scale.rate))]
    options += [*("--latency", str(scale.latency)), *("--seed", str(scale.seed))]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.trials.soak", "--studio", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def _books(process: subprocess.Popen[str]) -> str:
    assert process.stdin
    process.stdin.write("books\n")
    process.stdin.flush()
    return _line(process)


async def serve(options: argparse.Namespace) -> None:
    """
    Run the emulator until a line comes, and tell what is in the books.
    """
    async with Emulator(
        seed=options.seed, rate=options.rate, latency=options.latency, speed=60.0
    ) as emulator:
        account, journal = emulator.account(), emulator.journal
        known = emulator.seed(jobs=options.jobs, statuses=["SUCCEEDED", "FAILED", "CANCELED"])
        emulator.inject(*FAULTS)
        print(json.dumps({"url": emulator.url, "key": emulator.key(), "known": known}), flush=True)
        counts = Counter[str]()
        line = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        while True:
            ended, _ = await asyncio.wait([line], timeout=0.0 if line.done() else 1.0)
            for request in [each for each in journal if each.ended is not None]:
                journal.requests.remove(request)
                counts["requests"] += 1
                counts["faults"] += request.fault is not None
                counts["throttled"] += request.status == 429
            if ended:
                break
        entries = [entry for entry in account.books.entries if entry.request_id is not None]
        by_action = {
            action: [
                (entry.job_id, entry.request_id) for entry in entries if entry.action == action
            ]
            for action in ("created", "canceled", "deleted")
        }
        names = {job_id: job.get("job_name") for job_id, job in account.jobs.items()}
        numbers = {name: counts[name] for name in ("requests", "faults", "throttled")}
        most = {"most_connections": journal.most_connections}
        print(json.dumps(by_action | numbers | most | {"names": names}), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.trials.soak")
    usual = Scale()
    parser.add_argument("--seconds", type=float, default=usual.seconds)
    parser.add_argument("--callers", type=int, default=usual.callers)
    parser.add_argument("--jobs", type=int, default=usual.jobs)
    parser.add_argument("--rate", type=float, default=usual.rate)
    parser.add_argument("--latency", type=float, default=usual.latency)
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--studio", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.studio:
        asyncio.run(serve(options))
        return 0
    scale = Scale(
        seconds=options.seconds,
        callers=options.callers,
        jobs=options.jobs,
        rate=options.rate,
        latency=options.latency,
        seed=options.seed,
    )
    with TemporaryDirectory() as folder:
        findings = asyncio.run(soak(scale, Path(folder)))
    print(findings.text())
    return bool(findings.disagreements)


if __name__ == "__main__":
    sys.exit(main())
