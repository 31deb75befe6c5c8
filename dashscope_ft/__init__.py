"""
An async-first client for fine-tuning and model-import jobs on Alibaba Cloud Model Studio.

Names load on first use, so that `import dashscope_ft` stays cheap.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as checkers read it; typing's own costs more than all the rest here
if TYPE_CHECKING:
    from .bulk import AsyncOutcomes as AsyncOutcomes
    from .cleanup import Plan as Plan
    from .cleanup import PlanEntry as PlanEntry
    from .cleanup import Selection as Selection
    from .client import AsyncClient as AsyncClient
    from .creation import Creation as Creation
    from .errors import APIError as APIError
    from .errors import AuthenticationFailed as AuthenticationFailed
    from .errors import ClientClosed as ClientClosed
    from .errors import ConfigurationError as ConfigurationError
    from .errors import Conflict as Conflict
    from .errors import ConnectionFailed as ConnectionFailed
    from .errors import DashScopeError as DashScopeError
    from .errors import DeadlineExceeded as DeadlineExceeded
    from .errors import GuardExceeded as GuardExceeded
    from .errors import InvalidArgument as InvalidArgument
    from .errors import InvalidRequest as InvalidRequest
    from .errors import JobFailed as JobFailed
    from .errors import ListingInconsistent as ListingInconsistent
    from .errors import MalformedResponse as MalformedResponse
    from .errors import NotFound as NotFound
    from .errors import OutcomeUnknown as OutcomeUnknown
    from .errors import PermissionDenied as PermissionDenied
    from .errors import PlanRefused as PlanRefused
    from .errors import QuotaExceeded as QuotaExceeded
    from .errors import ServiceError as ServiceError
    from .errors import StateConflict as StateConflict
    from .errors import Throttled as Throttled
    from .models import Checkpoint as Checkpoint
    from .models import FineTuneJob as FineTuneJob
    from .models import ImportJob as ImportJob
    from .models import ImportStatus as ImportStatus
    from .models import JobStatus as JobStatus
    from .models import Page as Page
    from .outcomes import Outcome as Outcome
    from .outcomes import Receipt as Receipt
    from .outcomes import Report as Report
    from .pagination import AsyncPager as AsyncPager
    from .resources.fine_tunes import FineTunes as FineTunes
    from .resources.imports import Imports as Imports
    from .sync import Client as Client
    from .sync import Outcomes as Outcomes
    from .sync import Pager as Pager
    from .sync import SyncFineTunes as SyncFineTunes
    from .sync import SyncImports as SyncImports
    from .tail import Progress as Progress
    from .training_log import MetricRecord as MetricRecord
    from .training_log import MetricSeries as MetricSeries
    from .training_log import TrainingLog as TrainingLog

__version__ = "0.1.0"

_HOME = {
    "bulk": ("AsyncOutcomes",),
    "cleanup": ("Plan", "PlanEntry", "Selection"),
    "client": ("AsyncClient",),
    "creation": ("Creation",),
    "errors": (
        "APIError",
        "AuthenticationFailed",
        "ClientClosed",
        "ConfigurationError",
        "Conflict",
        "ConnectionFailed",
        "DashScopeError",
        "DeadlineExceeded",
        "GuardExceeded",
        "InvalidArgument",
        "InvalidRequest",
        "JobFailed",
        "ListingInconsistent",
        "MalformedResponse",
        "NotFound",
        "OutcomeUnknown",
        "PermissionDenied",
        "PlanRefused",
        "QuotaExceeded",
        "ServiceError",
        "StateConflict",
        "Throttled",
    ),
    "models": ("Checkpoint", "FineTuneJob", "ImportJob", "ImportStatus", "JobStatus", "Page"),
    "outcomes": ("Outcome", "Receipt", "Report"),
    "pagination": ("AsyncPager",),
    "resources.fine_tunes": ("FineTunes",),
    "resources.imports": ("Imports",),
    "sync": ("Client", "Outcomes", "Pager", "SyncFineTunes", "SyncImports"),
    "tail": ("Progress",),
    "training_log": ("MetricRecord", "MetricSeries", "TrainingLog"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}

globals()["__all__"] = sorted(_MODULE)  # so that checkers read the imports above instead


def __getattr__(name: str) -> object:
    try:
        module = _MODULE[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    from importlib import import_module

    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*_MODULE, *(name for name in globals() if name.startswith("__"))})
