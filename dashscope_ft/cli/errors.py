"""
Errors in the words of the command line.
"""

from __future__ import annotations

import errno
import re
from copy import copy
from typing import Final

from dashscope_ft import ConfigurationError, DashScopeError, InvalidArgument, NotFound

from .session import Session, place_of

_ARGUMENTS: Final = ("base_url", "model", "model_name", "region", "status", "workspace")
"""Arguments of the library that are options of the command line."""

_ABOUT_ONE_JOB: Final = re.compile(
    r"(?:Getting|Looking at|Cancelling|Deleting|Reading the log of|Listing the checkpoints of"
    r"|Exporting (?P<checkpoint>\S+) of) (?P<job_id>\S+)"
)
"""How `error.what` names a call on one job: if that is `NotFound`, job or checkpoint is missing."""

_IMPORT_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_WRITING_FAILED: Final = {errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS}


def error_text(error: DashScopeError, session: Session) -> str:
    """
    Return an error of the library as text for users of the command line.

    Arguments are called by the names of their options. If a job was not found, the text says in
    which region and workspace.
    """
    error = copy(error)
    if isinstance(error, (ConfigurationError, InvalidArgument)):
        error.message = _as_typed(error.message)
    asked = _ABOUT_ONE_JOB.fullmatch(error.what or "")
    if asked and session.kind and isinstance(error, NotFound) and error.is_from_service:
        job_id, place = asked["job_id"], place_of(session.client())
        or_none = f", or it has no {asked['checkpoint']}" if asked["checkpoint"] else ""
        error.what = None
        error.message = f"There is no {session.kind.word} {job_id} in {place}{or_none}."
        error.hint = _other_kind(job_id, session) or (
            "A job of another region, workspace or account is answered in the same way."
        )
    return str(error)


def os_error_text(error: OSError) -> str:
    """
    Return an error with a file, or with stdout, as text, without the system's error number.
    """
    if error.filename is None or not str(error).startswith("[Errno "):
        return str(error)
    reason = (error.strerror or "")[:1].lower() + (error.strerror or "")[1:]
    if error.filename == "stdout":
        reason = "it is closed" if error.errno == errno.EBADF else reason
        return f"Cannot write to stdout: {reason}."
    verb = "write" if error.errno in _WRITING_FAILED else "open"
    return f"Cannot {verb} {error.filename}: {reason}."


def _as_typed(message: str) -> str:
    """
    Return a message with the argument that it begins with renamed to the command line's option.
    """
    name, _, rest = message.partition(" ")
    return f"--{name.replace('_', '-')} {rest}" if name in _ARGUMENTS else message


def _other_kind(job_id: str, session: Session) -> str | None:
    """
    Return a hint if an id that was not found looks like that of the other kind of job.
    """
    asked = session.kind.group if session.kind else None
    if asked == "jobs" and _IMPORT_ID.fullmatch(job_id):
        return f"By its id, it is an import job: `{session.command('imports', 'show', job_id)}`"
    if asked == "imports" and job_id.startswith("ft-"):
        return f"By its id, it is a fine-tuning job: `{session.command('jobs', 'show', job_id)}`"
    return None
