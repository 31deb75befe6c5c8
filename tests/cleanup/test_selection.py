from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from dashscope_ft.cleanup import Selection
from dashscope_ft.errors import InvalidArgument
from dashscope_ft.models import FineTuneJob, ImportJob

pytestmark = pytest.mark.once

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def job(job_id: str = "ft-a", status: str = "FAILED", days: float | None = 50, **facts: Any) -> Any:
    created = None if days is None else NOW - timedelta(days=days)
    facts = {"model": "qwen3-14b", "job_name": job_id, "create_time": created} | facts
    return FineTuneJob(job_id=job_id, status=status, **facts)


def imported(job_id: str = "i-a", status: str = "FAILED", days: float = 50, **facts: Any) -> Any:
    created = NOW - timedelta(days=days)
    named: dict[str, Any] = {"model_name": "qwen3-32b-offline-20240101-abc1"}
    facts = named | {"gmt_create": created} | facts
    return ImportJob(job_id=job_id, status=status, **facts)


def reason(selection: Selection, *jobs: Any) -> str:
    return selection.decide(jobs, NOW)[0].reason


def selected(selection: Selection, jobs: Any) -> set[str]:
    return {d.job_id for d in selection.decide(jobs, NOW) if d.selected}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("FAILED", "selected"),
        ("CANCELED", "selected"),
        ("SUCCEEDED", "status"),
        ("RUNNING", "status"),
        ("PENDING", "status"),
        ("QUEUING", "status"),
        ("CANCELING", "status"),
        ("ARCHIVED", "undecidable"),
        ("", "undecidable"),
        ("failed", "undecidable"),
    ],
)
def test_only_failed_and_cancelled_jobs_unless_told(status: str, expected: str) -> None:
    """
    Without a word about it, only failed and cancelled jobs go; an unknown status stays.
    """
    assert reason(Selection(), job(status=status)) == expected


def test_a_status_that_was_asked_for() -> None:
    """
    What goes is what was named, one word or several, and nothing else.
    """
    assert reason(Selection(status="SUCCEEDED"), job(status="SUCCEEDED")) == "selected"
    assert reason(Selection(status="SUCCEEDED"), job(status="FAILED")) == "status"
    assert reason(Selection(status=["RUNNING"]), job(status="RUNNING")) == "selected"
    assert reason(Selection(status="SUCCEEDED"), imported(status="SUCCESSED")) == "selected"
    assert reason(Selection(status="SUCCESSED"), imported(status="SUCCESSED")) == "selected"
    assert reason(Selection(), imported(status="SUCCESSED")) == "status"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"model": "qwen3-14b"}, "selected"),
        ({"model": "my-own", "base_model": "qwen3-8b"}, "selected"),
        ({"model": None, "base_model": "qwen3-8b"}, "selected"),
        ({"model": "qwen2-7b"}, "model"),
        ({"model": "Qwen3-14b"}, "model"),
        ({"model": None}, "undecidable"),
    ],
)
def test_a_model_pattern(facts: dict[str, Any], expected: str) -> None:
    """
    A pattern matches the model tuned or its base, and a job without either stays.
    """
    assert reason(Selection(model="qwen3-*"), job(**facts)) == expected


def test_a_model_pattern_on_imports() -> None:
    """
    Of an import a pattern matches the base model, or the whole generated name.
    """
    assert reason(Selection(model="qwen3-32b"), imported()) == "selected"
    assert reason(Selection(model="*-abc1"), imported()) == "selected"
    assert reason(Selection(model="qwen3-14b"), imported()) == "model"
    assert reason(Selection(model="qwen3-*"), imported(model_name=None)) == "undecidable"


def test_a_name_pattern() -> None:
    """
    A pattern matches the job's name or its result's, and a job without names stays.
    """
    selection = Selection(name=["trial-*", "tmp"])

    assert reason(selection, job(job_name="trial-7")) == "selected"
    assert reason(selection, job(model_name="tmp")) == "selected"
    assert reason(selection, job(job_name="prod")) == "name"
    assert reason(selection, job(job_name=None)) == "undecidable"
    assert reason(selection, imported(display_name="trial-1")) == "selected"


