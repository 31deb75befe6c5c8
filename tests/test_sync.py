from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import pytest
from aiohttp import TraceConfig

from dashscope_ft import (
    AsyncClient,
    AsyncOutcomes,
    AsyncPager,
    Client,
    ClientClosed,
    ConfigurationError,
    InvalidArgument,
    NotFound,
    Outcomes,
    Pager,
    Selection,
)
from dashscope_ft.bulk import GRACE
from dashscope_ft.emulator import Emulator, Fault, ManualClock
from dashscope_ft.resources.fine_tunes import FineTunes
from dashscope_ft.resources.imports import Imports
from dashscope_ft.sync import SyncFineTunes, SyncImports

from .interpreter import run_script
from .scripted import KEY
from .secrecy import traces

FACES: list[tuple[type, type]] = [
    (AsyncClient, Client),
    (AsyncPager, Pager),
    (AsyncOutcomes, Outcomes),
    (FineTunes, SyncFineTunes),
    (Imports, SyncImports),
]
BLOCKING_NAMES = {"aclose": "close"}


def public(face: type) -> dict[str, Any]:
    return {name: value for name, value in inspect.getmembers(face) if not name.startswith("_")}


OPERATIONS = [
    pytest.param(operation, face, BLOCKING_NAMES.get(name, name), id=f"{face.__name__}.{name}")
    for original, face in FACES
    for name, operation in public(original).items()
]


@pytest.fixture
def client(model_studio: Emulator) -> Iterator[Client]:
    with Client(base_url=model_studio.url, api_key=model_studio.key()) as client:
        yield client


@pytest.mark.parametrize(("original", "face"), FACES, ids=lambda each: each.__name__)
def test_the_faces_have_the_same_names(original: type, face: type) -> None:
    """
    Whatever the asynchronous face offers has its line in the blocking one, and nothing more.
    """
    names = {BLOCKING_NAMES.get(name, name) for name in public(original)}

    assert set(public(face)) == names


@pytest.mark.parametrize(("operation", "face", "name"), OPERATIONS)
def test_an_operation_is_described_alike(operation: Any, face: type, name: str) -> None:
    """
    Both faces of an operation have one docstring and one signature.
    """
    blocking = getattr(face, name)

    assert inspect.getdoc(blocking) == inspect.getdoc(operation)
    if isinstance(operation, property):
        operation, blocking = operation.fget, blocking.fget
    assert (blocking.__name__, blocking.__qualname__) == (name, f"{face.__name__}.{name}")
    ours, theirs = inspect.signature(blocking), inspect.signature(operation)
    assert ours.parameters == theirs.parameters
    answer = theirs.return_annotation.replace("Async", "").replace(", None]", ", None, None]")
    assert ours.return_annotation == answer
    assert not inspect.iscoroutinefunction(blocking)


@pytest.mark.parametrize("repeat", [deepcopy, pickle.dumps], ids=["copy", "pickle"])
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_a_client_cannot_be_copied(
    client: Client,
    repeat: Callable[[object], object],
    used: bool,
    recwarn: pytest.WarningsRecorder,
) -> None:
    """
    Neither client gives a deep copy or a pickle of itself: it says so, and leaves nothing that
    complains when it is collected.
    """
    if used:
        client.fine_tunes.page()
    for whole in (client, client.fine_tunes, client._inner, client._inner.imports):
        with pytest.raises(TypeError, match="A client can neither be pickled nor deep-copied"):
            repeat(whole)
    gc.collect()

    assert not recwarn.list


@pytest.mark.parametrize("method", ["with_options", "__init__"])
def test_a_client_takes_the_same_settings(method: str) -> None:
    """
    The signature that is written out or taken over is the one that works.
    """
    ours = inspect.signature(getattr(Client, method), follow_wrapped=False)

    assert ours.parameters == inspect.signature(getattr(AsyncClient, method)).parameters


def test_the_clients_say_the_same_of_themselves() -> None:
    """
    Both docstrings say how calls are made, and describe arguments, attributes and errors, in the
    same words; they differ in how a client is closed and where it can be used.
    """
    ours, theirs = inspect.getdoc(Client) or "", inspect.getdoc(AsyncClient) or ""
    [_, calls, _, *settings] = ours.split("\n\n")

    assert calls.startswith("One attempt is one request")
    assert settings[0].startswith("Args:")
    assert [calls, *settings] == [theirs.split("\n\n")[1], *theirs.split("\n\n")[3:]]


