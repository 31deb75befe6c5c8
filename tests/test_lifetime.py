"""
How a client lives and ends: closing, cancelling, several loops, forks.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from itertools import product
from subprocess import CompletedProcess
from typing import Any

import pytest

from dashscope_ft import AsyncClient, ClientClosed, DashScopeError, OutcomeUnknown, Throttled
from dashscope_ft.emulator import Emulator, Fault

from .asks import Ask, cancel, create, delete, get, walk
from .interpreter import run_script
from .scripted import (
    EMPTY_PAGE,
    KEY,
    NOT_FOUND,
    Answer,
    ScriptedServer,
    Silence,
    job,
    refusal,
    scripted,
)


async def undisturbed(script: str, *arguments: str) -> CompletedProcess[str]:
    """
    Run a script while the loop, and so the server, runs on.
    """
    return await asyncio.to_thread(run_script, "", script, *arguments)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def closed_during(asked: asyncio.Task[Any], client: AsyncClient) -> DashScopeError:
    """
    Close a client, and give what a call that is under way ends in, right then.
    """
    await client.aclose()
    await asyncio.wait([asked], timeout=5)

    assert asked.done(), "the call outlives its client"
    error = asked.exception()
    assert isinstance(error, DashScopeError)
    assert error.__context__ is None
    return error


# Closing


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (get, ClientClosed),
        (walk, ClientClosed),
        (create, OutcomeUnknown),
        (delete, OutcomeUnknown),
        (cancel, OutcomeUnknown),
    ],
)
async def test_closing_while_an_answer_is_awaited(ask: Ask, kind: type[DashScopeError]) -> None:
    """
    A call under way ends at once: a read as closed, a change as unknown, since it was sent.
    """
    async with scripted(Silence()) as server:
        client = server.client(real_time=True)
        asked = asyncio.ensure_future(ask(client))
        await server.arrived(1)

        assert type(await closed_during(asked, client)) is kind


async def test_closing_while_pages_are_read_ahead() -> None:
    """
    A walk that waits for any of its reads ends as closed, too.
    """
    jobs = [{"job_id": f"ft-{number}"} for number in range(100)]
    page = Answer({"output": {"page_no": 1, "page_size": 100, "total": 500, "jobs": jobs}})
    async with scripted(page, Silence()) as server:
        client = server.client(real_time=True)
        asked = asyncio.ensure_future(walk(client))
        await server.arrived(1 + 5)

        assert type(await closed_during(asked, client)) is ClientClosed


@pytest.mark.parametrize("ask", [get, walk, create, delete, cancel])
async def test_closing_while_a_pause_lasts(ask: Ask) -> None:
    """
    A call that waits for the service's pause to end doesn't wait any longer.
    """
    async with scripted(refusal(429, "Throttling", Retry_After="50")) as server:
        client = server.client(real_time=True)
        asked = asyncio.ensure_future(ask(client))
        await server.arrived(1)
        while client._transport.shared.limiter_here()._in_flight:
            await asyncio.sleep(0)

        assert type(await closed_during(asked, client)) is ClientClosed
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("ask", "look"),
    [
        (get, None),
        (create, "Creating a fine-tuning job .* be billed: .*look for"),
        (delete, "Deleting ft-1: .* Get the job"),
        (cancel, "Cancelling ft-1: .* Get the job"),
    ],
)
async def test_an_interrupt_while_an_answer_is_awaited(ask: Ask, look: str | None) -> None:
    """
    Who interrupts a change that was sent is told, in a note, what to look at.
    """
    async with scripted(Silence()) as server:
        asked = asyncio.ensure_future(ask(server.client(real_time=True)))
        await server.arrived(1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await asked

        notes = getattr(caught.value, "__notes__", [])
        assert len(notes) == (look is not None)
        assert look is None or re.match(look, notes[0])
        assert KEY not in "".join(notes)


async def test_an_interrupt_before_anything_was_sent() -> None:
    """
    Of a creation that was interrupted before it was sent, no note says what to look at.
    """
    async with scripted(Silence()) as server:
        client = server.client(real_time=True, concurrency=1)
        first, second = (asyncio.ensure_future(create(client)) for _ in range(2))
        await server.arrived(1)
        await turns(5)
        second.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await second
        first.cancel()
        await asyncio.wait([first])

        assert not hasattr(caught.value, "__notes__")


async def test_closing_while_calls_stand_in_line() -> None:
    """
    Calls that wait for their turn end too, and send nothing.
    """
    async with scripted(Silence()) as server:
        client = server.client(real_time=True, concurrency=1)
        asked = [asyncio.ensure_future(create(client)) for _ in range(5)]
        await server.arrived(1)
        await client.aclose()
        done, _ = await asyncio.wait(asked, timeout=5)
        kinds = sorted(type(call.exception()).__name__ for call in done)

        assert kinds == ["ClientClosed"] * 4 + ["OutcomeUnknown"]
        assert len(server.requests) == 1


@pytest.mark.parametrize("ask", [get, create, delete, cancel])
async def test_closing_while_a_connection_is_made(ask: Ask, deaf_port: int) -> None:
    """
    A call whose connection was still being made ends as closed, and never as unknown.
    """
    client = ScriptedServer([], port=deaf_port).client(real_time=True)
    asked = asyncio.ensure_future(ask(client))
    while not client._transport.shared.limiter_here()._in_flight:
        await asyncio.sleep(0)
    await turns(20)

    assert type(await closed_during(asked, client)) is ClientClosed


@pytest.mark.parametrize("ask", [get, create])
async def test_closing_while_a_name_is_looked_up(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The call ends as closed, and not in a cancellation that nobody asked for.
    """
    asking = asyncio.Event()

    async def no_answer(*_: Any, **__: Any) -> None:
        asking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", no_answer)
    client = ScriptedServer([]).client(real_time=True, base_url="https://studio.example")
    asked = asyncio.ensure_future(ask(client))
    await asking.wait()

    assert type(await closed_during(asked, client)) is ClientClosed


