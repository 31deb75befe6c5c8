from __future__ import annotations

import asyncio
import gc
import pickle
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import aclosing, suppress
from itertools import count, repeat
from typing import Any

import pytest
from attrs import define, field
from hypothesis import example, given
from hypothesis import strategies as st

from dashscope_ft.bulk import AsyncOutcomes, Change, Stopping
from dashscope_ft.errors import (
    APIError,
    AuthenticationFailed,
    ClientClosed,
    ConnectionFailed,
    DashScopeError,
    DeadlineExceeded,
    InvalidArgument,
    ListingInconsistent,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    StateConflict,
)
from dashscope_ft.models import FineTuneJob, ImportJob
from dashscope_ft.outcomes import Outcome, Receipt, Report

from .driven import drive, now


@define
class Service:
    """
    Deletes what it is asked to, as slowly and as badly as the test says.
    """

    errors: dict[str, BaseException] = field(factory=dict)
    unconfirmed: set[str] = field(factory=set)
    gate: asyncio.Event | None = None
    begun: list[str] = field(factory=list)
    ended: list[str] = field(factory=list)
    most: int = 0

    async def delete(self, job_id: str, stopping: Stopping) -> Receipt:
        assert not stopping()
        self.begun.append(job_id)
        self.most = max(self.most, len(self.begun) - len(self.ended))
        try:
            await (self.gate.wait() if self.gate else asyncio.sleep(0))
        finally:
            self.ended.append(job_id)
        if job_id in self.errors:
            raise self.errors[job_id]
        return Receipt(
            job_id=job_id, request_id=f"r-{job_id}", confirmed=job_id not in self.unconfirmed
        )


def run(
    service: Service,
    jobs: Any,
    *,
    concurrency: int = 3,
    missing_ok: bool = False,
    model: type[FineTuneJob | ImportJob] = FineTuneJob,
) -> AsyncOutcomes:
    work = Change("delete", service.delete, missing_ok=missing_ok)
    return AsyncOutcomes(jobs, work, model=model, concurrency=concurrency)


async def feed(items: Iterable[str]) -> AsyncIterator[str]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def test_what_a_run_says_of_itself() -> None:
    """
    Nothing was sent before it is iterated over, and it says so; it can be only once.
    """
    deleting = run(Service(), ["ft-1", "ft-2"])
    before = repr(deleting)
    await deleting.report()

    assert before == "<AsyncOutcomes, not started: iterate over it, or ask for its report()>"
    assert repr(deleting) == "<AsyncOutcomes, 2 outcomes so far: ask for its report()>"


async def test_cancellations_at_every_turn() -> None:
    """
    Some frameworks cancel until the task has ended: what was sent is accounted for all the same.
    """
    service = Service(gate=asyncio.Event())
    deleting = run(service, ["ft-1", "ft-2", "ft-3", "ft-4"], concurrency=3)
    task = asyncio.create_task(deleting.report())
    while len(service.begun) < 3:
        await asyncio.sleep(0)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError) as caught:
        await task

    report: Report = vars(caught.value)["report"]
    assert {o.job_id for o in report.outcomes if o.reason == "unknown_outcome"} == {*service.begun}
    assert report == deleting.so_far


def results(report: Report) -> dict[str, tuple[str, str]]:
    return {outcome.job_id: (outcome.result, outcome.reason) for outcome in report.outcomes}


async def turns(n: int = 20) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


async def test_every_job_has_an_outcome() -> None:
    """
    Many deletions give one outcome a job, and never more than `concurrency` are under way.
    """
    service = Service()

    report = await run(service, [f"ft-{n}" for n in range(20)]).report()

    assert report.selected == report.done == 20
    assert report.reasons == {"confirmed": 20}
    assert service.most == 3
    assert {outcome.request_id for outcome in report.outcomes} == {f"r-ft-{n}" for n in range(20)}


async def test_ids_jobs_and_iterators_are_taken_alike() -> None:
    """
    Ids and jobs can be mixed, in a list, a generator or an async generator.
    """
    job = FineTuneJob(job_id="ft-b", status="FAILED")

    for source in (["ft-a", job], iter(["ft-a", job]), feed(["ft-a", "ft-b"])):
        report = await run(Service(), source).report()

        assert [outcome.job_id for outcome in report.outcomes] == ["ft-a", "ft-b"]

    [_, seen] = (await run(Service(), ["ft-a", job]).report()).outcomes
    assert seen.job is job


