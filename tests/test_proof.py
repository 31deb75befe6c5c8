from __future__ import annotations

from pathlib import Path

import pytest

from .proof import PAGE, PROOFS, ROOT, Page, Proof, Suite, Trial

ALL = [proof for proofs in PROOFS.values() for proof in proofs]


@pytest.mark.parametrize("proof", ALL, ids=lambda proof: proof.what)
def test_a_proof(proof: Proof) -> None:
    """
    What a proof runs is there, and the page shows how to run it.
    """
    match proof:
        case Suite(where=where):
            needed = list(where)
        case Trial(module=module):
            needed = [f"{module.replace('.', '/')}.py"]
        case Page(file=file):
            needed = [f"tests/{file}"]

    assert [name for name in needed if not Path(ROOT, name).exists()] == []
    assert f"`{proof.command}`" in PAGE.read_text()
