"""
The blocking face, as type checkers see it.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC
from typing import assert_type

from dashscope_ft import (
    Checkpoint,
    Client,
    FineTuneJob,
    ImportJob,
    Outcome,
    Outcomes,
    Page,
    Pager,
    Plan,
    Progress,
    Receipt,
    Report,
    Selection,
    TrainingLog,
)


def fine_tuning_jobs(client: Client, job: FineTuneJob) -> None:
    jobs = client.fine_tunes
    assert_type(jobs.list(), Pager[FineTuneJob])
    assert_type(jobs.list(model="qwen3-14b", status={"FAILED"}), Pager[FineTuneJob])
    assert_type(jobs.page(2, 100, model="qwen3-14b"), Page[FineTuneJob])
    assert_type(jobs.get("ft-1"), FineTuneJob)
    assert_type(jobs.cancel(job), Receipt)
    assert_type(jobs.delete(job, missing_ok=True), Receipt)
    assert_type(jobs.create(model="qwen3-14b", training_file_ids=["f-1"]), FineTuneJob)
    assert_type(jobs.wait(job, poll_interval=30), FineTuneJob)
    assert_type(jobs.wait_many([job, "ft-2"]), list[FineTuneJob])
    assert_type(jobs.logs(job, follow=True), Generator[str, None, None])
    assert_type(jobs.training_log(job), TrainingLog)
    assert_type(jobs.watch(job), Generator[Progress, None, None])
    assert_type(jobs.checkpoints(job), list[Checkpoint])
    assert_type(jobs.export_checkpoint(job, "checkpoint-30", model_name="m"), Receipt)
    assert_type(jobs.wait_for_export(job, "checkpoint-30"), Checkpoint)
    assert_type(jobs.cancel_many(["ft-1", job]), Outcomes)
    assert_type(jobs.delete_many(jobs.list(status="FAILED"), missing_ok=True), Outcomes)
    plan = jobs.plan(Selection(status={"FAILED"}))
    assert_type(plan, Plan)
    assert_type(jobs.apply(plan, max_deletes=200), Report)


def import_jobs(client: Client, job: ImportJob) -> None:
    jobs = client.imports
    assert_type(jobs.list(status="FAILED", model_name="m"), Pager[ImportJob])
    assert_type(jobs.page(status="FAILED"), Page[ImportJob])
    assert_type(jobs.get("937b"), ImportJob)
    assert_type(jobs.delete(job), Receipt)
    assert_type(jobs.delete(job).job, ImportJob | None)
    assert_type(jobs.wait(job), ImportJob)
    assert_type(jobs.delete_many([job]), Outcomes)
    plan = jobs.plan(Selection())
    assert_type(jobs.apply(plan), Report)


def iterations(client: Client) -> None:
    for job in client.fine_tunes.list():
        assert_type(job, FineTuneJob)
    with client.imports.list() as pager:
        assert_type(pager, Pager[ImportJob])
        for batch in pager.batches():
            assert_type(batch, list[ImportJob])
        assert_type(pager.collect(limit=10), list[ImportJob])
    with client.fine_tunes.delete_many(["ft-1"]) as run:
        for outcome in run:
            assert_type(outcome, Outcome)
        assert_type(run.report(), Report)
        assert_type(run.so_far, Report)
    for each in client.imports.page():
        assert_type(each, ImportJob)


def clients() -> None:
    with Client(region="cn", time_zone=UTC, timeout=5) as client:
        assert_type(client, Client)
        assert_type(client.with_options(page_size=20), Client)
        assert_type(client.workspace, str | None)