async def test_an_id_given_twice_counts_once() -> None:
    """
    The same job, by id or as an object, is deleted once and stands once in the report.
    """
    service = Service()

    report = await run(service, ["ft-a", "ft-a", FineTuneJob(job_id="ft-a"), "ft-b"]).report()

    assert service.begun == ["ft-a", "ft-b"]
    assert report.selected == 2


async def test_failures_are_outcomes_and_stop_nothing() -> None:
    """
    A job that fails is reported with the service's code, and the others go on.
    """
    service = Service(
        errors={
            "ft-state": StateConflict("running", code="UnsupportedOperation", request_id="r-9"),
            "ft-lost": OutcomeUnknown("lost", code="InternalError"),
            "ft-down": ConnectionFailed("refused"),
            "": InvalidArgument("empty id"),
            "ft-denied": PermissionDenied("no", code="AccessDenied.Unpurchased"),
        },
        unconfirmed={"ft-inferred"},
    )

    report = await run(service, [*service.errors, "ft-inferred", "ft-fine"]).report()

    assert results(report) == {
        "ft-state": ("failed", "UnsupportedOperation"),
        "ft-lost": ("failed", "unknown_outcome"),
        "ft-down": ("failed", "ConnectionFailed"),
        "": ("failed", "InvalidArgument"),
        "ft-denied": ("failed", "AccessDenied.Unpurchased"),
        "ft-inferred": ("done", "inferred"),
        "ft-fine": ("done", "confirmed"),
    }
    [state] = [outcome for outcome in report.outcomes if outcome.job_id == "ft-state"]
    assert state.error is service.errors["ft-state"]
    assert state.request_id == "r-9"


async def test_the_job_of_an_outcome() -> None:
    """
    An outcome holds the job as the service told of it last, else as it was given, whatever came
    of it.
    """
    told = ImportJob(job_id="im-told", status="FAILED")
    given = {
        end: ImportJob(job_id=f"im-{end}", status="RUNNING")
        for end in ("told", "untold", "gone", "unknown")
    }

    async def delete(job_id: str, _: Stopping) -> Receipt:
        if job_id == "im-gone":
            raise NotFound("n", code="NotFound")
        if job_id == "im-unknown":
            raise OutcomeUnknown("u")
        return Receipt(job_id=job_id, job=told if job_id == told.job_id else None)

    work = Change("delete", delete)
    report = await AsyncOutcomes(given.values(), work, model=ImportJob, concurrency=1).report()

    assert {outcome.job_id: outcome.job for outcome in report.outcomes} == {
        "im-told": told,
        "im-untold": given["untold"],
        "im-gone": given["gone"],
        "im-unknown": given["unknown"],
    }


async def test_raising_for_failures_again() -> None:
    """
    The first failure says once how many there were, however often it is raised.
    """
    service = Service(errors={"ft-a": ConnectionFailed("refused")})
    report = await run(service, ["ft-a", "ft-b"]).report()

    with pytest.raises(ConnectionFailed):
        report.raise_for_failures()
    with pytest.raises(ConnectionFailed) as caught:
        report.raise_for_failures()

    assert caught.value.__notes__ == ["1 of 2 jobs failed; this is the first."]


async def test_raising_for_failures_where_there_are_none() -> None:
    """
    A job that was skipped is no failure, although its error is told.
    """
    service = Service(errors={"ft-a": NotFound("gone", code="NotFound", status=404)})

    report = await run(service, [FineTuneJob(job_id="ft-a"), "ft-b"]).report()

    assert results(report)["ft-a"] == ("skipped", "already_gone")
    report.raise_for_failures()


@pytest.mark.parametrize(
    ("seen", "missing_ok", "expected"),
    [
        (False, False, ("failed", "NotFound")),
        (False, True, ("done", "inferred")),
        (True, False, ("skipped", "already_gone")),
        (True, True, ("skipped", "already_gone")),
    ],
)
async def test_a_job_that_is_not_there(
    seen: bool, missing_ok: bool, expected: tuple[str, str]
) -> None:
    """
    Only a job that was seen can be called gone; a bare id may have been a typing mistake.
    """
    service = Service(errors={"ft-a": NotFound("Not Found!", code="NotFound", request_id="r-1")})
    job: FineTuneJob | str = FineTuneJob(job_id="ft-a") if seen else "ft-a"

    report = await run(service, [job], missing_ok=missing_ok).report()

    assert results(report) == {"ft-a": expected}
    assert report.outcomes[0].request_id == "r-1"
    assert report.outcomes[0].error is service.errors["ft-a"]


