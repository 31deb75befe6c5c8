"""
The intents and outcomes of a clean-up, each on disk before the next step.

A journal is a file of JSON lines: first the digest of the plan that it belongs to, then an
intent before each change and an outcome for each job. A line is on disk before anything else
is done, so that only the last one can be torn; a torn line counts as never written.
"""

from __future__ import annotations

import errno
import os
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Self, cast, get_args

import orjson

from .. import errors
from ..arguments import check_regular_file
from ..errors import DashScopeError, PlanRefused
from ..outcomes import Action, Outcome, Result

_FORMAT: Final = 1
_LOCKED_BYTE: Final = 0x7FFF_FFFE  # behind all lines: Windows lets nobody else read a locked one
_UNSYNCED: Final = {errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
_UNREADABLE: Final = (AttributeError, KeyError, TypeError, ValueError)


class JournalUnwritable(OSError):
    """
    A line of the journal could not be written, for example since the disk is full.
    """

    def __str__(self) -> str:
        return (
            f"The journal {self.filename} cannot be written: {self.strerror}."
            " See to that, then apply the plan again: it goes on with what is left."
        )


class Journal:
    """
    The record of one clean-up, from which a later run can resume.

    Without a path it lasts as long as the object.

    Args:
        plan_digest: The plan that the journal is for.
        path: The file, made if there is none.
        now: Returns the present time, aware.

    Raises:
        InvalidArgument: The path is that of a directory or a device, say, not of a regular file.
        PlanRefused: The file is in use by another process, or is another plan's journal, damaged,
            or no journal.
        OSError: The file cannot be read or written.
    """

    def __init__(
        self,
        plan_digest: str,
        path: str | os.PathLike[str] | None = None,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._now = now
        self._outcomes: dict[str, Outcome] = {}
        self._intents: defaultdict[str, set[Action]] = defaultdict(set)
        self._file: int | None = None
        self._path = "" if path is None else os.fspath(path)
        self._broken = False
        if path is not None:
            self._open(self._path, {"journal": _FORMAT, "plan": plan_digest})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """
        Release the file, so that another process can lock it.
        """
        file, self._file = self._file, None
        if file is not None:
            _unlock(file)
            os.close(file)

    @property
    def broken(self) -> bool:
        """
        Whether a line could not be written, so that more may have been done than is recorded.
        """
        return self._broken

    def standing(self, job_id: str) -> Outcome | None:
        """
        Return the outcome of a job that is settled; None if it is to be tried, or tried again.

        A job that was done is settled, and so is one that was skipped for a lasting reason. Jobs
        that failed, were skipped for their state or were never attempted are tried again.
        """
        outcome = self._outcomes.get(job_id)
        if outcome is None or outcome.result == "failed":
            return None
        return None if outcome.reason in ("state", "not_attempted") else outcome

    def may_have(self, action: Action, job_id: str) -> bool:
        """
        Return whether this was intended and not retracted, so that it may have been done.
        """
        return action in self._intents.get(job_id, ())

    def intend(self, action: Action, job_id: str) -> None:
        """
        Write what is about to be done; it is on disk when this returns.
        """
        self._append({"intent": action, "job_id": job_id, "at": self._now().isoformat()})
        self._intents[job_id].add(action)

    def retract(self, action: Action, job_id: str) -> None:
        """
        Write that what was intended is known not to have happened.
        """
        self._append({"retracted": action, "job_id": job_id, "at": self._now().isoformat()})
        self._intents[job_id].discard(action)

    def record(self, outcome: Outcome) -> None:
        """
        Write what came of a job; it is on disk when this returns.
        """
        self._append({"outcome": _outcome_to_dict(outcome), "at": self._now().isoformat()})
        self._outcomes[outcome.job_id] = outcome

    def _append(self, entry: dict[str, Any]) -> None:
        if self._broken:
            raise OSError("A line of the journal could not be written before; nothing may follow.")
        if self._file is None:
            return
        line = orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)
        self._broken = True
        try:
            while line:
                line = line[os.write(self._file, line) :]
            os.fsync(self._file)
        except OSError as error:
            reason = error.strerror or str(error)
            raise JournalUnwritable(error.errno, reason, self._path) from error
        self._broken = False

    def _open(self, path: str, header: dict[str, Any]) -> None:
        # Before opening: to open a pipe waits for its other side, and a device may have no end.
        check_regular_file("journal", path)
        # Without it, Windows would end lines in two bytes, and a torn line be cut off elsewhere.
        binary: int = getattr(os, "O_BINARY", 0)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | binary, 0o600)
        try:
            _lock(file, path)
            text = _read(file)
            whole = text[: text.rfind(b"\n") + 1]
            first = orjson.dumps(header, option=orjson.OPT_APPEND_NEWLINE)
            if not whole and not first.startswith(text):
                raise _refusal(path, "is not a journal")  # and must not be cut off as a torn line
            self._replay(whole, header, path)
            if hasattr(os, "fchmod"):  # Windows has it from Python 3.13
                os.fchmod(file, 0o600)
            os.ftruncate(file, len(whole))
            self._file = file
            if not whole:
                self._append(header)
                _sync_folder(path)
        except BaseException as error:
            self._file = None
            os.close(file)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = path
            raise

    def _replay(self, text: bytes, header: dict[str, Any], path: str) -> None:
        if not text:
            return
        first, *entries = text.split(b"\n")[:-1]
        if fault := _header_fault(first, header):
            raise _refusal(path, fault)
        for number, line in enumerate(entries, 2):
            try:
                self._replay_entry(orjson.loads(line))
            except _UNREADABLE:
                raise _refusal(path, f"is damaged at line {number}") from None

    def _replay_entry(self, entry: dict[str, Any]) -> None:
        if "intent" in entry:
            self._intents[_text(entry["job_id"])].add(_action(entry["intent"]))
        elif "retracted" in entry:
            self._intents[_text(entry["job_id"])].discard(_action(entry["retracted"]))
        else:
            outcome = _outcome_from_dict(entry["outcome"])
            self._outcomes[outcome.job_id] = outcome


