"""
The asynchronous face, as type checkers see it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import assert_type

from dashscope_ft import (
    AsyncClient,
    AsyncOutcomes,
    AsyncPager,
    Checkpoint,
    FineTuneJob,
    ImportJob,
    Outcome,
    Page,
    Plan,
    Progress,
    Receipt,
    Report,
    Selection,
    TrainingLog,
)


async def fine_tuning_jobs(client: AsyncClient, job: FineTuneJob) -> None:
    jobs = client.fine_tunes
    assert_type(jobs.list(), AsyncPager[FineTuneJob])
    assert_type(jobs.list(model="qwen3-14b", status={"FAILED"}), AsyncPager[FineTuneJob])
    assert_type(await jobs.page(2, 100, model="qwen3-14b"), Page[FineTuneJob])
    assert_type(await jobs.get("ft-1"), FineTuneJob)
    assert_type(await jobs.cancel(job), Receipt)
    assert_type(await jobs.delete(job, missing_ok=True), Receipt)
    assert_type(await jobs.create(model="qwen3-14b", training_file_ids=["f-1"]), FineTuneJob)
    assert_type(await jobs.wait(job, poll_interval=30), FineTuneJob)
    assert_type(await jobs.wait_many([job, "ft-2"]), list[FineTuneJob])
    assert_type(jobs.logs(job, follow=True), AsyncGenerator[str, None])
    assert_type(await jobs.training_log(job), TrainingLog)
    assert_type(jobs.watch(job), AsyncGenerator[Progress, None])
    assert_type(await jobs.checkpoints(job), list[Checkpoint])
    assert_type(await jobs.export_checkpoint(job, "checkpoint-30", model_name="m"), Receipt)
    assert_type(await jobs.wait_for_export(job, "checkpoint-30"), Checkpoint)
    assert_type(jobs.cancel_many(["ft-1", job]), AsyncOutcomes)
    assert_type(jobs.delete_many(jobs.list(status="FAILED"), missing_ok=True), AsyncOutcomes)
    plan = await jobs.plan(Selection(status={"FAILED"}))
    assert_type(plan, Plan)
    assert_type(await jobs.apply(plan, max_deletes=200), Report)


async def import_jobs(client: AsyncClient, job: ImportJob) -> None:
    jobs = client.imports
    assert_type(jobs.list(status="FAILED", model_name="m"), AsyncPager[ImportJob])
    assert_type(await jobs.page(status="FAILED"), Page[ImportJob])
    assert_type(await jobs.get("937b"), ImportJob)
    assert_type(await jobs.delete(job), Receipt)
    assert_type((await jobs.delete(job)).job, ImportJob | None)
    assert_type(await jobs.wait(job), ImportJob)
    assert_type(jobs.delete_many([job]), AsyncOutcomes)
    plan = await jobs.plan(Selection())
    assert_type(await jobs.apply(plan), Report)


async def iterations(client: AsyncClient) -> None:
    async for job in client.fine_tunes.list():
        assert_type(job, FineTuneJob)
    async with client.imports.list() as pager:
        assert_type(pager, AsyncPager[ImportJob])
        async for batch in pager.batches():
            assert_type(batch, list[ImportJob])
        assert_type(await pager.collect(limit=10), list[ImportJob])
    async with client.fine_tunes.delete_many(["ft-1"]) as run:
        async for outcome in run:
            assert_type(outcome, Outcome)
        assert_type(await run.report(), Report)
        assert_type(run.so_far, Report)
    for each in await client.imports.page():
        assert_type(each, ImportJob)


async def clients() -> None:
    async with AsyncClient(region="cn", time_zone=UTC, timeout=5) as client:
        assert_type(client, AsyncClient)
        assert_type(client.with_options(page_size=20), AsyncClient)
        assert_type(client.workspace, str | None)


def models(job: FineTuneJob, report: Report) -> None:
    assert_type(job.job_id, str)
    assert_type(job.create_time, datetime | None)
    assert_type(job.is_finished, bool)
    assert_type(report.done, int)
