"""
Run the emulator until Ctrl-C: `python -m dashscope_ft.emulator --port 8080 --seed 7 --jobs 300`.

`dashscope-ft emulator` is the same, with the same options.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

from .emulator import REGIONS, Emulator
from .options import OPTIONS
from .rules import Rules


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the emulator, and return the exit code.
    """
    parser = argparse.ArgumentParser(
        prog="python -m dashscope_ft.emulator",
        description="Run a Model Studio on this machine, until Ctrl-C.",
    )
    flags = {option: f"--{option.name.replace('_', '-')}" for option in OPTIONS}
    for option, flag in flags.items():
        shown = "" if option.default is None else f"  [default: {option.default}]"
        parser.add_argument(
            flag,
            type=option.kind,
            default=option.default,
            metavar=option.metavar,
            help=option.help + shown,
        )
    values = vars(parser.parse_args(arguments))
    for option, flag in flags.items():
        value = values[option.name]
        if isinstance(value, int | float) and not option.least <= value <= option.most:
            parser.error(f"argument {flag}: {value} is out of range")
    return serve(**values)


def serve(
    *,
    host: str,
    port: int,
    seed: int,
    jobs: int,
    imports: int,
    latency: float,
    speed: float,
    **rules: Any,
) -> int:
    """
    Run an emulator until Ctrl-C or SIGTERM, and return the exit code: 0, as these are the normal
    end.
    """
    emulator = Emulator(
        seed=seed, host=host, port=port, latency=latency, speed=speed, rules=Rules(**rules)
    )
    try:
        for region in REGIONS:
            emulator.seed(region, jobs=jobs, imports=imports)
        return asyncio.run(_serve(emulator, host, port))
    except KeyboardInterrupt:
        return 0


async def _serve(emulator: Emulator, host: str, port: int) -> int:
    async with AsyncExitStack() as running:
        try:
            await running.enter_async_context(emulator)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            sys.stderr.write(
                f"Error: Port {port} is taken: give another, or --port 0 for any that is free.\n"
                if taken
                else f"Error: Cannot listen on {host}:{port}: {error.strerror}.\n"
            )
            return 1
        terminated = asyncio.Event()
        # In a container, where it is the first process, a SIGTERM without a handler has no effect.
        with suppress(NotImplementedError, RuntimeError):  # Windows; not the main thread
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
        sys.stdout.write(_welcome(emulator))
        sys.stdout.flush()
        await terminated.wait()
    return 0


def _welcome(emulator: Emulator) -> str:
    lines = []
    for region in REGIONS:
        account = emulator.account(region)
        counts = f"{len(account.jobs)} jobs, {len(account.imports)} imports"
        lines += [
            f"# {region}: {counts}",
            f"export DASHSCOPE_REGION={region}",
            f"export DASHSCOPE_BASE_URL={emulator.base_url(region)}",
            f"export DASHSCOPE_API_KEY={emulator.key(region)}",
            "",
        ]
    lines += [
        "# Copy one of these blocks.",
        "# Ctrl-C ends the emulator; its jobs live in memory only.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