def test_what_a_traceback_shows(model_studio: Emulator) -> None:
    """
    Notebooks and pytest leave out the frames between the caller's own and the operation's.
    """
    with Client(api_key=model_studio.key(), base_url=model_studio.url) as client:
        with pytest.raises(NotFound) as caught:
            client.fine_tunes.get("ft-1")
        shown = [
            frame.name for frame in caught.traceback if "__tracebackhide__" not in frame.locals
        ]

    assert shown[1:] == ["get", "get"]


def test_wrong_settings() -> None:
    """
    A wrong setting is refused by the constructor, and no key is in what it raises.
    """
    with pytest.raises(ConfigurationError) as caught:
        Client(api_key="sk-very-secret", region="atlantis")

    told = str(caught.value)
    frames = [frame for frame in caught.traceback if "dashscope_ft" in str(frame.path)]
    assert frames
    shown = [repr(value) for frame in frames for value in frame.locals.values()]
    assert "<Client without settings>" in shown
    assert "sk-very-secret" not in "".join(shown)
    assert "atlantis" in told


@pytest.mark.parametrize("face", [AsyncClient, Client])
@pytest.mark.parametrize(
    "wrong",
    [
        {"ssl_context": "x"},
        {"ssl_context": True},
        {"trace_configs": None},
        {"trace_configs": 5},
        {"trace_configs": "abc"},
        {"trace_configs": TraceConfig()},
        {"trace_configs": [TraceConfig(), None]},
    ],
)
def test_connections_that_cannot_be_set_up(face: Any, wrong: dict[str, Any]) -> None:
    """
    What to trust and what to trace are checked by the constructor, and not left for the first call
    to stumble over.
    """
    [name] = wrong
    with pytest.raises(ConfigurationError, match=f"{name} must"):
        face(api_key="sk-1", **wrong)


def test_traces_from_an_iterator(model_studio: Emulator) -> None:
    """
    Traces that can be read only once are at work in every session.
    """
    seen: list[str] = []
    trace = TraceConfig()

    async def note(*_: object) -> None:
        seen.append("request")

    trace.on_request_start.append(note)
    traces: Any = (each for each in [trace])
    client = AsyncClient(
        base_url=model_studio.url, api_key=model_studio.key(), trace_configs=traces
    )

    async def ask() -> None:
        await client.fine_tunes.page()
        await client.aclose() if len(seen) == 2 else None

    asyncio.run(ask())
    asyncio.run(ask())

    assert len(seen) == 2


def test_unknown_settings() -> None:
    """
    A setting that does not exist, or one without its name, is a `TypeError`.
    """
    with pytest.raises(TypeError, match="colour"):
        Client(colour="red")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError):
        Client("sk-1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


def test_its_repr(client: Client, model_studio: Emulator) -> None:
    """
    The `repr` says what is asked, and not the key.
    """
    assert repr(client) == f"Client(region='intl', base_url={model_studio.url!r})"
    assert repr(client.fine_tunes) == f"<SyncFineTunes of {model_studio.url}>"
    assert repr(client.imports) == f"<SyncImports of {model_studio.url}>"
    assert repr(client._inner.imports) == f"<Imports of {model_studio.url}>"
    assert client.region == "intl"
    assert client.base_url == model_studio.url
    assert client.workspace is None


def test_the_repr_of_a_client_of_ones_own(model_studio: Emulator) -> None:
    """
    A subclass goes by its own name.
    """

    class TeamClient(Client):
        pass

    with TeamClient(base_url=model_studio.url, api_key=model_studio.key()) as client:
        assert repr(client).startswith("TeamClient(region='intl', ")


def test_the_four_operations(client: Client, model_studio: Emulator) -> None:
    """
    Listing, cancelling and deleting work as in the asynchronous client.
    """
    [running] = model_studio.seed(jobs=1, statuses=["RUNNING"])
    [failed] = model_studio.seed(jobs=1, statuses=["FAILED"])
    [upload] = model_studio.seed(imports=1, import_statuses=["FAILED"])

    cancelled = client.fine_tunes.cancel(running)
    deleted = client.fine_tunes.delete(client.fine_tunes.get(failed))
    dropped = client.imports.delete(upload)

    assert cancelled.confirmed
    assert deleted.job_id == failed
    assert dropped.job
    assert dropped.job.job_id == upload
    assert [job.job_id for job in client.fine_tunes.list()] == [running]
    assert client.imports.page().items == []
    with pytest.raises(NotFound):
        client.fine_tunes.get(failed)


def test_a_wrong_argument(client: Client, model_studio: Emulator) -> None:
    """
    What cannot be sent is refused as in the asynchronous client.
    """
    with pytest.raises(InvalidArgument):
        client.fine_tunes.get("../files/file-1")
    with pytest.raises(InvalidArgument):
        client.fine_tunes.list(page_size=3)
    with pytest.raises(TypeError):
        client.fine_tunes.delete_many([3])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]

    assert len(model_studio.journal) == 0