@pytest.mark.parametrize("missing_ok", [False, True])
async def test_a_bare_404(missing_ok: bool) -> None:
    """
    A gateway's 404 does not say that a job is gone, whether it was seen or may be missing.
    """
    service = Service(errors={"ft-a": NotFound("a page", status=404)})

    report = await run(service, [FineTuneJob(job_id="ft-a")], missing_ok=missing_ok).report()

    assert results(report) == {"ft-a": ("failed", "NotFound")}


async def test_outcomes_stream_as_they_end() -> None:
    """
    An outcome is there as soon as its job has ended, though the source has no next job yet.
    """
    more = asyncio.Event()

    async def slow_source() -> AsyncIterator[str]:
        yield "ft-a"
        await more.wait()
        yield "ft-b"

    async with run(Service(), slow_source()) as outcomes, aclosing(aiter(outcomes)) as walk:
        first = await anext(walk)
        more.set()
        second = await anext(walk)

    assert (first.job_id, second.job_id) == ("ft-a", "ft-b")


async def test_a_refused_key_stops_the_run() -> None:
    """
    After a refused key nothing more is tried, and the rest is accounted for as not attempted.
    """
    error = AuthenticationFailed("Invalid API-key", code="InvalidApiKey", status=401)
    ids = [f"ft-{n}" for n in range(100)]
    service = Service(errors=dict.fromkeys(ids[10:], error))

    for source in (ids, iter(ids), feed(ids)):
        service.begun.clear()
        service.ended.clear()
        report = await run(service, source).report()

        assert len(service.begun) <= 10 + 3
        assert report.selected == 100
        assert report.done == 10
        assert report.reasons["not_attempted"] == 100 - len(service.begun)


async def test_a_closed_client_stops_the_run() -> None:
    """
    A client that was closed meanwhile attempts nothing more.
    """
    service = Service(errors={"ft-0": ClientClosed("closed")})

    report = await run(service, (f"ft-{n}" for n in range(9)), concurrency=1).report()

    assert report.reasons == {"not_attempted": 8, "ClientClosed": 1}


async def test_an_endless_source_after_a_refused_key_can_be_left() -> None:
    """
    What an endless source gives after a refused key is streamed as not attempted, without end
    but without holding the loop either.
    """
    service = Service(errors={"ft-0": AuthenticationFailed("no", code="InvalidApiKey")})
    outcomes = run(service, (f"ft-{n}" for n in count()))

    task = asyncio.create_task(outcomes.report())
    await turns(200)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert len(service.begun) <= 3
    assert outcomes.so_far.reasons["not_attempted"] > 10
    assert outcomes.so_far.selected < 1_000_000


async def test_an_endless_source_of_one_id_can_be_left() -> None:
    """
    A source that repeats one id endlessly does not hold the loop.
    """
    service = Service()

    task = asyncio.create_task(run(service, repeat("ft-a")).report())
    await turns(200)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert service.begun == ["ft-a"]


async def test_a_source_that_fails_is_raised_after_what_is_under_way() -> None:
    """
    A listing that cannot be proven complete raises, but not before the jobs begun have ended.
    """
    error = ListingInconsistent("short page")

    async def source() -> AsyncIterator[str]:
        yield "ft-a"
        yield "ft-b"
        raise error

    service = Service()
    outcomes = run(service, source())

    with pytest.raises(ListingInconsistent) as raised:
        await outcomes.report()

    assert raised.value is error
    assert service.ended == ["ft-a", "ft-b"]
    assert results(outcomes.so_far) == {
        "ft-a": ("done", "confirmed"),
        "ft-b": ("done", "confirmed"),
    }
    with pytest.raises(ListingInconsistent):
        await outcomes.report()


