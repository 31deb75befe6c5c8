"""
`dashscope-ft demo`: the library's promises, kept before one's eyes.

Everything is asked of an emulator over real HTTP through the public face; the figures
at the end are counted from what came back, and from the emulator's own books.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from .command import Session
from .exits import ExitCode
from .terminal import Steps, say, steps, width_of, write_lines

if TYPE_CHECKING:
    from random import Random

    from dashscope_ft import AsyncClient, Receipt
    from dashscope_ft.emulator import Account, Emulator

_SIZES = {"intl": 420, "cn": 260}
_LATENCY = 0.06
_CHANGES_A_SECOND = 40
_SMALL_PAGES = 20
"""The smaller the pages, the more of them, and the more can go wrong in between."""


async def show(
    session: Session,
    seed: Annotated[
        int | None, Option(metavar="N", help="The same seed makes the same jobs.")
    ] = None,
) -> int:
    """
    See the library keep its promises on an emulator, in ten seconds.
    """
    from random import SystemRandom

    from dashscope_ft.emulator import Emulator, Fault

    from .demo_table import verdict

    seed = SystemRandom().randrange(10_000) if seed is None else seed
    began = time.monotonic()
    async with Emulator(seed=seed, latency=_LATENCY) as emulator:
        say(f"An emulator with {sum(_SIZES.values())} jobs in two regions. Its seed is {seed}.")
        accounts = {region: emulator.account(region) for region in _SIZES}
        for region, size in _SIZES.items():
            emulator.seed(region, jobs=size, imports=8)
        # Of the answers to deletions, one in ten is lost on its way.
        emulator.inject(Fault(operation="*.delete", lose="after", every=10, times=None))
        with steps() as shown:
            findings = await _both(
                {
                    region: _Visit(region, emulator, account, shown).run(seed)
                    for region, account in accounts.items()
                }
            )
        requests = len(emulator.journal)
    lines, good = verdict(findings, width=width_of(sys.stdout))
    write_lines(lines)
    say(f"{requests:,} requests in {time.monotonic() - began:.1f} seconds.")
    return ExitCode.DONE if good else ExitCode.FAILED
