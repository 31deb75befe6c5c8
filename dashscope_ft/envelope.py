"""
From bytes to an envelope: what the service said, before it is turned into models.

The body decides what an answer means, not the headers and not the HTTP status alone: gateways
answer HTML, some successes have an error code, and some refusals have HTTP 200.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Mapping
from datetime import UTC
from http import HTTPStatus
from math import isfinite
from typing import Any, NamedTuple

import orjson

from .errors import APIError, MalformedResponse, hint_for, refusal_class

Row = dict[str, Any]

_EXCERPT = 120  # characters of a strange answer that an error keeps
_SHORTEST_SECRET = 6  # only tests have shorter keys; to mask those would mask parts of words
_LONGEST_INTEGER = 20  # characters; orjson reads larger integers as floats


class Reply(NamedTuple):
    """
    One answer of the service, taken apart.
    """

    status: int
    """The HTTP status."""

    output: Any = None
    """The payload of a success."""

    has_output: bool = True
    """Whether the envelope has the key `output`, even if it is null."""

    failed: bool = False
    """Whether the service refused, by HTTP status or by code."""

    is_json: bool = True
    """Whether the body was JSON at all."""

    is_oversized: bool = False
    """Whether the body exceeded the limit, and was not read to its end."""

    code: str | None = None
    """The envelope's error code; None for a success."""

    message: str = ""
    """The message of a refusal, or the name of its HTTP status; empty for a success."""

    request_id: str | None = None
    """The service's id of the request: the body's, else the header's."""

    retry_after: float | None = None
    """Seconds to wait, from `Retry-After`; None for a success, or without that header."""

    excerpt: str = ""
    """The beginning of the body, printable."""

    secret: str | None = None
    """The API key, which errors mask if the answer repeats it."""


def read_reply(
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    now: float,
    secret: str | None = None,
) -> Reply:
    """
    Take one answer apart.

    Args:
        status: The HTTP status.
        headers: Looked up as `x-request-id` and `Retry-After`.
        body: The whole body; None where it was too large to be read.
        now: The wall clock, seconds since the epoch, for a `Retry-After` that is a date.
        secret: The API key, which is masked wherever the answer repeats it.
    """
    is_oversized, body = body is None, body or b""
    if secret is not None and len(secret) < _SHORTEST_SECRET:
        secret = None
    try:
        envelope, is_json = _parsed(body), True
    except (ValueError, RecursionError):
        envelope, is_json = None, False
    fields: Row = envelope if isinstance(envelope, dict) else {}
    output = fields.get("output")
    code, message = _failure(fields)
    failed = status >= 300 or (code is not None and not _is_usable(output))
    is_strange = failed or not fields
    request_id = fields.get("request_id")
    if type(request_id) is not str or not request_id:
        # aiohttp decodes a byte that is not text to half a character, which no file takes.
        request_id = headers.get("x-request-id", "").encode("ascii", "replace").decode() or None
    request_id = request_id and _without(secret, request_id)
    if is_strange:
        code, message = code and _without(secret, code), _without(secret, message)
    return Reply(
        status=status,
        output=output,
        has_output="output" in fields,
        failed=failed,
        is_json=is_json,
        is_oversized=is_oversized,
        code=code if failed else None,
        message=(message or _phrase(status)) if failed else "",
        request_id=request_id,
        retry_after=_seconds(headers.get("Retry-After"), now) if failed else None,
        excerpt=_excerpt(body, secret) if is_strange else "",
        secret=secret,
    )


def refusal(reply: Reply, asked: str) -> APIError:
    """
    Build the error for a refusal.

    Args:
        reply: The answer.
        asked: The region and host that were asked, for the hint.
    """
    error = refusal_class(reply.status, reply.code, reply.message)(
        reply.message, code=reply.code, status=reply.status, request_id=reply.request_id
    )
    error.retry_after = reply.retry_after
    error.hint = hint_for(error, asked)
    return error


def malformed(path: str, reply: Reply, expected: str) -> MalformedResponse:
    """
    Build the error for an answer that is not as documented.

    Args:
        path: The JSON path of what is not as documented.
        reply: The answer.
        expected: What should be there.
    """
    error = MalformedResponse(
        f"The answer's {path} is not {expected}.",
        status=reply.status,
        request_id=reply.request_id,
    )
    error.path = path
    error.excerpt = reply.excerpt or _excerpt(_written(reply.output), reply.secret)
    return error


