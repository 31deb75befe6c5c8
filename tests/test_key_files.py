"""
A key file is read where it is its owner's alone and holds a key alone; else it says why not.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dashscope_ft.errors import ConfigurationError
from dashscope_ft.settings import resolve

from .interpreter import run_script
from .scripted import KEY
from .secrecy import traces

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")

DEFAULT = "~/.dashscope/api_key"
NAMED = "the file that DASHSCOPE_API_KEY_FILE_PATH names"


def private(path: Path, content: bytes = KEY.encode(), mode: int = 0o600) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def linked(path: Path) -> None:
    private(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unheard:
        # The name of a socket is short: bind where it lies.
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            unheard.bind(path.name)
        finally:
            os.chdir(here)


def sparse(path: Path) -> None:
    private(path)
    os.truncate(path, 2**40)


def anothers(path: Path) -> None:
    private(path)
    os.chown(path, 12345, -1)


def device(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))


ONLY_ROOT_MAKES = {"device", "another's"}
REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (linked, "it is a symbolic link; name the file itself."),
    "dangling link": (
        lambda path: path.symlink_to("nowhere"),
        "it is a symbolic link; name the file itself.",
    ),
    "ring of links": (
        lambda path: path.symlink_to(path),
        "it is a symbolic link; name the file itself.",
    ),
    "socket": (listening, "it is a socket, and has to be a regular file."),
    "device": (device, "it is a device, and has to be a regular file."),
    "directory": (Path.mkdir, "it is a directory, and has to be a regular file."),
    "another's": (anothers, "it belongs to another user, and has to be this one's."),
    "sparse": (sparse, "it has 1,099,511,627,776 bytes, and has to hold the key alone."),
    "huge": (
        lambda path: private(path, KEY.encode() * 1_000),
        "it has 36,000 bytes, and has to hold the key alone.",
    ),
    "lines": (
        lambda path: private(path, f"{KEY}\nsk-another\n".encode()),
        "it has several lines, and has to hold the key alone.",
    ),
    "line ends of another machine": (
        lambda path: private(path, f"{KEY}\rsk-another".encode()),
        "it has several lines, and has to hold the key alone.",
    ),
    "binary": (
        lambda path: private(path, KEY.encode() + b"\xff\xfe\x80"),
        "it is not text, and has to hold the key alone.",
    ),
    "zeros": (
        lambda path: private(path, f"{KEY}\0".encode()),
        "it is not text, and has to hold the key alone.",
    ),
    "another encoding": (
        lambda path: private(path, KEY.encode("utf-16")),
        "it is not text, and has to hold the key alone.",
    ),
}
for loose in (0o644, 0o640, 0o604, 0o620, 0o602, 0o610, 0o777, 0o4604):
    REFUSED[f"mode {loose:04o}"] = (
        partial(private, mode=loose),
        f"others can get at it (its mode is {loose:04o}); chmod 600 makes it yours alone.",
    )


def files(home: Path) -> dict[str, tuple[Path, dict[str, str]]]:
    """
    Give the two places where a key file can be, and the variables that lead there.
    """
    (home / ".dashscope").mkdir()
    named = {"DASHSCOPE_API_KEY_FILE_PATH": str(home / "named")}
    return {NAMED: (home / "named", named), DEFAULT: (home / ".dashscope" / "api_key", {})}


def test_files_that_are_refused(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """
    Whatever is wrong with a key file, it is not used; the error tells which file it is and what
    would be right, and nothing of its content.
    """
    kinds = [kind for kind in REFUSED if not os.geteuid() or kind not in ONLY_ROOT_MAKES]
    for kind in kinds:
        put, fault = REFUSED[kind]
        home = tmp_path / kind
        home.mkdir()
        for source, (path, variables) in files(home).items():
            put(path)
            with pytest.raises(ConfigurationError) as caught:
                resolve(environ=variables, home=home)

            assert str(caught.value) == f"The API key cannot be read from {source}: {fault}"
            assert caught.value.__context__ is None
            assert traces(caught.value, KEY) == []
    record_property(
        "figure",
        f"{len(kinds)} kinds of unsafe key file (loose modes, links, devices, directories, huge, "
        f"binary, …) in 2 places: {2 * len(kinds)} refused, each with its reason.",
    )


ALLOWED: dict[str, Callable[[Path], object]] = {
    "mode 0600": private,
    "mode 0400": lambda path: private(path, mode=0o400),
    "mode 0700": lambda path: private(path, mode=0o700),
    "line end": lambda path: private(path, f"{KEY}\n".encode()),
    "line ends and space": lambda path: private(path, f"\n \t{KEY}\r\n\r\n".encode()),
    "byte order mark": lambda path: private(path, b"\xef\xbb\xbf" + KEY.encode()),
}


@pytest.mark.parametrize("kind", ALLOWED)
def test_a_file_that_is_read(kind: str, tmp_path: Path) -> None:
    """
    A file of one's own with the key in it is used, whatever space is around the key.
    """
    for path, variables in files(tmp_path).values():
        ALLOWED[kind](path)

        assert resolve(environ=variables, home=tmp_path).api_key == KEY
        path.unlink()


def test_a_file_in_a_linked_directory(tmp_path: Path) -> None:
    """
    Links on the way to the file are its owner's own affair.
    """
    (tmp_path / "real").mkdir()
    private(tmp_path / "real" / "key")
    (tmp_path / "link").symlink_to("real")
    variables = {"DASHSCOPE_API_KEY_FILE_PATH": str(tmp_path / "link" / "key")}

    assert resolve(environ=variables, home=tmp_path).api_key == KEY


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file(content: bytes, tmp_path: Path) -> None:
    """
    A named file that is empty is said to be; an empty one at home is as good as none.
    """
    for source, (path, variables) in files(tmp_path).items():
        private(path, content)
        with pytest.raises(ConfigurationError) as caught:
            resolve(environ=variables, home=tmp_path)

        assert "missing or empty" in str(caught.value)
        assert source.removeprefix("the file that ").split()[0] in str(caught.value)


def test_the_key_as_the_path_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Who puts the key where its file is named does not read it in a traceback with locals.
    """
    monkeypatch.chdir(tmp_path)
    Path(KEY).mkdir()
    with pytest.raises(ConfigurationError) as caught:
        resolve(environ={"DASHSCOPE_API_KEY_FILE_PATH": KEY}, home=tmp_path)

    assert "a directory" in str(caught.value)
    assert traces(caught.value, KEY) == []


