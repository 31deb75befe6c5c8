from __future__ import annotations

import errno
import json
import os
import pickle
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

from dashscope_ft.cleanup.journal import Journal, JournalUnwritable
from dashscope_ft.errors import (
    InvalidArgument,
    NotFound,
    OutcomeUnknown,
    PermissionDenied,
    PlanRefused,
)
from dashscope_ft.outcomes import Outcome

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DIGEST = "a" * 64


def opened(path: Path | None, digest: str = DIGEST) -> Journal:
    return Journal(digest, path, now=lambda: NOW)


def outcome(job_id: str, result: Any = "done", reason: str = "confirmed", **facts: Any) -> Outcome:
    return Outcome(job_id=job_id, action="delete", result=result, reason=reason, **facts)


def remembered(journal: Journal) -> str:
    return repr((journal._outcomes, {job: sorted(i) for job, i in journal._intents.items()}))


def write_some(journal: Journal) -> None:
    journal.intend("delete", "ft-1")
    journal.record(outcome("ft-1", request_id="r-1"))
    journal.intend("cancel", "ft-2")
    journal.intend("delete", "ft-2")
    journal.retract("delete", "ft-2")
    journal.record(
        outcome(
            "ft-2",
            "failed",
            "AccessDenied",
            error=PermissionDenied("no: \u0085\r\n", code="AccessDenied", status=403, attempts=2),
        )
    )
    journal.record(outcome("ft-3", "skipped", "already_gone", error=NotFound("gone")))
    journal.intend("delete", "ft-4")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plan.journal"


@pytest.fixture
def written(path: Path) -> bytes:
    with opened(path) as journal:
        write_some(journal)
    return path.read_bytes()


def test_a_journal_that_is_opened_again(path: Path, written: bytes) -> None:
    """
    What was done stands, what failed does not, and what was intended is still known.
    """
    with opened(path) as journal:
        assert journal.standing("ft-1") == outcome("ft-1", request_id="r-1")
        assert journal.standing("ft-2") is None
        assert journal.may_have("cancel", "ft-2")
        assert not journal.may_have("delete", "ft-2")
        gone = journal.standing("ft-3")
        assert gone
        assert gone.reason == "already_gone"
        assert isinstance(gone.error, NotFound)
        assert journal.standing("ft-4") is None
        assert journal.may_have("delete", "ft-4")
        assert not journal.may_have("delete", "ft-5")
    assert path.read_bytes() == written


@pytest.mark.parametrize(
    ("result", "reason", "stands"),
    [
        ("done", "confirmed", True),
        ("done", "inferred", True),
        ("skipped", "already_gone", True),
        ("skipped", "changed", True),
        ("skipped", "protected", True),
        ("skipped", "undecidable", True),
        ("skipped", "state", False),
        ("skipped", "not_attempted", False),
        ("failed", "unknown_outcome", False),
        ("failed", "AccessDenied", False),
    ],
)
def test_which_outcomes_stand(path: Path, result: str, reason: str, stands: bool) -> None:
    """
    A lasting outcome needs no second look; what may turn out better is taken up again.
    """
    with opened(path) as journal:
        journal.record(outcome("ft-1", result, reason))
        now = journal.standing("ft-1")
    with opened(path) as journal:
        later = journal.standing("ft-1")

    assert (now is not None) == (later is not None) == stands


def test_the_last_outcome_of_a_job_counts(path: Path) -> None:
    """
    A job that failed and was done later is done.
    """
    error = OutcomeUnknown("lost", hint="look")
    with opened(path) as journal:
        journal.record(outcome("ft-1", "failed", "unknown_outcome", error=error))
        journal.record(outcome("ft-1", "done", "inferred"))

    with opened(path) as journal:
        assert journal.standing("ft-1") == outcome("ft-1", "done", "inferred")


