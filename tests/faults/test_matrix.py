"""
Each operation under each fault: the error that is documented, in so many requests, in time.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ..interpreter import run_script
from .page import PAGE, count, page, promised, run

Record = Callable[[str, object], None]


@pytest.mark.once
def test_every_operation_under_every_fault(record_property: Record) -> None:
    """
    Whatever goes wrong, the caller gets what the matrix says, in exactly the requests it says.
    """
    wrongs: list[str] = []
    counted = count(run(wrongs))

    assert not wrongs, "\n".join(wrongs)
    assert counted["sound"] == counted["cells"]
    record_property(
        "figure",
        "{faults} faults in {forms} forms under {operations} operations: {cells:,} cells, and each "
        "ended as its row says, in exactly the requests it says, within its deadline, with the key "
        "nowhere and the client usable after.".format(**counted),
    )


def test_the_page() -> None:
    """
    The page that is kept says what the matrix says: run `python -m tests.faults` to write it anew.
    """
    assert PAGE.read_text() == page(promised())


BOMB = """
import asyncio

from tests.faults.wires import GZIP, bomb
from tests.scripted import Answer, job, scripted
from dashscope_ft import MalformedResponse

PACKED = bomb(512)

def kilobytes(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))

async def main():
    async with scripted(job(), Answer(PACKED, headers=GZIP), job()) as server:
        client = server.client()
        await client.fine_tunes.get("ft-1")
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
        before = kilobytes("VmRSS")
        try:
            await client.fine_tunes.get("ft-1")
        except MalformedResponse as error:
            refusal = error
        more = kilobytes("VmHWM") - before
        await client.fine_tunes.get("ft-1")
        print(len(PACKED), refusal.attempts, more)

asyncio.run(main())
"""


@pytest.mark.once
def test_the_memory_that_a_gzip_bomb_takes(record_property: Record) -> None:
    """
    512 MiB in half a MiB of gzip are refused before they take 32 MiB of memory.
    """
    ran = run_script("", BOMB)

    assert ran.stderr == ""
    packed, attempts, kilobytes = map(int, ran.stdout.split())
    assert packed < 0.6 * 2**20
    assert attempts == 1
    assert kilobytes < 32 * 1024
    record_property(
        "figure",
        f"A gzip bomb of 512 MiB in {packed / 2**20:.1f} MiB is refused within "
        f"{kilobytes / 1024:.0f} MiB of memory, in {attempts} request.",
    )
