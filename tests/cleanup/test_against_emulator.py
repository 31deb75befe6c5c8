from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dashscope_ft import AsyncClient, Plan, Selection
from dashscope_ft.emulator import Emulator, Fault, Pace, Request
from dashscope_ft.errors import GuardExceeded, PlanRefused
from dashscope_ft.models import FineTuneJob
from dashscope_ft.outcomes import Outcome, Report

pytestmark = pytest.mark.once

CLEAN_UP = """
import asyncio, json, signal, sys, time
from dashscope_ft import AsyncClient, Plan

async def main(url, key, plan, journal):
    told = []
    async with AsyncClient(base_url=url, api_key=key, concurrency=4) as client:
        task = asyncio.current_task()

        def stop():
            print("stopping", time.time(), flush=True)
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop)
        try:
            await client.fine_tunes.apply(
                Plan.load(plan),
                journal=journal,
                max_deletes=10_000,
                max_percent=100,
                on_outcome=told.append,
            )
        finally:
            print(json.dumps({o.job_id: [o.result, o.reason] for o in told}), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def a_client(emulator: Emulator, **options: Any) -> AsyncClient:
    return AsyncClient(base_url=emulator.url, api_key=emulator.key(), **options)


def check(emulator: Emulator, plan: Plan, report: Report) -> None:
    """
    Hold the emulator's own books against the report, job by job.
    """
    account = emulator.account()
    by = {e.job_id: e.request_id for e in account.books.entries if e.action == "deleted"}
    deletions = {request.request_id for request in emulator.journal.of(f"{plan.noun}.delete")}
    left = account.jobs if plan.noun == "fine_tunes" else account.imports
    planned = {entry.job_id for entry in plan.entries}

    assert sorted(o.job_id for o in report.outcomes) == sorted(planned)
    assert {job for job, request in by.items() if request in deletions} <= planned
    for outcome in report.outcomes:
        gone_by_us = by.get(outcome.job_id) in deletions
        if outcome.result == "done":
            assert outcome.job_id not in left
            assert gone_by_us or outcome.reason == "inferred"
            if outcome.reason == "confirmed":
                assert outcome.request_id == by[outcome.job_id]
        elif outcome.reason != "unknown_outcome":
            assert not gone_by_us, outcome


async def test_a_clean_up_while_others_work(tmp_path: Path) -> None:
    """
    With answers lost and others creating, deleting and changing jobs, report and books agree.
    """
    async with Emulator(seed=3) as emulator, a_client(emulator) as client:
        account = emulator.account()
        emulator.seed(jobs=400)
        plan = await client.fine_tunes.plan(Selection(protect="ft-*7?"))
        ids = [entry.job_id for entry in plan.entries]
        emulator.inject(
            Fault(operation="fine_tunes.delete", lose="after", every=7, times=None),
            Fault(operation="fine_tunes.delete", lose="before", every=11, times=None),
            Fault(operation="fine_tunes.get", status=502, every=13, times=None),
        )
        for job_id in ids[5::20]:
            account.remove(job_id)
        for job_id in ids[6::20]:
            account.set_status(job_id, "SUCCEEDED")
        others = iter(ids[::-9])

        def meddle(_: Outcome) -> None:
            emulator.seed(jobs=1)
            if (job_id := next(others, None)) in account.jobs and job_id:
                account.remove(job_id)

        journal = tmp_path / "journal"
        first = await client.fine_tunes.apply(
            plan, journal=journal, max_deletes=400, on_outcome=meddle
        )
        emulator.faults.clear()
        report = await client.fine_tunes.apply(plan, journal=journal, max_deletes=400)

        assert len(ids) > 100
        check(emulator, plan, first)
        check(emulator, plan, report)
        assert report.reasons["confirmed"] > 50
        assert report.reasons["inferred"] > 3
        assert report.reasons["changed"] >= len(ids[6::20]) - 1
        assert report.reasons["already_gone"] >= len(ids[5::20]) - 1
        assert report.failed == 0


async def test_a_plan_sends_only_gets(tmp_path: Path) -> None:
    """
    Making, showing and saving a plan changes nothing.
    """
    async with Emulator() as emulator, a_client(emulator) as client:
        emulator.seed(jobs=250, imports=30)

        for noun in (client.fine_tunes, client.imports):
            plan = await noun.plan(Selection(keep_latest=1, older_than=timedelta(hours=1)))
            plan.save(tmp_path / "plan.json")
            assert plan.entries
            assert plan.listed == len(plan.entries) + sum(group.jobs for group in plan.stays)
            assert emulator.key() not in plan.summary() + (tmp_path / "plan.json").read_text()

        assert {request.method for request in emulator.journal} == {"GET"}


async def test_a_plan_is_for_its_account(tmp_path: Path) -> None:
    """
    A plan of one region is refused in another, and beyond its bounds, without a request.
    """
    async with Emulator() as emulator, a_client(emulator) as client:
        emulator.seed(jobs=100)
        plan = await client.fine_tunes.plan(Selection())
        emulator.journal.clear()
        elsewhere = AsyncClient(base_url=emulator.base_url("cn"), api_key=emulator.key("cn"))

        async with elsewhere:
            with pytest.raises(PlanRefused):
                await elsewhere.fine_tunes.apply(plan)
        with pytest.raises(PlanRefused):
            await client.imports.apply(plan)
        with pytest.raises(GuardExceeded):
            await client.fine_tunes.apply(plan)

        assert not len(emulator.journal)


async def test_imports_are_cleaned_up_too() -> None:
    """
    Failed imports go with their files, and the rest stays.
    """
    async with Emulator() as emulator, a_client(emulator) as client:
        emulator.inject(*losing_answers(emulator.seed(imports=60)[::3]))

        plan = await client.imports.plan(Selection())
        report = await client.imports.apply(plan, max_percent=100)

        check(emulator, plan, report)
        assert report.done == len(plan.entries) > 5
        left = {job["status"] for job in emulator.account().imports.values()}
        assert "FAILED" not in left
        assert "SUCCESSED" in left


async def test_running_jobs_on_request() -> None:
    """
    A running job is cancelled, waited for and deleted, if that was asked for.
    """
    pace = Pace(running=3600, canceling=0.2)
    async with Emulator(pace=pace) as emulator, a_client(emulator) as client:
        emulator.seed(jobs=6, statuses=["RUNNING"])
        plan = await client.fine_tunes.plan(Selection(status="RUNNING"))

        spared = await client.fine_tunes.apply(plan, max_percent=100)
        report = await client.fine_tunes.apply(plan, max_percent=100, cancel_running=True)

        assert spared.reasons == {"state": 6}
        assert report.reasons == {"confirmed": 6}
        assert sorted(emulator.account().books.canceled) == sorted(e.job_id for e in plan.entries)
        check(emulator, plan, report)


async def test_deleting_from_a_walk_leaves_nothing_behind() -> None:
    """
    Deleting the very jobs that a listing walks over misses none of them.
    """
    async with Emulator() as emulator, a_client(emulator) as client:
        ids = emulator.seed(jobs=300, statuses=["FAILED", "SUCCEEDED", "CANCELED"])
        emulator.inject(*losing_answers(ids[::10]))

        async with client.fine_tunes.delete_many(client.fine_tunes.list(status="FAILED")) as run:
            outcomes = [outcome async for outcome in run]

        assert len(outcomes) == len(emulator.account().books.deleted) > 50
        assert {outcome.result for outcome in outcomes} == {"done"}
        assert all(isinstance(outcome.job, FineTuneJob) for outcome in outcomes)
        left = {job["status"] for job in emulator.account().jobs.values()}
        assert left == {"SUCCEEDED", "CANCELED"}


async def test_a_key_that_is_refused_half_way() -> None:
    """
    Once the key is refused nothing more is sent, and every job is still accounted for.
    """
    async with Emulator() as emulator, a_client(emulator) as client:
        ids = emulator.seed(jobs=60, statuses=["FAILED"])
        body = {"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r"}
        deletions = "fine_tunes.delete"
        emulator.inject(*[Fault(operation=deletions, status=401, body=body, every=20, times=1)])

        report = await client.fine_tunes.delete_many(ids).report()

        assert report.selected == 60
        assert report.reasons["InvalidApiKey"] == 1
        assert report.done == len(emulator.account().books.deleted)
        assert report.reasons["not_attempted"] == 59 - report.done > 30


def losing_answers(job_ids: Sequence[str]) -> list[Fault]:
    """
    Lose one answer for each of these jobs; a job that lost every one would rightly be unknown.
    """
    return [Fault(operation="*.delete", path=f"*/{job_id}", lose="after") for job_id in job_ids]


async def start(emulator: Emulator, plan: Path, journal: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CLEAN_UP, emulator.url, emulator.key(), str(plan), str(journal)),
        stdout=subprocess.PIPE,
    )


async def nth_deletion(emulator: Emulator, n: int, process: asyncio.subprocess.Process) -> None:
    """
    Wait until that many deletions have been asked for, by a process that lives so long.
    """
    count = 0

    def is_it(request: Request) -> bool:
        nonlocal count
        count += request.operation == "fine_tunes.delete"
        return count == n

    deletion: asyncio.Future[Any] = asyncio.wrap_future(emulator.journal.first(is_it))
    ended: asyncio.Future[Any] = asyncio.ensure_future(process.wait())
    await asyncio.wait({deletion, ended}, return_when=asyncio.FIRST_COMPLETED)
    lived = not ended.done()
    ended.cancel()
    await asyncio.wait([ended])
    assert lived


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
async def test_killed_again_and_again(tmp_path: Path) -> None:
    """
    A process that is killed in the middle loses nothing: the next one takes the journal up.
    """
    plan_path, journal = tmp_path / "plan.json", tmp_path / "journal"
    async with Emulator(rate=150) as emulator, a_client(emulator) as client:
        ids = emulator.seed(jobs=120, statuses=["FAILED", "CANCELED"])
        emulator.inject(*losing_answers(ids[::9]))
        plan = await client.fine_tunes.plan(Selection())
        plan.save(plan_path)
        for n in (5, 40):
            emulator.journal.clear()
            process = await start(emulator, plan_path, journal)
            await nth_deletion(emulator, n, process)
            process.kill()
            await process.communicate()
        killed = set(emulator.account().books.deleted)

        report = await client.fine_tunes.apply(
            plan, journal=journal, max_deletes=120, max_percent=100
        )

        assert 40 < len(killed) < 120
        assert report.selected == report.done == 120
        assert len(emulator.account().books.deleted) == 120
        assert not emulator.account().jobs


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
async def test_interrupted_half_way(tmp_path: Path) -> None:
    """
    After Ctrl-C no deletion begins, the journal agrees with the report, and a resume finishes.
    """
    plan_path, journal = tmp_path / "plan.json", tmp_path / "journal"
    async with Emulator(rate=20) as emulator, a_client(emulator) as client:
        emulator.account().rules.burst = 5
        emulator.seed(jobs=200, statuses=["FAILED", "SUCCEEDED"])
        plan = await client.fine_tunes.plan(Selection())
        plan.save(plan_path)
        process = await start(emulator, plan_path, journal)
        await nth_deletion(emulator, 10, process)
        process.send_signal(signal.SIGINT)
        output, _ = await process.communicate()
        stopping, told_line = output.decode().splitlines()
        told = json.loads(told_line)
        lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
        outcomes = {
            o["job_id"]: [o["result"], o["reason"]] for line in lines if (o := line.get("outcome"))
        }
        stopped_at = float(stopping.split()[1])
        late = [r for r in emulator.journal.of("fine_tunes.delete") if r.time > stopped_at + 0.5]

        assert process.returncode not in (0, None)
        assert not late
        assert {j: o for j, o in told.items() if o != ["skipped", "not_attempted"]} == outcomes
        assert {j for j, o in outcomes.items() if o[0] == "done"} == set(
            emulator.account().books.deleted
        )

        emulator.account().rules.rate = None
        report = await client.fine_tunes.apply(
            plan, journal=journal, max_deletes=200, max_percent=100
        )
        assert report.reasons == {"confirmed": len(plan.entries)}
        check(emulator, plan, report)
