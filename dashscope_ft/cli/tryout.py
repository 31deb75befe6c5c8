"""
`dashscope-ft emulator` and `dashscope-ft demo`: commands that need no account.
"""

from __future__ import annotations

from inspect import Parameter, Signature
from math import isfinite
from typing import Annotated, Any

from typer import Option

from dashscope_ft.emulator.options import OPTIONS

from .session import Session


def emulator(session: Session, /, **options: Any) -> int:
    """
    Run a Model Studio on this machine, until Ctrl-C.
    """
    from dashscope_ft.emulator.__main__ import serve

    return serve(**options)


# The same options as `python -m dashscope_ft.emulator`, which has to work without typer.
emulator.__signature__ = Signature(  # type: ignore[attr-defined]
    [
        Parameter("session", Parameter.POSITIONAL_ONLY),
        *(
            Parameter(
                option.name,
                Parameter.KEYWORD_ONLY,
                default=option.default,
                annotation=Annotated[
                    option.kind | None,
                    Option(
                        metavar=option.metavar,
                        help=option.help,
                        min=option.least if isfinite(option.least) else None,
                        max=option.most if isfinite(option.most) else None,
                    ),
                ],
            )
            for option in OPTIONS
        ),
    ]
)


async def demo(
    session: Session,
    seed: Annotated[
        int | None, Option(metavar="N", help="Make the same jobs as any run with this seed.")
    ] = None,
) -> int:
    """
    See it all work on an emulator, in ten seconds.
    """
    from random import SystemRandom

    from .demo import demonstrate

    return await demonstrate(SystemRandom().randrange(10_000) if seed is None else seed)
