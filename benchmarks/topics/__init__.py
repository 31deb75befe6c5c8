"""
What is measured, a topic each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module

from ..lab import Lab


def measurements(topic: str) -> Callable[[Lab], Awaitable[None]]:
    """
    Return what measures a topic.
    """
    measure: Callable[[Lab], Awaitable[None]] = import_module(f".{topic}", __name__).measure
    return measure
