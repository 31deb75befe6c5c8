"""
The table that a person decides from.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import category

import pytest
from attrs import asdict, evolve
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from dashscope_ft import FineTuneJob, Outcome, Plan, Report, Selection
from dashscope_ft.cleanup import Facts, PlanEntry
from dashscope_ft.cleanup.groups import Membership, groups_of
from dashscope_ft.cli.cleanup_plan import plan_lines
from dashscope_ft.cli.cleanup_report import report_lines
from dashscope_ft.errors import ConnectionFailed, DashScopeError, StateConflict

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PLACE = "region intl (127.0.0.1:1)"


def job(number: int, status: str, model: str | None, days: int | None, name: str = "") -> Facts:
    return Facts(
        job_id=f"ft-20260101{number:04}-abcd",
        status=status,
        model=model,
        names=(name,) if name else (),
        output=f"{model}-{number}",
        create_time=None if days is None else NOW - timedelta(days=days),
    )


def plan_of(jobs: list[Facts], selection: Selection | None = None) -> Plan:
    selection = selection or Selection()
    decisions = selection.decide(jobs, NOW)
    return Plan(
        base_url="http://127.0.0.1:1/api/v1",
        workspace=None,
        noun="fine_tunes",
        created=NOW,
        selection=selection,
        listed=len(jobs),
        entries=[PlanEntry.of(each.job) for each in decisions if each.selected],
        stays=groups_of(
            Membership(d.reason, d.detail, d.job.status, d.job.model, d.job.create_time)
            for d in decisions
            if not d.selected
        ),
    )


def shown(plan: Plan, width: int | None) -> list[str]:
    return [line.plain for line in plan_lines(plan, PLACE, width=width)]


MIXED = [
    *[job(n, "FAILED", "qwen3-8b", 31 + n) for n in range(1_200)],
    *[job(2_000 + n, "CANCELED", "模型" * 8, 40) for n in range(30)],
    *[job(3_000 + n, "SUCCEEDED", f"qwen3-{n % 2}b", n) for n in range(300)],
    *[job(4_000 + n, "RUNNING", "qwen3-8b", 0) for n in range(5)],
    job(5_000, "THAWING", "qwen3-8b", 1),
    job(5_001, "FAILED", None, None),
]


def test_only_the_jobs_shown_are_made_into_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However long a plan, its jobs are gone through for the digest only.
    """
    plan = plan_of(MIXED)
    written: list[object] = []

    def noted(value: Any) -> dict[str, Any]:
        written.append(value)
        return asdict(value)

    monkeypatch.setattr("dashscope_ft.cleanup.plan.asdict", noted)
    lines = shown(plan, 80)

    assert sum(entry.job_id in "".join(lines) for entry in plan.entries) == 5
    assert len(written) <= len(plan.entries) + len(plan.stays) + 10


@pytest.mark.parametrize("width", [40, 80, 120, None])
def test_what_goes_and_what_stays(width: int | None) -> None:
    """
    At any width: each group that goes with its status and age, why the others stay, and totals.
    """
    lines = shown(plan_of(MIXED, Selection(older_than=timedelta(days=30))), width)
    rows = [line.split() for line in lines]

    assert "GOES: 1,230 of 1,537 fine-tuning jobs (80%)" in lines
    assert "STAYS: 307" in lines
    assert ["1,200", "FAILED", "31–1230", "d", "qwen3-8b"] in rows
    assert ["30", "CANCELED", "40", "d"] in [row[:4] for row in rows]
    assert ["1,230", "in", "all"] in rows
    assert ["307", "in", "all"] in rows
    assert any("cannot be judged: st" in line for line in lines)
    assert any("cannot be judged: cr" in line for line in lines)
    if width is not None:
        tables = [line for line in lines if line[:5].strip().replace(",", "").isdigit()]
        assert max(map(cell_len, tables)) <= width


def test_a_job_that_is_newer_than_the_plan() -> None:
    """
    No job is less than no days old, even if it was created while the others were listed.
    """
    newest = evolve(job(2, "RUNNING", "m", 0), create_time=NOW + timedelta(seconds=3))
    plan = plan_of([job(1, "RUNNING", "m", 40), newest])

    assert any(line.endswith("RUNNING  0–40 d  m") for line in shown(plan, 80))
    assert "2026-03-01 (0 d)" in plan.summary()


