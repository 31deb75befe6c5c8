"""
An event loop behind callers that block.

A `Portal` gives a *guest*, any asynchronous context manager, a house: a daemon thread
with an event loop in it. Callers stay in threads of their own and hand in work. Three
rules keep every end of this clean:

* Whatever belongs to the loop (tasks, generators, sessions) is made, used and dropped on
  the loop's thread. The two sides share one `_Call` for each call, and what passes between
  them passes by operations that are atomic, so that no interrupt can split one.
* Whoever waits is registered with the house before it asks, and the house's last act is to
  wake everyone who is registered. So no call can hang, whatever it races with.
* What may be run by the garbage collector takes no lock, and never waits without a bound.
"""

from __future__ import annotations

import _thread
import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, ParamSpec, TypeVar
from weakref import WeakSet

from .daemons import Daemons
from .errors import ClientClosed
from .models import Report

P = ParamSpec("P")
T = TypeVar("T")

_LOOK_UP: Final = 0.5  # seconds between checks for an interrupt that did not end a wait
_EXIT_GRACE: Final = 1.0  # seconds that the interpreter's exit waits for what is in flight
_LAST_WORDS: Final = 1.0  # seconds for a call that is cancelled twice to report its outcome

_MOST_SHOWN: Final = 500  # characters of what an interrupted call came to