class Rows(NamedTuple):
    """
    A page of a listing, whose rows are not yet models.
    """

    rows: list[Row]
    """The rows, each with a usable `job_id`."""

    job_ids: list[str]
    """The ids of the rows, in order."""

    times: list[Any]
    """Their creation times as sent, of any type; None where the field is absent."""

    page_no: int
    """The page's number, as the service echoes it, else as asked."""

    page_size: int
    """The page's size, likewise."""

    total: int | None
    """How many jobs the service counts; None if it sent no usable number."""

    request_id: str | None = None
    """The service's id of the request."""


def read_rows(reply: Reply, key: str, time_field: str, *, page_no: int, page_size: int) -> Rows:
    """
    Find the rows of a listing.

    Args:
        reply: A success.
        key: Where under `output` the rows lie.
        time_field: A row's field with the creation time.
        page_no: The requested number, used if the reply does not echo one.
        page_size: Likewise.

    Raises:
        MalformedResponse: A row is not an object with a `job_id`, or there is no listing.
    """
    output = {} if reply.output is None and reply.has_output else reply.output
    if not isinstance(output, dict):
        raise malformed("output", reply, "a listing")
    rows = output.get(key)
    if rows is None and (not output or output.keys() & {key, "page_no", "page_size", "total"}):
        rows = []
    if not isinstance(rows, list):
        raise malformed(f"output.{key}", reply, "a list")
    job_ids: list[str] = []
    for row in rows:
        job_id = row.get("job_id") if type(row) is dict else None
        if type(job_id) is not str or not job_id:
            path = f"output.{key}[{len(job_ids)}]"
            if type(row) is dict:
                raise malformed(f"{path}.job_id", reply, "a non-empty string")
            raise malformed(path, reply, "a job")
        job_ids.append(job_id)
    return Rows(
        rows=rows,
        job_ids=job_ids,
        times=[row.get(time_field) for row in rows],
        page_no=read_count(output.get("page_no"), 1) or page_no,
        page_size=read_count(output.get("page_size"), 1) or page_size,
        total=read_count(output.get("total"), 0),
        request_id=reply.request_id,
    )


def read_count(value: object, least: int) -> int | None:
    """
    Read a whole number, which may be sent as text; None for anything else, or below `least`.
    """
    if type(value) is str and value.isdecimal() and len(value) <= _LONGEST_INTEGER:
        value = int(value)
    return value if type(value) is int and value >= least else None


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # One odd value must not cost the page: half a character, a byte that is not text, a raw
        # control character, NaN, a number beyond all floats.
        lenient = json.loads(
            body.decode("utf-8-sig", "replace"),
            strict=False,
            parse_float=_number,
            parse_int=_integer,
            parse_constant=str,
        )
        return orjson.loads(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))


def _integer(text: str) -> int | float | str:
    return int(text) if len(text) <= _LONGEST_INTEGER else _number(text)


def _number(text: str) -> float | str:
    number = float(text)
    return number if isfinite(number) else text


def _failure(fields: Row) -> tuple[str | None, str]:
    """
    Return the error code of an envelope, None for a success, and its message.
    """
    inner = fields.get("error")
    error: Row = inner if isinstance(inner, dict) else {}
    code = fields.get("code")
    if _succeeded(code):
        code = error.get("code") or error.get("type")
    message = fields.get("message") or fields.get("msg") or error.get("message") or inner
    return (
        None if _succeeded(code) else str(code),
        message if isinstance(message, str) else "",
    )


def _succeeded(code: object) -> bool:
    if isinstance(code, str):
        return code.lower() in ("", "0", "200", "success", "ok")
    return not isinstance(code, int | float) or code in (0, 200)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"HTTP {status}"


def _seconds(text: str | None, now: float) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            date = email.utils.parsedate_to_datetime(text)
            seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(0.0, seconds) if isfinite(seconds) else None


def _is_usable(output: object) -> bool:
    """
    Return whether a payload holds more than numbers; only then is an answer with an error code a
    success.
    """
    if isinstance(output, dict):
        return any(value for value in output.values() if type(value) is not int)
    return bool(output)


def _written(output: object) -> bytes:
    try:
        return orjson.dumps(output)
    except TypeError:
        return b"nested too deeply to be shown"


def _without(secret: str | None, text: str) -> str:
    return text.replace(secret, "***") if secret else text


def _excerpt(body: bytes, secret: str | None) -> str:
    # Mask the secret before the body is cut: half of a secret would not be found.
    body = body.replace(secret.encode(), b"***") if secret else body
    text = body[: 4 * _EXCERPT].decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in text)[:_EXCERPT]
