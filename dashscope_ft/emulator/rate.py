"""
The request rate that the service admits.
"""

from __future__ import annotations


class Bucket:
    """
    Tokens that refill with time; a request takes one.
    """

    def __init__(self) -> None:
        self._tokens = 0.0
        self._filled: float | None = None

    def take(self, now: float, *, rate: float, burst: float) -> float:
        """
        Take a token.

        Returns:
            Zero where there was one, else the seconds until there will be.
        """
        if self._filled is None:
            self._tokens = burst
        else:
            self._tokens = min(burst, self._tokens + (now - self._filled) * rate)
        self._filled = now
        if self._tokens < 1.0:
            return (1.0 - self._tokens) / rate
        self._tokens -= 1.0
        return 0.0
