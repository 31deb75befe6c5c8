from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dashscope_ft
from dashscope_ft import (
    APIError,
    AuthenticationFailed,
    ConfigurationError,
    Conflict,
    ConnectionFailed,
    DashScopeError,
    DeadlineExceeded,
    FineTuneJob,
    InvalidArgument,
    InvalidRequest,
    JobFailed,
    ListingInconsistent,
    MalformedResponse,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    ServiceError,
    StateConflict,
    Throttled,
    errors,
)
from dashscope_ft.envelope import Reply, refusal

ALL = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each) and issubclass(each, DashScopeError)
]
every_error = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)


def drawn() -> list[tuple[str, str, set[type]]]:
    """
    Give the tree of the module's docstring: name, parent, and builtins besides.
    """
    rows: list[tuple[str, str, set[type]]] = []
    parents: list[str] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        depth, rest = divmod(len(line) - len(line.lstrip()), 4)
        if not depth or rest or not line.strip():
            continue
        name = line.split()[0]
        del parents[depth - 1 :]
        also: set[type] = {
            each for each in (ValueError, TimeoutError) if f"also {each.__name__}" in line
        }
        rows.append((name, parents[-1] if parents else "Exception", also))
        parents.append(name)
    return rows


def test_the_tree_as_it_is_drawn() -> None:
    """
    The picture at the top of the module shows all classes, each below its parent.
    """
    real = [
        (
            kind.__name__,
            kind.__bases__[0].__name__,
            {each for each in (ValueError, TimeoutError) if issubclass(kind, each)},
        )
        for kind in ALL
    ]

    assert sorted(drawn()) == sorted(real)
    assert len(ALL) == 22


@every_error
def test_every_error_is_public(kind: type[DashScopeError]) -> None:
    """
    Each error can be imported from the package.
    """
    assert getattr(dashscope_ft, kind.__name__) is kind


def filled(kind: type[DashScopeError]) -> DashScopeError:
    error = kind(
        "It did not work.", code="Code", status=418, request_id="r-1", hint="Rest.", attempts=3
    )
    extras: dict[type[DashScopeError], dict[str, Any]] = {
        DeadlineExceeded: {"last_status": "RUNNING"},
        MalformedResponse: {"path": "output.jobs[3].job_id", "excerpt": "<html>"},
        ListingInconsistent: {"seen": 7, "total": 9},
        JobFailed: {"job": FineTuneJob(job_id="ft-1", status="FAILED")},
        StateConflict: {"job_status": "RUNNING"},
        Throttled: {"retry_after": 2.5},
    }
    for name, value in extras.get(kind, {}).items():
        assert hasattr(kind, name)
        setattr(error, name, value)
    return error


@every_error
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_an_error_in_a_pickle(kind: type[DashScopeError], protocol: int) -> None:
    """
    An error comes out of a pickle as it went in, with all its facts and notes.
    """
    error = filled(kind)
    error.add_note("a note")
    loaded = pickle.loads(pickle.dumps(error, protocol))

    assert type(loaded) is kind
    assert vars(loaded) == vars(error)
    assert loaded.args == error.args
    assert str(loaded) == str(error)
    assert vars(copy.copy(error)) == vars(error)


@every_error
def test_an_error_in_words(kind: type[DashScopeError]) -> None:
    """
    An error says what went wrong, the facts for the service's support, and what to do.
    """
    assert str(filled(kind)) == (
        "It did not work. (code Code, HTTP 418, request r-1, 3 attempts) Rest."
    )
    assert str(kind("It did not work.")) == "It did not work."
    assert str(kind()) == kind.__name__


@every_error
def test_what_every_error_has(kind: type[DashScopeError]) -> None:
    """
    The facts that a handler may look at are there, known or not.
    """
    error = kind("message")

    assert error.message == "message"
    assert (error.code, error.status, error.request_id, error.hint) == (None,) * 4
    assert error.attempts == 0
    assert error.retryable is (
        kind in (ConnectionFailed, DeadlineExceeded, ListingInconsistent, Throttled, ServiceError)
    )


def test_an_error_among_others() -> None:
    """
    Where errors are shown by their repr, as in a list or an outcome, each says what it is about.
    """
    error = NotFound("Not Found!", code="NotFound", status=404)
    error.what = "Getting ft-1"

    assert repr([error]) == "[NotFound('Getting ft-1: Not Found! (code NotFound, HTTP 404)')]"


def test_errors_that_are_builtins_too() -> None:
    """
    Who catches ValueError or TimeoutError catches these.
    """
    with pytest.raises(ValueError, match="key"):
        raise ConfigurationError("key")
    with pytest.raises(ValueError, match="id"):
        raise InvalidArgument("id")
    with pytest.raises(TimeoutError):
        raise DeadlineExceeded("late")


CODES = {
    "InvalidParameter": InvalidRequest,
    "InvalidParameter.DataInspection": InvalidRequest,
    "UnsupportedOperation": StateConflict,
    "OperationDenied": StateConflict,
    "InvalidApiKey": AuthenticationFailed,
    "AccessDenied": PermissionDenied,
    "AccessDenied.Unpurchased": PermissionDenied,
    "Arrearage": PermissionDenied,
    "NotFound": NotFound,
    "Conflict": Conflict,
    "Throttling": Throttled,
    "Throttling.RateQuota": Throttled,
    "Throttling.AllocationQuota": Throttled,
    "InternalError": ServiceError,
    "InternalError.Timeout": ServiceError,
}
STATUSES = {
    301: APIError,
    400: InvalidRequest,
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: NotFound,
    405: APIError,
    408: ServiceError,
    409: Conflict,
    413: APIError,
    429: Throttled,
    500: ServiceError,
    502: ServiceError,
    503: ServiceError,
    504: ServiceError,
    599: ServiceError,
}


