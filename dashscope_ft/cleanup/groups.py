"""
Jobs that a plan treats alike, counted together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from attrs import field, frozen

from .facts import instant


@frozen(kw_only=True)
class Group:
    """
    Jobs that go, or that stay for the same reason, with one status and model.
    """

    reason: str
    """`selected`, or the word for why they stay."""

    detail: str
    """An explanation of the reason."""

    status: str
    """Their status."""

    model: str | None
    """Their model, where it is told."""

    jobs: int
    """The number of jobs."""

    oldest: datetime | None = field(eq=instant)
    """When the first of them was created."""

    newest: datetime | None = field(eq=instant)
    """When the last of them was created."""


class Membership(NamedTuple):
    """
    The fields of one job that decide its group, and the job's creation time.
    """

    reason: str
    detail: str
    status: str
    model: str | None
    create_time: datetime | None


def groups_of(members: Iterable[Membership]) -> tuple[Group, ...]:
    """
    Group jobs that are alike in all but their creation time, the largest group first.
    """
    alike: defaultdict[Membership, list[Membership]] = defaultdict(list)
    for member in members:
        alike[member._replace(create_time=None)].append(member)
    groups = [_group(key, of_group) for key, of_group in alike.items()]
    return tuple(
        sorted(groups, key=lambda g: (-g.jobs, g.reason, g.detail, g.status, g.model or ""))
    )


def _group(key: Membership, members: list[Membership]) -> Group:
    times = [member.create_time for member in members if member.create_time is not None]
    return Group(
        reason=key.reason,
        detail=key.detail,
        status=key.status,
        model=key.model,
        jobs=len(members),
        oldest=min(times, default=None),
        newest=max(times, default=None),
    )
