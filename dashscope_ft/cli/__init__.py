"""
The command line.

Each group of commands has a module, such as `jobs` or `imports`; each command is a function,
registered with `command`. Scripts should use the public names of `dashscope_ft` instead, which
do the work of the commands.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> int:
    """
    Run the command line of this process, and return its exit code.
    """
    if not all(find_spec(needed) for needed in ("typer", "rich")):
        print(  # noqa: T201
            'The command line needs typer and rich: pip install "dashscope-ft[cli]"',
            file=sys.stderr,
        )
        return 2
    try:
        from .app import run

        run()
    except KeyboardInterrupt:
        return 130
