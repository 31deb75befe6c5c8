"""
The fields of a job that a clean-up looks at, under the same names for both kinds.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from attrs import frozen

from ..models import AnyJob, FineTuneJob

_FINE_TUNE_NAMES = frozenset({"job_name", "model_name", "finetuned_output"})
_IMPORT_NAMES = frozenset({"display_name", "model_name"})
_FINE_TUNE_TIMES, _IMPORT_TIMES = ("create_time", "end_time"), ("gmt_create",)
_GENERATED = "-offline-"  # stands between base model and date in the name of an import's result


@frozen(kw_only=True)
class Facts:
    """
    A job as a clean-up sees it. What the service did not send, or not readably, is None.
    """

    job_id: str
    """The job's id."""

    status: str
    """Its status; empty where there was none."""

    model: str | None = None
    """The model tuned, else its base; of an import the base in the generated name."""

    other_model: str | None = None
    """Another name that a model pattern may match: the base, or the whole generated name."""

    names: tuple[str, ...] = ()
    """The names that people gave: of the job, of its result."""

    output: str | None = None
    """The name of the result."""

    creator: str | None = None
    """Who created it; the service does not tell for imports."""

    create_time: datetime | None = None
    """When it was created."""

    end_time: datetime | None = None
    """When it ended; the service does not tell for imports."""

    garbled: bool = False
    """Whether a name was sent but could not be read."""

    garbled_time: str | None = None
    """The field with a time that was sent but could not be read."""

    @classmethod
    def of(cls, job: AnyJob) -> Facts:
        """
        Take the facts of a job.
        """
        if isinstance(job, FineTuneJob):
            return cls(
                job_id=job.job_id,
                status=job.status,
                # The base says nothing of a model that is told but cannot be read.
                model=job.model or (None if "model" in job.extra else job.base_model),
                other_model=job.base_model,
                names=tuple(name for name in (job.job_name, job.model_name) if name),
                output=job.finetuned_output,
                creator=job.creator,
                create_time=_aware(job.create_time),
                end_time=_aware(job.end_time),
                garbled=not job.extra.keys().isdisjoint(_FINE_TUNE_NAMES),
                garbled_time=next((name for name in _FINE_TUNE_TIMES if name in job.extra), None),
            )
        base, generated, _ = (job.model_name or "").rpartition(_GENERATED)
        return cls(
            job_id=job.job_id,
            status=job.status,
            model=base if generated and base else None,
            other_model=job.model_name,
            names=(job.display_name,) if job.display_name else (),
            output=job.model_name,
            create_time=_aware(job.gmt_create),
            garbled=not job.extra.keys().isdisjoint(_IMPORT_NAMES),
            garbled_time=next((name for name in _IMPORT_TIMES if name in job.extra), None),
        )


def instant(time: datetime | None) -> timedelta | None:
    """
    Return a time as the span since the beginning of the calendar in UTC, for comparisons.

    Times themselves do not always compare: in an hour that comes twice, those of different zones
    are never equal; and the first and the last hours of the calendar cannot be converted to UTC.
    """
    offset = time.utcoffset() if time is not None else None
    if time is None or offset is None:
        return None
    return time.replace(tzinfo=None) - datetime.min - offset


def _aware(time: datetime | None) -> datetime | None:
    return time if time is not None and time.utcoffset() is not None else None