@pytest.mark.parametrize("way", ["outcomes", "batches"])
async def test_a_source_that_fails_ends_no_loop_in_silence(way: str) -> None:
    """
    A loop gets the outcomes of the jobs that were taken up, and then the error.
    """

    async def source() -> AsyncIterator[str]:
        yield "ft-a"
        raise ListingInconsistent("short page")

    outcomes, seen = run(Service(), source()), []

    with pytest.raises(ListingInconsistent, match="short page"):
        if way == "batches":
            async for batch in outcomes.batches():
                seen += batch
        else:
            async for outcome in outcomes:
                seen.append(outcome)

    assert [(outcome.job_id, outcome.result) for outcome in seen] == [("ft-a", "done")]


@pytest.mark.parametrize("error", [ListingInconsistent("short"), AuthenticationFailed("no")])
async def test_a_source_that_fails_at_once_is_raised(error: APIError) -> None:
    """
    A source that fails before its first job raises, whether anything waited or not.
    """

    def broken() -> Iterator[str]:
        raise error
        yield

    async def broken_later() -> AsyncIterator[str]:
        raise error
        yield

    for source in (broken(), broken_later()):
        with pytest.raises(type(error)):
            await run(Service(), source).report()


async def test_a_program_that_fails_stops_and_is_raised() -> None:
    """
    An exception that is no answer of the service is a mistake: nothing more begins, it is raised.
    """
    service = Service(errors={"ft-0": ZeroDivisionError("oops")})
    outcomes = run(service, (f"ft-{n}" for n in range(50)))

    with pytest.raises(ZeroDivisionError):
        await outcomes.report()

    assert len(service.begun) <= 4
    assert len(service.ended) == len(service.begun)


@pytest.mark.parametrize("wrong", [ImportJob(job_id="i-1"), 7, None, b"ft-b"])
async def test_a_wrong_item_in_a_collection_is_refused_before_anything(wrong: Any) -> None:
    """
    The other noun's job in a list is a TypeError before the first deletion.
    """
    service = Service()

    with pytest.raises(TypeError, match="FineTuneJob"):
        run(service, ["ft-a", wrong])

    assert service.begun == []


async def test_a_wrong_item_of_an_iterator_is_raised_when_reached() -> None:
    """
    The other noun's job from a generator is a TypeError once it is reached.
    """
    service = Service()
    outcomes = run(service, iter(["ft-a", ImportJob(job_id="i-1"), "ft-b"]))

    with pytest.raises(TypeError, match="ImportJob"):
        await outcomes.report()

    assert service.ended == ["ft-a"]


@pytest.mark.parametrize("wrong", ["ft-a", b"ft-a", 7, None, FineTuneJob(job_id="ft-a")])
def test_a_single_job_is_not_many(wrong: Any) -> None:
    """
    One id is not taken for a list of letters.
    """
    with pytest.raises(TypeError, match="iterable of ids or jobs"):
        run(Service(), wrong)


async def test_imports_take_import_jobs() -> None:
    """
    A run over import jobs takes import jobs and refuses the other noun's.
    """
    report = await run(Service(), [ImportJob(job_id="i-1")], model=ImportJob).report()

    assert report.done == 1
    with pytest.raises(TypeError):
        run(Service(), [FineTuneJob(job_id="ft-a")], model=ImportJob)


async def test_a_run_serves_one_loop_only() -> None:
    """
    A second loop over the same run is an error that says so; its report can still be asked for.
    """
    outcomes = run(Service(), ["ft-a", "ft-b"])

    assert [outcome.job_id async for outcome in outcomes] == ["ft-a", "ft-b"]
    with pytest.raises(RuntimeError, match="begun before"):
        async for _ in outcomes:
            pass
    assert (await outcomes.report()).done == 2


async def test_nothing_begins_before_it_is_asked_for() -> None:
    """
    Making a run sends nothing and reads nothing.
    """
    service = Service()
    read: list[int] = []

    def source() -> Iterator[str]:
        read.append(1)
        yield "ft-a"

    outcomes = run(service, source())
    await turns()

    assert (read, service.begun) == ([], [])
    assert outcomes.so_far.selected == 0


async def test_a_source_is_read_only_as_jobs_begin() -> None:
    """
    A listing of 100,000 jobs is not held: it is read one job ahead of those under way.
    """
    service = Service()
    read = 0

    def source() -> Iterator[str]:
        nonlocal read
        for read in range(1, 100_001):
            yield f"ft-{read}"

    async with run(service, source()) as outcomes, aclosing(aiter(outcomes)) as walk:
        for _ in range(10):
            await anext(walk)
            await turns()

            assert read <= len(service.begun) + 1
            assert len(service.begun) <= 10 + 2 * 3


