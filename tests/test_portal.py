from __future__ import annotations

import asyncio
import contextvars
import dis
import gc
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, NoReturn, Self

import pytest

from dashscope_ft import loop_thread as loop_thread_module
from dashscope_ft.errors import ClientClosed
from dashscope_ft.loop_thread import LoopThread
from dashscope_ft.portal import Portal

from .interpreter import run_script

LONG = 60.0  # seconds; a test that waits this long has failed


class Guest:
    """
    Something with a life of its own that notes what happens to it.
    """

    def __init__(self) -> None:
        self.inside = False
        self.visits = 0
        self.open_streams = 0
        self.closed_on: list[str] = []
        self.closed_inside: list[bool] = []
        self.wound_up: list[str] = []
        self.busy = threading.Event()

    async def __aenter__(self) -> Self:
        await asyncio.sleep(0)
        self.inside = True
        self.visits += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self.inside = False

    async def echo(self, word: str) -> str:
        assert self.inside
        await asyncio.sleep(0)
        return word

    async def fail(self) -> NoReturn:
        raise LookupError("nope")

    async def wait(self, name: str) -> None:
        try:
            self.busy.set()
            await asyncio.sleep(LONG)
        finally:
            await asyncio.sleep(0.01)
            self.wound_up.append(name)

    async def count(self, length: int = 10) -> AsyncGenerator[int, None]:
        self.open_streams += 1
        try:
            for n in range(length):
                await asyncio.sleep(0)
                yield n
        finally:
            await asyncio.sleep(0.01)
            self.closed_on.append(threading.current_thread().name)
            self.closed_inside.append(self.inside)
            self.open_streams -= 1


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def portal(guest: Guest) -> Iterator[Portal]:
    portal = Portal(guest)
    yield portal
    portal.close()


def loop_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "dashscope-ft"]


def wait_for(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()


TOY = """
import asyncio, atexit, gc, os, signal, sys, threading, time
from contextlib import suppress
from dashscope_ft.errors import ClientClosed
from dashscope_ft.outcomes import Report
from dashscope_ft.portal import Portal
from tests.interrupts import Alarm, interrupt_when
from tests.test_portal import Guest, loop_threads, wait_for
guest = Guest()
portal = Portal(guest)
"""


def test_answers_and_errors_come_back_as_they_are(portal: Portal, guest: Guest) -> None:
    """
    A call returns what the coroutine returns and raises what it raises, with its traceback.
    """
    with pytest.raises(LookupError, match="nope") as caught:
        portal.call(guest.fail)

    assert portal.call(guest.echo, "hello") == "hello"
    assert portal.call(guest.echo, "again") == "again"
    assert caught.value.__context__ is None
    assert caught.traceback[-1].name == "fail"


def test_nothing_starts_before_the_first_call(guest: Guest) -> None:
    """
    A portal costs no thread until it is used, and one afterwards.
    """
    before = loop_threads()
    portal = Portal(guest)
    unused = loop_threads()
    portal.call(guest.echo, "a")
    portal.call(guest.echo, "b")
    used = loop_threads()
    portal.close()

    assert unused == before
    assert len(used) == len(before) + 1
    assert loop_threads() == before
    assert guest.visits == 1


def test_a_thread_that_cannot_start(monkeypatch: pytest.MonkeyPatch, guest: Guest) -> None:
    """
    The caller is told, and the next call tries again.
    """

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    portal = Portal(guest)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError, match="new thread"):
            portal.call(guest.echo, "a")

    assert portal.call(guest.echo, "b") == "b"
    portal.close()


def test_closed_as_it_starts(monkeypatch: pytest.MonkeyPatch, guest: Guest) -> None:
    """
    The call that would have been the first ends, and no thread is left.
    """
    portal = Portal(guest)
    start = LoopThread.start

    def start_slowly(loop_thread: LoopThread) -> None:
        start(loop_thread)
        portal._closed = True  # by another thread, which finds nothing to end yet

    monkeypatch.setattr(LoopThread, "start", start_slowly)
    with pytest.raises(ClientClosed, match="as it started"):
        portal.call(guest.echo, "a")
    wait_for(loop_threads())

    assert guest.visits == 0


