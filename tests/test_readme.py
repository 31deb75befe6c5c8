"""
What the README says of the library, held against the library.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

import dashscope_ft
from dashscope_ft import AsyncClient, Client, FineTuneJob, FineTunes, ImportJob, Imports, Receipt
from dashscope_ft.cli.exits import ExitCode
from dashscope_ft.emulator import Emulator, Fault, Pace
from dashscope_ft.emulator.options import OPTIONS

README = (Path(__file__).parents[1] / "README.md").read_text()


def methods(noun: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(noun) if not name.startswith("_")}


def section(title: str) -> str:
    """
    Give what stands below a heading.
    """
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def samples(title: str) -> list[str]:
    """
    Give the samples of Python below a heading.
    """
    return re.findall(r"```python\n(.*?)```", section(title), re.DOTALL)


def table(title: str) -> list[list[str]]:
    """
    Give the rows of the table below a heading, without its head.
    """
    lines = [line for line in section(title).splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[2:]]


def test_every_method_is_listed() -> None:
    """
    The sentence on the methods names all that both nouns have, and all that one has.
    """
    sentence = README.partition("Both have `fine_tunes` and `imports`, and each of those")[2]
    shared, _, own = sentence.partition("Every method's")[0].partition("; fine-tuning jobs")

    assert set(re.findall(r"`(\w+)`", shared)) == methods(Imports)
    assert set(re.findall(r"`(\w+)`", own)) == methods(FineTunes) - methods(Imports)


@pytest.fixture
def variables(model_studio: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Set what `dashscope-ft emulator` prints to be pasted.
    """
    monkeypatch.setenv("DASHSCOPE_REGION", "intl")
    monkeypatch.setenv("DASHSCOPE_BASE_URL", model_studio.url)
    monkeypatch.setenv("DASHSCOPE_API_KEY", model_studio.key())


@pytest.mark.usefixtures("variables")
def test_the_samples_to_be_tried_on_the_emulator(model_studio: Emulator) -> None:
    """
    By the variables that the emulator prints, and with ids of its own, they run as they stand.
    """
    [running] = model_studio.seed(jobs=1, statuses=["QUEUING"])
    [failed] = model_studio.seed(jobs=1, statuses=["FAILED"])
    [upload] = model_studio.seed(imports=1, import_statuses=["FAILED"])
    use_it = samples("Use it")
    for job_id, own in {
        'cancel("ft-202410291653-1c7f")': f'cancel("{running}")',
        'delete("ft-202410291653-1c7f")': f'delete("{failed}")',
        'delete("937b0f0e-2a4f-4f3f-8abe-c2fa7d1e9b55")': f'delete("{upload}")',
    }.items():
        assert job_id in use_it[0]
        use_it[0] = use_it[0].replace(job_id, own)

    assert len(use_it) == 2
    for sample in use_it:
        assert "region=" not in sample, "an argument sends it elsewhere"
        exec(sample, {})
    listed, _, _, _, again = [request.operation for request in model_studio.journal]
    assert listed == again == "fine_tunes.list"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, ""),
        ("RUNNING", "RUNNING\n"),
        ("FAILED", "Get the job: if it is not found, it was deleted.\n"),
    ],
    ids=["missing", "running", "lost"],
)
def test_what_may_go_wrong(
    model_studio: Emulator, capsys: pytest.CaptureFixture[str], status: str | None, said: str
) -> None:
    """
    Each clause of the sample catches what its comment says: no such job, one that is still
    running, an answer that is lost.
    """
    job_id = "ft-none"
    if status is not None:
        [job_id] = model_studio.seed(jobs=1, statuses=[status])
    if status == "FAILED":
        model_studio.inject(Fault(operation="*.delete", lose="after"))
    [sample] = samples("When something goes wrong")
    with Client(api_key=model_studio.key(), base_url=model_studio.url, max_attempts=1) as client:
        exec(sample, {"client": client, "job_id": job_id})

    assert capsys.readouterr().out == said


