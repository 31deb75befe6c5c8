"""
The emulator on a clock that stands still, asked by the standard library's HTTP client.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import define, frozen

from dashscope_ft.emulator import Emulator, ManualClock


@frozen
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def output(self) -> Any:
        assert self.status == 200, self.body
        return self.json["output"]

    @property
    def refusal(self) -> tuple[int, str]:
        return self.status, self.json["code"]


@define
class Studio:
    """
    An emulator on a clock that stands still, and the plainest client there is.
    """

    emulator: Emulator
    clock: ManualClock

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        region: str = "intl",
        key: str | None = "",
        workspace: str | None = None,
    ) -> Answer:
        headers = {"Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.emulator.key(region)}"
        if workspace is not None:
            headers["X-DashScope-WorkSpace"] = workspace
        base = urlsplit(self.emulator.base_url(region))
        connection = http.client.HTTPConnection(base.netloc, timeout=10)
        try:
            content = body if isinstance(body, bytes | None) else json.dumps(body)
            connection.request(method, base.path + path, content, headers)
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, names, answer.read())
        finally:
            connection.close()


@pytest.fixture
def studio() -> Iterator[Studio]:
    clock = ManualClock()
    with Emulator(clock=clock) as emulator:
        yield Studio(emulator, clock)
