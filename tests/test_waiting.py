from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from dashscope_ft import (
    AuthenticationFailed,
    DeadlineExceeded,
    FineTuneJob,
    InvalidArgument,
    JobFailed,
    JobStatus,
    NotFound,
)
from dashscope_ft.emulator import Fault

from .life import living
from .scripted import Answer, Silence, scripted

NO_JOBS = {"request_id": "r", "output": {"page_no": 1, "page_size": 100, "total": 0, "jobs": []}}


async def test_waiting_for_a_job() -> None:
    """
    Waiting gives the finished job, after a look every fifteen seconds.
    """
    async with living() as life:
        job = await life.job()

        ended = await life.client.fine_tunes.wait(job)

    assert (ended.job_id, ended.status) == (job.job_id, JobStatus.SUCCEEDED)
    assert set(life.slept) == {15.0}
    assert life.asked == {"fine_tunes.create": 1, "fine_tunes.get": 45}


async def test_a_job_that_has_ended_already() -> None:
    """
    A job that has ended costs one look and no pause.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["SUCCEEDED"])

        await life.client.fine_tunes.wait(job_id)

    assert life.slept == []
    assert life.asked == {"fine_tunes.get": 1}


async def test_a_failed_job_is_an_error_with_its_own_words() -> None:
    """
    A job that failed raises its own code and message, and is in the error.
    """
    async with living() as life:
        life.account.rules.failure_rate = 1.0
        job = await life.job()

        with pytest.raises(JobFailed) as caught:
            await life.client.fine_tunes.wait(job)

    assert (caught.value.code, caught.value.message) == ("InternalError", "Training diverged.")
    assert caught.value.job is not None
    assert caught.value.job.job_id == job.job_id
    assert job.job_id in str(caught.value)
    assert caught.value.__context__ is None
    assert pickle.loads(pickle.dumps(caught.value)).job == caught.value.job


async def test_a_cancelled_job_is_an_error_unless_told_otherwise() -> None:
    """
    A cancelled job raises; with `check=False` it is given like any other.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["CANCELED"])

        with pytest.raises(JobFailed, match="CANCELED"):
            await life.client.fine_tunes.wait(job_id)
        ended = await life.client.fine_tunes.wait(job_id, check=False)

    assert ended.status == JobStatus.CANCELED


async def test_a_deadline_tells_the_last_status() -> None:
    """
    A wait that is out of time says so at its deadline, with the last status it saw.
    """
    async with living() as life:
        job = await life.job()

        with pytest.raises(DeadlineExceeded) as caught:
            await life.client.fine_tunes.wait(job, deadline=100.0)

    assert caught.value.last_status == JobStatus.RUNNING
    assert sum(life.slept) == 100.0
    assert isinstance(caught.value, TimeoutError)
    assert "RUNNING" in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).last_status == JobStatus.RUNNING


async def test_blips_are_waited_through() -> None:
    """
    Outages that outlast a look's own attempts do not end the wait.
    """
    async with living() as life:
        job = await life.job()
        life.emulator.inject(
            Fault(operation="fine_tunes.get", status=503, times=9),
            Fault(operation="fine_tunes.get", lose="before", times=9),
            Fault(operation="fine_tunes.get", body="<html>back soon</html>", times=9),
            Fault(operation="fine_tunes.get", status=429, headers={"Retry-After": "90"}, times=2),
        )

        ended = await life.client.fine_tunes.wait(job)

    assert ended.status == JobStatus.SUCCEEDED


async def test_a_service_in_trouble_that_says_how_long() -> None:
    """
    The next look comes no sooner than a 503 asked for, however short the interval. On a 500 the
    word says nothing.
    """
    async with living() as life:
        job = await life.job()
        asking = {"Retry-After": "90"}
        life.emulator.inject(
            Fault(operation="fine_tunes.get", status=503, headers=asking, times=2),
            Fault(operation="fine_tunes.get", status=500, headers=asking, times=4),
        )

        await life.client.fine_tunes.wait(job, poll_interval=1.0)

    assert [pause for pause in life.slept if pause > 5.0] == [90.0, 90.0]