def _header_fault(line: bytes, header: dict[str, Any]) -> str | None:
    try:
        entry = orjson.loads(line)
        plan, version = entry["plan"], entry["journal"]
    except _UNREADABLE:
        return "is not a journal"
    if version != header["journal"]:
        return "is of another version"
    return None if plan == header["plan"] else "belongs to another plan"


def _refusal(path: str, text: str) -> PlanRefused:
    return PlanRefused(
        f"The journal {path} {text}.", hint="Nothing was deleted; name another file."
    )


def _unlock(file: int) -> None:
    # To close the file may not be enough: a child process that was forked has it open, too.
    if sys.platform == "win32":
        import msvcrt

        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)


def _lock(file: int, path: str) -> None:
    locked = False
    with suppress(BlockingIOError, PermissionError):
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        locked = True
    if not locked:
        raise PlanRefused(
            f"Another run is using the journal {path}.",
            hint="Nothing was deleted by this one; wait until that one has ended.",
        )


def _read(file: int) -> bytes:
    parts: list[bytes] = []
    while part := os.read(file, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _sync_folder(path: str) -> None:
    if sys.platform == "win32":
        return
    try:
        folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        # It may not be read, or its file system, such as a network drive's, syncs files alone.
        if error.errno not in _UNSYNCED:
            raise


def _outcome_to_dict(outcome: Outcome) -> dict[str, Any]:
    error = outcome.error
    return {
        "job_id": outcome.job_id,
        "action": outcome.action,
        "result": outcome.result,
        "reason": outcome.reason,
        "request_id": outcome.request_id,
        "error": None
        if error is None
        else {
            "type": type(error).__name__,
            "message": error.message,
            "code": error.code,
            "status": error.status,
            "request_id": error.request_id,
            "hint": error.hint,
            "attempts": error.attempts,
        },
    }


def _outcome_from_dict(values: dict[str, Any]) -> Outcome:
    error = values["error"]
    if error is not None:
        facts = dict(error)
        error_class = getattr(errors, facts.pop("type"))
        if not issubclass(error_class, DashScopeError):
            raise TypeError
        error = error_class(_text(facts.pop("message")), **facts)
        if not isinstance(error.attempts, int):
            raise TypeError
    if values["result"] not in get_args(Result):
        raise ValueError
    return Outcome(
        job_id=_text(values["job_id"]),
        action=_action(values["action"]),
        result=values["result"],
        reason=_text(values["reason"]),
        error=error,
        request_id=values["request_id"],
    )


def _action(word: Any) -> Action:
    if word in get_args(Action):
        return cast(Action, word)
    raise ValueError


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError
