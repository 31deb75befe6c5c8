"""
Coroutines run to an exit code, and stopped by signals as by Ctrl-C.
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
    Run a coroutine to its exit code. SIGTERM cancels it as Ctrl-C does; a second one kills.

    Raises:
        KeyboardInterrupt: After Ctrl-C, once the coroutine has ended.
    """
    terminated = False

    async def interruptible() -> int | None:
        task = cast(asyncio.Task[int | None], asyncio.current_task())
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DaemonExecutor())  # the end waits for no lookup of a name

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
