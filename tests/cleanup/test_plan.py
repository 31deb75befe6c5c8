from __future__ import annotations

import json
import os
import pickle
import stat
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import orjson
import pytest
from attrs import asdict, evolve

from dashscope_ft.cleanup import Plan, PlanEntry, Selection, make_plan
from dashscope_ft.cleanup.guards import check_guards, check_place
from dashscope_ft.errors import (
    GuardExceeded,
    InvalidArgument,
    ListingInconsistent,
    PlanRefused,
)
from dashscope_ft.models import FineTuneJob, ImportJob

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
CHINA = timezone(timedelta(hours=8))
URL = "https://dashscope-intl.aliyuncs.com/api/v1"


async def listing(jobs: Iterable[FineTuneJob | ImportJob]) -> AsyncIterator[Any]:
    for job in jobs:
        yield job


def jobs_of(n: int) -> list[FineTuneJob | ImportJob]:
    return [
        FineTuneJob(
            job_id=f"ft-{i}",
            status=("FAILED", "SUCCEEDED", "CANCELED", "RUNNING", "ODD")[i % 5],
            model=("qwen3-14b", "qwen3-8b")[i % 2],
            job_name=f"名 {i}",
            finetuned_output=f"out-{i}",
            create_time=datetime(2026, 1, 1, tzinfo=CHINA) + timedelta(days=i),
            end_time=datetime(2026, 1, 2, tzinfo=CHINA) + timedelta(days=i),
        )
        for i in range(n)
    ]


async def planned(
    n: int = 20, selection: Selection | None = None, workspace: str | None = "ws-1"
) -> Plan:
    selection = selection or Selection(keep_latest=1, protect="ft-2")
    return await make_plan(
        "fine_tunes",
        listing(jobs_of(n)),
        selection,
        base_url=URL,
        workspace=workspace,
        now=lambda: NOW,
    )


async def test_a_plan_says_what_goes_and_why_the_rest_stays() -> None:
    """
    Every job listed is either to go or stays for a reason, and the sums agree.
    """
    plan = await planned()

    assert [entry.job_id for entry in plan.entries] == ["ft-0", "ft-5", "ft-7", "ft-10", "ft-15"]
    assert plan.entries[1] == PlanEntry(
        job_id="ft-5",
        status="FAILED",
        model="qwen3-8b",
        name="名 5",
        output="out-5",
        create_time=datetime(2026, 1, 6, tzinfo=CHINA),
        end_time=datetime(2026, 1, 7, tzinfo=CHINA),
    )
    assert plan.listed == 20
    assert sum(group.jobs for group in plan.stays) == 15
    assert sum(group.jobs for group in plan.goes) == 5
    assert {(group.reason, group.status) for group in plan.stays} == {
        ("status", "SUCCEEDED"),
        ("status", "RUNNING"),
        ("undecidable", "ODD"),
        ("kept", "CANCELED"),
        ("protected", "CANCELED"),
    }


async def test_a_plan_of_imports() -> None:
    """
    Imports are planned in the same words as fine-tuning jobs.
    """
    job = ImportJob(
        job_id="937b",
        status="FAILED",
        model_name="qwen3-32b-offline-20240101-abc1",
        display_name="mine",
        gmt_create=NOW - timedelta(days=3),
    )

    plan = await make_plan(
        "imports", listing([job]), Selection(), base_url=URL, workspace=None, now=lambda: NOW
    )

    [entry] = plan.entries
    assert (entry.model, entry.name, entry.output) == ("qwen3-32b", "mine", job.model_name)
    assert "import jobs" in plan.summary()


async def test_a_listing_that_is_not_complete_makes_no_plan() -> None:
    """
    Where the walk through the jobs raises, no plan is made.
    """

    async def broken() -> AsyncIterator[FineTuneJob]:
        yield FineTuneJob(job_id="ft-1", status="FAILED")
        raise ListingInconsistent("short page")

    with pytest.raises(ListingInconsistent):
        await make_plan("fine_tunes", broken(), Selection(), base_url=URL, workspace=None)


