"""
Checks that can refuse a plan before its first deletion.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from numbers import Real
from typing import TYPE_CHECKING, Final

from ..arguments import shown
from ..errors import GuardExceeded, InvalidArgument, PlanRefused

if TYPE_CHECKING:
    from ..models import Noun
    from .plan import Plan

LONGEST_LIFE: Final = timedelta(hours=24)
"""How old a plan may be when it is applied."""

_CLOCKS_MAY_DIFFER: Final = timedelta(minutes=5)


def check_place(
    plan: Plan, *, noun: Noun, base_url: str, workspace: str | None, now: datetime
) -> None:
    """
    Refuse a plan that was made elsewhere, for the other noun, or too long ago.

    Raises:
        PlanRefused: It is such a plan; the message says what differs.
    """
    age = now - plan.created
    if plan.noun != noun:
        text, hint = f"This plan is about {plan.noun}, not {noun}.", "Apply it there."
    elif plan.base_url != base_url:
        text = f"This plan was made at {plan.base_url}, not at {base_url}."
        hint = "Apply it there, or make a new plan here."
    elif plan.workspace != workspace:
        made_in, here = (name or "the key's own" for name in (plan.workspace, workspace))
        text = f"This plan was made in another workspace: {made_in}, not {here}."
        hint = "Apply it there, or make a new plan here."
    elif age > LONGEST_LIFE:
        hours = age / timedelta(hours=1)
        text, hint = f"This plan is {hours:.0f} hours old.", "After 24 hours, make a new plan."
    elif age < -_CLOCKS_MAY_DIFFER:
        text = f"This plan was made at {plan.created.isoformat()}, which is still to come."
        hint = "Set the clock right, or make a new plan."
    else:
        return
    raise PlanRefused(text, hint=hint)


def check_guards(plan: Plan, *, max_deletes: int, max_percent: float) -> None:
    """
    Refuse a plan that would delete more than was allowed.

    Args:
        plan: The plan.
        max_deletes: How many jobs may go.
        max_percent: How many of a hundred listed jobs may go.

    Raises:
        GuardExceeded: It would; the message has the figures.
        InvalidArgument: A bound is not a number from 0.
    """
    for name, bound in (("max_deletes", max_deletes), ("max_percent", max_percent)):
        if isinstance(bound, bool) or not isinstance(bound, Real) or not bound >= 0:
            raise InvalidArgument(f"{name} must be a number from 0, not {shown(bound)}.")
    deletes = len(plan.entries)
    if deletes > max_deletes:
        raise GuardExceeded(
            f"The plan deletes {deletes} jobs, more than max_deletes={max_deletes}.",
            hint="Nothing was deleted; look at the plan, then raise max_deletes.",
        )
    if deletes * 100 > plan.listed * max_percent:
        percent = deletes * 100 / plan.listed if plan.listed else 100
        raise GuardExceeded(
            f"The plan deletes {deletes} of {plan.listed} jobs ({percent:g}%),"
            f" more than max_percent={max_percent:g}.",
            hint="Nothing was deleted; look at the plan, then raise max_percent.",
        )
