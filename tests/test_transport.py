"""
What a call comes to: repeated, looked into, refused, in doubt, or out of time.
"""

from __future__ import annotations

import asyncio
import gzip
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import product
from typing import Any

import pytest
from aiohttp import TraceConfig

from dashscope_ft import (
    APIError,
    AsyncClient,
    AuthenticationFailed,
    Conflict,
    ConnectionFailed,
    DashScopeError,
    DeadlineExceeded,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    QuotaExceeded,
    ServiceError,
    StateConflict,
    Throttled,
)
from dashscope_ft.codec import Codec
from dashscope_ft.connections import Connections
from dashscope_ft.settings import resolve
from dashscope_ft.transport import Transport

from .asks import (
    Ask,
    cancel,
    create,
    create_import,
    delete,
    delete_import,
    ended,
    get,
    page,
)
from .scripted import (
    ACKNOWLEDGED,
    EMPTY_PAGE,
    KEY,
    NOT_FOUND,
    Act,
    Answer,
    HangUp,
    Noise,
    Received,
    ScriptedServer,
    Silence,
    job,
    refusal,
    scripted,
)

TOO_MANY_JOBS = "Too many fine-tuning jobs are running; delete some."
OUTAGE = refusal(503, "InternalError", "Come back later.")
BUSY = refusal(429, "Throttling.RateQuota", "Requests rate limit exceeded")
PAGE_OF_HTML = Answer(b"<html><title>502</title></html>", headers={"Content-Type": "text/html"})
OTHER_SHAPE = Answer({"output": {"status": "perhaps"}})
LOST: dict[str, Act] = {
    "closed": HangUp(),
    "reset": HangUp(reset=True),
    "torn": Answer({"output": {"status": "success"}}, torn=9),
    "outage": OUTAGE,
    "timeout_of_a_gateway": Answer(b"<html>", 504),
    "html": PAGE_OF_HTML,
    "other_shape": OTHER_SHAPE,
    "empty": Answer(b""),
    "too_deep": Answer(b'{"output":' + b"[" * 300 + b"]" * 300 + b"}"),
}

every_loss = pytest.mark.parametrize("loss", LOST.values(), ids=LOST)


CHANGES: dict[str, Ask] = {"create": create, "delete": delete, "cancel": cancel}
CALLS: dict[str, Ask] = CHANGES | {"get": get, "page": page, "create_import": create_import}

every_call = pytest.mark.parametrize("ask", CALLS.values(), ids=CALLS)


# Creating


@every_loss
@pytest.mark.parametrize("ask", [create, create_import], ids=["job", "import"])
async def test_a_creation_whose_answer_is_lost(ask: Ask, loss: Act) -> None:
    """
    A billed creation goes out once; without its answer nobody knows, and the hint says so.
    """
    async with scripted(loss) as server:
        error = await ended(ask(server.client()))

        assert type(error) is OutcomeUnknown
        assert len(server.requests) == 1
        assert not error.retryable
        assert error.hint is not None
        assert "may exist and be billed" in error.hint
        assert error.attempts == 1


async def test_a_creation_that_is_throttled() -> None:
    """
    A request refused for its rate was not taken: it is sent again.
    """
    async with scripted(BUSY, job()) as server:
        await create(server.client())

        assert server.sent == ["POST /fine-tunes"] * 2


async def test_a_creation_beyond_the_quota() -> None:
    """
    A quota of jobs clears by no waiting: one request, and a hint on what to do.
    """
    async with scripted(refusal(429, "Throttling", TOO_MANY_JOBS)) as server:
        error = await ended(create(server.client()))

        assert type(error) is QuotaExceeded
        assert len(server.requests) == 1
        assert not error.retryable
        assert error.hint is not None
        assert "delete" in error.hint
        assert server.time.slept == []


# Deleting


@every_loss
@pytest.mark.parametrize("noun", ["fine_tunes", "imports"])
async def test_a_deletion_whose_answer_is_lost(noun: str, loss: Act) -> None:
    """
    Asked again, the service knows no such job: it was deleted, which is inferred, not confirmed.
    """
    async with scripted(loss, NOT_FOUND) as server:
        receipt = await getattr(server.client(), noun).delete("j-1")

        assert receipt.confirmed is False
        assert receipt.job_id == "j-1"
        assert receipt.request_id == "r-no"
        assert len(server.requests) == 2


async def test_a_deletion_lost_before_it_was_done() -> None:
    """
    Asked again, the service deletes it: that is confirmed.
    """
    async with scripted(HangUp(), ACKNOWLEDGED) as server:
        receipt = await delete(server.client())

        assert receipt.confirmed is True
        assert receipt.request_id == "r-yes"


@pytest.mark.parametrize(
    "bare",
    [
        Answer(b"", 404),
        Answer(b"<html>Not Found</html>", 404),
        Answer({"detail": "Not Found"}, 404),
        Answer({"code": 404, "message": "no route"}, 404),
        Answer({"error": "Not Found", "status": 404}, 404),
    ],
    ids=["empty", "html", "other_json", "number", "spring"],
)
async def test_a_deletion_in_doubt_and_a_bare_404(bare: Answer) -> None:
    """
    A 404 that is not the service's own proves nothing to be gone.
    """
    async with scripted(HangUp(), bare) as server:
        error = await ended(delete(server.client()))

        assert type(error) is OutcomeUnknown
        assert error.status == 404
        assert error.hint is not None
        assert len(server.requests) == 2

    async with scripted(bare) as server:
        error = await ended(server.client().fine_tunes.delete("ft-1", missing_ok=True))

        assert type(error) is NotFound


