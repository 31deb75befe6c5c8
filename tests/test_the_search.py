"""
The search for the key finds it, wherever it is put and however it is written.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from dashscope_ft.credentials import Secret

from .scripted import KEY
from .secrecy import traces

ODD = "sk-a+b/c%d&é'\"\\end-of-a-key"

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "cut at its end": lambda key: key[:12],
    "cut at its beginning": lambda key: key[-12:],
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64, one byte before": lambda key: base64.b64encode(b"x" + key.encode() + b"y").decode(),
    "base64, two bytes before": lambda key: base64.b64encode(b"xx" + key.encode() + b"y").decode(),
    "base64 of the header": lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(f">?{key}".encode()).decode(),
    "base64 in lines": lambda key: base64.encodebytes(b"u" * 20 + key.encode()).decode(),
    "quoted": lambda key: quote(key, safe=""),
    "quoted twice": lambda key: quote(quote(key, safe=""), safe=""),
    "every byte quoted": lambda key: "".join(f"%{each:02X}" for each in key.encode()),
    "hex": lambda key: key.encode().hex(),
    "HEX": lambda key: key.encode().hex().upper(),
    "hex with colons": lambda key: key.encode().hex(":"),
    "escaped bytes": lambda key: "".join(f"\\x{each:02x}" for each in key.encode()),
    "octal": lambda key: "".join(f"\\{each:03o}" for each in key.encode()),
    "repr": repr,
    "repr of bytes": lambda key: repr(key.encode()),
    "repr of a repr": lambda key: repr(repr(key)),
    "JSON": json.dumps,
    "a list of bytes": lambda key: str(list(key.encode())),
}


@pytest.mark.parametrize("key", [KEY, ODD], ids=["plain_key", "odd_key"])
@pytest.mark.parametrize("form", FORMS)
def test_a_form_of_the_key(form: str, key: str) -> None:
    """
    The key is found in a text, as text and as bytes, in each form.
    """
    text = f"before {FORMS[form](key)} after"

    assert traces(text, key)
    assert traces(text.encode(), key)
    assert not traces(f"before {FORMS[form](key[::-1])} after", key)


@settings(max_examples=50)
@given(
    before=st.binary(max_size=5),
    key=st.text("abcxyzABCXYZ0123456789-_", min_size=16, max_size=60),
    after=st.binary(max_size=5),
)
def test_base64_of_any_neighbourhood(before: bytes, key: str, after: bytes) -> None:
    """
    Whatever stands before and behind it, base64 doesn't hide it.
    """
    whole = before + key.encode() + after

    assert traces(base64.b64encode(whole).decode(), key)
    assert traces(base64.urlsafe_b64encode(whole).decode(), key)


class Talkative:
    def __init__(self, said: str = "", written: str = "") -> None:
        self._said, self._written = map(len, (said, written))
        type(self).said, type(self).written = said, written

    said = written = ""

    def __repr__(self) -> str:
        return self.said

    def __str__(self) -> str:
        return self.written


class Slotted:
    __slots__ = ("__mine", "_own")

    def __init__(self, own: str, mine: str) -> None:
        self._own, self.__mine = own, mine


@define
class Hidden:
    key: str = field(repr=False)


class Secretive:
    """
    Gives away in a pickle what it shows nowhere else.
    """

    __slots__ = ("_held",)

    def __init__(self, held: str) -> None:
        self._held = Secret(held)

    def __repr__(self) -> str:
        return "Secretive()"

    def __reduce__(self) -> tuple[Any, ...]:
        return Secretive, (str.__str__(self._held)[::1] + "",)


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause
    except BaseException as caught:  # noqa: BLE001 - whichever it was
        return caught


def raised_below(key: str) -> BaseException:
    """
    Give an exception from a frame outside the tests whose locals hold the key.
    """
    there: dict[str, Any] = {}
    source = "def below(deep):\n    local = deep\n    raise ValueError('no')\n"
    exec(compile(source, "/somewhere/else.py", "exec"), there)
    try:
        there["below"](key)
    except ValueError as error:
        return error
    raise AssertionError


def noted(key: str) -> BaseException:
    error = ValueError()
    error.add_note(f"sent with {key}")
    return error


def in_context(key: str) -> BaseException:
    try:
        try:
            raise ValueError(key)
        except ValueError:
            raise KeyError("no") from None
    except KeyError as error:
        return error


def with_attribute(key: str) -> BaseException:
    error = ValueError()
    error.headers = {"deep": [CIMultiDict(Authorization=f"Bearer {key}")]}  # type: ignore[attr-defined]
    return error


def record(
    message: str, *arguments: object, error: BaseException | None = None, **extra: str
) -> Any:
    trouble = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("x", logging.DEBUG, "x.py", 1, message, arguments, trouble)
    vars(made).update(extra)
    return made


def in_a_ring(key: str) -> object:
    ring: list[Any] = [{"deep": Hidden(key)}]
    ring.append(ring)
    return ring


def at_the_end_of(depth: int, key: str) -> object:
    thing: object = Hidden(key)
    for _ in range(depth):
        thing = SimpleNamespace(inner=thing)
    return thing


PLACES: dict[str, Callable[[str], object]] = {
    "repr": lambda key: Talkative(said=key),
    "str": lambda key: Talkative(written=key),
    "attribute": Hidden,
    "slot": lambda key: Slotted(key, ""),
    "private slot": lambda key: Slotted("", key),
    "deep attribute": lambda key: at_the_end_of(50, key),
    "ring": in_a_ring,
    "name in a mapping": lambda key: SimpleNamespace(x={(key, 1): None}),
    "set": lambda key: SimpleNamespace(x=frozenset({key})),
    "headers": lambda key: CIMultiDict(Authorization=f"Bearer {key}"),
    "bytes": lambda key: SimpleNamespace(x=bytearray(key, "utf-8")),
    "pickle": Secretive,
    "argument": lambda key: ValueError("no", key),
    "concealed argument": lambda key: ValueError("no", [Secret(key)]),
    "note": noted,
    "cause": lambda key: raised(KeyError("no"), ValueError(key)),
    "suppressed context": in_context,
    "attribute of an error": with_attribute,
    "group": lambda key: ExceptionGroup("no", [ExceptionGroup("no", [ValueError(key)])]),
    "locals": raised_below,
    "locals of a cause": lambda key: raised(KeyError("no"), raised_below(key)),
    "message of a record": record,
    "argument of a record": lambda key: record("sent %s", key),
    "concealed argument of a record": lambda key: record("sent %d", Secret(key)),
    "extra of a record": lambda key: record("sent", token=key),
    "exception of a record": lambda key: record("failed", error=ValueError(key)),
    "records": lambda key: [record("calm"), record(f"sent {key}")],
    "file in memory": lambda key: io.StringIO(f"key={key}"),
    "binary file in memory": lambda key: io.BytesIO(f"key={key}".encode()),
}


def pickled(text: str) -> Iterator[bytes]:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        yield pickle.dumps({"a": text}, protocol)


@pytest.mark.parametrize("place", PLACES)
def test_a_place_of_the_key(place: str) -> None:
    """
    The key is found in each place, plain and disguised, and nothing is found without it.
    """
    disguised = base64.b64encode(f"Bearer {KEY}".encode()).decode()

    assert traces(PLACES[place](KEY), KEY)
    assert traces(PLACES[place](disguised), KEY)
    assert traces(PLACES[place]("harmless"), KEY) == []


def test_the_key_in_files(tmp_path: Path) -> None:
    """
    The key is found in a file, in one of a directory, and in a pickle of any protocol.
    """
    (tmp_path / "deep").mkdir()
    (tmp_path / "calm").write_text("harmless")
    kept = tmp_path / "deep" / "journal"
    kept.write_text(f"token {KEY}")

    assert traces(tmp_path / "calm", KEY) == []
    assert traces(kept, KEY) == ["journal as a file: plain"]
    assert traces(tmp_path, KEY) == ["deep/journal as a file: plain"]
    assert all(traces(each, KEY) for each in pickled(KEY))


def test_what_keeps_the_key_on_purpose() -> None:
    """
    A secret that its holder shows nowhere is no trace; the same, sliced or told, is one.
    """
    held = SimpleNamespace(key=Secret(KEY))

    assert traces(held, KEY) == []
    assert ".key: plain" in traces(SimpleNamespace(key=f"{held.key}"), KEY)
    assert traces(held.key, KEY)


def test_a_thing_that_cannot_be_asked() -> None:
    """
    Where a `repr` raises, the search goes on, and looks at what was raised.
    """

    class Broken:
        def __init__(self, said: str) -> None:
            self.held = said

        def __repr__(self) -> str:
            raise RuntimeError(self.held)

    assert "repr(): plain" in traces(Broken(KEY), KEY)
    assert traces(Broken("x"), KEY) == []


def test_the_frames_of_tests() -> None:
    """
    A test that knows the key itself is no finding.
    """
    local = KEY
    error = raised(ValueError("no"))

    assert local in sys._getframe().f_locals.values()
    assert traces(error, KEY) == []
