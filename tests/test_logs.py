from __future__ import annotations

from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from dashscope_ft import (
    Client,
    DeadlineExceeded,
    FineTuneJob,
    InvalidArgument,
    MalformedResponse,
    NotFound,
    Progress,
    StateConflict,
    TrainingLog,
)
from dashscope_ft.emulator import Emulator, Fault
from dashscope_ft.loop_thread import LoopThread, Stream

from .life import Life, living
from .scripted import Answer, Received, Script, job, scripted


def numbered(count: int, start: int = 0) -> list[str]:
    return [f"line {number}" for number in range(start, start + count)]


async def read(life: Life, job_id: str, *, follow: bool = False) -> list[str]:
    return [line async for line in life.client.fine_tunes.logs(job_id, follow=follow)]


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2000, 2500])
async def test_every_line_once(count: int) -> None:
    """
    A log is read whole, from its first line, in requests of a thousand lines.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["SUCCEEDED"])
        life.account.set_log(job_id, numbered(count))

        lines = await read(life, job_id)

    assert lines == numbered(count)
    assert {request.query["line"] for request in life.emulator.journal} == {"1000"}
    assert life.asked["fine_tunes.logs"] == count // 1000 + 1


async def test_faults_cost_no_line() -> None:
    """
    Lost and refused answers leave no gap and repeat nothing.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["SUCCEEDED"])
        life.account.set_log(job_id, numbered(2500))
        life.emulator.inject(
            Fault(operation="fine_tunes.logs", lose="after", times=2),
            Fault(operation="fine_tunes.logs", status=429, times=3),
            Fault(operation="fine_tunes.logs", torn=100, times=1),
        )

        assert await read(life, job_id) == numbered(2500)


async def test_following_a_growing_log() -> None:
    """
    Followed, a log gives every line once and ends only after the job has.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1)
        life.account.set_status(job_id, "RUNNING")
        life.account.set_log(job_id, numbered(700))
        written = 700

        def grow() -> None:
            nonlocal written
            if written < 2500:
                written += 300
                life.account.set_log(job_id, numbered(written))
            else:
                # The last lines come together with the end.
                life.account.set_log(job_id, [*numbered(written), "##FT_COMPLETE##", "last"])
                life.account.set_status(job_id, "SUCCEEDED")

        life.meanwhile = grow
        lines = await read(life, job_id, follow=True)

    assert lines == [*numbered(2500), "##FT_COMPLETE##", "last"]


async def test_following_from_before_the_start() -> None:
    """
    A job that is not running yet is followed from its first line to its last.
    """
    async with living() as life:
        job = await life.job()

        lines = await read(life, job.job_id, follow=True)

    assert lines == life.account.read_log(job.job_id, line=1000)["logs"]
    assert lines[-1] == "##FT_COMPLETE##"


async def test_following_through_an_outage() -> None:
    """
    Blips neither end the following nor lose or repeat a line.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1)
        life.account.set_log(job_id, numbered(2500))
        life.account.set_status(job_id, "SUCCEEDED")
        life.emulator.inject(
            Fault(operation="fine_tunes.logs", every=2, status=503, times=7),
            Fault(operation="fine_tunes.get", status=500, times=5),
        )

        assert await read(life, job_id, follow=True) == numbered(2500)


async def test_a_job_whose_log_has_not_begun() -> None:
    """
    A service that knows the job but not its log yet is asked again.
    """
    async with living() as life:
        job = await life.job()
        life.emulator.inject(Fault(operation="fine_tunes.logs", status=404, times=2))

        lines = await read(life, job.job_id, follow=True)

    assert lines[-1] == "##FT_COMPLETE##"


@pytest.mark.parametrize("refusal", [404, 400])
async def test_a_log_that_is_refused_half_way(refusal: int) -> None:
    """
    What was read is not taken for all: a log that begins, and is then refused, is an error.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1)
        life.account.set_status(job_id, "SUCCEEDED")
        life.account.set_log(job_id, numbered(2500))
        lines: list[str] = []

        with pytest.raises((NotFound, StateConflict)):
            async for line in life.client.fine_tunes.logs(job_id, follow=True):
                if not lines:
                    life.emulator.inject(
                        Fault(
                            operation="fine_tunes.logs",
                            status=refusal,
                            body={"code": "NotFound" if refusal == 404 else "OperationDenied"},
                            times=None,
                        )
                    )
                lines.append(line)

    assert lines == numbered(1000)


async def test_following_has_a_deadline() -> None:
    """
    A job that does not end is followed until the deadline, and no longer.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1)
        life.account.set_status(job_id, "RUNNING")
        life.account.set_log(job_id, numbered(3))
        lines: list[str] = []

        with pytest.raises(DeadlineExceeded) as caught:
            async for line in life.client.fine_tunes.logs(job_id, follow=True, deadline=60.0):
                lines.append(line)

    assert lines == numbered(3)
    assert caught.value.last_status == "RUNNING"
    assert sum(life.slept) == 60.0