def test_a_narrow_terminal_does_not_repeat_itself() -> None:
    """
    Where models have no room, jobs that stay are counted without them.
    """
    lines = shown(plan_of(MIXED), 40)

    assert ["300", "status", "not", "selected", "SUCCEEDED"] in [line.split() for line in lines]


@pytest.mark.parametrize(
    ("width", "left_out"),
    [
        (40, ["AGE, MODEL", "CREATED, NAME, RESULT"]),
        (70, ["RESULT"]),
        (200, []),
        (None, []),
    ],
)
def test_columns_without_room(width: int | None, left_out: list[str]) -> None:
    """
    Below each table that lacks columns for width, a line says which.
    """
    jobs = [job(1, "FAILED", "qwen3-8b", 9, "trial"), job(2, "SUCCEEDED", "qwen3-8b", 1)]
    lines = shown(plan_of(jobs), width)

    assert [line for line in lines if "Left out" in line] == [
        f"Left out for width: {titles}." for titles in left_out
    ]


def test_an_account_without_room() -> None:
    """
    Whoever cannot be shown why a job was not deleted is told that this is for width.
    """
    report = Report(
        outcomes=[Outcome(job_id="ft-1", action="delete", result="skipped", reason="changed")]
    )

    narrow, wide = ([line.plain for line in report_lines(report, width=n)] for n in (20, 80))

    assert narrow[-1] == "Left out for width: WHY."
    assert wide[-1] == "ft-1    skipped  changed since it was planned"


def test_a_plan_that_was_seen_before() -> None:
    """
    Before it is applied, what matters to the decision is shown once more, and no more.
    """
    brief = [line.plain for line in plan_lines(plan_of(MIXED), PLACE, width=80, brief=True)]

    assert len(brief) < len(shown(plan_of(MIXED), 80))
    assert "STAYS: 306" in brief
    assert ["300", "status", "not", "selected", "SUCCEEDED"] in [line.split()[:5] for line in brief]
    assert brief[brief.index("THE JOBS THAT GO, the oldest") + 2].startswith("ft-")
    assert sum("ft-" in line for line in brief) == 5


def test_jobs_that_have_not_ended() -> None:
    """
    Whoever plans to delete running jobs is told what that takes.
    """
    lines = shown(plan_of(MIXED, Selection(status={"RUNNING"})), 80)

    assert "5 of them have not ended: cancelled first with --cancel-running, else skipped." in lines


def test_imports_that_have_not_ended() -> None:
    """
    Nobody is sent to an option that cannot cancel an import.
    """
    plan = evolve(
        plan_of([job(1, "RUNNING", None, 1)], Selection(status="RUNNING")), noun="imports"
    )

    assert "1 of them has not ended: skipped, since imports cannot be cancelled." in shown(plan, 80)


def test_more_reasons_than_a_screen_has_lines() -> None:
    """
    Small groups of jobs that stay are counted together; the total is still right.
    """
    jobs = [job(n, "SUCCEEDED", f"model-{n}", n) for n in range(50)]
    lines = shown(plan_of(jobs), 80)

    assert ["30", "in", "smaller", "groups"] in [line.split() for line in lines]
    assert ["50", "in", "all"] in [line.split() for line in lines]
    assert len(lines) < 40


def test_a_plan_that_deletes_nothing() -> None:
    """
    An empty account has a table too.
    """
    lines = shown(plan_of([]), 80)

    assert "GOES: 0 of 0 fine-tuning jobs" in lines
    assert "STAYS: 0" in lines


texts = st.text(max_size=30)


@given(
    st.lists(st.tuples(texts, st.sampled_from(["FAILED", "RUNNING", ""]), texts), max_size=20),
    st.integers(30, 200),
)
def test_whatever_the_service_says(said: list[tuple[str, str, str]], width: int) -> None:
    """
    No text of a job steers the terminal or is taken for markup, and every line stays one.
    """
    jobs = [job(n, status, model, n, name) for n, (model, status, name) in enumerate(said)]
    lines = list(plan_lines(plan_of(jobs), PLACE, width=width))

    written = {category(character) for line in lines for character in line.plain}
    assert all(isinstance(line, Text) for line in lines)
    assert written.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})


