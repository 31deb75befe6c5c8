"""
An executor whose threads do not delay the interpreter's exit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(ThreadPoolExecutor):
    """
    Runs each function in a daemon thread of its own, so that a slow DNS lookup delays no other.
    """

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """
        Run a function at once, and return a future for its result.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - the future raises it
                future.set_exception(error)

        future.set_running_or_notify_cancel()  # nobody can have cancelled it yet
        threading.Thread(target=run, daemon=True, name="dashscope-ft lookup").start()
        return future
