"""
The blocking client.

Nothing is implemented here: an operation is the asynchronous one, named in one line, and
`blocking()` gives it the shape that follows from what it answers:

    coroutine         →  its result, waited for
    `AsyncPager`      →  `Pager`
    `AsyncOutcomes`   →  `Outcomes`
    async generator   →  a generator

Arguments go the other way. A `Pager` among them is walked on the loop; any other source that may
block is read to its end first, in the caller's own thread.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import closing, suppress
from functools import wraps
from inspect import iscoroutinefunction, signature
from itertools import chain
from typing import Any, Concatenate, Final, Generic, ParamSpec, Self, TypeVar, overload
from weakref import ref

from .bulk import GRACE, AsyncOutcomes
from .client import AsyncClient
from .credentials import concealed
from .errors import ClientClosed
from .outcomes import Outcome, Report
from .pagination import AsyncPager
from .portal import Portal
from .resources.fine_tunes import FineTunes
from .resources.imports import Imports

A = TypeVar("A")
P = ParamSpec("P")
T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

_LINGER: Final = GRACE + 5.0  # seconds; a run that was left may take its grace, and time to end


class BlockingWrapper(Generic[A]):
    """
    A blocking wrapper around an asynchronous object.
    """

    def __init__(self, portal: Portal, inner: A) -> None:
        self._portal = portal
        self._inner = inner

    def __repr__(self) -> str:
        return repr(self._inner).replace(type(self._inner).__name__, type(self).__name__, 1)


@overload
def blocking(
    operation: Callable[Concatenate[A, P], AsyncPager[T]],
) -> Callable[Concatenate[BlockingWrapper[A], P], Pager[T]]: ...
@overload
def blocking(
    operation: Callable[Concatenate[A, P], AsyncOutcomes],
) -> Callable[Concatenate[BlockingWrapper[A], P], Outcomes]: ...
@overload
def blocking(
    operation: Callable[Concatenate[A, P], AsyncIterator[T]],
    *,
    in_batches: Callable[Concatenate[A, P], AsyncGenerator[list[T], None]] | None = None,
) -> Callable[Concatenate[BlockingWrapper[A], P], Generator[T, None, None]]: ...
@overload
def blocking(
    operation: Callable[Concatenate[A, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[BlockingWrapper[A], P], T]: ...
def blocking(
    operation: Callable[..., Any], *, in_batches: Callable[..., Any] | None = None
) -> Callable[..., Any]:
    """
    Turn an operation into one that blocks, with the same parameters and docstring.

    Args:
        operation: The operation.
        in_batches: The same one giving many items at a time, so that not each of them has to cross
            from the loop's thread to the caller's.
    """
    waits = iscoroutinefunction(operation)

    def blocked(self: BlockingWrapper[Any], /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        args = tuple(_unwrapped(value) for value in args)
        kwargs = {name: _unwrapped(value) for name, value in kwargs.items()}
        if waits:
            # The loop makes the coroutine: an interrupt here cannot leave one behind unawaited.
            return self._portal.call(operation, self._inner, *args, **kwargs)
        if in_batches is not None:
            batches = in_batches(self._inner, *args, **kwargs)
            return _each(self._portal.iterate(batches))
        return _wrapped(self._portal, operation(self._inner, *args, **kwargs))

    blocked.__name__, blocked.__qualname__ = operation.__name__, f"Sync{operation.__qualname__}"
    return _documented_as(operation)(blocked)


def _documented_as(operation: Callable[..., Any]) -> Callable[[Function], Function]:
    """
    Give a function the docstring and the signature of an operation, with blocking types.
    """
    described = signature(operation)
    # An `AsyncGenerator` has two type parameters, a `Generator` three.
    answer = described.return_annotation.replace("Async", "").replace(", None]", ", None, None]")

    def describe(function: Function) -> Function:
        described_function: Any = wraps(operation, ("__doc__", "__annotations__"))(function)
        described_function.__signature__ = described.replace(return_annotation=answer)
        return function

    return describe


def _with_parameters_of(
    constructor: Callable[Concatenate[Any, P], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, P], None]]:
    """
    Give a constructor the signature of another one; type checkers see its parameters, too.
    """
    return _documented_as(constructor)


def _wrapped(
    portal: Portal, answer: AsyncPager[T] | AsyncOutcomes | AsyncGenerator[T, None]
) -> Pager[T] | Outcomes | Generator[T, None, None]:
    if isinstance(answer, AsyncPager):
        return Pager(portal, answer)
    if isinstance(answer, AsyncOutcomes):
        return Outcomes(portal, answer)
    return portal.iterate(answer)


def _each(batches: Generator[list[T], None, None]) -> Generator[T, None, None]:
    with closing(batches):
        for batch in batches:
            yield from batch


def _unwrapped(value: object) -> object:
    if isinstance(value, Pager):
        return value._inner
    if isinstance(value, Iterable) and not isinstance(value, (Collection, AsyncIterable)):
        return list(value)
    return value


class Pager(BlockingWrapper[AsyncPager[T]], Generic[T]):
    """
    The jobs of a listing, newest first.

    `for` walks all of them, each walk anew. A walk yields every job that existed throughout
    exactly once, whatever is created or deleted meanwhile, or raises `ListingInconsistent`.
    Pages are read ahead while the loop's body runs. Leaving the loop stops that soon; `with`
    stops it at once.

    A request that fails ends the walk with its `DashScopeError`.

    Wire: `GET /fine-tunes`, `GET /custom_models/import`; fewer jobs than `page_size` are one
    request.
    """

    def __init__(self, portal: Portal, inner: AsyncPager[T]) -> None:
        super().__init__(portal, inner)
        self._walks: list[ref[Generator[list[T], None, None]]] = []
        self._linger = 0.0

    def __iter__(self) -> Iterator[T]:
        return chain.from_iterable(self.batches())

    @_documented_as(AsyncPager.batches)
    def batches(self) -> Generator[list[T], None, None]:  # noqa: D102
        walk = self._portal.iterate(self._inner.batches(), linger=self._linger)
        self._walks = [*(other for other in self._walks if other()), ref(walk)]
        return walk

    @_documented_as(AsyncPager.collect)
    def collect(self, limit: int | None = None) -> list[T]:  # noqa: D102
        return self._portal.call(self._inner.collect, limit)

    def __enter__(self) -> Self:
        self._linger = _LINGER
        return self

    def __exit__(self, *_: object) -> None:
        for known in self._walks:
            if walk := known():
                walk.close()


class Outcomes(BlockingWrapper[AsyncOutcomes]):
    """
    A run over many jobs: `for` an `Outcome` each as it ends, or `.report()`.

    The run starts with either, and can be used once. Jobs begin only while the caller waits for
    the next outcome, and at most `concurrency` are under way, so that a loop left early begins
    nothing more. An id that comes twice counts once. A job that fails is an outcome and stops
    no other, except for a refused key or a closed client: then the jobs that follow are skipped
    as `not_attempted`. A pager is walked as jobs begin; any other iterator is read to its end
    first.

    Leaving the loop early, by `break`, an exception or Ctrl-C, waits up to 10 s for what is
    under way. A second Ctrl-C does not wait. `so_far` has the outcomes.
    """

    @property
    def so_far(self) -> Report:
        """
        The report so far: all jobs taken from the source, except those still in progress.
        """
        return self._inner.so_far

    def __iter__(self) -> Iterator[Outcome]:
        return chain.from_iterable(self.batches())

    @_documented_as(AsyncOutcomes.batches)
    def batches(self) -> Generator[list[Outcome], None, None]:  # noqa: D102
        return self._portal.iterate(self._inner.batches(), linger=_LINGER)

    @_documented_as(AsyncOutcomes.report)
    def report(self) -> Report:  # noqa: D102
        return self._portal.call(self._inner.report)

    @_documented_as(AsyncOutcomes.aclose)
    def close(self) -> None:  # noqa: D102
        with suppress(ClientClosed):  # then the run ended with the client
            self._portal.call(self._inner.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SyncFineTunes(BlockingWrapper[FineTunes]):
    """
    The fine-tuning jobs of an account: `client.fine_tunes`.

    A job is named by its id or by a `FineTuneJob`. Before anything is sent, an invalid id,
    number or field of a new job raises `InvalidArgument`, and what is neither an id nor such a
    job raises `TypeError`. In `cancel_many` and `delete_many`, an invalid id is a failed
    outcome instead.
    """

    list = blocking(FineTunes.list)
    page = blocking(FineTunes.page)
    get = blocking(FineTunes.get)
    cancel = blocking(FineTunes.cancel)
    delete = blocking(FineTunes.delete)
    create = blocking(FineTunes.create)
    reconcile_create = blocking(FineTunes.reconcile_create)
    wait = blocking(FineTunes.wait)
    wait_many = blocking(FineTunes.wait_many)
    logs = blocking(FineTunes.logs, in_batches=FineTunes._logs_in_batches)
    training_log = blocking(FineTunes.training_log)
    watch = blocking(FineTunes.watch)
    checkpoints = blocking(FineTunes.checkpoints)
    export_checkpoint = blocking(FineTunes.export_checkpoint)
    wait_for_export = blocking(FineTunes.wait_for_export)
    cancel_many = blocking(FineTunes.cancel_many)
    delete_many = blocking(FineTunes.delete_many)
    plan = blocking(FineTunes.plan)
    apply = blocking(FineTunes.apply)


class SyncImports(BlockingWrapper[Imports]):
    """
    The model-import jobs of an account: `client.imports`.

    A job is named by its id or by an `ImportJob`. Before anything is sent, an invalid id,
    number or field of a new job raises `InvalidArgument`, and what is neither an id nor such a
    job raises `TypeError`. In `delete_many`, an invalid id is a failed outcome instead.
    """

    list = blocking(Imports.list)
    page = blocking(Imports.page)
    get = blocking(Imports.get)
    delete = blocking(Imports.delete)
    create = blocking(Imports.create)
    reconcile_create = blocking(Imports.reconcile_create)
    wait = blocking(Imports.wait)
    wait_many = blocking(Imports.wait_many)
    delete_many = blocking(Imports.delete_many)
    plan = blocking(Imports.plan)
    apply = blocking(Imports.apply)


class Client(BlockingWrapper[AsyncClient]):
    """
    A client for one region and account, to be used as `with` or closed by `close()`.

    One attempt is one request on the wire. A call that is safe to repeat is retried, with
    growing pauses, up to `max_attempts` attempts and within `deadline`. If the answer to a
    change is lost, the client finds out whether it happened; if that is impossible, the call
    raises `OutcomeUnknown`. A creation is billed, and sent again only if the first request was
    provably not received. All requests of a client share one limit, `concurrency`, and one
    pace, which slows down when the service says that requests come too fast.

    It serves many threads, works inside a running event loop, and starts over in a forked
    process. Ctrl-C cancels a call and waits until it has wound up; a second one does not wait.

    Args:
        api_key: The key; else `DASHSCOPE_API_KEY`, or a key file.
        region: `intl`, `cn`, `hk`, `us` or a region id; else `DASHSCOPE_REGION`, or `intl`.
        workspace: The workspace's id; else `DASHSCOPE_WORKSPACE`, or the key's own.
        base_url: Where to send instead of the region's host, with or without `/api/v1`;
            https, except on this machine. Else `DASHSCOPE_BASE_URL`, unless `region` is given.
        timeout: Seconds for one attempt, its answer included.
        deadline: Seconds for one call, its attempts and pauses included, from its turn on.
            A walk has one for each read, a run over many jobs one for each job.
        max_attempts: The most attempts for one call, the first included.
        concurrency: The most requests in flight at once, 1 to 1000.
        page_size: Jobs per request when listing, 20 to 100.
        time_zone: The zone of times that the service sends without one; None for UTC+8.
        proxy: The proxy's URL; else the usual environment variables, read once.
        ssl_context: The TLS settings; None for the system's certificate authorities.
        trace_configs: aiohttp's hooks, for tracing.

    Attributes:
        fine_tunes: The account's fine-tuning jobs.
        imports: The account's import jobs.

    Raises:
        ConfigurationError: A setting is wrong or missing.

    Warns:
        UserWarning: Two variables disagree, or one with `region`; it says which was used.
    """

    fine_tunes: SyncFineTunes
    imports: SyncImports

    @_with_parameters_of(AsyncClient.__init__)
    def __init__(self, **settings: Any) -> None:
        settings |= {name: concealed(settings.get(name)) for name in ("api_key", "proxy")}
        inner = AsyncClient(**settings)
        self._set_up(Portal(inner), inner)
        self._is_view = False

    def _set_up(self, portal: Portal, inner: AsyncClient) -> None:
        super().__init__(portal, inner)
        self.fine_tunes = SyncFineTunes(portal, inner.fine_tunes)
        self.imports = SyncImports(portal, inner.imports)

    @property
    def region(self) -> str:
        """
        The region that is asked: `intl`, `cn`, `hk` or `us`.
        """
        return self._inner.region

    @property
    def base_url(self) -> str:
        """
        Where requests go; it ends in `/api/v1`.
        """
        return self._inner.base_url

    @property
    def workspace(self) -> str | None:
        """
        The workspace that is asked for; None leaves the choice to the service.
        """
        return self._inner.workspace

    @_documented_as(AsyncClient.with_options)
    def with_options(  # noqa: D102
        self,
        *,
        timeout: float | None = None,
        deadline: float | None = None,
        max_attempts: int | None = None,
        page_size: int | None = None,
    ) -> Client:
        inner = self._inner.with_options(
            timeout=timeout, deadline=deadline, max_attempts=max_attempts, page_size=page_size
        )
        view = Client.__new__(Client)
        view._set_up(self._portal, inner)
        view._is_view = True
        return view

    @_documented_as(AsyncClient.aclose)
    def close(self) -> None:  # noqa: D102
        if not self._is_view:
            self._portal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        # A traceback with locals may show a client whose settings were refused.
        if not hasattr(self, "_inner"):
            return f"<{type(self).__name__} without settings>"
        return super().__repr__()