@pytest.mark.usefixtures("written")
def test_a_journal_is_private(path: Path) -> None:
    """
    The file is its owner's alone, also where it was not before.
    """
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    path.chmod(0o644)
    opened(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """
    Stand in for what Windows has instead of POSIX's; the flags of the files opened are noted.
    """
    locked: dict[tuple[int, int], int] = {}

    def locking(file: int, mode: int, count: int) -> None:
        place = os.fstat(file).st_ino, os.lseek(file, 0, os.SEEK_CUR)
        assert count == 1
        if mode == 0:
            assert locked.pop(place) == file
        elif locked.setdefault(place, file) != file:
            raise PermissionError(errno.EACCES, "Permission denied")

    flags: list[int] = []
    open_file = os.open

    def spy(name: Any, how: int, *mode: int) -> int:
        if os.path.isdir(name):
            raise PermissionError(errno.EACCES, "Permission denied")
        flags.append(how)
        return open_file(name, how, *mode)

    standing_in = SimpleNamespace(locking=locking, LK_NBLCK=2, LK_UNLCK=0)
    monkeypatch.setitem(sys.modules, "msvcrt", cast(ModuleType, standing_in))
    monkeypatch.setitem(sys.modules, "fcntl", cast(ModuleType, None))
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "fchmod")
    monkeypatch.setattr(os, "O_BINARY", os.O_NOCTTY, raising=False)
    monkeypatch.setattr(os, "open", spy)
    return flags


def test_a_journal_on_windows(path: Path, windows: list[int]) -> None:
    """
    Where rights cannot be changed and files are text unless told, a journal keeps to its bytes.
    """
    with opened(path) as journal:
        write_some(journal)
    with opened(path) as journal:
        assert journal.standing("ft-1")
    assert [how & os.O_NOCTTY for how in windows] == [os.O_NOCTTY] * 2


