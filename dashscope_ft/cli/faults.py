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

_NOUNS: Final = {"jobs": "fine-tuning job", "imports": "import job"}
_ABOUT_ONE_JOB: Final = re.compile(
    r"(?:Getting|Looking at|Cancelling|Deleting|Reading the log of|Listing the checkpoints of"
    r"|Exporting (?P<checkpoint>\S+) of) (?P<job_id>\S+)"
)
"""What errors say of calls that fail as `NotFound` only if a job, or a checkpoint, is missing."""

_IMPORT_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_FAULTS_OF_WRITING: Final = {errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC, errno.EROFS}


def told(error: DashScopeError, session: Session) -> str:
    """
    Return an error of the library as text, with the options' names in place of the arguments', and
    with the place that was asked if a job is not there.
    """
    error = copy(error)
    if isinstance(error, (ConfigurationError, InvalidArgument)):
        error.message = _as_typed(error.message)
    asked = _ABOUT_ONE_JOB.fullmatch(error.what or "")
    if asked and session.noun and isinstance(error, NotFound) and error.is_from_service:
        job_id, place = asked["job_id"], place_of(session.client())
        or_none = f", or it has no {asked['checkpoint']}" if asked["checkpoint"] else ""
        error.what = None
        error.message = f"There is no {_NOUNS[session.noun]} {job_id} in {place}{or_none}."
        error.hint = _other_noun(job_id, session) or (
            "A job of another region, workspace or account is answered in the same way."
        )
    return str(error)


def fault_of(error: OSError) -> str:
    """
    Return a fault of a file, or of stdout, without the number that the system gives it.
    """
    if error.filename is None or not str(error).startswith("[Errno "):
        return str(error)
    reason = (error.strerror or "")[:1].lower() + (error.strerror or "")[1:]
    if error.filename == "stdout":
        reason = "it is closed" if error.errno == errno.EBADF else reason
        return f"Cannot write to stdout: {reason}."
    verb = "write" if error.errno in _FAULTS_OF_WRITING else "open"
    return f"Cannot {verb} {error.filename}: {reason}."


def _as_typed(message: str) -> str:
    """
    Return a message with the argument that it begins with renamed to the command line's option.
    """
    name, _, rest = message.partition(" ")
    return f"--{name.replace('_', '-')} {rest}" if name in _ARGUMENTS else message


def _other_noun(job_id: str, session: Session) -> str | None:
    """
    Return a hint if an id looks like one of the other kind of job.
    """
    if session.noun == "jobs" and _IMPORT_ID.fullmatch(job_id):
        return f"By its id, it is an import job: `{session.command('imports', 'show', job_id)}`"
    if session.noun == "imports" and job_id.startswith("ft-"):
        return f"By its id, it is a fine-tuning job: `{session.command('jobs', 'show', job_id)}`"
    return None
