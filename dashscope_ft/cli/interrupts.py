"""
The event loop of a command, and how signals stop it.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from dashscope_ft.daemons import DaemonExecutor

from .exits import Terminated

if TYPE_CHECKING:
    from collections.abc import Coroutine


T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """
    Run a coroutine, and return its result.

    SIGTERM cancels it as Ctrl-C does; a second one kills the process.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed, and the coroutine has ended.
        Terminated: SIGTERM came, and the coroutine has ended.
    """
    terminated = False

    async def interruptible() -> T:
        task = cast(asyncio.Task[T], asyncio.current_task())
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DaemonExecutor())  # the exit must not wait for a DNS lookup

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            loop.remove_signal_handler(signal.SIGTERM)
            task.cancel()

        with suppress(NotImplementedError, RuntimeError):  # Windows; not the main thread
            loop.add_signal_handler(signal.SIGTERM, terminate)
        return await work

    try:
        with asyncio.Runner() as runner:
            return runner.run(interruptible())
    except asyncio.CancelledError:
        if not terminated:
            raise
    raise Terminated
