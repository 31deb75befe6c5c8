"""
Faults that can be injected into requests, as data.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, cast

from attrs import define, field, frozen, validators


@frozen(kw_only=True)
class Fault:
    """
    A fault that affects the requests that match.

        Fault(operation="fine_tunes.delete", lose="after")           # done, but the answer is lost
        Fault(method="GET", status=503, times=2)                     # unavailable twice
        Fault(operation="*.delete", lose="after", every=50, times=None)
    """

    operation: str = "*"
    """A pattern for the operation, such as `fine_tunes.*`."""

    method: str = "*"
    """A pattern for the method."""

    path: str = "*"
    """A pattern for the path below the base URL, as sent, such as `/fine-tunes/ft-1*`."""

    region: str = "*"
    """A pattern for the region."""

    times: int | None = field(
        default=cast(int | None, 1), validator=validators.optional(validators.ge(1))
    )
    """How many requests it affects, at least 1; None for no limit."""

    every: int = field(default=1, validator=validators.ge(1))
    """It affects each request whose count among the matching ones is a multiple of this."""

    lose: Literal["before", "after"] | None = None
    """Whether the connection ends without an answer: before or after the request took effect."""

    torn: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    """The connection ends after so many bytes of the body, or after all of it if it is shorter."""

    reset: bool = False
    """Whether a connection that `lose` or `torn` ends is reset, rather than closed."""

    delay: float = 0.0
    """Seconds before the request takes effect; `math.inf` until the emulator ends."""

    answer_delay: float = 0.0
    """Seconds from the effect to the answer."""

    drip: float | None = None
    """Seconds between the bytes of the body."""

    status: int | None = field(
        default=None,
        validator=validators.optional([validators.ge(200), validators.le(599)]),
    )
    """The HTTP status to send instead of the real one; with 204 and 304, there is no body."""

    headers: Mapping[str, str] = field(factory=dict)
    """Headers added to the answer, or replacing its own, in any case of their names."""

    body: bytes | str | Mapping[str, Any] | list[Any] | None = None
    """The body to send instead of the real one; other types than text and bytes become JSON."""

    effect: bool | None = None
    """
    Whether the request takes effect.

    None: as `lose` says; where nothing is lost, unless `status` is a failing one.
    """

    def __attrs_post_init__(self) -> None:
        if self.lose not in (None, "before", "after"):
            raise ValueError(f"lose must be 'before' or 'after', not {self.lose!r}")
        if self.reset and self.lose is None and self.torn is None:
            raise ValueError("reset needs lose or torn, which say when the connection ends")

    @property
    def takes_effect(self) -> bool:
        """
        Whether a request that it affects still takes effect.
        """
        if self.effect is not None:
            return self.effect
        if self.lose is not None:
            return self.lose == "after"
        return (self.status or 0) < 400

    def matches(self, *, operation: str, method: str, path: str, region: str) -> bool:
        """
        Return whether a request matches all patterns.
        """
        return (
            fnmatchcase(operation, self.operation)
            and fnmatchcase(method, self.method)
            and fnmatchcase(path, self.path)
            and fnmatchcase(region, self.region)
        )


@define(eq=False)
class _Pending:
    fault: Fault
    matched: int = 0  # requests
    used: int = 0  # times


class Faults:
    """
    Pending faults, used in order; at most one affects a request.

    Args:
        possible: The values that each part of a request can have, by the name of its pattern.
    """

    def __init__(self, possible: Mapping[str, Collection[str]]) -> None:
        self._possible = possible
        self._pending: list[_Pending] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pending)

    def __iter__(self) -> Iterator[Fault]:
        return iter([pending.fault for pending in self._pending])

    def add(self, *faults: Fault) -> None:
        """
        Add faults after those that are pending.

        Raises:
            ValueError: One has a pattern for the operation, the method or the region that nothing
                can match.
        """
        for fault in faults:
            for name, values in self._possible.items():
                pattern = getattr(fault, name)
                if not any(fnmatchcase(value, pattern) for value in values):
                    words = ", ".join(filter(None, values))
                    raise ValueError(f"no {name} matches {pattern!r}; there are {words}")
        with self._lock:
            self._pending += [_Pending(fault) for fault in faults]

    def clear(self) -> None:
        """
        Remove all pending faults.
        """
        with self._lock:
            self._pending.clear()

    def strike(self, *, operation: str, method: str, path: str, region: str) -> Fault | None:
        """
        Return the first fault that affects a request, and count it as used.
        """
        with self._lock:
            for pending in self._pending:
                fault = pending.fault
                if not fault.matches(operation=operation, method=method, path=path, region=region):
                    continue
                pending.matched += 1
                if pending.matched % fault.every:
                    continue
                pending.used += 1
                if pending.used == fault.times:
                    self._pending.remove(pending)
                return fault
        return None