def test_a_creator() -> None:
    """
    Only who is named; where the service does not tell, the job stays.
    """
    selection = Selection(creator="1396")

    assert reason(selection, job(creator="1396")) == "selected"
    assert reason(selection, job(creator="7777")) == "creator"
    assert reason(selection, job()) == "undecidable"
    assert reason(selection, imported()) == "undecidable"


@pytest.mark.parametrize(
    ("selection", "detail"),
    [
        (Selection(creator="x"), "creator not given by the service"),
        (Selection(name="x"), "name not given by the service"),
        (Selection(older_than=timedelta(days=1)), "creation time not given by the service"),
        (Selection(keep_latest=1, by="end_time"), "end time not given by the service"),
        (Selection(status="RUNNING"), "status not selected"),
    ],
)
def test_why_a_job_stays(selection: Selection, detail: str) -> None:
    """
    What keeps it is told in words that need no knowledge of fields.
    """
    [decision] = selection.decide([FineTuneJob(job_id="ft-1", status="FAILED", model="m")], NOW)

    assert decision.detail == detail


@pytest.mark.parametrize(
    ("rules", "facts", "expected"),
    [
        ({"older_than": timedelta(days=30)}, {"days": 31}, "selected"),
        ({"older_than": timedelta(days=30)}, {"days": 30}, "age"),
        ({"older_than": timedelta(days=30)}, {"days": -1}, "age"),
        ({"older_than": timedelta(days=30)}, {"days": None}, "undecidable"),
        ({"older_than": NOW - timedelta(days=9)}, {"days": 10}, "selected"),
        ({"older_than": NOW - timedelta(days=9)}, {"days": 8}, "age"),
        ({"newer_than": timedelta(days=30)}, {"days": 29}, "selected"),
        ({"newer_than": timedelta(days=30)}, {"days": 30}, "age"),
        ({"newer_than": timedelta(days=30)}, {"days": 31}, "age"),
        ({"older_than": timedelta.max}, {"days": 999}, "age"),
        (
            {"older_than": timedelta(days=30), "by": "end_time"},
            {"end_time": NOW - timedelta(days=31)},
            "selected",
        ),
        ({"older_than": timedelta(days=30), "by": "end_time"}, {}, "undecidable"),
    ],
)
def test_an_age(rules: dict[str, Any], facts: dict[str, Any], expected: str) -> None:
    """
    Age counts back from the moment given, to creation or end; an unreadable time keeps a job.
    """
    assert reason(Selection(**rules), job(**facts)) == expected


def test_a_time_without_a_zone_in_a_job_is_unreadable() -> None:
    """
    A job whose time has no zone cannot be dated, so it stays.
    """
    naive = job(create_time=datetime(2020, 1, 1))

    assert reason(Selection(older_than=timedelta(days=1)), naive) == "undecidable"


def test_imports_have_no_end() -> None:
    """
    The service does not say when an import ended, so a rule that needs it keeps every import.
    """
    selection = Selection(older_than=timedelta(days=1), by="end_time")

    assert reason(selection, imported()) == "undecidable"


def test_the_latest_of_each_model_stay() -> None:
    """
    The newest jobs of each model stay, counted among those that could go.
    """
    jobs = [job(f"ft-{n}", days=n) for n in range(1, 6)]
    jobs += [job(f"ft-other-{n}", days=n, model="qwen3-8b") for n in range(1, 3)]
    jobs += [job(f"ft-good-{n}", "SUCCEEDED", days=0) for n in range(9)]

    decisions = {d.job_id: d.reason for d in Selection(keep_latest=2).decide(jobs, NOW)}

    assert {j for j, r in decisions.items() if r == "selected"} == {"ft-3", "ft-4", "ft-5"}
    assert {j for j, r in decisions.items() if r == "kept"} == {
        *("ft-1", "ft-2", "ft-other-1", "ft-other-2")
    }


def test_the_latest_are_counted_before_the_age() -> None:
    """
    Newer jobs count among the latest even where they are too young to go.
    """
    jobs = [job(f"ft-{n}", days=n * 10) for n in range(1, 6)]
    selection = Selection(keep_latest=2, older_than=timedelta(days=25))

    assert selected(selection, jobs) == {"ft-3", "ft-4", "ft-5"}


