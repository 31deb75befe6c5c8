"""
The blocking client among interrupts, forks, many threads, early ends and the collector.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import Any

import pytest

from dashscope_ft import Client, ClientClosed, OutcomeUnknown
from dashscope_ft.emulator import Emulator, Fault, ManualClock, Request

from .interpreter import run_script, running_script

Claims = dict[tuple[str, str], str]
Figure = Callable[[str, object], None]

INTERRUPTS = int(os.environ.get("INTERRUPTS", "200"))
CLOSINGS = int(os.environ.get("CLOSINGS", "25"))
DONE = "SUCCEEDED\n"
LONG = 30.0  # seconds; a test that waits this long has failed

ENDS = {
    "read": {"answered", "closed"},
    "walk": {"answered", "closed"},
    "delete": {"answered", "closed", "unknown"},
}

CLIENT = """
import asyncio, atexit, gc, json, os, random, signal, sys, threading, time
from dashscope_ft import Client, ClientClosed
client = Client(base_url=sys.argv[1], api_key=sys.argv[2], timeout=20, deadline=20)
job_id, *others = sys.argv[3:]
"""


def test_interrupts_of_a_tight_loop(model_studio: Emulator, record_property: Figure) -> None:
    """
    However often a loop of calls is interrupted, every interrupt reaches the caller, every call
    takes its answer or leaves, and the client works on as if nothing had been.
    """
    [job_id, *_] = model_studio.seed(jobs=60)
    end = run_script(
        CLIENT,
        """
        from tests.interrupts import Alarm
        alarm, chance = Alarm(), random.Random(6)
        calls = answers = reached = 0
        def call():
            global calls, answers
            calls += 1
            assert client.fine_tunes.get(job_id).job_id == job_id
            answers += 1
        def walk():
            global calls, answers
            calls += 1
            for job in client.fine_tunes.list(page_size=20):
                break
            answers += 1
        def loop(*calls):  # a function: Python's jump back to `while` is not within its `try`
            while alarm.armed:
                for each in calls:
                    each()
        async def tasks():
            return len(asyncio.all_tasks())
        call()
        at_rest = client._portal.call(tasks)
        for n in range(int(others[0])):
            times = 2 if n % 5 == 0 else 1  # now and then a second one, while the first winds up
            try:
                try:
                    alarm.set(chance.uniform(0.00002, 0.015) / times, times=times)
                    loop(call, walk) if n % 3 == 0 else loop(call)
                except KeyboardInterrupt:
                    reached += 1
                    loop(call)
            except KeyboardInterrupt:
                reached += 1
        assert len({job.job_id for job in client.fine_tunes.list()}) == 60
        end = time.monotonic() + 20
        while (left := client._portal.call(tasks) - at_rest) and time.monotonic() < end:
            time.sleep(0.01)  # a walk that was left may still be ending
        [limiter] = client._inner._transport.shared.limiters.values()
        print(json.dumps({
            "raised": alarm.raised, "reached": reached, "swallowed": alarm.swallowed,
            "calls": calls, "answers": answers, "turns": limiter._in_flight, "tasks": left,
            "threads": sorted(thread.name for thread in threading.enumerate()),
        }))
        client.close()
        """,
        *(model_studio.url, model_studio.key(), job_id, str(INTERRUPTS)),
        timeout=60 + INTERRUPTS / 5,
    )

    assert (end.stderr, end.returncode) == ("", 0)
    seen = json.loads(end.stdout)
    assert seen["raised"] == INTERRUPTS + -(-INTERRUPTS // 5)
    # A second interrupt that comes while the first is on its way takes its place.
    assert INTERRUPTS <= seen["reached"] + seen["swallowed"] <= seen["raised"]
    assert (seen["turns"], seen["tasks"]) == (0, 0)
    assert seen["threads"] == ["MainThread", "dashscope-ft"]
    record_property(
        "figure",
        f"{seen['raised']:,} interrupts of a loop of {seen['calls']:,} calls: {seen['reached']:,} "
        f"reached the caller, {seen['swallowed']:,} fell into a finalizer, the rest came while "
        f"another was on its way; {seen['answers']:,} calls were answered, "
        f"{seen['turns']} turns, {seen['tasks']} tasks and {len(seen['threads']) - 2} threads "
        "were left behind, and the client listed all 60 jobs afterwards.",
    )


def test_fork_while_a_request_is_in_flight(record_property: Figure) -> None:
    """
    A child forked while an answer is awaited has its own connections; the parent's answer comes.
    """
    clock = ManualClock()
    with Emulator(clock=clock) as studio:
        ours, theirs = (studio.seed(jobs=6) for _ in range(2))
        studio.inject(Fault(path=f"/fine-tunes/{ours[0]}", answer_delay=60.0))
        held = studio.journal.first(lambda request: request.job_id == ours[0])
        with running_script(
            CLIENT,
            """
            ours, theirs = [job_id, *others[:5]], others[5:]
            client.fine_tunes.get(ours[1])
            answers = []
            waiting = threading.Thread(
                target=lambda: answers.append(client.fine_tunes.get(ours[0]))
            )
            waiting.start()
            assert sys.stdin.readline() == "it is held\\n"
            if pid := os.fork():
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
                assert client.fine_tunes.get(ours[2]).job_id == ours[2]
                assert not answers
                print("the child has ended", flush=True)
                waiting.join()
                assert answers[0].job_id == ours[0]
                for each in ours[3:]:
                    assert client.fine_tunes.get(each).job_id == each
                print("the answer came", flush=True)
            else:
                for each in theirs:
                    assert client.fine_tunes.get(each).job_id == each
                assert len(list(client.fine_tunes.list(page_size=20))) == 12
                client.close()
                gc.collect()
            """,
            *(studio.url, studio.key(), *ours, *theirs),
        ) as script:
            held.result(LONG)
            script.tell("it is held")
            heard = script.line()
            clock.advance(60.0)
            rest, stderr, code = script.end()

        requests = list(studio.journal)

    assert (heard, rest, stderr, code) == ("the child has ended\n", "the answer came\n", "", 0)
    by_parent = {r.connection for r in requests if r.job_id in ours}
    by_child = {r.connection for r in requests if r.job_id not in ours}
    assert by_parent.isdisjoint(by_child)
    # Nothing but these came on any connection, each once.
    assert Counter(r.job_id for r in requests) == Counter([*ours, *theirs, None])
    record_property(
        "figure",
        f"A fork while a request was held: the child made {len(theirs) + 1} requests on "
        f"{len(by_child)} connection of its own, the parent {len(ours)} on {len(by_parent)}, "
        f"the held one answered after the child had ended; {len(by_parent & by_child)} shared.",
    )


@pytest.mark.once
def test_200_threads(model_studio: Emulator, record_property: Figure) -> None:
    """
    Each of 200 threads gets its own answers, over at most `concurrency` connections.
    """
    ids = model_studio.seed(jobs=200, statuses=["SUCCEEDED"])
    start = threading.Barrier(len(ids))

    with Client(base_url=model_studio.url, api_key=model_studio.key(), concurrency=8) as client:

        def live(job_id: str) -> tuple[list[str], str | None]:
            start.wait(LONG)
            seen = [client.fine_tunes.get(job_id).job_id for _ in range(3)]
            seen.append(client.with_options(timeout=20).fine_tunes.get(job_id).job_id)
            receipt = client.fine_tunes.delete(job_id)
            return [*seen, receipt.job_id], receipt.request_id

        with ThreadPoolExecutor(len(ids)) as pool:
            answers = dict(zip(ids, pool.map(live, ids), strict=True))
        left = client.fine_tunes.page().total

    journal, account = model_studio.journal, model_studio.account()
    assert {job_id: seen for job_id, (seen, _) in answers.items()} == {i: [i] * 5 for i in ids}
    assert {i: request_id for i, (_, request_id) in answers.items()} == deletions(model_studio)
    assert len(journal) == 5 * len(ids) + 1
    assert max(journal.most_connections, journal.most_in_flight) <= 8
    assert left == len(account.jobs) == 0
    record_property(
        "figure",
        f"{len(ids)} threads on one client, {len(journal):,} calls, each answered with its own "
        f"job; at most {journal.most_connections} connections for a concurrency of 8; "
        f"{len(deletions(model_studio))} deletions, in the books by the ids on their receipts.",
    )


def test_closing_while_others_call(model_studio: Emulator, record_property: Figure) -> None:
    """
    Closed amid the calls of other threads, each ends: answered, closed, or told as unknown.
    """
    chance, ends = Random(4), Counter[str]()
    for _ in range(CLOSINGS):
        ids = model_studio.seed(jobs=80, statuses=["FAILED"])
        model_studio.journal.clear()
        client = Client(base_url=model_studio.url, api_key=model_studio.key())
        amid = model_studio.journal.first(at_least(model_studio, chance.randrange(1, 40)))
        claims: Claims = {}

        def live(mine: list[str], client: Client = client, claims: Claims = claims) -> None:
            for n, job_id in enumerate(mine):
                claims["read", job_id] = how(client.fine_tunes.get, job_id)
                claims["delete", job_id] = how(client.fine_tunes.delete, job_id)
                if n % 4 == 0:
                    walk = client.fine_tunes.list(page_size=20)
                    claims["walk", job_id] = how(list, walk)
                if claims["delete", job_id] != "answered":
                    break

        threads = [threading.Thread(target=live, args=(ids[n::8],)) for n in range(8)]
        for thread in threads:
            thread.start()
        amid.result(LONG)
        client.close()
        for thread in threads:
            thread.join(LONG)
            assert not thread.is_alive()

        ends.update(claims.values())
        gone = deletions(model_studio)
        for (deed, job_id), end in claims.items():
            assert end in ENDS[deed]
            if deed == "delete" and end != "unknown":
                assert (end == "answered") == (job_id in gone)
    assert ends["answered"]
    assert ends["closed"]
    record_property(
        "figure",
        f"A client closed {CLOSINGS} times amid the calls of 8 threads: {ends['answered']:,} calls "
        f"were answered, {ends['closed']:,} ended in ClientClosed, {ends['unknown']:,} deletions "
        "under way in OutcomeUnknown; 0 hung, and the emulator's books agree with each.",
    )


def test_closing_while_requests_are_held(model_studio: Emulator) -> None:
    """
    Of what was sent and not answered, a read ends as closed, a deletion as unknown.
    """
    read, gone = model_studio.seed(jobs=2, statuses=["FAILED"])
    model_studio.inject(Fault(answer_delay=2 * LONG, times=None))
    both = model_studio.journal.first(lambda request: request.in_flight == 2)
    client = Client(base_url=model_studio.url, api_key=model_studio.key())
    with ThreadPoolExecutor(2) as pool:
        reading = pool.submit(how, client.fine_tunes.get, read)
        deleting = pool.submit(how, client.fine_tunes.delete, gone)
        both.result(LONG)
        client.close()

        assert (reading.result(LONG), deleting.result(LONG)) == ("closed", "unknown")


COLLECTED = {
    "client": "",
    "pager": """
