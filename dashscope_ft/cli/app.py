"""
The command line, assembled from its groups and commands.
"""

from __future__ import annotations

import sys
import warnings
from typing import NoReturn

from . import (
    checkpoints,
    cleanup,
    compare,
    creating,
    imports,
    jobs,
    logs,
    plot,
    tryout,
    waits,
    watch,
)
from .command import command, end, group
from .terminal import prepare_streams, say, write

_EXIT_CODES = """
Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 not confirmed or refused by a guard,
4 authentication, 5 some jobs failed, 6 some skipped (with --strict), 7 listing not proven
complete, 75 out of time or rate limited: run it again, 130 and 143 interrupted, 141 output
not read to its end.
"""

app = group(
    "See, stop and delete fine-tuning and import jobs on Alibaba Cloud Model Studio.",
    epilog=_EXIT_CODES,
)
command(jobs.app, "create")(creating.create_job)
command(jobs.app, "wait")(waits.wait_for_jobs)
command(jobs.app, "watch")(watch.watch_job)
command(jobs.app, "logs")(logs.show_log)
command(jobs.app, "plot")(plot.plot_jobs)
command(jobs.app, "compare")(compare.compare_jobs)
command(jobs.app, "checkpoints")(checkpoints.list_checkpoints)
command(jobs.app, "export")(checkpoints.export_checkpoint)
command(imports.app, "create")(creating.create_import)
command(imports.app, "wait")(waits.wait_for_imports)
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
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: say(f"Note: {message}")
        sys.exit(end(_dispatch))


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