async def test_a_deletion_of_what_is_not_there() -> None:
    """
    Without a doubt before it, not found is just that.
    """
    async with scripted(NOT_FOUND) as server:
        error = await ended(delete(server.client()))

        assert type(error) is NotFound
        assert len(server.requests) == 1


async def test_a_deletion_refused_after_a_doubt() -> None:
    """
    A job that the service still refuses to delete was not deleted by the attempt in doubt.
    """
    denied = refusal(400, "UnsupportedOperation", "not in this state")
    async with scripted(HangUp(), denied, job("RUNNING")) as server:
        error = await ended(delete(server.client()))

        assert type(error) is StateConflict
        assert error.job_status == "RUNNING"


@pytest.mark.parametrize(
    "after",
    [
        refusal(401, "InvalidApiKey"),
        refusal(403, "AccessDenied"),
        refusal(400, "InvalidParameter"),
        refusal(409, "Conflict"),
        refusal(429, "Throttling", TOO_MANY_JOBS),
        Answer(b"", 302, headers={"Location": "/elsewhere"}),
        Answer(b"", 418),
    ],
    ids=["401", "403", "400", "409", "quota", "302", "418"],
)
async def test_a_deletion_in_doubt_and_another_refusal(after: Act) -> None:
    """
    A refusal that proves nothing about the attempt in doubt leaves it unknown, with the facts.
    """
    async with scripted(HangUp(), after) as server:
        error = await ended(delete(server.client()))

        assert type(error) is OutcomeUnknown
        assert isinstance(after, Answer)
        assert error.status == after.status
        assert len(server.requests) == 2


# Cancelling


@every_loss
@pytest.mark.parametrize("status", ["CANCELING", "CANCELED"])
async def test_a_cancellation_whose_answer_is_lost(status: str, loss: Act) -> None:
    """
    The job is looked at: being cancelled, it was cancelled, which is inferred.
    """
    async with scripted(loss, job(status)) as server:
        receipt = await cancel(server.client())

        assert receipt.confirmed is False
        assert receipt.request_id == f"r-{status}"
        assert server.sent == ["POST /fine-tunes/ft-1/cancel", "GET /fine-tunes/ft-1"]


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED"])
async def test_a_cancellation_of_a_job_that_ended_meanwhile(status: str) -> None:
    """
    A job that has ended was not cancelled, and the error says how it ended.
    """
    async with scripted(HangUp(), job(status)) as server:
        error = await ended(cancel(server.client()))

        assert type(error) is StateConflict
        assert error.job_status == status
        assert status in str(error)
        assert len(server.requests) == 2


@every_loss
async def test_a_cancellation_of_a_job_that_still_runs(loss: Act) -> None:
    """
    A job that still runs was not cancelled: once more, and only once.
    """
    async with scripted(loss, job("RUNNING"), ACKNOWLEDGED) as server:
        receipt = await cancel(server.client())

        assert receipt.confirmed is True
        assert [sent.split()[0] for sent in server.sent] == ["POST", "GET", "POST"]

    async with scripted(loss, job("RUNNING"), loss, job("RUNNING")) as server:
        error = await ended(cancel(server.client()))

        assert type(error) is OutcomeUnknown
        assert [sent.split()[0] for sent in server.sent] == ["POST", "GET", "POST", "GET"]


async def test_a_cancellation_that_a_service_in_trouble_puts_off() -> None:
    """
    Nothing is sent before the time that the service asked for is over, not even a look.
    """
    async with scripted(refusal(503, Retry_After="30"), job("CANCELING")) as server:
        receipt = await cancel(server.client())

        assert receipt.confirmed is False
        assert server.time.slept == [30]

    async with scripted(refusal(503, Retry_After="61"), job("CANCELING")) as server:
        error = await ended(cancel(server.client(deadline=600)))

        assert type(error) is OutcomeUnknown
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("ask", "answer"),
    [(cancel, HangUp()), (delete, refusal(400, "UnsupportedOperation"))],
    ids=["cancel", "delete"],
)
async def test_a_look_goes_before_calls_that_have_not_begun(ask: Ask, answer: Act) -> None:
    """
    The time of the call that looks is running, that of those in line is not.
    """
    look = "GET /fine-tunes/ft-1"
    async with scripted(answer, EMPTY_PAGE, job("SUCCEEDED"), EMPTY_PAGE) as server:
        client = server.client(concurrency=1)
        asked = asyncio.ensure_future(ended(ask(client)))
        await asyncio.sleep(0)
        await asyncio.gather(*(page(client) for _ in range(4)))

        assert type(await asked) is StateConflict
        assert [sent.startswith(look) for sent in server.sent[1:4]] == [False, True, False]


async def test_a_look_that_gets_no_turn_in_time() -> None:
    """
    A call whose time is over says what it knows, however long others are in flight.
    """
    async with scripted(refusal(400, "UnsupportedOperation"), Silence()) as server:
        client = server.client(concurrency=1, deadline=0.3, real_time=True)
        asked = asyncio.ensure_future(ended(delete(client)))
        await asyncio.sleep(0)
        other = asyncio.ensure_future(page(client.with_options(deadline=60)))
        error = await asked
        other.cancel()

        assert type(error) is StateConflict
        assert error.job_status is None
        assert len(server.requests) == 2