def test_training(model_studio: Emulator, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The sample creates a job, prints its log, and ends with what the job has come to.
    """
    model_studio.account().pace = Pace(pending=0, queuing=0, running=0)
    [sample] = samples("Train")
    with Client(api_key=model_studio.key(), base_url=model_studio.url) as client:
        said: dict[str, Any] = {"client": client}
        exec(sample, said)

    assert said["job"].status == "SUCCEEDED"
    assert said["log"].series["loss"]
    assert said["checkpoints"]
    assert "loss" in capsys.readouterr().out


def test_the_test_of_a_user(model_studio: Emulator) -> None:
    """
    What shows how to test one's own code passes itself, and its fault strikes.
    """
    [sample] = samples("Test your own code")
    said: dict[str, Any] = {}
    exec(sample, said)

    said["test_my_clean_up"](model_studio)

    assert len(model_studio.faults) == 0
    assert model_studio.account().books.deleted


def test_every_setting_is_listed() -> None:
    """
    The table of settings names all that a client takes but what is aiohttp's own, and says what
    each of the numbers is unless given.
    """
    taken = inspect.signature(AsyncClient).parameters
    listed = {
        name: default
        for _, arguments, default in table("Settings")
        for name in re.findall(r"`(\w+)`", arguments.partition("(")[0])
    }

    assert set(listed) == set(taken) - {"ssl_context", "trace_configs"}
    for name, default in listed.items():
        if taken[name].default is not None:
            assert float(default) == taken[name].default


def test_every_exit_code_is_listed() -> None:
    """
    The table of exit codes has each that a command may end with.
    """
    listed = [int(code) for codes, _ in table("The command line") for code in codes.split(", ")]

    assert sorted(listed) == sorted(ExitCode)


def test_every_module_is_listed() -> None:
    """
    The table of modules says of each once what it is for.
    """
    package = Path(dashscope_ft.__file__).parent
    folders = {f"{path.parent.name}/" for path in package.glob("*/__init__.py")}
    modules = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    listed = [name for names, _ in table("Work on it") for name in re.findall(r"`(.+?)`", names)]

    assert sorted(listed) == sorted(folders | modules)


async def test_a_stand_in_for_a_client() -> None:
    """
    A specification taken from a client holds its resources, and keeps code to their signatures.
    """
    client = create_autospec(AsyncClient(api_key="none"))
    client.fine_tunes.cancel.return_value = Receipt(job_id="ft-1")
    client.fine_tunes.list.return_value.__aiter__.return_value = [FineTuneJob(job_id="ft-1")]

    assert [await client.fine_tunes.cancel(job) async for job in client.fine_tunes.list()] == [
        Receipt(job_id="ft-1")
    ]
    with pytest.raises(TypeError, match="too many positional arguments"):
        client.fine_tunes.delete("ft-1", True)

    blocking = create_autospec(Client(api_key="none"))
    blocking.imports.get.return_value = ImportJob(job_id="im-1")

    assert blocking.imports.get("im-1").job_id == "im-1"
    with pytest.raises(TypeError, match="missing a required argument"):
        blocking.imports.get()


@pytest.mark.usefixtures("variables")
def test_the_clean_up_cleans_up(
    model_studio: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Its five lines run as they stand on what the emulator holds unless told otherwise, delete what
    they planned, and leave no file behind.
    """
    [jobs] = [option.default for option in OPTIONS if option.name == "jobs"]
    assert isinstance(jobs, int)
    model_studio.seed(jobs=jobs)
    monkeypatch.chdir(tmp_path)
    [sample] = samples("Clean up")
    said: dict[str, object] = {}

    exec(sample, said)

    deleted = len(model_studio.account().books.deleted)
    assert deleted > 0
    assert f"deletes={deleted}" in repr(said["plan"])
    assert list(tmp_path.iterdir()) == []