def test_a_guest_who_cannot_come_in(guest: Guest) -> None:
    """
    What kept the guest out is raised by the call, and the next call tries again.
    """

    class Late(Guest):
        async def __aenter__(self) -> Self:
            if not self.busy.is_set():
                self.busy.set()
                raise OSError("port taken")
            return await super().__aenter__()

    late = Late()
    portal = Portal(late)
    with pytest.raises(OSError, match="port taken"):
        portal.call(late.echo, "a")

    assert portal.call(late.echo, "b") == "b"
    portal.close()


def test_a_guest_who_cannot_leave() -> None:
    """
    What goes wrong as the guest leaves is raised by `close()`.
    """

    class Stuck(Guest):
        async def __aexit__(self, *_: object) -> None:
            raise OSError("still busy")

    stuck = Stuck()
    portal = Portal(stuck)
    portal.call(stuck.echo, "a")

    with pytest.raises(OSError, match="still busy"):
        portal.close()


def test_inside_a_running_loop(portal: Portal, guest: Guest) -> None:
    """
    A notebook, whose cells run in a loop, can call and iterate.
    """

    async def cell() -> tuple[str, list[int]]:
        return portal.call(guest.echo, "cell"), list(portal.iterate(guest.count(3)))

    assert asyncio.run(cell()) == ("cell", [0, 1, 2])


def test_on_its_own_loop(portal: Portal, guest: Guest) -> None:
    """
    A blocking call on the loop's own thread is an error, not a deadlock.
    """

    async def confused() -> None:
        portal.call(guest.echo, "never")

    async def confused_iteration() -> None:
        next(portal.iterate(guest.count()))

    with pytest.raises(RuntimeError, match="own event loop"):
        portal.call(confused)
    with pytest.raises(RuntimeError, match="own event loop"):
        portal.call(confused_iteration)

    assert portal.call(guest.echo, "alive") == "alive"


def test_closed_on_its_own_loop(portal: Portal, guest: Guest) -> None:
    """
    Closing from the loop's own thread ends it without waiting for itself.
    """

    async def close() -> None:
        portal.close()
        await asyncio.sleep(LONG)

    with pytest.raises(ClientClosed):
        portal.call(close)


def test_sixteen_threads(portal: Portal, guest: Guest) -> None:
    """
    Many threads may share a portal, and each gets its own answers.
    """
    words = [str(n) for n in range(800)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda word: portal.call(guest.echo, word), words))

    assert answers == words
    assert guest.visits == 1


def test_context_variables(portal: Portal) -> None:
    """
    What a caller's context variables say is seen by the coroutine.
    """
    variable = contextvars.ContextVar("variable", default="unset")

    async def read() -> str:
        return variable.get()

    async def read_twice() -> AsyncGenerator[str, None]:
        yield variable.get()
        yield variable.get()

    portal.call(read)
    variable.set("caller's")

    assert portal.call(read) == "caller's"
    assert list(portal.iterate(read_twice())) == ["caller's"] * 2


def test_iteration_to_the_end(portal: Portal, guest: Guest) -> None:
    """
    An iteration gives every item in order and leaves nothing open.
    """
    assert list(portal.iterate(guest.count(5))) == [0, 1, 2, 3, 4]
    assert list(portal.iterate(guest.count(0))) == []
    assert guest.open_streams == 0


def test_an_error_in_the_middle_of_an_iteration(portal: Portal) -> None:
    """
    An error ends the iteration after the items that came before it.
    """

    async def broken() -> AsyncGenerator[int, None]:
        yield 1
        raise LookupError("nope")

    items = portal.iterate(broken())
    first = next(items)
    with pytest.raises(LookupError):
        next(items)

    assert first == 1
    assert list(items) == []


def test_a_loop_left_early_with_patience(portal: Portal, guest: Guest) -> None:
    """
    Whoever leaves a lingering iteration goes on once the source is closed.
    """
    for n in portal.iterate(guest.count(), linger=LONG):
        if n == 3:
            break

    assert guest.open_streams == 0
    assert guest.closed_on == ["dashscope-ft"]