async def test_a_saved_plan_is_the_same_plan(tmp_path: Path) -> None:
    """
    A plan comes back from its file, and from a pickle, equal and with the same digest.
    """
    plan = await planned()
    path = tmp_path / "plan.json"

    plan.save(path)
    loaded = Plan.load(path)

    assert loaded == plan
    assert loaded.digest == plan.digest
    assert loaded.summary() == plan.summary()
    assert pickle.loads(pickle.dumps(plan)) == plan


async def test_a_saved_plan_is_private_and_whole(tmp_path: Path) -> None:
    """
    The file is its owner's alone, also over an older one, and nothing else is left behind.
    """
    path = tmp_path / "plan.json"
    path.write_text("older")
    path.chmod(0o666)

    (await planned()).save(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["plan.json"]


async def test_a_plan_is_whole_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What is written out is all of it, beside its place: a power cut leaves no half plan, and
    another disk for temporary files is no hindrance.
    """
    path, written = tmp_path / "plan.json", []

    def sync(descriptor: int) -> None:
        assert not path.exists()
        written.append(os.fstat(descriptor).st_size)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    (await planned()).save(path)

    assert written == [path.stat().st_size]


async def test_a_plan_that_cannot_be_saved_leaves_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    When the disk fails, the older file stands and no half file stays.
    """
    path = tmp_path / "plan.json"
    path.write_text("older")

    def fail(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    plan = await planned()
    with pytest.raises(OSError, match="disk full"):
        plan.save(path)

    assert path.read_text() == "older"
    assert os.listdir(tmp_path) == ["plan.json"]


@pytest.mark.parametrize("kind", ["pipe", "directory", "link to a pipe"])
async def test_a_plan_is_saved_in_the_place_of_nothing_but_a_file(
    tmp_path: Path, kind: str
) -> None:
    """
    What others read from or write to, such as a device or a pipe, stays what it is.
    """
    path = tmp_path / "plan.json"
    if kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "pipe").rename(path) if kind == "pipe" else path.symlink_to(tmp_path / "pipe")
    before = path.lstat()
    plan = await planned()
    with pytest.raises(InvalidArgument, match=rf"^The plan {path} is not a regular file\. "):
        plan.save(path)

    assert path.lstat() == before


async def test_a_plan_that_cannot_be_saved_names_its_file(tmp_path: Path) -> None:
    """
    The error names the file that was asked for, and not the one that is written to first.
    """
    path = tmp_path / "missing" / "plan.json"
    with pytest.raises(FileNotFoundError) as caught:
        (await planned()).save(path)

    assert caught.value.filename == str(path)


@pytest.mark.parametrize("fails", [False, True])
async def test_a_plan_is_saved_where_open_files_stay_put(
    fails: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The file is closed before it is moved, or removed again, as Windows wants it.
    """
    made: list[Any] = []
    closed: list[bool] = []
    replace, unlink = os.replace, os.unlink

    def remember(**options: Any) -> Any:
        made.append(NamedTemporaryFile(**options))  # noqa: SIM115
        return made[-1]

    def move(source: Path, target: Path) -> None:
        closed.append(made[0].closed)
        if fails:
            raise PermissionError
        replace(source, target)

    def remove(name: Path) -> None:
        closed.append(made[0].closed)
        unlink(name)

    monkeypatch.setattr("dashscope_ft.cleanup.plan.NamedTemporaryFile", remember)
    monkeypatch.setattr(os, "replace", move)
    monkeypatch.setattr(os, "unlink", remove)
    plan = await planned()
    with suppress(PermissionError):
        plan.save(tmp_path / "plan.json")

    assert closed == ([True, True] if fails else [True])
    assert os.listdir(tmp_path) == ([] if fails else ["plan.json"])


def alterations(values: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    """
    Give every variant of a JSON value in which one leaf differs or one element lacks.
    """
    if isinstance(values, dict):
        for key, value in values.items():
            for where, altered in alterations(value, f"{path}.{key}"):
                yield where, values | {key: altered}
            yield f"{path}.{key} missing", {k: v for k, v in values.items() if k != key}
        yield f"{path} more", values | {"more": 1}
    elif isinstance(values, list):
        for index, value in enumerate(values):
            for where, altered in alterations(value, f"{path}[{index}]"):
                yield where, [*values[:index], altered, *values[index + 1 :]]
            yield f"{path}[{index}] missing", [*values[:index], *values[index + 1 :]]
    elif isinstance(values, str):
        yield path, values + "0"
        yield path, None
    else:
        yield path, 7 if values != 7 else 8
        yield path, "x"


async def test_an_altered_file_is_refused(tmp_path: Path) -> None:
    """
    Whatever is changed, added or left out in the file of a plan, it is no longer that plan.
    """
    plan = await planned(9, Selection(older_than=timedelta(days=1), model="qwen*"))
    path = tmp_path / "plan.json"
    plan.save(path)
    variants = list(alterations(json.loads(path.read_bytes())))

    assert len(variants) > 150
    for where, variant in variants:
        path.write_text(json.dumps(variant))
        with pytest.raises(PlanRefused):
            pytest.fail(f"{where}: {Plan.load(path)}")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["listed"], "9"),
        (["base_url"], 7),
        (["noun"], "files"),
        (["selection", "older_than", "days"], 1e300),
        (["selection", "keep_latest"], "3"),
        (["entries", 0, "job_id"], 7),
        (["entries", 0, "status"], None),
        (["entries", 0, "model"], 7),
        (["entries", 0, "create_time"], 7),
        (["stays", 0, "jobs"], "1"),
    ],
)
async def test_a_plan_of_other_types_under_its_own_digest(
    tmp_path: Path, path: list[str | int], value: object
) -> None:
    """
    Whoever makes a digest of a plan that is none has no plan all the same.
    """
    plan = await planned(9, Selection(older_than=timedelta(days=1), model="qwen*"))
    content = plan.to_dict()
    place: Any = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    del content["digest"]
    digest = sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    file = tmp_path / "plan.json"
    file.write_bytes(orjson.dumps(content | {"digest": digest}))

    with pytest.raises(PlanRefused, match="not a plan"):
        Plan.load(file)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", "{}", '{"format": 2}', "\xff\xfe"])
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: str) -> None:
    """
    Any other file is refused as no plan; one that is not there is the usual error.
    """
    path = tmp_path / "plan.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(PlanRefused, match="not a plan"):
        Plan.load(path)
    with pytest.raises(FileNotFoundError):
        Plan.load(tmp_path / "other.json")


async def test_a_digest_is_of_the_content() -> None:
    """
    Plans that say the same have one digest, and any difference another.
    """
    plan = await planned()

    assert plan.digest == (await planned()).digest
    assert len(plan.digest) == 64
    for other in (
        evolve(plan, workspace=None),
        evolve(plan, entries=plan.entries[1:]),
        evolve(plan, created=NOW + timedelta(seconds=1)),
        evolve(plan, selection=Selection()),
    ):
        assert other.digest != plan.digest


def test_a_plan_needs_a_zoned_time() -> None:
    """
    A plan whose time has no zone would have no age.
    """
    with pytest.raises(InvalidArgument):
        Plan(
            base_url=URL,
            workspace=None,
            noun="fine_tunes",
            created=datetime(2026, 1, 1),
            selection=Selection(),
            listed=0,
            entries=(),
            stays=(),
        )


@pytest.mark.parametrize(
    ("change", "words", "hint"),
    [
        ({}, None, None),
        ({"now": NOW + timedelta(hours=24)}, None, None),
        ({"now": NOW - timedelta(minutes=5)}, None, None),
        (
            {"now": NOW + timedelta(hours=24, seconds=1)},
            "24 hours old",
            "After 24 hours, make a new plan.",
        ),
        (
            {"now": NOW - timedelta(minutes=5, seconds=1)},
            "still to come",
            "Set the clock right, or make a new plan.",
        ),
        (
            {"base_url": "https://dashscope.aliyuncs.com/api/v1"},
            "dashscope.aliyuncs.com",
            "Apply it there, or make a new plan here.",
        ),
        (
            {"workspace": None},
            "ws-1, not the key's own",
            "Apply it there, or make a new plan here.",
        ),
        ({"workspace": "ws-2"}, "ws-2", "Apply it there, or make a new plan here."),
        ({"noun": "imports"}, "fine_tunes", "Apply it there."),
    ],
)
async def test_a_plan_is_for_one_place_and_a_day(
    change: dict[str, Any], words: str | None, hint: str | None
) -> None:
    """
    Elsewhere, for another workspace or noun, or after a day, a plan is refused, and it is said
    what to do instead.
    """
    plan = await planned()
    here: dict[str, Any] = {
        "noun": "fine_tunes",
        "base_url": URL,
        "workspace": "ws-1",
        "now": NOW,
    }

    if words is None:
        check_place(plan, **here | change)
    else:
        with pytest.raises(PlanRefused, match=words) as caught:
            check_place(plan, **here | change)

        assert caught.value.hint == hint


async def test_guards_bound_a_plan() -> None:
    """
    One job more than the bounds is too many, with the figures in the error, and which to raise.
    """
    plan = await planned()  # 5 of 20

    check_guards(plan, max_deletes=5, max_percent=25)
    with pytest.raises(GuardExceeded, match="deletes 5 jobs, more than max_deletes=4") as many:
        check_guards(plan, max_deletes=4, max_percent=25)
    with pytest.raises(
        GuardExceeded, match=r"of 20 jobs \(25%\), more than max_percent=24.5"
    ) as share:
        check_guards(plan, max_deletes=5, max_percent=24.5)
    check_guards(await planned(0), max_deletes=0, max_percent=0)

    assert "then raise max_deletes" in str(many.value.hint)
    assert "then raise max_percent" in str(share.value.hint)


async def test_a_share_just_above_its_bound() -> None:
    """
    The share is told as exactly as it takes to see that it is too large.
    """
    plan = await planned()
    plan = evolve(plan, listed=2_000, entries=plan.entries[:1] * 1_001)

    with pytest.raises(GuardExceeded, match=r"2000 jobs \(50.05%\), more than max_percent=50\."):
        check_guards(plan, max_deletes=1_001, max_percent=50)


@pytest.mark.parametrize("bound", [-1, True, "20", float("nan"), None])
async def test_bounds_that_are_none(bound: Any) -> None:
    """
    A bound that is no number from 0 is refused, not ignored.
    """
    plan = await planned()

    with pytest.raises(InvalidArgument):
        check_guards(plan, max_deletes=bound, max_percent=50)
    with pytest.raises(InvalidArgument):
        check_guards(plan, max_deletes=20, max_percent=bound)


async def test_a_summary_to_decide_from() -> None:
    """
    The table shows what goes and what stays, why, by status, model and age, with totals.
    """
    plan = await planned()

    text = plan.summary(jobs=2)

    assert text.splitlines()[:12] == [
        f"Clean-up of fine-tuning jobs at {URL}, workspace ws-1",
        f"planned 2026-11-20 20:00 UTC+08:00, digest {plan.digest[:12]}",
        "rules: status CANCELED, FAILED; not the latest 1 of each model; never ft-2",
        "",
        "GOES: 5 of 20 fine-tuning jobs",
        "  status    model      jobs  oldest              newest",
        "  FAILED    qwen3-14b  2     2026-01-01 (323 d)  2026-01-11 (313 d)",
        "  FAILED    qwen3-8b   2     2026-01-06 (318 d)  2026-01-16 (308 d)",
        "  CANCELED  qwen3-8b   1     2026-01-08 (316 d)  2026-01-08 (316 d)",
        "",
        "STAYS: 15",
        "  why                                    status     model      jobs"
        "  oldest              newest",
    ]
    assert "kept: among the latest 1 of its model" in text
    assert "undecidable: status not known" in text
    assert "… and 3 more" in text


@pytest.mark.parametrize("count", [0, 20])
async def test_a_summary_without_jobs(count: int) -> None:
    """
    Where no job goes, or none is to be named, the summary ends with what stays.
    """
    plan = await planned(count)

    text = plan.summary(jobs=0 if count else 20)

    assert "THE JOBS THAT GO" not in text
    assert ("STAYS: 0\n  (none)" in text) is (count == 0)


async def test_a_summary_escapes_what_the_service_said() -> None:
    """
    Server text cannot drive the terminal that shows the table, nor hide that two names differ.
    """
    job = FineTuneJob(
        job_id="ft-1\x1b[2J", status="FAILED", model="m\r\nx\u3164", job_name="\u202eevil"
    )

    plan = await make_plan("fine_tunes", listing([job]), Selection(), base_url=URL, workspace=None)
    text = plan.summary()

    assert all(char.isprintable() or char == "\n" for char in text)
    assert "\\x1b[2J" in text
    assert r"m\r\nx\u3164" in text


async def test_a_plan_is_shown_in_a_line() -> None:
    """
    What it is about is shown and no job; it is still compared and pickled with all of them.
    """
    plan = await planned()

    assert repr(plan) == (
        f"Plan(noun='fine_tunes', base_url='{URL}', workspace='ws-1', "
        "created='2026-11-20T12:00:00+00:00', deletes=5, listed=20)"
    )
    assert pickle.loads(pickle.dumps(plan)) == plan
    assert evolve(plan, entries=plan.entries[1:]) != plan


async def test_a_saved_plan_without_a_status_is_refused(tmp_path: Path) -> None:
    """
    Rules without one select nothing: whoever saved it, and with whatever digest, it is no plan.
    """
    path = tmp_path / "plan.json"
    plan = await planned()
    content = plan._content() | {"selection": plan.selection.to_dict() | {"status": []}}
    digest = sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
    path.write_text(json.dumps(content | {"digest": digest}))

    with pytest.raises(PlanRefused, match="is not a plan, or was changed"):
        Plan.load(path)


async def test_the_order_and_the_names_of_a_plan() -> None:
    """
    The oldest come first, those of unknown age before them, and equal ones by their ids, so that
    equal plans have one digest. A name that is the id is none.
    """
    jobs = [
        FineTuneJob(job_id="ft-c", job_name="ft-c", status="FAILED", create_time=NOW),
        FineTuneJob(job_id="ft-b", job_name="spring", status="FAILED", create_time=NOW),
        FineTuneJob(job_id="ft-a", status="FAILED"),
    ]

    plan = await make_plan("fine_tunes", listing(jobs), Selection(), base_url=URL, workspace=None)

    named = [(entry.job_id, entry.name) for entry in plan.entries]
    assert named == [("ft-a", None), ("ft-b", "spring"), ("ft-c", None)]


async def test_a_plan_of_another_kind_of_jobs_is_refused(tmp_path: Path) -> None:
    """
    Whole as its digest may be, nothing is known of such jobs.
    """
    odd: Any = "files"
    evolve(await planned(), noun=odd).save(tmp_path / "plan.json")

    with pytest.raises(PlanRefused):
        Plan.load(tmp_path / "plan.json")


async def test_ages_are_counted_from_before_the_listing() -> None:
    """
    A job does not become old enough by the time the listing takes.
    """
    now = NOW

    async def slowly() -> AsyncIterator[FineTuneJob]:
        nonlocal now
        now += timedelta(days=9)
        yield FineTuneJob(job_id="ft-1", status="FAILED", create_time=NOW)

    plan = await make_plan(
        "fine_tunes",
        slowly(),
        Selection(older_than=timedelta(days=1)),
        base_url=URL,
        workspace=None,
        now=lambda: now,
    )

    assert plan.created == NOW
    assert not plan.entries


@pytest.mark.parametrize("jobs", [-1, 1.5, None])
async def test_a_summary_of_so_many_jobs_that_cannot_be(jobs: Any) -> None:
    """
    The number of jobs to list is a whole one from 0.
    """
    plan = await planned(3)

    with pytest.raises(InvalidArgument, match="jobs"):
        plan.summary(jobs=jobs)


async def test_saving_writes_out_each_job_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The digest is taken of what is saved, and not of a copy made for it alone.
    """
    plan = await planned(50)
    written: list[object] = []

    def noted(value: Any) -> dict[str, Any]:
        written.append(value)
        return asdict(value)

    monkeypatch.setattr("dashscope_ft.cleanup.plan.asdict", noted)
    plan.save(tmp_path / "plan.json")

    assert len(written) == len(plan.entries) + len(plan.stays)
