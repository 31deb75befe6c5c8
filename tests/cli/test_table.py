from __future__ import annotations

from io import BytesIO, TextIOWrapper
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from dashscope_ft.cli.imports import IMPORT
from dashscope_ft.cli.jobs import JOB
from dashscope_ft.cli.kind import Kind, minute
from dashscope_ft.cli.table import details, table

JOBS: list[dict[str, Any]] = [
    {
        "job_id": "ft-202410291653-1c7f",
        "job_name": "我的模型微调任务",
        "status": "SUCCEEDED",
        "model": "qwen2.5-72b-instruct",
        "create_time": "2024-10-29 16:53:53",
        "training_type": "efficient_sft",
    },
    {"job_id": "ft-202410291512-1851", "job_name": "ft-202410291512-1851", "status": "RUNNING"},
]
IMPORTS: list[dict[str, Any]] = [
    {
        "job_id": "937b0000-2a4f-4c2b-8abe-c2fa00000000",
        "model_name": "qwen3-32b-offline-20240101-abc1",
        "display_name": "My LoRA fine-tuned model",
        "status": "SUCCESSED",
        "gmt_create": "2024-01-01T12:00:00.000+00:00",
    }
]


def lines(kind: Kind, rows: list[dict[str, Any]], width: int | None) -> list[str]:
    return [line.plain for line in table(kind.columns, rows, width=width)]


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        ("2024-10-29 16:53:53", "2024-10-29 16:53"),
        ("2024-01-01T12:00:00.000+00:00", "2024-01-01 20:00"),
        ("9999-12-31T23:59:59.000+00:00", "9999-12-31T23:59:59.000+00:00"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00+14:00"),
        ("yesterday", "yesterday"),
        (7, 7),
        (None, None),
    ],
)
def test_a_time_in_a_table(time: Any, shown: Any) -> None:
    """
    A time is shown to the minute at UTC+8, and as it was told where it cannot be.
    """
    assert minute("time")({"time": time}) == shown


def test_jobs_on_a_wide_terminal() -> None:
    """
    Everything stands side by side.
    """
    assert lines(JOB, JOBS, 120) == [
        "JOB ID                STATUS     MODEL                 CREATED (UTC+8)   TYPE         "
        "  NAME",
        "ft-202410291653-1c7f  SUCCEEDED  qwen2.5-72b-instruct  2024-10-29 16:53  efficient_sft"
        "  我的模型微调任务",
        "ft-202410291512-1851  RUNNING",
    ]


def test_jobs_on_a_usual_terminal() -> None:
    """
    What matters least makes room, before what matters more is cut short.
    """
    assert lines(JOB, JOBS, 80) == [
        "JOB ID                STATUS     MODEL                 CREATED (UTC+8)",
        "ft-202410291653-1c7f  SUCCEEDED  qwen2.5-72b-instruct  2024-10-29 16:53",
        "ft-202410291512-1851  RUNNING",
    ]
    assert lines(JOB, JOBS, 90)[1].endswith("2024-10-29 16:53  我的模型微调任务")
    assert lines(JOB, JOBS, 52)[1] == "ft-202410291653-1c7f  SUCCEEDED  qwen2.5-72b-instru…"


def test_jobs_on_a_narrow_terminal() -> None:
    """
    Ids and states remain, whole.
    """
    assert lines(JOB, JOBS, 40) == [
        "JOB ID                STATUS",
        "ft-202410291653-1c7f  SUCCEEDED",
        "ft-202410291512-1851  RUNNING",
    ]


def test_imports_on_a_narrow_terminal() -> None:
    """
    Where an id leaves no room beside it, the rest stands below it.
    """
    assert lines(IMPORT, IMPORTS, 40) == [
        "937b0000-2a4f-4c2b-8abe-c2fa00000000",
        "  SUCCESSED",
    ]


def test_imports_on_a_usual_terminal() -> None:
    """
    The time is told in the zone that the heading names.
    """
    assert lines(IMPORT, IMPORTS, 100)[1].split("  ")[3] == "2024-01-01 20:00"


def test_jobs_on_a_pipe() -> None:
    """
    Nothing is cut, dropped or coloured where no terminal limits the width.
    """
    rows = [*JOBS, {"job_id": "ft-3", "status": "FAILED", "job_name": "n" * 300}]
    heading, *others = lines(JOB, rows, None)

    assert heading.split() == [
        "JOB", "ID", "STATUS", "MODEL", "CREATED", "(UTC+8)", "TYPE", "NAME",
    ]  # fmt: skip
    assert others[-1].endswith("n" * 300)


@settings(max_examples=40)
@given(
    ids=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=4),
    name=st.text(max_size=60),
    width=st.integers(1, 200),
)
def test_any_width(ids: list[str], name: str, width: int) -> None:
    """
    At any width every id is whole, and no line is wider than the terminal but for an id.
    """
    rows = [{"job_id": f"ft-{each}", "status": "FAILED", "model": name} for each in ids]
    laid_out = list(table(JOB.columns, rows, width=width))
    whole = [line.plain for line in table(JOB.columns, rows, width=None)][1:]

    shown = [line.split("  FAILED")[0].rstrip() for line in whole]

    assert all(any(each.plain.startswith(job_id) for each in laid_out) for job_id in shown)
    if max(map(cell_len, shown)) <= width - len("  SUCCEEDED"):
        assert max(each.cell_len for each in laid_out) <= width


def test_an_output_that_is_not_utf_8(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is cut short is so in other signs, and what has to be escaped is as wide as it is then.
    """
    monkeypatch.setattr("sys.stdout", TextIOWrapper(BytesIO(), encoding="ascii"))
    rows = [{"job_id": "ft-1", "status": "0–12 d…", "model": "模型" * 9, "create_time": "today"}]

    assert lines(JOB, rows, 50)[1] == (r"ft-1    0-12 d...  \u6a21\u578b\u6a21\u578b\u6a...")


def test_a_name_that_is_markup_and_escape_sequences() -> None:
    """
    Text from the service is shown letter by letter.
    """
    row = {"job_id": "ft-1", "status": "[bold]\x1b[2J", "model": "\u202egnp.exe"}

    assert lines(JOB, [row], 200)[1] == r"ft-1    [bold]\x1b[2J  \u202egnp.exe"


@pytest.mark.parametrize("time", ["yesterday", "", "2024-13-01 00:00:00", None, 5])
def test_a_time_that_is_none(time: object) -> None:
    """
    What cannot be read as a time is shown as it came.
    """
    row = {"job_id": "ft-1", "status": "FAILED", "create_time": time}

    assert lines(JOB, [row], 200)[1].split() == ["ft-1", "FAILED", *str(time or "").split()]


def test_one_job_in_full() -> None:
    """
    Each field has its line; what is too long for it stands below its name, item by item.
    """
    row = {
        "job_id": "ft-1",
        "hyper_parameters": {"n_epochs": 3, "learning_rate": "1.6e-5"},
        "training_file_ids": ["a" * 30, "b" * 30],
        "message": "m" * 50,
    }

    assert [line.plain for line in details(row, width=40)] == [
        "job_id             ft-1",
        "hyper_parameters",
        "  n_epochs: 3",
        "  learning_rate: 1.6e-5",
        "training_file_ids",
        "  " + "a" * 30,
        "  " + "b" * 30,
        "message",
        "  " + "m" * 50,
    ]
    assert [line.plain for line in details(row, width=None)][1] == (
        'hyper_parameters   {"n_epochs": 3, "learning_rate": "1.6e-5"}'
    )
