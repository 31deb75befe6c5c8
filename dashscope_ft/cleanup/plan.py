"""
The plan of a clean-up: plain data that can be shown, saved, sent and checked.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Final, get_args

import orjson
from attrs import asdict, field, frozen
from cattrs import Converter

from ..arguments import check_count, check_regular_file
from ..errors import InvalidArgument, PlanRefused
from ..models import AnyJob, Noun
from .facts import Facts, instant
from .groups import Group, Membership, groups_of
from .selection import Selection
from .summary import summary_of

_FORMAT: Final = 1


@frozen(kw_only=True)
class PlanEntry:
    """
    A job that is to go, as it was when the plan was made.
    """

    job_id: str
    """The job's id."""

    status: str
    """Its status."""

    model: str | None
    """The model tuned, or the base of an import."""

    name: str | None
    """The name that people gave it, where they did."""

    output: str | None
    """The name of its result."""

    create_time: datetime | None = field(eq=instant)
    """When it was created."""

    end_time: datetime | None = field(eq=instant)
    """When it ended."""

    @classmethod
    def of(cls, job: Facts) -> PlanEntry:
        """
        Return the entry of a job: what is needed to recognize it later.
        """
        return cls(
            job_id=job.job_id,
            status=job.status,
            model=job.model,
            name=next((name for name in job.names if name != job.job_id), None),
            output=job.output,
            create_time=job.create_time,
            end_time=job.end_time,
        )


def _check_aware(_: object, attribute: Any, value: datetime) -> None:
    if value.utcoffset() is None:
        raise InvalidArgument(f"{attribute.name}={value!r} has no time zone.")


@frozen(kw_only=True)
class Plan:
    """
    The jobs that a clean-up would delete, and why the others stay.

    Plain data without a key: it can be pickled, compared, saved and sent.
    """

    base_url: str
    """The endpoint that was asked."""

    workspace: str | None
    """The workspace that was asked, None for the key's own."""

    noun: Noun
    """Whether it is about `fine_tunes` or `imports`."""

    created: datetime = field(validator=_check_aware)
    """When planning began, aware; ages are counted back from here."""

    selection: Selection
    """The rules."""

    listed: int
    """How many jobs the listing held."""

    entries: tuple[PlanEntry, ...] = field(converter=tuple[PlanEntry, ...])
    """The jobs that would be deleted, the oldest first."""

    stays: tuple[Group, ...] = field(converter=tuple[Group, ...])
    """The others, in groups, the largest first."""

    @property
    def goes(self) -> tuple[Group, ...]:
        """
        The jobs that would be deleted, in groups, the largest first.
        """
        return groups_of(
            Membership("selected", "", entry.status, entry.model, entry.create_time)
            for entry in self.entries
        )

    @property
    def digest(self) -> str:
        """
        The SHA-256 of the content, in hex: plans with the same content have the same digest.
        """
        return _digest(self._content())

    def summary(self, *, jobs: int = 20) -> str:
        """
        Return the plan as text for a person to decide on: what goes, what stays and why.

        Args:
            jobs: The most jobs that are listed individually, the oldest first.

        Raises:
            InvalidArgument: `jobs` is not a whole number from 0.
        """
        return summary_of(self, jobs=check_count("jobs", jobs))

    def to_dict(self) -> dict[str, Any]:
        """
        Return the plan as plain JSON values, digest included.
        """
        content = self._content()
        return {**content, "digest": _digest(content)}

    def save(self, path: str | os.PathLike[str]) -> None:
        """
        Write the plan as JSON that only its owner can read; an older file is replaced in one step.

        Raises:
            InvalidArgument: The path is that of a directory or a device, say, not of a regular
                file.
            OSError: The file cannot be written.
        """
        path = Path(path)
        check_regular_file("plan", path)
        text = orjson.dumps(self.to_dict(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        temporary: Path | None = None
        try:
            # A temporary file is readable for its owner only from its first moment.
            with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
                temporary = Path(file.name)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException as error:
            if temporary:
                temporary.unlink(missing_ok=True)
            if isinstance(error, OSError) and error.errno:
                error.filename = os.fspath(path)  # the caller does not know the temporary one
            raise

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """
        Read a plan that `save` wrote.

        Raises:
            PlanRefused: It was altered since, or is no plan.
            OSError: The file cannot be read.
        """
        text = Path(path).read_bytes()
        plan: Plan | None = None
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            values = orjson.loads(text)
            read = cls._from_content(values)
            plan = read if read.to_dict() == values else None
        if plan is None:
            raise PlanRefused(
                f"{os.fspath(path)} is not a plan, or was changed after it was saved.",
                hint="Make a new plan.",
            )
        return plan

    def __repr__(self) -> str:
        # Not the jobs: a notebook would show thousands of them.
        return (
            f"Plan(noun={self.noun!r}, base_url={self.base_url!r}, workspace={self.workspace!r}, "
            f"created={self.created.isoformat()!r}, deletes={len(self.entries)}, "
            f"listed={self.listed!r})"
        )

    def _content(self) -> dict[str, Any]:
        return {
            "format": _FORMAT,
            "base_url": self.base_url,
            "workspace": self.workspace,
            "noun": self.noun,
            "created": self.created.isoformat(),
            "selection": self.selection.to_dict(),
            "listed": self.listed,
            "entries": [_to_dict(entry) for entry in self.entries],
            "stays": [_to_dict(group) for group in self.stays],
        }

    @classmethod
    def _from_content(cls, values: dict[str, Any]) -> Plan:
        if values["format"] != _FORMAT or values["noun"] not in get_args(Noun):
            raise ValueError
        return _reader().structure(values, cls)


async def make_plan(
    noun: Noun,
    jobs: AsyncIterable[AnyJob],
    selection: Selection,
    *,
    base_url: str,
    workspace: str | None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Plan:
    """
    Make a plan from a complete listing; nothing but reading is done.

    Args:
        noun: Which jobs these are.
        jobs: All of them, from a walk that raises rather than ends early.
        selection: The rules.
        base_url: The endpoint that is asked.
        workspace: The workspace that is asked, None for the key's own.
        now: Returns the present time, aware.

    Raises:
        Exception: Whatever the walk raises, `ListingInconsistent` say.
    """
    created = now()
    facts = [Facts.of(job) async for job in jobs]
    decisions = selection.decide(facts, created)
    return Plan(
        base_url=base_url,
        workspace=workspace,
        noun=noun,
        created=created,
        selection=selection,
        listed=len(facts),
        entries=_entries(decision.job for decision in decisions if decision.selected),
        stays=groups_of(
            Membership(
                decision.reason,
                decision.detail,
                decision.job.status,
                decision.job.model,
                decision.job.create_time,
            )
            for decision in decisions
            if not decision.selected
        ),
    )


def _entries(jobs: Iterable[Facts]) -> tuple[PlanEntry, ...]:
    first = datetime.min.replace(tzinfo=UTC)
    entries = [PlanEntry.of(job) for job in jobs]
    return tuple(sorted(entries, key=lambda entry: (entry.create_time or first, entry.job_id)))


def _digest(content: dict[str, Any]) -> str:
    return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _to_dict(value: PlanEntry | Group) -> dict[str, Any]:
    return {
        name: item.isoformat() if isinstance(item, datetime) else item
        for name, item in asdict(value).items()
    }


def _reader() -> Converter:
    # The converter coerces values, a number to a string, say. `load` notices: it compares what was
    # read with what the file says.
    reader = Converter(detailed_validation=False)
    reader.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    reader.register_structure_hook(Selection, lambda values, _: Selection.from_dict(values))
    return reader
