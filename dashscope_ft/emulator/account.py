"""
One account in one region: its jobs, and its operations.

The operations are plain methods, so that a test can act as another user: they return the
`output` of the answer, or raise a `Refusal`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from random import Random
from typing import Any, Concatenate, ParamSpec, TypeVar

from attrs import frozen

from ..models import ImportStatus, JobStatus, Noun
from . import factory, refusals, seeding, training
from .books import Books
from .bucket import Bucket
from .clock import Clock
from .factory import JobFactory
from .records import Record
from .rules import Pace, Rules
from .store import Store
from .wire import ASSIGNED

P = ParamSpec("P")
T = TypeVar("T")


@frozen(kw_only=True)
class Caller:
    """
    Who calls an operation.
    """

    workspace: str | None = None
    """The caller's workspace; None for the account's own."""

    request_id: str | None = None
    """The id of the request, for the books."""


DEFAULT_CALLER = Caller()


def _up_to_date(
    operation: Callable[Concatenate[Account, P], T],
) -> Callable[Concatenate[Account, P], T]:
    """
    Wrap an operation, so that it holds the lock, and sees jobs with their present statuses.
    """

    @wraps(operation)
    def up_to_date(self: Account, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self._store.lock:
            self._store.catch_up()
            return operation(self, *args, **kwargs)

    return up_to_date


class Account:
    """
    An account: what the key of one region gives access to.

    Attributes:
        region: `intl` or `cn`.
        key: The demo key bound to it; not a secret.
        workspace: The workspace of requests that do not name one.
        rules: The service's behaviour; can be changed at any time.
        pace: How long jobs and exports take; can be changed at any time, for what begins later.
    """

    def __init__(
        self, region: str, *, clock: Clock, random: Random, rules: Rules, pace: Pace
    ) -> None:
        self.region = region
        self.key = f"emulator-key-{region}"
        self.workspace = f"llm-{region}demo"
        self.rules = rules
        self.pace = pace
        self._clock = clock
        self._random = random
        self._bucket = Bucket()
        self._store = Store(clock)
        self._factory = JobFactory(random)

    @property
    def books(self) -> Books:
        """
        Every change, in order.
        """
        return self._store.books

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """
        The current fine-tuning jobs by id, newest first; each is the very object that is served.
        """
        return self._all_jobs("fine_tunes")

    @property
    def imports(self) -> dict[str, dict[str, Any]]:
        """
        The current import jobs by id, newest first; each is the very object that is served.
        """
        return self._all_jobs("imports")

    def admit(self) -> None:
        """
        Raise a `Refusal` if a request exceeds the rate.
        """
        rules = self.rules
        if rules.rate is None:
            return
        burst = max(1.0, rules.rate) if rules.burst is None else rules.burst
        with self._store.lock:
            admitted = self._bucket.take(self._clock.time(), rate=rules.rate, burst=burst)
        if not admitted:
            raise refusals.too_fast(rules.retry_after)

    # Fine-tuning jobs

    @_up_to_date
    def create_job(
        self, fields: Mapping[str, Any], *, caller: Caller = DEFAULT_CALLER
    ) -> dict[str, Any]:
        """
        Create a fine-tuning job, which starts as `PENDING`.
        """
        refusals.check_job(fields)
        self._check_quotas()
        record = self._factory.job(
            {name: value for name, value in fields.items() if name not in ASSIGNED},
            status=JobStatus.PENDING,
            created=self._clock.time(),
            workspace=caller.workspace or self.workspace,
        )
        self._start(record, caller)
        return record.wire

    @_up_to_date
    def list_jobs(
        self,
        *,
        page_no: int = 1,
        page_size: int = 10,
        model: str | None = None,
        caller: Caller = DEFAULT_CALLER,
    ) -> dict[str, Any]:
        """
        Return a page of fine-tuning jobs, newest first.
        """

        def matches(job: Mapping[str, Any]) -> bool:
            return model in (job.get("model"), job.get("base_model"))

        wanted = None if model is None else matches
        return self._page("fine_tunes", "jobs", page_no, page_size, caller, wanted)

    @_up_to_date
    def get_job(self, job_id: str, *, caller: Caller = DEFAULT_CALLER) -> dict[str, Any]:
        """
        Return a fine-tuning job.
        """
        return self._job(job_id, caller).wire

    @_up_to_date
    def cancel_job(self, job_id: str, *, caller: Caller = DEFAULT_CALLER) -> dict[str, Any]:
        """
        Start to cancel a fine-tuning job.
        """
        record = self._job(job_id, caller)
        if record.status in JobStatus.FINISHED:
            raise refusals.unsupported("canceled", record.status)
        if record.status != JobStatus.CANCELING:
            self._store.note("canceled", record, caller.request_id)
            record.enter(JobStatus.CANCELING, self._clock.time())
            due = self._clock.time() + self.pace.canceling
            record.planned = deque([(due, JobStatus.CANCELED)])
            self._store.schedule(record)
        return {"status": "success"}

    @_up_to_date
    def delete_job(self, job_id: str, *, caller: Caller = DEFAULT_CALLER) -> dict[str, Any]:
        """
        Delete a fine-tuning job.
        """
        record = self._job(job_id, caller)
        if record.status not in self.rules.deletable_jobs:
            raise refusals.unsupported("deleted", record.status)
        self._store.remove(record, caller.request_id)
        return {"status": "success"}

    @_up_to_date
    def read_log(
        self, job_id: str, *, offset: int = 0, line: int = 100, caller: Caller = DEFAULT_CALLER
    ) -> dict[str, Any]:
        """
        Return some lines of a job's log, and their total number.
        """
        refusals.check_range("offset", offset, 0, None)
        refusals.check_range("line", line, 1, 1_000)
        lines = training.log_lines(self._job(job_id, caller), self._clock.time())
        return {"logs": lines[offset : offset + line], "total": len(lines)}

    @_up_to_date
    def list_checkpoints(
        self, job_id: str, *, caller: Caller = DEFAULT_CALLER
    ) -> list[dict[str, Any]]:
        """
        Return the checkpoints of a job, oldest first.
        """
        return training.checkpoints(self._job(job_id, caller), self._clock.time())

    @_up_to_date
    def export_checkpoint(
        self,
        job_id: str,
        checkpoint: str,
        *,
        model_name: str | None = None,
        caller: Caller = DEFAULT_CALLER,
    ) -> bool:
        """
        Start to publish a checkpoint as a model.
        """
        record = self._job(job_id, caller)
        kept = self.list_checkpoints(job_id, caller=caller)
        if checkpoint not in [each["checkpoint"] for each in kept]:
            raise refusals.not_found()
        if not model_name:
            raise refusals.missing("model_name")
        if checkpoint in record.exports:
            raise refusals.unsupported("exported", "being exported already")
        record.exports[checkpoint] = (self._clock.time() + self.pace.exporting, model_name)
        self._store.note("exported", record, caller.request_id)
        return True

    # Import jobs

    @_up_to_date
    def create_import(
        self, fields: Mapping[str, Any], *, caller: Caller = DEFAULT_CALLER
    ) -> dict[str, Any]:
        """
        Create an import job, which starts as `PENDING`.
        """
        refusals.check_import(fields)
        record = self._factory.model_import(
            fields,
            status=ImportStatus.PENDING,
            created=self._clock.time(),
            workspace=caller.workspace or self.workspace,
        )
        self._start(record, caller)
        return record.wire | {"weight_type": fields["weight_type"]}

    @_up_to_date
    def list_imports(
        self,
        *,
        page_no: int = 1,
        page_size: int = 10,
        status: str | None = None,
        model_name: str | None = None,
        caller: Caller = DEFAULT_CALLER,
    ) -> dict[str, Any]:
        """
        Return a page of import jobs, newest first.
        """

        def matches(job: Mapping[str, Any]) -> bool:
            return status in (None, job["status"]) and model_name in (None, job["model_name"])

        wanted = None if status is None and model_name is None else matches
        return self._page("imports", "list", page_no, page_size, caller, wanted)

    @_up_to_date
    def get_import(self, job_id: str, *, caller: Caller = DEFAULT_CALLER) -> dict[str, Any]:
        """
        Return an import job.
        """
        return self._import(job_id, caller).wire

    @_up_to_date
    def delete_import(self, job_id: str, *, caller: Caller = DEFAULT_CALLER) -> dict[str, Any]:
        """
        Delete an import job and its files, and return the job.
        """
        record = self._import(job_id, caller)
        if record.status not in self.rules.deletable_imports:
            raise refusals.denied(self.rules.import_denied_status)
        self._store.remove(record, caller.request_id)
        return record.wire

    # Control by tests

    @_up_to_date
    def seed(
        self,
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
        Add jobs like those of an account after months of use.

        Args:
            jobs: How many fine-tuning jobs.
            imports: How many import jobs.
            statuses: A status, or several to choose from at random; None for a realistic mixture.
            import_statuses: Likewise for imports.
            models: A model, or several to choose from.
            same_second: How many of the jobs are created in the same second.
            workspace: The workspace of the jobs; None for the account's own.

        Returns:
            The ids of the jobs, oldest first, then those of the imports.

        Raises:
            ValueError: A number is negative.
        """
        for name, number in {"jobs": jobs, "imports": imports, "same_second": same_second}.items():
            if number < 0:
                raise ValueError(f"{name} must be at least 0, not {number}")
        random, now, workspace = self._random, self._clock.time(), workspace or self.workspace
        records = [
            self._factory.job(fields, status=status, created=created, workspace=workspace)
            for fields, status, created in seeding.jobs(
                random, jobs, now, statuses=statuses, models=models, same_second=same_second
            )
        ]
        records += [
            self._factory.model_import(fields, status=status, created=created, workspace=workspace)
            for fields, status, created in seeding.imports(
                random, imports, now, statuses=import_statuses, models=models
            )
        ]
        for record in records:
            factory.add_history(record, self.pace, random, now)
            self._store.add(record, None)
        return [record.job_id for record in records]

    @_up_to_date
    def set_status(self, job_id: str, status: str) -> dict[str, Any]:
        """
        Set the status of a job of either kind, which then keeps it, and return the job.

        The rest of it, such as its end and its log, becomes that of a job with this status; a log
        that was set stays.
        """
        record, now = self._store.find_any(job_id), self._clock.time()
        record.planned.clear()
        record.enter(status, now)
        if record.noun == "fine_tunes":
            factory.fit_training(record, self.pace, now)
        self._store.schedule(record)
        return record.wire

    @_up_to_date
    def set_log(self, job_id: str, lines: Iterable[str]) -> None:
        """
        Replace a job's log.
        """
        self._store.find_any(job_id).log = list(lines)

    @_up_to_date
    def remove(self, job_id: str) -> None:
        """
        Delete a job of either kind in any state, as another user might.
        """
        self._store.remove(self._store.find_any(job_id), None)

    # Internals

    def _job(self, job_id: str, caller: Caller) -> Record:
        return self._store.find("fine_tunes", job_id, caller.workspace or self.workspace)

    def _import(self, job_id: str, caller: Caller) -> Record:
        return self._store.find("imports", job_id, caller.workspace or self.workspace)

    @_up_to_date
    def _all_jobs(self, noun: Noun) -> dict[str, dict[str, Any]]:
        return {record.job_id: record.wire for record in self._store.records(noun)}

    def _page(
        self,
        noun: Noun,
        rows: str,
        page_no: int,
        page_size: int,
        caller: Caller,
        wanted: Callable[[Mapping[str, Any]], bool] | None,
    ) -> dict[str, Any]:
        """
        Return a page of the jobs that a caller sees and that match, in a field named `rows`.
        """
        rules, workspace = self.rules, caller.workspace or self.workspace
        refusals.check_range("page_no", page_no, 1, None)
        refusals.check_range("page_size", page_size, 1, rules.max_page_size)
        size = min(page_size, rules.page_size_cap or page_size)
        found = [record for record in self._store.records(noun) if record.workspace == workspace]
        if wanted is not None and not rules.ignores_filters:
            found = [record for record in found if wanted(record.wire)]
        if rules.shuffles_ties:
            found.sort(key=lambda record: (-int(record.created), self._random.random()))
        shown = [record.wire for record in found[(page_no - 1) * size : page_no * size]]
        return {"page_no": page_no, "page_size": size, "total": len(found), rows: shown}

    def _start(self, record: Record, caller: Caller) -> None:
        """
        Add a job that a request created, and plan its statuses.
        """
        fails = self._random.random() < self.rules.failure_rate
        factory.plan_statuses(record, self.pace, created=self._clock.time(), fails=fails)
        self._store.add(record, caller.request_id)

    def _check_quotas(self) -> None:
        """
        Raise a `Refusal` if a quota does not allow one more fine-tuning job.
        """
        words = [record.status for record in self._store.records("fine_tunes")]
        unfinished = sum(word not in JobStatus.FINISHED for word in words)
        if self.rules.running_quota is not None and unfinished >= self.rules.running_quota:
            raise refusals.too_many_running()
        quota, kept = self.rules.job_quota, unfinished + words.count(JobStatus.SUCCEEDED)
        if quota is not None and kept >= quota:
            raise refusals.too_many_kept(quota)
