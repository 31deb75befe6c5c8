"""
Clean-up that can be trusted: select, plan, apply, account for every job.
"""

from __future__ import annotations

from .apply import Patience as Patience
from .apply import Service as Service
from .apply import apply_plan as apply_plan
from .facts import Facts as Facts
from .groups import Group as Group
from .plan import Plan as Plan
from .plan import PlanEntry as PlanEntry
from .plan import make_plan as make_plan
from .selection import Decision as Decision
from .selection import Selection as Selection