def test_a_loop_left_early_without_patience(guest: Guest) -> None:
    """
    Whoever leaves an iteration goes on at once; the source is closed on the loop.
    """
    portal = Portal(guest)
    for _ in portal.iterate(guest.count()):
        break
    portal.close()

    assert guest.closed_on == ["dashscope-ft"]


@pytest.mark.parametrize("collector", ["caller", "loop"])
def test_an_iteration_collected_on_any_thread(collector: str, guest: Guest) -> None:
    """
    Wherever the collector finds a forgotten iteration, it is closed on the loop.
    """
    portal = Portal(guest)
    items = portal.iterate(guest.count(), linger=LONG)
    next(items)
    cycle: list[Any] = [items]
    cycle.append(cycle)

    async def collect() -> None:
        gc.collect()

    gc.disable()
    try:
        del items, cycle
        if collector == "loop":
            portal.call(collect)
        else:
            gc.collect()
    finally:
        gc.enable()
    portal.close()

    assert guest.closed_on == ["dashscope-ft"]


def test_an_iteration_open_when_the_portal_closes(guest: Guest) -> None:
    """
    Closing closes open iterations first, while the guest is still there.
    """
    portal = Portal(guest)
    items = portal.iterate(guest.count())
    next(items)
    portal.close()

    with pytest.raises(ClientClosed):
        next(items)
    assert guest.closed_on == ["dashscope-ft"]
    assert guest.closed_inside == [True]


def test_a_call_as_the_guest_leaves() -> None:
    """
    A call that comes when the guest is leaving is not begun.
    """

    class Slow(Guest):
        async def __aexit__(self, *_: object) -> None:
            leaving.set()
            while not answered.is_set():
                await asyncio.sleep(0.001)

    leaving, answered = threading.Event(), threading.Event()
    slow, begun = Slow(), []
    portal = Portal(slow)
    portal.call(slow.echo, "a")

    async def begin() -> None:
        begun.append(1)

    with ThreadPoolExecutor(2) as pool:
        loop_thread = portal._running_loop_thread()
        closing = pool.submit(portal.close)
        assert leaving.wait(LONG)
        call = pool.submit(portal._call_in, loop_thread, begin)
        error = call.exception(LONG)
        answered.set()
        closing.result(LONG)

    assert isinstance(error, ClientClosed)
    assert begun == []


def test_a_call_as_the_loop_ends(monkeypatch: pytest.MonkeyPatch, guest: Guest) -> None:
    """
    A call that comes when the loop runs no more, and is not closed yet, ends all the same.
    """
    ending, released = threading.Event(), threading.Event()

    class Lingering(asyncio.SelectorEventLoop):
        def close(self) -> None:
            ending.set()
            assert released.wait(LONG)
            super().close()

    portal = Portal(guest)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "new_event_loop", Lingering)
        portal.call(guest.echo, "a")
    loop_thread = portal._running_loop_thread()
    with ThreadPoolExecutor(2) as pool:
        closing = pool.submit(portal.close)
        assert ending.wait(LONG)
        call = pool.submit(portal._call_in, loop_thread, lambda: guest.echo("b"))
        while not loop_thread.calls:
            time.sleep(0.001)
        released.set()
        error = call.exception(LONG)
        closing.result(LONG)

    assert isinstance(error, ClientClosed)


def test_close_wakes_callers_in_other_threads(guest: Guest) -> None:
    """
    Callers in other threads get `ClientClosed` once their calls have wound up.
    """
    portal = Portal(guest)
    names = ["a", "b", "c", "d"]
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(portal.call, guest.wait, name) for name in names]
        assert guest.busy.wait(LONG)
        portal.close()
        errors = [call.exception(LONG) for call in calls]

    assert [type(error) for error in errors] == [ClientClosed] * 4
    assert set(guest.wound_up) <= set(names)
    assert guest.wound_up
    with pytest.raises(ClientClosed):
        portal.call(guest.echo, "late")


