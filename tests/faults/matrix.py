"""
The fault matrix: what each operation comes to under each lasting fault, in how many requests.

A cell reads `what/requests`, or `what/requests/seconds` where time plays a part. What is an
error's class, or `ok`; `0of4` are four tries that brought no request to the server. Nothing
here is computed: these are the promises, and the trials hold the product to them.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from email.utils import formatdate
from functools import partial

from attrs import evolve, field, frozen

from ..scripted import KEY, Act, Answer, HangUp, Noise, Received, Silence
from .wires import (
    GZIP,
    STRANGERS_BYTES,
    beginning,
    bomb,
    both_lengths,
    chunked,
    coded,
    followed,
    inserted,
    recoded,
    spoiled,
    surrounded,
    told,
    two_lengths,
    unfinished,
    with_length,
    zipped,
)

OPERATIONS = ("list", "get", "delete", "delete an import", "cancel", "create")

Wire = Act | Callable[[Received], Act]
Ends = tuple[str, ...]


@frozen(kw_only=True)
class Stage:
    """
    Where a client meets a server, or doesn't.
    """

    listens: bool = True
    """Whether anyone is there."""

    has_address: bool = True
    """Whether its name resolves."""

    is_used: bool = False
    """Whether the connection has served before."""

    over_tls: bool = False
    """Whether the client speaks TLS."""

    certificate: str = ""
    """What the server shows then; nothing, and it does not speak TLS."""

    later: bytes = b""
    """What the server says to the idle connection when the call is over."""


PLAIN = Stage()
USED = Stage(is_used=True)


@frozen
class Fault:
    """
    Something that goes wrong, each time, and what every operation comes to.
    """

    name: str
    ends: Ends
    forms: Mapping[str, Wire]
    """Its forms, by name: all end alike."""

    stage: Stage = field(default=PLAIN, kw_only=True)


def _table(text: str) -> dict[str, Ends]:
    rows = (line.split() for line in text.strip().splitlines()[1:])
    return {
        name: (read, read, deletion, deletion, cancel, create)
        for name, read, deletion, cancel, create in rows
    }


def each(end: str) -> Ends:
    """
    Give the row of a fault under which all operations end alike.
    """
    return (end,) * len(OPERATIONS)


# Walks are patient: a refusal for the rate ends them with their deadline alone.


def throttled(walk: str, other: str) -> Ends:
    """
    Give the row of a refusal for its rate, for walks and for all others.
    """
    return (f"Throttled/{walk}", *each(f"Throttled/{other}")[1:])


# What many faults have in common. Reads may be repeated, deletions too; a cancellation is looked
# into by a read, which meets the same fault; a billed creation is sent once.
_ENDS = _table(
    """
             reads                   deletions             cancel                create
    unread   ConnectionFailed/0of4   OutcomeUnknown/0of4   OutcomeUnknown/0of1   OutcomeUnknown/0of1
    lost     ConnectionFailed/4      OutcomeUnknown/4      OutcomeUnknown/5      OutcomeUnknown/1
    silent   DeadlineExceeded/4/120  OutcomeUnknown/4/120  OutcomeUnknown/4/120  OutcomeUnknown/1/30
    not_json MalformedResponse/2     OutcomeUnknown/2      OutcomeUnknown/3      OutcomeUnknown/1
    strange  MalformedResponse/1     OutcomeUnknown/2      OutcomeUnknown/2      OutcomeUnknown/1
    outage   ServiceError/4          OutcomeUnknown/4      OutcomeUnknown/5      OutcomeUnknown/1
    state    StateConflict/1         StateConflict/2       StateConflict/2       StateConflict/1
    """
)
UNREAD, LOST, SILENT, OUTAGE = (_ENDS[name] for name in ("unread", "lost", "silent", "outage"))
NOT_JSON, STRANGE, STATE = (_ENDS[name] for name in ("not_json", "strange", "state"))
UNSENT = each("ConnectionFailed/0of4")
HOPELESS = each("ConnectionFailed/0of1")
CONNECTING = each("DeadlineExceeded/0of4/120")
FINE = each("ok/1")


def one(wire: Wire) -> dict[str, Wire]:
    """
    Give the only form of a fault.
    """
    return {"": wire}


def cut(upto: bytes, *, stays: bool = False) -> Wire:
    """
    Give an answer's beginning, up to a mark, and the connection's end or silence.
    """
    return spoiled(lambda answer: Noise(beginning(answer, upto), stays=stays))


CONNECTING_FAULTS = [
    Fault("nobody listens", UNSENT, one(Silence()), stage=Stage(listens=False)),
    Fault("the name has no address", UNSENT, one(Silence()), stage=Stage(has_address=False)),
    Fault("reset as soon as accepted", UNREAD, one(HangUp(unread=True, reset=True))),
    Fault(
        "certificate of nobody known",
        HOPELESS,
        one(Silence()),
        stage=Stage(over_tls=True, certificate="../../certificate.pem"),
    ),
    Fault(
        "certificate expired",
        HOPELESS,
        one(Silence()),
        stage=Stage(over_tls=True, certificate="expired.pem"),
    ),
    Fault(
        "certificate of another name",
        HOPELESS,
        one(Silence()),
        stage=Stage(over_tls=True, certificate="misnamed.pem"),
    ),
    Fault(
        "TLS handshake stalls",
        CONNECTING,
        one(Silence(unread=True)),
        stage=Stage(over_tls=True),
    ),
    Fault(
        "TLS handshake breaks off",
        UNSENT,
        {"closed": HangUp(unread=True), "reset": HangUp(unread=True, reset=True)},
        stage=Stage(over_tls=True),
    ),
]

LOST_ANSWERS = {"closed": HangUp(), "reset": HangUp(reset=True)}

ANSWERING_FAULTS = [
    Fault("no answer on a fresh connection", LOST, LOST_ANSWERS),
    Fault("no answer on a used connection", LOST, LOST_ANSWERS, stage=USED),
    Fault("silence on a fresh connection", SILENT, one(Silence())),
    Fault("silence on a used connection", SILENT, one(Silence()), stage=USED),
    Fault("half a status line", LOST, one(cut(b"HTTP/1.1 2"))),
    Fault("half a status line, then silence", SILENT, one(cut(b"HTTP/1.1 2", stays=True))),
    Fault("half a header", LOST, one(cut(b"Content-Le"))),
    Fault("half a header, then silence", SILENT, one(cut(b"Content-Le", stays=True))),
    Fault(
        "headers drip",
        SILENT,
        one(spoiled(lambda answer: Noise(answer.head + answer.content, drip=1.0))),
    ),
    Fault(
        "not HTTP",
        LOST,
        {
            "another protocol": Noise(b"220 smtp.example ready\r\n"),
            "zeros": Noise(bytes(1000)),
            "a status of six digits": Noise(b"HTTP/1.1 200200 OK\r\n\r\n"),
            "a length in words": Noise(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
        },
    ),
]

BODY_FAULTS = [
    Fault(
        "body torn",
        LOST,
        {
            "closed": spoiled(lambda answer: evolve(answer, torn=9)),
            "one byte missing": spoiled(lambda answer: evolve(with_length(answer, 1), torn=10**6)),
            "last chunk missing": spoiled(
                lambda answer: evolve(chunked(answer.content, end=b"\r\n"), hangs_up=True)
            ),
        },
    ),
    Fault(
        "body shorter than announced, then silence",
        SILENT,
        {
            "by its length": spoiled(lambda answer: unfinished(with_length(answer, 1))),
            "by its chunks": spoiled(
                lambda answer: unfinished(chunked(answer.content, end=b"\r\n"))
            ),
        },
    ),
    Fault(
        "body longer than announced",
        LOST,
        {
            "by nine bytes of its own": spoiled(partial(with_length, more=-9)),
            "by other words": spoiled(partial(followed, surplus=b"and another thing")),
        },
    ),
    Fault("line ends behind the body", FINE, one(spoiled(partial(followed, surplus=b"\r\n\r\n")))),
    Fault("body drips", SILENT, one(spoiled(partial(evolve, drip=1.0)))),
    Fault(
        "body never ends",
        STRANGE,
        {
            "in chunks": Noise(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                endlessly=b"10000\r\n" + b" " * 0x10000 + b"\r\n",
            ),
            "without a length": Noise(b"HTTP/1.1 200 OK\r\n\r\n", endlessly=b" " * 0x10000),
            "of ten terabytes": Noise(
                b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000000\r\n\r\n",
                endlessly=b" " * 0x10000,
            ),
        },
    ),
    Fault(
        "bad chunk",
        LOST,
        {
            "size in words": spoiled(lambda answer: chunked(answer.content, "many")),
            "size below zero": spoiled(lambda answer: chunked(answer.content, "-5")),
            "size of 17 digits": spoiled(lambda answer: chunked(answer.content, "f" * 17)),
            "size too small": spoiled(lambda answer: chunked(answer.content, "5")),
            "no size": spoiled(lambda answer: chunked(answer.content, "")),
        },
    ),
    Fault(
        "two lengths",
        LOST,
        {
            "chunked too": spoiled(both_lengths),
            "that differ": spoiled(two_lengths(5)),
            "alike": spoiled(two_lengths(0)),
        },
    ),
    Fault(
        "gzip cut short",
        NOT_JSON,
        {
            "half": spoiled(lambda answer: zipped(answer, 40)),
            "at its head": spoiled(lambda answer: zipped(answer, 10)),
        },
    ),
    Fault("gzip without its check sum", FINE, one(spoiled(lambda answer: zipped(answer, -8)))),
    Fault(
        "gzip with a wrong check sum",
        LOST,
        one(spoiled(lambda a: Answer(gzip.compress(a.content)[:-8] + bytes(8), headers=GZIP))),
    ),
    Fault("gzip bomb, 512 MiB", STRANGE, one(spoiled(lambda _: Answer(bomb(512), headers=GZIP)))),
    Fault(
        "compression announced, but plain",
        LOST,
        {
            coding: spoiled(partial(evolve, headers={"Content-Encoding": coding}))
            for coding in ("gzip", "deflate", "br")
        },
    ),
]

HTML = b"<html><title>gateway</title></html>"
TEXT_HTML = {"Content-Type": "text/html"}

CONTENT_FAULTS = [
    Fault("HTML with 200", NOT_JSON, one(Answer(HTML, headers=TEXT_HTML))),
    Fault("HTML with 405", each("APIError/1"), one(Answer(HTML, 405, headers=TEXT_HTML))),
    Fault(
        "HTML with 502 or 504",
        OUTAGE,
        {str(status): Answer(HTML, status, headers=TEXT_HTML) for status in (502, 504)},
    ),
    Fault("nothing with 404", each("NotFound/1"), one(Answer(b"", 404))),
    Fault("nothing with 200 or 204", NOT_JSON, {"200": Answer(b""), "204": Answer(b"", 204)}),
    Fault(
        "no envelope",
        STRANGE,
        {
            word: Answer(word.encode())
            for word in ("null", "true", "42", '"fine"', "[]", "{}", '{"data": {}}')
        },
    ),
    Fault("not JSON", NOT_JSON, {"words": Answer(b"fine"), "half": Answer(b'{"output": {')}),
    Fault("garbage behind it", NOT_JSON, one(spoiled(surrounded(after=b"}")))),
    Fault("two documents", NOT_JSON, one(spoiled(lambda a: evolve(a, body=a.content * 2)))),
    Fault("byte order mark", FINE, one(spoiled(surrounded(b"\xef\xbb\xbf")))),
    Fault("UTF-16", NOT_JSON, one(spoiled(recoded))),
    Fault(
        "bad UTF-8",
        FINE,
        {
            "stray byte": spoiled(inserted(b'"x": "\xff"')),
            "overlong": spoiled(inserted(b'"x": "\xc0\xaf"')),
            "surrogate": spoiled(inserted(b'"x": "\xed\xa0\x80"')),
        },
    ),
    Fault(
        "NaN or infinity",
        FINE,
        {word: spoiled(inserted(b'"usage": ' + word.encode())) for word in ("NaN", "-Infinity")},
    ),
    Fault("number of 5,000 digits", FINE, one(spoiled(inserted(b'"usage": ' + b"9" * 5000)))),
    Fault(
        "100,000 levels",
        NOT_JSON,
        {
            "lists": spoiled(inserted(b'"x": ' + b"[" * 100_000 + b"]" * 100_000)),
            "objects": spoiled(inserted(b'"x": ' + b'{"x":' * 100_000 + b"0" + b"}" * 100_000)),
        },
    ),
    Fault("duplicate keys", FINE, one(spoiled(inserted(b'"status": "FAILED"')))),
    Fault(
        "success that carries a code",
        FINE,
        {
            code: spoiled(coded(code))
            for code in ("null", '""', "0", '"0"', "200", '"200"', '"Success"')
        },
    ),
]

# The service's no. Each code comes in every envelope that was seen, and none alters the end.

Envelope = Callable[[int, str, str], Answer]

ENVELOPES: dict[str, Envelope] = {
    "as documented": lambda status, code, text: told(
        status, {"code": code, "message": text}, Content_Type="application/json"
    ),
    "without a content type": lambda status, code, text: told(
        status, {"code": code, "message": text}
    ),
    "as HTML": lambda status, code, text: told(
        status, {"code": code, "message": text}, Content_Type="text/html"
    ),
    "with HTTP 200": lambda _, code, text: told(200, {"code": code, "message": text}),
    "with HTTP 200 and an empty output": lambda _, code, text: told(
        200, {"code": code, "message": text, "output": {}}
    ),
    "with msg": lambda status, code, text: told(status, {"code": code, "msg": text}),
    "under error": lambda status, code, text: told(
        status, {"error": {"code": code, "message": text, "type": "x"}}
    ),
    "under error, by its type": lambda status, code, text: told(
        status, {"error": {"type": code, "message": text}}
    ),
    "under error, with HTTP 200": lambda _, code, text: told(
        200, {"error": {"code": code, "message": text}}
    ),
}

_CODES: list[tuple[str, int, str, str, Ends]] = [
    ("InvalidParameter", 400, "page_no is wrong", "", each("InvalidRequest/1")),
    ("UnsupportedOperation", 400, "not in this state", "", STATE),
    ("OperationDenied", 400, "not in this state", "", STATE),
    ("InvalidApiKey", 401, "Invalid API-key provided.", "", each("AuthenticationFailed/1")),
    ("AccessDenied", 403, "Access denied.", "", each("PermissionDenied/1")),
    ("AccessDenied.Unpurchased", 400, "Not purchased.", "", each("PermissionDenied/1")),
    ("Arrearage", 400, "Overdue.", "", each("PermissionDenied/1")),
    ("NotFound", 404, "Not Found!", "", each("NotFound/1")),
    ("Conflict", 409, "The name is taken.", "", each("Conflict/1")),
    ("Throttling", 429, "Requests rate limit exceeded.", ", a rate", throttled("14", "4")),
    ("Throttling.RateQuota", 429, "", "", throttled("14", "4")),
    ("Throttling", 429, "Too many jobs are running.", ", a quota", each("QuotaExceeded/1")),
    ("InternalError", 500, "Internal error.", "", OUTAGE),
]

CODE_FAULTS = [
    Fault(
        f"`{code}`, HTTP {status}{remark}",
        ends,
        {form: envelope(status, code, text) for form, envelope in ENVELOPES.items()},
    )
    for code, status, text, remark, ends in _CODES
]

_BY_NUMBER: dict[int, Ends] = {
    400: each("InvalidRequest/1"),
    401: each("AuthenticationFailed/1"),
    403: each("PermissionDenied/1"),
    404: each("NotFound/1"),
    408: OUTAGE,
    409: each("Conflict/1"),
    418: each("APIError/1"),
    429: throttled("14", "4"),
    500: OUTAGE,
    503: OUTAGE,
}

NUMBER_FAULTS = [
    Fault(
        f"HTTP {status}",
        ends,
        {
            "a number for a code": told(status, {"code": status, "message": "no"}),
            "a code unheard of": told(status, {"code": "UnheardOf", "message": "no"}),
            "no code": told(status, {"message": "no"}),
            "a word under error": told(status, {"error": "no"}),
        },
    )
    for status, ends in _BY_NUMBER.items()
]

# Without `Retry-After` the limiter pauses for 0.75, 1.5 and 3 s here, jitter being at its most.


def busy(retry_after: str | None) -> Wire:
    """
    Give a refusal for its rate that asks for a pause.
    """
    more = {} if retry_after is None else {"Retry_After": retry_after}
    refusal = told(429, {"code": "Throttling", "message": "Slow down."})
    return evolve(refusal, headers={name.replace("_", "-"): value for name, value in more.items()})


GONE_BY, IN_A_CENTURY = formatdate(1e9, usegmt=True), formatdate(4.9e9, usegmt=True)

RETRY_AFTER_FAULTS = [
    Fault("429 without `Retry-After`", throttled("14/119.25", "4/5.25"), one(busy(None))),
    Fault("`Retry-After: 0`", throttled("14/119.25", "4/5.25"), one(busy("0"))),
    Fault("`Retry-After: 1`", throttled("14/119.5", "4/5.5"), one(busy("1"))),
    Fault("`Retry-After: 30`", each("Throttled/4/90"), one(busy("30"))),
    Fault("`Retry-After: 60`", each("Throttled/2/60"), one(busy("60"))),
    Fault("`Retry-After: 61`, more than a minute", each("Throttled/1/0"), one(busy("61"))),
    Fault("`Retry-After: 1000000000`", each("Throttled/1/0"), one(busy("1000000000"))),
    Fault(
        "`Retry-After`, a date in a century",
        each("Throttled/1/0"),
        one(busy(IN_A_CENTURY)),
    ),
    Fault(
        "`Retry-After`, a date gone by",
        throttled("14/119.25", "4/5.25"),
        one(busy(GONE_BY)),
    ),
    Fault(
        "`Retry-After` that says nothing",
        throttled("14/119.25", "4/5.25"),
        {
            word: busy(word)
            for word in (
                *("-5", "nan", "inf", "1, 2", "soon", "Wed, 99 Foo 2000"),
                "Wed, 21 Oct 2015 07:28:00 +99999999999999",
            )
        },
    ),
]

ELSEWHERE = "{elsewhere}"
"""Stands for the URL of a server that must never be asked."""

REDIRECT_FAULTS = [
    Fault(
        f"HTTP {status}",
        each("APIError/1"),
        {
            where or "nowhere": Answer(b"", status, headers={"Location": where})
            for where in (ELSEWHERE, "/api/v1/fine-tunes/ft-1", "//elsewhere.example/", "")
        },
    )
    for status in (300, 301, 302, 303, 305, 307, 308)
]

KEPT_FAULTS = [
    Fault(
        "a second answer right behind the first",
        FINE,
        one(spoiled(partial(followed, surplus=STRANGERS_BYTES))),
    ),
    Fault(
        "a second answer later",
        FINE,
        one(spoiled(lambda answer: answer)),
        stage=Stage(later=STRANGERS_BYTES),
    ),
    Fault(
        "half a second answer later",
        FINE,
        one(spoiled(lambda answer: answer)),
        stage=Stage(later=STRANGERS_BYTES[:30]),
    ),
    Fault(
        "`Set-Cookie`",
        FINE,
        one(spoiled(partial(evolve, headers={"Set-Cookie": "session=1; Path=/"}))),
    ),
]

KEY_FAULTS = [
    Fault(
        "the key in a message",
        each("AuthenticationFailed/1"),
        {
            "plain": told(401, {"code": "InvalidApiKey", "message": f"Wrong key {KEY}!"}),
            "under error": told(401, {"error": {"code": "InvalidApiKey", "message": KEY}}),
        },
    ),
    Fault(
        "the key in HTML",
        NOT_JSON,
        {
            "plain": Answer(f"<html>{KEY}</html>".encode()),
            "at the excerpt's end": Answer(b"x" * 110 + KEY.encode()),
        },
    ),
]

MATRIX: dict[str, list[Fault]] = {
    "Connecting": CONNECTING_FAULTS,
    "Answering": ANSWERING_FAULTS,
    "The body": BODY_FAULTS,
    "Its content": CONTENT_FAULTS,
    "The service's no, by its code": CODE_FAULTS,
    "The service's no, without a code of its own": NUMBER_FAULTS,
    "The rate": RETRY_AFTER_FAULTS,
    "Redirects": REDIRECT_FAULTS,
    "Connections that are kept": KEPT_FAULTS,
    "The key, told back": KEY_FAULTS,
}
