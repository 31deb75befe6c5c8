from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import define, frozen

from dashscope_ft.emulator import Emulator, Pace

from . import environment

Face = Literal["sync", "async", "classic"]


@frozen
class Told:
    """
    What the SDK's caller is told.
    """

    value: Any
    error: str | None
    code: str | None
    text: str
    slept: list[float]


@define
class OfficialSDK:
    process: subprocess.Popen[str]
    emulator: Emulator

    def call(
        self,
        face: Face,
        method: str,
        *arguments: Any,
        region: str = "intl",
        key: str | None = None,
        workspace: str | None = None,
        **options: Any,
    ) -> Told:
        order = {
            "face": face,
            "method": method,
            "arguments": arguments,
            "options": options,
            "base_url": self.emulator.base_url(region),
            "key": key or self.emulator.key(region),
            "workspace": workspace,
        }
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Told(**json.loads(self.process.stdout.readline()))


@pytest.fixture(scope="session")
def sdk_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    driver = Path(__file__).with_name("driver.py")
    log = tmp_path_factory.mktemp("contract") / "stderr"
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [str(environment.interpreter()), "-W", "ignore", str(driver)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(log.parent)},
        ) as process,
    ):
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(seed=2, pace=Pace(running=600.0)) as emulator:
        yield emulator


@pytest.fixture
def sdk(sdk_process: subprocess.Popen[str], emulator: Emulator) -> OfficialSDK:
    return OfficialSDK(sdk_process, emulator)