@pytest.mark.parametrize(("code", "kind"), CODES.items())
@pytest.mark.parametrize("status", [200, *STATUSES])
def test_a_known_code_decides(status: int, code: str, kind: type[APIError]) -> None:
    """
    A code that is known decides the class, whatever the HTTP status.
    """
    assert errors.refusal_class(status, code, "") is kind


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
@pytest.mark.parametrize("code", [None, "", "Unheard.Of", "404", "throttling"])
def test_the_status_decides_where_no_code_does(
    status: int, code: str | None, kind: type[APIError]
) -> None:
    """
    Where no known code tells the kind of an error, the HTTP status does.
    """
    assert errors.refusal_class(status, code, "") is kind


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
def test_a_status_for_a_code(status: int, kind: type[APIError]) -> None:
    """
    The code of a success by its HTTP status may be the true status; of a redirect it says nothing.
    """
    assert errors.refusal_class(200, str(status), "") is kind
    assert errors.refusal_class(302, str(status), "") is APIError


@pytest.mark.parametrize(
    "message",
    [
        "Too many fine-tuning jobs are running",
        "Too many fine-tuning jobs are running. Request a higher quota, or wait for one to end.",
        "Too many fine-tune jobs in running, please try again later.",
        "You can have a maximum of 20 running or succeeded fine-tuning jobs",
        "The number of tasks exceeds the limit.",
        "JOB QUOTA EXCEEDED",
        "At most 20 jobs can be kept.",
        "job limit reached",
        "正在运行的微调任务过多",
        "任务数量已达上限，请删除部分任务",
        "当前运行任务数已达上限，请求失败",
        "最多允许20个任务",
        "運行中的任務數量已超過上限",
    ],
)
def test_a_quota_of_jobs(message: str) -> None:
    """
    A message that speaks of too many jobs is a quota, which no waiting clears.
    """
    assert errors.refusal_class(429, "Throttling", message) is QuotaExceeded
    assert errors.refusal_class(429, None, message) is QuotaExceeded


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Requests rate limit exceeded, please try again later.",
        "Requests throttling triggered.",
        "Too many requests. You may list jobs 5 times per second.",
        "Request rate increased too quickly.",
        "You exceeded your current quota, please check your plan.",
        "Allocated quota exceeded, please increase your quota limit.",
        "请求过于频繁，请稍后再试",
        "任务查询频率超过限制",
        "請求頻率超過上限",
        "Too many jobs requests per minute",
        "Too many calls for fine-tuning jobs, please slow down",
        "任务查询接口调用次数超过限制，请稍后重试",
        "The jobs service is busy.",
        "?",
    ],
)
def test_a_request_rate(message: str) -> None:
    """
    Whatever else is a rate, since waiting for it does no harm.
    """
    assert errors.refusal_class(429, "Throttling", message) is Throttled


def test_a_quota_is_only_looked_for_where_something_was_throttled() -> None:
    """
    Words about jobs in other refusals change nothing.
    """
    message = "Too many fine-tuning jobs are running"

    assert errors.refusal_class(400, "InvalidParameter", message) is InvalidRequest
    assert errors.refusal_class(500, None, message) is ServiceError


@given(st.integers(100, 999), st.none() | st.text(), st.text())
def test_any_refusal_has_a_class(status: int, code: str | None, message: str) -> None:
    """
    Whatever the service says, there is an error for it, which can be shown and pickled.
    """
    reply = Reply(status, code=code, message=message)
    error = refusal(reply, "Region 'intl' at host")

    assert isinstance(error, APIError)
    assert pickle.loads(pickle.dumps(error)).message == message
    assert isinstance(str(error), str)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "InvalidApiKey", ["'intl'", "studio.example", "region"]),
        (404, "NotFound", ["'intl'", "workspace"]),
        (404, None, ["check the URL"]),
        (302, None, ["studio.example", "points elsewhere", "check the URL"]),
        (400, "Arrearage", ["overdue"]),
        (403, None, ["permission"]),
        (429, "Throttling", ["30 s"]),
        (429, "Throttling", ["wait until one has ended", "cancel", "delete"]),
    ],
)
def test_hints(status: int, code: str | None, words: list[str]) -> None:
    """
    A hint says what to do next.
    """
    message = "too many jobs" if "cancel" in words else "no"
    reply = Reply(status, code=code, message=message, retry_after=30.0)
    error = refusal(reply, "Region 'intl' at studio.example")

    assert error.hint is not None
    assert all(word in error.hint for word in words)
    assert error.retry_after == 30.0


def test_one_attempt_is_not_counted() -> None:
    """
    Only repetitions are worth a word.
    """
    assert str(errors.DashScopeError("no", attempts=1)) == "no"
    assert str(errors.DashScopeError("no", attempts=2)) == "no (2 attempts)"
