"""
Which operation a request means, and what it hands to the account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen

from .account import Account
from .requirements import invalid


@frozen(kw_only=True)
class Call:
    """
    What an operation is given.
    """

    path: tuple[str, ...]
    """The segments of the path that are not fixed: a job's id, a checkpoint's name."""

    query: Mapping[str, str]
    """The query."""

    body: Any
    """The body's JSON, or None."""

    workspace: str | None
    """The workspace in the header."""

    request_id: str
    """The id of the answer."""

    def number(self, name: str, default: int) -> int:
        """
        Return a number of the query.
        """
        text = self.query.get(name, str(default))
        if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
            raise invalid(f"Parameter {name} must be an integer.")
        return int(text)

    @property
    def fields(self) -> Mapping[str, Any]:
        """
        The body, which must be an object.
        """
        if not isinstance(self.body, dict):
            raise invalid("The body must be a JSON object.")
        return self.body

    @property
    def page(self) -> dict[str, int]:
        """
        Which page is wanted.
        """
        return {"page_no": self.number("page_no", 1), "page_size": self.number("page_size", 10)}

    @property
    def job_id(self) -> str:
        """
        The job in the path.
        """
        return self.path[0]

    @property
    def checkpoint(self) -> str:
        """
        The checkpoint in the path.
        """
        return self.path[1]


@frozen
class Route:
    """
    An operation: its name, where it is found, and how it is done.
    """

    name: str
    method: str
    template: str
    perform: Callable[[Account, Call], Any]
    segments: tuple[str, ...] = field(init=False)

    @segments.default
    def _segments(self) -> tuple[str, ...]:
        return tuple(self.template.split("/")[1:])

    def match(self, segments: tuple[str, ...]) -> tuple[str, ...] | None:
        """
        Return the segments that are not fixed, or None for another path.
        """
        if len(segments) != len(self.segments):
            return None
        pairs = list(zip(self.segments, segments, strict=True))
        if any(own not in ("*", given) or not given for own, given in pairs):
            return None
        return tuple(given for own, given in pairs if own == "*")


ROUTES = (
    Route(
        "fine_tunes.create",
        "POST",
        "/fine-tunes",
        lambda account, call: account.create_job(
            call.fields, workspace=call.workspace, request_id=call.request_id
        ),
    ),
    Route(
        "fine_tunes.list",
        "GET",
        "/fine-tunes",
        lambda account, call: account.list_jobs(
            **call.page, model=call.query.get("model"), workspace=call.workspace
        ),
    ),
    Route(
        "fine_tunes.get",
        "GET",
        "/fine-tunes/*",
        lambda account, call: account.get_job(call.job_id, workspace=call.workspace),
    ),
    Route(
        "fine_tunes.cancel",
        "POST",
        "/fine-tunes/*/cancel",
        lambda account, call: account.cancel_job(
            call.job_id, workspace=call.workspace, request_id=call.request_id
        ),
    ),
    Route(
        "fine_tunes.delete",
        "DELETE",
        "/fine-tunes/*",
        lambda account, call: account.delete_job(
            call.job_id, workspace=call.workspace, request_id=call.request_id
        ),
    ),
    Route(
        "fine_tunes.logs",
        "GET",
        "/fine-tunes/*/logs",
        lambda account, call: account.read_log(
            call.job_id,
            offset=call.number("offset", 0),
            line=call.number("line", 100),
            workspace=call.workspace,
        ),
    ),
    Route(
        "fine_tunes.checkpoints",
        "GET",
        "/fine-tunes/*/checkpoints",
        lambda account, call: account.list_checkpoints(call.job_id, workspace=call.workspace),
    ),
    Route(
        "fine_tunes.export",
        "GET",
        "/fine-tunes/*/export/*",
        lambda account, call: account.export_checkpoint(
            call.job_id,
            call.checkpoint,
            model_name=call.query.get("model_name"),
            workspace=call.workspace,
            request_id=call.request_id,
        ),
    ),
    Route(
        "imports.create",
        "POST",
        "/custom_models/import",
        lambda account, call: account.create_import(
            call.fields, workspace=call.workspace, request_id=call.request_id
        ),
    ),
    Route(
        "imports.list",
        "GET",
        "/custom_models/import",
        lambda account, call: account.list_imports(
            **call.page,
            status=call.query.get("status"),
            model_name=call.query.get("model_name"),
            workspace=call.workspace,
        ),
    ),
    Route(
        "imports.get",
        "GET",
        "/custom_models/import/*",
        lambda account, call: account.get_import(call.job_id, workspace=call.workspace),
    ),
    Route(
        "imports.delete",
        "DELETE",
        "/custom_models/import/*",
        lambda account, call: account.delete_import(
            call.job_id, workspace=call.workspace, request_id=call.request_id
        ),
    ),
)


def find(method: str, segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]] | None:
    """
    Return the route of a request and the segments that are not fixed, or None.
    """
    for route in ROUTES:
        if route.method == method and (path := route.match(segments)) is not None:
            return route, path
    return None