def test_close_leaves_the_last_word_to_the_guest() -> None:
    """
    A call that the guest itself ends as it leaves ends in what the guest says of it.
    """

    class Host(Guest):
        async def __aexit__(self, *_: object) -> None:
            self.leaving.set()
            await asyncio.sleep(0)

        async def send(self) -> NoReturn:
            self.leaving = asyncio.Event()
            self.busy.set()
            await self.leaving.wait()
            raise LookupError("sent, and nobody can know what came of it")

    host = Host()
    portal = Portal(host)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(portal.call, host.send)
        assert host.busy.wait(LONG)
        portal.close()

        assert isinstance(call.exception(LONG), LookupError)


def test_close_unused_and_twice(guest: Guest) -> None:
    """
    Closing a portal that was never used, or again, does nothing.
    """
    portal = Portal(guest)
    portal.close()
    portal.close()

    with pytest.raises(ClientClosed):
        portal.call(guest.echo, "late")
    with pytest.raises(ClientClosed):
        next(portal.iterate(guest.count()))
    assert guest.visits == 0


def test_close_ends_what_was_left_on_the_loop(guest: Guest) -> None:
    """
    A task that a call left behind is cancelled, and has wound up when the portal is closed.
    """
    left: list[asyncio.Task[bool]] = []

    async def leave_behind() -> None:
        left.append(asyncio.create_task(asyncio.Event().wait()))

    portal = Portal(guest)
    portal.call(leave_behind)
    portal.close()

    assert left[0].cancelled()


def test_calls_that_race_with_close() -> None:
    """
    However calls, iterations and first calls race with `close()`, each ends.
    """
    for attempt in range(100):
        guest = Guest()
        portal = Portal(guest)
        ended: list[str] = []

        def hammer(portal: Portal = portal, guest: Guest = guest, ended: Any = ended) -> None:
            try:
                while True:
                    portal.call(guest.echo, "a")
                    for _ in portal.iterate(guest.count(2)):
                        break
            except ClientClosed:
                ended.append("closed")

        threads = [threading.Thread(target=hammer) for _ in range(4)]
        for thread in threads:
            thread.start()
        if attempt % 2:
            portal.call(guest.echo, "a")
        portal.close()
        wait_for(threads)

        assert ended == ["closed"] * 4
        assert guest.open_streams == 0


def test_a_portal_that_nobody_holds(guest: Guest) -> None:
    """
    Dropping the last reference ends the thread and lets the guest out.
    """
    before = loop_threads()
    portal = Portal(guest)
    portal.call(guest.echo, "a")
    with pytest.raises(LookupError):
        portal.call(guest.fail)
    threads = [thread for thread in loop_threads() if thread not in before]
    del portal
    wait_for(threads)

    assert not guest.inside


def test_ctrl_c_cancels_and_waits() -> None:
    """
    Ctrl-C reaches the caller once the call has wound up; the portal serves on.
    """
    end = run_script(
        TOY,
        """
        interrupt_when(guest.busy)
        try:
            portal.call(guest.wait, "a")
        except KeyboardInterrupt:
            print("interrupted, wound up:", guest.wound_up)
        print(portal.call(guest.echo, "alive"))
        """,
    )

    assert end.stdout == "interrupted, wound up: ['a']\nalive\n"
    assert (end.stderr, end.returncode) == ("", 0)


def test_ctrl_c_that_another_thread_receives() -> None:
    """
    A signal that does not end the caller's wait, since another thread received it, is noticed all
    the same.
    """
    end = run_script(
        TOY,
        """
        def press():
            guest.busy.wait()
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        threading.Thread(target=press, daemon=True).start()
        try:
            portal.call(guest.wait, "a")
        except KeyboardInterrupt:
            print("interrupted, wound up:", guest.wound_up)
        """,
    )

    assert end.stdout == "interrupted, wound up: ['a']\n"
    assert (end.stderr, end.returncode) == ("", 0)


