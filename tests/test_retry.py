from __future__ import annotations

from collections import Counter
from itertools import islice, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft.envelope import Reply
from dashscope_ft.retry import (
    COST,
    COST_AFTER_TIMEOUT,
    Evidence,
    History,
    Operation,
    RetryBudget,
    Verdict,
    decide,
    delays,
    evidence_of,
)

READ, DELETE, CANCEL, CREATE = Operation
CHANGES = (DELETE, CANCEL, CREATE)

# The table as it was designed, in its own letters: R again, A again and now ambiguous (1: once),
# Q look, G unknown, X raise. After a stroke: the same after an attempt that is in doubt, where
# that differs; I is done, inferred.
DESIGNED = {
    #                      READ   DELETE  CANCEL  CREATE
    Evidence.UNSENT: "        R      R       R       R",
    Evidence.UNREACHABLE: "   X      X/G     X/G     X/G",
    Evidence.LOST: "          R      A       Q       G",
    Evidence.NOT_JSON: "      R1     A1      Q       G",
    Evidence.OTHER_SHAPE: "   X      A1      Q       G",
    Evidence.SERVICE_ERROR: " R      A       Q       G",
    Evidence.THROTTLED: "     R      R       R       R",
    Evidence.QUOTA: "         X      X/G     X/G     X/G",
    Evidence.NOT_FOUND: "     X      X/I     X       X/G",
    Evidence.STATE: "         X      X       X/Q     X/G",
    Evidence.REFUSED: "       X      X/G     X/G     X/G",
}
LETTERS = {
    "R": Verdict.AGAIN,
    "R1": Verdict.AGAIN_ONCE,
    "A": Verdict.AGAIN_UNSURE,
    "A1": Verdict.AGAIN_UNSURE_ONCE,
    "Q": Verdict.LOOK,
    "G": Verdict.UNKNOWN,
    "X": Verdict.RAISE,
    "I": Verdict.INFERRED,
}
GO_ON = {
    Verdict.AGAIN,
    Verdict.AGAIN_ONCE,
    Verdict.AGAIN_UNSURE,
    Verdict.AGAIN_UNSURE_ONCE,
    Verdict.LOOK,
}
MAY_HAVE_HAPPENED = {
    Evidence.LOST,
    Evidence.NOT_JSON,
    Evidence.OTHER_SHAPE,
    Evidence.SERVICE_ERROR,
}


def designed(operation: Operation, evidence: Evidence, *, met: bool, in_doubt: bool) -> Verdict:
    column = list(Operation).index(operation)
    calm, _, doubtful = DESIGNED[evidence].split()[column].partition("/")
    cell = doubtful if in_doubt and doubtful else calm
    if met and cell.endswith("1"):
        return Verdict.RAISE if operation is READ else Verdict.UNKNOWN
    return LETTERS[cell]


@pytest.mark.parametrize("in_doubt", [False, True], ids=["calm", "in_doubt"])
@pytest.mark.parametrize("met", [False, True], ids=["first", "met_before"])
@pytest.mark.parametrize("evidence", Evidence, ids=lambda evidence: evidence.name)
@pytest.mark.parametrize("operation", Operation, ids=lambda operation: operation.name)
def test_every_cell_of_the_table(
    operation: Operation, evidence: Evidence, met: bool, in_doubt: bool
) -> None:
    """
    What follows an attempt is what the design's table says, for every operation and history.
    """
    # A read changes nothing, so nothing of it is ever in doubt.
    in_doubt = in_doubt and operation is not READ
    history = History(attempts=1, in_doubt=in_doubt, seen=Counter({evidence: int(met)}))

    verdict = decide(operation, evidence, history)

    assert verdict is designed(operation, evidence, met=met, in_doubt=in_doubt)


def test_a_decision_changes_no_history() -> None:
    """
    Deciding is pure: asked twice, it says the same.
    """
    for operation, evidence in product(Operation, Evidence):
        history = History()

        assert decide(operation, evidence, history) is decide(operation, evidence, history)
        assert history == History()


@given(st.sampled_from(CHANGES), st.lists(st.sampled_from(list(Evidence)), max_size=12))
def test_after_a_doubt_no_end_claims_that_nothing_happened(
    operation: Operation, evidences: list[Evidence]
) -> None:
    """
    Once a change may have been received, only proof ends the call in anything but "unknown".
    """
    history, may_have_happened = History(), False
    for evidence in evidences:
        verdict = decide(operation, evidence, history)
        may_have_happened |= evidence in MAY_HAVE_HAPPENED
        if verdict is Verdict.RAISE:
            assert not may_have_happened or evidence in (Evidence.STATE, Evidence.NOT_FOUND)
            assert not may_have_happened or operation is not CREATE
        if verdict not in GO_ON:
            return
        history.seen[evidence] += 1
        history.in_doubt |= verdict in (
            Verdict.AGAIN_UNSURE,
            Verdict.AGAIN_UNSURE_ONCE,
            Verdict.LOOK,
        )


