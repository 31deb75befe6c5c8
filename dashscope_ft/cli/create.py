"""
`jobs create` and `imports create`: the new job's id on stdout, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Exit, Option

from dashscope_ft import DashScopeError, InvalidArgument, OutcomeUnknown
from dashscope_ft.characters import printable

from .creation_fields import TRAINING_TYPES, fields_of, in_words_of_user, parse_parameters
from .exits import exit_code
from .imports import IMPORT
from .jobs import JOB
from .listing import show_one
from .session import Output, Session
from .terminal import say, write
from .waiting import (
    Deadline,
    PollInterval,
    check_wait_options,
    ended_jobs,
    failing_at_deadline,
    report_ends,
    saying_if_cancelled,
)

if TYPE_CHECKING:
    from dashscope_ft import FineTuneJob, FineTunes, ImportJob, Imports

    from .kind import Kind

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
            help=f"How to train. Known: {', '.join(TRAINING_TYPES)}.",
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
    check_wait_options(poll_interval, deadline)
    async with session.client() as client:
        job = await _create(
            session,
            client.fine_tunes,
            JOB,
            file,
            model=model,
            training_file_ids=training_files,
            validation_file_ids=validation_files,
            hyper_parameters=parse_parameters(parameters) if parameters else None,
            training_type=training_type,
            job_name=job_name,
            model_name=model_name,
            finetuned_output_suffix=suffix,
            priority=priority,
            wait_for_capacity=wait_for_capacity,
        )
        if not wait:
            return None
        return await _wait(
            session,
            client.fine_tunes,
            JOB,
            job.job_id,
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
    check_wait_options(poll_interval, deadline)
    async with session.client() as client:
        job = await _create(
            session,
            client.imports,
            IMPORT,
            file,
            model_name=model_name,
            weight_type=weight_type,
            bucket_name=bucket,
            object_key=folder,
            display_name=display_name,
        )
        if not wait:
            return None
        return await _wait(
            session,
            client.imports,
            IMPORT,
            job.job_id,
            poll_interval=poll_interval,
            deadline=deadline,
        )


async def _create(
    session: Session,
    resource: FineTunes | Imports,
    kind: Kind,
    file: Path | None,
    **options: Any,
) -> FineTuneJob | ImportJob:
    """
    Create a job and write its id.

    Raises:
        InvalidArgument: A field is wrong; it is named as on the command line, or as in the file.
        Exit: It is unknown whether the job exists; a message says which it may be.
    """
    given = {name: value for name, value in options.items() if value not in (None, [])}
    fields = fields_of(resource.create, file, given)
    _note_unknown_type(fields.get("training_type"))
    in_doubt = (
        "Interrupted: it may exist and be billed. Before creating it again, look at the newest of "
        f"`{session.command(kind.group, 'list')}`."
    )
    try:
        with saying_if_cancelled(in_doubt):
            job: FineTuneJob | ImportJob = await resource.create(**fields)
    except InvalidArgument as error:
        raise in_words_of_user(error, file, fields.keys() - given.keys()) from None
    except OutcomeUnknown as error:
        await _report_candidates(session, resource, kind, error)
        raise Exit(exit_code(error)) from None
    try:
        if session.form is Output.TABLE:
            write(printable(job.job_id) + "\n")
        else:
            show_one(session, job, kind=kind)
    except OSError:  # a user who runs it again, unaware of this job, pays twice
        say(f"Created {job.job_id}.")
        raise
    return job


async def _report_candidates(
    session: Session, resource: FineTunes | Imports, kind: Kind, error: OutcomeUnknown
) -> None:
    """
    Print that it is unknown whether a job exists, and which job it may be.
    """
    # The hint's last sentence tells programs how to search for the job, which happens here.
    error.hint = (error.hint or "").partition(" reconcile_create()")[0]
    say(f"Error: {error}", style="red")
    try:
        found = await resource.reconcile_create(error)
    except DashScopeError:
        return
    for job in found:
        show = session.command(kind.group, "show", job.job_id)
        say(f"It may be {job.job_id} ({job.status}): `{show}`")
    if not found:
        say("No such job is listed so far.")


async def _wait(
    session: Session,
    resource: FineTunes | Imports,
    kind: Kind,
    job_id: str,
    *,
    poll_interval: float,
    deadline: float,
) -> int:
    """
    Wait until the created job has ended, and return the exit code.

    If that takes too long or is interrupted, a message says how to go on waiting.
    """
    again = session.command(kind.group, "wait", job_id)
    with (
        failing_at_deadline(again),
        saying_if_cancelled(f"Rather than create it again, go on with `{again}`."),
    ):
        return report_ends(
            await ended_jobs(
                session, resource, [job_id], poll_interval=poll_interval, deadline=deadline
            )
        )


def _note_unknown_type(training_type: object) -> None:
    """
    Print a note if a training type is not known; it is sent all the same, since it may be new.
    """
    if isinstance(training_type, str) and training_type not in TRAINING_TYPES:
        known = ", ".join(TRAINING_TYPES)
        say(
            f"Note: {training_type} is not a known training type; it is sent all the same."
            f" Known: {known}."
        )
