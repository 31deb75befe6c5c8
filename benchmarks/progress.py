"""
Where we are.
"""

from __future__ import annotations

import sys
import time


def progress(text: str) -> None:
    """
    Say it on stderr.
    """
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)
