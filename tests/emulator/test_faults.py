from __future__ import annotations

import asyncio
import http.client
import math
import re
import socket
from typing import Any
from urllib.parse import urlsplit

import pytest

from dashscope_ft.emulator import Emulator, Fault

from .conftest import Studio


def one_job(studio: Studio) -> str:
    (job_id,) = studio.emulator.seed(jobs=1, statuses=["FAILED"])
    return job_id


@pytest.mark.parametrize("reset", [False, True])
def test_an_answer_lost_after_the_work(studio: Studio, reset: bool) -> None:
    """
    The client hears nothing, and the job is deleted all the same.
    """
    job_id = one_job(studio)
    studio.emulator.inject(Fault(operation="fine_tunes.delete", lose="after", reset=reset))

    expected = ConnectionResetError if reset else http.client.RemoteDisconnected
    with pytest.raises(expected):
        studio.call("DELETE", f"/fine-tunes/{job_id}")

    assert studio.emulator.account().books.deleted == [job_id]
    (request,) = studio.emulator.journal
    assert request.status is None
    assert request.fault is not None
    assert studio.call("DELETE", f"/fine-tunes/{job_id}").refusal == (404, "NotFound")


def test_a_request_lost_before_the_work(studio: Studio) -> None:
    """
    The client hears nothing, and the job is still there.
    """
    job_id = one_job(studio)
    studio.emulator.inject(Fault(lose="before"))

    with pytest.raises(http.client.RemoteDisconnected):
        studio.call("DELETE", f"/fine-tunes/{job_id}")

    assert list(studio.emulator.account().jobs) == [job_id]


def test_another_status(studio: Studio) -> None:
    """
    A failing status comes in the service's own words, and by default nothing was done.
    """
    job_id = one_job(studio)
    studio.emulator.inject(Fault(status=503, headers={"Retry-After": "7"}), Fault(status=429))

    down = studio.call("DELETE", f"/fine-tunes/{job_id}")
    throttled = studio.call("DELETE", f"/fine-tunes/{job_id}")

    assert down.refusal == (503, "InternalError")
    assert down.headers["retry-after"] == "7"
    assert throttled.refusal == (429, "Throttling.RateQuota")
    assert list(studio.emulator.account().jobs) == [job_id]


def test_another_status_after_the_work(studio: Studio) -> None:
    """
    A gateway may fail when the service did not: that can be said too.
    """
    job_id = one_job(studio)
    studio.emulator.inject(Fault(status=504, effect=True, body="<html>timeout</html>"))

    answer = studio.call("DELETE", f"/fine-tunes/{job_id}")

    assert (answer.status, answer.body) == (504, b"<html>timeout</html>")
    assert not studio.emulator.account().jobs


def test_another_body(studio: Studio) -> None:
    """
    A body can be any bytes, or JSON, with any headers.
    """
    studio.emulator.inject(
        Fault(body=b"\xff\xfe"), Fault(body={"output": None}, headers={"x-odd": "yes"})
    )

    raw = studio.call("GET", "/fine-tunes")
    odd = studio.call("GET", "/fine-tunes")

    assert (raw.status, raw.body) == (200, b"\xff\xfe")
    assert (odd.json, odd.headers["x-odd"]) == ({"output": None}, "yes")


def test_a_torn_body(studio: Studio) -> None:
    """
    The connection ends within the body, after the work.
    """
    job_id = one_job(studio)
    studio.emulator.inject(Fault(torn=10))

    with pytest.raises(http.client.IncompleteRead) as caught:
        studio.call("DELETE", f"/fine-tunes/{job_id}")

    assert len(caught.value.partial) == 10
    assert not studio.emulator.account().jobs