async def test_a_look_ends_with_the_deadline_of_its_call() -> None:
    """
    A look at a job in doubt has only the time that its call has left, not a whole timeout.
    """
    async with scripted(HangUp(), Silence()) as server:
        async with asyncio.timeout(10):
            error = await ended(cancel(server.client(timeout=3600.0, deadline=0.5)))

        assert type(error) is OutcomeUnknown
        assert [sent.split()[0] for sent in server.sent] == ["POST", "GET"]


async def test_a_second_cancellation_that_finds_the_job_ended() -> None:
    """
    A refusal for its state after a doubt may be the doubt's own work: the job is looked at.
    """
    denied = refusal(400, "UnsupportedOperation")
    async with scripted(HangUp(), job("RUNNING"), denied, job("CANCELED")) as server:
        receipt = await cancel(server.client())

        assert receipt.confirmed is False

    async with scripted(HangUp(), job("RUNNING"), denied, job("SUCCEEDED")) as server:
        error = await ended(cancel(server.client()))

        assert type(error) is StateConflict
        assert error.job_status == "SUCCEEDED"


@pytest.mark.parametrize(
    "look",
    [HangUp(), OUTAGE, refusal(401, "InvalidApiKey"), Answer(b"", 404), Answer([1])],
    ids=["lost", "outage", "401", "bare_404", "other_shape"],
)
async def test_a_cancellation_in_doubt_and_a_look_that_fails(look: Act) -> None:
    """
    Where the job cannot be looked at, nobody knows.
    """
    async with scripted(HangUp(), look) as server:
        error = await ended(cancel(server.client()))

        assert type(error) is OutcomeUnknown
        assert error.hint is not None
        assert "Get the job" in error.hint
        assert [sent for sent in server.sent if sent.startswith("POST")] == [server.sent[0]]


async def test_a_cancellation_in_doubt_of_a_job_that_is_not_there() -> None:
    """
    Where the look after a lost cancellation finds no job, there is nothing to cancel.
    """
    async with scripted(HangUp(), NOT_FOUND) as server:
        assert type(await ended(cancel(server.client()))) is NotFound


# Whatever happens


@pytest.mark.parametrize("ask", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    "script",
    [*product(LOST, [*LOST, "busy", "busy_for_long", "silence"])],
    ids="-".join,
)
async def test_what_may_have_happened_is_never_called_undone(
    ask: Ask, script: tuple[str, str]
) -> None:
    """
    Once a change may have been received, no error says that nothing happened.
    """
    acts: dict[str, Act] = LOST | {
        "busy": BUSY,
        "busy_for_long": refusal(429, "Throttling", Retry_After="3600"),
        "silence": Silence(),
    }
    async with scripted([acts[name] for name in script]) as server:
        error = await ended(ask(server.client(timeout=0.1, deadline=20.0)))

        assert type(error) is OutcomeUnknown
        assert error.attempts >= 1
        assert error.hint is not None


@every_call
async def test_no_error_is_chained(ask: Ask) -> None:
    """
    No error drags another library's exception, or its traceback, along.
    """
    acts = [*LOST.values(), Silence(), BUSY, NOT_FOUND, refusal(400, "UnsupportedOperation")]
    for act in acts:
        async with scripted(act) as server:
            error = await ended(ask(server.client(timeout=0.05, max_attempts=2)))

            assert error.__cause__ is None
            assert error.__context__ is None