def test_a_fifo(tmp_path: Path) -> None:
    """
    Nobody waits: neither for a writer, nor does one that waits see anything; not even where
    a FIFO takes a file's place at the last moment.
    """
    path, source = tmp_path / "fifo", NAMED
    os.mkfifo(path, 0o600)
    ended = run_script(
        """
        import os, sys
        from subprocess import Popen
        from dashscope_ft import AsyncClient, ConfigurationError

        path = sys.argv[1]
        os.environ |= {"DASHSCOPE_API_KEY": "", "DASHSCOPE_API_KEY_FILE_PATH": path}

        def attempt():
            try:
                AsyncClient()
            except ConfigurationError as error:
                print(error)
        """,
        """
        attempt()

        writer = Popen([sys.executable, "-c", f"print(1, flush=True); open({path!r}, 'w')"],
                       stdout=-1)
        writer.stdout.readline()
        attempt()
        print("writes" if writer.poll() is None else "gone")
        writer.kill()
        writer.communicate()

        os.lstat = lambda name: os.stat_result([0o100600, *[0] * 9])
        attempt()
        """,
        str(path),
        timeout=20,
    )
    refusal = (
        f"The API key cannot be read from {source}: it is a FIFO, and has to be a regular file."
    )

    assert ended.stdout.splitlines() == [refusal, refusal, "writes", refusal]
    assert ended.stderr == ""


@pytest.mark.parametrize("exchanged", ["link", "directory", "mode 0644", "sparse"])
def test_a_file_exchanged_between_two_looks(
    exchanged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What is opened is looked at too, so that a file exchanged in between is refused.
    """
    path, variables = files(tmp_path)[NAMED]
    private(path)
    put, _ = REFUSED[exchanged]
    look = os.lstat

    def look_and_exchange(name: str) -> os.stat_result:
        seen = look(name)
        path.unlink()
        put(path)
        return seen

    monkeypatch.setattr("dashscope_ft.credentials.os.lstat", look_and_exchange)
    with pytest.raises(ConfigurationError, match="cannot be read from"):
        resolve(environ=variables, home=tmp_path)


def test_the_longest_key(tmp_path: Path) -> None:
    """
    The marks that an editor puts around it do not count.
    """
    path = tmp_path / DEFAULT[2:]
    path.parent.mkdir()
    private(path, b"\xef\xbb\xbf" + b"k" * 4096)

    assert resolve(environ={}, home=tmp_path).api_key == "k" * 4096


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    """
    There is no key there, and nothing is wrong with reading it.
    """
    (tmp_path / ".dashscope").touch()

    with pytest.raises(ConfigurationError, match="There is no API key"):
        resolve(environ={}, home=tmp_path)
