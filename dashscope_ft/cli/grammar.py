"""
How command lines are parsed and help is laid out, where that differs from typer.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption


class Command(TyperCommand):
    """
    A command whose help names arguments as they are typed, without their types in Python.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """
        Parse the words after the command's name.
        """
        _check_given_once(self, ctx, args)
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """
        Return the words of the line of usage after the command's name.
        """
        return ["[OPTIONS]", *map(_usage, self._arguments())]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """
        Write the sections on arguments and options.
        """
        if arguments := self._arguments():
            with formatter.section("Arguments"):
                formatter.write_dl(
                    [(each.metavar or each.name, each.help or "") for each in arguments]
                )
        with formatter.section("Options"):
            options = [each for each in self.get_params(ctx) if not isinstance(each, TyperArgument)]
            formatter.write_dl(list(filter(None, (each.get_help_record(ctx) for each in options))))

    def _arguments(self) -> list[TyperArgument]:
        return [each for each in self.params if isinstance(each, TyperArgument)]


class Group(TyperGroup):
    """
    A group of commands, which checks its options as they do.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """
        Parse the words after the group's name.
        """
        _check_given_once(self, ctx, args)
        return super().parse_args(ctx, args)


def first_sentence(function: Callable[..., Any]) -> str:
    """
    Return the summary of a command, which a list of commands wraps, and does not cut.
    """
    text = " ".join((inspect.getdoc(function) or "").split())
    return re.split(r"(?<=\.) ", text, maxsplit=1)[0]


def _usage(argument: TyperArgument) -> str:
    words = f"{argument.metavar or argument.name}{'' if argument.nargs == 1 else '...'}"
    return words if argument.required else f"[{words}]"


def _check_given_once(parsing: TyperCommand | TyperGroup, context: Any, words: list[str]) -> None:
    """
    Raise `BadParameter` if an option that takes one value is given twice, since one would be lost.
    """
    if context.resilient_parsing:  # for completion
        return
    _, _, given = parsing.make_parser(context).parse_args(args=list(words))
    for option, times in Counter(given).items():
        if (
            times > 1
            and isinstance(option, TyperOption)
            and not (option.multiple or option.is_flag)
        ):
            raise typer.BadParameter(
                "It is given more than once, and takes one value.", ctx=context, param=option
            )
