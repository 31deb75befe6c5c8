"""
`jobs create` and `imports create`: the new job's id on stdout, and nothing else.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Exit, Option

from dashscope_ft import DashScopeError, InvalidArgument, OutcomeUnknown
from dashscope_ft.characters import printable

from .exits import exit_code
from .imports import IMPORT
from .jobs import JOB
from .listing import show_one
from .session import Output, Session
from .terminal import say, write
from .waits import (
    Deadline,
    PollInterval,
    check_patience,
    ends_of,
    failing_when_late,
    saying_when_left,
    tell_ends,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence

    from dashscope_ft import FineTuneJob, ImportJob

    from .waits import Jobs

    Candidates = Callable[[OutcomeUnknown], Coroutine[Any, Any, Sequence[FineTuneJob | ImportJob]]]

File = Annotated[
    Path | None,
    Option(
        "--from",
        metavar="FILE",
        help="A TOML file with the fields of the API; options win over it.",
        exists=True,
        dir_okay=False,
    ),
]
Wait = Annotated[
    bool, Option("--wait", help="Wait until the job has ended, and fail if it did not succeed.")
]

_TRAINING_TYPES = ("sft", "efficient_sft", "cpt", "dpo_full", "dpo_lora")

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


async def create_job(
    session: Session,
    file: File = None,
    model: Annotated[
        str | None, Option(metavar="NAME", help="The model to tune; required, here or in the file.")
    ] = None,
    training_files: Annotated[
        list[str] | None,
        Option("--training-file", metavar="ID", help="The id of a file to train on; repeatable."),
    ] = None,
    validation_files: Annotated[
        list[str] | None,
        Option(
            "--validation-file", metavar="ID", help="The id of a file to validate with; repeatable."
        ),
    ] = None,
    parameters: Annotated[
        list[str] | None,
        Option(
            "--hyper-parameter",
            "-p",
            metavar="NAME=VALUE",
            help="A hyper-parameter, such as n_epochs=3; repeatable.",
        ),
    ] = None,
    training_type: Annotated[
        str | None,
        Option(
            metavar="TYPE",
            help=f"How to train. Known: {', '.join(_TRAINING_TYPES)}.",
        ),
    ] = None,
    job_name: Annotated[
        str | None, Option(metavar="NAME", help="The name of the job; its id unless given.")
    ] = None,
    model_name: Annotated[
        str | None, Option(metavar="NAME", help="The display name of the resulting model.")
    ] = None,
    suffix: Annotated[
        str | None,
        Option(metavar="TEXT", help="A suffix of the resulting model's name, up to 8 characters."),
    ] = None,
    priority: Annotated[
        str | None,
        Option(
            metavar="WORD",
            help="The job's place in the queue. The service documents no words; any is sent.",
        ),
    ] = None,
    wait_for_capacity: Annotated[
        float | None,
        Option(
            metavar="SECONDS",
            help="If too many jobs are running, wait up to so many seconds for one to end. A quota"
            " on stored jobs is not waited for.",
            min=0.01,
        ),
    ] = None,
    wait: Wait = False,
    poll_interval: PollInterval = 15.0,
    deadline: Deadline = 86_400.0,
) -> int | None:
    """
    Create a fine-tuning job, which is billed, and print its id.
    """
    check_patience(poll_interval, deadline)
    async with session.client() as client:
        fine_tunes = client.fine_tunes
        job = await _create(
            session,
            fine_tunes.create,
            fine_tunes.reconcile_create,
            "jobs",
            file,
            model=model,
            training_file_ids=training_files,
            validation_file_ids=validation_files,
            hyper_parameters=_parse_parameters(parameters) if parameters else None,
            training_type=training_type,
            job_name=job_name,
            model_name=model_name,
            finetuned_output_suffix=suffix,
            priority=priority,
            wait_for_capacity=wait_for_capacity,
        )
        if not wait:
            return None
        return await _wait_until_ended(
            fine_tunes.wait_many,
            job.job_id,
            session.command("jobs", "wait", job.job_id),
            poll_interval=poll_interval,
            deadline=deadline,
        )


async def create_import(
    session: Session,
    file: File = None,
    model_name: Annotated[
        str | None,
        Option(
            metavar="NAME", help="The base model of the weights; required, here or in the file."
        ),
    ] = None,
    weight_type: Annotated[
        str | None, Option(metavar="TYPE", help="What the weights are: full or lora.")
    ] = None,
    bucket: Annotated[
        str | None, Option(metavar="NAME", help="The OSS bucket that holds them.")
    ] = None,
    folder: Annotated[
        str | None, Option(metavar="KEY", help="The folder in the bucket, ending in /.")
    ] = None,
    display_name: Annotated[
        str | None, Option(metavar="NAME", help="The import's display name, up to 50 characters.")
    ] = None,
    wait: Wait = False,
    poll_interval: PollInterval = 15.0,
    deadline: Deadline = 86_400.0,
) -> int | None:
    """
    Import a model's weights from a bucket, and print the job's id.
    """
    check_patience(poll_interval, deadline)
    async with session.client() as client:
        imports = client.imports
        job = await _create(
            session,
            imports.create,
            imports.reconcile_create,
            "imports",
            file,
            model_name=model_name,
            weight_type=weight_type,
            bucket_name=bucket,
            object_key=folder,
            display_name=display_name,
        )
        if not wait:
            return None
        return await _wait_until_ended(
            imports.wait_many,
            job.job_id,
            session.command("imports", "wait", job.job_id),
            poll_interval=poll_interval,
            deadline=deadline,
        )


def _fields(
    create: Callable[..., Any], file: Path | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return the fields of the file and of the options, which win.

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


def _note_unknown_type(training_type: object) -> None:
    """
    Print a note if a training type is not known; it is sent all the same, since it may be new.
    """
    if isinstance(training_type, str) and training_type not in _TRAINING_TYPES:
        known = ", ".join(_TRAINING_TYPES)
        say(
            f"Note: {training_type} is not a known training type; it is sent all the same."
            f" Known: {known}."
        )


def _read(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        reason = str(error)
    raise InvalidArgument(f"{file} is not TOML: {reason}.")


def _parse_parameters(texts: Sequence[str]) -> dict[str, Any]:
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


async def _wait_until_ended(
    wait_many: Callable[..., Coroutine[Any, Any, Jobs]],
    job_id: str,
    again: str,
    *,
    poll_interval: float,
    deadline: float,
) -> int:
    """
    Wait until the created job has ended, and return the exit code. If that takes too long or is
    interrupted, report the command that resumes waiting.
    """
    with (
        failing_when_late(again),
        saying_when_left(f"Rather than create it again, go on with `{again}`."),
    ):
        ends = await ends_of(wait_many, [job_id], poll_interval=poll_interval, deadline=deadline)
        return tell_ends(ends)


async def _create(
    session: Session,
    create: Callable[..., Coroutine[Any, Any, Any]],
    candidates: Candidates,
    noun: str,
    file: Path | None,
    **options: Any,
) -> FineTuneJob | ImportJob:
    """
    Create a job and write its id; if it is unknown whether it exists, print which it may be.

    Raises:
        InvalidArgument: A field is wrong; it is named as on the command line, or as in the file.
        Exit: It is unknown whether the job exists.
    """
    given = {name: value for name, value in options.items() if value not in (None, [])}
    fields = _fields(create, file, given)
    _note_unknown_type(fields.get("training_type"))
    in_doubt = (
        "Interrupted: it may exist and be billed. Before creating it again, look at the newest of "
        f"`{session.command(noun, 'list')}`."
    )
    try:
        with saying_when_left(in_doubt):
            job: FineTuneJob | ImportJob = await create(**fields)
    except (InvalidArgument, OutcomeUnknown) as error:
        failure = error
    else:
        try:
            if session.form is Output.TABLE:
                write(printable(job.job_id) + "\n")
            else:
                show_one(session, job, noun=JOB if noun == "jobs" else IMPORT)
        except OSError:  # a user who runs it again, unaware of this job, pays twice
            say(f"Created {job.job_id}.")
            raise
        return job
    if isinstance(failure, InvalidArgument):
        in_file = fields.keys() - given.keys()
        message = _name_options(failure.message, but=in_file)
        where = f"{file}: " if message.partition(" ")[0] in in_file else ""
        raise InvalidArgument(where + message)
    # Its last sentence tells programs how to search for the job, which happens below.
    failure.hint = (failure.hint or "").partition(" reconcile_create()")[0]
    say(f"Error: {failure}", style="red")
    try:
        found = await candidates(failure)
    except DashScopeError:
        found = None
    for each in found or ():
        show = session.command(noun, "show", each.job_id)
        say(f"It may be {each.job_id} ({each.status}): `{show}`")
    if found == []:
        say("No such job is listed so far.")
    raise Exit(exit_code(failure))
