"""
Try every fault and write the page: `python -m tests.faults`.
"""

from __future__ import annotations

import sys

from .page import PAGE, page, run


def main() -> int:
    """
    Write what a run came to, and give 1 where that is not what the matrix says.
    """
    wrongs: list[str] = []
    PAGE.write_text(page(run(wrongs)))
    print(*wrongs, f"Written: {PAGE.name}", sep="\n")
    return bool(wrongs)


if __name__ == "__main__":
    sys.exit(main())
