"""
Scripts in an interpreter of their own: for forks, signals and exits.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import dedent
from threading import Timer

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
        timeout: Seconds after which it has failed, and is ended with all that it started.
    """
    command = _command(prologue, script, arguments)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(timeout=timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # its children hold the pipes open, too
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


class Running:
    """
    A script that is spoken with while it runs.
    """

    def __init__(self, process: subprocess.Popen[str], timeout: float) -> None:
        self._process = process
        self._timeout = timeout

    def tell(self, line: str) -> None:
        """
        Send a line to its stdin.
        """
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def line(self) -> str:
        """
        Give the next line of its stdout; nothing once it has ended.
        """
        assert self._process.stdout
        return self._process.stdout.readline()

    def end(self) -> tuple[str, str, int]:
        """
        Wait for its end, and give the rest of its stdout, its stderr and its exit code.
        """
        stdout, stderr = self._process.communicate(timeout=self._timeout)
        return stdout, stderr, self._process.returncode


@contextmanager
def running_script(
    prologue: str, script: str, *arguments: str, timeout: float = 30.0
) -> Iterator[Running]:
    """
    Run a script as `run_script` does, and speak with it meanwhile.
    """
    with subprocess.Popen(
        _command(prologue, script, arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = Timer(timeout, process.kill)  # a script that hangs ends, and fails its test
        deadline.start()
        try:
            yield Running(process, timeout)
        finally:
            deadline.cancel()
            process.kill()


def _command(prologue: str, script: str, arguments: Sequence[str]) -> list[str]:
    return [
        sys.executable,
        *("-X", "dev", "-W", FORKS_ARE_MEANT),
        *("-c", QUIET_WHEN_SLOW + dedent(prologue) + dedent(script), *arguments),
    ]
