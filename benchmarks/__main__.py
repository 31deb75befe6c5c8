"""
Measure everything: `python -m benchmarks`, or `--quick` to see that all works.

Makes itself an environment, `.venv-bench`, and writes `benchmarks/results/`. `--publish` puts
the last run's first table into the README.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from . import environment
from .progress import progress

RESULTS = Path(__file__).with_name("results")
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- from benchmarks/results/table.md -->\n", "<!-- to here -->\n"

TOPICS = ("starting", "listing", "latency", "deleting", "clearing", "calls", "memory", "growth")
PEERS = ("dashscope", "httpx", "pydantic", "aiohttp", "cattrs", "orjson")


def main() -> None:
    """
    Measure what was asked for.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds, few jobs, no results")
    parser.add_argument("--only", choices=TOPICS, action="append", help="a topic, no results")
    parser.add_argument("--publish", action="store_true", help="the last run's, into the README")
    arguments = parser.parse_args()
    if arguments.publish:
        publish()
        return
    if not environment.is_current():
        python = str(environment.interpreter())
        os.execv(python, [python, "-m", "benchmarks", *sys.argv[1:]])
    began = time.monotonic()
    asyncio.run(_measure(quick=arguments.quick, only=arguments.only))
    progress(f"done in {time.monotonic() - began:.0f} s")


def published(table: str) -> str:
    """
    Return what the README shows of all tables: the first, and who measured what where.
    """
    who, _, first, *_ = table.split("\n\n")
    return f"{BEGIN}\n{first}\n\n{who}\n\n{END}"


def publish() -> None:
    """
    Put the last run's first table into the README, between its marks.
    """
    table = RESULTS / "table.md"
    if not table.exists():
        raise SystemExit(f"there is no {table}: measure first")
    before, begin, rest = README.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{README} has no place between {BEGIN.strip()} and {END.strip()}")
    README.write_text(before + published(table.read_text()) + after)


async def _measure(*, quick: bool, only: list[str] | None) -> None:
    import orjson
    from attrs import asdict

    from .lab import Lab
    from .server import Server
    from .topics import measurements

    with Server() as server:
        lab = Lab(server, quick)
        for number, topic in enumerate(only or TOPICS, 1):
            progress(f"{topic} ({number} of {len(only or TOPICS)})")
            await measurements(topic)(lab)
    if only:
        for name, figure in lab.figures.items():
            print(f"{name:40} {figure}")
        return

    from . import charts, goals, tables

    machine = {
        "cores": str(os.cpu_count()),
        "python": f"Python {platform.python_version()}",
        "system": platform.system(),
    }
    versions = {name: version(name) for name in PEERS}
    folder = RESULTS / "quick" if quick else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    kept = {
        "machine": machine,
        "versions": versions,
        "figures": {name: asdict(figure) for name, figure in lab.figures.items()},
        "goals": [
            asdict(goal) | {"met": goal.is_met(lab.figures)} for goal in goals.goals(lab.figures)
        ],
    }
    (folder / "results.json").write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
    (folder / "table.md").write_text(tables.write(lab.figures, machine, versions))
    charts.draw_all(lab.figures, folder)
    print((folder / "table.md").read_text())
    if not quick:
        progress("many workspaces on a local Dask cluster")
        subprocess.run([sys.executable, "-m", "benchmarks.many_workspaces"], check=True)


if __name__ == "__main__":
    main()