async def test_a_log_that_cannot_be_read_once_the_job_has_ended() -> None:
    """
    Out of time, a job that was seen to have ended is not said to go on.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["SUCCEEDED"])
        life.emulator.inject(Fault(operation="fine_tunes.logs", status=500, times=None))

        with pytest.raises(DeadlineExceeded, match=r"^The log of .* was not read") as caught:
            async for _ in life.client.fine_tunes.logs(job_id, follow=True, deadline=60.0):
                pass

    assert caught.value.last_status == "SUCCEEDED"
    assert caught.value.hint == "The job has ended; read its log again."


async def test_a_job_that_is_not_there() -> None:
    """
    A job that does not exist has no log, followed or not.
    """
    async with living() as life:
        for follow in (False, True):
            with pytest.raises(NotFound):
                await read(life, "ft-1", follow=follow)


async def test_an_id_that_is_a_path() -> None:
    """
    What is not an id is refused before the first line is asked for.
    """
    async with living() as life:
        with pytest.raises(InvalidArgument):
            life.client.fine_tunes.logs("../files/file-1")
        with pytest.raises(InvalidArgument):
            life.client.fine_tunes.logs("", follow=True)

    assert not life.asked


def test_a_log_in_code_that_blocks() -> None:
    """
    The blocking face reads the same lines, from a thread without a loop.
    """
    with Emulator() as emulator, Client(base_url=emulator.url, api_key=emulator.key()) as client:
        [job_id] = emulator.seed(jobs=1, statuses=["SUCCEEDED"])
        emulator.account().set_log(job_id, numbered(2500))

        assert list(client.fine_tunes.logs(job_id)) == numbered(2500)
        assert list(client.fine_tunes.logs(job_id, follow=True)) == numbered(2500)
        assert [p.job.status for p in client.fine_tunes.watch(job_id)] == ["SUCCEEDED"] * 3


@pytest.mark.parametrize("follow", [False, True])
def test_a_log_in_code_that_blocks_comes_in_batches(
    follow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Lines go from the loop's thread to the caller's by the thousand, not one by one.
    """
    with Emulator() as emulator, Client(base_url=emulator.url, api_key=emulator.key()) as client:
        [job_id] = emulator.seed(jobs=1, statuses=["SUCCEEDED"])
        emulator.account().set_log(job_id, numbered(2500))
        steps: list[Stream[object]] = []
        step = Stream[object].step

        def noted(stream: Stream[object], thread: LoopThread) -> Coroutine[Any, Any, object]:
            steps.append(stream)
            return step(stream, thread)

        monkeypatch.setattr(Stream, "step", noted)

        assert list(client.fine_tunes.logs(job_id, follow=follow)) == numbered(2500)
        assert len(steps) == 4  # three batches, and the end


def page(lines: object, total: object) -> Answer:
    return Answer({"request_id": "r", "output": {"logs": lines, "total": total}})


@pytest.mark.parametrize("total", [None, 0, 5, "many", True])
async def test_a_total_that_says_nothing(total: object) -> None:
    """
    Where the total is missing or too small, the log ends with the first empty answer.
    """
    acts = [page(numbered(100), total), page(numbered(50, 100), total), page([], total)]
    async with scripted(*acts) as server:
        client = server.client()

        lines = [line async for line in client.fine_tunes.logs("ft-1")]

    assert lines == numbered(150)
    assert [request.target.split("?")[1] for request in server.requests] == [
        "offset=0&line=1000",
        "offset=100&line=1000",
        "offset=150&line=1000",
    ]


async def test_an_empty_answer_in_between() -> None:
    """
    Nothing where the total promises more is asked for again; how often counts anew with each line.
    """
    nothing = [page([], 30)] * 2
    later = [page(numbered(10, 10), 30), *nothing, page(numbered(10, 20), 30)]
    async with scripted(page(numbered(10), 30), *nothing, *later) as server:
        lines = [line async for line in server.client().fine_tunes.logs("ft-1")]

    assert lines == numbered(30)


