"""
Where a secret shows: a search through all that a thing says, holds, and leaves behind.
"""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import pickle
import pickletools
import traceback
from asyncio import AbstractEventLoop, Future
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from pathlib import Path
from threading import Thread
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any
from urllib.parse import quote

HERE = str(Path(__file__).parent)

_PIECE = 12
"""Characters of the key's beginning, or of its end, that are as bad as all of it."""

_MOST = 5_000
"""Things looked at, at most, on the way through attributes."""

_OPAQUE = (
    *(type, ModuleType, FunctionType, BuiltinFunctionType, MethodType, CodeType),
    *(FrameType, TracebackType, Thread, AbstractEventLoop, Future),
    *(int, float, complex, type(None), type(NotImplemented), type(...)),
)
"""What leads nowhere, or to everything, the test and its own copy of the key included."""


def traces(thing: object, key: str) -> list[str]:
    """
    Tell where the key, or its beginning or end, shows in a thing, and in which form.

    Searched are a thing's `repr` and `str`, its pickles, its items and attributes and theirs
    in turn; an exception's arguments, notes, tracebacks with locals and the exceptions behind
    it; a log record as it is and as it would be written; the content of a file, open or named
    by a `Path`, and of all files in a directory. The frames of tests are left out: they know
    the key.

    A string of a class with a `repr` of its own, which keeps the key on purpose, counts as that
    `repr`, unless it is held by an exception or a log record, which have no need of it.

    Returns:
        A place and a form each, such as `.args[0]: base64`; empty where there is none.
    """
    found = (
        f"{place or 'itself'}: {form}"
        for place, text in _texts(thing)
        for form in _forms_in(text, key)
    )
    return list(dict.fromkeys(found))


def _forms_in(text: str, key: str) -> Iterator[str]:
    folded = text.lower()
    exact, any_case = _forms(key)
    for form, words in exact.items():
        if any(word in text for word in words):
            yield form
    for form, words in any_case.items():
        if any(word in folded for word in words):
            yield form


