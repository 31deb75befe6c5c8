"""
The trial of a careful person, small enough to be made each time.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trials.careful_person import Scale, try_out

pytestmark = pytest.mark.once


def test_a_clean_up_among_others_with_lost_answers_and_ctrl_c(tmp_path: Path) -> None:
    """
    The report and the service's own books agree job by job.
    """
    scale = Scale(jobs=150, rate=60, calm=0.2, patience=20)
    findings = try_out(scale, tmp_path)
    print(findings.text())

    assert not findings.disagreements