async def test_a_log_that_ends_below_its_total() -> None:
    """
    Lines that the service counts and does not give are an error, after those that it gives.
    """
    few: list[str] = []
    async with scripted(page(numbered(10), 10**9), page(None, 10**9)) as lying:
        with pytest.raises(MalformedResponse, match="after 10 of 1000000000 lines") as caught:
            async for line in lying.client().fine_tunes.logs("ft-1"):
                few.append(line)
        asked = len(lying.requests)
        with pytest.raises(MalformedResponse, match="after 0 of"):
            await lying.client().fine_tunes.training_log("ft-1")

    assert few == numbered(10)
    assert (caught.value.path, caught.value.request_id) == ("output.logs", "r")
    assert asked == 4


def growing(job: Answer, *pages: Answer) -> Script:
    """
    Answer looks at the job and at its log, the last page again and again.
    """
    left = list(pages)

    def act(request: Received) -> Answer:
        if "/logs?" not in request.target:
            return job
        return left.pop(0) if len(left) > 1 else left[0]

    return act


async def test_the_last_lines_come_late() -> None:
    """
    Followed, a log that is behind its own count is looked at again, also when the job has ended.
    """
    nothing = [page([], 20)] * 3
    acts = [page(numbered(10), 20), *nothing, *nothing, page(numbered(10, 10), 20)]
    for status in ("RUNNING", "SUCCEEDED"):
        async with scripted(growing(job(status), *acts)) as server:
            lines: list[str] = []
            async with aclosing(server.client().fine_tunes.watch("ft-1")) as watch:
                async for progress in watch:
                    lines += progress.lines
                    if len(lines) == 20:
                        break

        assert lines == numbered(20)


async def test_the_last_lines_never_come() -> None:
    """
    Followed, a log that stays below its own count is an error soon after the job has ended.
    """
    async with scripted(growing(job("RUNNING"), page([], 20))) as server:
        with pytest.raises(DeadlineExceeded):
            async for _ in server.client().fine_tunes.watch("ft-1", deadline=600):
                pass
    for given in (10, 0):
        lines = []
        acts = page(numbered(given), 20), page([], 20)
        async with scripted(growing(job("SUCCEEDED"), *acts)) as server:
            with pytest.raises(MalformedResponse, match=f"after {given} of 20 lines"):
                async for line in server.client().fine_tunes.logs("ft-1", follow=True):
                    lines.append(line)

        assert lines == numbered(given)
        assert len(server.requests) <= 4 * (1 + 4)


@pytest.mark.parametrize(
    "body",
    [5, [1], {}, None, "x", {"foo": 1}, {"output": {"foo": 1}}, {"output": {"logs": {}}}],
    ids=str,
)
async def test_an_answer_that_is_no_log(body: object) -> None:
    """
    What is JSON of another shape is never taken for a log without lines.
    """
    async with scripted(Answer(body)) as server:
        with pytest.raises(MalformedResponse):
            [line async for line in server.client().fine_tunes.logs("ft-1")]


async def test_a_line_too_deep_to_be_written() -> None:
    """
    A line too deep to be written is an error, not a line that is lost.
    """
    deep = b'{"output": {"logs": [' + b"[" * 300 + b"]" * 300 + b'], "total": 1}}'
    async with scripted(Answer(deep)) as server:
        with pytest.raises(MalformedResponse) as caught:
            [line async for line in server.client().fine_tunes.logs("ft-1")]

    assert caught.value.path == "output.logs"


async def test_a_gateway_that_knows_no_logs() -> None:
    """
    A 404 that is not the service's own says nothing of the log, and ends the following.
    """
    async with scripted(growing(job("RUNNING"), Answer(b"<html>", 404))) as server:
        with pytest.raises(NotFound) as caught:
            [line async for line in server.client().fine_tunes.logs("ft-1", follow=True)]

    assert not caught.value.is_from_service


async def test_lines_that_are_not_text() -> None:
    """
    A line of another kind is kept as JSON; no output is an empty log, another shape an error.
    """
    async with scripted(page(["a", {"b": 1}, None, 3], 4)) as server:
        lines = [line async for line in server.client().fine_tunes.logs("ft-1")]
    async with scripted(Answer({"request_id": "r", "output": {}})) as silent:
        none = [line async for line in silent.client().fine_tunes.logs("ft-1")]
    async with scripted(page(5, 3), Answer({"output": ["abc"]})) as odd:
        with pytest.raises(MalformedResponse) as caught:
            [line async for line in odd.client().fine_tunes.logs("ft-1")]
        with pytest.raises(MalformedResponse, match="output is not a log"):
            [line async for line in odd.client().fine_tunes.logs("ft-1")]

    assert lines == ["a", '{"b":1}', "null", "3"]
    assert none == []
    assert caught.value.path == "output.logs"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("one", ["one"]),
        ("one\ntwo\n", ["one", "two"]),
        ("\none\n\n\u2028two\r\n", ["", "one", "", "\u2028two\r"]),
    ],
)
async def test_a_log_in_one_text(text: str, lines: list[str]) -> None:
    """
    A log that comes as one text, as the official SDK reads it too, is its lines.
    """
    async with scripted(page(text, len(lines))) as server:
        read = [line async for line in server.client().fine_tunes.logs("ft-1")]

    assert read == lines
    assert len(server.requests) == 1


