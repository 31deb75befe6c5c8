"""
The command line, assembled from its groups and commands.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import NoReturn

from . import (
    checkpoints,
    cleanup,
    compare,
    create,
    imports,
    jobs,
    logs,
    plot,
    tryout,
    wait,
    watch,
)
from .command import command, execute, group
from .terminal import prepare_streams, say, write

_EPILOG = """
The key comes from DASHSCOPE_API_KEY, else from the file that DASHSCOPE_API_KEY_FILE_PATH names,
else from ~/.dashscope/api_key. The region comes from --region, else from DASHSCOPE_REGION, else
it is intl.

Each command's own --help says more, such as `dashscope-ft jobs list --help`. `dashscope-ft demo`
needs no account. README.md tells about all of it.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not confirmed or refused by a guard,
4 authentication, 5 some jobs failed, 6 some skipped (with --strict), 7 listing not proven
complete, 75 out of time or rate limited: run it again, 130 and 143 interrupted, 141 output
not read to its end.
"""

_COMPLETION = "_DASHSCOPE_FT_COMPLETE"
"""The variable by which a shell asks for completions, or for the script that asks for them."""

app = group(
    "See, stop and delete fine-tuning and import jobs on Alibaba Cloud Model Studio.",
    epilog=_EPILOG,
)
command(
    jobs.app,
    "create",
    examples=(
        "jobs create --model qwen3-14b --training-file ID -p n_epochs=3",
        "jobs create --from job.toml --wait",
    ),
)(create.create_job)
command(jobs.app, "wait")(wait.wait_for_jobs)
command(jobs.app, "watch")(watch.watch_job)
command(jobs.app, "logs", reads=True)(logs.show_log)
command(jobs.app, "plot", reads=True)(plot.plot_jobs)
command(jobs.app, "compare", reads=True)(compare.compare_jobs)
command(jobs.app, "checkpoints", reads=True)(checkpoints.list_checkpoints)
command(jobs.app, "export")(checkpoints.export_checkpoint)
command(imports.app, "create")(create.create_import)
command(imports.app, "wait")(wait.wait_for_imports)
app.add_typer(jobs.app, name="jobs")
app.add_typer(imports.app, name="imports")
app.add_typer(cleanup.app, name="cleanup")
command(app, "demo", shared=False)(tryout.demo)
command(app, "emulator", shared=False)(tryout.emulator)


def run() -> NoReturn:
    """
    Run the command that this process's arguments name, and exit.
    """
    prepare_streams()
    if _COMPLETION in os.environ:  # costs other commands nothing
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"Note: {message}")
        sys.exit(execute(_dispatch))


def _dispatch() -> None:
    """
    Run typer's application; if its help text cannot be written, raise the same error as `write`.
    """
    try:
        app(prog_name="dashscope-ft")
    except OSError:
        write("")  # otherwise the interpreter would try to write the rest at exit
        raise
    except SystemExit as ending:
        if isinstance(ending.__context__, BrokenPipeError):  # typer turns it into exit code 1
            raise ending.__context__ from None
        raise