def test_jobs_of_one_second_are_kept_together() -> None:
    """
    Where the last to be kept shares its second with others, all of them stay.
    """
    jobs = [job(f"ft-{n}", days=1) for n in range(5)] + [job("ft-old", days=2)]

    assert selected(Selection(keep_latest=2), jobs) == {"ft-old"}


def test_what_cannot_be_ranked_stays() -> None:
    """
    A job without a model or a time cannot be told from the latest ones.
    """
    selection = Selection(keep_latest=1)
    others = [job("ft-1", days=1), job("ft-2", days=2)]

    assert reason(selection, job(model=None), *others) == "undecidable"
    assert reason(selection, job(days=None), *others) == "undecidable"
    assert reason(selection, imported(model_name="odd"), imported("i-b")) == "undecidable"


def test_a_model_that_cannot_be_read_is_ranked_nowhere() -> None:
    """
    A job whose model was sent but is not readable stays, and takes no place of its base model's.
    """
    base, unread = "qwen3-14b", {"model": {"name": "mine"}}
    odd = [job(f"ft-odd-{n}", days=n, model=None, base_model=base, extra=unread) for n in (0.5, 9)]
    jobs = [*odd, job("ft-1", days=1, model=base), job("ft-2", days=2, model=base)]

    assert selected(Selection(keep_latest=1), jobs) == {"ft-2"}
    assert {reason(Selection(keep_latest=1), one, *jobs) for one in odd} == {"undecidable"}


def test_imports_are_ranked_by_their_base_model() -> None:
    """
    The generated names of imports all differ; the latest are counted by base model.
    """
    jobs = [imported(f"i-{n}", days=n, model_name=f"m-offline-20240101-{n}") for n in range(4)]

    assert selected(Selection(keep_latest=1), jobs) == {"i-1", "i-2", "i-3"}


@pytest.mark.parametrize("protect", ["ft-a", "ft-?", "keep-*", "shown", "the-output"])
def test_protected_jobs_stay(protect: str) -> None:
    """
    An id, or a pattern for the id, a name or the result, protects.
    """
    mine = job(job_name="keep-me", model_name="shown", finetuned_output="the-output")

    assert reason(Selection(protect=[protect]), mine) == "protected"
    assert reason(Selection(protect=[protect]), job("xx")) == "selected"


def test_an_id_with_brackets_is_protected_as_it_is() -> None:
    """
    An id that would read as a pattern protects itself too.
    """
    from_elsewhere = b"ft[1]".decode()

    assert reason(Selection(protect="ft[1]"), job(from_elsewhere)) == "protected"


def test_a_name_that_cannot_be_read_protects_where_names_matter() -> None:
    """
    If something is protected, a job with an unreadable name might be it.
    """
    odd = job(job_name=None, extra={"job_name": 7})

    assert reason(Selection(protect="prod-*"), odd) == "undecidable"
    assert reason(Selection(), odd) == "selected"


@pytest.mark.parametrize("rules", [{}, {"older_than": timedelta(days=1)}, {"by": "end_time"}])
@pytest.mark.parametrize(
    ("make", "time"), [(job, "create_time"), (job, "end_time"), (imported, "gmt_create")]
)
def test_a_time_that_cannot_be_read_protects(
    make: Callable[..., Any], time: str, rules: dict[str, Any]
) -> None:
    """
    A job with an unreadable time stays whatever the rules; one without a time can go.
    """
    [odd] = Selection(**rules).decide([make(**{time: None}, extra={time: "yesterday"})], NOW)

    assert (odd.reason, odd.detail) == ("undecidable", f"{time} not readable")
    assert reason(Selection(), make(**{time: None})) == "selected"


def test_a_job_listed_twice_stays() -> None:
    """
    A listing that names a job twice cannot be trusted about that job.
    """
    decisions = Selection().decide([job(), job(status="CANCELED"), job("ft-b")], NOW)

    assert [d.reason for d in decisions] == ["undecidable", "undecidable", "selected"]


def test_a_job_listed_twice_takes_one_place_among_the_latest() -> None:
    """
    If the two disagree about its time, the older one counts, which keeps more of the others.
    """
    twice = [job("ft-a", days=5), job("ft-a", days=1)]

    for listed in (twice, twice[::-1]):
        decisions = Selection(keep_latest=1).decide([*listed, job("ft-b", days=3)], NOW)
        assert [d.reason for d in decisions] == ["undecidable", "undecidable", "kept"]


