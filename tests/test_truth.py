"""
What a client says of a change is what the service's own books say, whatever goes wrong.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashscope_ft import (
    AsyncClient,
    DashScopeError,
    NotFound,
    OutcomeUnknown,
    StateConflict,
)
from dashscope_ft.emulator import Emulator, Fault, ManualClock

from .scripted import ScriptedServer

pytestmark = pytest.mark.once

# Whatever a true service, or a gateway before it, may do to a request.
MISHAPS = [
    Fault(),  # none at all
    Fault(lose="before"),
    Fault(lose="after"),
    Fault(lose="before", reset=True),
    Fault(lose="after", reset=True),
    Fault(torn=7),
    Fault(status=500, effect=False),
    Fault(status=500, effect=True),
    Fault(status=503, effect=False, headers={"Retry-After": "3"}),
    Fault(status=504, effect=True, body="<html>"),
    Fault(status=408, effect=True, body=""),
    Fault(status=404, effect=False, body="<html>no such route"),
    Fault(status=401, effect=False, body={"code": "InvalidApiKey"}),
    Fault(status=302, effect=False, body=""),
    Fault(status=429, effect=False, body={"code": "Throttling", "message": "slow down"}),
    Fault(status=429, effect=False, headers={"Retry-After": "100"}, body=""),
    Fault(status=200, effect=True, body="<html>fine"),
    Fault(status=200, effect=True, body=""),
    Fault(status=200, effect=True, body={"output": {"status": "perhaps"}}),
    Fault(status=200, effect=False, body={"code": "InternalError", "message": "sorry"}),
]

mishaps = st.lists(st.sampled_from(MISHAPS), max_size=6)


class Trial:
    """
    One service that goes wrong as it is told, and one client of it.
    """

    def __init__(self, faults: list[Fault]) -> None:
        self.studio = Emulator(clock=ManualClock())
        self.faults = faults

    async def __aenter__(self) -> AsyncClient:
        await self.studio.__aenter__()
        self.studio.inject(*self.faults)
        self.client = ScriptedServer([]).client(
            base_url=self.studio.url, api_key=self.studio.key(), deadline=60.0
        )
        return self.client

    async def __aexit__(self, *failure: object) -> None:
        await self.client.aclose()
        await self.studio.__aexit__(None, None, None)


@given(mishaps, st.sampled_from(["fine_tunes", "imports"]))
@settings(deadline=None)
def test_a_deletion(faults: list[Fault], noun: str) -> None:
    """
    A receipt means that the job is gone, and any other error than "unknown" that it is there.
    """

    async def attempt() -> None:
        trial = Trial(faults)
        async with trial as client:
            account = trial.studio.account()
            [job_id] = (
                trial.studio.seed(jobs=1, statuses=["FAILED"])
                if noun == "fine_tunes"
                else trial.studio.seed(imports=1, import_statuses=["FAILED"])
            )
            try:
                receipt = await getattr(client, noun).delete(job_id)
            except OutcomeUnknown:
                return
            except DashScopeError as error:
                assert job_id in account.jobs | account.imports, error
                assert not isinstance(error, StateConflict)
                assert not (isinstance(error, NotFound) and error.is_from_service)
                return

            assert job_id not in account.jobs | account.imports
            assert receipt.job_id == job_id

    asyncio.run(attempt())


@given(mishaps)
@settings(deadline=None)
def test_a_cancellation(faults: list[Fault]) -> None:
    """
    A receipt means that the job is being cancelled, any other error but "unknown" that it isn't.
    """

    async def attempt() -> None:
        trial = Trial(faults)
        async with trial as client:
            [job_id] = trial.studio.seed(jobs=1, statuses=["RUNNING"])
            try:
                await client.fine_tunes.cancel(job_id)
            except OutcomeUnknown:
                return
            except DashScopeError as error:
                assert trial.studio.account().jobs[job_id]["status"] == "RUNNING", error
                assert not isinstance(error, StateConflict)
                return

            assert trial.studio.account().jobs[job_id]["status"] == "CANCELING"

    asyncio.run(attempt())


@given(mishaps)
@settings(deadline=None)
def test_a_creation(faults: list[Fault]) -> None:
    """
    A job means one job, any other error but "unknown" none, and never is there a second one.
    """

    async def attempt() -> None:
        trial = Trial(faults)
        async with trial as client:
            account = trial.studio.account()
            try:
                job = await client.fine_tunes.create(
                    model="qwen3-14b", training_file_ids=["file-1"]
                )
            except OutcomeUnknown:
                assert len(account.jobs) <= 1
                return
            except DashScopeError as error:
                assert not account.jobs, error
                return

            assert list(account.jobs) == [job.job_id]

    asyncio.run(attempt())
