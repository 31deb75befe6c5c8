"""
The event loop of a command, and how signals stop it.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from dashscope_ft.daemons import DaemonExecutor

from .exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Coroutine


def run(work: Coroutine[Any, Any, int | None]) -> int:
    """
    Run a coroutine, and return its exit code. SIGTERM cancels it as Ctrl-C does; a second one kills
    the process.

    Raises:
        KeyboardInterrupt: After Ctrl-C, once the coroutine has ended.
    """
    terminated = False

    async def interruptible() -> int | None:
        task = cast(asyncio.Task[int | None], asyncio.current_task())
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
            return runner.run(interruptible()) or 0
    except asyncio.CancelledError:
        if not terminated:
            raise
        return ExitCode.TERMINATED