async def test_a_dripping_body() -> None:
    """
    The body comes byte by byte, and is whole in the end.
    """
    async with Emulator() as emulator:
        emulator.inject(Fault(drip=0.001))
        base = urlsplit(emulator.url)
        reader, writer = await asyncio.open_connection(base.hostname, base.port)
        key = emulator.key()
        writer.write(
            f"GET {base.path}/fine-tunes HTTP/1.1\r\nAuthorization: Bearer {key}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        pieces = []
        while piece := await reader.read(65_536):
            pieces.append(piece)
        writer.close()
        await writer.wait_closed()

    assert len(pieces) > 20
    assert b'"total":0' in b"".join(pieces)


def test_a_body_that_drips_without_a_pause(studio: Studio) -> None:
    """
    What takes no time comes while the clock stands still.
    """
    studio.emulator.inject(Fault(drip=0.0))

    answer = studio.call("GET", "/fine-tunes")

    assert answer.output["total"] == 0


def test_an_answer_that_never_comes() -> None:
    """
    An endless delay ends with the emulator, not before.
    """
    with Emulator() as emulator:
        emulator.inject(Fault(answer_delay=math.inf))
        base = urlsplit(emulator.url)
        connection = socket.create_connection((base.hostname, base.port), timeout=10)
        connection.sendall(b"GET /intl/api/v1/fine-tunes HTTP/1.1\r\n\r\n")
        emulator.journal.first(lambda request: True).result(timeout=5)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
    connection.settimeout(10)

    assert connection.recv(1) == b""
    connection.close()


def test_faults_in_order(studio: Studio) -> None:
    """
    Each fault is used as often as it says, first come first, and those that don't match are passed
    by.
    """
    studio.emulator.inject(
        Fault(method="DELETE", status=500),
        Fault(path="/fine-tunes/ft-1*", status=502),
        Fault(region="cn", status=408),
        Fault(status=503, times=2),
    )

    seen = [
        studio.call(method, path, region=region).status
        for method, path, region in [
            ("GET", "/fine-tunes", "intl"),
            ("GET", "/fine-tunes/ft-17", "intl"),
            ("GET", "/fine-tunes", "cn"),
            ("GET", "/fine-tunes", "intl"),
            ("GET", "/fine-tunes", "intl"),
        ]
    ]

    assert seen == [503, 502, 408, 503, 200]
    assert list(studio.emulator.faults) == [Fault(method="DELETE", status=500)]
    assert len(studio.emulator.faults) == 1
    studio.emulator.faults.clear()
    assert studio.call("DELETE", "/fine-tunes/ft-1").status == 404


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "InvalidParameter"), (401, "InvalidApiKey"), (404, "NotFound"), (503, "InternalError")],
)
def test_a_fault_in_the_service_s_words(studio: Studio, status: int, code: str) -> None:
    """
    A fault without words of its own says what the service says most often with that status.
    """
    studio.emulator.inject(Fault(status=status))

    assert studio.call("GET", "/fine-tunes").refusal == (status, code)


def test_a_fault_without_words(studio: Studio) -> None:
    """
    Where the service has none, the answer is a gateway's: empty, but for the request's id.
    """
    studio.emulator.inject(Fault(status=413))
    answer = studio.call("GET", "/fine-tunes")

    assert (answer.status, answer.body) == (413, b"")
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("every", [0, -1])
def test_a_fault_that_never_strikes(every: int) -> None:
    """
    A count of which nothing is a multiple is refused at once.
    """
    with pytest.raises(ValueError, match="every"):
        Fault(every=every)


@pytest.mark.parametrize("times", [0, -1])
def test_a_fault_for_no_request(times: int) -> None:
    """
    A fault that would affect fewer than one request is refused at once, and not used for ever.
    """
    with pytest.raises(ValueError, match="times"):
        Fault(times=times)


def test_a_body_of_less_than_nothing(studio: Studio) -> None:
    """
    A body can be torn before its first byte, and not earlier.
    """
    with pytest.raises(ValueError, match="torn"):
        Fault(torn=-1)
    studio.emulator.inject(Fault(torn=0))

    with pytest.raises(http.client.IncompleteRead) as caught:
        studio.call("GET", "/fine-tunes")

    assert caught.value.partial == b""


def test_one_of_every_three(studio: Studio) -> None:
    """
    A fault can strike each third request that matches, without end.
    """
    studio.emulator.inject(Fault(method="GET", status=500, every=3, times=None))

    seen = [
        studio.call(method, "/fine-tunes").status
        for method in ("GET", "GET", "PUT", "GET", "GET", "GET", "GET")
    ]

    assert seen == [200, 200, 405, 500, 200, 200, 500]


