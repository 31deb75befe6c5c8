from __future__ import annotations

import gc
import sys
from importlib.abc import MetaPathFinder
from typing import Any

import pytest

from dashscope_ft import (
    ConfigurationError,
    DashScopeError,
    InvalidArgument,
    NotFound,
    Outcome,
    Report,
    errors,
)
from dashscope_ft.cli.command import execute
from dashscope_ft.cli.exits import exit_code
from dashscope_ft.outcomes import Result

CODES = {
    "DashScopeError": 1,
    "ConfigurationError": 2,
    "InvalidArgument": 2,
    "ConnectionFailed": 1,
    "DeadlineExceeded": 75,
    "OutcomeUnknown": 1,
    "MalformedResponse": 1,
    "ListingInconsistent": 7,
    "JobFailed": 1,
    "GuardExceeded": 3,
    "PlanRefused": 3,
    "ClientClosed": 1,
    "APIError": 1,
    "InvalidRequest": 1,
    "StateConflict": 1,
    "AuthenticationFailed": 4,
    "PermissionDenied": 1,
    "NotFound": 1,
    "Conflict": 1,
    "Throttled": 75,
    "QuotaExceeded": 1,
    "ServiceError": 1,
}


def error(name: str) -> DashScopeError:
    made = getattr(errors, name)("No.")
    assert isinstance(made, DashScopeError)
    return made


def report(*ends: str) -> Report:
    """
    A report with an outcome each: a result, or the name of an error.
    """
    results: dict[str, Result] = {"done": "done", "skipped": "skipped"}
    return Report(
        outcomes=[
            Outcome(
                job_id=f"ft-{index}",
                action="delete",
                result=results.get(end, "failed"),
                reason="a reason",
                error=None if end in results else error(end),
            )
            for index, end in enumerate(ends)
        ]
    )


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_an_error(name: str, code: int) -> None:
    """
    Each error ends the command with the documented code.
    """
    assert exit_code(error(name)) == code


def test_the_table_is_whole() -> None:
    """
    No error of the public API is without a code in the table above.
    """
    public = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, DashScopeError)
    }

    assert public == set(CODES)


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        ([], 0),
        (["done"], 0),
        (["done", "skipped"], 0),
        (["NotFound"], 1),
        (["Throttled"], 75),
        (["AuthenticationFailed"], 4),
        (["done", "NotFound"], 5),
        (["NotFound", "NotFound"], 5),
        (["done", "Throttled", "DeadlineExceeded"], 75),
        (["Throttled", "NotFound"], 5),
        (["done", "AuthenticationFailed", "skipped"], 4),
        (["NotFound", "AuthenticationFailed"], 4),
    ],
)
def test_a_report(ends: list[str], code: int) -> None:
    """
    Many jobs end as one number: the one failure's own, 5 for some of several, 4 for the key.
    """
    assert exit_code(report(*ends)) == code


def test_skipped_jobs_when_asked_to_be_strict() -> None:
    """
    Skipped jobs count only for those who ask, and never hide a failure.
    """
    assert exit_code(report("done", "skipped"), strict=True) == 6
    assert exit_code(report("done"), strict=True) == 0
    assert exit_code(report("skipped", "NotFound"), strict=True) == 5


def test_a_failure_without_an_error() -> None:
    """
    A job that failed without saying why is a failure nonetheless.
    """
    outcome = Outcome(job_id="ft-1", action="delete", result="failed", reason="unknown_outcome")

    assert exit_code(Report(outcomes=[outcome])) == 1


def test_a_subclass_of_a_listed_error() -> None:
    """
    An error that is newer than the table counts as its nearest relative.
    """

    class Vanished(NotFound):
        pass

    assert exit_code(Vanished("gone")) == 1


def test_ctrl_c_before_a_command_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    While asyncio is still being loaded it ends the command in silence: nothing goes unawaited.
    """

    class Interrupted(MetaPathFinder):
        def find_spec(self, name: str, *_: Any) -> None:
            if name == "dashscope_ft.cli.interrupts":
                raise KeyboardInterrupt

    async def work() -> None:
        raise AssertionError("it was begun")

    monkeypatch.delitem(sys.modules, "dashscope_ft.cli.interrupts", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupted(), *sys.meta_path])

    assert execute(work) == 130
    gc.collect()


@pytest.mark.parametrize("kind", [ConfigurationError, InvalidArgument])
@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("base_url must be a URL.", "Error: --base-url must be a URL.\n"),
        ("status is empty.", "Error: --status is empty.\n"),
        ("A status is missing.", "Error: A status is missing.\n"),
    ],
)
def test_an_argument_is_called_as_it_is_typed(
    capsys: pytest.CaptureFixture[str], kind: type[DashScopeError], message: str, told: str
) -> None:
    """
    What a library's error begins with is an option here.
    """

    def work() -> None:
        raise kind(message)

    assert execute(work) == 2
    assert capsys.readouterr().err == told
