"""
`dashscope-ft emulator` and `dashscope-ft demo`: things to try without an account.
"""

from __future__ import annotations

from typing import Annotated

from typer import Option

from .command import Session
from .terminal import say, write


async def emulator(
    session: Session,
    port: Annotated[
        int, Option(min=0, max=65535, metavar="N", help="Where to listen; 0 takes a free port.")
    ] = 8765,
    seed: Annotated[int, Option(metavar="N", help="The same seed makes the same jobs.")] = 0,
    jobs: Annotated[
        int, Option(min=0, metavar="N", help="Fine-tuning jobs in each of both regions.")
    ] = 200,
    imports: Annotated[
        int, Option(min=0, metavar="N", help="Import jobs in each of both regions.")
    ] = 10,
) -> None:
    """
    Run a Model Studio on this machine, until Ctrl-C.
    """
    import asyncio

    from dashscope_ft.emulator import Emulator
    from dashscope_ft.emulator.emulator import REGIONS

    async with Emulator(port=port, seed=seed) as studio:
        for region in REGIONS:
            studio.seed(region, jobs=jobs, imports=imports)
        for region in REGIONS:
            # For an emulator's key is no secret, and nothing else accepts it.
            write(
                f"export DASHSCOPE_BASE_URL={studio.base_url(region)}"
                f" DASHSCOPE_API_KEY={studio.key(region)}\n"
            )
        say("One of these lines in another shell, then: dashscope-ft jobs list. Ctrl-C ends this.")
        await asyncio.Event().wait()


async def demo(
    session: Session,
    seed: Annotated[
        int | None, Option(metavar="N", help="The same seed makes the same jobs.")
    ] = None,
) -> int:
    """
    See it all work on an emulator, in ten seconds.
    """
    from random import SystemRandom

    from .demo import demonstrate

    return await demonstrate(SystemRandom().randrange(10_000) if seed is None else seed)
