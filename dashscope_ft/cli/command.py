"""
What all commands share: options, sessions, questions, execution and exit codes.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from dashscope_ft import DashScopeError

from .exits import ExitCode, exit_code
from .faults import fault_of, told
from .grammar import Command, Group, first_sentence
from .terminal import ask, can_ask, say, unread, write

if TYPE_CHECKING:
    from pathlib import Path

    from dashscope_ft import AsyncClient

P = ParamSpec("P")


class Output(StrEnum):
    """
    The output formats.
    """

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


Region = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The region: intl, cn, hk, us, or a region id.",
        show_default=False,
    ),
]
Workspace = Annotated[
    str | None,
    typer.Option(
        metavar="ID", help="The workspace; the key's own unless given.", show_default=False
    ),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Ask this endpoint instead, such as an emulator.",
        show_default=False,
    ),
]
OutputForm = Annotated[
    Output | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FORM",
        help="How to print: table, json, jsonl or csv.",
        show_default=False,
    ),
]


def _print_version(asked: bool) -> None:
    if asked:
        from dashscope_ft import __version__

        write(f"dashscope-ft {__version__}\n")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", help="Show the version and exit.", callback=_print_version, is_eager=True
    ),
]


STDIN_TAKEN = "dashscope_ft.stdin_taken"
"""The key under which typer's context says whether an argument was read from stdin."""


@dataclass(frozen=True)
class Session:
    """
    The endpoint that a command uses, and its output format.
    """

    region: str | None = None
    workspace: str | None = None
    base_url: str | None = None
    output: Output | None = None
    noun: str | None = None
    """The group of the command if that is about one kind of job: `jobs` or `imports`."""

    stdin_taken: bool = False
    """Whether the command has read its ids from stdin, which then cannot give an answer."""

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

    def place(self, client: AsyncClient) -> str:
        """
        Return a description of a client's region, host and workspace.
        """
        from urllib.parse import urlsplit

        workspace = f", workspace {client.workspace}" if client.workspace else ""
        return f"region {client.region} ({urlsplit(client.base_url).netloc}{workspace})"

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
        Return a copy with options that stand further right on the command line, which win.
        """
        return replace(self, **{name: value for name, value in given.items() if value is not None})


_MAX_NAMED = 20
"""The most jobs listed before a question."""


class Refused(Exception):
    """
    A change that was not confirmed, and so was not made.
    """


def confirm(
    question: str, subjects: Sequence[str], *, yes: bool, stdin_taken: bool = False
) -> None:
    """
    Return only if the user confirms, or did so in advance.

    Args:
        question: The question.
        subjects: What it is about.
        yes: Whether the user confirmed in advance.
        stdin_taken: Whether the subjects came from stdin, which then cannot give an answer.

    Raises:
        Refused: It was not confirmed.
    """
    if yes:
        return
    if not can_ask():
        why = (
            "stdin is taken by the ids, so this cannot ask; give --yes."
            if stdin_taken
            else "There is no terminal to ask this on; add --yes to go ahead."
        )
        raise Refused(f"{question} {why} Nothing was sent.")
    for subject in subjects[:_MAX_NAMED]:
        say(f"  {subject}")
    if len(subjects) > _MAX_NAMED:
        say(f"  … and {len(subjects) - _MAX_NAMED:,} more")
    agree(question, "Nothing was sent.")


def agree(question: str, otherwise: str) -> None:
    """
    Ask a question on the terminal, and return only if the answer is yes.

    Args:
        question: The question.
        otherwise: The consequence of any other answer, in words.

    Raises:
        Refused: It was another answer.
        KeyboardInterrupt: It was Ctrl-C.
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
    Raise `BadParameter`, before anything is asked or sent, if a file cannot be created.
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


def group(help: str, *, epilog: str | None = None, noun: str | None = None) -> typer.Typer:
    """
    Return a new group of commands that accepts the shared options before their names.

    Args:
        help: What the commands do, in a sentence.
        epilog: What its help ends with.
        noun: Its name, if its commands are about one kind of job.
    """
    app = typer.Typer(
        cls=Group,
        help=help,
        short_help=help,
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
            region=region, workspace=workspace, base_url=base_url, output=output, noun=noun
        )

    return app


def command(
    app: typer.Typer,
    name: str,
    *,
    shared: bool = True,
    reads: bool = False,
    examples: Sequence[str] = (),
) -> Callable[[Callable[Concatenate[Session, P], Any]], Callable[Concatenate[Session, P], Any]]:
    """
    Return a decorator that adds a function to a group as a command.

    The function takes a `Session`, and then its own parameters. It may be a coroutine function, or
    ask its questions first and then return a coroutine. The result is an exit code, or None for
    success.

    Args:
        app: The group.
        name: The command's name.
        shared: Whether to add the shared options, except those whose names the function declares.
        reads: Whether it changes nothing, which Ctrl-C then says.
        examples: Command lines that its help ends with, without the program's name.
    """
    # A line of `\b` keeps the next ones as they are, so that they can be copied.
    lines = ["\b", "Examples:", *(f"  dashscope-ft {example}" for example in examples)]

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
            given["stdin_taken"] = context.meta.get(STDIN_TAKEN)
            code = end(function, session.refined(**given), **values)
            if reads and code == ExitCode.INTERRUPTED:
                say("Interrupted; nothing was changed.")
            raise typer.Exit(code)

        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *common)
        ]
        signature = inspect.Signature([context_parameter, *parameters])
        invoke.__signature__ = signature  # type: ignore[attr-defined]
        invoke.__annotations__ = {
            each.name: each.annotation for each in signature.parameters.values()
        }
        invoke.__doc__ = function.__doc__
        app.command(
            name,
            cls=Command,
            short_help=first_sentence(function),
            epilog="\n".join(lines) if examples else None,
        )(invoke)
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
    Declare the parameters that commands share.
    """


def end(work: Callable[..., Any], /, *arguments: Any, **values: Any) -> int:
    """
    Run a command, or the whole command line, and return its exit code. Errors are printed, except
    typer's own, which typer handles.
    """
    try:
        result = work(*arguments, **values)
        if inspect.iscoroutine(result):
            # Importing asyncio takes 40 ms, which `--help` can do without.
            try:
                from .interrupts import run
            except BaseException:  # such as Ctrl-C: it will never be awaited
                result.close()
                raise
            result = run(result)
    except DashScopeError as error:
        session = next((each for each in arguments if isinstance(each, Session)), Session())
        say(f"Error: {told(error, session)}", style="red")
        return exit_code(error)
    except Refused as refusal:
        say(str(refusal))
        return ExitCode.REFUSED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.READER_LEFT
    except OSError as error:  # such as an unwritable file, or a port in use
        say(f"Error: {fault_of(error)}", style="red")
        return ExitCode.FAILED
    except (typer.Exit, typer.BadParameter, typer.Abort):
        raise
    except Exception as error:  # users should not see tracebacks
        if os.environ.get("DASHSCOPE_FT_DEBUG"):
            raise
        say(
            f"Error: {type(error).__name__}: {error} (a fault in dashscope-ft;"
            " DASHSCOPE_FT_DEBUG=1 shows where)",
            style="red",
        )
        return ExitCode.FAILED
    return ExitCode.READER_LEFT if unread() else int(result or 0)
