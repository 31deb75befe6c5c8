"""
Thousands of strings as job ids, and what they make of the path on the wire.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any

import pytest
from attrs import frozen

from dashscope_ft import AsyncClient, FineTuneJob, ImportJob, InvalidArgument

from .scripted import ACKNOWLEDGED, Answer, Received, job, scripted

CASES = int(os.environ.get("JOB_ID_CASES", "1000"))
SEED = 20_241_029

PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
HOSTILE = (
    *("..", ".", "...", "%2e%2e", "%2E.", "%252e%252e", "../", "/..", "/../../models", "/./"),
    *("/", "//", "%2f", "%2F", "\\", "..\\", "%5c", "?", "?page_no=1", "#", "#x", "&", ";a=b", "="),
    *("%", "%0", "%zz", "@", "@evil.example", "https://evil.example/", "//evil.example", "[", "|"),
    *("\0", "%00", "\r\n", "\n", "\r", "%0d%0a", "\r\nX-Extra: 1", " HTTP/1.1\r\n\r\nGET /x", "\t"),
    *(" ", "+", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff", "\u200b", "\u202e", "\u200d"),
    *("\ud800", "\udfff", "\udc2f", "\ud83d\ude00", "\U000e0041", "\U0010ffff", "\u0301", "\ufffd"),
    *("~", "'", '"', "`", "$(id)", "{}", "<", "*", "!", ",", "(", "/cancel", "/logs", "_/", "-/"),
)
LOOK_ALIKES = {
    ".": "\u2024\uff0e\u3002\u2025",
    "-": "\u2010\u2011\uff0d\u2212\u00ad",
    "_": "\uff3f",
    ":": "\uff1a\ua789",
    "f": "\uff46\u017f",
    "t": "\uff54",
    "a": "\u0430\uff41",
    "e": "\u0435",
    "o": "\u043e\u03bf",
    "1": "\uff11\u00b9\u0661\u2460",
    "2": "\u00b2\u0662",
    "K": "\u212a",
    "/": "\u2215\u2044\uff0f",
}

Record = Callable[[str, object], None]


class Pretender(str):
    """
    An id that says something else when it is put into a text.
    """

    __slots__ = ()

    def __str__(self) -> str:
        return "../models"

    def __format__(self, _: str) -> str:
        return "../models"


def usual(random: Random) -> str:
    """
    Give an id as the service has them, or as it might.
    """
    digits = "".join(random.choices("0123456789abcdef", k=12))
    length = random.choice([0, 1, 7, 126, 127])
    odd = random.choice(PLAIN) + "".join(random.choices(PLAIN + "._:-", k=length))
    return random.choice([f"ft-{digits}-{digits[:4]}", odd])


def disturbed(random: Random) -> str:
    text = usual(random)
    for _ in range(random.randint(1, 3)):
        place = random.choice([0, len(text), random.randint(0, len(text))])
        text = text[:place] + random.choice(HOSTILE) + text[place:]
    return text


def hostile(random: Random) -> str:
    return "".join(random.choices(HOSTILE, k=random.randint(0, 6)))


def alike(random: Random) -> str:
    text = random.choice(["ft-1", "ft-2024.10:a_2", "a/b", "..", "Koala-1"])
    place = random.choice([at for at, sign in enumerate(text) if sign in LOOK_ALIKES])
    return text[:place] + random.choice(LOOK_ALIKES[text[place]]) + text[place + 1 :]


def long(random: Random) -> str:
    return random.choice(PLAIN) * random.choice([128, 129, 130, 255, 256, 4_096, 70_000, 300_000])


def any_signs(random: Random) -> str:
    highest = random.choice([0x7F, 0xFF, 0xFFFF, 0x10FFFF])
    return "".join(chr(random.randint(0, highest)) for _ in range(random.randint(1, 12)))


def pretending(random: Random) -> str:
    return Pretender(random.choice([usual, disturbed])(random))


KINDS = (usual, disturbed, hostile, alike, long, any_signs, pretending)


def candidates(count: int) -> Iterator[tuple[str, bool]]:
    """
    Yield strings, and whether each is known to be a good id; the same for the same count.
    """
    random = Random(SEED)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        yield kind(random), kind is usual


@frozen
class Ask:
    """
    An operation on one job, and what its request must be.
    """

    send: Callable[[AsyncClient, Any], Awaitable[object]]
    noun: type[FineTuneJob | ImportJob]
    method: str
    before: str
    behind: str = ""

    def line(self, job_id: str) -> bytes:
        return f"{self.method} /api/v1{self.before}{job_id}{self.behind} HTTP/1.1".encode("ascii")


ASKS = (
    Ask(lambda client, of: client.fine_tunes.get(of), FineTuneJob, "GET", "/fine-tunes/"),
    Ask(lambda client, of: client.fine_tunes.delete(of), FineTuneJob, "DELETE", "/fine-tunes/"),
    Ask(
        *(lambda client, of: client.fine_tunes.cancel(of), FineTuneJob),
        *("POST", "/fine-tunes/", "/cancel"),
    ),
    Ask(lambda client, of: client.imports.get(of), ImportJob, "GET", "/custom_models/import/"),
    Ask(
        lambda client, of: client.imports.delete(of), ImportJob, "DELETE", "/custom_models/import/"
    ),
)


def answered(request: Received) -> Answer:
    if request.method == "GET" or "/import/" in request.target:
        return job(job_id=request.target.rpartition("/")[2])
    return ACKNOWLEDGED


@pytest.mark.once
async def test_thousands_of_job_ids(record_property: Record) -> None:
    """
    A string given as a job id is refused unsent, or is one segment of the path, as it is.
    """
    strings = refused = sent = 0
    async with scripted(answered) as server:
        client = server.client()
        for number, (text, is_good) in enumerate(candidates(CASES)):
            strings += 1
            for ask in ASKS:
                given = text if number % 2 else ask.noun(job_id=text)
                server.requests.clear()
                try:
                    await ask.send(client, given)
                except InvalidArgument as error:
                    assert not server.requests, f"{text!r} was refused, and sent"
                    assert not is_good, f"{text!r} was refused"
                    assert error.__context__ is None
                    assert str(error).isascii()
                    assert len(str(error)) < 500
                    refused += 1
                    continue

                [request] = server.requests
                segment = "".join(text)
                assert not set(segment) & set("/\\?#% \t\r\n\0")
                assert segment.strip(".")
                assert request.head.split(b"\r\n")[0] == ask.line(segment)
                sent += 1

    assert min(refused, sent) > 0
    record_property(
        "figure",
        f"{strings:,} strings as job ids in {len(ASKS)} operations, half of them inside a job: "
        f"{refused:,} calls refused with nothing sent, {sent:,} sent as exactly one segment "
        f"below the base path, {strings * len(ASKS) - refused - sent} anything else.",
    )
