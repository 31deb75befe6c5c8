"""
Interrupts like Ctrl-C, for scripts in an interpreter of their own.

In pytest's own process an interrupt could fall into whatever runs there, such as a plugin's
callback of the garbage collector.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

# What is started in the background by a shell is told to ignore Ctrl-C, and so are its children.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Alarm:
    """
    Interrupt the main thread after a while, and never once `armed` is zero.
    """

    def __init__(self) -> None:
        self.armed = 0
        self.raised = 0
        self.swallowed = 0
        """Interrupts that fell into a finalizer, which cannot raise them."""

        self._report = sys.unraisablehook
        sys.unraisablehook = self._tolerate
        signal.signal(signal.SIGALRM, self._ring)

    def set(self, seconds: float, *, times: int = 1) -> None:
        """
        Interrupt after so many seconds, and so many times in all.
        """
        self.armed = times
        signal.setitimer(signal.ITIMER_REAL, seconds, seconds if times > 1 else 0.0)

    def _ring(self, *_: object) -> None:
        # A signal may be told of late, when nobody expects it any more.
        if self.armed:
            self.armed -= 1
            self.raised += 1
            raise KeyboardInterrupt

    def _tolerate(self, unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            self.swallowed += 1
        else:
            self._report(unraisable)


def interrupt() -> None:
    """
    Press Ctrl-C.
    """
    os.kill(os.getpid(), signal.SIGINT)


def interrupt_when(*events: threading.Event) -> None:
    """
    Press Ctrl-C when the first event is set, again when the next is, and so on.
    """

    def press() -> None:
        for event in events:
            event.wait()
            interrupt()

    threading.Thread(target=press, daemon=True).start()