def test_ctrl_c_carries_what_the_cancellation_did() -> None:
    """
    Notes and facts that a call leaves on its cancellation, such as a report, reach the caller.
    """
    end = run_script(
        TOY,
        """
        async def work():
            try:
                await guest.wait("a")
            except asyncio.CancelledError as cancellation:
                cancellation.add_note("1 of 2 was done")
                cancellation.report = "a report"
                raise
        interrupt_when(guest.busy)
        try:
            portal.call(work)
        except KeyboardInterrupt as interrupt:
            print(interrupt.report, interrupt.__notes__)
        """,
    )

    assert end.stdout == "a report ['1 of 2 was done']\n"
    assert (end.stderr, end.returncode) == ("", 0)


def test_ctrl_c_as_a_call_ends() -> None:
    """
    What a call came to is not lost with the interrupt that meets its end: it may be a billed job.
    """
    end = run_script(
        TOY,
        """
        async def work(ended_in):
            os.kill(os.getpid(), signal.SIGINT)
            if isinstance(ended_in, Exception):
                raise ended_in
            return ended_in
        for ended_in in ("ft-1", ValueError("no"), Report(outcomes=()), ["ft-1"] * 1000):
            try:
                portal.call(work, ended_in)
            except KeyboardInterrupt as interrupt:
                [note] = interrupt.__notes__
                print(note[:150], interrupt.ended_in is ended_in, hasattr(interrupt, "report"))
                assert len(note) < 600
        """,
    )

    assert end.stdout.splitlines() == [
        "The call had ended by then, in 'ft-1'. True False",
        "The call had ended by then, in ValueError('no'). True False",
        "The call had ended by then, in Report(selected=0, done=0, skipped=0, failed=0, "
        "reasons={}). True True",
        "The call had ended by then, in [" + 14 * "'ft-1', " + "'ft-1' True False",
    ]
    assert (end.stderr, end.returncode) == ("", 0)


@pytest.mark.parametrize("way_out", [SystemExit, KeyboardInterrupt])
def test_a_callback_that_leaves_the_program(
    portal: Portal, guest: Guest, way_out: type[BaseException]
) -> None:
    """
    Its way out goes through the caller; the loop, and the calls of others, go on.
    """

    async def leave() -> None:
        raise way_out("enough")

    with ThreadPoolExecutor() as pool:
        other = pool.submit(portal.call, guest.wait, "b")
        assert guest.busy.wait(LONG)
        with pytest.raises(way_out, match="enough"):
            portal.call(leave)
        assert not other.done()
        assert portal.call(guest.echo, "alive") == "alive"
        portal.close()
        with pytest.raises(ClientClosed):
            other.result(LONG)