async def test_nothing_begins_while_the_caller_is_busy() -> None:
    """
    While the caller handles an outcome nothing new begins, so that leaving there is final.
    """
    service = Service()

    async with run(service, (f"ft-{n}" for n in range(50))) as outcomes:
        async for _ in outcomes:
            begun = len(service.begun)
            await turns()

            assert len(service.begun) == begun


@pytest.mark.parametrize("way", ["break", "async with", "aclose", "report"])
async def test_leaving_early_waits_for_what_is_under_way(way: str) -> None:
    """
    After leaving the loop nothing begins, what is under way ends, and no task stays behind.
    """
    service = Service()
    outcomes = run(service, feed(f"ft-{n}" for n in range(50)))

    async for _ in outcomes:
        break
    begun = len(service.begun)
    if way == "async with":
        async with outcomes:
            pass
    elif way == "aclose":
        await outcomes.aclose()
    elif way == "report":
        await outcomes.report()
    else:
        gc.collect()
        await turns()

    assert len(service.begun) == len(service.ended) == begun
    assert asyncio.all_tasks() == {asyncio.current_task()}
    reasons = outcomes.so_far.reasons
    assert reasons["confirmed"] == begun
    assert reasons.get("not_attempted", 0) <= 1 + 3


async def test_cancelling_waits_for_what_is_under_way() -> None:
    """
    A cancelled run begins nothing more, keeps the outcomes of what was under way, and is cancelled.
    """
    service = Service(gate=asyncio.Event())
    outcomes = run(service, [f"ft-{n}" for n in range(50)])
    task = asyncio.create_task(outcomes.report())
    await turns()

    task.cancel()
    await turns()
    waited = not task.done()
    assert service.gate
    service.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert waited
    assert service.begun == service.ended == ["ft-0", "ft-1", "ft-2"]
    assert outcomes.so_far.reasons == {"confirmed": 3, "not_attempted": 1}


async def test_whatever_ends_a_report_early_carries_what_is_known() -> None:
    """
    Nobody else holds the run of `delete_many(…).report()`: its interruption tells what was done.
    """
    service = Service(gate=asyncio.Event())
    task = asyncio.create_task(run(service, [f"ft-{n}" for n in range(50)]).report())
    await turns()

    task.cancel()
    await turns()
    assert service.gate
    service.gate.set()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task

    assert vars(caught.value)["report"].reasons == {"confirmed": 3, "not_attempted": 1}
    assert caught.value.__notes__ == ["Of 4 jobs taken up: 1 not_attempted, 3 done."]


async def test_an_error_that_a_report_raises_again() -> None:
    """
    After a loop that was left, too, it carries the report, and says so once however often it comes.
    """

    async def source() -> AsyncIterator[str]:
        yield "ft-a"
        raise ListingInconsistent("short page")

    outcomes = run(Service(), source())
    async with aclosing(aiter(outcomes)) as each:
        async for _ in each:
            break
    with pytest.raises(ListingInconsistent):
        await outcomes.report()
    with pytest.raises(ListingInconsistent) as caught:
        await outcomes.report()

    assert vars(caught.value)["report"].reasons == {"confirmed": 1}
    assert caught.value.__notes__ == ["Of 1 jobs taken up: 1 done."]


def test_patience_with_what_is_under_way_ends() -> None:
    """
    A run that is left waits ten seconds for what it has sent; what has not ended by then is cut
    off and called unknown.
    """

    async def leave() -> tuple[float, Report]:
        outcomes = run(Service(gate=asyncio.Event()), ["ft-a"])
        task = asyncio.create_task(outcomes.report())
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return now(), outcomes.so_far

    ended_at, report = drive(leave())

    assert ended_at == 10.0
    assert results(report) == {"ft-a": ("failed", "unknown_outcome")}
    assert isinstance(report.outcomes[0].error, OutcomeUnknown)


