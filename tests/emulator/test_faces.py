from __future__ import annotations

import ast
import asyncio
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

import dashscope_ft.emulator
from dashscope_ft.emulator import Emulator, Fault, ManualClock


def total(emulator: Emulator, region: str = "intl") -> int:
    request = urllib.request.Request(
        f"{emulator.base_url(region)}/fine-tunes",
        headers={"Authorization": f"Bearer {emulator.key(region)}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return int(json.load(answer)["output"]["total"])


async def test_the_async_form() -> None:
    """
    The emulator runs on the test's own loop, and leaves no task behind.
    """
    async with Emulator() as emulator:
        emulator.seed("cn", jobs=3)

        counted = await asyncio.to_thread(total, emulator, "cn")

    assert counted == 3
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_the_blocking_form() -> None:
    """
    The emulator runs on a thread of its own, which ends with it, and with it the port.
    """
    before = threading.active_count()
    with Emulator() as emulator:
        emulator.seed(jobs=3)
        counted = total(emulator)
        url = urlsplit(emulator.url)

    assert counted == 3
    assert threading.active_count() == before
    connection = HTTPConnection(url.netloc, timeout=10)
    with pytest.raises(ConnectionRefusedError):
        connection.request("GET", "/")


def test_a_port_that_is_taken() -> None:
    """
    Where it cannot listen, entering says so.
    """
    with (
        Emulator() as first,
        pytest.raises(OSError, match="in use"),
        Emulator(port=first.port),
    ):
        pass


def test_the_fixture_in_a_blocking_test(model_studio: Emulator) -> None:
    """
    A test that asks for `model_studio` has a service of its own.
    """
    model_studio.seed(jobs=2)

    assert total(model_studio) == 2


async def test_the_fixture_in_an_async_test(model_studio: Emulator) -> None:
    """
    The emulator's fixture serves an async test, too, whose loop stays free.
    """
    model_studio.seed(jobs=2)

    assert total(model_studio) == 2


def test_a_fixture_that_is_entered(model_studio: Emulator) -> None:
    """
    An emulator that runs cannot be entered once more; it says so, and runs on.
    """
    with pytest.raises(RuntimeError, match="runs already"), model_studio:
        pass

    assert total(model_studio) == 0


def test_an_emulator_that_is_run_again() -> None:
    """
    After its end it can be entered again, and has its jobs still.
    """
    emulator = Emulator()
    emulator.seed(jobs=2)

    for _ in range(2):
        with emulator:
            assert total(emulator) == 2


@pytest.mark.parametrize("region", ["hk", "ap-southeast-1"])
def test_a_region_that_is_not_emulated(model_studio: Emulator, region: str) -> None:
    """
    A region without an account is refused with those that have one.
    """
    for ask in (model_studio.account, model_studio.key, model_studio.base_url, model_studio.seed):
        with pytest.raises(ValueError, match=f"no region '{region}' here; there are intl, cn"):
            ask(region)


def test_the_names_that_are_offered() -> None:
    """
    `dir` and completion show every public name, whether it was used before or not.
    """
    assert set(dashscope_ft.emulator.__all__) <= set(dir(dashscope_ft.emulator))
    with pytest.raises(AttributeError, match="no attribute 'Emulater'"):
        _ = dashscope_ft.emulator.Emulater


def test_what_the_plugin_costs() -> None:
    """
    Loading it, as pytest does for everybody, imports nothing of the emulator, nor aiohttp.
    """
    script = (
        "import sys, pytest; before = set(sys.modules); "
        "import dashscope_ft.emulator.pytest_plugin; "
        "print(sorted(set(sys.modules) - before))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert ast.literal_eval(answer.stdout) == [
        "dashscope_ft",
        "dashscope_ft.emulator",
        "dashscope_ft.emulator.pytest_plugin",
    ]


def test_how_many_requests_were_in_flight() -> None:
    """
    The journal counts requests that were served together, and the connections they came on.
    """
    with Emulator(latency=0.2) as emulator:
        threads = [threading.Thread(target=total, args=(emulator,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        journal = emulator.journal

        assert journal.most_in_flight == 4
        assert journal.in_flight == 0
        assert (journal.connections, journal.most_connections) == (4, 4)


def test_connections_that_are_kept() -> None:
    """
    Requests one after the other may share a connection.
    """
    with Emulator() as emulator:
        url = urlsplit(emulator.url)
        connection = HTTPConnection(url.netloc, timeout=10)
        for _ in range(3):
            connection.request("GET", f"{url.path}/fine-tunes")
            connection.getresponse().read()
        connection.close()

        assert (len(emulator.journal), emulator.journal.connections) == (3, 1)
        assert emulator.url.endswith("/intl/api/v1")


def test_a_plain_base_url() -> None:
    """
    Without a region in the path, `intl` answers.
    """
    with Emulator() as emulator:
        emulator.seed("intl", jobs=3)
        connection = HTTPConnection("127.0.0.1", emulator.port, timeout=10)
        headers = {"Authorization": f"Bearer {emulator.key('intl')}"}
        connection.request("GET", "/api/v1/fine-tunes", headers=headers)
        content = json.load(connection.getresponse())
        connection.close()

    assert content["output"]["total"] == 3


def test_a_body_in_chunks() -> None:
    """
    A client that sends its body in chunks is understood.
    """
    with Emulator() as emulator:
        connection = HTTPConnection("127.0.0.1", emulator.port, timeout=10)
        pieces = [b'{"model": "qwen3-8b", ', b'"training_file_ids": ["file-1"]}']
        connection.request(
            "POST",
            "/api/v1/fine-tunes",
            iter(pieces),
            {"Authorization": f"Bearer {emulator.key()}"},
            encode_chunked=True,
        )
        status = connection.getresponse().status
        connection.close()

        assert status == 200
        assert len(emulator.account().jobs) == 1


def test_lines_behind_a_body_in_chunks() -> None:
    """
    Trailers behind a body are not taken for the next request.
    """
    with Emulator() as emulator:
        connection = HTTPConnection("127.0.0.1", emulator.port, timeout=10)
        seen = []
        for _ in range(2):
            connection.putrequest("POST", "/api/v1/fine-tunes")
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(b"2\r\n{}\r\n0\r\nChecksum: 7\r\n\r\n")
            answer = connection.getresponse()
            answer.read()
            seen.append(answer.status)
        connection.close()

        assert seen == [401, 401]
        assert [request.connection for request in emulator.journal] == [1, 1]


def test_leaving_while_requests_wait() -> None:
    """
    The emulator ends at once, whatever is being served.
    """
    failures: list[BaseException] = []

    def ask(emulator: Emulator) -> None:
        try:
            total(emulator)
        except OSError as error:
            failures.append(error)

    with Emulator(clock=ManualClock()) as emulator:
        emulator.inject(Fault(delay=3_600))
        thread = threading.Thread(target=ask, args=(emulator,))
        thread.start()
        emulator.journal.first(lambda request: True).result(timeout=5)
    thread.join(timeout=10)

    assert not thread.is_alive()
    assert len(failures) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command(number: signal.Signals) -> None:
    """
    The command prints a line to paste for each region, serves what was seeded, and ends with
    Ctrl-C, or as containers are stopped.
    """
    options = ["--port", "0", "--seed", "7", "--jobs", "30", "--imports", "4"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dashscope_ft.emulator", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    exports = {}
    for line in process.stdout:
        name, _, value = line.removeprefix("export ").strip().partition("=")
        if line.startswith("export "):
            exports[name] = value
        if line.startswith("# Ctrl-C"):
            break
    request = urllib.request.Request(
        f"{exports['DASHSCOPE_BASE_URL']}/fine-tunes",
        headers={"Authorization": f"Bearer {exports['DASHSCOPE_API_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        counted = json.load(answer)["output"]["total"]
    process.send_signal(number)
    _, words = process.communicate(timeout=20)

    assert counted == 30
    assert process.returncode == 0
    assert words == ""


@pytest.mark.parametrize(
    "noise",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 16777217\r\n\r\n",
    ],
)
def test_what_is_not_http_or_too_large(noise: bytes) -> None:
    """
    The connection is closed, and the emulator serves on.
    """
    with Emulator() as emulator:
        with socket.create_connection(("127.0.0.1", emulator.port), timeout=10) as connection:
            connection.sendall(noise)
            answer = connection.recv(1)

        assert answer == b""
        assert total(emulator) == 0


@pytest.mark.parametrize(
    ("host", "asked"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]")]
)
def test_a_base_url_can_be_asked(host: str, asked: str) -> None:
    """
    On all addresses, the emulator is asked on this machine's own.
    """
    with Emulator(host=host) as studio:
        assert studio.url == f"http://{asked}:{studio.port}/intl/api/v1"
        assert total(studio) == 0


@pytest.mark.parametrize("turns", range(8))
async def test_connections_that_come_at_the_end(turns: int) -> None:
    """
    However far a connection has come when the emulator ends, it is closed.
    """
    async with Emulator() as studio:
        clients = [socket.create_connection(("127.0.0.1", studio.port)) for _ in range(4)]
        for _ in range(turns):
            await asyncio.sleep(0)

    await asyncio.sleep(0)
    gc.collect()  # an open one would be told of
    for client in clients:
        client.close()
