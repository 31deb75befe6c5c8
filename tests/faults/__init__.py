"""
Every fault against every operation: `python -m tests.faults` tries all and writes `MATRIX.md`.
"""