async def wait(client: AsyncClient) -> Any:
    return await client.fine_tunes.wait("ft-1", poll_interval=3_600)


async def follow(client: AsyncClient) -> Any:
    return [line async for line in client.fine_tunes.logs("ft-1", follow=True)]


@pytest.mark.parametrize(("ask", "requests"), [(wait, 1), (follow, 2)])
async def test_closing_while_a_job_is_waited_for(ask: Ask, requests: int) -> None:
    """
    Nobody sleeps on until the next look, which could not be taken any more.
    """
    async with scripted(job(), Answer({"output": {"logs": [], "total": 0}})) as server:
        client = server.client(real_time=True)
        asked = asyncio.ensure_future(ask(client))
        await server.arrived(requests)
        while client._transport.shared.limiter_here()._in_flight:
            await asyncio.sleep(0)
        await turns(20)

        assert type(await closed_during(asked, client)) is ClientClosed
        assert len(server.requests) == requests


async def test_closing_between_two_looks() -> None:
    """
    Whoever asks for the next line of a closed client's log is told at once, and not after a pause.
    """
    async with scripted(job(), Answer({"output": {"logs": ["first"], "total": 1}})) as server:
        client = server.client()
        log = client.fine_tunes.logs("ft-1", follow=True)
        assert await anext(log) == "first"
        await client.aclose()
        with pytest.raises(ClientClosed):
            await anext(log)

        assert server.time.slept == []


async def test_a_closed_client() -> None:
    """
    Whatever is asked of a closed client, or of a view of it, is refused; nothing is sent.
    """
    async with scripted(EMPTY_PAGE) as server:
        client = server.client()
        view, pager = client.with_options(timeout=5), client.fine_tunes.list()
        await client.aclose()
        await client.aclose()
        for ask in (get, walk, create, delete, cancel):
            for each in (client, view):
                with pytest.raises(ClientClosed):
                    await ask(each)
        with pytest.raises(ClientClosed):
            await pager.collect()

        assert server.connections == 0


async def test_a_client_that_was_never_used() -> None:
    """
    A client that was never used can be closed all the same.
    """
    async with AsyncClient(api_key=KEY):
        pass


