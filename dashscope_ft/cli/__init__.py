"""
The command line.

A noun is a file (`jobs`, `imports`), a command one function in it, decorated with
`command`. Nothing here is worth importing in a script: what the commands do is done
by the public names of `dashscope_ft`.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec


def main() -> int:
    """
    Run the command line of this process, and give back its exit code.
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