@lru_cache
def _forms(key: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """
    Give how a key may be written: where case counts, and where it doesn't.
    """
    exact: dict[str, set[str]] = {}
    any_case: dict[str, set[str]] = {}
    for piece in {key[:_PIECE], key[-_PIECE:]}:
        raw = piece.encode()
        exact.setdefault("plain", set()).update(
            {piece, raw.decode("latin-1")} | {"\0".join(piece), html.escape(piece)}
        )
        once = {repr(piece)[1:-1], repr(raw)[2:-1], json.dumps(piece)[1:-1]}
        twice = {repr(each)[1:-1] for each in once}
        exact.setdefault("escaped", set()).update((once | twice) - {piece})
        exact.setdefault("base64", set()).update(_base64(raw))
        any_case.setdefault("quoted", set()).update(
            {
                each.lower()
                for each in (quote(piece, safe=""), quote(quote(piece, safe=""), safe=""))
            }
            - {piece.lower()}
        )
        for form, mark in _MARKS.items():
            any_case.setdefault(form, set()).add("".join(mark.format(each) for each in raw))
        any_case["hex"] |= {raw.hex(separator) for separator in ":- "}
    return exact, any_case


_MARKS = {
    "hex": "{:02x}",
    "quoted": "%{:02x}",
    "escaped bytes": "\\x{:02x}",
    "escaped twice": "\\\\x{:02x}",
    "escaped characters": "\\u{:04x}",
    "octal": "\\{:03o}",
    "entities": "&#{:d};",
    "hex entities": "&#x{:x};",
    "a list of bytes": "{:d}, ",
}


def _base64(raw: bytes) -> Iterator[str]:
    """
    Give what any text that has the bytes within must have within in base64, wherever they are.
    """
    for before in range(3):
        whole = base64.b64encode(bytes(before) + raw).decode()
        # Characters at either end depend on what the neighbours are.
        sure = whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        yield sure
        yield sure.replace("+", "-").replace("/", "_")


def _texts(root: object) -> Iterator[tuple[str, str]]:
    """
    Give all texts of a thing, each with its place.
    """
    seen: set[int] = set()
    kept: list[object] = []  # so that no id is used again
    waiting = deque([("", root, _is_told(root))])
    while waiting and len(kept) < _MOST:
        place, thing, told = waiting.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        kept.append(thing)
        told = told or _is_told(thing)
        yield from _shown(place, thing, told=told or thing is root)
        waiting += [(place + step, part, told) for step, part in _parts(thing)]


def _is_told(thing: object) -> bool:
    return isinstance(thing, BaseException | logging.LogRecord)


def _shown(place: str, thing: object, *, told: bool) -> Iterator[tuple[str, str]]:
    """
    Give what a thing says of itself, in every way that it can be asked.
    """
    if isinstance(thing, bytes | bytearray | memoryview):
        yield place, bytes(thing).decode("latin-1")
        return
    if isinstance(thing, str):
        conceals = type(thing).__repr__ is not str.__repr__
        yield place, repr(thing) if conceals and not told else str.__str__(thing)
        return
    yield f"repr({place})", _said(repr, thing)
    yield f"str({place})", _said(str, thing)
    if isinstance(thing, _OPAQUE):
        return
    yield from _pickled(place, thing)
    match thing:
        case BaseException():
            yield f"traceback of {place or 'it'}", _traceback(thing)
        case logging.LogRecord():
            yield f"{place}.getMessage()", _said(logging.LogRecord.getMessage, thing)
            yield f"{place} as written", _said(logging.Formatter().format, thing)
        case io.StringIO() | io.BytesIO():
            content = thing.getvalue()
            text = content if isinstance(content, str) else content.decode("latin-1")
            yield f"{place} as a file", text
        case Path() if thing.is_file():
            yield f"{place}{thing.name} as a file", thing.read_bytes().decode("latin-1")
        case Path() if thing.is_dir():
            for file in sorted(each for each in thing.rglob("*") if each.is_file()):
                name = str(file.relative_to(thing))
                yield f"{place}{name} as a file", file.read_bytes().decode("latin-1")


def _said(how: Any, thing: object) -> str:
    try:
        return str(how(thing))
    except Exception as error:  # noqa: BLE001 - such as of an object whose constructor raised
        return "".join(traceback.format_exception_only(error))


def _pickled(place: str, thing: object) -> Iterator[tuple[str, str]]:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        try:
            data = pickle.dumps(thing, protocol)
        except Exception:  # noqa: BLE001 - what cannot be pickled gives nothing away
            continue
        words = [argument for _, argument, _ in pickletools.genops(data)]
        told = [
            each if isinstance(each, str) else each.decode("latin-1")
            for each in words
            if isinstance(each, str | bytes | bytearray)
        ]
        yield f"pickle {protocol} of {place or 'it'}", "\n".join([data.decode("latin-1"), *told])


def _traceback(error: BaseException) -> str:
    told = traceback.TracebackException(type(error), error, None).format()
    lines = list(told)
    for frame, number in traceback.walk_tb(error.__traceback__):
        if not frame.f_code.co_filename.startswith(HERE):
            lines.append(f"{frame.f_code.co_filename}, {number}, {frame.f_code.co_qualname}")
            # Not `capture_locals`, which on Python 3.11 ends at the first `repr` that raises.
            lines += [f"{name} = {_said(repr, each)}" for name, each in frame.f_locals.items()]
    return "\n".join(lines)


def _parts(thing: object) -> Iterator[tuple[str, object]]:
    """
    Give what a thing is made of, and the step that leads there.
    """
    if isinstance(thing, (str, bytes, bytearray, memoryview, Path, *_OPAQUE)):
        return
    if isinstance(thing, BaseException):
        yield ".args", thing.args
        yield ".__notes__", getattr(thing, "__notes__", [])
        yield ".__cause__", thing.__cause__
        yield ".__context__", thing.__context__
        if isinstance(thing, BaseExceptionGroup):
            yield ".exceptions", thing.exceptions
    if isinstance(thing, Mapping):
        for name, value in _listed(thing.items()):
            yield f"[{type(name).__name__}]", name
            yield f"[{name}]" if type(name) is str else "[…]", value
    elif isinstance(thing, list | tuple | AbstractSet | deque):
        for index, value in enumerate(_listed(thing)):
            yield f"[{index}]", value
    for name, value in _attributes(thing):
        yield f".{name}", value


def _listed(things: Iterable[Any]) -> list[Any]:
    try:
        return list(things)
    except Exception:  # noqa: BLE001 - such as of one that somebody else changes meanwhile
        return []


def _attributes(thing: object) -> Iterator[tuple[str, object]]:
    names: dict[str, None] = dict.fromkeys(map(str, getattr(thing, "__dict__", ())))
    for each in type(thing).__mro__:
        slots = each.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            private = name.startswith("__") and not name.endswith("__")
            names[f"_{each.__name__.lstrip('_')}{name}" if private else name] = None
    for name in names:
        if name not in {"__weakref__", "__dict__"}:
            try:
                yield name, object.__getattribute__(thing, name)
            except AttributeError:
                continue
