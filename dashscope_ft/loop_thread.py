"""
A daemon thread with an event loop, and the calls and streams that it runs for other threads.
"""

from __future__ import annotations

import _thread
import asyncio
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, Generic, TypeVar

from .daemons import DaemonExecutor
from .errors import ClientClosed
from .outcomes import Report

T = TypeVar("T")

_WAKE_INTERVAL: Final = 0.5  # seconds between checks for an interrupt that did not end a wait
_FINALIZER_TIME: Final = 0.01  # seconds in which a finalizer surely returns
_MOST_SHOWN: Final = 500  # characters of the result of an interrupted call


class LoopThread:
    """
    A daemon thread, the event loop that it runs, and the resource that is entered there.

    Its life: `start` runs the loop, the first call has the resource entered, `request_stop` has
    it exited again, all remaining calls end, and the loop is closed.

    Attributes:
        resource: The resource.
        thread: The thread.
        calls: The calls that were submitted and whose callers were not woken yet.
        streams: The streams that were stepped and have not ended.
        closing: Whether no further call may begin.
        stopped: Whether the loop runs nothing any more, so that nothing can be submitted to it.
        exiting: Whether the interpreter exits; callers are not woken then.
    """

    def __init__(self, resource: AbstractAsyncContextManager[Any]) -> None:
        self.resource = resource
        self.thread = threading.Thread(target=self._run, name="dashscope-ft", daemon=True)
        self.calls: set[PortalCall[Any]] = set()
        self.streams: set[Stream[Any]] = set()
        self.closing = False
        self.stopped = False
        self.exiting = False
        self._failure: BaseException | None = None  # of the thread's start, or of the resource
        self._running: SimpleQueue[None] = SimpleQueue()  # a token once the loop runs, or cannot
        self._needed = asyncio.Event()  # a call needs the resource, or the thread is to stop
        self._stop_requested = asyncio.Event()
        self._entered = asyncio.Event()  # the resource is entered, or that failed
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """
        Start the thread, and wait until its loop runs. The first call enters the resource.
        """
        # `Thread.start` waits for a condition, whose lock an interrupt can leave locked; a
        # thread that is not the main one gets no interrupts.
        _thread.start_new_thread(self._start_thread, ())
        _wait_for(self._running)
        if self._failure:
            raise self._failure

    async def wait_until_entered(self) -> None:
        """
        Wait, on the loop, until the resource is entered; raise the error if that failed.
        """
        if not self._entered.is_set():
            self._needed.set()
            await self._entered.wait()
        if self._failure:
            raise self._failure

    def submit(self, call: PortalCall[Any], callback: Callable[[LoopThread], None]) -> bool:
        """
        Run a callback of `call` on the loop; return False if the loop has stopped.
        """
        self.calls.add(call)
        if self.stopped:
            return False
        self._post(callback, self)
        return True

    def submit_and_wait(
        self,
        call: PortalCall[Any],
        callback: Callable[[LoopThread], None],
        *,
        timeout: float | None = None,
    ) -> None:
        """
        Run a callback of `call` on the loop, and wait for the call to end, at most `timeout`
        seconds.
        """
        if not self.submit(call, callback):
            return
        if timeout is None:
            _wait_for(call.woken)
        else:
            with suppress(Empty):
                call.woken.get(timeout=timeout)

    def close_stream(self, stream: Stream[Any], timeout: float) -> None:
        """
        Close `stream` on the loop, and wait for that at most `timeout` seconds.
        """
        closing_call = PortalCall(lambda: stream.finish(self), is_callers=False)
        asked = self.submit(closing_call, closing_call.begin)
        waits = timeout and not self.exiting  # while the interpreter exits, callers are not woken
        if asked and waits and threading.current_thread() is not self.thread:
            try:
                with suppress(Empty):
                    closing_call.woken.get(timeout=timeout)
            except KeyboardInterrupt as interrupt:
                if not isinstance(interrupt.__context__, GeneratorExit):
                    raise
                # After a `break` this runs in a finalizer, where Python ignores an interrupt: so
                # interrupt the caller again, soon after.
                _thread.start_new_thread(_interrupt_soon, ())

    def request_stop(self) -> None:
        """
        Ask the thread to exit the resource and end; the garbage collector may call this.
        """
        self.closing = True
        self._post(self._stop)

    def join(self) -> None:
        """
        Wait for the thread to end; raise the error if the resource failed.
        """
        if threading.current_thread() is not self.thread:
            while self.thread.is_alive():
                self.thread.join(_WAKE_INTERVAL)
            if self._failure:
                raise self._failure

    def disown(self) -> None:
        """
        Use the loop no more: it is the parent process's, which still polls its sockets.
        """
        self.stopped = self.closing = True

    def _post(self, callback: Callable[..., object], *args: object) -> None:
        if self._loop and not self.stopped:
            with suppress(RuntimeError):  # the loop was just closed; `_run` wakes all callers
                self._loop.call_soon_threadsafe(callback, *args)

    def _stop(self) -> None:
        self._stop_requested.set()
        self._needed.set()

    def _start_thread(self) -> None:
        try:
            self.thread.start()
        except BaseException as error:  # noqa: BLE001 - `start` raises it in the caller
            self._failure = error
            self._running.put(None)

    def _run(self) -> None:
        loop: asyncio.AbstractEventLoop | None = None
        try:
            loop = self._loop = asyncio.new_event_loop()
            loop.set_default_executor(DaemonExecutor())
            loop.run_until_complete(self._run_resource())
            loop.run_until_complete(_wind_up())
        except Exception as error:
            self._failure = error  # such as too many open files; `start` raises it
            if self.calls:  # their callers will hear only that the client was closed
                raise
        finally:
            if loop:
                loop.close()
            self.stopped = self.closing = True
            for call in list(self.calls):
                call.wake(self)
            self._running.put(None)

    async def _run_resource(self) -> None:
        """
        Enter the resource once it is needed, and exit it on request; keep what goes wrong.
        """
        self._running.put(None)
        try:
            if not self.closing:  # else `request_stop` came before there was a loop to tell
                await self._needed.wait()
            if not self.closing:
                await self._serve()
        except BaseException as error:  # noqa: BLE001 - calls and `join` raise it
            self._failure = error
            self.closing = True
            self._entered.set()
            await self._wait_for_calls()

    async def _serve(self) -> None:
        """
        Keep the resource entered until a stop is requested; then end all streams and calls.
        """
        try:
            async with self.resource:
                self._entered.set()
                await self._stop_requested.wait()
                self._cancel(lambda call: call.is_step)
                closings = [stream.finish(self) for stream in self.streams]
                await asyncio.gather(*closings, return_exceptions=True)
        finally:
            # Not before: as the resource exits, it ends some calls itself, with better errors, such
            # as those of deletions that were sent. If it was never entered, `_run_resource` ends
            # the calls.
            if self._entered.is_set():
                self._cancel(lambda call: call.is_callers)
                await self._wait_for_calls()

    def _cancel(self, is_meant: Callable[[PortalCall[Any]], bool]) -> None:
        for call in list(self.calls):
            if call.task and is_meant(call):
                call.task.cancel()

    async def _wait_for_calls(self) -> None:
        tasks = [call.task for call in list(self.calls) if call.task]
        if tasks:
            await asyncio.wait(tasks)


