"""
One account in one region: its jobs, how they live, and what it says to each operation.

The operations are plain methods, so that a test can act as somebody else: they return
the `output` of the answer, or raise a `Refusal`.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from random import Random
from typing import Any, Concatenate, ParamSpec, TypeVar

from dashscope_ft.models import ImportStatus, JobStatus
from . import requirements, seeding, training
from .clock import Clock
from .rate import Bucket
from .records import Action, Books, Entry, Noun, Record, Refusal, Shelf
from .rules import Pace, Rules

P = ParamSpec("P")
T = TypeVar("T")

_DENIED = "The import job is currently running and cannot be deleted."
_UNSUPPORTED = "The fine-tuning job can not be {verb} because it is {status}."
_RATE = "Requests rate limit exceeded, please try again later."
_RUNNING_QUOTA = "Too many fine-tuning jobs are running, please try again later."
_JOB_QUOTA = "You have reached the maximum of {} running or succeeded fine-tuning jobs."


def _as_of_now(
    operation: Callable[Concatenate[Account, P], T],
) -> Callable[Concatenate[Account, P], T]:
    """
    Run an operation alone, on jobs that have lived until this moment.
    """

    @wraps(operation)
    def settled(account: Account, *args: P.args, **kwargs: P.kwargs) -> T:
        with account._lock:
            account._settle()
            return operation(account, *args, **kwargs)

    return settled


class Account:
    """
    What one key of one region sees.

    Attributes:
        region: `intl` or `cn`.
        key: The demo key bound to it; not a secret.
        workspace: The workspace that a request means if it names none.
        rules: What is allowed, switchable at any time.
        books: Every change, in order.
    """

    def __init__(
        self, region: str, *, clock: Clock, random: Random, rules: Rules, pace: Pace
    ) -> None:
        self.region = region
        self.key = f"emulator-key-{region}"
        self.workspace = f"llm-{region}demo"
        self.rules = rules
        self.pace = pace
        self.books = Books()
        self._clock = clock
        self._random = random
        self._bucket = Bucket()
        self._lock = threading.RLock()
        self._shelves: dict[Noun, Shelf] = {"fine_tunes": Shelf(), "imports": Shelf()}
        self._alive: dict[str, Record] = {}
        self._next_change = math.inf
        self._count = 0

    @property
    def jobs(self) -> dict[str, dict[str, Any]]:
        """
        The fine-tuning jobs by id as they are now, newest first; each is the wire's own object.
        """
        return self._everything("fine_tunes")

    @property
    def imports(self) -> dict[str, dict[str, Any]]:
        """
        The import jobs by id as they are now, newest first; each is the wire's own object.
        """
        return self._everything("imports")

    def admit(self) -> None:
        """
        Refuse a request that comes too soon after the others.
        """
        with self._lock:
            rules = self.rules
            if rules.rate is None:
                return
            burst = max(1.0, rules.rate) if rules.burst is None else rules.burst
            if self._bucket.take(self._clock.time(), rate=rules.rate, burst=burst):
                raise Refusal(429, "Throttling.RateQuota", _RATE, retry_after=rules.retry_after)

    # Fine-tuning jobs

    @_as_of_now
    def create_job(
        self,
        fields: Mapping[str, Any],
        *,
        workspace: str | None = None,
        request_id: str | None = None,
    ) -> dict[str, Any]:
        """
        Create a fine-tuning job that goes its way from `PENDING`.
        """
        requirements.check_job(fields)
        self._check_quotas()
        now, pace = self._clock.time(), self.pace
        begins = now + pace.pending + pace.queuing
        last = JobStatus.FAILED if self._fails() else JobStatus.SUCCEEDED
        plan = [
            (now + pace.pending, JobStatus.QUEUING),
            (begins, JobStatus.RUNNING),
            (begins + pace.running, last),
        ]
        record = self._job_record(fields, JobStatus.PENDING, now, workspace)
        record.plan, record.begins, record.ends = deque(plan), begins, begins + pace.running
        return self._open("fine_tunes", record, request_id)

    @_as_of_now
    def list_jobs(
        self,
        *,
        page_no: int = 1,
        page_size: int = 10,
        model: str | None = None,
        workspace: str | None = None,
    ) -> dict[str, Any]:
        """
        Return a page of fine-tuning jobs, newest first.
        """
        wanted = None if self.rules.ignores_filters else model
        return self._page(
            "fine_tunes",
            "jobs",
            page_no,
            page_size,
            workspace,
            lambda job: wanted is None or wanted in (job.get("model"), job.get("base_model")),
        )

    @_as_of_now
    def get_job(self, job_id: str, *, workspace: str | None = None) -> dict[str, Any]:
        """
        Return a fine-tuning job.
        """
        return self._find("fine_tunes", job_id, workspace).wire

    @_as_of_now
    def cancel_job(
        self, job_id: str, *, workspace: str | None = None, request_id: str | None = None
    ) -> dict[str, Any]:
        """
        Begin to cancel a fine-tuning job.
        """
        record = self._find("fine_tunes", job_id, workspace)
        status = record.wire["status"]
        if status in JobStatus.FINISHED:
            raise _unsupported("canceled", status)
        if status != JobStatus.CANCELING:
            self._note("canceled", "fine_tunes", record, request_id)
            record.wire["status"] = JobStatus.CANCELING
            record.plan = deque([(self._clock.time() + self.pace.canceling, JobStatus.CANCELED)])
            self._watch(record)
        return {"status": "success"}

    @_as_of_now
    def delete_job(
        self, job_id: str, *, workspace: str | None = None, request_id: str | None = None
    ) -> dict[str, Any]:
        """
        Delete a fine-tuning job.
        """
        record = self._find("fine_tunes", job_id, workspace)
        if record.wire["status"] not in self.rules.deletable_jobs:
            raise _unsupported("deleted", record.wire["status"])
        self._close("fine_tunes", record, request_id)
        return {"status": "success"}

    @_as_of_now
    def read_log(
        self, job_id: str, *, offset: int = 0, line: int = 100, workspace: str | None = None
    ) -> dict[str, Any]:
        """
        Return some lines of a job's log, and how many there are.
        """
        requirements.check_range("offset", offset, 0, None)
        requirements.check_range("line", line, 1, 1_000)
        record = self._find("fine_tunes", job_id, workspace)
        lines = training.log_lines(record, self._clock.time())
        return {"logs": lines[offset : offset + line], "total": len(lines)}

    @_as_of_now
    def list_checkpoints(
        self, job_id: str, *, workspace: str | None = None
    ) -> list[dict[str, Any]]:
        """
        Return the checkpoints of a job, oldest first.
        """
        record = self._find("fine_tunes", job_id, workspace)
        return training.checkpoints(record, self._clock.time(), export_seconds=self.pace.exporting)

    @_as_of_now
    def export_checkpoint(
        self,
        job_id: str,
        checkpoint: str,
        *,
        model_name: str | None = None,
        workspace: str | None = None,
        request_id: str | None = None,
    ) -> bool:
        """
        Begin to publish a checkpoint as a model.
        """
        record = self._find("fine_tunes", job_id, workspace)
        names = {each["checkpoint"] for each in self.list_checkpoints(job_id, workspace=workspace)}
        if checkpoint not in names:
            raise _not_found()
        if not model_name:
            raise requirements.missing("model_name")
        if checkpoint in record.exports:
            raise Refusal(
                400, "UnsupportedOperation", "The checkpoint is exported or being exported."
            )
        record.exports[checkpoint] = (self._clock.time(), model_name)
        self._note("exported", "fine_tunes", record, request_id)
        return True

    # Import jobs

    @_as_of_now
    def create_import(
        self,
        fields: Mapping[str, Any],
        *,
        workspace: str | None = None,
        request_id: str | None = None,
    ) -> dict[str, Any]:
        """
        Create an import job that goes its way from `PENDING`.
        """
        requirements.check_import(fields)
        now, pace = self._clock.time(), self.pace
        begins = now + pace.import_pending
        last = ImportStatus.FAILED if self._fails() else ImportStatus.SUCCESSED
        record = self._import_record(fields, ImportStatus.PENDING, now, workspace)
        record.plan = deque([(begins, ImportStatus.RUNNING), (begins + pace.import_running, last)])
        shown = self._open("imports", record, request_id)
        return shown | {"weight_type": fields["weight_type"]}

    @_as_of_now
    def list_imports(
        self,
        *,
        page_no: int = 1,
        page_size: int = 10,
        status: str | None = None,
        model_name: str | None = None,
        workspace: str | None = None,
    ) -> dict[str, Any]:
        """
        Return a page of import jobs, newest first.
        """
        sent = {"status": status, "model_name": model_name}
        wanted = {name: value for name, value in sent.items() if value is not None}
        if self.rules.ignores_filters:
            wanted = {}
        return self._page(
            "imports",
            "list",
            page_no,
            page_size,
            workspace,
            lambda job: all(job.get(name) == value for name, value in wanted.items()),
        )

    @_as_of_now
    def get_import(self, job_id: str, *, workspace: str | None = None) -> dict[str, Any]:
        """
        Return an import job.
        """
        return self._find("imports", job_id, workspace).wire

    @_as_of_now
    def delete_import(
        self, job_id: str, *, workspace: str | None = None, request_id: str | None = None
    ) -> dict[str, Any]:
        """
        Delete an import job with its files, and return it.
        """
        record = self._find("imports", job_id, workspace)
        if record.wire["status"] not in self.rules.deletable_imports:
            raise Refusal(self.rules.import_denied_status, "OperationDenied", _DENIED)
        self._close("imports", record, request_id)
        return record.wire

    # What tests do to an account

    @_as_of_now
    def seed(
        self,
        *,
        jobs: int = 0,
        imports: int = 0,
        statuses: Sequence[str] | None = None,
        import_statuses: Sequence[str] | None = None,
        models: Sequence[str] = seeding.MODELS,
        same_second: int = 0,
        workspace: str | None = None,
    ) -> list[str]:
        """
        Add jobs as an account has them after months of use.

        Args:
            jobs: How many fine-tuning jobs.
            imports: How many import jobs.
            statuses: Words to choose from at random; None for a likely mixture.
            import_statuses: Likewise for imports.
            models: Models to choose from.
            same_second: How many of the jobs carry one and the same second.
            workspace: Whose they are; None for the account's own.

        Returns:
            The ids, oldest job first, then the imports'.
        """
        random, now = self._random, self._clock.time()
        words = seeding.statuses(random, jobs, statuses)
        moments = seeding.times(random, jobs, now, min(same_second, jobs))
        added = []
        for status, created in zip(words, moments, strict=True):
            fields = seeding.job_fields(random, status, models)
            record = self._job_record(fields, status, created, workspace)
            self._enliven(record, now)
            added.append(self._open("fine_tunes", record, None)["job_id"])
        words = seeding.import_statuses(random, imports, import_statuses)
        for status, created in zip(words, seeding.times(random, imports, now, 0), strict=True):
            fields = seeding.import_fields(random, status, models)
            record = self._import_record(fields, status, created, workspace)
            if status not in ImportStatus.FINISHED:
                record.plan.append((now + self.pace.import_running, ImportStatus.SUCCESSED))
            added.append(self._open("imports", record, None)["job_id"])
        return added

    @_as_of_now
    def set_status(self, job_id: str, status: str, **fields: Any) -> None:
        """
        Give a job of either noun a status that it keeps, and further fields.
        """
        record = self._any(job_id)
        record.plan.clear()
        self._enter(record, status, self._clock.time())
        record.wire.update(fields)

    @_as_of_now
    def set_log(self, job_id: str, lines: Iterable[str]) -> None:
        """
        Replace a job's log.
        """
        self._any(job_id).log = list(lines)

    @_as_of_now
    def remove(self, job_id: str) -> None:
        """
        Delete a job of either noun in whatever state it is, as somebody else might.
        """
        noun: Noun = "fine_tunes" if job_id in self._shelves["fine_tunes"] else "imports"
        self._close(noun, self._any(job_id), None)

    # How jobs live

    def _settle(self) -> None:
        now = self._clock.time()
        if now < self._next_change:
            return
        for record in list(self._alive.values()):
            while record.plan and record.plan[0][0] <= now:
                time, status = record.plan.popleft()
                self._enter(record, status, time)
            if not record.plan:
                del self._alive[record.job_id]
        changes = (record.plan[0][0] for record in self._alive.values())
        self._next_change = min(changes, default=math.inf)

    def _watch(self, record: Record) -> None:
        if record.plan:
            self._alive[record.job_id] = record
            self._next_change = min(self._next_change, record.plan[0][0])

    def _enter(self, record: Record, status: str, time: float) -> None:
        record.wire["status"] = status
        if status in JobStatus.FINISHED and "create_time" in record.wire:
            record.ended = time
            record.wire["end_time"] = training.local_time(time)
            if status == JobStatus.SUCCEEDED:
                record.wire["usage"] = 279_808
            elif status == JobStatus.FAILED:
                record.wire |= {"code": "InternalError", "message": "Training diverged."}
            else:
                record.wire["code"] = "1"
        elif status == ImportStatus.FAILED:
            record.wire["error_code"] = "The weights' configuration could not be read."

    def _enliven(self, record: Record, now: float) -> None:
        """
        Give a seeded job its past, or its future.
        """
        pace, status = self.pace, record.wire["status"]
        if status in JobStatus.FINISHED:
            record.begins = record.created + 300
            record.ends = record.begins + self._random.randint(600, 6_000)
            share = 1.0 if status == JobStatus.SUCCEEDED else self._random.random()
            record.ended = record.begins + (record.ends - record.begins) * share
            record.wire["end_time"] = training.local_time(record.ended)
        elif status == JobStatus.CANCELING:
            record.plan.append((now + pace.canceling, JobStatus.CANCELED))
        elif status in (JobStatus.PENDING, JobStatus.QUEUING, JobStatus.RUNNING):
            elapsed = {JobStatus.PENDING: 0.0, JobStatus.QUEUING: pace.pending}
            waits = pace.pending + pace.queuing
            birth = now - elapsed.get(status, waits)
            record.begins, record.ends = birth + waits, birth + waits + pace.running
            steps = [
                (birth + pace.pending, JobStatus.QUEUING),
                (record.begins, JobStatus.RUNNING),
                (record.ends, JobStatus.SUCCEEDED),
            ]
            record.plan = deque(step for step in steps if step[0] > now)

    def _fails(self) -> bool:
        return self._random.random() < self.rules.failure_rate

    def _check_quotas(self) -> None:
        words = [record.wire["status"] for record in self._shelves["fine_tunes"]]
        unfinished = sum(word not in JobStatus.FINISHED for word in words)
        if self.rules.running_quota is not None and unfinished >= self.rules.running_quota:
            raise Refusal(429, "Throttling", _RUNNING_QUOTA)
        quota, kept = self.rules.job_quota, unfinished + words.count(JobStatus.SUCCEEDED)
        if quota is not None and kept >= quota:
            raise Refusal(429, "Throttling", _JOB_QUOTA.format(quota))

    # How jobs are kept

    def _job_record(
        self, fields: Mapping[str, Any], status: str, created: float, workspace: str | None
    ) -> Record:
        job_id = self._new_job_id(created)
        suffix = fields.get("finetuned_output_suffix")
        parts = [fields["model"], suffix, job_id]
        wire = {
            "job_id": job_id,
            "job_name": job_id,
            "status": status,
            "finetuned_output": "-".join(part for part in parts if part),
            "base_model": fields["model"],
            "training_file_ids": [],
            "validation_file_ids": [],
            "hyper_parameters": {},
            "training_type": "sft",
            "create_time": training.local_time(created),
            "workspace_id": workspace or self.workspace,
            "user_identity": "1396993924585947",
            "modifier": "1396993924585947",
            "creator": "1396993924585947",
            "group": "llm",
            "usage": 0,
        }
        given = {name: value for name, value in fields.items() if value is not None}
        given.pop("finetuned_output_suffix", None)
        return self._record(wire | given, created, workspace)

    def _import_record(
        self, fields: Mapping[str, Any], status: str, created: float, workspace: str | None
    ) -> Record:
        date = training.local_time(created, "%Y%m%d")
        storage = fields["storage_info"]
        wire = {
            "job_id": seeding.uuid_text(self._random),
            "model_name": f"{fields['model_name']}-offline-{date}-{self._random.randrange(16**4):04x}",
            "display_name": fields.get("display_name"),
            "source": "OSS",
            "storage_info": {name: storage[name] for name in ("bucket_name", "object_key")},
            "status": status,
            "gmt_create": training.offset_time(created),
        }
        if "error_code" in fields:
            wire["error_code"] = fields["error_code"]
        return self._record(wire, created, workspace)

    def _record(self, wire: dict[str, Any], created: float, workspace: str | None) -> Record:
        self._count += 1
        workspace = workspace or self.workspace
        return Record(wire=wire, created=created, number=self._count, workspace=workspace)

    def _new_job_id(self, created: float) -> str:
        minute, digits = training.local_time(created, "%Y%m%d%H%M"), 4
        while True:
            job_id = f"ft-{minute}-{self._random.randrange(16**digits):0{digits}x}"
            if job_id not in self._shelves["fine_tunes"]:
                return job_id
            digits += 1

    def _open(self, noun: Noun, record: Record, request_id: str | None) -> dict[str, Any]:
        self._shelves[noun].add(record)
        self._watch(record)
        self._note("created", noun, record, request_id)
        return record.wire

    def _close(self, noun: Noun, record: Record, request_id: str | None) -> None:
        self._shelves[noun].remove(record)
        self._alive.pop(record.job_id, None)
        self._note("deleted", noun, record, request_id)

    def _note(self, action: Action, noun: Noun, record: Record, request_id: str | None) -> None:
        self.books.entries.append(
            Entry(
                action=action,
                noun=noun,
                job_id=record.job_id,
                time=self._clock.time(),
                request_id=request_id,
                job=dict(record.wire),
            )
        )

    def _find(self, noun: Noun, job_id: str, workspace: str | None) -> Record:
        record = self._shelves[noun].find(job_id)
        if record is None or record.workspace != (workspace or self.workspace):
            raise _not_found()
        return record

    def _any(self, job_id: str) -> Record:
        for shelf in self._shelves.values():
            if record := shelf.find(job_id):
                return record
        raise KeyError(job_id)

    @_as_of_now
    def _everything(self, noun: Noun) -> dict[str, dict[str, Any]]:
        return {record.job_id: record.wire for record in self._shelves[noun]}

    def _page(
        self,
        noun: Noun,
        rows: str,
        page_no: int,
        page_size: int,
        workspace: str | None,
        matches: Callable[[dict[str, Any]], bool],
    ) -> dict[str, Any]:
        requirements.check_range("page_no", page_no, 1, None)
        requirements.check_range("page_size", page_size, 1, self.rules.max_page_size)
        if self.rules.page_size_cap is not None:
            page_size = min(page_size, self.rules.page_size_cap)
        workspace = workspace or self.workspace
        found = [
            record
            for record in self._shelves[noun]
            if record.workspace == workspace and matches(record.wire)
        ]
        if self.rules.shuffles_ties:
            found.sort(key=lambda record: (-record.created // 1, self._random.random()))
        start = (page_no - 1) * page_size
        return {
            "page_no": page_no,
            "page_size": page_size,
            "total": len(found),
            rows: [record.wire for record in found[start : start + page_size]],
        }


def _not_found() -> Refusal:
    return Refusal(404, "NotFound", "Not Found!")


def _unsupported(verb: str, status: str) -> Refusal:
    text = _UNSUPPORTED.format(verb=verb, status=status.lower())
    return Refusal(400, "UnsupportedOperation", text)
