"""
`dashscope-ft demo`: a demonstration of the library's guarantees.

It uses the public API over real HTTP, against an emulator. The figures at the end are counted
from the results, and from the emulator's own books.
"""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import TYPE_CHECKING

from dashscope_ft import AsyncClient, ImportStatus, JobStatus
from dashscope_ft.emulator import Account, Emulator, Fault

from .exits import ExitCode
from .findings import Change, Findings, verdict
from .steps import Steps, steps
from .terminal import say, write_lines

if TYPE_CHECKING:
    from dashscope_ft import AsyncOutcomes, FineTuneJob, Report

_SIZES = {"intl": 420, "cn": 260}
_LATENCY = 0.06
_SECONDS_PER_CHANGE = 0.03
_PAGE_SIZE = 20  # small pages: more of them, with more changes in between


async def demonstrate(seed: int) -> int:
    """
    Run the demonstration in both regions at once, write its figures, and return the exit code.
    """
    began = time.monotonic()
    async with Emulator(seed=seed, latency=_LATENCY) as emulator:
        for region, size in _SIZES.items():
            seeded = emulator.seed(region, jobs=size, imports=8)
            emulator.inject(*(_lost_answer(job_id) for job_id in seeded[::10]))
        say(
            f"{sum(_SIZES.values())} fine-tuning jobs in two regions of an emulator."
            f" One in ten is to lose the answer to its deletion. Seed {seed}."
        )
        with steps() as shown:
            async with asyncio.TaskGroup() as regions:
                runs = [
                    regions.create_task(_run_region(region, emulator, seed, shown))
                    for region in _SIZES
                ]
        findings = [region_run.result() for region_run in runs]
        requests = len(emulator.journal)
    lines, all_good = verdict(findings)
    write_lines(lines)
    say(f"{requests:,} requests in {time.monotonic() - began:.1f} seconds.")
    return ExitCode.DONE if all_good else ExitCode.FAILED


def _lost_answer(job_id: str) -> Fault:
    """
    Return a fault that loses only the first answer: if all are lost, the outcome stays unknown.
    """
    return Fault(operation="*.delete", path=f"*/{job_id}", lose="after")


async def _run_region(region: str, emulator: Emulator, seed: int, shown: Steps) -> Findings:
    """
    List, cancel, delete and list again in one region, while other users change its jobs.
    """
    account = emulator.account(region)
    async with AsyncClient(
        region=region,
        base_url=emulator.base_url(region),
        api_key=emulator.key(region),
        workspace=account.workspace,
        page_size=_PAGE_SIZE,
        concurrency=4,
    ) as client:
        before = set(account.jobs)
        others = asyncio.create_task(_other_users(account, Random(f"{seed} {region}")))  # noqa: S311
        plainly = asyncio.create_task(_page_plainly(client, account))
        try:
            shown.begin(region, "listing", total=len(before))
            listed = await _listed(client, region, shown)
            after = set(account.jobs)
            missed_plainly = await plainly
        finally:
            plainly.cancel()
            others.cancel()

        running = [job for job in listed if job.status == JobStatus.RUNNING]
        failed = [job for job in listed if job.status == JobStatus.FAILED]
        shown.begin(region, "cancelling", total=len(running))
        cancelled = await _reported(client.fine_tunes.cancel_many(running), region, shown)
        shown.begin(region, "deleting", total=len(failed))
        deleted = await _reported(client.fine_tunes.delete_many(failed), region, shown)
        unwanted = await client.imports.list(status=ImportStatus.FINISHED).collect(limit=1)
        shown.begin(region, "deleting import", total=len(unwanted))
        imports_deleted = await _reported(client.imports.delete_many(unwanted), region, shown)

        shown.begin(region, "listing again", total=len(account.jobs))
        left = await _listed(client, region, shown)
    return Findings(
        region=region,
        before=before,
        after=after,
        listed=[job.job_id for job in listed],
        missed_plainly=len(missed_plainly),
        cancelled=Change.of(cancelled, account.books, "canceled", "fine_tunes"),
        deleted=Change.of(deleted, account.books, "deleted", "fine_tunes"),
        imports_deleted=Change.of(imports_deleted, account.books, "deleted", "imports"),
        listed_again=[job.job_id for job in left],
        left=set(account.jobs),
    )


async def _listed(client: AsyncClient, region: str, shown: Steps) -> list[FineTuneJob]:
    jobs: list[FineTuneJob] = []
    async for batch in client.fine_tunes.list().batches():
        jobs += batch
        shown.advance(region, len(batch))
    return jobs


async def _reported(run: AsyncOutcomes, region: str, shown: Steps) -> Report:
    async for _ in run:
        shown.advance(region)
    return await run.report()


async def _other_users(account: Account, random: Random) -> None:
    """
    Act as other users of the account: create and delete jobs until cancelled.
    """
    while True:
        await asyncio.sleep(random.uniform(0, 2 * _SECONDS_PER_CHANGE))
        if random.random() < 0.5:
            account.create_job({"model": "qwen3-8b", "training_file_ids": ["file-of-others"]})
        else:
            account.remove(random.choice(list(account.jobs)))


async def _page_plainly(client: AsyncClient, account: Account) -> set[str]:
    """
    Read page after page, as a simple client would, and return the jobs that this missed.
    """
    before, seen, number = set(account.jobs), set[str](), 1
    while page := await client.fine_tunes.page(number, _PAGE_SIZE):
        seen |= {job.job_id for job in page}
        number += 1
    return before & set(account.jobs) - seen