async def test_connections_are_kept_and_then_closed() -> None:
    """
    One connection serves many calls, and is gone with the client.
    """
    async with scripted(job()) as server:
        async with server.client() as client:
            for _ in range(10):
                await get(client)

            assert server.connections == 1

        await asyncio.wait(server._serving, timeout=5)

        assert not server._serving


async def test_no_more_connections_than_calls_at_once() -> None:
    """
    Fifty calls at once over a concurrency of four are four connections.
    """
    async with scripted(job()) as server:
        client = server.client(concurrency=4)
        await asyncio.gather(*(get(client) for _ in range(50)))

        assert server.connections <= 4
        assert len(server.requests) == 50


# Cancelling


@pytest.mark.parametrize(
    ("ask", "act"),
    [
        *product([get, walk, create, delete, cancel], [Silence()]),
        *product([get, walk, delete], [refusal(503, Retry_After="50")]),
    ],
)
async def test_cancelling_a_call(ask: Ask, act: Any) -> None:
    """
    A cancelled call is cancelled, whatever it was doing, and gives its turn back.
    """
    async with scripted(act, job()) as server:
        client = server.client(real_time=True, concurrency=1)
        asked = asyncio.ensure_future(ask(client))
        await server.arrived(1)
        while isinstance(act, Answer) and client._transport.shared.limiter_here()._in_flight:
            await asyncio.sleep(0)
        await turns(5)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await asked

        assert caught.value.__context__ is None or isinstance(
            caught.value.__context__, asyncio.CancelledError
        )
        assert (await get(client)).job_id == "ft-1"


async def test_cancelling_at_every_instant() -> None:
    """
    Wherever a cancellation strikes, it is heard, and no turn at the limiter is lost.
    """
    acts = [refusal(429), job(), refusal(503), job()]
    async with scripted(acts * 1000) as server:
        client = server.client(concurrency=2)
        for count in range(60):
            calls = [asyncio.ensure_future(get(client)) for _ in range(4)]
            await turns(count)
            cancelled = [call for call in calls if call.cancel()]
            done, _ = await asyncio.wait(calls, timeout=5)

            assert len(done) == 4
            assert all(call.cancelled() for call in cancelled)

        assert client._transport.shared.limiter_here()._in_flight == 0
        with suppress(DashScopeError):
            await get(client)


async def test_a_timeout_of_the_callers_own() -> None:
    """
    `asyncio.timeout` around a call works as it does around anything.
    """
    async with scripted(Silence()) as server:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.05):
                await get(server.client(real_time=True))

        assert not isinstance(caught.value, DashScopeError)


# Loops