@pytest.mark.parametrize(
    "rules",
    [
        {"older_than": datetime(2026, 1, 1)},
        {"newer_than": datetime(2026, 1, 1)},
        {"older_than": timedelta(days=-1)},
        {"older_than": 30},
        {"keep_latest": -1},
        {"keep_latest": True},
        {"keep_latest": 1.5},
        {"keep_latest": 2**64},
        {"by": "gmt_create"},
        {"model": ""},
        {"model": "caf\udce9*"},
        {"protect": [None]},
        {"protect": ["ft-1\n", "ft-2\n"]},
        {"protect": "ft-1 "},
        {"protect": " ft-1"},
        {"protect": "ft-1\nft-2"},
        {"protect": "ft-1\r"},
        {"name": " mine"},
        {"status": [""]},
    ],
)
def test_rules_that_are_none(rules: dict[str, Any]) -> None:
    """
    A time without a zone, a negative age, an empty pattern, one that no file can hold, and a line
    of one are refused when they are written.
    """
    with pytest.raises(InvalidArgument):
        Selection(**rules)


@pytest.mark.parametrize("status", ["failed", ["CANCELED", "Failed"]])
def test_a_status_in_another_case(status: Any) -> None:
    """
    A status in another case would select nothing, so it is refused, with the word that was meant.
    """
    with pytest.raises(InvalidArgument, match=r"status '[Ff]ailed' must be 'FAILED'"):
        Selection(status=status)
    assert Selection(status="Archived").status == {"Archived"}


@pytest.mark.parametrize("none", [None, [], (), set[str](), iter(())])
def test_no_status_at_all(none: Any) -> None:
    """
    An empty set of statuses would select nothing, so it is refused, with what leaving it out means.
    """
    with pytest.raises(InvalidArgument, match="left out, it is FAILED and CANCELED"):
        Selection(status=none)


def test_now_needs_a_zone() -> None:
    """
    Ages cannot be counted from a moment without a zone.
    """
    with pytest.raises(InvalidArgument):
        Selection().decide([job()], datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("noon", "rules", "hours", "expected"),
    [
        (datetime(2026, 3, 29, 12), {"older_than": timedelta(hours=12)}, 11.5, "age"),
        (datetime(2026, 10, 25, 12), {"newer_than": timedelta(hours=12)}, 12.5, "age"),
    ],
)
def test_an_age_is_not_counted_by_a_clock_that_is_changed(
    noon: datetime, rules: dict[str, Any], hours: float, expected: str
) -> None:
    """
    An age is the time that has passed, also on the days when clocks are put forward or back.
    """
    now = noon.replace(tzinfo=ZoneInfo("Europe/Berlin"))
    one = job(create_time=now.astimezone(UTC) - timedelta(hours=hours))

    [decision] = Selection(**rules).decide([one], now)

    assert decision.reason == expected


def test_the_design_example() -> None:
    """
    The example of the documentation is typed and does what it says.
    """
    selection = Selection(
        status={"FAILED", "CANCELED"},
        older_than=timedelta(days=30),
        model="qwen3-*",
        keep_latest=3,
        protect=["ft-49"],
    )
    jobs = [job(f"ft-{n}", days=n) for n in range(25, 50)]

    assert selected(selection, jobs) == {f"ft-{n}" for n in range(31, 49)}
    assert "\n".join(selection.describe()) == (
        "status CANCELED, FAILED\nmodel qwen3-*\ncreated more than 30 days ago\n"
        "not the latest 3 of each model\nnever ft-49"
    )


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({"older_than": timedelta(days=2)}, "created more than 2 days ago"),
        ({"older_than": timedelta(days=1)}, "created more than 1 day ago"),
        ({"older_than": timedelta(hours=36)}, "created more than 36 hours ago"),
        ({"older_than": timedelta(hours=2)}, "created more than 2 hours ago"),
        ({"older_than": timedelta(hours=1)}, "created more than 1 hour ago"),
        ({"older_than": timedelta(hours=50)}, "created more than 50 hours ago"),
        ({"older_than": timedelta(minutes=90)}, "created more than 1:30:00 ago"),
        ({"older_than": timedelta(days=9, seconds=0.3)}, "created more than 9 days ago"),
        ({"older_than": timedelta(seconds=91.5)}, "created more than 0:01:31 ago"),
        ({"older_than": timedelta(0)}, "created more than 0 days ago"),
        ({"newer_than": timedelta(days=1)}, "created less than 1 day ago"),
        ({"older_than": NOW, "by": "end_time"}, "ended before 2026-11-20 12:00+00:00"),
        ({"newer_than": NOW}, "created after 2026-11-20 12:00+00:00"),
    ],
)
def test_an_age_in_words(rules: dict[str, Any], expected: str) -> None:
    """
    A summary says each bound as one would say it.
    """
    assert expected in Selection(**rules).describe()