async def _wind_up() -> None:
    """
    End what is left on the loop, as `asyncio.run` does.

    `asyncio.run` would also wait for the executor, in a new thread; but no thread can be started
    while the interpreter exits.
    """
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    await asyncio.get_running_loop().shutdown_asyncgens()


class PortalCall(Generic[T]):
    """
    One call, shared by the caller's thread and the loop's.

    `begin` and `cancel` run on the loop, in the order in which they were submitted.

    Args:
        function: What to call on the loop.
        is_callers: Whether a caller waits for the result; False for a call that closes a stream.
        is_step: Whether it is a step of a stream, which ends before the resource exits.
    """

    def __init__(
        self,
        function: Callable[[], Coroutine[Any, Any, T]],
        *,
        is_callers: bool = True,
        is_step: bool = False,
    ) -> None:
        self.is_callers = is_callers
        self.is_step = is_step
        self.task: asyncio.Task[T] | None = None
        self.woken: SimpleQueue[None] = SimpleQueue()  # a token once the caller's wait may end
        self._cancellation_details: dict[str, Any] = {}  # such as a report
        self._function = function
        self._value: T
        self._error: BaseException | None = None
        self._answered = False

    def begin(self, loop_thread: LoopThread) -> None:
        """
        Start the call, unless the thread is stopping.
        """
        if loop_thread.closing:
            self.wake(loop_thread)
        else:
            self.task = asyncio.get_running_loop().create_task(self._work(loop_thread))
            self.task.add_done_callback(lambda task: self._end(task, loop_thread))

    def cancel(self, loop_thread: LoopThread) -> None:
        """
        Cancel the call; if it never began, or has ended, there is nothing to wait for.
        """
        if self.task:
            self.task.cancel()
        else:
            self.wake(loop_thread)

    def wake(self, loop_thread: LoopThread) -> None:
        """
        End the caller's wait.
        """
        loop_thread.calls.discard(self)
        if not loop_thread.exiting:
            self.woken.put(None)

    def annotate(self, interrupt: BaseException) -> None:
        """
        Give an interrupt the attributes of the call's cancellation; or, if the call had ended
        before, its result or error as `ended_in`.
        """
        vars(interrupt).update(self._cancellation_details)
        if self._answered and not self.is_step:
            ended_in = self._value if self._error is None else self._error
            vars(interrupt)["ended_in"] = ended_in
            if isinstance(ended_in, Report):
                vars(interrupt)["report"] = ended_in
            # All of it is in `ended_in`; a traceback would show thousands of jobs.
            interrupt.add_note(f"The call had ended by then, in {repr(ended_in)[:_MOST_SHOWN]}.")

    def outcome(self) -> T:
        """
        Return what the call returned, or raise what it raised.
        """
        __tracebackhide__ = True
        if not self._answered:
            raise ClientClosed("This client was closed before the call ended.")
        error, self._error = self._error, None
        try:
            if error is not None:
                raise error
            return self._value
        finally:
            del error  # else its traceback leads back to it, and it lives until it is collected

    def _end(self, task: asyncio.Task[T], loop_thread: LoopThread) -> None:
        # The task is dropped on its own thread: in the caller's, the callback of a weak
        # reference to it could swallow an interrupt.
        self.task = None
        try:
            error = task.exception()
        except asyncio.CancelledError as cancellation:
            self._cancellation_details = vars(cancellation)
        else:
            if self.is_callers:
                self._error = error
                if error is None:
                    self._value = task.result()
                self._answered = True
        self.wake(loop_thread)

    async def _work(self, loop_thread: LoopThread) -> T:
        __tracebackhide__ = True
        await loop_thread.wait_until_entered()
        if loop_thread.closing and self.is_callers:
            raise ClientClosed("This client was closed before the call began.")
        try:
            return await self._function()
        except (SystemExit, KeyboardInterrupt) as error:
            # A callback may exit the program, but from the caller's thread: here it would end
            # the loop, and with it the calls of others.
            self._error, self._answered = error, True
            raise asyncio.CancelledError from None