@pytest.mark.parametrize("end", ["closed", "left open"])
async def test_several_loops_in_turn(end: str) -> None:
    """
    One client serves one `asyncio.run` after another, without a warning, closed or not.
    """
    async with scripted(job()) as server:
        ended = await undisturbed(
            """
            import asyncio, sys
            from dashscope_ft import AsyncClient

            client = AsyncClient(base_url=sys.argv[1], api_key="sk-1")

            async def use():
                await asyncio.gather(*(client.fine_tunes.get("ft-1") for _ in range(3)))
                await client.fine_tunes.create(model="m", training_file_ids=["f"])

            for _ in range(3):
                asyncio.run(use())
            if sys.argv[2] == "closed":
                asyncio.run(client.aclose())
            print("done")
            """,
            server.url,
            end,
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
        assert len(server.requests) == 12


async def test_several_loops_at_the_same_time() -> None:
    """
    Loops in two threads have a line each, so that whoever waits is woken on the own loop.
    """
    async with scripted(job()) as server:
        ended = await undisturbed(
            """
            import asyncio, sys, threading
            from dashscope_ft import AsyncClient

            client = AsyncClient(base_url=sys.argv[1], api_key="sk-1", concurrency=1)

            async def use():
                for _ in range(20):
                    await asyncio.gather(*(client.fine_tunes.get("ft-1") for _ in range(3)))

            threads = [
                threading.Thread(target=asyncio.run, args=(use(),), daemon=True) for _ in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(20)
            print(sum(thread.is_alive() for thread in threads), "hang")
            """,
            server.url,
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "0 hang\n", "")
        assert len(server.requests) == 120


async def test_loops_that_come_and_go_in_other_threads(model_studio: Emulator) -> None:
    """
    Looking for the pools and limiters of closed loops bears that others do so meanwhile.
    """

    class Closed:
        def __init__(self, places: dict[Any, Any]) -> None:
            self.places = places

        def is_closed(self) -> bool:
            self.places.clear()  # as another thread may at this very moment
            return True

    async with AsyncClient(api_key=model_studio.key(), base_url=model_studio.url) as client:
        shared: Any = client._transport.shared
        pools, limiters = shared.connections._pools, shared.limiters
        pools[Closed(pools), False] = None
        limiters[Closed(limiters)] = None

        await client.fine_tunes.page()

        assert len(pools) == len(limiters) == 1


async def test_closing_twice_at_the_same_time() -> None:
    """
    Of two closings at the same time, each closes what the other has not.
    """
    async with scripted(job()) as server:
        client = server.client(real_time=True)
        await client.fine_tunes.get("ft-1")
        await client.fine_tunes.create(model="qwen3-8b", training_file_ids=["file-1"])

        await asyncio.gather(client.aclose(), client.aclose())
        async with asyncio.timeout(5):
            while server._serving:
                await asyncio.sleep(0)


def test_iterators_that_are_held_as_the_loop_ends(model_studio: Emulator) -> None:
    """
    The error that ends the program is all that is said, whatever it holds.
    """
    model_studio.seed(jobs=150, statuses=["FAILED"])
    ended = run_script(
        "",
        """
        import asyncio, sys
        from dashscope_ft import AsyncClient

        held = []

        async def use():
            async with AsyncClient(base_url=sys.argv[1], api_key=sys.argv[2]) as client:
                jobs = client.fine_tunes
                runs = [jobs.delete_many(jobs.list()) for _ in range(2)]
                held.extend([aiter(jobs.list()), jobs.list().batches()])
                held.extend([aiter(runs[0]), runs[1].batches()])
                for iterator in held:
                    await anext(iterator)
                raise ValueError("mine")

        try:
            asyncio.run(use())
        except ValueError as error:
            print(error)
        """,
        model_studio.url,
        model_studio.key(),
    )

    assert (ended.stdout, ended.stderr) == ("mine\n", "")


async def test_a_loop_that_is_closed_with_calls_pending() -> None:
    """
    Who was in flight or in line there keeps nobody waiting on the next loop.
    """
    async with scripted(Silence(), job()) as server:
        ended = await undisturbed(
            """
            import aiohttp, asyncio, sys
            from dashscope_ft import AsyncClient

            async def tell(*_):
                sent.set()

            sent, traces = asyncio.Event(), aiohttp.TraceConfig()
            traces.on_request_headers_sent.append(tell)
            client = AsyncClient(
                base_url=sys.argv[1], api_key="sk-1", concurrency=1, trace_configs=[traces]
            )
            loop = asyncio.new_event_loop()
            calls = [loop.create_task(client.fine_tunes.get("ft-1")) for _ in range(3)]
            loop.run_until_complete(sent.wait())
            loop.close()
            asyncio.run(client.fine_tunes.get("ft-1"))
            print("done")
            """,
            server.url,
        )

        assert (ended.returncode, ended.stdout) == (0, "done\n")


async def test_a_client_that_is_never_closed() -> None:
    """
    A client left open, or dropped while the loop runs, ends with the loop and says nothing.
    """
    async with scripted(job()) as server:
        ended = await undisturbed(
            """
            import asyncio, gc, sys
            from dashscope_ft import AsyncClient

            async def use():
                client = AsyncClient(base_url=sys.argv[1], api_key="sk-1")
                await client.fine_tunes.get("ft-1")
                del client
                gc.collect()
                await asyncio.sleep(0.01)
                left_open = AsyncClient(base_url=sys.argv[1], api_key="sk-1")
                await left_open.fine_tunes.get("ft-1")

            asyncio.run(use())
            print("done")
            """,
            server.url,
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


async def test_a_client_that_is_dropped_after_an_error() -> None:
    """
    Only the garbage collector finds it, since the error leads to frames that lead to the error;
    that says nothing either.
    """
    async with scripted(NOT_FOUND) as server:
        ended = await undisturbed(
            """
            import asyncio, gc, sys
            from dashscope_ft import AsyncClient, NotFound

            async def use():
                client = AsyncClient(base_url=sys.argv[1], api_key="sk-1")
                try:
                    await client.fine_tunes.get("ft-1")
                except NotFound:
                    pass
                del client
                gc.collect()
                await asyncio.sleep(0.01)

            asyncio.run(use())
            print("done")
            """,
            server.url,
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


async def test_a_client_that_is_dropped_and_that_its_traces_know() -> None:
    """
    The garbage collector finds it all the same.
    """
    async with scripted(job()) as server:
        ended = await undisturbed(
            """
            import asyncio, gc, sys, weakref
            from aiohttp import TraceConfig
            from dashscope_ft import AsyncClient

            class Traced:
                def __init__(self):
                    trace = TraceConfig()
                    trace.on_request_start.append(self.begin)
                    self.client = AsyncClient(
                        base_url=sys.argv[1], api_key="sk-1", trace_configs=[trace]
                    )

                async def begin(self, *_):
                    pass

            async def use():
                traced = Traced()
                await traced.client.fine_tunes.get("ft-1")
                return weakref.ref(traced)

            dropped = asyncio.run(use())
            gc.collect()
            print(dropped())
            """,
            server.url,
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "None\n", "")


async def test_a_loop_that_ends_during_calls() -> None:
    """
    Calls and walks that the loop's end cuts short leave no task, no socket and no warning.
    """
    async with scripted(Answer({"output": {"jobs": [{"job_id": "x"}] * 20}}), Silence()) as server:
        ended = await undisturbed(
            """
            import aiohttp, asyncio, sys
            from dashscope_ft import AsyncClient

            async def tell(*_):
                sent.release()

            sent, traces = asyncio.Semaphore(0), aiohttp.TraceConfig()
            traces.on_request_headers_sent.append(tell)

            async def use():
                client = AsyncClient(
                    base_url=sys.argv[1], api_key="sk-1", trace_configs=[traces]
                )
                calls = [asyncio.create_task(client.fine_tunes.list().collect()) for _ in range(3)]
                calls += [asyncio.create_task(client.fine_tunes.delete("ft-1")) for _ in range(3)]
                for _ in calls:
                    await sent.acquire()

            asyncio.run(use())
            print("done")
            """,
            server.url,
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


async def test_a_child_process() -> None:
    """
    After a fork the child starts over with the client, and the parent's connections live on.
    """
    async with scripted(job()) as server:
        ended = await undisturbed(
            """
            import asyncio, gc, os, sys
            from dashscope_ft import AsyncClient

            client = AsyncClient(base_url=sys.argv[1], api_key="sk-1", concurrency=1, timeout=5)

            async def use():
                await client.fine_tunes.get("ft-1")

            async def parent():
                await use()
                held = asyncio.create_task(use())  # its turn is not the child's to wait for
                await asyncio.sleep(0)
                child = os.fork()
                if child == 0:
                    asyncio.events._set_running_loop(None)
                    asyncio.run(use())
                    gc.collect()
                    os._exit(0)
                await held
                assert os.waitpid(child, 0)[1] == 0
                await use()
                await client.aclose()

            asyncio.run(parent())
            print("done")
            """,
            server.url,
        )

        assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")
        assert len(server.requests) == 4
        assert server.connections == 2


def test_a_pause_outlives_its_loop(model_studio: Emulator) -> None:
    """
    What one loop was told, the next one heeds: the second call sends nothing.
    """
    model_studio.inject(Fault(status=429, headers={"Retry-After": "3600"}))
    client = AsyncClient(base_url=model_studio.url, api_key=model_studio.key())
    for _ in range(2):
        with pytest.raises(Throttled):
            asyncio.run(client.fine_tunes.get("ft-1"))

    assert len(model_studio.journal) == 1
