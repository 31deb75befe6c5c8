"""
The checkpoints of fine-tuning jobs.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from ..arguments import check_checkpoint, check_text
from ..calls import Call, Request
from ..envelope import Reply, malformed
from ..errors import InvalidArgument, JobFailed, NotFound
from ..models import Checkpoint, FineTuneJob
from ..outcomes import Receipt
from ..retry import Operation
from ..waiting import Poll
from .jobs import Jobs

_EXPORTED: Final = "SUCCEEDED"
_NOT_EXPORTED: Final = frozenset({"FAILED", "UNSUPPORTED"})


@frozen
class Checkpoints:
    """
    The checkpoints of all fine-tuning jobs, and their export.
    """

    jobs: Jobs[FineTuneJob]
    """The jobs."""

    async def of(self, job_id: str, *, patient: bool = False) -> list[Checkpoint]:
        """
        Return a job's checkpoints in the order of their steps; those without one come last.
        """
        call = Call(
            what=f"Listing the checkpoints of {job_id}",
            operation=Operation.READ,
            request=self.jobs.request("GET", job_id, "/checkpoints"),
            read=self._read,
            patient=patient,
        )
        found = await self.jobs.transport.send(call)
        return sorted(found, key=lambda each: (each.step is None, each.step or 0))

    async def export(self, job_id: str, checkpoint: str | Checkpoint, model_name: str) -> Receipt:
        """
        Publish a checkpoint, by one request that may have been received at most.
        """
        name = _name(job_id, checkpoint)
        published_as = check_text("model_name", model_name)
        if published_as is None:
            raise InvalidArgument("model_name is missing.")

        def read(reply: Reply) -> Receipt:
            if reply.output is not True:
                raise malformed("output", reply, "true")
            return Receipt(job_id=job_id, request_id=reply.request_id)

        call = Call(
            what=f"Exporting {name} of {job_id}",
            operation=Operation.CREATE,
            request=Request(
                method="GET",
                path=f"{self.jobs.path}/{job_id}/export/{name}",
                query={"model_name": published_as},
                fresh_connection=True,
            ),
            read=read,
            look=self.jobs.look(job_id),
            when_unknown="List the checkpoints: if this one is PROCESSING or SUCCEEDED, "
            "it is being published, or was.",
            while_unfinished="wait until it has ended, then export.",
        )
        return await self.jobs.transport.send(call)

    async def wait(
        self, job_id: str, checkpoint: str | Checkpoint, poll: Poll, *, check: bool
    ) -> Checkpoint:
        """
        Wait until a checkpoint is published.
        """
        name, last = _name(job_id, checkpoint), None
        while poll.seconds_left > 0:
            with poll.tolerating_failures():
                view = Checkpoints(self.jobs.within(poll.seconds_left))
                named = [
                    each for each in await view.of(job_id, patient=True) if each.checkpoint == name
                ]
                if not named:
                    raise NotFound(f"{job_id} has no checkpoint {name}.", code="NotFound")
                last = named[0].status
                if last == _EXPORTED or (last in _NOT_EXPORTED and not check):
                    return named[0]
                if last in _NOT_EXPORTED:
                    error = JobFailed(f"The export of {name} of {job_id} ended as {last}.")
                    error.checkpoint = named[0]
                    raise error
            await poll.pause()
        raise poll.timeout_error(f"{name} of {job_id} was not exported", last)

    def _read(self, reply: Reply) -> list[Checkpoint]:
        rows = [] if reply.output is None and reply.has_output else reply.output
        if not isinstance(rows, list):
            raise malformed("output", reply, "a list of checkpoints")
        for index, row in enumerate(rows):
            if not isinstance(row, dict):
                raise malformed(f"output[{index}]", reply, "a checkpoint")
        return self.jobs.codec.checkpoints(rows)


def _name(job_id: str, checkpoint: str | Checkpoint) -> str:
    if not isinstance(checkpoint, Checkpoint):
        return check_checkpoint(checkpoint)
    if checkpoint.job_id not in (None, job_id):
        raise InvalidArgument(f"The checkpoint is one of {checkpoint.job_id}, not of {job_id}.")
    return check_checkpoint(checkpoint.checkpoint)