STATUSES = ["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELED", "CANCELING", "NEW", ""]
WORDS = st.sampled_from(["ft-1", "ft-*", "a", "a*", "*", "qwen?", "qwen3", "nobody"])
PATTERNS = st.lists(WORDS, max_size=2)
TEXTS = st.sampled_from([None, "a", "ab", "qwen3", "qwen2", "ft-1"])
AGES = [timedelta(days=days) for days in range(13)]
TIMES = st.sampled_from([None, *(NOW - age for age in AGES)])
BOUNDS = st.sampled_from(AGES) | TIMES
RULES: dict[str, st.SearchStrategy[Any]] = {
    "model": PATTERNS,
    "name": PATTERNS,
    "creator": PATTERNS,
    "protect": PATTERNS,
    "older_than": BOUNDS,
    "newer_than": BOUNDS,
    "keep_latest": st.integers(0, 4),
}


@st.composite
def listings(draw: st.DrawFn) -> list[FineTuneJob]:
    ids = draw(st.lists(st.integers(0, 15), min_size=4, max_size=12, unique=True))
    return [
        FineTuneJob(
            job_id=f"ft-{n}",
            status=draw(st.sampled_from(STATUSES)),
            model=draw(TEXTS),
            base_model=draw(TEXTS),
            job_name=draw(TEXTS),
            model_name=draw(TEXTS),
            creator=draw(TEXTS),
            create_time=draw(TIMES),
            end_time=draw(TIMES),
        )
        for n in ids
    ]


@st.composite
def selections(draw: st.DrawFn) -> Selection:
    """
    Draw a few rules: with all of them at once, hardly a job would ever be selected.
    """
    rules = draw(st.lists(st.sampled_from(sorted(RULES)), max_size=3, unique=True))
    return Selection(
        status=draw(st.sets(st.sampled_from(STATUSES[:-1]), min_size=4)),
        by=draw(st.sampled_from(["create_time", "end_time"])),
        **{rule: draw(RULES[rule]) for rule in rules},
    )


SELECTIONS = selections()


@given(SELECTIONS, listings())
def test_what_is_selected_passed_every_rule(selection: Selection, jobs: list[FineTuneJob]) -> None:
    """
    Nothing outside the allow-list, nothing protected and nothing undated under an age is selected.
    """
    decisions = selection.decide(jobs, NOW)

    assert [d.job_id for d in decisions] == [j.job_id for j in jobs]
    for one, decision in zip(jobs, decisions, strict=True):
        assert decision.selected == (decision.detail == "")
        if not decision.selected:
            continue
        assert one.status in selection.status
        assert one.job_id not in selection.protect
        assert "*" not in selection.protect
        time = one.create_time if selection.by == "create_time" else one.end_time
        if selection.older_than or selection.newer_than or selection.keep_latest:
            assert time is not None
        if selection.creator:
            assert one.creator is not None


@given(SELECTIONS, listings(), st.integers(1, 4))
def test_the_newest_of_each_model_always_stay(
    selection: Selection, jobs: list[FineTuneJob], n: int
) -> None:
    """
    Whatever the other rules, none of the N newest jobs of a model is selected.
    """
    gone = selected(evolve(selection, keep_latest=n), jobs)
    models = {one.model or one.base_model for one in jobs}

    for model in models:
        dated = [
            (time, one.job_id)
            for one in jobs
            if (one.model or one.base_model) == model
            and (time := one.create_time if selection.by == "create_time" else one.end_time)
        ]
        newest = {job_id for _, job_id in sorted(dated, reverse=True)[:n]}
        assert gone.isdisjoint(newest)


