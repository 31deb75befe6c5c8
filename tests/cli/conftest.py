"""
The command line as it is run: in this process, in one of its own, on pipes, on a terminal.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import IO, NamedTuple

import pytest
from attrs import define

from dashscope_ft.cli import main
from dashscope_ft.emulator import Emulator, RealClock

COMMAND = [sys.executable, "-m", "dashscope_ft"]
PATIENCE = 20.0


@pytest.fixture
def studio(request: pytest.FixtureRequest) -> Iterator[Emulator]:
    """
    An emulator on a thread of its own, empty, with a clock of the kind that a test asks for.
    """
    clock = getattr(request, "param", RealClock)()
    with Emulator(clock=clock) as emulator:
        yield emulator


@pytest.fixture
def environment(studio: Emulator, tmp_path: Path) -> dict[str, str]:
    """
    The environment of somebody who uses the emulator's `intl` region.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(
            r"DASHSCOPE|(HTTPS?|ALL|NO)_PROXY$|(NO|FORCE|CLICOLOR)_?COLOR|COLUMNS|TERM", name, re.I
        )
    }
    return kept | {
        "HOME": str(tmp_path),
        "DASHSCOPE_BASE_URL": studio.base_url("intl"),
        "DASHSCOPE_API_KEY": studio.key("intl"),
    }


class Ran(NamedTuple):
    """
    What a command that has ended left behind.
    """

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ran]


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """
    Run the command line to its end within this process, as if on pipes.
    """

    def ran(*arguments: str, stdin: str = "", **variables: str) -> Ran:
        streams = [TextIOWrapper(BytesIO(), encoding="utf-8", newline="") for _ in range(2)]
        with monkeypatch.context() as patch:
            for name in set(os.environ) - set(environment):
                patch.delenv(name)
            for name, value in (environment | variables).items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["dashscope-ft", *arguments])
            patch.setattr(sys, "stdin", StringIO(stdin))
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            try:
                code = main()
            except SystemExit as end:
                assert isinstance(end.code, int)
                code = end.code
        for stream in streams:
            stream.seek(0)
        return Ran(code, *(stream.read() for stream in streams))

    return ran


@pytest.fixture
def execute(environment: dict[str, str]) -> Run:
    """
    Run the command line to its end as a process of its own, on pipes.
    """

    def ran(*arguments: str, **variables: str) -> Ran:
        done = subprocess.run(
            [*COMMAND, *arguments],
            stdin=subprocess.DEVNULL,
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return ran


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """
    Start the command line on pipes, and come back at once.
    """
    started: list[subprocess.Popen[str]] = []

    def began(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield began
    for process in started:
        process.kill()
        process.communicate()


def screen(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """
    Put a stderr in place that this process takes for a terminal.
    """
    stderr = StringIO()
    monkeypatch.setattr(stderr, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stderr)
    for name, value in {"TERM": "xterm-256color", "NO_COLOR": "1", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    return stderr


@define
class Terminal:
    """
    A command that runs on a terminal.
    """

    process: subprocess.Popen[bytes]
    """The command."""

    master: int
    """The terminal's other side."""

    seen: bytes = b""
    """All that appeared so far."""

    def read_until(self, words: str) -> None:
        """
        Wait for words to appear.
        """
        end = time.monotonic() + PATIENCE
        while words.encode() not in self.seen:
            if not self._read(end - time.monotonic()):
                raise AssertionError(f"{words!r} did not appear, but {self.text!r}")

    def type(self, keys: str) -> None:
        """
        Press keys.
        """
        os.write(self.master, keys.encode())

    def finish(self) -> int:
        """
        Read on to the end, and return the exit code.
        """
        end = time.monotonic() + PATIENCE
        while self._read(end - time.monotonic()):
            pass
        return self.process.wait(PATIENCE)

    @property
    def text(self) -> str:
        """
        All that appeared, with plain line ends.
        """
        return self.seen.decode().replace("\r\n", "\n")

    @property
    def words(self) -> str:
        """
        The same without escape sequences.
        """
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text)

    def _read(self, patience: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(0, patience))
        if not ready:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # how Linux says that nobody has the terminal open any more
            return False
        self.seen += data
        return bool(data)


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """
    Start the command line on a terminal of a given width, and with stderr elsewhere if asked.
    """
    opened: list[Terminal] = []

    def began(
        *arguments: str, width: int = 80, stderr: IO[str] | None = None, **variables: str
    ) -> Terminal:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env={"TERM": "xterm-256color"} | environment | variables,
            stdin=slave,
            stdout=slave,
            stderr=stderr or slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that Ctrl-C reaches it
        )
        os.close(slave)
        opened.append(Terminal(process, master))
        return opened[-1]

    yield began
    for each in opened:
        each.process.kill()
        each.process.wait()
        os.close(each.master)
