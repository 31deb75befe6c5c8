"""
Scripts in an interpreter of their own: for forks, signals and exits.
"""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

FORKS_ARE_MEANT = "ignore:This process:DeprecationWarning"

# Below its errors, asyncio's debug mode tells of steps that a busy machine made slow.
QUIET_WHEN_SLOW = "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)\n"


def run_script(
    prologue: str, script: str, *arguments: str, timeout: float = 30.0
) -> subprocess.CompletedProcess[str]:
    """
    Run a script in an interpreter that reports whatever can be reported.

    Args:
        prologue: What comes first, such as imports.
        script: What the test is about.
        arguments: Its `sys.argv[1:]`.
        timeout: Seconds after which it has failed.
    """
    return subprocess.run(
        [
            sys.executable,
            *("-X", "dev", "-W", FORKS_ARE_MEANT),
            *("-c", QUIET_WHEN_SLOW + dedent(prologue) + dedent(script), *arguments),
        ],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
