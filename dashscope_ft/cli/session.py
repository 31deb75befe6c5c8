"""
What every command is told: the endpoint that it uses, and its output format.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashscope_ft import AsyncClient

    from .kind import Kind


class Output(StrEnum):
    """
    The output formats.
    """

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


@dataclass(frozen=True)
class Session:
    """
    What a command line says about the endpoint and the output format.
    """

    region: str | None = None
    workspace: str | None = None
    base_url: str | None = None
    output: Output | None = None
    kind: Kind | None = None
    """The kind of job that the command is about, if its group has one."""

    stdin_taken: bool = False
    """Whether the command has read its ids from stdin, so that it cannot read an answer there."""

    @property
    def form(self) -> Output:
        """
        The output format, `table` by default.
        """
        return self.output or Output.TABLE

    def client(self) -> AsyncClient:
        """
        Return a client with these settings; the environment supplies those that were not given.
        """
        from dashscope_ft import AsyncClient

        return AsyncClient(region=self.region, workspace=self.workspace, base_url=self.base_url)

    def command(self, *words: str) -> str:
        """
        Return a command line, ready to be pasted, for the same endpoint.
        """
        import shlex

        options = {
            "--region": self.region,
            "--workspace": self.workspace,
            "--base-url": self.base_url,
        }
        line = ["dashscope-ft", *words]
        for option, value in options.items():
            if value is not None:
                line += option, value
        return shlex.join(line)

    def refined(self, **given: Any) -> Session:
        """
        Return a copy with the options of the next word of the command line, which win.

        Args:
            given: The options; those that are None were not given.
        """
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def place_of(client: AsyncClient) -> str:
    """
    Return a client's region, host and workspace in words.
    """
    from urllib.parse import urlsplit

    workspace = f", workspace {client.workspace}" if client.workspace else ""
    return f"region {client.region} ({urlsplit(client.base_url).netloc}{workspace})"
