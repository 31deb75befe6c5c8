"""
What a client may repeat, and what a service in trouble sees of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dashscope_ft import AsyncClient, DashScopeError
from dashscope_ft.retry import COST, COST_AFTER_TIMEOUT, MOST_TOKENS, RetryBudget

from .scripted import Act, HangUp, job, refusal, scripted

RUNS = int(os.environ.get("BUDGET_RUNS", "60"))
AT_ONCE = 8
CALLS = 100
MOST_A_CALL = 1.10  # requests, while nothing works

Record = Callable[[str, object], None]


class Callers(RuleBasedStateMachine):
    """
    Calls that share a budget: each may repeat, and earns when it succeeds, in any order.
    """

    steps = 0
    lowest, highest = 10**9, -(10**9)

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget()
        self.spent_by = [0] * AT_ONCE
        self.spent = self.earned = 0

    @rule(caller=st.integers(0, AT_ONCE - 1), cost=st.sampled_from([COST, COST_AFTER_TIMEOUT]))
    def fail(self, caller: int, cost: int) -> None:
        """
        Repeat if there is enough for it; otherwise the call has ended, and the next one begins.
        """
        before = self.budget.tokens
        may_repeat = self.budget.spend(cost)
        paid = cost if may_repeat else 0
        self.spent += paid
        self.spent_by[caller] = self.spent_by[caller] + paid if may_repeat else 0

        assert may_repeat == (before >= cost)
        assert self.budget.tokens == before - paid

    @rule(caller=st.integers(0, AT_ONCE - 1))
    def succeed(self, caller: int) -> None:
        """
        Earn what the call has spent, or one where it was the first attempt.
        """
        before, due = self.budget.tokens, self.spent_by[caller] or 1
        self.budget.earn(due)
        self.earned += self.budget.tokens - before
        self.spent_by[caller] = 0

        assert self.budget.tokens == min(MOST_TOKENS, before + due)

    @rule(caller=st.integers(0, AT_ONCE - 1))
    def give_up(self, caller: int) -> None:
        """
        Be cancelled, or meet a refusal: nothing is given back.
        """
        self.spent_by[caller] = 0

    @invariant()
    def keeps_its_bounds(self) -> None:
        tokens = self.budget.tokens
        Callers.steps += 1
        Callers.lowest, Callers.highest = min(self.lowest, tokens), max(self.highest, tokens)

        assert 0 <= tokens <= MOST_TOKENS
        assert tokens == MOST_TOKENS - self.spent + self.earned


@pytest.mark.once
def test_calls_that_share_a_budget(record_property: Record) -> None:
    """
    However calls fail, succeed and give up, there are never fewer tokens than none, nor more
    than at first.
    """
    run_state_machine_as_test(
        Callers,
        settings=settings(max_examples=RUNS, stateful_step_count=100, deadline=None),
    )

    assert 0 <= Callers.lowest <= Callers.highest <= MOST_TOKENS
    record_property(
        "figure",
        f"In {Callers.steps:,} states of a retry budget shared by {AT_ONCE} callers in any "
        f"order, there were {Callers.lowest} tokens at least and {Callers.highest} at most.",
    )


OUTAGES: dict[str, Act] = {
    "unavailable": refusal(503, "ServiceUnavailable"),
    "a gateway's page": refusal(502),
    "hanging up": HangUp(),
    "resetting": HangUp(reset=True),
}


async def ended(call: Awaitable[object]) -> bool:
    try:
        await call
    except DashScopeError:
        return False
    return True


async def get_in_turn(client: AsyncClient, calls: int) -> int:
    return sum([await ended(client.fine_tunes.get("ft-1")) for _ in range(calls)])


async def get_at_once(client: AsyncClient, calls: int) -> int:
    return sum(await asyncio.gather(*(ended(client.fine_tunes.get("ft-1")) for _ in range(calls))))


Get = Callable[[AsyncClient, int], Awaitable[int]]
HOW: dict[Get, str] = {get_in_turn: "in turn", get_at_once: "at once"}


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.parametrize("get", HOW)
async def test_a_total_outage(get: Get, outage: str, record_property: Record) -> None:
    """
    While nothing works, a hundred calls are a hundred and ten requests at most.
    """
    async with scripted(OUTAGES[outage]) as server:
        succeeded = await get(server.client(), CALLS)
        requests = len(server.requests)

        assert succeeded == 0
        assert requests == CALLS + MOST_TOKENS // COST
        assert requests <= MOST_A_CALL * CALLS

    record_property(
        "figure",
        f"Every request met by the same ({outage}), {CALLS} calls {HOW[get]} were {requests} "
        f"requests at the server, {requests / CALLS:.2f} a call, and {succeeded} succeeded.",
    )


async def test_deletions_that_are_inferred() -> None:
    """
    A deletion that was found to have happened buys its second attempt back, like any success.
    """
    acts: list[Act] = [HangUp(), refusal(404, "NotFound")] * 40
    async with scripted(acts) as server:
        client = server.client()
        receipts = [await client.fine_tunes.delete(f"ft-{number}") for number in range(40)]

    assert not any(receipt.confirmed for receipt in receipts)


async def test_after_an_outage() -> None:
    """
    Fifty calls that succeed at once buy back all that an outage took, and not more.
    """
    acts = [refusal(503)] * (CALLS + 10) + [job()] * 50 + [refusal(503)]
    async with scripted(acts) as server:
        client = server.client()
        await get_in_turn(client, CALLS)
        assert await get_in_turn(client, 50) == 50
        before = len(server.requests)
        await get_in_turn(client, CALLS)

        assert len(server.requests) - before == CALLS + 10
