from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from dashscope_ft.emulator import Emulator, Fault, ManualClock

from .conftest import Studio


def test_a_key_of_another_region(studio: Studio) -> None:
    """
    Keys are bound to a region: the other one answers that the key is invalid.
    """
    right = studio.call("GET", "/fine-tunes", region="cn")
    wrong = studio.call("GET", "/fine-tunes", region="cn", key=studio.emulator.key("intl"))

    assert right.status == 200
    assert wrong.refusal == (401, "InvalidApiKey")


@pytest.mark.parametrize("key", [None, "sk-guess"])
def test_a_key_that_is_missing_or_wrong(studio: Studio, key: str | None) -> None:
    """
    A missing or wrong key is invalid for every operation, and the journal says so without holding
    it.
    """
    answer = studio.call("DELETE", "/fine-tunes/ft-1", key=key)

    assert answer.refusal == (401, "InvalidApiKey")
    (request,) = studio.emulator.journal
    assert request.key == ("missing" if key is None else "unknown")
    assert "sk-guess" not in repr(request)
    assert "authorization" not in request.headers


def test_jobs_of_another_region(studio: Studio) -> None:
    """
    An account holds the jobs of its own region alone.
    """
    (job_id,) = studio.emulator.seed("cn", jobs=1)

    assert studio.call("GET", f"/fine-tunes/{job_id}", region="cn").status == 200
    assert studio.call("GET", f"/fine-tunes/{job_id}").refusal == (404, "NotFound")


def test_the_request_id(studio: Studio) -> None:
    """
    Header, body and journal carry the same one, and no two requests share it.
    """
    answers = [studio.call("GET", "/fine-tunes") for _ in range(3)]
    answers.append(studio.call("GET", "/fine-tunes/ft-unknown"))

    ids = [answer.json["request_id"] for answer in answers]
    assert [answer.headers["x-request-id"] for answer in answers] == ids
    assert [request.request_id for request in studio.emulator.journal] == ids
    assert len(set(ids)) == 4


def test_paths_that_do_not_exist(studio: Studio) -> None:
    """
    Paths that do not exist are answered as gateways do: an empty 404, or a page in HTML for another
    method.
    """
    nowhere = studio.call("GET", "/deployments")
    wrong_method = studio.call("PUT", "/fine-tunes/ft-1")

    assert (nowhere.status, nowhere.body) == (404, b"")
    assert wrong_method.status == 405
    assert wrong_method.headers["content-type"] == "text/html"


