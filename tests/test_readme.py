"""
What the README says of the library, held against the library.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from dashscope_ft import AsyncClient, Client, FineTuneJob, FineTunes, ImportJob, Imports, Receipt
from dashscope_ft.emulator import Emulator
from dashscope_ft.emulator.options import OPTIONS

README = (Path(__file__).parents[1] / "README.md").read_text()


def methods(noun: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(noun) if not name.startswith("_")}


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
    use_it = README.partition("## Use it")[2].partition("## ")[0]
    for job_id, own in {
        'cancel("ft-202410291653-1c7f")': f'cancel("{running}")',
        'delete("ft-202410291653-1c7f")': f'delete("{failed}")',
        'delete("937b0f0e-2a4f-4f3f-8abe-c2fa7d1e9b55")': f'delete("{upload}")',
    }.items():
        assert job_id in use_it
        use_it = use_it.replace(job_id, own)
    samples = re.findall(r"```python\n(.*?)```", use_it, re.DOTALL)

    assert len(samples) == 2
    for sample in samples:
        assert "region=" not in sample, "an argument sends it elsewhere"
        exec(sample, {})
    listed, _, _, _, again = [request.operation for request in model_studio.journal]
    assert listed == again == "fine_tunes.list"


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
    [sample] = re.findall(r"In five lines:\n\n```python\n(.*?)```", README, re.DOTALL)
    said: dict[str, object] = {}

    exec(sample, said)

    deleted = len(model_studio.account().books.deleted)
    assert deleted > 0
    assert f"deletes={deleted}" in repr(said["plan"])
    assert list(tmp_path.iterdir()) == []
