"""
An event loop behind callers that block.

A `Portal` runs a `resource`, any asynchronous context manager, on an event loop in a daemon
thread. Callers stay in their own threads and submit calls. Three rules make it safe to end, in
whatever way and at whatever moment:

* Whatever belongs to the loop (tasks, generators, sessions) is created, used and dropped on
  the loop's thread. The two sides share one `PortalCall` per call, and exchange data by atomic
  operations only, so that no interrupt can split one.
* A caller registers its call before it submits it, and the last thing that the thread does is
  to wake every registered caller. So no call can hang, whatever it races with.
* Code that the garbage collector may run takes no lock, and never waits without a bound.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, ParamSpec, TypeVar
from weakref import WeakSet

from .errors import ClientClosed
from .loop_thread import End, LoopThread, PortalCall, Stream

P = ParamSpec("P")
T = TypeVar("T")

_EXIT_GRACE: Final = 1.0  # seconds that the interpreter's exit waits for what is in flight
_SECOND_CANCEL_GRACE: Final = 1.0  # seconds for a call cancelled twice to report its outcome


class Portal:
    """
    Lets blocking callers use an asynchronous `resource`.

    The first call starts a thread with an event loop and enters the resource there. It ends
    with `close()`, with the last reference to the portal, or with the interpreter. Any
    thread may call, also from inside a running loop; a call from the resource's own loop is
    a `RuntimeError`. A forked child starts over with a thread and a loop of its own.
    """

    _loop_thread: LoopThread | None = None  # even if `__init__` never ran, as in a failed copy

    def __init__(self, resource: AbstractAsyncContextManager[Any]) -> None:
        self._resource = resource
        self._closed = False
        # Reentrant: a signal handler may close the portal while its own thread starts the loop.
        self._starting = threading.RLock()
        _portals.add(self)

    def call(
        self,
        function: Callable[P, Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """
        Call `function` on the loop and wait for what it returns.

        An interrupt, such as Ctrl-C, cancels the call, waits until it has wound up, and
        goes on to the caller. A second one cancels it again, and waits for a second at most.
        The attributes of the call's cancellation, such as `report`, are copied to the interrupt. If
        the call had already ended, its result or error becomes the interrupt's `ended_in`, and a
        note shows the beginning of it.

        Raises:
            ClientClosed: The portal was closed before or during the call.
            RuntimeError: This is the loop's own thread, which would wait for itself.
        """
        __tracebackhide__ = True  # in notebooks and tests: the caller's own frames matter
        return self._call_in(self._running_loop_thread(), lambda: function(*args, **kwargs))

    def iterate(
        self, source: AsyncGenerator[T, None], *, linger: float = 0.0
    ) -> Generator[T, None, None]:
        """
        Yield what `source` yields, a call for each item.

        When the iteration is left early, the source is closed on the loop. The caller waits for
        that at most `linger` seconds: it may be the garbage collector, which runs anywhere and
        may hold a lock that the source needs.

        Raises:
            ClientClosed: The portal was closed during the iteration, or the process is a
                fork of the one that began it.
            RuntimeError: This is the loop's own thread.
        """
        loop_thread = self._running_loop_thread()
        stream = Stream(source)
        del source  # the loop knows it by a weak reference: see `PortalCall._end`
        try:
            while True:  # with a condition, Python's jump back to it would be outside of the `try`
                item = self._call_in(loop_thread, lambda: stream.step(loop_thread), step_of=stream)
                if isinstance(item, End):
                    break
                yield item
        finally:
            # Reached also by an interrupt before a step began, or after it had ended.
            if not stream.ended:
                loop_thread.close_stream(stream, 0.0 if stream.interrupted_twice else linger)

    def close(self) -> None:
        """
        Exit the resource, and end the thread.

        Iterations end first, and may have to wait, for example for deletions that were sent.
        Calls in other threads end as the resource ends them, or else in `ClientClosed`. Closing
        twice has no further effect.
        """
        with self._starting:
            self._closed = True
        if self._loop_thread:
            self._loop_thread.request_stop()
            self._loop_thread.join()

    def __del__(self) -> None:
        if self._loop_thread:
            self._loop_thread.request_stop()

    def _running_loop_thread(self) -> LoopThread:
        loop_thread = self._loop_thread
        if loop_thread is None or loop_thread.closing:
            with self._starting:
                if self._closed:
                    raise ClientClosed("This client is closed.")
                loop_thread = self._loop_thread
                if loop_thread is None or loop_thread.closing:
                    loop_thread = self._start_loop_thread()
        return loop_thread

    def _start_loop_thread(self) -> LoopThread:
        loop_thread = LoopThread(self._resource)
        try:
            loop_thread.start()
            self._loop_thread = loop_thread
            if self._closed:
                raise ClientClosed("This client was closed as it started.")
        except BaseException:
            loop_thread.request_stop()  # nothing was entered yet: the next call starts another
            raise
        return loop_thread

    def _call_in(
        self,
        loop_thread: LoopThread,
        begin: Callable[[], Coroutine[Any, Any, T]],
        *,
        step_of: Stream[Any] | None = None,
    ) -> T:
        __tracebackhide__ = True
        if threading.current_thread() is loop_thread.thread:
            raise RuntimeError(
                "This is a blocking call on the client's own event loop, which it would "
                "stop for ever: use the asynchronous client there."
            )
        call = PortalCall(begin, is_step=step_of is not None)
        try:
            loop_thread.submit_and_wait(call, call.begin)
        except BaseException as interrupt:
            # Only the loop knows whether the call began or has ended; `cancel` wakes this thread in
            # each case.
            try:
                loop_thread.submit_and_wait(call, call.cancel)
            except BaseException as again:
                if step_of:
                    step_of.interrupted_twice = True
                loop_thread.submit_and_wait(call, call.cancel, timeout=_SECOND_CANCEL_GRACE)
                call.annotate(again)
                raise
            call.annotate(interrupt)
            raise
        return call.outcome()

    def _forget_inherited_loop_thread(self) -> None:
        self._starting = threading.RLock()  # another thread may have held the old one
        if self._loop_thread:
            self._loop_thread.disown()
            _inherited.append(self._loop_thread)
            self._loop_thread = None

    def _end_with_interpreter(self) -> None:
        if self._loop_thread:
            self._closed = True
            self._loop_thread.exiting = True
            self._loop_thread.request_stop()
            self._loop_thread.thread.join(_EXIT_GRACE)


_portals: WeakSet[Portal] = WeakSet()
_inherited: list[LoopThread] = []  # never collected: that would close the parent's sockets


@atexit.register
def _end_with_interpreter() -> None:
    for portal in list(_portals):
        portal._end_with_interpreter()


def _start_over_in_child() -> None:
    for portal in list(_portals):
        portal._forget_inherited_loop_thread()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)