class End:
    """
    The type of the sentinel that ends a stream.
    """


END: Final = End()


class Stream(Generic[T]):
    """
    An asynchronous generator that is stepped and closed by one task at a time.

    Attributes:
        ended: Whether the generator has ended.
        interrupted_twice: Whether the consumer was interrupted a second time, and so does not wait
            for the generator to be closed.
    """

    def __init__(self, source: AsyncGenerator[T, None]) -> None:
        self.ended = False
        self.interrupted_twice = False
        self._source: AsyncGenerator[T, None] | None = source
        self._turn = asyncio.Lock()  # a cancelled step may still run when the close begins

    async def step(self, loop_thread: LoopThread) -> T | End:
        """
        Return the next item, or `END`.
        """
        async with self._turn:
            if self._source is None:
                return END
            loop_thread.streams.add(self)
            item: T | End = END
            try:
                item = await anext(self._source, END)
            finally:
                if item is END:
                    self._end(loop_thread)
            return item

    async def finish(self, loop_thread: LoopThread) -> None:
        """
        Close the generator.
        """
        async with self._turn:
            try:
                if self._source:
                    await self._source.aclose()
            finally:
                self._end(loop_thread)

    def _end(self, loop_thread: LoopThread) -> None:
        self.ended = True
        self._source = None
        loop_thread.streams.discard(self)


def _interrupt_soon() -> None:
    """
    Interrupt the main thread once a finalizer that runs there has returned.
    """
    time.sleep(_FINALIZER_TIME)
    main = threading.main_thread().ident
    if sys.platform != "win32" and main is not None:
        signal.pthread_kill(main, signal.SIGINT)  # which also ends whatever it is waiting in
    else:
        _thread.interrupt_main()


def _wait_for(token: SimpleQueue[None]) -> None:
    # A signal does not end the wait if it comes just before it, or to another thread. So wake up
    # now and then, and let the interpreter raise the interrupt.
    while True:
        with suppress(Empty):
            return token.get(timeout=_WAKE_INTERVAL)