@pytest.mark.usefixtures("windows")
def test_two_runs_on_windows_cannot_share_a_journal(path: Path) -> None:
    """
    There, too, the second run gets a clear error, and afterwards its turn.
    """
    with opened(path) as journal:
        journal.intend("delete", "ft-1")
        with pytest.raises(PlanRefused, match="Another run"):
            opened(path)
        journal.record(outcome("ft-1"))
    with opened(path) as journal:
        assert journal.standing("ft-1") == outcome("ft-1")


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EINVAL, errno.EIO])
def test_a_folder_that_cannot_be_synced(
    path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    """
    A folder that may not be read, or that its file system never syncs, holds a journal all the
    same; a disk that fails is told of.
    """
    fsync = os.fsync

    def refuse(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(reason, os.strerror(reason))
        fsync(file)

    monkeypatch.setattr(os, "fsync", refuse)
    if reason == errno.EIO:
        with pytest.raises(OSError, match="Input/output"):
            opened(path)
    else:
        with opened(path) as journal:
            write_some(journal)
        with opened(path) as journal:
            assert journal.standing("ft-1")


def test_each_line_is_on_disk_before_the_call_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    An intent that was not flushed to the disk is none.
    """
    synced: list[bytes] = []
    fsync = os.fsync

    def spy(file: int) -> None:
        fsync(file)
        synced.append(path.read_bytes())

    with opened(path) as journal:
        monkeypatch.setattr(os, "fsync", spy)
        journal.intend("delete", "ft-1")
        journal.record(outcome("ft-1"))

    assert [len(text.splitlines()) for text in synced] == [2, 3]


def test_a_line_torn_at_any_byte_never_happened(
    path: Path, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Cut anywhere within its last line, a journal goes on as if that line had not been begun.
    """
    lines = written.splitlines(keepends=True)
    monkeypatch.setattr(os, "fsync", lambda _: None)  # hundreds of times, and not the point here

    for keep in range(1, len(lines)):
        whole = b"".join(lines[:keep])
        path.write_bytes(whole)
        with opened(path) as journal:
            before = remembered(journal)
        for torn in range(len(lines[keep])):
            path.write_bytes(whole + lines[keep][:torn])
            with opened(path) as journal:
                assert remembered(journal) == before
                journal.intend("delete", "ft-9")
            with opened(path) as journal:
                assert journal.may_have("delete", "ft-9")


def test_a_header_torn_at_any_byte_is_a_new_journal(
    path: Path, written: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A crash while the file was being made leaves a journal in which nothing was intended.
    """
    header = written.splitlines(keepends=True)[0]
    monkeypatch.setattr(os, "fsync", lambda _: None)

    for torn in range(len(header)):
        path.write_bytes(header[:torn])
        opened(path).close()

        assert path.read_bytes() == header


@pytest.mark.parametrize(
    "text",
    [
        b"my notes",
        b'{"format": 1, "base_url": "https://x"}',
        b'{\n  "format": 1\n}\n',
        b"[]\n",
        b"\x00\x00\x00\n",
        b'{"journal":1}\n',
    ],
)
def test_another_file_is_refused_and_left_alone(path: Path, text: bytes) -> None:
    """
    A file that is not a journal, such as the plan itself, is never written to.
    """
    path.write_bytes(text)
    path.chmod(0o644)

    with pytest.raises(PlanRefused, match="is not a journal"):
        opened(path)

    assert path.read_bytes() == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_another_plans_journal_is_refused(path: Path, written: bytes) -> None:
    """
    The outcomes of one plan say nothing about another.
    """
    with pytest.raises(PlanRefused, match="belongs to another plan"):
        opened(path, "b" * 64)

    assert path.read_bytes() == written


def test_a_journal_of_another_version_is_refused(path: Path) -> None:
    """
    A journal of a newer version may say what this one cannot read.
    """
    path.write_text(json.dumps({"journal": 99, "plan": DIGEST}) + "\n")

    with pytest.raises(PlanRefused, match="another version"):
        opened(path)


@pytest.mark.parametrize(
    "line",
    [
        b"\x00\x00\n",
        b"not json\n",
        b"{}\n",
        b"7\n",
        b'{"intent":"delete"}\n',
        b'{"outcome":{"job_id":"ft-1"}}\n',
        b'{"outcome":{"job_id":"j","action":"delete","result":"failed","reason":"x",'
        b'"request_id":null,"error":{"type":"os","message":""}}}\n',
        b'{"outcome":{"job_id":"j","action":"delete","result":"failed","reason":"x",'
        b'"request_id":null,"error":{"type":"__class__","message":""}}}\n',
        b'{"intent":"undo","job_id":"j"}\n',
        b'{"retracted":"delete","job_id":7}\n',
        b'{"outcome":{"job_id":"j","action":"delete","result":"dond","reason":"x",'
        b'"request_id":null,"error":null}}\n',
        b'{"outcome":{"job_id":null,"action":"delete","result":"done","reason":"x",'
        b'"request_id":null,"error":null}}\n',
        b'{"outcome":{"job_id":"j","action":"undo","result":"done","reason":"x",'
        b'"request_id":null,"error":null}}\n',
        b'{"outcome":{"job_id":"j","action":"delete","result":"done","reason":null,'
        b'"request_id":null,"error":null}}\n',
        b'{"outcome":{"job_id":"j","action":"delete","result":"failed","reason":"x",'
        b'"request_id":null,"error":{"type":"NotFound","message":null}}}\n',
        b'{"outcome":{"job_id":"j","action":"delete","result":"failed","reason":"x",'
        b'"request_id":null,"error":{"type":"NotFound","message":"","attempts":null}}}\n',
    ],
)
def test_a_damaged_journal_is_refused(path: Path, written: bytes, line: bytes) -> None:
    """
    A line that is whole but cannot be read is damage, and nothing is guessed.
    """
    lines = written.splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], line, *lines[2:]]))

    with pytest.raises(PlanRefused, match="damaged at line 3"):
        opened(path)


def test_two_runs_cannot_share_a_journal(path: Path) -> None:
    """
    While one process holds the journal, another gets a clear error, and afterwards its turn.
    """
    script = (
        "import sys; from datetime import UTC, datetime\n"
        "from dashscope_ft.cleanup.journal import Journal\n"
        "from dashscope_ft.errors import PlanRefused\n"
        "try: Journal('a' * 64, sys.argv[1], now=lambda: datetime.now(UTC)).close()\n"
        "except PlanRefused as error: print(error)\n"
    )

    def other() -> str:
        command = [sys.executable, "-c", script, str(path)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    with opened(path) as journal:
        assert "Another run is using the journal" in other()
        with pytest.raises(PlanRefused, match="Another run") as caught:
            opened(path)
        assert "wait until that one has ended" in str(caught.value.hint)
        # As a child process does that was forked meanwhile.
        inherited = os.dup(int(journal._file or 0))
    assert other() == ""
    os.close(inherited)


def test_nothing_follows_a_line_that_failed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    After a write error no further line is written behind the torn one; the file can be taken up.
    """
    write = os.write

    def fail(file: int, data: bytes) -> int:
        write(file, bytes(data[:7]))
        raise OSError("disk full")

    with opened(path) as journal:
        journal.intend("delete", "ft-1")
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", fail)
            with pytest.raises(OSError, match="disk full"):
                journal.record(outcome("ft-1"))
        with pytest.raises(OSError, match="nothing may follow"):
            journal.intend("delete", "ft-2")

    with opened(path) as journal:
        assert journal.may_have("delete", "ft-1")
        assert not journal.may_have("delete", "ft-2")


def test_a_disk_that_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The error names the journal and keeps the system's number; the journal knows that it lacks a
    line.
    """

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with opened(path) as journal:
        assert not journal.broken
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(JournalUnwritable) as caught:
            journal.intend("delete", "ft-1")

        assert journal.broken
    assert caught.value.errno == errno.ENOSPC
    assert str(caught.value) == (
        f"The journal {path} cannot be written: No space left on device."
        " See to that, then apply the plan again: it goes on with what is left."
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_disk_that_fails_as_a_journal_is_opened(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The error names the file, whatever could not be done with it.
    """

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "ftruncate", fail)

    with pytest.raises(OSError, match="Input/output error") as caught:
        opened(path)

    assert caught.value.filename == str(path)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a device"])
def test_what_is_no_regular_file_is_refused_unopened(path: Path, kind: str) -> None:
    """
    A pipe would be waited for, and a device such as /dev/full never ends.
    """
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/full")
    else:
        path.symlink_to(os.devnull)

    with pytest.raises(InvalidArgument, match=rf"^The journal {path} is not a regular file\. "):
        opened(path)


def test_a_link_to_a_journal_is_followed(path: Path, written: bytes) -> None:
    """
    A journal's path may be a link to a file that lies elsewhere.
    """
    link = path.with_name("link")
    link.symlink_to(path)
    with opened(link) as journal:
        assert journal.standing("ft-1")
    assert path.read_bytes() == written


def test_a_journal_in_memory() -> None:
    """
    Without a file the same is remembered, as long as the object lives.
    """
    journal = opened(None)
    write_some(journal)

    assert journal.standing("ft-1")
    assert journal.may_have("delete", "ft-4")


def test_a_disk_that_takes_a_line_in_pieces(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A line that the disk takes in pieces is written whole before anything goes on.
    """
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:7]))
    with opened(path) as journal:
        write_some(journal)
        known = remembered(journal)

    with opened(path) as journal:
        assert remembered(journal) == known


def test_an_error_is_taken_up_with_all_its_facts(path: Path) -> None:
    """
    What a report says of a job does not depend on which run it was settled in.
    """
    error = PermissionDenied(
        "no", code="AccessDenied", status=403, request_id="r-1", hint="Ask for it.", attempts=2
    )
    with opened(path) as journal:
        journal.record(outcome("ft-1", "skipped", "protected", error=error))

    with opened(path) as journal:
        standing = journal.standing("ft-1")
        assert standing
        assert vars(standing.error) == vars(error)
