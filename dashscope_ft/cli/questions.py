"""
Questions to the user, and what happens without an answer.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Sequence
from typing import Annotated

from typer import Option

from .terminal import say

_MAX_NAMED = 20
"""The most ids that are shown before a question."""

Confirmed = Annotated[bool, Option("--yes", "-y", help="Do not ask for confirmation.")]


class Refused(Exception):
    """
    A change that was not confirmed, and so was not made.
    """


def confirm(
    question: str, subjects: Sequence[str], *, yes: bool, stdin_taken: bool = False
) -> None:
    """
    Return only if the user confirms, or did so in advance.

    Args:
        question: The question.
        subjects: The ids that it is about.
        yes: Whether the user confirmed in advance.
        stdin_taken: Whether the ids came from stdin, so that no answer can.

    Raises:
        Refused: It was not confirmed.
    """
    if yes:
        return
    if not can_ask():
        why = (
            "stdin is taken by the ids, so this cannot ask; give --yes."
            if stdin_taken
            else "There is no terminal to ask this on; add --yes to go ahead."
        )
        raise Refused(f"{question} {why} Nothing was sent.")
    for subject in subjects[:_MAX_NAMED]:
        say(f"  {subject}")
    if len(subjects) > _MAX_NAMED:
        say(f"  … and {len(subjects) - _MAX_NAMED:,} more")
    agree(question, "Nothing was sent.")


def agree(question: str, otherwise: str) -> None:
    """
    Ask a question on the terminal, and return only if the answer is yes.

    Args:
        question: The question.
        otherwise: The consequence of any other answer, in words.

    Raises:
        Refused: It was another answer.
        KeyboardInterrupt: It was Ctrl-C.
    """
    try:
        agreed = ask(question)
    except KeyboardInterrupt:
        say("")
        say(otherwise)
        raise
    if not agreed:
        raise Refused(otherwise)


def can_ask() -> bool:
    """
    Return whether questions can be asked on a terminal.
    """
    return sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> bool:
    """
    Ask a question on stderr, and return whether the answer is a clear yes.
    """
    say(f"{question} [y/N]", end=" ")
    # A Ctrl-C just before a blocking read would take effect only after it: poll instead.
    while os.name == "posix" and not select.select([sys.stdin], [], [], 0.2)[0]:
        pass
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        say("")
    return answer.strip().lower() in {"y", "yes"}
