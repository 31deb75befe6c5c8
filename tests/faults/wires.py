"""
What is on the wire: a healthy service's answers, and what faults make of them.
"""

from __future__ import annotations

import gzip
import json
import struct
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any
from zlib import crc32

from attrs import evolve

from ..scripted import Act, Answer, Noise, Received

Spoiling = Callable[[Answer], Act]
"""Makes something else of a healthy answer."""

GZIP = {"Content-Encoding": "gzip"}
CHUNKED = {"Transfer-Encoding": "chunked", "Content-Length": ""}
MIB = 2**20


def healthy(request: Received) -> Answer:
    """
    Answer as the service does, about the very job that was asked for.
    """
    path = request.target.removeprefix("/api/v1").partition("?")[0]
    _, noun, *rest = path.split("/")
    job = {"job_id": rest[-1] if rest else "ft-1", "status": "RUNNING"}
    output: dict[str, Any]
    match request.method, noun, rest:
        case "GET", "fine-tunes", []:
            output = {"jobs": [job], "page_no": 1, "page_size": 100, "total": 1}
        case "GET", "fine-tunes", [_]:
            output = job
        case "POST", "fine-tunes", []:
            output = job
        case ("POST", "fine-tunes", [_, "cancel"]) | ("DELETE", "fine-tunes", [_]):
            output = {"status": "success"}
        case "DELETE" | "GET", "custom_models", ["import", _]:
            output = job
        case _:
            raise ValueError(f"{request.line} is no request of these trials.")
    return Answer({"request_id": "r-1", "output": output})


def spoiled(spoil: Spoiling) -> Callable[[Received], Act]:
    """
    Give what answers each request with the spoiled form of its healthy answer.
    """
    return lambda request: spoil(healthy(request))


# Spoiled as HTTP


def beginning(answer: Answer, upto: bytes) -> bytes:
    """
    Give an answer's bytes up to a mark within.
    """
    whole = answer.head + answer.content
    return whole[: whole.index(upto) + len(upto)]


def headed(*headers: str) -> Spoiling:
    """
    Give the answer with these header lines alone, on a connection that stays open.
    """
    head = "\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode()
    return lambda answer: Noise(head + answer.content, stays=True)


def chunked(content: bytes, size: str | None = None, end: bytes = b"\r\n0\r\n\r\n") -> Answer:
    """
    Give an answer in one chunk, of the size that it claims.
    """
    claimed = f"{len(content):x}" if size is None else size
    return Answer(claimed.encode() + b"\r\n" + content + end, headers=CHUNKED)


def with_length(answer: Answer, more: int) -> Answer:
    """
    Give the answer with a `Content-Length` that is too large or, below zero, too small.
    """
    return evolve(answer, headers={"Content-Length": str(len(answer.content) + more)})


def unfinished(answer: Answer) -> Noise:
    """
    Give an answer that is less than it announces, and then silence.
    """
    return Noise(answer.head + answer.content, stays=True)


def both_lengths(answer: Answer) -> Act:
    """
    Give the answer in chunks and with a `Content-Length`.
    """
    whole = chunked(answer.content)
    return evolve(whole, headers={**whole.headers, "Content-Length": str(len(answer.content))})


def two_lengths(more: int) -> Spoiling:
    """
    Give the answer with two lengths, the second of which differs by so much.
    """

    def spoil(answer: Answer) -> Act:
        size = len(answer.content)
        return headed(f"Content-Length: {size}", f"Content-Length: {size + more}")(answer)

    return spoil


def followed(answer: Answer, surplus: bytes) -> Answer:
    """
    Give the answer with bytes behind it that nobody asked for.
    """
    return Answer(answer.content + surplus, headers={"Content-Length": str(len(answer.content))})


STRANGERS = Answer(
    {"request_id": "r-stranger", "output": {"job_id": "ft-stranger", "status": "success"}}
)
STRANGERS_BYTES = STRANGERS.head + STRANGERS.content

# Spoiled as gzip


def zipped(answer: Answer, upto: int | None = None) -> Answer:
    """
    Give the answer in gzip, cut behind so many bytes.
    """
    return Answer(gzip.compress(answer.content)[:upto], headers=GZIP)


@cache
def bomb(mebibytes: int) -> bytes:
    """
    Give so many MiB of zeros in gzip, a thousandth of their size, made in little memory.
    """
    zeros = bytes(MIB)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    # A full flush forgets what came before, so that the same piece may follow itself.
    piece = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    check = 0
    for _ in range(mebibytes):
        check = crc32(zeros, check)
    head = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
    tail = packer.flush() + struct.pack("<II", check, mebibytes * MIB % 2**32)
    return head + piece * mebibytes + tail


# Spoiled as JSON


def inserted(text: bytes) -> Spoiling:
    """
    Put text before each status in the answer: jobs and acknowledgements have one.
    """
    return lambda answer: evolve(
        answer, body=answer.content.replace(b'"status":', text + b', "status":')
    )


def surrounded(before: bytes = b"", after: bytes = b"") -> Spoiling:
    """
    Put bytes around the answer.
    """
    return lambda answer: evolve(answer, body=before + answer.content + after)


def coded(code: str) -> Spoiling:
    """
    Put a code at the envelope's beginning.
    """
    return lambda answer: evolve(
        answer, body=b'{"code": ' + code.encode() + b", " + answer.content[1:]
    )


def recoded(answer: Answer) -> Answer:
    """
    Give the answer in UTF-16.
    """
    return evolve(answer, body=answer.content.decode().encode("utf-16"))


# The service's no


def told(status: int, words: dict[str, Any], **headers: str) -> Answer:
    """
    Give an envelope, with a request id.
    """
    return Answer(json.dumps({"request_id": "r-no"} | words).encode(), status, headers=headers)
