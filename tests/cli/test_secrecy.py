"""
The command line never shows the key: not in its output, its files, its debugging, or a crash.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from dashscope_ft.emulator import Emulator, Fault

from ..scripted import KEY
from ..secrecy import traces
from .conftest import Run

FORMS = ("table", "json", "jsonl", "csv")
DEBUGGING: dict[str, dict[str, str]] = {
    "plain": {},
    "debug": {"DASHSCOPE_FT_DEBUG": "1", "PYTHONASYNCIODEBUG": "1"},
}


@pytest.fixture
def key(studio: Emulator, environment: dict[str, str]) -> str:
    """
    A key that the emulator knows, and that looks like one.
    """
    studio.account().key = KEY
    environment["DASHSCOPE_API_KEY"] = KEY
    return KEY


@pytest.mark.once
def test_all_that_commands_write(
    run: Run,
    studio: Emulator,
    key: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    """
    No stream, no log record and no file holds the key, whether a command works or fails.
    """
    caplog.set_level(logging.DEBUG)
    ids = studio.seed(jobs=30, imports=3, statuses=["FAILED"])
    plan = str(tmp_path / "plan.json")
    commands = [
        ("jobs", "list"),
        ("jobs", "show", ids[0]),
        ("jobs", "logs", ids[0]),
        ("jobs", "compare", ids[0], ids[1]),
        ("jobs", "delete", ids[2], "ft-gone", "--yes"),
        ("jobs", "create", "--model", "m", "--training-file", "f"),
        ("imports", "list"),
        ("imports", "delete", ids[-1], "--yes"),
        ("cleanup", "plan", "--save", plan),
        ("cleanup", "apply", plan, "--dry-run", "--max-percent", "100", "--max-deletes", "99"),
    ]
    repeating = Fault(
        times=None, status=401, body={"code": f"InvalidApiKey{key}", "message": f"Wrong: {key}"}
    )
    rounds = [("plain", form) for form in FORMS] + [("debug", "table"), ("repeating", "jsonl")]
    for what, form in rounds:
        if what == "repeating":
            studio.inject(repeating)
        for command in commands:
            done = run("--output", form, *command, **DEBUGGING.get(what, {}))

            assert traces([done.stdout, done.stderr], key) == [], (what, command)
            assert what != "repeating" or done.returncode, command
    files = [each for each in tmp_path.rglob("*") if each.is_file()]

    assert traces(tmp_path, key) == []
    assert traces([each.getMessage() for each in caplog.records], key) == []
    assert [file.name for file in files] == ["plan.json"]
    record_property(
        "figure",
        f"{len(commands)} commands in {len(FORMS)} forms, with debugging too, as they work and as "
        f"a service repeats the key: {len(commands) * len(rounds)} runs, the plan's file, "
        f"{len(caplog.records):,} log records, 0 traces of the key.",
    )


@pytest.mark.parametrize("debugging", DEBUGGING)
def test_a_command_that_crashes(
    debugging: str, run: Run, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A fault in the library's depths shows the key neither in a sentence nor in a traceback.
    """

    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("dashscope_ft.connections.read_reply", crash)
    if debugging == "plain":
        done = run("jobs", "show", "ft-1")

        assert "RuntimeError: a fault" in done.stderr
        assert traces([done.stdout, done.stderr], key) == []
    else:
        with pytest.raises(RuntimeError, match="a fault") as caught:
            run("jobs", "show", "ft-1", **DEBUGGING[debugging])

        assert traces(caught.value, key) == []
        assert traces("".join(traceback.format_exception(caught.value)), key) == []


def test_a_crash_as_it_is_seen(execute: Run, key: str, tmp_path: Path) -> None:
    """
    A process that crashes with all debugging on writes a traceback without the key.
    """
    (tmp_path / "sitecustomize.py").write_text(
        "import dashscope_ft.connections as c\nc.read_reply = None\n"
    )
    done = execute(
        "jobs",
        "show",
        "ft-1",
        DASHSCOPE_FT_DEBUG="1",
        PYTHONASYNCIODEBUG="1",
        PYTHONDEVMODE="1",
        PYTHONPATH=str(tmp_path),
    )

    assert "TypeError" in done.stderr
    assert traces([done.stdout, done.stderr], key) == []
