"""
What the README says of the library, held against the library.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from dashscope_ft import FineTunes, Imports
from dashscope_ft.emulator import Emulator

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


def test_the_clean_up_cleans_up(
    model_studio: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    Its five lines run as they stand, delete what they planned, and leave no file behind.
    """
    model_studio.seed(jobs=1000)
    monkeypatch.setenv("DASHSCOPE_API_KEY", model_studio.key())
    monkeypatch.setenv("DASHSCOPE_BASE_URL", model_studio.url)
    monkeypatch.chdir(tmp_path)
    [sample] = re.findall(r"In five lines:\n\n```python\n(.*?)```", README, re.DOTALL)
    said: dict[str, object] = {}

    exec(sample, said)

    deleted = len(model_studio.account().books.deleted)
    assert deleted > 0
    assert f"deletes={deleted}" in repr(said["plan"])
    assert list(tmp_path.iterdir()) == []