@pytest.mark.parametrize(
    "path",
    [
        "/fine-tunes",
        "/v1/fine-tunes",
        "/api/v1x/fine-tunes",
        "/api/v1fine-tunes",
        "/intl/fine-tunes",
        "/intl/api/v2/fine-tunes",
        "/hk/api/v1/fine-tunes",
        "/intl/api/v1/api/v1/fine-tunes",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_paths_outside_the_base_url(studio: Studio, method: str, path: str) -> None:
    """
    A client with a wrong base URL finds nothing, whatever its method.
    """
    connection = HTTPConnection("127.0.0.1", studio.emulator.port, timeout=10)
    headers = {"Authorization": f"Bearer {studio.emulator.key()}"}
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()

    (request,) = studio.emulator.journal
    assert (answer.status, body) == (404, b"")
    assert answer.headers["x-request-id"] == request.request_id
    assert (request.target, request.operation) == (path, "")


def test_a_head_request(studio: Studio) -> None:
    """
    Its answer has no body: the next answer on its connection begins behind its headers.
    """
    base = urlsplit(studio.emulator.url)
    with socket.create_connection((base.hostname, base.port), timeout=10) as connection:
        for method, more in (("HEAD", ""), ("GET", "Connection: close\r\n")):
            line = f"{method} {base.path}/fine-tunes HTTP/1.1\r\n"
            connection.sendall(f"{line}{more}\r\n".encode())
        with connection.makefile("rb") as answers:
            first, second, body = answers.read().split(b"\r\n\r\n")

    assert first.startswith(b"HTTP/1.1 405 ")
    assert second.startswith(b"HTTP/1.1 401 ")
    assert b"InvalidApiKey" in body


def test_a_request_rate(studio: Studio) -> None:
    """
    Beyond the rate requests are throttled, until the clock has gone on.
    """
    rules = studio.emulator.account().rules
    rules.rate, rules.burst, rules.retry_after = 2.0, 2.0, 1.5

    answers = [studio.call("GET", "/fine-tunes") for _ in range(3)]
    studio.clock.advance(0.5)
    later = [studio.call("GET", "/fine-tunes") for _ in range(2)]
    other = studio.call("GET", "/fine-tunes", region="cn")

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].refusal == (429, "Throttling.RateQuota")
    assert answers[2].headers["retry-after"] == "1.5"
    assert [answer.status for answer in later] == [200, 429]
    assert other.status == 200


def test_a_rate_from_the_start() -> None:
    """
    Rate and waiting time can be given to the emulator itself, and hold for each region.
    """
    clock = ManualClock()
    with Emulator(clock=clock, rate=1.0, retry_after=7.0) as emulator:
        studio = Studio(emulator, clock)
        answers = [
            studio.call("GET", "/fine-tunes", region=region) for region in ("intl", "intl", "cn")
        ]

    assert [answer.status for answer in answers] == [200, 429, 200]
    assert answers[1].headers["retry-after"] == "7"


def test_a_throttled_deletion(studio: Studio) -> None:
    """
    A deletion that is refused for its rate does not happen.
    """
    (job_id,) = studio.emulator.seed(jobs=1, statuses=["FAILED"])
    rules = studio.emulator.account().rules
    rules.rate, rules.burst = 1.0, 0.0

    answer = studio.call("DELETE", f"/fine-tunes/{job_id}")

    assert answer.status == 429
    assert "retry-after" not in answer.headers
    assert list(studio.emulator.account().jobs) == [job_id]


def test_the_journal(studio: Studio) -> None:
    """
    The journal holds what was asked and what was answered, in order.
    """
    (job_id,) = studio.emulator.seed("cn", jobs=1, statuses=["FAILED"])

    studio.call("GET", "/fine-tunes?page_no=2&model=a%20b", region="cn", workspace="llm-x")
    studio.call("DELETE", f"/fine-tunes/{job_id}", region="cn")
    studio.call("POST", "/fine-tunes", {"model": "m"}, region="cn")

    listing, deletion, creation = studio.emulator.journal
    assert (listing.operation, listing.method, listing.path, listing.region) == (
        "fine_tunes.list",
        "GET",
        "/fine-tunes",
        "cn",
    )
    assert listing.query == {"page_no": "2", "model": "a b"}
    assert listing.target == "/cn/api/v1/fine-tunes?page_no=2&model=a%20b"
    assert (listing.workspace, listing.key, listing.status) == ("llm-x", "known", 200)
    assert (deletion.operation, deletion.job_id) == ("fine_tunes.delete", job_id)
    assert (creation.body, creation.status) == ({"model": "m"}, 400)
    assert studio.emulator.journal.of("fine_tunes.delete") == [deletion]
    assert [request.connection for request in studio.emulator.journal] == [1, 2, 3]


def test_a_request_to_come(studio: Studio) -> None:
    """
    A test can wait for the first request of a kind, whether it has come or not.
    """
    to_come = studio.emulator.journal.first(lambda request: request.method == "DELETE")
    studio.call("GET", "/fine-tunes")
    seen = studio.emulator.journal.first(lambda request: request.method == "GET")

    assert seen.result(timeout=5).operation == "fine_tunes.list"
    assert not to_come.done()
    studio.call("DELETE", "/fine-tunes/ft-1")
    assert to_come.result(timeout=5).job_id == "ft-1"


def test_a_request_that_is_waited_for_no_longer(studio: Studio) -> None:
    """
    A test that gave up waiting for a request disturbs none that come later.
    """
    given_up, other = (studio.emulator.journal.first(lambda request: True) for _ in range(2))
    given_up.cancel()

    assert studio.call("GET", "/fine-tunes").status == 200
    assert other.result(timeout=5).operation == "fine_tunes.list"


def test_a_condition_that_fails(studio: Studio) -> None:
    """
    Its error reaches whoever waits, and the request is served as if nobody did.
    """
    mistaken = studio.emulator.journal.first(lambda request: int(request.job_id or "none") > 0)
    other = studio.emulator.journal.first(lambda request: True)

    assert studio.call("GET", "/fine-tunes").status == 200
    assert other.result(timeout=5).operation == "fine_tunes.list"
    assert studio.emulator.journal.in_flight == 0
    with pytest.raises(ValueError, match="none"):
        mistaken.result(timeout=5)


def test_a_request_that_is_followed_by_another_wait(studio: Studio) -> None:
    """
    What is called when a request comes may use the journal, and holds nothing up.
    """
    journal, later = studio.emulator.journal, list[object]()
    first = journal.first(lambda request: True)
    first.add_done_callback(lambda _: later.append(journal.first(lambda request: True).result()))

    assert studio.call("GET", "/fine-tunes").status == 200
    assert later == list(journal)


def test_a_latency_on_the_clock(studio: Studio) -> None:
    """
    A delay passes when the clock is advanced, and not before.
    """
    studio.emulator.inject(Fault(delay=30))
    arrived = studio.emulator.journal.first(lambda request: True)

    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(studio.call, "GET", "/fine-tunes")
        arrived.result(timeout=5)
        while not studio.clock.sleepers:
            pass
        studio.clock.advance(29)
        early = call.done()
        studio.clock.advance(1)
        answer = call.result(timeout=5)

    assert not early
    assert answer.status == 200
