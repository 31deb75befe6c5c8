"""
A local emulator of Model Studio: in memory, on a real socket, with faults on request.

    with Emulator() as emulator:
        emulator.seed("intl", jobs=300)
        client = Client(base_url=emulator.url, api_key=emulator.key("intl"))

Names are imported on first use, so that the pytest plugin costs nothing if it is not used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .account import Account as Account
    from .account import Caller as Caller
    from .books import Books as Books
    from .books import Entry as Entry
    from .clock import Clock as Clock
    from .clock import ManualClock as ManualClock
    from .clock import RealClock as RealClock
    from .emulator import REGIONS as REGIONS
    from .emulator import Emulator as Emulator
    from .faults import Fault as Fault
    from .faults import Faults as Faults
    from .journal import Journal as Journal
    from .journal import Request as Request
    from .refusals import Refusal as Refusal
    from .rules import Pace as Pace
    from .rules import Rules as Rules

_MODULE = {
    "REGIONS": "emulator",
    "Account": "account",
    "Books": "books",
    "Caller": "account",
    "Clock": "clock",
    "Emulator": "emulator",
    "Entry": "books",
    "Fault": "faults",
    "Faults": "faults",
    "Journal": "journal",
    "ManualClock": "clock",
    "Pace": "rules",
    "RealClock": "clock",
    "Refusal": "refusals",
    "Request": "journal",
    "Rules": "rules",
}

__all__ = sorted(_MODULE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    try:
        module = _MODULE[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    value = getattr(import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