def test_a_connection_that_ends_behind_an_answer(studio: Studio) -> None:
    """
    The answer is whole, and the connection that the client may want to keep is gone.
    """
    base = urlsplit(studio.emulator.url)
    studio.emulator.inject(Fault(torn=1_000_000))
    connection = http.client.HTTPConnection(base.netloc, timeout=10)
    connection.request("GET", f"{base.path}/fine-tunes")
    first = connection.getresponse()
    first.read()

    assert first.status == 401
    assert connection.sock is not None
    assert connection.sock.recv(1) == b""
    connection.close()


def test_headers_in_another_case(studio: Studio) -> None:
    """
    A header replaces the answer's own, however its name is written: none is sent twice.
    """
    headers = {"Content-Type": "text/html", "X-Request-ID": "mine", "Content-Length": "2"}
    studio.emulator.inject(Fault(body="{}", headers=headers))
    base = urlsplit(studio.emulator.url)

    connection = http.client.HTTPConnection(base.netloc, timeout=10)
    connection.request("GET", f"{base.path}/fine-tunes")
    answer = connection.getresponse()
    answer.read()
    connection.close()

    assert sorted(answer.getheaders()) == [
        ("content-length", "2"),
        ("content-type", "text/html"),
        ("x-request-id", "mine"),
    ]


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_that_has_no_body(studio: Studio, status: int) -> None:
    """
    Nothing follows its headers but the next answer on the connection.
    """
    studio.emulator.inject(Fault(status=status))
    base = urlsplit(studio.emulator.url)
    with socket.create_connection((base.hostname, base.port), timeout=10) as connection:
        for more in ("", "Connection: close\r\n"):
            connection.sendall(f"GET {base.path}/fine-tunes HTTP/1.1\r\n{more}\r\n".encode())
        with connection.makefile("rb") as answers:
            first, second, _ = answers.read().split(b"\r\n\r\n")

    assert first.startswith(f"HTTP/1.1 {status} ".encode())
    assert second.startswith(b"HTTP/1.1 401 ")


def test_a_failure_lost_after_the_work(studio: Studio) -> None:
    """
    Where the answer is lost after the work, its status does not undo the work.
    """
    job_id = one_job(studio)
    studio.emulator.inject(Fault(lose="after", status=503))

    with pytest.raises(http.client.RemoteDisconnected):
        studio.call("DELETE", f"/fine-tunes/{job_id}")

    assert studio.emulator.account().books.deleted == [job_id]


def test_a_reset_without_an_end() -> None:
    """
    A reset that does not say when the connection ends is refused at once, as it would do nothing.
    """
    with pytest.raises(ValueError, match="reset needs lose or torn"):
        Fault(reset=True)


@pytest.mark.parametrize("lose", ["afterwards", ""])
def test_an_answer_lost_at_no_time(lose: Any) -> None:
    """
    An answer is lost before or after the work; another word is refused at once.
    """
    with pytest.raises(ValueError, match=f"'before' or 'after', not '{lose}'"):
        Fault(lose=lose)


@pytest.mark.parametrize("status", [42, 100, 600])
def test_a_status_that_ends_no_answer(status: int) -> None:
    """
    A status that no final answer can have is refused at once.
    """
    with pytest.raises(ValueError, match="status"):
        Fault(status=status)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(operation="fine_tune.delete"), "no operation matches 'fine_tune.delete'"),
        (Fault(operation="*.remove"), "there are fine_tunes.create, "),
        (Fault(method="delete"), "no method matches 'delete'"),
        (Fault(region="ap-southeast-1"), "no region matches 'ap-southeast-1'; there are intl, cn"),
    ],
)
def test_a_fault_that_nothing_matches(studio: Studio, fault: Fault, words: str) -> None:
    """
    A fault for an operation, a method or a region that does not exist is refused with those that
    do, and so are the faults given with it.
    """
    with pytest.raises(ValueError, match=re.escape(words)):
        studio.emulator.inject(Fault(status=500), fault)

    assert not list(studio.emulator.faults)


def test_a_fault_on_paths_that_do_not_exist(studio: Studio) -> None:
    """
    They have no operation, and a fault can be for those alone.
    """
    studio.emulator.inject(Fault(operation="", status=502))

    assert studio.call("GET", "/fine-tunes").status == 200
    assert studio.call("GET", "/deployments").status == 502
