"""
Run the emulator until Ctrl-C: `python -m dashscope_ft.emulator --port 8080 --seed 7 --jobs 300`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from .emulator import REGIONS, Emulator
from .rules import Rules


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the emulator, and return the exit code.
    """
    options = _parser().parse_args(arguments)
    emulator = Emulator(
        seed=options.seed,
        host=options.host,
        port=options.port,
        latency=options.latency,
        speed=options.speed,
        rules=Rules(
            rate=options.rate, retry_after=options.retry_after, job_quota=options.job_quota
        ),
    )
    for region in REGIONS:
        emulator.seed(region, jobs=options.jobs, imports=options.imports)
    try:
        asyncio.run(_serve(emulator))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {error.strerror}.\n")
        return 1
    return 0


async def _serve(emulator: Emulator) -> None:
    async with emulator:
        sys.stdout.write(_welcome(emulator))
        sys.stdout.flush()
        await asyncio.Event().wait()


def _welcome(emulator: Emulator) -> str:
    lines = []
    for region in REGIONS:
        account = emulator.account(region)
        counts = f"{len(account.jobs)} jobs, {len(account.imports)} imports"
        lines += [
            f"# {region}: {counts}",
            f"export DASHSCOPE_BASE_URL={emulator.base_url(region)}",
            f"export DASHSCOPE_API_KEY={emulator.key(region)}",
            "",
        ]
    return "\n".join([*lines, "# Ctrl-C ends the emulator; its jobs live in memory only.", ""])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dashscope_ft.emulator",
        description="A Model Studio on this machine, with an account in intl and one in cn.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=8080, help="port to listen on, 0 for any (%(default)s)")
    add("--seed", type=int, default=0, help="what randomness starts from (%(default)s)")
    add("--jobs", type=int, default=300, help="fine-tuning jobs in each region (%(default)s)")
    add("--imports", type=int, default=40, help="import jobs in each region (%(default)s)")
    add("--rate", type=float, help="requests admitted a second; without it, any number")
    add("--retry-after", type=float, help="seconds told to those beyond the rate")
    add("--job-quota", type=int, help="running or succeeded jobs; the service allows 20")
    add("--latency", type=float, default=0.0, help="seconds added to each request")
    add("--speed", type=float, default=1.0, help="how many times faster jobs live")
    return parser


if __name__ == "__main__":
    sys.exit(main())
