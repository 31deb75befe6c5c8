"""
The emulator as one object, for async and for blocking code.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from types import TracebackType
from typing import Self

from attrs import evolve

from . import seeding
from .account import Account
from .clock import Clock, RealClock
from .faults import Fault, Faults
from .journal import Journal
from .routes import ROUTES
from .rules import Pace, Rules
from .server import Server

REGIONS = ("intl", "cn")

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

# Clients cannot rely on connecting to a wildcard address.
_LOOPBACK_FOR = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class Emulator:
    """
    An emulated Model Studio, with an account in each of two regions.

    Use it as `async with`, on the running loop, or as `with`, on a thread of its own, which a
    blocking client needs. Either way, all attributes can be read and changed from any thread while
    it runs.

    Args:
        clock: Its clock; by default, the system's.
        seed: The seed of its random numbers.
        host: The address to listen on.
        port: The port to listen on; 0 for any free one.
        rate: Requests admitted per second, for each account; None for no limit.
        retry_after: Seconds in the `Retry-After` of requests refused by the rate; None to omit it.
        latency: Seconds before each request takes effect.
        speed: How many times faster jobs proceed than `pace` says.
        pace: How many seconds a job spends in each state.
        rules: The initial rules of both accounts; each has a copy of its own.

    Attributes:
        faults: The faults of future requests.
        journal: The requests received.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        rate: float | None = None,
        retry_after: float | None = None,
        latency: float = 0.0,
        speed: float = 1.0,
        pace: Pace | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.clock = clock or RealClock()
        self.faults = Faults(
            {
                "operation": ["", *(route.name for route in ROUTES)],
                "method": _METHODS,
                "region": REGIONS,
            }
        )
        self.journal = Journal()
        self._host = host
        self._wanted_port = port
        self._port = port
        self._runs = False
        rules = evolve(rules or Rules())
        if rate is not None:
            rules.rate = rate
        if retry_after is not None:
            rules.retry_after = retry_after
        pace = (pace or Pace()).faster(speed)
        self._accounts = {
            region: Account(
                region,
                clock=self.clock,
                random=Random(f"{seed} {region}"),  # noqa: S311
                rules=evolve(rules),
                pace=pace,
            )
            for region in REGIONS
        }
        self._server = Server(
            self._accounts,
            faults=self.faults,
            journal=self.journal,
            clock=self.clock,
            latency=latency,
            random=Random(f"{seed} requests"),  # noqa: S311
        )

    @property
    def port(self) -> int:
        """
        The port that it listens on, once it runs.
        """
        return self._port

    @property
    def url(self) -> str:
        """
        The base URL of `intl`.
        """
        return self.base_url("intl")

    def base_url(self, region: str = "intl") -> str:
        """
        Return the base URL of a region, with `/api/v1`.
        """
        self.account(region)
        host = _LOOPBACK_FOR.get(self._host, self._host)
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{self._port}/{region}/api/v1"

    def key(self, region: str = "intl") -> str:
        """
        Return the demo key that is bound to a region; not a secret.
        """
        return self.account(region).key

    def account(self, region: str = "intl") -> Account:
        """
        Return the account in a region.

        Raises:
            ValueError: There is no such region here.
        """
        if region not in self._accounts:
            raise ValueError(f"no region {region!r} here; there are {', '.join(REGIONS)}")
        return self._accounts[region]

    def seed(
        self,
        region: str = "intl",
        *,
        jobs: int = 0,
        imports: int = 0,
        statuses: str | Sequence[str] | None = None,
        import_statuses: str | Sequence[str] | None = None,
        models: str | Sequence[str] = seeding.MODELS,
        same_second: int = 0,
        workspace: str | None = None,
    ) -> list[str]:
        """
        Add jobs to an account, as `Account.seed` does, and return their ids.
        """
        return self.account(region).seed(
            jobs=jobs,
            imports=imports,
            statuses=statuses,
            import_statuses=import_statuses,
            models=models,
            same_second=same_second,
            workspace=workspace,
        )

    def inject(self, *faults: Fault) -> None:
        """
        Inject faults into future requests.

        Raises:
            ValueError: One can never affect a request, as of a misspelt operation.
        """
        self.faults.add(*faults)

    async def __aenter__(self) -> Self:
        if self._runs:
            raise RuntimeError("This emulator runs already: use it as it is.")
        self._port = await self._server.start(self._host, self._wanted_port)
        self._runs = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runs = False
        await self._server.stop()

    def __enter__(self) -> Self:
        from ..portal import Portal

        portal = Portal(self)
        portal.call(_do_nothing)
        self._portal = portal
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._portal.close()


async def _do_nothing() -> None:
    """
    Do nothing: the portal enters the emulator before its first call.
    """
