"""
Groups and commands: the options that all commands share, and how a command is run.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Coroutine, Sequence
from inspect import Parameter
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from dashscope_ft import DashScopeError

from .errors import error_text, os_error_text
from .exits import ExitCode, Terminated, exit_code
from .grammar import Command, Group, first_sentence
from .job_ids import STDIN_TAKEN
from .kind import Kind
from .questions import Refused
from .session import Output, Session
from .terminal import reader_left, say, write

P = ParamSpec("P")

Work = Coroutine[Any, Any, int]
"""What a command that asks questions returns: the work to be done after the answers."""

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

_SHARED_OPTIONS = {
    "region": Region,
    "workspace": Workspace,
    "base_url": BaseUrl,
    "output": OutputForm,
}
"""The options of all groups and commands, by the names of the session's attributes."""


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


def group(help: str, *, epilog: str | None = None, kind: Kind | None = None) -> typer.Typer:
    """
    Return a new group of commands that accepts the shared options before their names.

    Args:
        help: What the commands do, in a sentence.
        epilog: The last paragraphs of its help.
        kind: The kind of job that its commands are about, if it is one.
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
        session: Session = context.obj or Session()  # of the group that this one belongs to
        context.obj = session.refined(
            region=region, workspace=workspace, base_url=base_url, output=output, kind=kind
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

    The function takes a `Session`, and then its own parameters. It is a coroutine function, a plain
    one, or one that asks questions and returns the coroutine to be run after the answers. The
    result is an exit code, or None for success.

    Args:
        app: The group.
        name: The command's name.
        shared: Whether to add the shared options. One whose name the function declares stays its
            own.
        reads: Whether the command only reads; Ctrl-C then says that nothing was changed.
        examples: Command lines for the end of its help, without the program's name.
    """
    # A line of `\b` keeps the next ones as they are, so that they can be copied.
    lines = ["\b", "Examples:", *(f"  dashscope-ft {example}" for example in examples)]

    def add(
        function: Callable[Concatenate[Session, P], Any],
    ) -> Callable[Concatenate[Session, P], Any]:
        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        declared = {parameter.name for parameter in own}
        common = [name for name in _SHARED_OPTIONS if shared and name not in declared]

        def invoke(context: typer.Context, **values: Any) -> None:
            given = {name: values.pop(name) for name in common}
            session: Session = context.obj
            session = session.refined(**given, stdin_taken=context.meta.get(STDIN_TAKEN))
            code = execute(function, session, **values)
            if reads and code == ExitCode.INTERRUPTED:
                say("Interrupted; nothing was changed.")
            raise typer.Exit(code)

        # From this signature, typer learns the command's arguments and options.
        signature = [Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context)]
        signature += [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in own]
        signature += [
            Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=_SHARED_OPTIONS[name])
            for name in common
        ]
        invoke.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
        invoke.__doc__ = function.__doc__
        app.command(
            name,
            cls=Command,
            short_help=first_sentence(function),
            epilog="\n".join(lines) if examples else None,
        )(invoke)
        return function

    return add


def execute(work: Callable[..., Any], /, *arguments: Any, **values: Any) -> int:
    """
    Run a command, or the whole command line, and return its exit code.

    If it returns a coroutine, that is run, too. Errors are printed, except typer's own, which typer
    prints.
    """
    try:
        result = work(*arguments, **values)
        if inspect.iscoroutine(result):
            try:
                from .interrupts import run  # loads asyncio, which takes 40 ms
            except BaseException:  # such as Ctrl-C
                result.close()  # or Python would warn that it was never awaited
                raise
            result = run(result)
    except DashScopeError as error:
        session = next((each for each in arguments if isinstance(each, Session)), Session())
        say(f"Error: {error_text(error, session)}", style="red")
        return exit_code(error)
    except Refused as refusal:
        say(str(refusal))
        return ExitCode.REFUSED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except Terminated:
        result = ExitCode.TERMINATED
    except BrokenPipeError:
        return ExitCode.READER_LEFT
    except OSError as error:  # such as an unwritable file, or a port in use
        say(f"Error: {os_error_text(error)}", style="red")
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
    return ExitCode.READER_LEFT if reader_left() else int(result or 0)