def test_a_walk_crosses_once_a_batch(
    client: Client, model_studio: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Walking 250 jobs takes a handful of crossings between the threads, not 250.
    """
    ids = model_studio.seed(jobs=250)
    crossings = 0
    cross = client._portal._call_in

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal crossings
        crossings += 1
        return cross(*args, **options)

    monkeypatch.setattr(client._portal, "_call_in", counted)
    walked = [job.job_id for job in client.fine_tunes.list()]

    assert walked == ids[::-1]  # the newest first
    assert crossings <= 5


def test_ways_through_a_pager(client: Client, model_studio: Emulator) -> None:
    """
    A pager can be walked again and again, in batches, whole, and up to a limit.
    """
    model_studio.seed(jobs=130)
    pager = client.fine_tunes.list(page_size=50)
    first = list(pager)

    assert isinstance(pager, Pager)
    assert len(first) == 130
    assert list(pager) == first
    assert [job for batch in pager.batches() for job in batch] == first
    assert pager.collect() == first
    assert pager.collect(7) == first[:7]
    with pytest.raises(InvalidArgument):
        pager.collect(-1)


@pytest.mark.parametrize("leave", ["break", "with"])
def test_a_walk_left_early(client: Client, model_studio: Emulator, leave: str) -> None:
    """
    Leaving a walk ends its reading ahead.
    """
    model_studio.seed(jobs=900)
    pager = client.fine_tunes.list(page_size=20)
    walk = iter(pager)
    with pager:
        next(walk)
        if leave == "break":
            walk = iter(())
    client.fine_tunes.page()
    count = len(model_studio.journal)
    client.fine_tunes.page()

    assert count < 45
    assert len(model_studio.journal) == count + 1
    if leave == "with":
        assert len(list(walk)) < 20


def test_a_run_over_many_jobs(client: Client, model_studio: Emulator) -> None:
    """
    A run gives an outcome each, and a report over all of them.
    """
    ids = model_studio.seed(jobs=30, statuses=["FAILED"])
    run = client.fine_tunes.delete_many(ids[:20])
    outcomes = list(run)
    report = client.fine_tunes.delete_many([*ids[20:], "ft-none"]).report()

    assert isinstance(run, Outcomes)
    assert {outcome.job_id for outcome in outcomes} == set(ids[:20])
    assert run.so_far.done == run.report().done == 20
    assert (report.selected, report.done, report.failed) == (11, 10, 1)


SOURCES: dict[str, Callable[[Client], Any]] = {
    "pager": lambda client: client.fine_tunes.list(status="FAILED"),
    "generator": lambda client: (job for job in client.fine_tunes.list(status="FAILED")),
    "filter": lambda client: filter(None, client.fine_tunes.list(status="FAILED")),
}


@pytest.mark.parametrize("source", SOURCES)
def test_a_run_over_what_is_being_listed(
    client: Client, model_studio: Emulator, source: str
) -> None:
    """
    The jobs of a run may come from a pager of the same client, or from what blocks on one.
    """
    model_studio.seed(jobs=120, statuses=["FAILED"])
    model_studio.seed(jobs=10, statuses=["SUCCEEDED"])
    report = client.fine_tunes.delete_many(SOURCES[source](client)).report()

    assert report.done == report.selected == 120
    assert client.fine_tunes.page().total == 10


@pytest.mark.parametrize("leave", ["break", "with"])
def test_a_run_left_early(client: Client, model_studio: Emulator, leave: str) -> None:
    """
    Leaving a run waits for what is under way, begins nothing more, and accounts for all of it.
    """
    ids = model_studio.seed(jobs=60, statuses=["FAILED"])
    model_studio.inject(Fault(operation="fine_tunes.delete", answer_delay=0.05, times=None))
    run = client.fine_tunes.delete_many(ids)
    if leave == "break":
        for _ in run:
            break
    else:
        with run:
            outcomes = iter(run)
            next(outcomes)
    deletes = model_studio.journal.of("fine_tunes.delete")
    unanswered = [request for request in deletes if request.status is None]
    report = run.report()

    assert unanswered == []
    assert 1 <= len(deletes) <= 16
    assert len(model_studio.journal.of("fine_tunes.delete")) == len(deletes)
    assert report.done == len(deletes)
    assert report.selected == report.done + report.skipped + report.failed


def test_a_clean_up(client: Client, model_studio: Emulator) -> None:
    """
    A clean-up is planned and applied as in the asynchronous client.
    """
    model_studio.seed(jobs=5, statuses=["FAILED"])
    model_studio.seed(jobs=10, statuses=["SUCCEEDED"])
    told: list[str] = []
    plan = client.fine_tunes.plan(Selection(status={"FAILED"}))
    report = client.fine_tunes.apply(plan, on_outcome=lambda outcome: told.append(outcome.job_id))

    assert report.done == report.selected == len(told) == 5
    assert client.fine_tunes.page().total == 10


def test_a_view(client: Client, model_studio: Emulator) -> None:
    """
    A view shares thread and connections, and closing it closes nothing.
    """
    [job_id] = model_studio.seed(jobs=1)
    client.fine_tunes.get(job_id)
    threads = threading.active_count()
    with client.with_options(max_attempts=1, timeout=5) as view:
        view.fine_tunes.get(job_id)

    assert isinstance(view, Client)
    assert view.fine_tunes.get(job_id) == client.fine_tunes.get(job_id)
    assert threading.active_count() == threads
    assert model_studio.journal.connections == 1
    with pytest.raises(ConfigurationError):
        client.with_options(timeout=-1)


def test_a_closed_client(model_studio: Emulator) -> None:
    """
    A closed client, its views, pagers and runs raise `ClientClosed`.
    """
    ids = model_studio.seed(jobs=60)
    client = Client(base_url=model_studio.url, api_key=model_studio.key())
    view, pager = client.with_options(timeout=5), client.fine_tunes.list(page_size=20)
    walk = iter(pager)
    next(walk)
    with client.fine_tunes.delete_many(ids) as run:
        client.close()
        client.close()

    for use in (
        lambda: client.fine_tunes.get(ids[0]),
        lambda: view.fine_tunes.get(ids[0]),
        lambda: list(walk),
        pager.collect,
        run.report,
    ):
        with pytest.raises(ClientClosed):
            use()


def test_inside_a_running_loop(client: Client, model_studio: Emulator) -> None:
    """
    The client works in a notebook, whose cells run in a loop.
    """
    model_studio.seed(jobs=25)

    async def cell() -> int:
        return len(list(client.fine_tunes.list())) + client.fine_tunes.page().total

    assert asyncio.run(cell()) == 50


def test_from_sixteen_threads(client: Client, model_studio: Emulator) -> None:
    """
    Sixteen threads share a client, its limit of concurrency, and get their own answers.
    """
    ids = model_studio.seed(jobs=200)
    with ThreadPoolExecutor(16) as pool:
        jobs = list(pool.map(client.fine_tunes.get, ids))
        walks = list(pool.map(lambda _: client.fine_tunes.list().collect(), range(4)))

    assert [job.job_id for job in jobs] == ids
    assert {len(walk) for walk in walks} == {200}
    assert model_studio.journal.most_connections <= 8


STUDIO = """
import asyncio, itertools, threading, time
from dashscope_ft import Client
from dashscope_ft.emulator import Emulator, Fault
from tests.interrupts import interrupt
studio = Emulator().__enter__()
client = Client(base_url=studio.url, api_key=studio.key())
def interrupt_at(operation, arrival=1):
    arrivals = itertools.count(1)
    reached = studio.journal.first(
        lambda request: request.operation == operation and next(arrivals) == arrival
    )
    def press():
        reached.result(30)
        interrupt()
    sender = threading.Thread(target=press)
    sender.start()
    return sender
"""


def test_ctrl_c_in_a_call() -> None:
    """
    Ctrl-C ends a call at once, and the client serves on.
    """
    end = run_script(
        STUDIO,
        """
        [job_id] = studio.seed(jobs=1)
        studio.inject(Fault(operation="fine_tunes.get", delay=60))
        interrupt_at("fine_tunes.get")
        try:
            client.fine_tunes.get(job_id)
        except KeyboardInterrupt:
            print("interrupted")
        assert client.fine_tunes.get(job_id).job_id == job_id
        print(len(studio.journal), "requests")
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("interrupted\n2 requests\n", "", 0)


def test_ctrl_c_in_a_run() -> None:
    """
    Ctrl-C in a run waits for what is under way; after that nothing more begins.
    """
    end = run_script(
        STUDIO,
        """
        ids = studio.seed(jobs=60, statuses=["FAILED"])
        studio.inject(Fault(operation="fine_tunes.delete", answer_delay=0.1, times=None))
        interrupt_at("fine_tunes.delete")
        run = client.fine_tunes.delete_many(ids)
        try:
            for _ in run:
                pass
        except KeyboardInterrupt:
            print("interrupted")
        deletes = studio.journal.of("fine_tunes.delete")
        assert {request.status for request in deletes} == {200}
        client.fine_tunes.page()
        assert len(studio.journal.of("fine_tunes.delete")) == len(deletes) <= 16
        assert run.so_far.done == len(deletes)
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("interrupted\n", "", 0)


def test_a_second_ctrl_c_in_a_run() -> None:
    """
    A second Ctrl-C leaves a run at once; what was under way is of unknown outcome.
    """
    end = run_script(
        STUDIO,
        """
        ids = studio.seed(jobs=60, statuses=["FAILED"])
        studio.inject(Fault(operation="fine_tunes.delete", answer_delay=60, times=None))
        run = client.fine_tunes.delete_many(ids)
        first = interrupt_at("fine_tunes.delete", arrival=8)
        def interrupt_again():
            first.join()
            while not run._inner._stopping:
                time.sleep(0.001)
            interrupt()
        second = threading.Thread(target=interrupt_again)
        second.start()
        try:
            for _ in run:
                pass
        except KeyboardInterrupt:
            print("interrupted")
        second.join()
        report = run.report()
        assert len(studio.journal.of("fine_tunes.delete")) == 8
        print(report.done, "done", report.reasons["unknown_outcome"], "unknown")
        """,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("interrupted\n0 done 8 unknown\n", "", 0)


def test_a_second_ctrl_c_in_a_clean_up() -> None:
    """
    The interrupt of a second Ctrl-C carries the report as that of the first does, with what is in
    doubt.
    """
    end = run_script(
        STUDIO,
        """
        from dashscope_ft import Selection
        studio.seed(jobs=60, statuses=["FAILED"])
        studio.inject(Fault(operation="fine_tunes.delete", answer_delay=60, times=None))
        plan = client.fine_tunes.plan(Selection())
        loop_thread = client._portal._loop_thread
        first = interrupt_at("fine_tunes.delete", arrival=8)
        def interrupt_again():
            first.join()
            while not any(call.task and call.task.cancelling() for call in [*loop_thread.calls]):
                time.sleep(0.001)
            for _ in range(5):  # the loop's turns, in which the run hears of it
                asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop_thread._loop).result()
            interrupt()
        second = threading.Thread(target=interrupt_again)
        second.start()
        try:
            client.fine_tunes.apply(plan, max_deletes=60, max_percent=100)
        except KeyboardInterrupt as interrupted:
            print(dict(interrupted.report.reasons))
        second.join()
        """,
    )

    told = "{'not_attempted': 52, 'unknown_outcome': 8}\n"
    assert (end.stdout, end.stderr, end.returncode) == (told, "", 0)


CLIENT = """
import asyncio, atexit, gc, os, signal, sys, threading, time
from dashscope_ft import Client, ClientClosed
client = Client(base_url=sys.argv[1], api_key=sys.argv[2], timeout=5, deadline=5)
job_id = sys.argv[3]
"""


def test_fork_while_idle(model_studio: Emulator) -> None:
    """
    A child starts over with connections of its own, ends as it likes, and the parent's live on.
    """
    [job_id, *_] = model_studio.seed(jobs=250)
    end = run_script(
        CLIENT,
        """
        walk = iter(client.fine_tunes.list(page_size=20))
        next(walk)
        client.fine_tunes.get(job_id)
        if pid := os.fork():
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            assert client.fine_tunes.get(job_id).job_id == job_id
            assert len(list(walk)) == 249
            print("parent", flush=True)
        else:
            assert client.fine_tunes.get(job_id).job_id == job_id
            assert len(list(client.fine_tunes.list())) == 250
            try:
                next(walk)
                list(walk)
            except ClientClosed:
                pass
            else:
                sys.exit("the parent's walk went on in the child")
            client.close()
            del walk, client
            gc.collect()
            print("child", flush=True)
        """,
        model_studio.url,
        model_studio.key(),
        job_id,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("child\nparent\n", "", 0)


def test_fork_while_busy(model_studio: Emulator) -> None:
    """
    A child forked while every turn is taken owes none of them.
    """
    [job_id] = model_studio.seed(jobs=1)
    end = run_script(
        CLIENT,
        """
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                client.fine_tunes.get(job_id)
        threads = [threading.Thread(target=busy) for _ in range(12)]
        for thread in threads:
            thread.start()
        for _ in range(6):
            if pid := os.fork():
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            else:
                signal.alarm(20)
                code = 1
                try:
                    code = 0 if client.fine_tunes.get(job_id).job_id == job_id else 2
                finally:
                    os._exit(code)
        stop.set()
        for thread in threads:
            thread.join()
        client.close()
        print("parent")
        """,
        model_studio.url,
        model_studio.key(),
        job_id,
        timeout=60.0,
    )

    assert (end.stdout, end.stderr, end.returncode) == ("parent\n", "", 0)


def test_a_log_and_a_wait(client: Client, model_studio: Emulator) -> None:
    """
    A log is read line by line, and a wait gives the finished job.
    """
    [job_id] = model_studio.seed(jobs=1, statuses=["SUCCEEDED"])
    lines = list(client.fine_tunes.logs(job_id))
    looks = list(client.fine_tunes.watch(job_id))
    first = next(client.fine_tunes.logs(job_id))

    assert client.fine_tunes.wait(job_id).is_finished
    assert len(client.fine_tunes.wait_many(client.fine_tunes.list())) == 1
    assert first == lines[0]
    assert looks[-1].job.job_id == job_id


def test_jobs_by_name_from_an_iterator_that_blocks(client: Client, model_studio: Emulator) -> None:
    """
    An iterator is read in the caller's own thread also where it is given by name.
    """
    ids = model_studio.seed(jobs=3, statuses=["SUCCEEDED"])

    ended = client.fine_tunes.wait_many(jobs=(job.job_id for job in client.fine_tunes.list()))

    assert sorted(job.job_id for job in ended) == sorted(ids)


def test_a_run_left_early_has_waited_for_what_is_under_way() -> None:
    """
    After a loop that was left, every deletion that was sent is in the report.
    """
    clock, delete, left = ManualClock(), "fine_tunes.delete", threading.Event()
    with (
        Emulator(clock=clock) as studio,
        Client(base_url=studio.url, api_key=studio.key()) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        ids = studio.seed(jobs=20, statuses=["FAILED"])
        studio.inject(Fault(operation=delete), Fault(operation=delete, answer_delay=60, times=None))
        run = client.fine_tunes.delete_many(ids)

        def answer() -> None:
            while not run._inner._stopping:
                time.sleep(0.001)
            while not left.is_set():
                clock.advance(60)
                time.sleep(0.001)

        answering = pool.submit(answer)
        for _ in run:
            break
        done = run.so_far.done
        left.set()
        answering.result(30)

        assert done == len(studio.journal.of(delete)) > 1


def test_a_run_left_early_is_waited_for_longer_than_it_waits_itself(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Whoever leaves a run goes on only after the run has given up on what is under way.
    """
    iterate = client._portal.iterate
    lingers: list[float] = []

    def noted(source: Any, *, linger: float = 0.0) -> Any:
        lingers.append(linger)
        return iterate(source, linger=linger)

    monkeypatch.setattr(client._portal, "iterate", noted)
    assert list(client.fine_tunes.delete_many([])) == []
    assert list(client.fine_tunes.delete_many([]).batches()) == []

    assert len(lingers) == 2
    assert min(lingers) > GRACE


@pytest.mark.parametrize("face", [AsyncClient, Client])
def test_the_proxy_of_a_client_that_cannot_be(face: Any) -> None:
    """
    Refused settings show a proxy's credentials in no local of the traceback.
    """
    with pytest.raises(ConfigurationError) as caught:
        face(api_key=KEY, region="mars", proxy="http://user:pa55word@proxy.example")

    assert traces(caught.value, "pa55word") == []
