"""
How the emulated service behaves where sources disagree, or where a test needs it otherwise.
"""

from __future__ import annotations

from attrs import asdict, define, frozen

from ..models import ImportStatus, JobStatus


@define(kw_only=True)
class Rules:
    """
    The rules of an account. Each can be changed at any time, and holds from the next request on.
    """

    deletable_jobs: frozenset[str] = JobStatus.FINISHED
    """The states in which a fine-tuning job can be deleted."""

    deletable_imports: frozenset[str] = ImportStatus.FINISHED | ImportStatus.SPELLINGS.keys()
    """The states in which an import job can be deleted."""

    import_denied_status: int = 400
    """The HTTP status of `OperationDenied`, which is not documented."""

    job_quota: int | None = None
    """
    How many fine-tuning jobs may be running or succeeded; the service allows 20.

    None for no limit, so that a seeded account can create jobs.
    """

    running_quota: int | None = None
    """How many fine-tuning jobs may be unfinished at once; None for no limit."""

    rate: float | None = None
    """Requests admitted per second; None for no limit."""

    burst: float | None = None
    """Requests admitted at once after a pause; None for those of one second."""

    retry_after: float | None = None
    """Seconds in the `Retry-After` of requests refused by the rate; None for no such header."""

    max_page_size: int = 100
    """A larger `page_size` is an `InvalidParameter`."""

    page_size_cap: int | None = None
    """A larger `page_size` is silently reduced to this one, also in the answer; None for no cap."""

    ignores_filters: bool = False
    """Whether `model`, `status` and `model_name` of a listing have no effect."""

    shuffles_ties: bool = False
    """Whether jobs of the same second change their order from read to read."""

    failure_rate: float = 0.0
    """The fraction of the jobs created from now on that will fail, from 0 to 1."""


@frozen(kw_only=True)
class Pace:
    """
    How many seconds a job spends in each state.
    """

    pending: float = 2.0
    """From creation to `QUEUING`."""

    queuing: float = 3.0
    """From `QUEUING` to `RUNNING`."""

    running: float = 60.0
    """From `RUNNING` to the end."""

    canceling: float = 2.0
    """From an accepted cancellation to `CANCELED`."""

    import_pending: float = 2.0
    """From an import's creation to `RUNNING`."""

    import_running: float = 20.0
    """From an import's `RUNNING` to its end."""

    exporting: float = 5.0
    """From the export of a checkpoint to `SUCCEEDED`."""

    def job_plan(self, created: float, last: str) -> list[tuple[float, str]]:
        """
        Return the statuses of a fine-tuning job after `PENDING`, each with its time.

        Args:
            created: When the job was created.
            last: The status in which it ends.
        """
        begins = created + self.pending + self.queuing
        return [
            (created + self.pending, JobStatus.QUEUING),
            (begins, JobStatus.RUNNING),
            (begins + self.running, last),
        ]

    def import_plan(self, created: float, last: str) -> list[tuple[float, str]]:
        """
        Return the statuses of an import job after `PENDING`, each with its time.

        Args:
            created: When the job was created.
            last: The status in which it ends.
        """
        begins = created + self.import_pending
        return [(begins, ImportStatus.RUNNING), (begins + self.import_running, last)]

    def faster(self, factor: float) -> Pace:
        """
        Return a pace with all durations divided by a factor.
        """
        return Pace(**{name: span / factor for name, span in asdict(self).items()})