async def test_patience_with_what_was_never_sent_ends() -> None:
    """
    What still waits for its turn when time is up is not called unknown: nothing was sent.
    """

    async def delete(job_id: str, stopping: Stopping) -> Receipt:
        await asyncio.Event().wait()
        raise AssertionError(stopping())

    outcomes = AsyncOutcomes(
        ["ft-a"], Change("delete", delete), model=FineTuneJob, concurrency=1, grace=0.01
    )
    task = asyncio.create_task(outcomes.report())
    await turns()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert results(outcomes.so_far) == {"ft-a": ("skipped", "not_attempted")}


async def test_a_second_cancellation_does_not_wait() -> None:
    """
    Cancelling twice leaves at once, and what was under way is called unknown.
    """
    service = Service(gate=asyncio.Event())
    outcomes = run(service, ["ft-a", "ft-b"])
    task = asyncio.create_task(outcomes.report())
    await turns()

    task.cancel()
    await turns()
    task.cancel()
    await turns()

    assert task.cancelled()
    assert outcomes.so_far.reasons == {"unknown_outcome": 2}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("kind", [ConnectionFailed, DeadlineExceeded])
async def test_a_stopped_run_keeps_unsent_requests_unsent(kind: type[DashScopeError]) -> None:
    """
    A deletion that still waits for its turn when the run stops is not sent, and says so.
    """
    turn = asyncio.Event()
    sent: list[str] = []

    async def delete(job_id: str, stopping: Stopping) -> Receipt:
        await turn.wait()
        if stopping():
            raise kind("Not sent: the run has stopped.")
        sent.append(job_id)
        return Receipt(job_id=job_id)

    outcomes = AsyncOutcomes(
        ["ft-a", "ft-b"], Change("delete", delete), model=FineTuneJob, concurrency=2
    )
    task = asyncio.create_task(outcomes.report())
    await turns()
    task.cancel()
    await turns()
    turn.set()
    with suppress(asyncio.CancelledError):
        await task

    assert sent == []
    assert outcomes.so_far.reasons == {"not_attempted": 2}
    assert [type(outcome.error) for outcome in outcomes.so_far.outcomes] == [kind, kind]


async def test_a_source_left_early_is_closed() -> None:
    """
    An async source is closed with the run, so that a pager stops reading.
    """
    closed = False

    async def source() -> AsyncIterator[str]:
        nonlocal closed
        try:
            for n in count():
                yield f"ft-{n}"
        finally:
            await asyncio.sleep(0)
            closed = True

    async with run(Service(), source()) as outcomes, aclosing(aiter(outcomes)) as walk:
        await anext(walk)

    assert closed


async def test_a_source_that_cannot_be_closed() -> None:
    """
    Any async iterator will do as a source, also one that is no generator.
    """

    class Source:
        def __init__(self) -> None:
            self.left = ["ft-b", "ft-a"]

        def __aiter__(self) -> Source:
            return self

        async def __anext__(self) -> str:
            if not self.left:
                raise StopAsyncIteration
            return self.left.pop()

    report = await run(Service(), Source()).report()

    assert results(report) == dict.fromkeys(("ft-a", "ft-b"), ("done", "confirmed"))


async def test_a_callback_sees_every_outcome_and_its_failure_stops() -> None:
    """
    A callback is told of each outcome once; if it fails, the run stops with its exception.
    """

    class Work:
        action = "delete"

        async def settle(self, job_id: str, job: object, stopping: Stopping) -> Outcome:
            await asyncio.sleep(0)
            return Outcome(job_id=job_id, action="delete", result="done", reason="confirmed")

        def interrupted(self, job_id: str, job: object) -> Outcome:
            raise AssertionError

    told: list[Outcome] = []
    error: BaseException = ZeroDivisionError()

    def tell(outcome: Outcome) -> None:
        told.append(outcome)
        if len(told) == 5:
            raise error

    def outcomes(n: int) -> AsyncOutcomes:
        return AsyncOutcomes(
            [f"ft-{i}" for i in range(n)],
            Work(),  # type: ignore[arg-type]
            model=FineTuneJob,
            concurrency=2,
            on_outcome=tell,
        )

    report = await outcomes(4).report()
    assert list(report.outcomes) == told

    for error in (ZeroDivisionError(), SystemExit(3)):
        told.clear()
        with pytest.raises(type(error)):
            await outcomes(50).report()
        assert 5 <= len(told) <= 8