@given(SELECTIONS, listings(), st.randoms(use_true_random=False))
def test_the_order_of_a_listing_does_not_matter(
    selection: Selection, jobs: list[FineTuneJob], random: Any
) -> None:
    """
    The same jobs in another order are decided alike.
    """
    shuffled = random.sample(jobs, len(jobs))

    assert {d.job_id: d for d in selection.decide(jobs, NOW)} == {
        d.job_id: d for d in selection.decide(shuffled, NOW)
    }


@given(SELECTIONS, listings(), st.data())
def test_a_stricter_selection_selects_no_other_job(
    selection: Selection, jobs: list[FineTuneJob], data: st.DataObject
) -> None:
    """
    Protecting more, keeping more, allowing fewer statuses or asking for more age only spares jobs.
    """
    age = selection.older_than if isinstance(selection.older_than, timedelta) else timedelta(0)
    changes: list[dict[str, Any]] = [
        {"protect": (*selection.protect, data.draw(WORDS))},
        {"keep_latest": (selection.keep_latest or 0) + 1},
    ]
    if len(selection.status) > 1:
        changes.append({"status": sorted(selection.status)[1:]})
    if not isinstance(selection.older_than, datetime):
        changes.append({"older_than": age + timedelta(days=1)})
    changes += [
        {rule: data.draw(WORDS)} for rule in ("creator", "name") if not getattr(selection, rule)
    ]
    stricter = evolve(selection, **data.draw(st.sampled_from(changes)))

    assert selected(stricter, jobs) <= selected(selection, jobs)


@given(SELECTIONS, listings(), st.sampled_from(["status", "model", "create_time", "creator"]))
def test_forgetting_a_fact_never_selects_the_job(
    selection: Selection, jobs: list[FineTuneJob], fact: str
) -> None:
    """
    A job of which less is known is selected only if it was selected before.
    """
    for index, one in enumerate(jobs):
        nothing: Any = "" if fact == "status" else None
        blurred = evolve(one, **{fact: nothing})
        if fact == "model":
            blurred = evolve(blurred, base_model=None)
        others = [*jobs[:index], blurred, *jobs[index + 1 :]]

        assert one.job_id not in selected(selection, others) - selected(selection, jobs)


@given(SELECTIONS)
def test_a_selection_survives_writing_and_pickling(selection: Selection) -> None:
    """
    A selection read back from plain JSON values, or from a pickle, is the same.
    """
    assert Selection.from_dict(selection.to_dict()) == selection
    assert pickle.loads(pickle.dumps(selection)) == selection
    assert hash(selection) == hash(Selection.from_dict(selection.to_dict()))


@pytest.mark.parametrize("age", [{"days": 10**10}, {"seconds": 1e300}, {"days": "1"}, {"years": 1}])
@pytest.mark.parametrize("bound", ["older_than", "newer_than"])
def test_an_age_that_is_none(bound: str, age: dict[str, Any]) -> None:
    """
    What `to_dict` cannot have given is refused as it is documented, beyond all bounds or not.
    """
    values = Selection().to_dict() | {bound: age}

    with pytest.raises((TypeError, ValueError)):
        Selection.from_dict(values)


def test_many_ids_to_protect_are_no_patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    However many ids and names are protected, only true patterns are tried on every job.
    """
    tried: list[str] = []

    def noted(text: str, pattern: str) -> bool:
        tried.append(pattern)
        return fnmatchcase(text, pattern)

    monkeypatch.setattr("dashscope_ft.cleanup.selection.fnmatchcase", noted)
    protect = [*(f"ft-{n}" for n in range(0, 200, 2)), "ft-19?", "[ft]"]
    names = {"ft-1": "[ft]", "ft-3": "f"}
    jobs = [job(f"ft-{n}", job_name=names.get(f"ft-{n}", "some")) for n in range(200)]

    going = selected(Selection(protect=protect), jobs)

    assert going == {f"ft-{n}" for n in range(5, 190, 2)}
    assert set(tried) == {"ft-19?", "[ft]"}
