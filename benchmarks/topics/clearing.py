"""
What it costs to clear a workspace: to plan from a listing, look at each job again, and delete it.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from ..contenders import ours
from ..lab import Lab
from ..samples import Figure, Run, in_turn

JOBS = 1_000


async def measure(lab: Lab) -> None:
    """
    Apply a plan in memory only, then with a journal on the disk.
    """
    url = lab.server.url(lab.jobs(JOBS))
    with TemporaryDirectory() as folder:
        async with ours.opened(url) as client:

            async def journaled() -> None:
                journal = Path(folder, "journal")
                await client.clear(journal)
                journal.unlink()

            lab.server.counts()
            report = await client.clear()
            lab.figures["clearing.requests"] = Figure.exactly(lab.server.counts().requests)
            lab.figures["clearing.jobs"] = Figure.exactly(report.done)
            runs: dict[str, Run] = {"plain": client.clear, "journaled": journaled}
            samples = await in_turn(runs, lab.rounds(7), process_time)
    for name in samples:
        lab.figures[f"clearing.cpu.{name}"] = samples.figure(name, "s")
