"""
What to do after an attempt that did not succeed.

The heart is `decide`, a pure function. It looks the verdict up in one table, by the operation and
by the evidence of the attempt, and then takes the attempts before it into account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from enum import Enum, auto

import backoff
from attrs import define, field

from .envelope import Reply
from .errors import (
    NotFound,
    QuotaExceeded,
    ServiceError,
    StateConflict,
    Throttled,
    refusal_class,
)


class Operation(Enum):
    """
    The kinds of call that differ in what a lost answer means.
    """

    READ = auto()
    """Changes nothing: list, get, logs."""

    DELETE = auto()
    """May be repeated: what is deleted stays deleted."""

    CANCEL = auto()
    """Shows in the job's status whether it happened."""

    CREATE = auto()
    """Must not happen twice: create, and the export that publishes."""


class Evidence(Enum):
    """
    What came of one attempt.
    """

    UNSENT = auto()
    """Provably not received: refused, no such host, connecting failed or took too long."""

    UNREACHABLE = auto()
    """Provably not received, and no better next time: certificate, URL, proxy refusal."""

    LOST = auto()
    """Sent, and no whole answer came."""

    NOT_JSON = auto()
    """A success that is not JSON."""

    OTHER_SHAPE = auto()
    """A success that is JSON, but not of the documented shape."""

    SERVICE_ERROR = auto()
    """HTTP 408 or 5xx."""

    THROTTLED = auto()
    """A limit on the request rate."""

    QUOTA = auto()
    """A quota on jobs."""

    NOT_FOUND = auto()
    """An envelope with this code; a bare 404 is `REFUSED`."""

    STATE = auto()
    """The job's state forbids it."""

    REFUSED = auto()
    """Any other refusal, redirects included."""


class Verdict(Enum):
    """
    What to do next.
    """

    AGAIN = auto()
    """Send it again; nothing has happened."""

    AGAIN_ONCE = auto()
    """Likewise, but only the first time."""

    AGAIN_UNSURE = auto()
    """Send it again; it may have happened already."""

    AGAIN_UNSURE_ONCE = auto()
    """Likewise, but only the first time."""

    LOOK = auto()
    """Look at the job, then decide."""

    UNKNOWN = auto()
    """Stop, and raise that the outcome is unknown."""

    RAISE = auto()
    """Stop, and raise the error of this attempt."""

    INFERRED = auto()
    """Stop, and return success: it must have happened."""


MOST_TOKENS = 50  # in the budget of retries
COST, COST_AFTER_TIMEOUT = 5, 10  # tokens that a retry takes from the budget


def _table(text: str) -> dict[tuple[Operation, Evidence], Verdict]:
    head, *rows = (line.split() for line in text.strip().splitlines())
    return {
        (Operation[column], Evidence[row[0]]): Verdict[word]
        for row in rows
        for column, word in zip(head, row[1:], strict=True)
    }


_TABLE = _table(
    """
                    READ         DELETE              CANCEL   CREATE
    UNSENT          AGAIN        AGAIN               AGAIN    AGAIN
    UNREACHABLE     RAISE        RAISE               RAISE    RAISE
    LOST            AGAIN        AGAIN_UNSURE        LOOK     UNKNOWN
    NOT_JSON        AGAIN_ONCE   AGAIN_UNSURE_ONCE   LOOK     UNKNOWN
    OTHER_SHAPE     RAISE        AGAIN_UNSURE_ONCE   LOOK     UNKNOWN
    SERVICE_ERROR   AGAIN        AGAIN_UNSURE        LOOK     UNKNOWN
    THROTTLED       AGAIN        AGAIN               AGAIN    AGAIN
    QUOTA           RAISE        RAISE               RAISE    RAISE
    NOT_FOUND       RAISE        RAISE               RAISE    RAISE
    STATE           RAISE        RAISE               RAISE    RAISE
    REFUSED         RAISE        RAISE               RAISE    RAISE
    """
)

_AFTER_A_DOUBT = {
    # The service knows no such job any more: the attempt in doubt deleted it.
    (Operation.DELETE, Evidence.NOT_FOUND): Verdict.INFERRED,
    # The job still exists, so the attempt in doubt did not delete it.
    (Operation.DELETE, Evidence.STATE): Verdict.RAISE,
    # The attempt in doubt may be the very reason why the job cannot be cancelled any more.
    (Operation.CANCEL, Evidence.STATE): Verdict.LOOK,
    (Operation.CANCEL, Evidence.NOT_FOUND): Verdict.RAISE,
}


@define
class History:
    """
    What came of the attempts of one call so far.
    """

    attempts: int = 0
    """The number of attempts, including those that could not be sent."""

    in_doubt: bool = False
    """Whether an attempt to change something may have been received."""

    seen: Counter[Evidence] = field(factory=Counter)
    """How often each evidence was met."""


def decide(operation: Operation, evidence: Evidence, history: History) -> Verdict:
    """
    Decide what to do after an attempt.

    Args:
        operation: The kind of call.
        evidence: What came of this attempt.
        history: What came of the attempts before it.
    """
    verdict = _TABLE[operation, evidence]
    if verdict is Verdict.AGAIN_ONCE and history.seen[evidence]:
        return Verdict.RAISE
    if verdict is Verdict.AGAIN_UNSURE_ONCE and history.seen[evidence]:
        return Verdict.UNKNOWN
    if history.in_doubt and verdict is Verdict.RAISE:
        return _AFTER_A_DOUBT.get((operation, evidence), Verdict.UNKNOWN)
    return verdict


def evidence_of(reply: Reply) -> Evidence | None:
    """
    Return what an answer is evidence of; None for a success whose content is not checked yet.
    """
    if not reply.failed:
        return None if reply.is_json or reply.is_oversized else Evidence.NOT_JSON
    error = refusal_class(reply.status, reply.code, reply.message)
    if error is NotFound and not NotFound(code=reply.code).is_from_service:
        return Evidence.REFUSED
    return _EVIDENCE.get(error, Evidence.REFUSED)


_EVIDENCE = {
    ServiceError: Evidence.SERVICE_ERROR,
    Throttled: Evidence.THROTTLED,
    QuotaExceeded: Evidence.QUOTA,
    NotFound: Evidence.NOT_FOUND,
    StateConflict: Evidence.STATE,
}


def delays(jitter: Callable[[float], float]) -> Iterator[float]:
    """
    Yield the seconds to wait before the second attempt, the third, and so on.

    Args:
        jitter: Maps the longest wait to the actual wait, both in seconds.
    """
    bounds = backoff.expo(base=2, factor=0.5, max_value=20)
    next(bounds)
    return (jitter(bound) for bound in bounds)


@define
class RetryBudget:
    """
    A client's budget of retries, so that they do not make an outage worse.
    """

    tokens: int = MOST_TOKENS

    def spend(self, cost: int) -> bool:
        """
        Take `cost` tokens if there are that many; return whether there were.
        """
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True

    def earn(self, tokens: int) -> None:
        """
        Put tokens back, up to `MOST_TOKENS`.
        """
        self.tokens = min(MOST_TOKENS, self.tokens + tokens)
