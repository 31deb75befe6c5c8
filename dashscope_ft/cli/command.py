"""
What all commands share: the options, whom they ask, how they run and how they end.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from dashscope_ft import ConfigurationError, DashScopeError, InvalidArgument

from .exits import ExitCode, exit_code
from .terminal import ask, can_ask, say, unread, write

if TYPE_CHECKING:
    from pathlib import Path

    from dashscope_ft import AsyncClient

P = ParamSpec("P")


class Output(StrEnum):
    """
    The forms in which data is written.
    """

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


Region = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="intl, cn, hk, us, or a region id.", show_default=False),
]
Workspace = Annotated[
    str | None, typer.Option(metavar="ID", help="A workspace's id.", show_default=False)
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Another endpoint, such as an emulator's.", show_default=False
    ),
]
OutputForm = Annotated[
    Output | None,
    typer.Option(
        "--output", "-o", metavar="FORM", help="table, json, jsonl or csv.", show_default=False
    ),
]


def _tell_version(asked: bool) -> None:
    if asked:
        from dashscope_ft import __version__

        write(f"dashscope-ft {__version__}\n")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", help="Show the version and exit.", callback=_tell_version, is_eager=True
    ),
]


@dataclass(frozen=True)
class Session:
    """
    Whom a command asks, and the form in which it answers.
    """

    region: str | None = None
    workspace: str | None = None
    base_url: str | None = None
    output: Output | None = None

    @property
    def form(self) -> Output:
        """
        The form to write data in.
        """
        return self.output or Output.TABLE

    def client(self) -> AsyncClient:
        """
        Make a client of these settings; the environment fills in what was not given.
        """
        from dashscope_ft import AsyncClient

        return AsyncClient(region=self.region, workspace=self.workspace, base_url=self.base_url)

    def place(self, client: AsyncClient) -> str:
        """
        Say whose jobs a client is about.
        """
        from urllib.parse import urlsplit

        workspace = f", workspace {client.workspace}" if client.workspace else ""
        return f"region {client.region} ({urlsplit(client.base_url).netloc}{workspace})"

    def command(self, *words: str) -> str:
        """
        Spell a command that asks where this one did, to be pasted.
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
        Let options that stand further right on the command line win.
        """
        return replace(self, **{name: value for name, value in given.items() if value is not None})


_MOST_NAMED = 20
"""Jobs named one by one before a question."""


class Refused(Exception):
    """
    Nobody confirmed it, so nothing was changed.
    """


def confirm(question: str, subjects: Sequence[str], *, yes: bool) -> None:
    """
    Go on only if somebody says yes, or said so beforehand.

    Raises:
        Refused: Nobody did.
    """
    if yes:
        return
    if not can_ask():
        raise Refused(
            f"{question} There is no terminal to ask this on; add --yes to go ahead. "
            "Nothing was sent."
        )
    for subject in subjects[:_MOST_NAMED]:
        say(f"  {subject}")
    if len(subjects) > _MOST_NAMED:
        say(f"  … and {len(subjects) - _MOST_NAMED:,} more")
    agree(question, "Nothing was sent.")


def agree(question: str, otherwise: str) -> None:
    """
    Go on only if somebody who is there says yes.

    Raises:
        Refused: It was another answer, of which `otherwise` says what it comes to.
        KeyboardInterrupt: Ctrl-C, which comes to the same.
    """
    try:
        agreed = ask(question)
    except KeyboardInterrupt:
        say("")
        say(otherwise)
        raise
    if not agreed:
        raise Refused(otherwise)


def check_writable(option: str, file: Path) -> None:
    """
    Refuse, before anything is asked or sent, a file that cannot be made.
    """
    folder = file.parent
    if file.is_dir():
        fault = f"{file} is a directory; name a file."
    elif file.exists() and not file.is_file():
        fault = f"{file} is not a regular file; name another."
    elif not folder.is_dir():
        fault = f"The directory {folder} does not exist."
    elif not os.access(folder, os.W_OK):
        fault = f"The directory {folder} cannot be written to."
    else:
        return
    raise typer.BadParameter(fault, param_hint=f"'{option}'")


def group(help: str, *, epilog: str | None = None) -> typer.Typer:
    """
    Make a group of commands that takes the shared options before their names.
    """
    app = typer.Typer(
        help=help,
        epilog=epilog,
        add_completion=False,
        no_args_is_help=True,
        # Plain help costs 90 ms less than rich's, and looks the same on a pipe.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def remember(
        context: typer.Context,
        region: Region = None,
        workspace: Workspace = None,
        base_url: BaseUrl = None,
        output: OutputForm = None,
        version: Version = False,
    ) -> None:
        session = context.obj if isinstance(context.obj, Session) else Session()
        context.obj = session.refined(
            region=region, workspace=workspace, base_url=base_url, output=output
        )

    return app


def command(
    app: typer.Typer, name: str, *, shared: bool = True
) -> Callable[[Callable[Concatenate[Session, P], Any]], Callable[Concatenate[Session, P], Any]]:
    """
    Add a function to a group as a command; unless told otherwise, the shared options come
    by themselves. One that the function declares itself, by the same name, is its own.

    The function takes a `Session` and then what it declares. It may be a coroutine
    function, or ask its questions first and then give back a coroutine; either ends in
    an exit code, or None for success.
    """

    def add(
        function: Callable[Concatenate[Session, P], Any],
    ) -> Callable[Concatenate[Session, P], Any]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        context_parameter, *common = inspect.signature(_shared, eval_str=True).parameters.values()
        declared = {parameter.name for parameter in own}
        common = [each for each in common if shared and each.name not in declared]

        def invoke(context: typer.Context, **values: Any) -> None:
            given = {parameter.name: values.pop(parameter.name) for parameter in common}
            session = context.obj if isinstance(context.obj, Session) else Session()
            raise typer.Exit(end(function, session.refined(**given), **values))

        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *common)
        ]
        signature = inspect.Signature([context_parameter, *parameters])
        invoke.__signature__ = signature  # type: ignore[attr-defined]
        invoke.__annotations__ = {
            each.name: each.annotation for each in signature.parameters.values()
        }
        invoke.__doc__ = function.__doc__
        app.command(name)(invoke)
        return function

    return add


def _shared(
    context: typer.Context,
    region: Region = None,
    workspace: Workspace = None,
    base_url: BaseUrl = None,
    output: OutputForm = None,
) -> None:
    """
    Hold the parameters that every command has.
    """


def _as_typed(message: str) -> str:
    """
    Call the argument that a message begins with as it is called on the command line.
    """
    name, _, rest = message.partition(" ")
    return f"--{name.replace('_', '-')} {rest}" if name in _ARGUMENTS else message


_ARGUMENTS = ("base_url", "model", "model_name", "region", "status", "workspace")


def end(work: Callable[..., Any], /, *arguments: Any, **values: Any) -> int:
    """
    Run a command, or all of the command line, to its exit code; nothing escapes it but mistakes
    in usage.
    """
    try:
        result = work(*arguments, **values)
        if inspect.iscoroutine(result):
            # asyncio costs 40 ms, which `--help` need not pay.
            try:
                from .interrupts import run
            except BaseException:  # such as Ctrl-C: nobody will await it
                result.close()
                raise
            result = run(result)
    except DashScopeError as error:
        if isinstance(error, (ConfigurationError, InvalidArgument)):
            error.message = _as_typed(error.message)
        say(f"Error: {error}", style="red")
        return exit_code(error)
    except Refused as refusal:
        say(str(refusal))
        return ExitCode.REFUSED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.READER_LEFT
    except OSError as error:  # a file that cannot be written, a port that is taken
        say(f"Error: {error}", style="red")
        return ExitCode.FAILED
    except (typer.Exit, typer.BadParameter, typer.Abort):
        raise
    except Exception as error:  # the last line of defence against tracebacks
        if os.environ.get("DASHSCOPE_FT_DEBUG"):
            raise
        say(
            f"Error: {type(error).__name__}: {error} (a fault in dashscope-ft;"
            " DASHSCOPE_FT_DEBUG=1 shows where)",
            style="red",
        )
        return ExitCode.FAILED
    return ExitCode.READER_LEFT if unread() else int(result or 0)
