"""
The fields of a new job, from a file and from options, and their names in messages.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from dashscope_ft import InvalidArgument

TRAINING_TYPES = ("sft", "efficient_sft", "cpt", "dpo_full", "dpo_lora")

_OPTIONS = {
    "bucket_name": "--bucket",
    "display_name": "--display-name",
    "finetuned_output_suffix": "--suffix",
    "hyper_parameters": "--hyper-parameter",
    "job_name": "--job-name",
    "model": "--model",
    "model_name": "--model-name",
    "object_key": "--folder",
    "priority": "--priority",
    "training_datasets": "training_datasets in a file (--from)",
    "training_file_ids": "--training-file",
    "training_type": "--training-type",
    "validation_file_ids": "--validation-file",
    "weight_type": "--weight-type",
}
"""The options of the command line, by the names of the library's fields."""


def fields_of(
    create: Callable[..., Any], file: Path | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return the fields of the file and those given as options, which win.

    Args:
        create: The library's method, whose parameters are the fields.
        file: The file, if there is one.
        given: The fields that were given as options.

    Raises:
        InvalidArgument: The file is not TOML, has an unknown field, or a required one is missing.
    """
    fields = {} if file is None else _read(file)
    accepted = inspect.signature(create).parameters.keys() - {"wait_for_capacity"}
    if "object_key" in accepted and isinstance(fields.get("storage_info"), dict):
        fields |= fields.pop("storage_info")  # the API nests these fields
    if unknown := sorted(fields.keys() - accepted):
        raise InvalidArgument(
            f"{file} has {', '.join(unknown)}, which is not a known field. Newer fields go below "
            "[extra]."
        )
    for name, value in given.items():
        if isinstance(value, dict) and isinstance(fields.get(name), dict):
            fields[name] |= value
        else:
            fields[name] = value
    missing = [
        name
        for name, parameter in inspect.signature(create).parameters.items()
        if parameter.default is parameter.empty and name not in fields
    ]
    if missing:
        raise InvalidArgument(f"Missing: {', '.join(map(_OPTIONS.__getitem__, missing))}.")
    return fields


def in_words_of_user(
    error: InvalidArgument, file: Path | None, in_file: Collection[str]
) -> InvalidArgument:
    """
    Return an error about a field, which it names as the user did.

    Args:
        error: The library's error.
        file: The file, if there is one.
        in_file: The fields that are from the file, where they have these names.
    """
    message = _name_options(error.message, but=in_file)
    return InvalidArgument(
        f"{file}: {message}" if message.partition(" ")[0] in in_file else message
    )


def parse_parameters(texts: Sequence[str]) -> dict[str, Any]:
    """
    Return `name=value` texts as a dictionary.

    Raises:
        InvalidArgument: One is something else, or a name is given twice.
    """
    parameters: dict[str, Any] = {}
    for name, value in map(_parse_parameter, texts):
        if name in parameters:
            raise InvalidArgument(f"--hyper-parameter {name} is given more than once.")
        parameters[name] = value
    return parameters


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = str(error)
    raise InvalidArgument(f"{file} is not TOML: {reason}.")


def _parse_parameter(text: str) -> tuple[str, Any]:
    """
    Split `name=value`, and parse the value as JSON if possible; otherwise it is text.
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise InvalidArgument(f"{text!r} is not NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _name_options(message: str, *, but: Collection[str]) -> str:
    """
    Return a message with fields, except those in `but` and quoted ones, renamed to their options.
    """
    return re.sub(
        r"""'[^']*'|"[^"]*"|\w+""",
        lambda word: word[0] if word[0] in but else _OPTIONS.get(word[0], word[0]),
        message,
    )
