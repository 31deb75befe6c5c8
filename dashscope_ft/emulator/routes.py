"""
The operations, and the requests that they belong to.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from attrs import field, frozen

from .account import Account, Caller
from .journal import Request
from .refusals import invalid

_NUMBERS = frozenset({"page_no", "page_size", "offset", "line"})
_PAGE = ("page_no", "page_size")


@frozen
class Route:
    """
    An operation: its name, its requests, and the method that performs it.
    """

    name: str
    """The name, such as `fine_tunes.delete`."""

    method: str
    """The HTTP method."""

    template: str
    """The path below the base URL, with an asterisk for each segment that is a value."""

    operation: Callable[..., Any]
    """The account's method, which takes the values in the path first."""

    query: tuple[str, ...] = ()
    """The parameters that it takes from the query."""

    takes_body: bool = field(default=False, kw_only=True)
    """Whether it takes the body."""

    @cached_property
    def segments(self) -> tuple[str, ...]:
        """
        The segments of the template.
        """
        return tuple(self.template.split("/")[1:])

    def match(self, segments: tuple[str, ...]) -> tuple[str, ...] | None:
        """
        Return the values in a path, or None if it is another route's.
        """
        if len(segments) != len(self.segments):
            return None
        pairs = list(zip(self.segments, segments, strict=True))
        if any(own not in ("*", given) or not given for own, given in pairs):
            return None
        return tuple(given for own, given in pairs if own == "*")

    def perform(self, account: Account, path_values: tuple[str, ...], request: Request) -> Any:
        """
        Perform the operation for a request, and return the `output` of its answer.
        """
        given = {name: request.query[name] for name in self.query if name in request.query}
        options = {name: _parsed(name, text) for name, text in given.items()}
        caller = Caller(workspace=request.workspace, request_id=request.request_id)
        if not self.takes_body:
            return self.operation(account, *path_values, caller=caller, **options)
        if not isinstance(request.body, dict):
            raise invalid("The body must be a JSON object.")
        return self.operation(account, request.body, caller=caller, **options)


ROUTES = (
    Route("fine_tunes.create", "POST", "/fine-tunes", Account.create_job, takes_body=True),
    Route("fine_tunes.list", "GET", "/fine-tunes", Account.list_jobs, (*_PAGE, "model")),
    Route("fine_tunes.get", "GET", "/fine-tunes/*", Account.get_job),
    Route("fine_tunes.cancel", "POST", "/fine-tunes/*/cancel", Account.cancel_job),
    Route("fine_tunes.delete", "DELETE", "/fine-tunes/*", Account.delete_job),
    Route("fine_tunes.logs", "GET", "/fine-tunes/*/logs", Account.read_log, ("offset", "line")),
    Route("fine_tunes.checkpoints", "GET", "/fine-tunes/*/checkpoints", Account.list_checkpoints),
    Route(
        "fine_tunes.export",
        "GET",
        "/fine-tunes/*/export/*",
        Account.export_checkpoint,
        ("model_name",),
    ),
    Route(
        "imports.create", "POST", "/custom_models/import", Account.create_import, takes_body=True
    ),
    Route(
        "imports.list",
        "GET",
        "/custom_models/import",
        Account.list_imports,
        (*_PAGE, "status", "model_name"),
    ),
    Route("imports.get", "GET", "/custom_models/import/*", Account.get_import),
    Route("imports.delete", "DELETE", "/custom_models/import/*", Account.delete_import),
)


def find(method: str, segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]] | None:
    """
    Return the route of a request and the values in its path, or None.
    """
    for route in ROUTES:
        if route.method == method and (path_values := route.match(segments)) is not None:
            return route, path_values
    return None


def _parsed(name: str, text: str) -> int | str:
    """
    Return the value of a parameter of the query.
    """
    if name not in _NUMBERS:
        return text
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise invalid(f"Parameter {name} must be an integer.")
    return int(text)