# Refusals


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(400, "InvalidParameter", "page_no"), InvalidRequest),
        (refusal(400), InvalidRequest),
        (refusal(401, "InvalidApiKey", "Invalid API-key provided."), AuthenticationFailed),
        (refusal(403, "AccessDenied.Unpurchased"), PermissionDenied),
        (refusal(400, "Arrearage"), PermissionDenied),
        (NOT_FOUND, NotFound),
        (refusal(409, "Conflict", "taken"), Conflict),
        (refusal(429, "Throttling", TOO_MANY_JOBS), QuotaExceeded),
        (refusal(418, "Teapot"), APIError),
        (Answer(b"", 307, headers={"Location": "/api/v1/elsewhere"}), APIError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
@every_call
async def test_a_refusal(ask: Ask, answer: Answer, kind: type[DashScopeError]) -> None:
    """
    A no is sent for once, and told with the service's own words.
    """
    async with scripted(answer) as server:
        error = await ended(ask(server.client()))

        assert type(error) is kind
        assert len(server.requests) == 1
        assert error.status == answer.status
        assert error.attempts == 1
        assert server.time.slept == []
        if isinstance(answer.body, dict):
            assert error.code == answer.body.get("code")
            assert error.request_id == "r-no"


async def test_an_error_says_what_was_asked() -> None:
    """
    Of several jobs, one knows which was not found; the service's own words stay as they are.
    """
    async with scripted(NOT_FOUND) as server:
        error = await ended(get(server.client()))

        assert str(error).startswith("Getting ft-1: Not Found! (code NotFound, HTTP 404")
        assert error.message == "Not Found!"
        assert error.what == "Getting ft-1"


async def test_a_wrong_key() -> None:
    """
    The hint names the region and the host that were asked, since a key is bound to one.
    """
    async with scripted(refusal(401, "InvalidApiKey", "Invalid API-key provided.")) as server:
        error = await ended(get(server.client(region="cn")))

        assert error.hint is not None
        assert "'cn'" in error.hint
        assert f"127.0.0.1:{server.port}" in error.hint
        assert "region" in error.hint


async def test_success_with_an_error_inside() -> None:
    """
    A 200 that carries a failing code is that failure, for a listing too.
    """
    for body in (
        {"code": "Throttling", "message": "slow down", "request_id": "r"},
        {"code": "Throttling", "message": "slow down", "output": {}},
        {"error": {"code": "Throttling", "message": "slow down"}},
        {"code": "Throttling", "message": "slow down", "output": {"jobs": [], "total": 0}},
        {"code": "Throttling", "message": "slow down", "output": {"jobs": None, "page_no": 1}},
    ):
        async with scripted(Answer(body)) as server:
            error = await ended(page(server.client()))

            assert type(error) is Throttled
            assert error.status == 200
            assert error.message == "slow down"
            assert len(server.requests) == 4


@pytest.mark.parametrize("code", [None, "", 0, "0", 200, "200", "Success", "success"])
async def test_success_that_carries_a_code(code: Any) -> None:
    """
    A code that means success does not make an answer a failure.
    """
    answer = Answer({"code": code, "output": {"job_id": "ft-1", "status": "RUNNING"}})
    async with scripted(answer) as server:
        assert (await get(server.client())).job_id == "ft-1"


async def test_a_success_beside_the_code_of_an_error() -> None:
    """
    A payload that holds what was asked for is the answer, whatever code stands beside it.
    """
    answer = Answer({"code": "Throttling", "output": {"job_id": "ft-1", "status": "RUNNING"}})
    async with scripted(answer) as server:
        assert (await get(server.client())).job_id == "ft-1"
        assert len(server.requests) == 1


async def test_a_deletion_in_doubt_of_a_job_that_is_gone() -> None:
    """
    A state that forbids it says nothing for sure where the look for that state finds no job.
    """
    refused = refusal(400, "UnsupportedOperation")
    async with scripted(Answer(b"", 504), refused, refusal(404, "NotFound")) as server:
        error = await ended(delete(server.client()))

        assert type(error) is OutcomeUnknown
        assert [sent.split()[0] for sent in server.sent] == ["DELETE", "DELETE", "GET"]


async def test_attempts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """
    Each attempt is a line at DEBUG: what was asked, what came of it, and how long it took; without
    the key.
    """
    caplog.set_level("DEBUG", "dashscope_ft")
    async with scripted(HangUp(), refusal(404, "NotFound")) as server:
        await ended(get(server.client()))

    first, pause, second = (record.getMessage() for record in caplog.records)
    assert first.startswith("Getting ft-1: the connection was closed without an answer, after ")
    assert pause.startswith("Getting ft-1: LOST; again in ")
    assert second.startswith("Getting ft-1: HTTP 404, NotFound, request r-no, after ")
    assert KEY not in caplog.text


@pytest.mark.parametrize("code", [500, "500"])
async def test_success_whose_code_is_the_status_of_a_failure(code: Any) -> None:
    """
    A success that carries the code of a failure is that failure: a read is repeated, and of a
    creation its outcome is unknown.
    """
    failure, success = Answer({"code": code, "msg": "broken"}), job("RUNNING")
    async with scripted(failure, success) as server:
        assert (await get(server.client())).status == "RUNNING"
    async with scripted(failure) as server:
        error = await ended(create(server.client()))

        assert type(error) is OutcomeUnknown
        assert len(server.requests) == 1


@pytest.mark.parametrize("ask", [cancel, delete], ids=["cancel", "delete"])
async def test_a_state_that_forbids(ask: Ask) -> None:
    """
    A job whose state forbids what was asked is looked at once, and its status told.
    """
    async with scripted(refusal(400, "UnsupportedOperation"), job("QUEUING")) as server:
        error = await ended(ask(server.client()))

        assert type(error) is StateConflict
        assert error.job_status == "QUEUING"
        assert error.request_id == "r-no"
        assert error.hint is not None
        assert "QUEUING" in error.hint
        assert [sent.split()[0] for sent in server.sent][1:] == ["GET"]


@pytest.mark.parametrize(
    ("ask", "status", "hint"),
    [
        (delete, "RUNNING", "The job is RUNNING: delete it once it has been cancelled or ended."),
        (
            delete,
            "CANCELING",
            "The job is CANCELING: delete it once it has been cancelled or ended.",
        ),
        (delete, "SUCCEEDED", "The job is SUCCEEDED."),
        (cancel, "RUNNING", "The job is RUNNING."),
        (delete_import, "RUNNING", "The job is RUNNING: wait until it has ended, then delete it."),
        (delete_import, "SUCCESSED", "The job is SUCCESSED."),
    ],
)
async def test_what_to_do_about_a_state_that_forbids(ask: Ask, status: str, hint: str) -> None:
    """
    A fine-tuning job can be cancelled, an import only be waited for.
    """
    seen = job(status, "im-1" if ask is delete_import else "ft-1")
    async with scripted(refusal(400, "UnsupportedOperation"), seen) as server:
        error = await ended(ask(server.client()))

        assert error.hint is not None
        assert error.hint.endswith(hint)


@pytest.mark.parametrize(
    "look", [HangUp(), OUTAGE, NOT_FOUND, BUSY, Answer({}), PAGE_OF_HTML, Silence()]
)
async def test_a_state_that_forbids_and_a_look_that_fails(look: Act) -> None:
    """
    The look is best effort: one request, and no status where it fails.
    """
    async with scripted(refusal(400, "OperationDenied", "no"), look) as server:
        error = await ended(delete_import(server.client(timeout=0.5)))

        assert type(error) is StateConflict
        assert error.job_status is None
        assert error.message == "no"
        assert len(server.requests) == 2


async def test_a_state_that_forbids_and_no_time_left() -> None:
    """
    Where the refusal comes with the deadline, the job is not looked at any more.
    """

    def late(_: Received) -> Act:
        server.time.now += 3.0
        return refusal(400, "OperationDenied", "no")

    async with scripted(late) as server:
        error = await ended(delete(server.client(deadline=3.0)))

        assert type(error) is StateConflict
        assert error.job_status is None
        assert len(server.requests) == 1


# Waiting


async def test_the_waits_between_attempts() -> None:
    """
    Waits double from half a second, and are jittered by the function that was passed in.
    """
    async with scripted(OUTAGE) as server:
        error = await ended(get(server.client(max_attempts=8)))

        assert type(error) is ServiceError
        assert server.time.slept == [0.5, 1, 2, 4, 8, 16, 20]
        assert error.attempts == 8


async def test_the_pauses_of_clients_are_spread() -> None:
    """
    Unless told otherwise, a client pauses for any time up to the longest, so that clients which
    met the same outage do not all come back at once.
    """
    async with scripted(OUTAGE) as server:
        settings = resolve(
            api_key=KEY, base_url=server.url, region="intl", max_attempts=2, environ={}
        )
        for _ in range(40):
            transport = Transport(
                settings, Connections(settings), clock=server.time, sleep=server.time.sleep
            )
            async with AsyncClient._over(transport, Codec(settings.time_zone)) as client:
                await ended(get(client))

    pauses = server.time.slept
    assert len(pauses) == 40
    assert all(0 <= pause <= 0.5 for pause in pauses)
    assert min(pauses) < 0.15
    assert max(pauses) > 0.35


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asks", [3, 30, 60], ids=lambda asks: f"{asks}_s")
async def test_a_service_that_says_when(status: int, asks: int) -> None:
    """
    `Retry-After` is a floor: never is anything sent before.
    """
    async with scripted(refusal(status, Retry_After=str(asks)), job()) as server:
        began = server.time.now
        await get(server.client())

        assert server.time.now - began == asks
        assert len(server.requests) == 2


async def test_a_service_that_says_when_by_a_date() -> None:
    """
    `Retry-After` may be a date.
    """
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    async with scripted(refusal(503, Retry_After=date), job()) as server:
        await get(server.client())
        [waited] = server.time.slept

        assert 30 <= waited <= 40


@pytest.mark.parametrize("asks", ["soon", "-1", "nan", "inf", "", "Wed, 99 Foo 2000"])
async def test_a_service_that_says_nonsense(asks: str) -> None:
    """
    A `Retry-After` that cannot be read, or lies in the past, is none.
    """
    async with scripted(refusal(503, Retry_After=asks), job()) as server:
        await get(server.client())

        assert server.time.slept == [0.5]


async def test_retry_after_means_nothing_elsewhere() -> None:
    """
    Only 429 and 503 say when to come back.
    """
    async with scripted(refusal(500, Retry_After="50"), job()) as server:
        await get(server.client())

        assert server.time.slept == [0.5]


@pytest.mark.parametrize(("status", "kind"), [(429, Throttled), (503, ServiceError)])
@pytest.mark.parametrize(("asks", "deadline"), [(61, 600.0), (10, 9.0)], ids=["minute", "deadline"])
async def test_a_service_that_asks_for_too_much(
    asks: int, deadline: float, status: int, kind: type[APIError]
) -> None:
    """
    A pause of more than a minute, or beyond the deadline, is not begun: the answer's own error
    comes at once, with the time.
    """
    async with scripted(refusal(status, Retry_After=str(asks))) as server:
        error = await ended(get(server.client(deadline=deadline)))

        assert type(error) is kind
        assert error.retry_after == asks
        assert len(server.requests) == 1
        assert server.time.slept == []


async def test_a_pause_holds_for_every_call() -> None:
    """
    One refusal for the rate closes one gate for all; who cannot wait is told, and sends nothing.
    """
    async with scripted(refusal(429, Retry_After="600"), job()) as server:
        client = server.client()
        await ended(get(client))
        error = await ended(client.with_options(deadline=5).fine_tunes.delete("ft-2"))

        assert type(error) is Throttled
        assert error.retry_after == 600
        assert error.attempts == 0
        assert len(server.requests) == 1

        server.time.now += 601
        await get(client)

        assert len(server.requests) == 2


async def test_a_walk_that_is_throttled_to_its_end() -> None:
    """
    The error is the service's own, with its code and its request, and says what was sent.
    """
    async with scripted(BUSY) as server:
        error = await ended(server.client(deadline=5).fine_tunes.list().collect())

        assert type(error) is Throttled
        assert (error.status, error.code) == (429, "Throttling.RateQuota")
        assert error.request_id
        assert error.retry_after
        assert error.attempts == len(server.requests) > 1
        assert "Nothing was sent" not in str(error)


async def test_a_pause_that_another_call_is_told_of() -> None:
    """
    Who is refused, and then outlasted by another call's pause, is told the time of that one.
    """

    async def ask_too() -> None:
        server.time.meanwhile = lambda: None
        await ended(client.imports.get("im-1"))

    async with scripted(
        refusal(429, Retry_After="1"), refusal(429, Retry_After="40"), job()
    ) as server:
        client = server.client(deadline=30.0)
        server.time.meanwhile = ask_too
        error = await ended(get(client))

        assert type(error) is Throttled
        assert error.retry_after == 40
        assert error.hint == "Try again in 40 s."
        assert len(server.requests) == 2


async def test_a_deadline_between_attempts() -> None:
    """
    Where the next wait would end after the deadline, the call ends instead of waiting.
    """
    async with scripted(OUTAGE) as server:
        error = await ended(get(server.client(deadline=3.0, max_attempts=9)))

        assert type(error) is ServiceError
        assert server.time.slept == [0.5, 1]

    server = ScriptedServer([job()], port=server.port)
    async with server.client(deadline=3.0, max_attempts=9) as client:
        error = await ended(get(client))

    assert type(error) is DeadlineExceeded
    assert server.time.slept == [0.5, 1]


@pytest.mark.parametrize(("ask", "kind"), [(get, DeadlineExceeded), (delete, OutcomeUnknown)])
async def test_a_pause_that_lasts_beyond_the_deadline(ask: Ask, kind: type[DashScopeError]) -> None:
    """
    A machine that wakes a call too late sends nothing more for it.
    """
    async with scripted(OUTAGE, job()) as server:
        server.time.meanwhile = lambda: setattr(server.time, "now", server.time.now + 3.0)
        error = await ended(ask(server.client(deadline=3.0)))

        assert type(error) is kind
        assert "its turn came too late" in str(error)
        assert len(server.requests) == 1


async def test_a_deadline_shorter_than_the_timeout() -> None:
    """
    A deadline bounds the attempt, and not only the pauses.
    """
    async with scripted(job(), Silence()) as server:
        client = server.client(timeout=3600.0)
        await get(client)  # so that nothing but the answer takes time
        error = await ended(get(client.with_options(deadline=0.5)))

        assert type(error) is DeadlineExceeded
        assert "0.5 s" in str(error)
        assert len(server.requests) == 2


async def test_a_last_attempt_that_had_less_time() -> None:
    """
    The error tells the whole time, and that the rest of it was for the last attempt.
    """
    async with scripted(refusal(503, Retry_After="1"), Silence()) as server:
        error = await ended(get(server.client(deadline=1.2)))

        assert type(error) is DeadlineExceeded
        assert error.message == (
            "not done within 1.2 s: the last attempt got no whole answer within 0.2 s."
            f" Region 'intl' at 127.0.0.1:{server.port} was asked."
        )
        assert error.attempts == len(server.requests) == 2


async def test_a_body_that_dribbles() -> None:
    """
    A timeout bounds the whole answer, however steadily it drips.
    """
    async with scripted(Answer({"output": {"x": "y" * 1000}}, drip=0.01)) as server:
        error = await ended(get(server.client(timeout=0.1, max_attempts=1)))

        assert type(error) is DeadlineExceeded


async def test_a_page_that_is_no_answer() -> None:
    """
    Whoever asked the wrong place, or met a portal in between, is told what was asked.
    """
    async with scripted(Answer(b"<html>Welcome!</html>")) as server:
        error = await ended(get(server.client()))

        assert type(error) is MalformedResponse
        assert error.hint == f"Region 'intl' at 127.0.0.1:{server.port} was asked: check the URL."


# The budget


async def test_a_service_in_trouble_is_not_hit_harder() -> None:
    """
    Ten repetitions in a row, over all calls, and a client repeats no more.
    """
    async with scripted(OUTAGE) as server:
        client = server.client(max_attempts=100, deadline=10_000.0)
        first = await ended(get(client))
        second = await ended(get(client))

        assert (first.attempts, second.attempts) == (11, 1)
        assert type(second) is ServiceError


async def test_a_forked_child_has_a_budget_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What the calls of a parent process spent on repetitions is not missing in its child.
    """
    async with scripted(OUTAGE) as server:
        client = server.client(max_attempts=100, deadline=10_000.0)
        first = await ended(get(client))
        monkeypatch.setattr("os.getpid", lambda: 1)  # as after a fork
        second = await ended(get(client))

        assert (first.attempts, second.attempts) == (11, 11)


async def test_what_is_not_repeated_costs_nothing() -> None:
    """
    A call that ends for its deadline, or for a longer pause, takes nothing from the budget.
    """
    async with scripted([refusal(503, Retry_After="61")] * 20, OUTAGE) as server:
        client = server.client(max_attempts=100, deadline=10_000.0)
        for _ in range(10):
            await ended(get(client))
            await ended(get(client.with_options(deadline=0.4)))

        assert (await ended(get(client))).attempts == 11


async def test_successes_earn_repetitions() -> None:
    """
    A first-try success earns one token of five, a success after repetitions what they cost.
    """
    async with scripted([OUTAGE] * 11, [job()] * 5, OUTAGE, job(), [OUTAGE] * 9) as server:
        client = server.client(max_attempts=100, deadline=10_000.0)
        assert (await ended(get(client))).attempts == 11
        for _ in range(5):
            await get(client)
        await get(client)  # spends the five, and gets them back
        error = await ended(get(client))

        assert error.attempts == 2


async def test_repetitions_after_timeouts_cost_twice() -> None:
    """
    Five repetitions after timeouts, and a client repeats no more.
    """
    async with scripted(Silence()) as server:
        client = server.client(timeout=0.02, max_attempts=100, deadline=10_000.0)

        assert (await ended(get(client))).attempts == 6


# Bodies


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (PAGE_OF_HTML, MalformedResponse),
        (Answer(b""), MalformedResponse),
        (Answer(b"", 204), MalformedResponse),
        (Answer(b'{"output": {"jobs": ['), MalformedResponse),
        (Answer(b"\xff\xfe\x00"), MalformedResponse),
        (Answer(b"null"), MalformedResponse),
        (Answer(b"[]"), MalformedResponse),
        (Answer(b'"fine"'), MalformedResponse),
        (Answer(b"42"), MalformedResponse),
        (Answer({}), MalformedResponse),
        (Answer({"data": {"files": []}}), MalformedResponse),
        (Answer({"output": []}), MalformedResponse),
        (Answer({"output": "done"}), MalformedResponse),
        (Answer({"output": {"jobs": {"job_id": "x"}}}), MalformedResponse),
        (Answer({"output": {"jobs": [7]}}), MalformedResponse),
        (Answer({"output": {"jobs": [{"status": "RUNNING"}]}}), MalformedResponse),
        (Answer({"output": {}}, torn=4), ConnectionFailed),
        (Answer({"output": {}}, headers={"Content-Encoding": "gzip"}), ConnectionFailed),
        (Answer({"output": {}}, headers={"Content-Encoding": "br"}), ConnectionFailed),
        (Noise(b"\x00\x01\x02\r\n\r\n"), ConnectionFailed),
        (Noise(b"HTTP/1.1 999999 Strange\r\n\r\n"), ConnectionFailed),
        (Noise(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), ConnectionFailed),
        (Answer(b"<html>", 502), ServiceError),
        (Answer(b"<html>", 504), ServiceError),
        (Answer(b"", 503), ServiceError),
        (Answer(b"<html>", 405), APIError),
        (Answer(b"", 404), NotFound),
        (Answer(b'{"code": "InvalidApiKey"}', 401), AuthenticationFailed),
    ],
)
async def test_an_answer_that_is_none(answer: Act, kind: type[DashScopeError]) -> None:
    """
    Whatever comes back instead of a listing is the documented error, and the client lives on.
    """
    async with scripted([answer] * 2, EMPTY_PAGE) as server:
        client = server.client(max_attempts=2)
        error = await ended(page(client))

        assert type(error) is kind
        while len(server.requests) < 2:
            await ended(page(client))
        assert len(await page(client)) == 0


async def test_an_answer_that_is_not_json_twice() -> None:
    """
    A read whose answer is not JSON is asked for once more, not four times.
    """
    async with scripted(PAGE_OF_HTML) as server:
        error = await ended(get(server.client()))

        assert isinstance(error, MalformedResponse)
        assert error.path == "body"
        assert error.excerpt == "<html><title>502</title></html>"
        assert error.attempts == len(server.requests) == 2


async def test_an_empty_listing() -> None:
    """
    A listing whose rows, or whose payload, are null is empty.
    """
    for output in (None, {}, {"jobs": None}, {"jobs": [], "total": 0}):
        async with scripted(Answer({"output": output, "request_id": "r"})) as server:
            assert len(await page(server.client())) == 0


BIG = b'{"output": {"job_id": "ft-1", "x": "' + b"y" * (8 * 2**20) + b'"}}'


@pytest.mark.parametrize(
    "answer",
    [
        Answer(BIG),
        Answer(gzip.compress(BIG), headers={"Content-Encoding": "gzip"}),
        Answer(gzip.compress(bytes(512 * 2**20)), headers={"Content-Encoding": "gzip"}),
    ],
    ids=["plain", "gzip", "bomb"],
)
async def test_an_answer_that_is_too_large(answer: Answer) -> None:
    """
    More than 8 MiB, decoded, is refused while it is read, and not asked for again.
    """
    async with scripted(answer, job()) as server:
        client = server.client()
        error = await ended(get(client))

        assert isinstance(error, MalformedResponse)
        assert error.path == "body"
        assert str(8 * 2**20) in error.message
        assert len(server.requests) == 1

        await get(client)


async def test_an_answer_of_exactly_the_largest_size() -> None:
    """
    An answer of exactly 8 MiB is read.
    """
    head, tail = b'{"output": {"job_id": "ft-1", "x": "', b'"}}'
    body = head + b"y" * (8 * 2**20 - len(head) - len(tail)) + tail
    async with scripted(Answer(body)) as server:
        assert (await get(server.client())).job_id == "ft-1"


async def test_an_answer_in_gzip() -> None:
    """
    Compressed answers are asked for and read.
    """
    body = gzip.compress(job().content)
    async with scripted(Answer(body, headers={"Content-Encoding": "gzip"})) as server:
        await get(server.client())

        assert "gzip" in server.requests[0].headers["accept-encoding"]


async def test_answers_without_a_content_type() -> None:
    """
    An answer is read by its content, whatever its content type says.
    """
    for content_type in ("text/html", "application/octet-stream", "text/plain; charset=nonsense"):
        answer = Answer(job().body, headers={"Content-Type": content_type})
        async with scripted(answer) as server:
            assert (await get(server.client())).job_id == "ft-1"


# What is sent


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@every_call
async def test_a_redirect(ask: Ask, status: int) -> None:
    """
    No redirect is followed: the key goes to the host that was asked, and nowhere else.
    """
    async with scripted(job()) as other:
        there = {"Location": f"{other.url}/fine-tunes/ft-1"}
        async with scripted(Answer(b"", status, headers=there)) as server:
            error = await ended(ask(server.client()))

            assert type(error) is APIError
            assert error.status == status
            assert len(server.requests) == 1
            assert other.requests == []


async def test_cookies() -> None:
    """
    A cookie that the service sets is not sent back.
    """
    answer = Answer(job().body, headers={"Set-Cookie": "session=1; Path=/"})
    async with scripted(answer) as server:
        client = server.client()
        await get(client)
        await get(client)

        assert all("cookie" not in request.headers for request in server.requests)


async def test_what_every_request_carries() -> None:
    """
    Every request carries the key and says that it is JSON, and names the workspace if there is one.
    """
    async with scripted(job()) as server:
        await get(server.client(workspace="ws-1"))
        await create(server.client())
        looked, created = (request.headers for request in server.requests)

        assert looked["authorization"] == created["authorization"] == f"Bearer {KEY}"
        assert looked["content-type"] == created["content-type"] == "application/json"
        assert looked["accept"] == "application/json"
        assert looked["x-dashscope-workspace"] == "ws-1"
        assert "x-dashscope-workspace" not in created


@pytest.mark.parametrize(("status", "passes"), [(407, False), (503, True)])
async def test_a_proxy(status: int, passes: bool) -> None:
    """
    A proxy is used from the settings, for what leaves this machine. Its refusal ends a call; an
    outage of its own may pass, and whoever waits for a job waits on.
    """
    async with scripted(Answer(b"", status)) as proxy:
        url = f"http://who:secret@127.0.0.1:{proxy.port}"
        error = await ended(get(proxy.client(base_url="https://studio.example", proxy=url)))
        [asked] = proxy.requests

        assert type(error) is ConnectionFailed
        assert asked.line == "CONNECT studio.example:443 HTTP/1.1"
        assert "proxy-authorization" in asked.headers
        assert "authorization" not in asked.headers
        assert f"HTTP {status}" in str(error)
        assert (
            f"'intl' at studio.example was asked through the proxy 127.0.0.1:{proxy.port}"
            in str(error)
        )
        assert "secret" not in str(error)
        assert error.attempts == 1
        assert error.retryable is passes


@pytest.mark.parametrize("ask", CHANGES.values(), ids=CHANGES)
async def test_a_proxy_that_breaks_off(ask: Ask) -> None:
    """
    What never got past the proxy was not sent.
    """
    async with scripted(HangUp()) as proxy:
        client = proxy.client(
            base_url="https://studio.example", proxy=f"http://127.0.0.1:{proxy.port}"
        )
        error = await ended(ask(client))

        assert type(error) is ConnectionFailed
        assert error.attempts == 4


async def test_proxies_of_the_environment_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nothing on this machine is asked for through a proxy.
    """
    async with scripted(job()) as server, scripted(Answer(b"", 500)) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with AsyncClient(base_url=server.url, api_key=KEY) as client:
            await get(client)

        assert proxy.connections == 0
        assert len(server.requests) == 1


async def test_traces_of_the_callers_own() -> None:
    """
    `trace_configs` are aiohttp's own, and see every request.
    """
    seen: list[str] = []

    async def on_start(session: Any, context: Any, params: Any) -> None:
        seen.append(f"{params.method} {params.url.path}")

    async def on_end(session: Any, context: Any, params: Any) -> None:
        seen.append(str(params.response.status))

    trace = TraceConfig()
    trace.on_request_start.append(on_start)
    trace.on_request_end.append(on_end)
    async with scripted(OUTAGE, job()) as server:
        await get(server.client(trace_configs=[trace]))

        path = "GET /api/v1/fine-tunes/ft-1"
        assert seen == [path, "503", path, "200"]


# Views


async def test_a_view_with_other_bounds() -> None:
    """
    A view has its own bounds and the client's connections; closing it closes nothing.
    """
    async with scripted([OUTAGE] * 2, job()) as server:
        client = server.client(max_attempts=4)
        async with client.with_options(max_attempts=2, deadline=50.0) as view:
            error = await ended(get(view))

            assert error.attempts == 2

        await get(client)
        await get(view)

        assert {request.connection for request in server.requests} == {1}


async def test_a_view_shares_the_pause_and_the_budget() -> None:
    """
    What one view learns of the service holds for all.
    """
    async with scripted(OUTAGE) as server:
        client = server.client(deadline=10_000.0)
        view = client.with_options(max_attempts=100)
        first = await ended(get(view))
        second = await ended(get(client))

        assert (first.attempts, second.attempts) == (11, 1)


async def test_an_end_in_doubt_names_the_last_answer() -> None:
    """
    Code, status and request id are those of the last answer: the service's support needs them.
    """
    async with scripted(OUTAGE) as server:
        error = await ended(create(server.client()))

        assert type(error) is OutcomeUnknown
        assert (error.code, error.status, error.request_id) == ("InternalError", 503, "r-no")


async def test_a_pause_that_a_look_has_waited_for() -> None:
    """
    What the service asked for is waited once: before the look, and not again after it.
    """
    async with scripted(refusal(503, Retry_After="30"), job("RUNNING"), ACKNOWLEDGED) as server:
        receipt = await cancel(server.client())

        assert receipt.confirmed is True
        assert server.time.slept == [30, 0.5]


async def test_no_look_where_the_pause_before_it_lasts_too_long() -> None:
    """
    A pause that ends after the deadline is not begun: nobody knows, and that is told at once.
    """
    async with scripted(refusal(503, Retry_After="50"), job("CANCELING")) as server:
        error = await ended(cancel(server.client(deadline=40)))

        assert type(error) is OutcomeUnknown
        assert len(server.requests) == 1
        assert server.time.slept == []


async def test_a_page_that_does_not_say_which_it_is() -> None:
    """
    A page that does not say which it is, is the one that was asked for, and what lies before it
    counts.
    """
    async with scripted(Answer({"output": {"jobs": []}})) as server:
        found = await server.client().fine_tunes.page(3, 7)

        assert (found.page_no, found.page_size, found.total) == (3, 7, 14)