def test_a_creation_is_sent_again_only_where_nothing_was_taken() -> None:
    """
    A billed creation goes out again if it could not be sent, or was refused for its rate, and
    after nothing else.
    """
    again = {evidence for evidence in Evidence if decide(CREATE, evidence, History()) in GO_ON}

    assert again == {Evidence.UNSENT, Evidence.THROTTLED}


@pytest.mark.parametrize(
    ("reply", "evidence"),
    [
        (Reply(status=200, output={}), None),
        (Reply(status=200, is_json=False), Evidence.NOT_JSON),
        (Reply(status=200, is_json=False, is_oversized=True), None),
        (Reply(status=500, failed=True), Evidence.SERVICE_ERROR),
        (Reply(status=502, failed=True, is_json=False), Evidence.SERVICE_ERROR),
        (Reply(status=408, failed=True), Evidence.SERVICE_ERROR),
        (Reply(status=200, failed=True, code="InternalError"), Evidence.SERVICE_ERROR),
        (Reply(status=429, failed=True), Evidence.THROTTLED),
        (Reply(status=200, failed=True, code="Throttling"), Evidence.THROTTLED),
        (
            Reply(
                status=429,
                failed=True,
                code="Throttling",
                message="Too many fine-tuning jobs are running",
            ),
            Evidence.QUOTA,
        ),
        (Reply(status=404, failed=True, code="NotFound"), Evidence.NOT_FOUND),
        (Reply(status=200, failed=True, code="NotFound"), Evidence.NOT_FOUND),
        (Reply(status=404, failed=True), Evidence.REFUSED),
        (Reply(status=404, failed=True, is_json=False), Evidence.REFUSED),
        (Reply(status=404, failed=True, code="404"), Evidence.REFUSED),
        (Reply(status=404, failed=True, code="NoSuchRoute"), Evidence.REFUSED),
        (Reply(status=400, failed=True, code="UnsupportedOperation"), Evidence.STATE),
        (Reply(status=500, failed=True, code="OperationDenied"), Evidence.STATE),
        (Reply(status=400, failed=True, code="InvalidParameter"), Evidence.REFUSED),
        (Reply(status=409, failed=True, code="Conflict"), Evidence.REFUSED),
        (Reply(status=401, failed=True, code="InvalidApiKey"), Evidence.REFUSED),
        (Reply(status=302, failed=True), Evidence.REFUSED),
    ],
)
def test_what_an_answer_is_evidence_of(reply: Reply, evidence: Evidence | None) -> None:
    """
    A known code counts before the HTTP status, and no code at all proves nothing to be gone.
    """
    assert evidence_of(reply) is evidence


def test_waits_grow_to_a_bound() -> None:
    """
    The bounds of the waits double from half a second up to twenty.
    """
    assert list(islice(delays(lambda bound: bound), 8)) == [0.5, 1, 2, 4, 8, 16, 20, 20]


def test_a_wait_is_what_the_jitter_makes_of_its_bound() -> None:
    """
    Each wait is what the jitter gives for its bound, which it is asked for anew each time.
    """
    asked: list[float] = []

    def jitter(bound: float) -> float:
        asked.append(bound)
        return bound / (1 + len(asked))

    assert list(islice(delays(jitter), 3)) == [0.5 / 2, 1 / 3, 2 / 4]
    assert asked == [0.5, 1, 2]


def test_a_budget_pays_for_ten_repetitions_in_a_row() -> None:
    """
    Fifty tokens are ten repetitions, or five after timeouts, and then none.
    """
    for cost, times in ((COST, 10), (COST_AFTER_TIMEOUT, 5)):
        budget = RetryBudget()

        assert [budget.spend(cost) for _ in range(times + 1)] == [True] * times + [False]
        assert budget.tokens == 0


def test_a_budget_that_is_short_keeps_what_it_has() -> None:
    """
    A repetition that cannot be paid for takes nothing.
    """
    budget = RetryBudget()
    budget.spend(46)

    assert not budget.spend(COST)
    assert budget.tokens == 4


def test_a_budget_that_earns() -> None:
    """
    What is earned can be spent, up to fifty tokens.
    """
    budget = RetryBudget()
    budget.spend(20)
    budget.earn(7)
    earned = budget.tokens
    budget.earn(COST)
    budget.earn(40)

    assert (earned, budget.tokens) == (37, 50)


def test_a_call_that_has_just_begun() -> None:
    """
    Nothing was sent, nothing is in doubt and nothing was met.
    """
    assert History().seen[Evidence.LOST] == 0
    assert not History().in_doubt
    assert History().attempts == 0
