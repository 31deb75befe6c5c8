"""
How much memory jobs take, kept and streamed; each in a process of its own.
"""

from __future__ import annotations

import orjson

from ..goals import REMEMBERED
from ..lab import Lab
from ..progress import progress
from ..samples import Figure

JOBS = 50_000

_PROGRAM = """
import asyncio, gc, json, resource, sys, tracemalloc
from dashscope_ft import AsyncClient

def resident():
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize() / 1024

async def main(url, keep, traced):
    async with AsyncClient(api_key="sk-benchmark", base_url=url, concurrency=8) as client:
        await client.fine_tunes.page(1, 100)
        gc.collect()
        if traced:
            tracemalloc.start()
        before = resident()
        if keep:
            jobs = await client.fine_tunes.list().collect()
            gc.collect()
            used, peak = tracemalloc.get_traced_memory()
            print(json.dumps([len(jobs), used / 1024, peak / 1024, resident() - before]))
        else:
            seen, top = 0, 0
            async for job in client.fine_tunes.list():
                seen += 1
                if not traced and seen % 50 == 0:
                    top = max(top, resident())
            used, peak = tracemalloc.get_traced_memory()
            print(json.dumps([seen, used / 1024, peak / 1024, top - before]))
"""


async def measure(lab: Lab) -> None:
    """
    Keep them all, then let them pass, each by Python's own count and by the system's.
    """
    jobs = lab.jobs(JOBS)
    url = lab.server.url(jobs)
    lab.figures["memory.jobs"] = Figure.exactly(jobs)
    for traced, way in ((True, "traced"), (False, "resident")):
        for keep, what in ((True, "kept"), (False, "streamed")):
            progress(f"  {what}, {way}")
            kilobytes = []
            for _ in range(1 if traced else lab.rounds(3)):
                program = f"{_PROGRAM}\nasyncio.run(main({url!r}, {keep}, {traced}))"
                seen, used, peak, resident = orjson.loads(lab.python(program))
                assert seen == jobs
                number = resident if not traced else used if keep else peak
                kilobytes.append(number)
            name = f"memory.{way}.{what}"
            if keep:
                lab.figures[name] = Figure.of([each / jobs for each in kilobytes], "KB")
            else:
                above = [(each - REMEMBERED * jobs) / 1024 for each in kilobytes]
                lab.figures[name] = Figure.of(above, "MB")
                total = [each / 1024 for each in kilobytes]
                lab.figures[f"{name}_total"] = Figure.of(total, "MB")
