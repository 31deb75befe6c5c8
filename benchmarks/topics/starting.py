"""
What it costs until a script has done something: CPU of interpreters of their own.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from ..lab import Lab, run
from ..samples import Figure, Run, in_turn

_OURS = """
import asyncio
from dashscope_ft import AsyncClient

async def main():
    async with AsyncClient(api_key="sk-benchmark", base_url={url}) as client:
        print(len(await client.fine_tunes.page(1, 100)))

asyncio.run(main())
"""

_FLOOR = """
import asyncio
import aiohttp
import orjson

async def main():
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-benchmark"}) as session:
        query = {"page_no": 1, "page_size": 100}
        async with session.get({url} + "/fine-tunes", params=query) as response:
            print(len(orjson.loads(await response.read())["output"]["jobs"]))

asyncio.run(main())
"""

_OFFICIAL = """
import asyncio
import dashscope

async def main():
    async with dashscope.AsyncClient(api_key="sk-benchmark", base_url={url}) as client:
        print(len((await client.fine_tunes.list(page_no=1, page_size=100)).jobs))

asyncio.run(main())
"""


async def measure(lab: Lab) -> None:
    """
    Start interpreters in turn.
    """
    url = lab.server.url(1000)
    tools = Path(sys.executable).parent
    bare = _starting(sys.executable, "-c", "pass")
    quick = await in_turn(
        {"bare": bare, "import_ours": _starting(sys.executable, "-c", "import dashscope_ft")},
        lab.rounds(41),
        _cpu_of_children,
    )
    scripts = {"floor": _FLOOR, "ours": _OURS, "official": _OFFICIAL}
    runs: dict[str, Run] = {
        f"script_{name}": _starting(sys.executable, "-c", script.replace("{url}", repr(url)))
        for name, script in scripts.items()
    }
    samples = await in_turn(runs, lab.rounds(15), _cpu_of_children)
    clients = {
        "ours": "from dashscope_ft import AsyncClient",
        "floor": "import aiohttp, orjson",
        "by_hand": "import httpx, pydantic",
        "official": "from dashscope import AsyncClient",
    }
    others = {
        "help_ours": _starting(str(tools / "dashscope-ft"), "--help"),
        "help_official": _starting(str(tools / "dashscope"), "--help"),
        "import_official": _starting(sys.executable, "-c", "import dashscope"),
    }
    others |= {
        f"client_{name}": _starting(sys.executable, "-c", imports)
        for name, imports in clients.items()
    }
    samples |= await in_turn(others, lab.rounds(9), _cpu_of_children)
    for name in quick:
        lab.figures[f"starting.cpu.{name}"] = quick.figure(name, "ms", 1000)
    for name in samples:
        lab.figures[f"starting.cpu.{name}"] = samples.figure(name, "ms", 1000)
    more = zip(quick["import_ours"], quick["bare"], strict=True)
    lab.figures["starting.import_over_bare"] = Figure.of(
        [1000 * (ours - bare) for ours, bare in more], "ms"
    )
    lab.figures["starting.ratio.script"] = samples.ratio("script_ours", "script_floor")
    lab.figures["starting.ratio.help"] = samples.ratio("help_ours", "help_official")


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _starting(*command: str) -> Run:
    async def start() -> None:
        run(*command)

    return start