def test_an_account_of_many_ends() -> None:
    """
    The final table counts by result and reason, and names the jobs that are neither deleted nor
    left for later, up to twenty.
    """
    outcomes = [
        *[Outcome(job_id=f"ft-{n}", action="delete", result="done", reason="confirmed")
          for n in range(1_000)],
        *[Outcome(job_id=f"ft-c{n}", action="delete", result="skipped", reason="changed")
          for n in range(25)],
        *[Outcome(job_id=f"ft-n{n}", action="delete", result="skipped", reason="not_attempted")
          for n in range(7)],
        Outcome(job_id="ft-x", action="delete", result="failed", reason="AccessDenied",
                error=DashScopeError("No.\x1b[2J")),
    ]  # fmt: skip
    lines = [line.plain for line in report_lines(Report(outcomes=outcomes), width=60)]
    rows = [re.split(" {2,}", line.strip()) for line in lines]

    assert rows[1:6] == [
        ["1,000", "deleted", "confirmed by the service"],
        ["25", "skipped", "changed since it was planned"],
        ["7", "skipped", "not attempted"],
        ["1", "failed", "AccessDenied"],
        ["1,033", "in all"],
    ]
    assert any(line.startswith("ft-x  ") and r"\x1b[2J" in line for line in lines)
    assert lines[-1].startswith("… and 6 more")
    assert not any("ft-n" in line for line in lines)


@pytest.mark.parametrize(
    ("status", "refused", "cancel_running", "why"),
    [
        ("RUNNING", None, False, "still RUNNING; --cancel-running cancels it first"),
        ("RUNNING", None, True, "still RUNNING; it was not cancelled in time"),
        ("CANCELED", None, False, "CANCELED by an earlier run; --cancel-running deletes it"),
        ("SUCCEEDED", None, True, "ended as SUCCEEDED meanwhile"),
        ("RUNNING", "SUCCEEDED", True, "SUCCEEDED, but the service refused"),
        ("FAILED", "FAILED", False, "FAILED, but the service refused"),
        (None, None, False, "its status does not allow it"),
    ],
)
def test_a_status_that_kept_a_job(
    status: str | None, refused: str | None, cancel_running: bool, why: str
) -> None:
    """
    Whatever the status was, it is named, with what to do where something can be done.
    """
    error = StateConflict("No.") if refused else None
    if error:
        error.job_status = refused
    outcome = Outcome(
        job_id="ft-1",
        action="delete",
        result="skipped",
        reason="state",
        error=error,
        job=None if status is None else FineTuneJob(job_id="ft-1", status=status),
    )
    report = Report(outcomes=[outcome])
    lines = [each.plain for each in report_lines(report, width=80, cancel_running=cancel_running)]

    assert lines[-1] == f"ft-1    skipped  {why}"


def test_a_failure_without_a_code() -> None:
    """
    It is told in words rather than by the name of its class.
    """
    outcome = Outcome(
        job_id="ft-1",
        action="delete",
        result="failed",
        reason="ConnectionFailed",
        error=ConnectionFailed("No answer."),
    )
    lines = [line.plain for line in report_lines(Report(outcomes=[outcome]), width=80)]

    assert lines[1] == "   1  failed  no connection to the service"


@pytest.mark.parametrize(
    ("what", "message", "why"),
    [
        ("Deleting {}", "No.", "No."),
        ("Deleting {}", "The job {} runs.", "The job {} runs."),
        (
            None,
            "Interrupted before the answer about {} came.",
            "Interrupted before the answer about it came.",
        ),
    ],
)
def test_why_a_job_failed(what: str | None, message: str, why: str) -> None:
    """
    The reason does not begin with the job that stands beside it, and the error stays as it was.
    """
    job_id = "b1af3c42-2a4f-4f3f-8abe-c2fa7d1e9b55"
    error = DashScopeError(message.format(job_id), code="X", hint="Wait.")
    error.what = what and what.format(job_id)
    told = str(error)
    outcome = Outcome(job_id=job_id, action="delete", result="failed", reason="X", error=error)
    lines = [line.plain for line in report_lines(Report(outcomes=[outcome]), width=None)]

    assert lines[-1] == f"{job_id}  failed  {why.format(job_id)} (code X) Wait."
    assert str(error) == told