async def test_an_outage_until_the_deadline() -> None:
    """
    Where every look failed, the deadline's error says what the last failure was.
    """
    async with living() as life:
        job = await life.job()
        life.emulator.inject(Fault(operation="fine_tunes.get", status=503, times=None))

        with pytest.raises(DeadlineExceeded) as caught:
            await life.client.fine_tunes.wait(job, deadline=300.0)

    assert caught.value.last_status is None
    assert caught.value.status == 503


async def test_unknown_words_are_waited_through() -> None:
    """
    A status that this library does not know is not taken for an end.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1)
        words = iter(["PAUSED", "RESUMING", "", "SUCCEEDED"])
        life.account.set_status(job_id, "SHELVED")
        life.meanwhile = lambda: life.account.set_status(job_id, next(words))

        ended = await life.client.fine_tunes.wait(job_id)

    assert ended.status == JobStatus.SUCCEEDED
    assert len(life.slept) == 4


async def test_a_wrong_key_ends_the_wait() -> None:
    """
    What no second look would change is raised at once.
    """
    async with living(api_key="sk-wrong") as life:
        with pytest.raises(AuthenticationFailed):
            await life.client.fine_tunes.wait("ft-1")

    assert life.slept == []


async def test_a_job_that_is_not_there() -> None:
    """
    A job that does not exist is not waited for.
    """
    async with living() as life:
        with pytest.raises(NotFound):
            await life.client.fine_tunes.wait("ft-1")
        with pytest.raises(NotFound):
            await life.client.fine_tunes.wait_many(["ft-1", "ft-2"])

    assert life.slept == []


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf"), True, "15"])
async def test_bounds_that_are_none(bad: float) -> None:
    """
    An interval or a deadline that is not above zero is refused before anything is sent.
    """
    async with living() as life:
        with pytest.raises(InvalidArgument):
            await life.client.fine_tunes.wait("ft-1", deadline=bad)
        with pytest.raises(InvalidArgument):
            await life.client.imports.wait("937b", poll_interval=bad)

    assert not life.asked


async def test_waiting_for_an_import() -> None:
    """
    An import is waited for to `SUCCESSED`; a failed one raises its own message.
    """
    async with living() as life:
        good = await life.model_import()
        life.account.rules.failure_rate = 1.0
        bad = await life.model_import()

        ended = await life.client.imports.wait(good)
        with pytest.raises(JobFailed, match="configuration could not be read") as caught:
            await life.client.imports.wait(bad)

    assert ended.status == "SUCCESSED"
    assert caught.value.job is not None
    assert bad.job_id in str(caught.value)


async def test_many_jobs_share_the_pages_of_a_listing() -> None:
    """
    Fifty jobs are looked at by a page a tick, not by a request each.
    """
    async with living() as life:
        jobs = [await life.job() for _ in range(50)]
        life.emulator.journal.clear()

        ended = await life.client.fine_tunes.wait_many(jobs)

    assert [job.job_id for job in ended] == [job.job_id for job in jobs]
    assert {job.status for job in ended} == {JobStatus.SUCCEEDED}
    assert life.asked == {"fine_tunes.list": len(life.slept) + 1}


async def test_the_newest_jobs_of_a_long_list() -> None:
    """
    Once a page has shown all that are waited for, none behind it is read.
    """
    async with living() as life:
        life.emulator.seed(jobs=150)
        jobs = [await life.job() for _ in range(3)]
        life.emulator.journal.clear()

        await life.client.fine_tunes.wait_many(jobs)

    assert life.asked == {"fine_tunes.list": len(life.slept) + 1}


async def test_jobs_that_no_page_shows() -> None:
    """
    What the whole list does not show is not looked for behind its end, but got, once.
    """
    async with living() as life:
        life.emulator.seed(jobs=99)
        job = await life.job()  # which makes a full page
        life.emulator.journal.clear()

        with pytest.raises(NotFound):
            await life.client.fine_tunes.wait_many([job, "ft-none", "ft-nobody"])

    assert life.asked == {"fine_tunes.list": 1, "fine_tunes.get": 2 + len(life.slept)}


async def test_what_each_look_shows() -> None:
    """
    Whoever waits can be told at each look how those are that have not ended.
    """
    async with living() as life:
        jobs = [await life.job(), await life.job()]
        told: list[dict[str, str | None]] = []

        await life.client.fine_tunes.wait_many(jobs, on_look=lambda left: told.append(dict(left)))

    assert len(told) == len(life.slept) + 1
    assert told[0] == {job.job_id: JobStatus.PENDING for job in jobs}
    assert {JobStatus.RUNNING} in [set(each.values()) for each in told]
    assert told[-1] == {}


async def test_jobs_far_down_the_list() -> None:
    """
    A few jobs among thousands cost no more than twice a request each at the first look, and
    later one each.
    """
    async with living() as life:
        old = [await life.job(), await life.job()]
        life.clock.advance(1)
        for _ in range(450):
            life.account.create_job({"model": "qwen3-8b", "training_file_ids": ["file-1"]})
        life.emulator.journal.clear()

        await life.client.fine_tunes.wait_many(old)

    looks = len(life.slept) + 1
    assert life.asked == {"fine_tunes.list": 2, "fine_tunes.get": 2 * looks}


async def test_many_imports() -> None:
    """
    Imports are waited for together too.
    """
    async with living() as life:
        jobs = [await life.model_import() for _ in range(3)]

        ended = await life.client.imports.wait_many([*jobs, jobs[0].job_id])

    assert [job.job_id for job in ended] == [job.job_id for job in jobs]


async def test_one_of_many_fails() -> None:
    """
    The others are waited for first; then the failure is raised, with a note on how many.
    """
    async with living() as life:
        [failed] = life.emulator.seed(jobs=1, statuses=["FAILED"])
        job = await life.job()

        with pytest.raises(JobFailed) as caught:
            await life.client.fine_tunes.wait_many([job, failed])
        status = (await life.client.fine_tunes.get(job)).status
        ended = await life.client.fine_tunes.wait_many([job, failed], check=False)

    assert caught.value.job is not None
    assert caught.value.job.job_id == failed
    assert caught.value.__notes__ == ["1 of 2 jobs failed; this is the first."]
    assert status == JobStatus.SUCCEEDED
    assert [each.status for each in ended] == ["SUCCEEDED", "FAILED"]


async def test_many_jobs_and_a_deadline() -> None:
    """
    Out of time, the error names the first job that has not ended, its status, and how many.
    """
    async with living() as life:
        [done] = life.emulator.seed(jobs=1, statuses=["SUCCEEDED"])
        jobs = [await life.job() for _ in range(3)]

        with pytest.raises(DeadlineExceeded) as caught:
            await life.client.fine_tunes.wait_many([done, *jobs], deadline=70.0)

    assert caught.value.last_status == JobStatus.RUNNING
    assert f"{jobs[0].job_id} and 2 more of 4 jobs" in str(caught.value)


async def test_a_page_fails_and_what_was_seen_stays_seen() -> None:
    """
    Blips of the listing are waited through like those of a job.
    """
    async with living() as life:
        jobs = [await life.job() for _ in range(5)]
        life.emulator.inject(
            Fault(operation="fine_tunes.list", status=502, times=13),
            Fault(operation="fine_tunes.list", body="<html>", times=2),
        )

        ended = await life.client.fine_tunes.wait_many(jobs)

    assert len(ended) == 5


async def test_a_row_of_the_listing_that_can_never_be_read() -> None:
    """
    Jobs behind a page that stays unreadable are got one by one; a gateway's page is no reason to.
    """
    rows = {"output": {"page_no": 1, "page_size": 100, "total": 3, "jobs": [{"status": "RUNNING"}]}}
    async with living() as life:
        jobs = [await life.job() for _ in range(3)]
        life.emulator.inject(Fault(operation="fine_tunes.list", body="<html>", times=2))
        life.emulator.inject(Fault(operation="fine_tunes.list", status=200, body=rows, times=None))

        ended = await life.client.fine_tunes.wait_many(jobs)

    assert [job.status for job in ended] == [JobStatus.SUCCEEDED] * 3
    assert life.asked["fine_tunes.list"] == 3


async def test_a_gateways_404_among_many() -> None:
    """
    A gateway's 404 says nothing of the job, which may be running, and ends the wait at once.
    """
    async with living() as life:
        ids = life.emulator.seed(jobs=2, statuses=["RUNNING"])
        life.emulator.inject(Fault(operation="fine_tunes.list", status=200, body=NO_JOBS))
        life.emulator.inject(Fault(operation="fine_tunes.get", status=404, body="<html>"))

        with pytest.raises(NotFound) as caught:
            await life.client.fine_tunes.wait_many(ids)

    assert not caught.value.is_from_service
    assert life.slept == []


async def test_a_job_of_many_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """
    A missing job is told to the log as soon as it is missed; its error ends the wait with the
    others.
    """
    caplog.set_level(logging.INFO, "dashscope_ft.waiting")
    async with living() as life:
        job = await life.job()

        with pytest.raises(NotFound):
            await life.client.fine_tunes.wait_many([job, "ft-none"])

        assert (await life.client.fine_tunes.get(job)).is_finished
    assert caplog.messages == ["ft-none is not there: Not Found!"]


@pytest.mark.parametrize("jobs", ["ft-1", b"ft-1", 7, None, FineTuneJob(job_id="ft-1")])
async def test_what_is_no_source_of_jobs(jobs: Any) -> None:
    """
    One job, or nothing to iterate over, is refused in the words of every run over many.
    """
    async with living() as life:
        with pytest.raises(TypeError, match=r"^Many jobs are an iterable of ids or jobs, not "):
            await life.client.fine_tunes.wait_many(jobs)

        assert life.asked == {}


async def test_no_jobs_at_all() -> None:
    """
    Waiting for no jobs is over at once.
    """
    async with living() as life:
        assert await life.client.fine_tunes.wait_many([]) == []

    assert not life.asked


async def test_no_jobs_after_all() -> None:
    """
    A source that takes longer than the deadline and then gives no job is no error either.
    """
    async with scripted(Silence()) as server:

        async def nobody() -> AsyncIterator[str]:
            server.time.now += 10.0
            for job_id in list[str]():
                yield job_id

        assert await server.client().fine_tunes.wait_many(nobody(), deadline=1.0) == []
        assert not server.requests


async def test_a_pager_of_jobs() -> None:
    """
    What a listing finds can be waited for as it is; a single id is not several.
    """
    async with living() as life:
        jobs = [await life.job() for _ in range(3)]
        running = life.client.fine_tunes.list(status="PENDING")

        ended = await life.client.fine_tunes.wait_many(running)
        with pytest.raises(TypeError):
            await life.client.fine_tunes.wait_many(jobs[0].job_id)

    assert {job.job_id for job in ended} == {job.job_id for job in jobs}


async def test_a_service_that_never_answers() -> None:
    """
    A silent service keeps nobody longer than the deadline says.
    """
    async with scripted(Silence()) as server:
        client = server.client(real_time=True)

        with pytest.raises(DeadlineExceeded) as caught:
            await client.fine_tunes.wait("ft-1", deadline=0.2)

    assert caught.value.last_status is None
    assert len(server.requests) == 1


async def test_a_wait_that_has_no_turn_in_time() -> None:
    """
    Its time is running even while all turns are taken by calls that have more of it.
    """
    async with scripted(Silence()) as server:
        client = server.client(real_time=True, concurrency=1)
        other = asyncio.create_task(client.fine_tunes.get("ft-2"))
        while not server.requests:
            await asyncio.sleep(0)

        with pytest.raises(DeadlineExceeded):
            await client.fine_tunes.wait("ft-1", deadline=0.05)

        assert not other.done()
        assert len(server.requests) == 1
        other.cancel()


async def test_a_job_that_can_never_be_seen() -> None:
    """
    A job that can never be seen keeps the others, which no page shows, from nothing.
    """
    async with living() as life:
        jobs = [await life.job() for _ in range(4)]
        life.emulator.inject(
            Fault(operation="fine_tunes.list", status=200, body=NO_JOBS, times=None)
        )
        broken, *others = [job.job_id for job in jobs]
        life.emulator.inject(
            Fault(operation="fine_tunes.get", path=f"*{broken}", status=500, times=None)
        )
        seen: list[Mapping[str, str | None]] = []

        with pytest.raises(DeadlineExceeded, match=f"^{broken} has not ended"):
            await life.client.fine_tunes.wait_many(
                [broken, *others], deadline=3_600, on_look=lambda look: seen.append(dict(look))
            )

    assert seen[-1].keys() == {broken}


async def test_a_job_of_the_other_noun() -> None:
    """
    An import is no fine-tuning job to wait for.
    """
    async with living() as life:
        job = await life.model_import()

        with pytest.raises(TypeError):
            await life.client.fine_tunes.wait(job)  # type: ignore[arg-type]


async def test_a_page_that_outlasts_the_wait() -> None:
    """
    Out of time between two pages of one look is out of time, and not a setting that is wrong.
    """

    def slowly(_: object) -> Answer:
        server.time.now += 100
        rows = [{"job_id": "ft-9", "status": "RUNNING"}]
        return Answer({"output": {"jobs": rows, "total": 200, "page_no": 1, "page_size": 100}})

    async with scripted(slowly) as server:
        with pytest.raises(DeadlineExceeded):
            await server.client().fine_tunes.wait_many(["ft-1", "ft-2"], deadline=60)


async def test_a_failed_look_that_others_have_followed() -> None:
    """
    Out of time, nothing is said of a failure that was over long before.
    """
    async with living() as life:
        job = await life.job()
        life.emulator.inject(Fault(operation="fine_tunes.get", status=503, times=4))

        with pytest.raises(DeadlineExceeded) as caught:
            await life.client.fine_tunes.wait(job, deadline=300.0)

    assert (caught.value.status, caught.value.last_status) == (None, JobStatus.RUNNING)
    assert "The last look failed" not in str(caught.value)


async def test_the_facts_of_the_last_failed_look() -> None:
    """
    Where every look failed, the deadline's error has the words and facts of the last failure.
    """
    async with living() as life:
        job = await life.job()
        body = {"code": "InternalError", "message": "Back at noon.", "request_id": "r-7"}
        life.emulator.inject(Fault(operation="fine_tunes.get", status=503, body=body, times=None))

        with pytest.raises(DeadlineExceeded) as caught:
            await life.client.fine_tunes.wait(job, deadline=300.0)

    assert caught.value.last_status is None
    assert (caught.value.code, caught.value.request_id) == ("InternalError", "r-7")
    assert caught.value.status == 503
    assert "The last look failed: Back at noon." in str(caught.value)


async def test_a_job_without_a_status() -> None:
    """
    A status that the service left empty is none, for the callback as for the error.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1)
        life.account.set_status(job_id, "")
        told: list[dict[str, str | None]] = []

        with pytest.raises(DeadlineExceeded) as caught:
            await life.client.fine_tunes.wait_many(
                [job_id], deadline=20.0, on_look=lambda left: told.append(dict(left))
            )

    assert told[0] == {job_id: None}
    assert caught.value.last_status is None


async def test_jobs_given_twice_count_once() -> None:
    """
    Out of time, the error counts jobs, not names.
    """
    async with living() as life:
        jobs = [await life.job() for _ in range(3)]

        with pytest.raises(DeadlineExceeded, match="and 2 more of 3 jobs"):
            await life.client.fine_tunes.wait_many([*jobs, *jobs], deadline=20.0)


@pytest.mark.parametrize("jobs", [1, 2])
async def test_a_look_outlasts_a_rate_limit(jobs: int) -> None:
    """
    However often the service refuses for its rate, that is one look, by a page as by a job.
    """
    async with living() as life:
        ids = life.emulator.seed(jobs=jobs, statuses=["SUCCEEDED"])
        life.emulator.inject(Fault(status=429, times=6))
        told: list[object] = []

        await life.client.fine_tunes.wait_many(ids, on_look=told.append)

    assert told == [{}]
