"""
Scripts that run in an interpreter of their own, where nothing may warn.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from textwrap import dedent

from attrs import frozen

_PATIENCE = 30.0

# A machine that is slow is no fault; asyncio says that as a warning, and what is one as an error.
_PRELUDE = 'import logging; logging.getLogger("asyncio").setLevel(logging.ERROR)\n'


@frozen
class Ended:
    """
    What a script left.
    """

    code: int
    out: str
    err: str


async def run_script(source: str, *arguments: str) -> Ended:
    """
    Run a script to its end, with every warning an error and asyncio's own checks on.
    """
    return await asyncio.to_thread(_run, source, arguments)


def _run(source: str, arguments: tuple[str, ...]) -> Ended:
    script = _PRELUDE + dedent(source)
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)