def test_a_name_whose_lookup_never_ends() -> None:
    """
    Neither closing nor the end of the interpreter waits for a name whose lookup never ends.
    """
    end = run_script(
        TOY,
        """
        import socket
        asked = threading.Event()
        def for_ever(*_, **__):
            asked.set()
            threading.Event().wait()
        socket.getaddrinfo = for_ever
        async def look_up():
            await asyncio.get_running_loop().getaddrinfo("example.com", 443)
        interrupt_when(asked)
        try:
            portal.call(look_up)
        except KeyboardInterrupt:
            portal.close()
            print("closed")
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("closed\n", "", 0)


def test_exit_after_a_name_was_looked_up() -> None:
    """
    A portal left open ends with the interpreter, in which no thread can be started any more.
    """
    end = run_script(
        TOY,
        """
        async def look_up():
            await asyncio.get_running_loop().getaddrinfo("localhost", 443)
        portal.call(look_up)
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("", "", 0)


def test_a_function_that_fails_in_a_thread(portal: Portal) -> None:
    """
    What a function raises in a thread of the loop's comes back, and so does what it returns.
    """

    async def called(function: Callable[[], int]) -> int:
        return await asyncio.to_thread(function)

    with pytest.raises(ValueError, match="nought"):
        portal.call(called, lambda: int("nought"))
    assert portal.call(called, lambda: 7) == 7


def test_ctrl_c_in_an_iteration() -> None:
    """
    Ctrl-C during a step cancels it, waits, and leaves nothing open.
    """
    end = run_script(
        TOY,
        """
        stuck = threading.Event()
        async def source():
            try:
                yield 1
                stuck.set()
                await asyncio.sleep(60)
            finally:
                await asyncio.sleep(0.01)
                print("wound up")
        interrupt_when(stuck)
        try:
            for n in portal.iterate(source()):
                print(n)
        except KeyboardInterrupt:
            print("interrupted")
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("1\nwound up\ninterrupted\n", "", 0)


def test_ctrl_c_after_a_break() -> None:
    """
    While the source that was left is waited for, Ctrl-C ends the wait and reaches the caller,
    though a generator that is collected cannot raise it.
    """
    end = run_script(
        TOY,
        """
        closing = threading.Event()
        async def source():
            try:
                yield 1
            finally:
                await asyncio.sleep(0.05)  # by then the caller waits
                closing.set()
                await asyncio.sleep(60)
        interrupt_when(closing)
        try:
            for n in portal.iterate(source(), linger=30):
                break
            threading.Event().wait(30)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        os._exit(0)
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("interrupted\n", "", 0)


@pytest.mark.parametrize("moment", ["before", "behind"])
def test_ctrl_c_between_two_steps(
    monkeypatch: pytest.MonkeyPatch, portal: Portal, guest: Guest, moment: str
) -> None:
    """
    An interrupt just before a step begins, or when it has answered, waits for the source to close.
    """
    items = portal.iterate(guest.count(), linger=LONG)
    next(items)
    wait_for = loop_thread_module._wait_for

    def interrupted(*_: object) -> NoReturn:
        monkeypatch.undo()
        raise KeyboardInterrupt

    def interrupted_behind(token: SimpleQueue[None]) -> NoReturn:
        wait_for(token)
        interrupted()

    if moment == "before":
        monkeypatch.setattr(LoopThread, "submit", interrupted)
    else:
        monkeypatch.setattr(loop_thread_module, "_wait_for", interrupted_behind)
    with pytest.raises(KeyboardInterrupt):
        next(items)

    assert guest.open_streams == 0


def test_a_second_ctrl_c_waits_for_nothing() -> None:
    """
    The first Ctrl-C waits for what is in flight; a second one cancels that, too.
    """
    end = run_script(
        TOY,
        """
        draining, released = threading.Event(), threading.Event()
        async def stubborn():
            try:
                guest.busy.set()
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                draining.set()
                try:
                    await asyncio.sleep(60)
                finally:
                    released.set()
        interrupt_when(guest.busy, draining)
        try:
            portal.call(stubborn)
        except KeyboardInterrupt:
            print("interrupted")
        released.wait()
        print(portal.call(guest.echo, "alive"))
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("interrupted\nalive\n", "", 0)


def test_a_second_ctrl_c_in_a_lingering_iteration() -> None:
    """
    A second Ctrl-C does not linger; the iteration is closed once its step has wound up.
    """
    end = run_script(
        TOY,
        """
        stuck, draining, freed = threading.Event(), threading.Event(), threading.Event()
        async def source():
            try:
                stuck.set()
                await asyncio.sleep(60)
                yield 1
            except asyncio.CancelledError:
                draining.set()
                while not freed.is_set():  # deaf to further cancelling
                    with suppress(asyncio.CancelledError):
                        await asyncio.sleep(0.001)
                raise
        interrupt_when(stuck, draining)
        try:
            for _ in portal.iterate(source(), linger=60):
                pass
        except KeyboardInterrupt:
            print("interrupted")
        print(portal.call(asyncio.sleep, 0.01, "alive"))
        freed.set()
        portal.close()
        gc.collect()
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("interrupted\nalive\n", "", 0)


def test_interrupts_at_every_instant() -> None:
    """
    Wherever an interrupt falls, it reaches the caller and the portal serves on.
    """
    end = run_script(
        TOY,
        """
        alarm, reached = Alarm(), 0
        def loop():  # a function: Python's jump back to `while` is not within its `try`
            while alarm.armed:
                portal.call(guest.echo, "a")
                list(portal.iterate(guest.count(1)))
        portal.call(guest.echo, "a")
        for n in range(400):
            try:
                alarm.set(0.00002 + 0.0000015 * (n % 300))
                loop()
            except KeyboardInterrupt:
                reached += 1
        assert reached + alarm.swallowed == alarm.raised == 400
        assert guest.visits == 1
        print(portal.call(guest.echo, "alive"))
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("alive\n", "", 0)


def test_no_interrupt_falls_between_two_steps() -> None:
    """
    Python looks for interrupts as it jumps back to a loop's head: an iteration that is hit there
    is closed, too, since each such jump is within its `try`.
    """
    code = dis.Bytecode(Portal.iterate.__code__)
    guarded = [(entry.start, entry.end) for entry in code.exception_entries]  # type: ignore[attr-defined]
    jumps = [each.offset for each in code if each.opname == "JUMP_BACKWARD"]

    assert jumps
    assert all(any(start <= jump < end for start, end in guarded) for jump in jumps)


def test_interrupts_during_the_start() -> None:
    """
    An interrupted first call leaves no guest behind, and the next call starts afresh.
    """
    end = run_script(
        TOY,
        """
        alarm, threads, guests = Alarm(), set(), []
        for n in range(150):
            guest = Guest()
            guests.append(guest)
            portal = Portal(guest)
            with suppress(KeyboardInterrupt):
                alarm.set(0.00002 + 0.000005 * n)
                portal.call(guest.echo, "a")
                alarm.armed = 0
            assert portal.call(guest.echo, "b") == "b"
            threads |= set(loop_threads())
            portal.close()
        wait_for([thread for thread in threads if thread.ident])
        assert not [guest for guest in guests if guest.inside]
        print("interrupts:", alarm.raised > 0)
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("interrupts: True\n", "", 0)


def test_fork_while_idle() -> None:
    """
    A forked child starts over, and the parent's calls go on undisturbed.
    """
    end = run_script(
        TOY,
        """
        portal.call(guest.echo, "a")
        items = portal.iterate(guest.count())
        next(items)
        if pid := os.fork():
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert list(items) == list(range(1, 10))
            assert guest.visits == 1
            print(portal.call(guest.echo, "parent"))
        else:
            assert portal.call(guest.echo, "child") == "child"
            try:
                next(items)
            except ClientClosed:
                assert guest.visits == 2
                portal.close()
                del items, portal, guest
                gc.collect()
            else:
                sys.exit("the parent's iteration went on in the child")
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("parent\n", "", 0)


def test_fork_while_busy() -> None:
    """
    A child forked amid calls inherits no lock that anyone holds.
    """
    end = run_script(
        TOY,
        """
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                portal.call(guest.echo, "a")
        threads = [threading.Thread(target=busy) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            if pid := os.fork():
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            else:
                signal.alarm(10)
                code = 1
                try:
                    code = 0 if portal.call(guest.echo, "child") == "child" else 2
                finally:
                    os._exit(code)
        stop.set()
        for thread in threads:
            thread.join()
        print("parent")
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("parent\n", "", 0)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("items = portal.iterate(guest.count()); next(items)", 0),
        ("items = portal.iterate(guest.count(), linger=60.0); next(items)", 0),
        ("atexit.register(lambda: portal.call(guest.echo, 'late'))", 0),
        ("os.fork() or portal.call(guest.echo, 'child')", 0),
        (
            "threading.Thread(target=portal.call, args=(guest.wait, 'x'), daemon=True).start();"
            "guest.busy.wait()",
            0,
        ),
        ("portal.cycle = portal; del portal", 0),
    ],
    ids=["idle", "exit", "iterating", "lingering", "atexit", "forked", "calling", "cycle"],
)
def test_exit_with_a_portal_left_open(ending: str, code: int) -> None:
    """
    The interpreter ends at once, without a word, whatever was left open.
    """
    end = run_script(
        TOY, f"print(portal.call(guest.echo, 'a'), flush=True)\n{ending}", timeout=15.0
    )

    assert (end.stdout, end.stderr, end.returncode) == ("a\n", "", code)


def test_the_guest_at_exit() -> None:
    """
    A guest who was left in is let out before the interpreter ends.
    """
    end = run_script(
        TOY,
        """
        class Polite(Guest):
            async def __aexit__(self, *_):
                print("goodbye", flush=True)
        guest = Polite()
        portal = Portal(guest)
        portal.call(guest.echo, "a")
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("goodbye\n", "", 0)


def test_exit_while_a_call_winds_up_for_long() -> None:
    """
    Leaving by a second Ctrl-C ends the process, too, however long the call would still take.
    """
    end = run_script(
        TOY,
        """
        draining = threading.Event()
        async def stubborn():
            while True:
                try:
                    guest.busy.set()
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    draining.set()
        interrupt_when(guest.busy, draining)
        try:
            portal.call(stubborn)
        except KeyboardInterrupt:
            print("left", flush=True)
        """,
        timeout=15.0,
    )

    assert end.stdout == "left\n"
    assert end.returncode == 0


def test_a_call_that_waits_for_a_guest_who_is_leaving_already() -> None:
    """
    A call that came before the guest was in, and a close that came next: it is not begun.
    """
    entering, released = threading.Event(), threading.Event()

    class Slow(Guest):
        async def __aenter__(self) -> Self:
            entering.set()
            while not released.is_set():
                await asyncio.sleep(0.001)
            return await super().__aenter__()

    portal, begun = Portal(Slow()), []

    async def begin() -> None:
        begun.append(1)

    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(portal.call, begin)
        assert entering.wait(LONG)
        loop_thread = portal._running_loop_thread()
        closing = pool.submit(portal.close)
        while not loop_thread.closing:
            time.sleep(0.001)
        released.set()
        error = call.exception(LONG)
        closing.result(LONG)

    assert isinstance(error, ClientClosed)
    assert begun == []


def test_close_during_a_step(guest: Guest) -> None:
    """
    An iteration whose next item is awaited ends with the client, and does not hold it up.
    """

    async def source() -> AsyncGenerator[int, None]:
        guest.busy.set()
        await asyncio.sleep(LONG)
        yield 1

    portal = Portal(guest)
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(next, portal.iterate(source()))
        assert guest.busy.wait(LONG)
        portal.close()

        assert isinstance(step.exception(LONG), ClientClosed)


def test_a_fork_while_another_thread_starts_the_loop() -> None:
    """
    The lock that the other thread holds is not the child's to wait for.
    """
    end = run_script(
        TOY,
        """
        starting, released = threading.Event(), threading.Event()
        new_event_loop = asyncio.new_event_loop
        def late():
            starting.set()
            released.wait()
            return new_event_loop()
        asyncio.new_event_loop = late
        caller = threading.Thread(target=portal.call, args=(guest.echo, "a"))
        caller.start()
        starting.wait()
        if pid := os.fork():
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            released.set()
            caller.join()
            print("the child ended with", code)
        else:
            asyncio.new_event_loop = new_event_loop
            signal.alarm(10)
            os._exit(portal.call(guest.echo, "child") != "child")
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("the child ended with 0\n", "", 0)


@pytest.mark.parametrize(
    ("patched", "reason"),
    [
        ("asyncio.new_event_loop", "OSError(24, 'Too many open files')"),
        # As under gevent, where all threads are one.
        ("asyncio.BaseEventLoop._check_running", "RuntimeError('another loop is running')"),
    ],
    ids=["no file left", "no loop may run"],
)
def test_a_loop_that_cannot_be_had(patched: str, reason: str) -> None:
    """
    The call raises what stood in the way, instead of waiting; once that is gone, calls work.
    """
    end = run_script(
        TOY,
        f"""
        from unittest.mock import patch
        with patch({patched!r}, side_effect={reason}):
            try:
                portal.call(guest.echo, "a")
            except Exception as error:
                print(repr(error))
        print(portal.call(guest.echo, "b"))
        portal.close()
        """,
        timeout=15.0,
    )

    assert end.stdout == f"{reason}\nb\n"
    assert end.returncode == 0
