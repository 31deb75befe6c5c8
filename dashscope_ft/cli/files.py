"""
Files that options name.
"""

from __future__ import annotations

import os
from pathlib import Path

from typer import BadParameter


def check_writable(option: str, file: Path) -> None:
    """
    Raise `BadParameter`, before anything is asked or sent, if a file cannot be created.
    """
    folder = file.parent
    if file.is_dir():
        fault = f"{file} is a directory; name a file."
    elif file.exists() and not file.is_file():
        fault = f"{file} is not a regular file; name another."
    elif not folder.is_dir():
        fault = f"The directory {folder} does not exist."
    elif not os.access(folder, os.W_OK):
        fault = f"The directory {folder} cannot be written to."
    else:
        return
    raise BadParameter(fault, param_hint=f"'{option}'")