async def test_watching_a_job() -> None:
    """
    Watching shows status, new lines and figures at each look, and ends with the finished job.
    """
    async with living() as life:
        job = await life.job(hyper_parameters={"n_epochs": "3"})

        seen = [progress async for progress in life.client.fine_tunes.watch(job)]

    assert [progress.job.status for progress in seen][:1] == ["PENDING"]
    assert seen[-1].job.status == "SUCCEEDED"
    assert [line for progress in seen for line in progress.lines] == list(seen[-1].log.lines)
    fractions = [progress.fraction for progress in seen if progress.fraction is not None]
    assert fractions == sorted(fractions)
    assert (seen[0].fraction, fractions[-1]) == (None, 1.0)
    assert len(seen[-1].log.loss) == 60


@pytest.mark.parametrize("epochs", [None, "auto", [3]])
async def test_watching_a_job_of_unknown_length(epochs: object) -> None:
    """
    Without a number of epochs, how far training is cannot be told until it has succeeded.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["RUNNING"])
        life.account.jobs[job_id]["hyper_parameters"] = (
            {} if epochs is None else {"n_epochs": epochs}
        )

        fractions = [progress.fraction async for progress in life.client.fine_tunes.watch(job_id)]

    assert set(fractions[:-1]) == {None}
    assert fractions[-1] == 1.0


async def test_watching_a_long_log() -> None:
    """
    A log that is long already comes in ever larger parts, since each progress holds all of it; a
    failure within a part loses none of its lines.
    """
    pages = [page(numbered(1000, start), 40_000) for start in range(0, 40_000, 1000)]
    acts = [
        *pages[:6],
        Answer({"code": "Busy", "message": ""}, status=503),
        *pages[6:],
        page([], 40_000),
    ]
    async with scripted(growing(job("SUCCEEDED"), *acts)) as server:
        client = server.client(max_attempts=1)
        seen = [each async for each in client.fine_tunes.watch("ft-1")]

    assert len(seen) <= 10
    assert [line for each in seen for line in each.lines] == numbered(40_000)
    assert [len(each.log.lines) for each in seen][-1] == 40_000


async def test_following_keeps_no_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Whoever follows a log wants its lines one by one: they are neither kept nor read for figures.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["SUCCEEDED"])
        life.account.set_log(job_id, numbered(2500))
        monkeypatch.delattr(TrainingLog, "extended")

        assert await read(life, job_id, follow=True) == numbered(2500)


async def test_leaving_a_log_early() -> None:
    """
    A reader who has seen enough leaves nothing behind.
    """
    async with living() as life:
        [job_id] = life.emulator.seed(jobs=1, statuses=["SUCCEEDED"])
        life.account.set_log(job_id, numbered(2500))

        lines = life.client.fine_tunes.logs(job_id)
        first = await anext(lines)
        await lines.aclose()

    assert first == "line 0"
    assert life.asked["fine_tunes.logs"] == 1


async def test_last_lines_that_come_one_by_one() -> None:
    """
    Followed, a log below its own count is read on for as long as anything comes of it.
    """
    acts = [act for n in range(20) for act in (page(numbered(1, n), 20), *[page([], 20)] * 3)]
    async with scripted(growing(job("SUCCEEDED"), *acts)) as server:
        lines = [line async for line in server.client().fine_tunes.logs("ft-1", follow=True)]

    assert lines == numbered(20)


@pytest.mark.parametrize("epoch", [-1.0, 4.0])
def test_an_epoch_that_training_does_not_have(epoch: float) -> None:
    """
    An epoch that training does not have tells nothing of how far training is.
    """
    job = FineTuneJob(job_id="ft-1", status="RUNNING", hyper_parameters={"n_epochs": 3})
    log = TrainingLog.read([f"{{'loss': 0.5, 'epoch': {epoch}}}"])

    assert Progress(job=job, lines=(), log=log).fraction is None