class Portal:
    """
    Let callers that block use an asynchronous *guest*.

    The first call starts a thread with an event loop and enters the guest there. It ends
    with `close()`, with the last reference to the portal, or with the interpreter. Any
    thread may call, also from inside a running loop; a call from the guest's own loop is
    a `RuntimeError`. A forked child starts over with a thread and a loop of its own.
    """

    _house: _House | None = None  # also of one that was never set up, as of a copy that failed

    def __init__(self, guest: AbstractAsyncContextManager[Any]) -> None:
        self._guest = guest
        self._closed = False
        self._starting = threading.RLock()  # a signal's handler may close what its thread starts
        _portals.add(self)

    def call(
        self,
        function: Callable[P, Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """
        Call *function* on the loop and wait for what it returns.

        An interrupt, such as Ctrl-C, cancels the call, waits until it has wound up, and
        goes on to the caller. A second one cancels it again, and waits for a second at most.
        What the call's cancellation carried is carried by the interrupt, too. Where the call had
        ended by then, its result or error is the interrupt's `ended_in`, and begins a note.

        Raises:
            ClientClosed: The portal was closed before or during the call.
            RuntimeError: This is the loop's own thread, where waiting would be for ever.
        """
        return self._call_in(self._open_house(), lambda: function(*args, **kwargs))

    def iterate(
        self, source: AsyncGenerator[T, None], *, linger: float = 0.0
    ) -> Generator[T, None, None]:
        """
        Yield what *source* yields, a call for each item.

        When the caller loses interest, the source is closed on the loop. The caller waits
        for that at most *linger* seconds: it may be the garbage collector, which runs
        anywhere and may hold a lock that the source needs.

        Raises:
            ClientClosed: The portal was closed during the iteration, or the process is a
                fork of the one that began it.
            RuntimeError: This is the loop's own thread.
        """
        house = self._open_house()
        stream = _Stream(source)
        del source  # the loop knows it by a weak reference: see `_Call._end`
        try:
            while True:  # with a condition, Python's jump back to it would be outside of the `try`
                item = self._call_in(house, lambda: stream.step(house), step_of=stream)
                if isinstance(item, _End):
                    break
                yield item
        finally:
            # Also after an interrupt that came before its step began, or when that had answered.
            if not stream.ended:
                house.dismiss(stream, 0.0 if stream.in_haste else linger)

    def close(self) -> None:
        """
        Let the guest out, and end the thread.

        Iterations end first, which waits for what they cannot leave at once, such as deletions
        that a run has sent. Calls in other threads end as the guest ends them, or else in
        `ClientClosed`. Closing twice does nothing more.
        """
        with self._starting:
            self._closed = True
        if self._house:
            self._house.end()
            self._house.join()

    def __del__(self) -> None:
        if self._house:
            self._house.end()

    def _open_house(self) -> _House:
        house = self._house
        if house is None or house.closing:
            with self._starting:
                if self._closed:
                    raise ClientClosed("This client is closed.")
                house = self._house
                if house is None or house.closing:
                    house = self._build_house()
        return house

    def _build_house(self) -> _House:
        house = _House(self._guest)
        try:
            house.start()
            self._house = house
            if self._closed:
                raise ClientClosed("This client was closed as it started.")
        except BaseException:
            house.end()  # no guest has been there yet: the next call builds another
            raise
        return house

    def _call_in(
        self,
        house: _House,
        begin: Callable[[], Coroutine[Any, Any, T]],
        *,
        step_of: _Stream[Any] | None = None,
    ) -> T:
        if threading.current_thread() is house.thread:
            raise RuntimeError(
                "This is a blocking call on the client's own event loop, which it would "
                "stop for ever: use the asynchronous client there."
            )
        call = _Call(begin, is_step=step_of is not None)
        try:
            house.ask_and_wait(call, call.begin)
        except BaseException as interrupt:
            # Was the call begun, and did it end? Only the loop knows: all ways lead to an answer.
            try:
                house.ask_and_wait(call, call.cancel)
            except BaseException as again:
                if step_of:
                    step_of.in_haste = True
                house.ask_and_wait(call, call.cancel, timeout=_LAST_WORDS)
                call.tell(again)
                raise
            call.tell(interrupt)
            raise
        return call.outcome()

    def _leave_inherited_house(self) -> None:
        self._starting = threading.RLock()  # another thread may have held the old one
        if self._house:
            self._house.abandon()
            _inherited.append(self._house)
            self._house = None

    def _end_with_interpreter(self) -> None:
        if self._house:
            self._closed = True
            self._house.silent = True
            self._house.end()
            self._house.thread.join(_EXIT_GRACE)


class _House:
    """
    A thread, the event loop in it, and the guest who lives there.
    """

    def __init__(self, guest: AbstractAsyncContextManager[Any]) -> None:
        self.guest = guest
        self.thread = threading.Thread(target=self._live, name="dashscope-ft", daemon=True)
        self.calls: set[_Call[Any]] = set()
        self.streams: set[_Stream[Any]] = set()
        self.closing = False
        self.gone = False
        self.silent = False
        self._failure: BaseException | None = None
        self._running: SimpleQueue[None] = SimpleQueue()
        self._wanted = asyncio.Event()
        self._leaving = asyncio.Event()
        self._admitted = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """
        Start the thread and wait until its loop runs. The guest comes with the first call.
        """
        # `Thread.start` waits for a condition, whose lock an interrupt can leave locked; a
        # thread that is not the main one gets no interrupts.
        _thread.start_new_thread(self._start_thread, ())
        _wait_for(self._running)
        if self._failure:
            raise self._failure

    async def admit(self) -> None:
        """
        Wait, on the loop, until the guest is in; raise what kept it out.
        """
        if not self._admitted.is_set():
            self._wanted.set()
            await self._admitted.wait()
        if self._failure:
            raise self._failure

    def ask(self, call: _Call[Any], callback: Callable[[_House], None]) -> bool:
        """
        Run *callback* on the loop; say whether the call is going to be woken.
        """
        self.calls.add(call)
        if self.gone:
            return False
        self._post(callback, self)
        return True

    def ask_and_wait(
        self, call: _Call[Any], callback: Callable[[_House], None], *, timeout: float | None = None
    ) -> None:
        """
        Run *callback* on the loop, and wait until the call is woken, at most *timeout* seconds.
        """
        if not self.ask(call, callback):
            return
        if timeout is None:
            _wait_for(call.woken)
        else:
            with suppress(Empty):
                call.woken.get(timeout=timeout)

    def dismiss(self, stream: _Stream[Any], patience: float) -> None:
        """
        Close *stream* on the loop, and wait for that at most *patience* seconds.
        """
        farewell = _Call(lambda: stream.finish(self), hurried=False)
        asked = self.ask(farewell, farewell.begin)
        waits = patience and not self.silent  # who is silent wakes nobody
        if asked and waits and threading.current_thread() is not self.thread:
            with suppress(Empty):
                farewell.woken.get(timeout=patience)

    def end(self) -> None:
        """
        Tell the guest to leave; safe wherever the garbage collector runs.
        """
        self.closing = True
        self._post(self._leave)

    def join(self) -> None:
        """
        Wait for the thread to end; raise what went wrong when the guest left.
        """
        if threading.current_thread() is not self.thread:
            while self.thread.is_alive():
                self.thread.join(_LOOK_UP)
            if self._failure:
                raise self._failure

    def abandon(self) -> None:
        """
        Forget the loop: it is another process's, which still polls these sockets.
        """
        self.gone = self.closing = True

    def _post(self, callback: Callable[..., object], *args: object) -> None:
        if self._loop and not self.gone:
            with suppress(RuntimeError):  # the loop is closed: the last act wakes who waits
                self._loop.call_soon_threadsafe(callback, *args)

    def _leave(self) -> None:
        self._leaving.set()
        self._wanted.set()

    def _start_thread(self) -> None:
        try:
            self.thread.start()
        except BaseException as error:  # noqa: BLE001 - told to the caller
            self._failure = error
            self._running.put(None)

    def _live(self) -> None:
        loop = self._loop = asyncio.new_event_loop()
        loop.set_default_executor(Daemons())
        try:
            loop.run_until_complete(self._host())
            loop.run_until_complete(_wind_up())
        finally:
            loop.close()
            self.gone = self.closing = True
            for call in list(self.calls):
                call.wake(self)
            self._running.put(None)

    async def _host(self) -> None:
        self._running.put(None)
        try:
            if not self.closing:  # else nobody knew the loop yet who could have set what follows
                await self._wanted.wait()
            if not self.closing:
                await self._serve()
        except BaseException as error:  # noqa: BLE001 - told to whoever calls or closes
            self._failure = error
            self.closing = True
            self._admitted.set()
            await self._calls_end()

    async def _serve(self) -> None:
        try:
            async with self.guest:
                self._admitted.set()
                await self._leaving.wait()
                self._cancel(lambda call: call.is_step)
                farewells = [stream.finish(self) for stream in self.streams]
                await asyncio.gather(*farewells, return_exceptions=True)
        finally:
            # The guest knows best what to say of a call that it ends, such as a deletion that
            # was sent; what goes on without a guest is cancelled. One who never came is told of.
            if self._admitted.is_set():
                self._cancel(lambda call: call.hurried)
                await self._calls_end()

    def _cancel(self, is_meant: Callable[[_Call[Any]], bool]) -> None:
        for call in list(self.calls):
            if call.task and is_meant(call):
                call.task.cancel()

    async def _calls_end(self) -> None:
        tasks = [call.task for call in list(self.calls) if call.task]
        if tasks:
            await asyncio.wait(tasks)


async def _wind_up() -> None:
    """
    End what is left on the loop, as `asyncio.run` does; but that waits for the executor, too,
    in a thread, which nobody can start while the interpreter ends.
    """
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    await asyncio.get_running_loop().shutdown_asyncgens()


class _Call(Generic[T]):
    """
    One call, as both threads see it. Its callbacks run on the loop, in the order asked for.
    """

    def __init__(
        self,
        function: Callable[[], Coroutine[Any, Any, T]],
        *,
        hurried: bool = True,
        is_step: bool = False,
    ) -> None:
        self.hurried = hurried  # whether `close()` cancels it
        self.is_step = is_step  # of a stream: it ends before the guest leaves
        self.task: asyncio.Task[T] | None = None
        self.woken: SimpleQueue[None] = SimpleQueue()
        self._last_words: dict[str, Any] = {}  # what its cancellation carried, such as a report
        self._function = function
        self._value: T
        self._error: BaseException | None = None
        self._answered = False

    def begin(self, house: _House) -> None:
        """
        Start the call, unless the guest is leaving.
        """
        if house.closing:
            self.wake(house)
        else:
            self.task = asyncio.get_running_loop().create_task(self._work(house))
            self.task.add_done_callback(lambda task: self._end(task, house))

    def cancel(self, house: _House) -> None:
        """
        Cancel the call; if it never began, or has ended, there is nothing to wait for.
        """
        if self.task:
            self.task.cancel()
        else:
            self.wake(house)

    def wake(self, house: _House) -> None:
        """
        End the caller's wait.
        """
        house.calls.discard(self)
        if not house.silent:
            self.woken.put(None)

    def tell(self, interrupt: BaseException) -> None:
        """
        Let an interrupt say what the call said as it was cancelled, or what it had come to.
        """
        vars(interrupt).update(self._last_words)
        if self._answered and not self.is_step:
            ended_in = self._value if self._error is None else self._error
            vars(interrupt)["ended_in"] = ended_in
            if isinstance(ended_in, Report):
                vars(interrupt)["report"] = ended_in
            # All of it is in `ended_in`; a traceback would show thousands of jobs.
            interrupt.add_note(f"The call had ended by then, in {repr(ended_in)[:_MOST_SHOWN]}.")

    def outcome(self) -> T:
        """
        Give what the call returned, or raise what it raised.
        """
        if not self._answered:
            raise ClientClosed("This client was closed before the call ended.")
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._value
        finally:
            del error  # an exception that its own traceback leads to would live until collected

    def _end(self, task: asyncio.Task[T], house: _House) -> None:
        # The task is dropped on its own thread: in the caller's, the callback of a weak
        # reference to it could swallow an interrupt.
        self.task = None
        try:
            error = task.exception()
        except asyncio.CancelledError as cancellation:
            self._last_words = vars(cancellation)
        else:
            if self.hurried:
                self._error = error
                if error is None:
                    self._value = task.result()
                self._answered = True
        self.wake(house)

    async def _work(self, house: _House) -> T:
        await house.admit()
        if house.closing and self.hurried:
            raise ClientClosed("This client was closed before the call began.")
        try:
            return await self._function()
        except (SystemExit, KeyboardInterrupt) as error:
            # A callback's way out of the program is its caller's: here it would end the loop,
            # and with it the calls of others.
            self._error, self._answered = error, True
            raise asyncio.CancelledError from None


class _End:
    """
    What stands for the item after the last.
    """


_END: Final = _End()


class _Stream(Generic[T]):
    """
    An asynchronous generator that is stepped and closed by one task at a time.
    """

    def __init__(self, source: AsyncGenerator[T, None]) -> None:
        self.ended = False
        self.in_haste = False  # whether whoever reads it was interrupted twice
        self._source: AsyncGenerator[T, None] | None = source
        self._turn = asyncio.Lock()  # a step may be winding up still when the close comes

    async def step(self, house: _House) -> T | _End:
        """
        Give the next item, or `_END`.
        """
        async with self._turn:
            if self._source is None:
                return _END
            house.streams.add(self)
            item: T | _End = _END
            try:
                item = await anext(self._source, _END)
            finally:
                if item is _END:
                    self._end(house)
            return item

    async def finish(self, house: _House) -> None:
        """
        Close the generator.
        """
        async with self._turn:
            try:
                if self._source:
                    await self._source.aclose()
            finally:
                self._end(house)

    def _end(self, house: _House) -> None:
        self.ended = True
        self._source = None
        house.streams.discard(self)


def _wait_for(token: SimpleQueue[None]) -> None:
    # A signal that comes just before the wait begins, or to another thread, does not end it.
    while True:
        with suppress(Empty):
            return token.get(timeout=_LOOK_UP)


_portals: WeakSet[Portal] = WeakSet()
_inherited: list[_House] = []  # kept for ever: collecting one would close the parent's sockets


@atexit.register
def _end_with_interpreter() -> None:
    for portal in list(_portals):
        portal._end_with_interpreter()


def _start_over_in_child() -> None:
    for portal in list(_portals):
        portal._leave_inherited_house()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)