async def test_batches_hold_every_outcome_once() -> None:
    """
    Taken as batches, none is empty and every outcome is in exactly one.
    """
    outcomes = run(Service(), [f"ft-{n}" for n in range(20)])

    batches = [batch async for batch in outcomes.batches()]

    assert all(batches)
    assert sorted(o.job_id for batch in batches for o in batch) == sorted(
        f"ft-{n}" for n in range(20)
    )


@pytest.mark.parametrize("kind", [list, set])
async def test_a_collection_that_changes_meanwhile(kind: type[Any]) -> None:
    """
    The jobs are those of the moment when the run was made: who crosses off what is done loses none.
    """
    left = kind(f"ft-{n}" for n in range(50))

    async for outcome in (outcomes := run(Service(), left)):
        left.remove(outcome.job_id)

    assert not left
    assert outcomes.so_far.reasons == {"confirmed": 50}


async def test_a_source_that_is_cancelled() -> None:
    """
    Jobs that a cancelled task would have named are not taken for the end of all.
    """

    async def source() -> AsyncIterator[str]:
        yield "ft-a"
        raise asyncio.CancelledError

    outcomes = run(Service(), source())
    with pytest.raises(RuntimeError, match="read from was cancelled"):
        await outcomes.report()

    assert outcomes.so_far.reasons == {"confirmed": 1}


async def test_a_second_report_meanwhile() -> None:
    """
    Asking for the report of a run that somebody waits for is refused, and does not end the run.
    """
    outcomes = run(Service(), [f"ft-{n}" for n in range(50)])
    task = asyncio.create_task(outcomes.report())
    await turns()
    with pytest.raises(RuntimeError, match="so_far"):
        await outcomes.report()

    assert (await task).reasons == {"confirmed": 50}


IDS = st.sampled_from([f"ft-{n}" for n in range(13)])
FAILURES = [NotFound("n", code="NotFound"), OutcomeUnknown("u"), AuthenticationFailed("a")]


@given(
    ids=st.lists(IDS, min_size=4, max_size=30),
    failing=st.dictionaries(IDS, st.sampled_from(FAILURES), min_size=1) | st.just({}),
    concurrency=st.integers(1, 5),
    lazily=st.booleans(),
    leave_after=st.none() | st.integers(0, 5),
)
@example(ids=[], failing={}, concurrency=1, lazily=False, leave_after=None)
def test_every_job_stands_exactly_once(
    ids: list[str],
    failing: dict[str, BaseException],
    concurrency: int,
    lazily: bool,
    leave_after: int | None,
) -> None:
    """
    Whatever fails and whenever the loop is left, each job taken stands once, and the sums agree.
    """

    async def go() -> tuple[Service, Report]:
        service = Service(errors=dict(failing))
        outcomes = run(service, feed(ids) if lazily else ids, concurrency=concurrency)
        if leave_after is None:
            return service, await outcomes.report()
        async with outcomes:
            seen = 0
            async for _ in outcomes:
                seen += 1
                if seen > leave_after:
                    break
        return service, outcomes.so_far

    service, report = asyncio.run(go())
    named = [outcome.job_id for outcome in report.outcomes]

    assert len(named) == len(set(named)) == report.selected
    assert report.selected == report.done + report.skipped + report.failed
    assert len(service.begun) == len(set(service.begun))
    assert set(service.begun) == {
        outcome.job_id for outcome in report.outcomes if outcome.reason != "not_attempted"
    }
    assert service.most <= concurrency
    if leave_after is None:
        assert set(named) == set(ids)


async def test_a_report_can_be_pickled() -> None:
    """
    A report travels to another process, its errors included.
    """
    service = Service(errors={"ft-a": NotFound("gone", code="NotFound")})

    report = await run(service, ["ft-a", "ft-b"]).report()

    assert pickle.loads(pickle.dumps(report)).reasons == report.reasons


async def test_a_report_is_shown_in_a_line() -> None:
    """
    Its counts are shown and no job, and two reports of the same are still equal.
    """
    report = await run(
        Service(errors={"ft-a": NotFound("gone\n", code="NotFound")}), ["ft-a", "ft-b", "ft-c"]
    ).report()

    assert repr(report) == (
        "Report(selected=3, done=2, skipped=0, failed=1, reasons={'confirmed': 2, 'NotFound': 1})"
    )
    assert report == Report(outcomes=report.outcomes)
    assert report != Report(outcomes=report.outcomes[1:])
