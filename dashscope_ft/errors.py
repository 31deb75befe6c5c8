"""
What can go wrong, as exceptions.

    DashScopeError
        ConfigurationError (also ValueError)      settings; nothing was sent
        InvalidArgument (also ValueError)         an id, a page number; nothing was sent
        ConnectionFailed                          no answer, and nothing can have happened
        DeadlineExceeded (also TimeoutError)      likewise, out of time
        OutcomeUnknown                            sent, and no way to know what came of it
        MalformedResponse                         an answer that is not the documented one
        ListingInconsistent                       a listing that cannot be proven complete
        JobFailed                                 the job ended, but not in success
        GuardExceeded                             a clean-up larger than its bounds
        PlanRefused                               a plan that must not be applied here, or now
        ClientClosed                              the client's life is over
        APIError                                  the service said no
            InvalidRequest                        400
            StateConflict                         the job's state forbids it
            AuthenticationFailed                  401
            PermissionDenied                      403
            NotFound                              404
            Conflict                              409
            Throttled                             429, a request rate
            QuotaExceeded                         429, a job quota
            ServiceError                          5xx, 408

Each is built from facts alone, never from another library's exception, so that
it can be pickled, logged and compared anywhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .creation import Creation
    from .models import Checkpoint, FineTuneJob, ImportJob


class DashScopeError(Exception):
    """
    The base class of all errors of this library.

    Attributes:
        message: What went wrong, in the service's words where it had some.
        code: The service's error code, or the job's own for `JobFailed`.
        status: The HTTP status of the answer; None where there was none.
        request_id: The service's id of the request, for its support.
        hint: What to do next, where that is known.
        attempts: The number of attempts, including those that got no connection.
        retryable: Whether the same call is safe to repeat and may succeed later.
        what: The call in words, such as `Deleting ft-1`; None where nothing was to be sent.
    """

    retryable = False
    what: str | None = None

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str | None = None,
        hint: str | None = None,
        attempts: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.request_id = request_id
        self.hint = hint
        self.attempts = attempts

    def __str__(self) -> str:
        facts = [
            f"code {self.code}" if self.code else "",
            f"HTTP {self.status}" if self.status else "",
            f"request {self.request_id}" if self.request_id else "",
            f"{self.attempts} attempts" if self.attempts > 1 else "",
        ]
        known = ", ".join(fact for fact in facts if fact)
        text = self.message or type(self).__name__
        if self.what:
            text = f"{self.what}: {text}"
        if known:
            text += f" ({known})"
        return f"{text} {self.hint}" if self.hint else text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class ConfigurationError(DashScopeError, ValueError):
    """
    A setting is missing or wrong; nothing was sent.
    """


class InvalidArgument(DashScopeError, ValueError):
    """
    An argument cannot be sent, such as an empty job id; nothing was sent.
    """


class ConnectionFailed(DashScopeError):
    """
    No answer came, and nothing can have happened.
    """

    retryable = True


class DeadlineExceeded(DashScopeError, TimeoutError):
    """
    Time ran out, and nothing can have happened.

    Attributes:
        last_status: The last status seen of a job that was waited for.
    """

    retryable = True
    last_status: str | None = None


class OutcomeUnknown(DashScopeError):
    """
    A request was sent, and there is no way to know what came of it.

    `code`, `status` and `request_id` are those of the last answer or failure; `hint` says what
    to look at before doing it again.

    Attributes:
        creation: What was to be created, for `reconcile_create`; None for other operations.
    """

    creation: Creation | None = None


class MalformedResponse(DashScopeError):
    """
    The answer is not what the service documents.

    Attributes:
        path: The JSON path of the missing or unreadable value, such as `output.jobs[3].job_id`.
        excerpt: A short printable piece of the answer.
    """

    path: str | None = None
    excerpt: str = ""


class ListingInconsistent(DashScopeError):
    """
    A listing could not be proven complete, so it was not called complete.

    Attributes:
        seen: How many jobs the walk saw.
        total: The total that the service reported last.
    """

    retryable = True
    seen: int = 0
    total: int | None = None


class JobFailed(DashScopeError):
    """
    The job or export that was waited for did not succeed. For a job, `code` and `message` are
    those of the job, not of a request.

    Attributes:
        job: The finished job.
        checkpoint: The checkpoint, where it was an export that was waited for.
    """

    job: FineTuneJob | ImportJob | None = None
    checkpoint: Checkpoint | None = None


class GuardExceeded(DashScopeError):
    """
    A clean-up would delete more than its bounds allow; nothing was deleted.
    """


class PlanRefused(DashScopeError):
    """
    A plan is altered, too old, or made for another endpoint or workspace; nothing was deleted.
    """


class ClientClosed(DashScopeError):
    """
    The client was closed before or during the call.
    """


class APIError(DashScopeError):
    """
    The service refused the request.

    Attributes:
        retry_after: Seconds that the service asked to wait; None where it did not.
    """

    retry_after: float | None = None

    @property
    def floor(self) -> float:
        """
        The minimum seconds to wait before a retry: `retry_after` for a rate limit or a 503, else 0.
        """
        counts = isinstance(self, Throttled) or self.status == 503
        return (self.retry_after or 0.0) if counts else 0.0


class InvalidRequest(APIError):
    """
    The service could not accept the request as it was: `InvalidParameter`, or another 400.
    """


class StateConflict(APIError):
    """
    The job's state forbids the operation: `UnsupportedOperation`, `OperationDenied`.

    Attributes:
        job_status: The job's status at a look just after; None where that look failed.
    """

    job_status: str | None = None


class AuthenticationFailed(APIError):
    """
    The key is missing, wrong, or bound to another region.
    """


class PermissionDenied(APIError):
    """
    The account may not do this, or has to settle its bill first.
    """


class NotFound(APIError):
    """
    No such job, or none that this key and workspace may see.
    """

    @property
    def is_from_service(self) -> bool:
        """
        Whether the service said so, by its code. A bare 404 may be any gateway's, about any path.
        """
        return (self.code or "").startswith("NotFound")


class Conflict(APIError):
    """
    A name is already taken: HTTP 409, `Conflict`.
    """


class Throttled(APIError):
    """
    Too many requests per second or minute: HTTP 429. Retry after a pause.
    """

    retryable = True


class QuotaExceeded(APIError):
    """
    Too many jobs are running or stored: a new one is refused until a running one has ended, or a
    stored one is deleted.
    """


class ServiceError(APIError):
    """
    The service failed: HTTP 5xx or 408.
    """

    retryable = True


_BY_CODE: dict[str, type[APIError]] = {
    "InvalidParameter": InvalidRequest,
    "UnsupportedOperation": StateConflict,
    "OperationDenied": StateConflict,
    "InvalidApiKey": AuthenticationFailed,
    "AccessDenied": PermissionDenied,
    "Arrearage": PermissionDenied,
    "NotFound": NotFound,
    "Conflict": Conflict,
    "Throttling": Throttled,
    "InternalError": ServiceError,
}
_BY_STATUS: dict[int, type[APIError]] = {
    400: InvalidRequest,
    401: AuthenticationFailed,
    403: PermissionDenied,
    404: NotFound,
    408: ServiceError,
    409: Conflict,
    429: Throttled,
}
_JOBS = re.compile(r"\bjobs?\b|\btasks?\b|任[务務]", re.IGNORECASE)
_TOO_MANY = re.compile(
    r"too many|maximum|at most|limit|quota|exceed|上限|最多|最大|[过過]多|超[过過出]", re.IGNORECASE
)
_RATE = re.compile(
    # "Request a higher quota" and "the request failed" say nothing of a rate.
    r"\brequests?\b(?! (?:an?|more|higher|failed)\b)|\bcalls?\b|\brate\b|frequen|slow down"
    r"|per (second|minute)|频率|頻率|次数|次數|调用|調用|请求(?!失败)|請求(?!失敗)",
    re.IGNORECASE,
)
_STATUS = re.compile(r"[45]\d\d")


def refusal_class(status: int, code: str | None, message: str) -> type[APIError]:
    """
    Return the class of the error for an answer: by its code if known, else by its HTTP status.

    The code `Throttling…` stands for a request rate or a job quota, which only the message tells
    apart. If it does not, a rate is assumed, since a retry after a pause does no harm.

    The code of an answer with HTTP 200 may be the true HTTP status.
    """
    code = code or ""
    if status < 300 and _STATUS.fullmatch(code):
        status = int(code)
    found = next((each for word, each in _BY_CODE.items() if code.startswith(word)), None)
    found = found or _BY_STATUS.get(status) or (ServiceError if status >= 500 else APIError)
    names_rate = code.startswith("Throttling.RateQuota") or _RATE.search(message)
    if found is Throttled and _JOBS.search(message) and _TOO_MANY.search(message):
        return Throttled if names_rate else QuotaExceeded
    return found


def hint_for(error: APIError, asked: str) -> str | None:
    """
    Return what to do next about a refusal, naming the region and host that were asked.
    """
    match error:
        case AuthenticationFailed():
            return (
                f"{asked} was asked, and a key is bound to one region: "
                "check that yours belongs to this one, or name another region."
            )
        case QuotaExceeded():
            return (
                "This is a quota on jobs, not on requests. If it is on running jobs, wait until "
                "one has ended, or cancel one; if it is on stored jobs, delete some."
            )
        case NotFound(is_from_service=False):
            return f"{asked} was asked, and this is not the service's own answer: check the URL."
        case NotFound():
            return (
                f"{asked} was asked; a job of another region, workspace or account "
                "is answered in the same way."
            )
        case PermissionDenied(code="Arrearage"):
            return "The account has an overdue payment."
        case PermissionDenied():
            return f"{asked} was asked; the key's account or workspace lacks this permission."
        case Throttled(retry_after=float(seconds)):
            return f"The service asks to wait {seconds:.0f} s."
        case APIError(status=int(status)) if 300 <= status < 400:
            return f"{asked} was asked, and points elsewhere, which is not followed: check the URL."
        case _:
            return None
