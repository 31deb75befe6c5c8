"""
The bucket that limits the rate of requests.
"""

from __future__ import annotations

import math


class Bucket:
    """
    A token bucket: tokens refill with time, and each request takes one.
    """

    def __init__(self) -> None:
        self._tokens = 0.0
        self._filled: float | None = None

    def take(self, now: float, *, rate: float, burst: float) -> bool:
        """
        Take a token, and return whether there was one.
        """
        elapsed = math.inf if self._filled is None else now - self._filled
        self._filled = now
        self._tokens = min(burst, self._tokens + elapsed * rate)
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
