"""
Rules for which jobs a clean-up deletes: only those that certainly match all of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from attrs import field, frozen

from ..arguments import check_case, check_count, shown
from ..errors import InvalidArgument
from ..models import KNOWN_STATUSES, AnyJob, ImportStatus, JobStatus
from .facts import Facts

Reason: TypeAlias = Literal[
    "selected", "status", "model", "name", "creator", "age", "kept", "protected", "undecidable"
]

WhyNot: TypeAlias = tuple[Reason, str]
"""The rule that keeps a job, and an explanation."""


@frozen(kw_only=True)
class Decision:
    """
    Whether a selection lets one job go, and why.
    """

    job: Facts
    """The job as far as a clean-up looks at it."""

    reason: Reason
    """`selected`, or the rule that keeps the job: `undecidable` where one cannot be evaluated."""

    detail: str = ""
    """The reason in a few words, such as `status not selected`."""

    @property
    def job_id(self) -> str:
        """
        The job's id.
        """
        return self.job.job_id

    @property
    def selected(self) -> bool:
        """
        Whether the job is to go.
        """
        return self.reason == "selected"


def _texts(value: str | Iterable[str] | None) -> tuple[str, ...]:
    """
    Return one text or several as a sorted tuple without duplicates; refuse what matches nothing.
    """
    several = isinstance(value, Iterable) and not isinstance(value, str)
    texts: tuple[Any, ...] = () if value is None else tuple(value) if several else (value,)
    for text in texts:
        if not isinstance(text, str) or not text:
            raise InvalidArgument(f"A selection is made of non-empty words, not {shown(text)}.")
        if text != text.strip() or {*text} & {"\n", "\r"}:
            # Lines read from a file, say: they would match no job, and so would protect none.
            raise InvalidArgument(
                f"{shown(text)} holds a line break, or a blank at an end, as no job's words do."
            )
        if text.encode(errors="replace").decode() != text:
            raise InvalidArgument(f"{text!r} holds half a character, as no word of a job does.")
    return tuple(sorted(set(texts)))


def _statuses(value: str | Iterable[str]) -> frozenset[str]:
    statuses = frozenset(_texts(value))
    if not statuses:
        raise InvalidArgument("status names none; left out, it is FAILED and CANCELED.")
    check_case(statuses, KNOWN_STATUSES)
    return statuses


def _check_bound(_: object, attribute: Any, value: object) -> None:
    if value is None:
        return
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidArgument(f"{attribute.name}={value!r} has no time zone; say which.")
    elif not isinstance(value, timedelta):
        raise InvalidArgument(
            f"{attribute.name} is a timedelta or an aware datetime, not {type(value).__name__}."
        )
    elif value < timedelta(0):
        raise InvalidArgument(f"{attribute.name}={value!r} is negative.")


def _count(value: int | None) -> int | None:
    return None if value is None else check_count("keep_latest", value)


def _check_by(_: object, attribute: Any, value: object) -> None:
    if value not in ("create_time", "end_time"):
        raise InvalidArgument(
            f"{attribute.name} is 'create_time' or 'end_time', not {shown(value)}."
        )


@frozen(kw_only=True)
class Selection:
    """
    Rules for which jobs go; a job must pass all of them.

    Patterns are those of file names (`*`, `?`, `[abc]`), and case counts. Whatever cannot be
    evaluated keeps the job: an unknown status, a time that cannot be read, a model that the rule
    needs and the service does not give.

    Raises:
        InvalidArgument: A time without a zone, a negative age or number, an empty pattern, no
            status.
    """

    status: frozenset[str] = field(
        default=frozenset({JobStatus.FAILED, JobStatus.CANCELED}), converter=_statuses
    )
    """The statuses that may go, one or several; no job of another status ever does."""

    model: tuple[str, ...] = field(default=(), converter=_texts)
    """
    Patterns, of which one must match the model tuned or its base model; of an import, the base
    model or the whole generated name.
    """

    name: tuple[str, ...] = field(default=(), converter=_texts)
    """Patterns, of which one must match the job's name or its result's display name."""

    creator: tuple[str, ...] = field(default=(), converter=_texts)
    """Patterns, of which one must match the creator. No import has one, so each of them stays."""

    older_than: timedelta | datetime | None = field(default=None, validator=_check_bound)
    """Only jobs older than this age, or from before this moment."""

    newer_than: timedelta | datetime | None = field(default=None, validator=_check_bound)
    """Only jobs younger than this age, or from after this moment."""

    by: Literal["create_time", "end_time"] = field(default="create_time", validator=_check_by)
    """The time that age and `keep_latest` go by. Imports have no `end_time`."""

    keep_latest: int | None = field(default=None, converter=_count)
    """
    How many jobs of each model to keep, the newest. Counted are those that the rules on status,
    model, name and creator let go, whatever their age. Jobs of one second are kept together.
    """

    protect: tuple[str, ...] = field(default=(), converter=_texts)
    """Job ids, and patterns for ids, names and results, that are never touched."""

    def decide(self, jobs: Iterable[AnyJob | Facts], now: datetime) -> list[Decision]:
        """
        Decide on all jobs of a listing, with a reason each, in their order.

        Args:
            jobs: All of them: `keep_latest` can only count what it sees.
            now: The moment, aware, that ages are counted back from.

        Raises:
            InvalidArgument: If `now` has no time zone.
        """
        facts = [job if isinstance(job, Facts) else Facts.of(job) for job in jobs]
        twice = {job_id for job_id, n in Counter(job.job_id for job in facts).items() if n > 1}
        latest = self._latest(facts)
        decisions: list[Decision] = []
        for job in facts:
            reason, detail = (
                self.why_not(job, now)
                or (("undecidable", "listed twice") if job.job_id in twice else None)
                or self._why_kept(job, latest)
                or ("selected", "")
            )
            decisions.append(Decision(job=job, reason=reason, detail=detail))
        return decisions

    def why_not(self, job: Facts, now: datetime) -> WhyNot | None:
        """
        Return the rule that keeps a job, looking at it alone; None if no rule does.

        Args:
            job: The job. `keep_latest` depends on the other jobs, too, and is left to `decide`.
            now: The moment, aware, that ages are counted back from.
        """
        if now.utcoffset() is None:
            raise InvalidArgument("A selection needs to know now with its time zone.")
        return self._why_protected(job) or self._why_out_of_scope(job) or self._why_age(job, now)

    def describe(self) -> list[str]:
        """
        Return the rules in words, one a line.
        """
        lines = [f"status {', '.join(sorted(self.status))}"]
        lines += [
            f"{rule} {', '.join(patterns)}"
            for rule, patterns in (
                ("model", self.model),
                ("name", self.name),
                ("creator", self.creator),
            )
            if patterns
        ]
        verb = _VERBS[self.by]
        if self.older_than is not None:
            lines.append(f"{verb} {_bound(self.older_than, 'more than', 'before')}")
        if self.newer_than is not None:
            lines.append(f"{verb} {_bound(self.newer_than, 'less than', 'after')}")
        if self.keep_latest:
            lines.append(f"not the latest {self.keep_latest} of each model")
        if self.protect:
            lines.append(f"never {', '.join(self.protect)}")
        return lines

    def to_dict(self) -> dict[str, Any]:
        """
        Return the rules as plain JSON values.
        """
        return {
            "status": sorted(self.status),
            "model": list(self.model),
            "name": list(self.name),
            "creator": list(self.creator),
            "older_than": _bound_to_dict(self.older_than),
            "newer_than": _bound_to_dict(self.newer_than),
            "by": self.by,
            "keep_latest": self.keep_latest,
            "protect": list(self.protect),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Selection:
        """
        Read what `to_dict` gave.

        Raises:
            InvalidArgument, KeyError, TypeError, ValueError: The values are not such rules.
        """
        return cls(
            **{
                **values,
                "older_than": _bound_from_dict(values["older_than"]),
                "newer_than": _bound_from_dict(values["newer_than"]),
            }
        )

    def _why_protected(self, job: Facts) -> WhyNot | None:
        if _any_matches(self.protect, (job.job_id, *job.names, job.output)):
            return "protected", "protected by name or id"
        if self.protect and job.garbled:
            return "undecidable", "name not readable"
        return None

    def _why_out_of_scope(self, job: Facts) -> WhyNot | None:
        allowed = self.status | {ImportStatus.SPELLINGS.get(word, word) for word in self.status}
        if job.status not in allowed:
            if job.status in KNOWN_STATUSES:
                return "status", "status not selected"
            return "undecidable", "status not known"
        return (
            _why_unmatched("model", self.model, (job.model, job.other_model))
            or _why_unmatched("name", self.name, job.names)
            or _why_unmatched("creator", self.creator, (job.creator,))
        )

    def _why_age(self, job: Facts, now: datetime) -> WhyNot | None:
        if job.garbled_time is not None:
            return "undecidable", f"{job.garbled_time} not readable"
        if self.older_than is None and self.newer_than is None:
            return None
        time = self._time(job)
        if time is None:
            return "undecidable", _NOT_TOLD[self.by]
        verb = _VERBS[self.by]
        if self.older_than is not None and not time < moment_of(self.older_than, now):
            return "age", f"not {verb} {_bound(self.older_than, 'more than', 'before')}"
        if self.newer_than is not None and not time > moment_of(self.newer_than, now):
            return "age", f"not {verb} {_bound(self.newer_than, 'less than', 'after')}"
        return None

    def _latest(self, jobs: list[Facts]) -> dict[str, datetime]:
        """
        Return, for each model, the time of the oldest job that `keep_latest` keeps.
        """
        if not self.keep_latest:
            return {}
        times: defaultdict[str, dict[str, datetime]] = defaultdict(dict)
        for job in jobs:
            time = self._time(job)
            if job.model is None or time is None or self._why_out_of_scope(job):
                continue
            # A job that is listed twice takes one place only, by the older of its times.
            known = times[job.model].get(job.job_id, time)
            times[job.model][job.job_id] = min(known, time)
        return {
            model: sorted(of_model.values(), reverse=True)[: self.keep_latest][-1]
            for model, of_model in times.items()
        }

    def _why_kept(self, job: Facts, latest: dict[str, datetime]) -> WhyNot | None:
        if not self.keep_latest:
            return None
        time = self._time(job)
        if time is None:
            return "undecidable", _NOT_TOLD[self.by]
        if job.model is None:
            return "undecidable", _NOT_TOLD["model"]
        if time >= latest[job.model]:
            return "kept", f"among the latest {self.keep_latest} of its model"
        return None

    def _time(self, job: Facts) -> datetime | None:
        return job.create_time if self.by == "create_time" else job.end_time


_VERBS: Final = {"create_time": "created", "end_time": "ended"}

_NOT_TOLD: Final = {
    "model": "model not given by the service",
    "name": "name not given by the service",
    "creator": "creator not given by the service",
    "create_time": "creation time not given by the service",
    "end_time": "end time not given by the service",
}
"""Why a rule cannot be evaluated, by the field that it needs."""


def _any_matches(patterns: tuple[str, ...], texts: tuple[str | None, ...]) -> bool:
    exact, wild = _divided(patterns)
    return any(
        text is not None and (text in exact or any(fnmatchcase(text, each) for each in wild))
        for text in texts
    )


@lru_cache(maxsize=16)
def _divided(patterns: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """
    Return patterns as the texts that they match as they stand, and those that match others, too:
    hundreds of ids to protect are then no more work than one.
    """
    return frozenset(patterns), tuple(each for each in patterns if {*each} & {*"*?["})


def _why_unmatched(
    rule: Literal["model", "name", "creator"],
    patterns: tuple[str, ...],
    texts: tuple[str | None, ...],
) -> WhyNot | None:
    if not patterns or _any_matches(patterns, texts):
        return None
    if not any(texts):
        return "undecidable", _NOT_TOLD[rule]
    return rule, f"{rule} does not match"


def moment_of(bound: timedelta | datetime, now: datetime) -> datetime:
    """
    Return the moment of a bound: an age is counted back from now.
    """
    if isinstance(bound, datetime):
        return bound
    try:
        # In UTC: where clocks are put forward or back, a day of the calendar is no 24 hours.
        return now.astimezone(UTC) - bound
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _bound(bound: timedelta | datetime, age: str, moment: str) -> str:
    """
    Describe a bound: `age` leads in an age, such as `more than`, and `moment` a moment.
    """
    if isinstance(bound, datetime):
        return f"{moment} {bound.isoformat(sep=' ', timespec='minutes')}"
    return f"{age} {_span(bound)} ago"


def _span(span: timedelta) -> str:
    span -= span % timedelta(seconds=1)
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1))):
        number, rest = divmod(span, length)
        if not rest:
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return str(span)


def _bound_to_dict(bound: timedelta | datetime | None) -> dict[str, Any] | str | None:
    if isinstance(bound, timedelta):
        return {"days": bound.days, "seconds": bound.seconds, "microseconds": bound.microseconds}
    return None if bound is None else bound.isoformat()


def _bound_from_dict(value: Any) -> timedelta | datetime | None:
    if isinstance(value, dict):
        try:
            return timedelta(**value)
        except OverflowError:
            raise ValueError("No age is that large.") from None
    return None if value is None else datetime.fromisoformat(value)
