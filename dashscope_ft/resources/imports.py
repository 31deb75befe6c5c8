"""
Model-import jobs.
"""

from __future__ import annotations

from collections.abc import Collection

from ..codec import Codec
from ..envelope import Reply, malformed, read_acknowledgement
from ..errors import NotFound
from ..models import ImportJob, ImportStatus, Page, Receipt
from ..pagination import AsyncPager
from ..retry import Operation
from ..settings import check_filter
from ..transport import Call, Transport
from .jobs import Jobs, words

_SPELLINGS = {"SUCCEEDED": ImportStatus.SUCCESSED}


class Imports:
    """
    The model-import jobs of an account: `client.imports`.

    A job is named by its id or by an `ImportJob`.
    """

    def __init__(self, transport: Transport, codec: Codec) -> None:
        self._transport = transport
        self._jobs = Jobs(
            transport=transport,
            codec=codec,
            model=ImportJob,
            decode=codec.import_job,
            path="/custom_models/import",
            rows="list",
            time_field="gmt_create",
        )

    def list(
        self,
        *,
        status: str | Collection[str] | None = None,
        model_name: str | None = None,
        page_size: int | None = None,
    ) -> AsyncPager[ImportJob]:
        """
        Walk the jobs, newest first, losing none while the list changes.

        Args:
            status: A word of `ImportStatus` or several, in either spelling. Applied here,
                never sent.
            model_name: The generated name, in full. Sent, and checked again on every row.
            page_size: Jobs a request, 20 to 100; the client's where None.

        Returns:
            A pager. Nothing is sent before its first use.

        Raises:
            InvalidArgument: A filter or the page size cannot be one.

        Wire: `GET /custom_models/import`.
        """
        check_filter("model_name", model_name)
        return self._jobs.pager(
            {"model_name": model_name},
            lambda job: _is_named(job, model_name) and _is_in(job, words(status)),
            page_size,
        )

    async def page(
        self,
        page_no: int = 1,
        page_size: int = 10,
        *,
        status: str | None = None,
        model_name: str | None = None,
    ) -> Page[ImportJob]:
        """
        Read one page, as the service numbers them: no proof that none is missed in between.

        Args:
            page_no: From 1.
            page_size: 1 to 100.
            status: A word of `ImportStatus`. Sent as it is, and checked again on every row.
            model_name: The generated name, in full. Sent, and checked again on every row.

        Raises:
            InvalidArgument: A number or a filter is out of bounds; nothing was sent.
            DashScopeError: The request failed.

        Wire: `GET /custom_models/import`.
        """
        chosen = words(check_filter("status", status))
        return await self._jobs.page(
            page_no,
            page_size,
            {"status": status, "model_name": check_filter("model_name", model_name)},
            lambda job: _is_named(job, model_name) and _is_in(job, chosen),
        )

    async def get(self, job: str | ImportJob) -> ImportJob:
        """
        Get a job as it is now.

        Raises:
            NotFound: There is none that this key and workspace may see.
            DashScopeError: The request failed.

        Wire: `GET /custom_models/import/{job_id}`.
        """
        return await self._jobs.get(job)

    async def delete(self, job: str | ImportJob, *, missing_ok: bool = False) -> Receipt:
        """
        Delete a job together with its files. Only ended jobs can be deleted.

        A lost answer is resolved by asking again, and then `confirmed` is False.

        Args:
            job: The job.
            missing_ok: Whether a job that is not there will do; `confirmed` is False then.

        Returns:
            A receipt whose `job` is the one that the service says it deleted.

        Raises:
            StateConflict: It has not ended; `job_status` says what it does.
            NotFound: There is none that this key and workspace may see.
            OutcomeUnknown: It was asked for, and nobody can know what came of it.
            DashScopeError: The request failed, and nothing happened.

        Wire: `DELETE /custom_models/import/{job_id}`.
        """
        job_id = self._jobs.id_of(job)
        call = Call(
            what=f"Deleting {job_id}",
            operation=Operation.DELETE,
            request=self._jobs.request("DELETE", job_id),
            read=lambda reply: self._deleted(job_id, reply),
            infer=lambda request_id: Receipt(job_id=job_id, request_id=request_id, confirmed=False),
            look=self._jobs.look(job_id),
            when_unknown="Get the job: if it is not found, it was deleted with its files.",
        )
        try:
            return await self._transport.send(call)
        except NotFound as missing:
            if not missing_ok:
                raise
            return Receipt(job_id=job_id, request_id=missing.request_id, confirmed=False)

    def _deleted(self, job_id: str, reply: Reply) -> Receipt:
        if not isinstance(reply.output, dict):
            raise malformed("output", reply, "the deleted job")
        if "job_id" in reply.output:
            job = self._jobs.read(reply)
            return Receipt(job_id=job_id, request_id=reply.request_id, job=job)
        read_acknowledgement(reply)
        return Receipt(job_id=job_id, request_id=reply.request_id)


def _is_named(job: ImportJob, model_name: str | None) -> bool:
    return model_name is None or job.model_name in (model_name, None)


def _is_in(job: ImportJob, chosen: frozenset[str] | None) -> bool:
    return chosen is None or job.status in {_SPELLINGS.get(word, word) for word in chosen}