held.append(client.fine_tunes.list(page_size=20))
held.append(iter(held[-1]))
next(held[-1])
""",
    "outcomes": """
held.append(client.fine_tunes.delete_many(others))
held.append(iter(held[-1]))
next(held[-1])
""",
    "view": """
held.append(client.with_options(timeout=5))
held[-1].fine_tunes.get(job_id)
""",
    "log": """
held.append(client.fine_tunes.logs(job_id, follow=True))
next(held[-1])
""",
    "error": """
try:
    client.fine_tunes.get("ft-none")
except Exception as error:
    held.append(error)
""",
}


def test_collected_on_the_loops_own_thread(model_studio: Emulator, record_property: Figure) -> None:
    """
    Whatever the collector finds on the loop's own thread ends there, without a word or a wait.
    """
    [job_id, *others] = model_studio.seed(jobs=90, statuses=["SUCCEEDED"])

    def collect(kind: str) -> subprocess.CompletedProcess[str]:
        return run_script(
            CLIENT,
            """
            gc.disable()
            held, deed, others = [client], others[0], others[1:]
            client.fine_tunes.get(job_id)
            exec(deed)
            held.append(held)
            [thread] = [each for each in threading.enumerate() if each.name == "dashscope-ft"]
            loop = client._portal._loop_thread._loop
            done = threading.Event()
            def collect():
                assert threading.current_thread() is thread
                print("collected", gc.collect() > 0)
                done.set()
            del client, held
            loop.call_soon_threadsafe(collect)
            del loop
            done.wait()
            thread.join()
            gc.collect()
            folder = "/proc/self/fd/"
            paths = [folder + each for each in os.listdir(folder)] if os.path.isdir(folder) else []
            sockets = [
                path for path in paths
                if os.path.islink(path) and os.readlink(path).startswith("socket:")
            ]
            print(threading.active_count(), "thread,", len(sockets), "sockets")
            """,
            *(model_studio.url, model_studio.key(), job_id, COLLECTED[kind], *others),
        )

    with ThreadPoolExecutor(3) as pool:
        ends = dict(zip(COLLECTED, pool.map(collect, COLLECTED), strict=True))

    for kind, end in ends.items():
        assert (kind, end.stderr, end.returncode) == (kind, "", 0)
        assert end.stdout == "collected True\n1 thread, 0 sockets\n"
    record_property(
        "figure",
        f"{len(ends)} things left in a reference cycle ({', '.join(ends)}), each with an un-closed "
        "client, collected on the loop's own thread: 0 deadlocks, 0 bytes on stderr under "
        "-X dev, 0 threads and 0 sockets left.",
    )


WAYS: dict[str, tuple[str, str, str, int]] = {
    "idle": ("pass", "", "", 0),
    "walking": ("walk = iter(client.fine_tunes.list(page_size=20)); next(walk)", "", "", 0),
    "deleting": ("run = iter(client.fine_tunes.delete_many(others)); next(run)", "", "", 0),
    "atexit": ("atexit.register(lambda: print(client.fine_tunes.get(job_id).status))", DONE, "", 0),
    "atexit close": ("atexit.register(client.close)", "", "", 0),
    "forked": ("os.fork() or client.fine_tunes.get(job_id)", "", "", 0),
    "forked, child exits": ("os.fork() or sys.exit()", "", "", 0),
    "daemon calling": (
        "threading.Thread(target=lambda: list(client.fine_tunes.list(page_size=20)) * 9,"
        " daemon=True).start(); time.sleep(0.02)",
        *("", "", 0),
    ),
    "thread calling": (
        "threading.Thread(target=lambda: print(client.fine_tunes.get(job_id).status)).start()",
        *(DONE, "", 0),
    ),
    "cycle": ("client.cycle = client; del client", "", "", 0),
    "running loop": (
        "async def cell(): print(client.fine_tunes.get(job_id).status)\nasyncio.run(cell())",
        *(DONE, "", 0),
    ),
    "sys.exit": ("sys.exit(3)", "", "", 3),
    "error": ("1 / 0", "", "ZeroDivisionError: division by zero", 1),
    "error of ours": ("client.fine_tunes.get('ft-none')", "", "NotFound", 1),
    "Ctrl-C": ("interrupt()", "", "KeyboardInterrupt", -signal.SIGINT),
    "Ctrl-C in a call": (
        "Timer(0.2, interrupt).start(); client.fine_tunes.wait(running, poll_interval=60)",
        *("", "KeyboardInterrupt", -signal.SIGINT),
    ),
    "Ctrl-C in a loop": (
        "for job in client.fine_tunes.list(page_size=20): interrupt()",
        *("", "KeyboardInterrupt", -signal.SIGINT),
    ),
}


def test_exit_with_a_client_left_open(model_studio: Emulator, record_property: Figure) -> None:
    """
    The interpreter ends at once, without a word of its own, whatever was left open.
    """
    [job_id, *others] = model_studio.seed(jobs=90, statuses=[DONE.strip()])
    [running] = model_studio.seed(jobs=1, statuses=["RUNNING"])

    def leave(way: str) -> subprocess.CompletedProcess[str]:
        return run_script(
            CLIENT + "from threading import Timer\nfrom tests.interrupts import interrupt\n",
            f"running = others.pop()\nclient.fine_tunes.get(job_id)\n{WAYS[way][0]}",
            *(model_studio.url, model_studio.key(), job_id, *others, running),
        )

    with ThreadPoolExecutor(3) as pool:
        ends = dict(zip(WAYS, pool.map(leave, WAYS), strict=True))

    for way, (_, printed, last, code) in WAYS.items():
        end = ends[way]
        assert (way, end.stdout, end.returncode) == (way, printed, code)
        assert last or (way, end.stderr) == (way, "")
        if last:
            # One traceback, the program's own, and nothing after it.
            assert end.stderr.startswith("Traceback (most recent call last):\n"), way
            assert end.stderr.count("Traceback") == 1, way
            assert last in end.stderr.splitlines()[-1], way
    silent = sum(not end.stderr for end in ends.values())
    record_property(
        "figure",
        f"Exit with a client left open in {len(ends)} ways under -X dev ({', '.join(ends)}): each "
        f"with its own exit code, {silent} with an empty stderr, {len(ends) - silent} with "
        "nothing there but the program's own traceback.",
    )


def at_least(studio: Emulator, number: int) -> Callable[[Request], bool]:
    return lambda _: len(studio.journal) >= number


def how(call: Callable[..., Any], *arguments: Any) -> str:
    try:
        call(*arguments)
    except ClientClosed:
        return "closed"
    except OutcomeUnknown:
        return "unknown"
    return "answered"


def deletions(studio: Emulator) -> dict[str, str | None]:
    """
    The jobs that the emulator's books say were deleted, and by which request.
    """
    entries = [entry for entry in studio.account().books.entries if entry.action == "deleted"]
    assert len(entries) == len({entry.job_id for entry in entries})
    return {entry.job_id: entry.request_id for entry in entries}
