"""
Take the pictures anew: `python -m benchmarks.pictures`.

The command runs on a terminal of its own, against an emulator; what appears there is drawn
by rich as an SVG. Nothing is retouched.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path
from tempfile import TemporaryDirectory

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from dashscope_ft.emulator import Emulator, Fault

HERE = Path(__file__).parent
WIDTH = 96
COMMAND = [sys.executable, "-m", "dashscope_ft"]
ANSWER = b"y\n"

# A picture must not load anything from elsewhere: the reader's own font will do.
FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
FORMAT = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code, monospace", FONTS
)

TOKENS = re.compile(r"\x1b\[(?P<number>\??[0-9;]*)(?P<kind>[A-Za-z])|\r|\n|[^\x1b\r\n]+")


def main() -> None:
    with Emulator(port=8765, seed=3, rate=40) as studio, TemporaryDirectory() as folder:
        studio.seed(jobs=1_000, models=["qwen3-8b", "qwen3-32b"])
        studio.inject(Fault(operation="fine_tunes.delete", lose="after", every=50, times=None))
        environment = {
            name: value
            for name, value in os.environ.items()
            if not re.match("DASHSCOPE|NO_COLOR|COLUMNS|LINES", name)
        } | {
            "DASHSCOPE_BASE_URL": studio.url,
            "DASHSCOPE_API_KEY": studio.key(),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        lines: list[str] = []
        for words in (
            "cleanup plan --older-than 30d --keep-latest 3 -o plan.json",
            "cleanup apply plan.json --max-deletes 200",
        ):
            lines += [f"\x1b[1;32m$\x1b[0m \x1b[1mdashscope-ft {words}\x1b[0m"]
            lines += [*appearing(words.split(), Path(folder), environment), ""]
    (HERE / "cleanup.svg").write_text(drawn(lines, "dashscope-ft cleanup"))


def appearing(arguments: list[str], folder: Path, environment: dict[str, str]) -> list[str]:
    """
    Run a command on a terminal, say yes when asked, and give the lines that stand there then.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, env=environment, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen, asked = b"", False
    while select.select([master], [], [], 60)[0]:
        try:
            data = os.read(master, 65_536)
        except OSError:  # nobody has the terminal open any more
            break
        seen += data
        if not asked and b"[y/N]" in seen:
            os.write(master, ANSWER)
            asked = True
    os.close(master)
    if code := process.wait():
        raise SystemExit(f"{arguments} ended with {code}:\n{seen.decode()}")
    return standing(seen.decode())


def standing(text: str) -> list[str]:
    """
    Give what is left on a screen of all that was written to it, colours included.
    """
    lines, row, fresh = [""], 0, True
    for token in TOKENS.finditer(text):
        kind = token["kind"]
        if token[0] == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif token[0] == "\r":
            fresh = True
        elif kind == "A":
            row -= int(token["number"] or 1)
        elif kind == "K":
            lines[row] = ""
        elif kind in (None, "m"):
            lines[row] = token[0] if fresh else lines[row] + token[0]
            fresh = False
    return lines[:-1] if not lines[-1] else lines


def drawn(lines: list[str], title: str) -> str:
    """
    Draw a screen.
    """
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    return console.export_svg(title=title, code_format=FORMAT, unique_id="cleanup")


if __name__ == "__main__":
    main()
