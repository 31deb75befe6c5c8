"""
The operations of both nouns, against the emulator.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from enum import Enum
from typing import Any

import pytest

from dashscope_ft import (
    AsyncClient,
    FineTuneJob,
    ImportJob,
    ImportStatus,
    InvalidArgument,
    JobStatus,
    MalformedResponse,
    NotFound,
    OutcomeUnknown,
    Plan,
    Selection,
    StateConflict,
)
from dashscope_ft.emulator import Emulator, Fault, ManualClock
from dashscope_ft.resources.fine_tunes import FineTunes
from dashscope_ft.resources.imports import Imports

from .scripted import Answer, HangUp, job, refusal, scripted

MODELS = ("qwen3-14b", "qwen3-32b")


class Word(str, Enum):  # noqa: UP042 - one whose `str()` is not its word
    MODEL = "qwen3-14b"
    ENDED = "FAILED"
    PUBLISHED = "my-model"


@pytest.fixture
async def studio() -> AsyncIterator[Emulator]:
    async with Emulator(clock=ManualClock()) as emulator:
        yield emulator


@pytest.fixture
async def client(studio: Emulator) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(base_url=studio.url, api_key=studio.key()) as client:
        yield client


Ask = Callable[[AsyncClient], Awaitable[Any]]


# Names

PROMISED = """
FineTunes.list(*, model=None, status=None, page_size=None)
FineTunes.page(page_no=1, page_size=10, *, model=None)
FineTunes.get(job_id)
FineTunes.cancel(job)
FineTunes.delete(job, *, missing_ok=False)
FineTunes.wait(job, *, poll_interval=15.0, deadline=86400.0, check=True)
FineTunes.logs(job, *, follow=False)
FineTunes.checkpoints(job)
FineTunes.export_checkpoint(job, checkpoint, *, model_name)
FineTunes.cancel_many(jobs)
FineTunes.delete_many(jobs, *, missing_ok=False)
FineTunes.plan(selection)
FineTunes.apply(plan, *, journal=None, max_deletes=20, max_percent=50, cancel_running=False, on_outcome=None)
Imports.list(*, status=None, model_name=None, page_size=None)
Imports.page(page_no=1, page_size=10, *, status=None, model_name=None)
Imports.get(job_id)
Imports.delete(job, *, missing_ok=False)
Imports.wait(job, *, poll_interval=15.0, deadline=86400.0, check=True)
Imports.delete_many(jobs, *, missing_ok=False)
Imports.plan(selection)
Imports.apply(plan, *, journal=None, max_deletes=20, max_percent=50, cancel_running=False, on_outcome=None)
"""  # noqa: E501


@pytest.mark.parametrize("promised", PROMISED.split("\n")[1:-1])
def test_an_operation_has_the_promised_parameters(promised: str) -> None:
    """
    Names, order and defaults are those that scripts rely on; what came later is keyword-only.
    """
    name, _, parameters = promised.removesuffix(")").partition("(")
    noun, _, method = name.partition(".")
    operation = getattr({"FineTunes": FineTunes, "Imports": Imports}[noun], method)
    found = {
        name: parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in inspect.signature(operation).parameters.items()
        if name != "self"
    }
    asked = inspect.signature(eval(f"lambda {parameters}: None")).parameters

    assert [*found][: len(asked)] == [*asked]
    assert {name: found[name] for name in asked} == dict(asked)
    assert all(found[name].kind is inspect.Parameter.KEYWORD_ONLY for name in found.keys() - asked)


# Pages


async def test_a_page(studio: Emulator, client: AsyncClient) -> None:
    """
    A page is exactly the documented request, and the service's own numbers.
    """
    ids = studio.seed(jobs=25)[::-1]
    page = await client.fine_tunes.page(2, 10)

    assert [job.job_id for job in page] == ids[10:20]
    assert [job.job_id for job in page.items] == ids[10:20]
    assert (page.page_no, page.page_size, page.total, len(page)) == (2, 10, 25, 10)
    assert page.request_id is not None
    assert [request.target for request in studio.journal] == [
        "/intl/api/v1/fine-tunes?page_no=2&page_size=10"
    ]
    assert all(isinstance(job, FineTuneJob) for job in page)


async def test_a_page_by_default(studio: Emulator, client: AsyncClient) -> None:
    """
    Unless told otherwise, a page is the first, of ten jobs.
    """
    studio.seed(jobs=25, imports=25)

    assert len(await client.fine_tunes.page()) == 10
    assert len(await client.imports.page()) == 10
    assert {request.query["page_no"] for request in studio.journal} == {"1"}


async def test_a_page_beyond_the_end(client: AsyncClient) -> None:
    """
    A page beyond the end of the list is empty.
    """
    page = await client.fine_tunes.page(7, 100)

    assert list(page) == []
    assert page.total == 0


async def test_a_page_of_another_size_than_asked_for(studio: Emulator, client: AsyncClient) -> None:
    """
    The size that the service echoes is the page's.
    """
    studio.seed(jobs=9)
    studio.account().rules.page_size_cap = 3
    page = await client.fine_tunes.page(2, 100)

    assert (page.page_size, len(page)) == (3, 3)


async def test_filters_are_sent_and_checked_again(studio: Emulator, client: AsyncClient) -> None:
    """
    A service that ignores filters gives no row that does not match.
    """
    studio.seed(jobs=8, imports=8, models=MODELS)
    names = [job["model_name"] for job in studio.account().imports.values()]
    for ignores in (False, True):
        studio.account().rules.ignores_filters = ignores
        studio.journal.clear()
        jobs = await client.fine_tunes.page(1, 100, model=MODELS[0])
        walked = await client.fine_tunes.list(model=MODELS[0]).collect()
        imports = await client.imports.page(1, 100, model_name=names[0])
        walked_imports = await client.imports.list(model_name=names[0]).collect()

        assert {job.model for job in jobs} == {MODELS[0]}
        assert list(jobs) == walked
        assert [job.model_name for job in imports] == names[:1]
        assert list(imports) == walked_imports
        assert [request.query.get("model") for request in studio.journal][:2] == [MODELS[0]] * 2


async def test_rows_that_name_no_model() -> None:
    """
    A row stays where it names the filter as model or as base, or names neither.
    """
    rows = [
        {"job_id": "tuned", "model": "m", "base_model": "other"},
        {"job_id": "based", "model": "other", "base_model": "m"},
        {"job_id": "silent"},
        {"job_id": "nulls", "model": None, "base_model": None},
        {"job_id": "other", "model": "other", "base_model": "other"},
        {"job_id": "half", "model": "other"},
        {"job_id": "nearly", "model": "m-2", "base_model": "M"},
    ]
    answer = Answer({"output": {"jobs": rows, "total": len(rows)}})
    async with scripted(answer) as server:
        client = server.client()
        page = await client.fine_tunes.page(1, 100, model="m")
        walked = await client.fine_tunes.list(model="m").collect()

        assert [job.job_id for job in page] == ["tuned", "based", "silent", "nulls"]
        assert walked == list(page)


async def test_a_status_in_another_case(studio: Emulator, client: AsyncClient) -> None:
    """
    A known word in another case would find no job, and is refused before anything is sent.
    """
    with pytest.raises(InvalidArgument, match="status 'failed' must be 'FAILED'"):
        client.fine_tunes.list(status={"failed", "CANCELED"})
    with pytest.raises(InvalidArgument, match="status 'Succeeded' must be 'SUCCEEDED'"):
        client.imports.list(status="Succeeded")
    with pytest.raises(InvalidArgument, match="status 'running' must be 'RUNNING'"):
        await client.imports.page(status="running")

    assert len(studio.journal) == 0


async def test_a_status_is_never_sent_by_a_walk(studio: Emulator, client: AsyncClient) -> None:
    """
    Statuses are compared here, one or several, since they change while a walk is under way.
    """
    studio.seed(jobs=30, statuses=["FAILED", "CANCELED", "RUNNING"], imports=30)
    words = {job["job_id"]: job["status"] for job in studio.account().jobs.values()}
    filters: list[tuple[str | Collection[str], set[str]]] = [
        ("FAILED", {"FAILED"}),
        ({"FAILED", "CANCELED"}, {"FAILED", "CANCELED"}),
        ([JobStatus.RUNNING], {"RUNNING"}),
        (("CANCELED", "RUNNING"), {"CANCELED", "RUNNING"}),
        ("UNHEARD_OF", set()),
    ]
    for status, chosen in filters:
        found = await client.fine_tunes.list(status=status).collect()

        assert [job.job_id for job in found] == [
            job_id for job_id, word in words.items() if word in chosen
        ]

    words = {job["job_id"]: job["status"] for job in studio.account().imports.values()}
    imports = await client.imports.list(status={ImportStatus.FAILED}).collect()

    assert [job.job_id for job in imports] == [
        job_id for job_id, word in words.items() if word == "FAILED"
    ]
    assert all("status" not in request.query for request in studio.journal)


async def test_imports_that_succeeded_in_either_spelling(
    studio: Emulator, client: AsyncClient
) -> None:
    """
    A filter in either spelling finds the same jobs, whichever the service writes.
    """
    rows = [
        {"job_id": "a", "status": "SUCCESSED"},
        {"job_id": "b", "status": "SUCCEEDED"},
        {"job_id": "c", "status": "FAILED"},
    ]
    async with scripted(Answer({"output": {"list": rows, "total": 3}})) as server:
        for word in ("SUCCESSED", "SUCCEEDED"):
            found = await server.client().imports.list(status=word).collect()
            page = await server.client().imports.page(status=word)

            assert [job.job_id for job in found] == ["a", "b"]
            assert [job.job_id for job in page] == ["a", "b"]
            assert f"status={word}" in server.requests[-1].target


async def test_filters_and_names_that_are_members_of_an_enum() -> None:
    """
    Members of an enum are sent, and compared, as the words that they stand for.
    """
    jobs = [{"job_id": "a", "model": Word.MODEL.value, "status": "FAILED"}, {"job_id": "b"}]
    imports = [{"job_id": "a", "model_name": "my-model", "status": "FAILED"}]
    answers = [
        Answer({"output": {"jobs": jobs, "list": imports, "total": 2}}),
        Answer({"output": {"jobs": jobs, "list": imports, "total": 1}}),
    ]
    async with scripted(answers[0]) as server:
        fine_tunes = server.client().fine_tunes
        page = await fine_tunes.page(model=Word.MODEL)
        walked = await fine_tunes.list(model=Word.MODEL, status={Word.ENDED}).collect()
    async with scripted(answers[1]) as other:
        noun = other.client().imports
        imported = await noun.page(model_name=Word.PUBLISHED, status=Word.ENDED)
        found = await noun.list(model_name=Word.PUBLISHED, status=Word.ENDED).collect()
    async with scripted(Answer({"output": True}), HangUp()) as last:
        await last.client().fine_tunes.export_checkpoint("ft-1", "c", model_name=Word.PUBLISHED)
        with pytest.raises(OutcomeUnknown) as unknown:
            await last.client().fine_tunes.create(model=Word.MODEL, training_file_ids=["f"])

    assert [job.job_id for job in page] == ["a", "b"]
    assert [job.job_id for job in walked] == ["a"]
    assert all("model=qwen3-14b" in sent for sent in server.sent)
    assert [*imported] == found
    assert [job.job_id for job in found] == ["a"]
    assert all("model_name=my-model" in sent for sent in other.sent)
    assert "status=FAILED" in other.sent[0]
    assert last.sent[0] == "GET /fine-tunes/ft-1/export/c?model_name=my-model"
    assert "a fine-tuning job of qwen3-14b" in str(unknown.value.hint)


# One job


async def test_getting_a_job(studio: Emulator, client: AsyncClient) -> None:
    """
    A job is got afresh by its id, and by itself.
    """
    [job_id, import_id] = studio.seed(jobs=1, imports=1, statuses=["RUNNING"])
    job = await client.fine_tunes.get(job_id)
    studio.account().set_status(job_id, "FAILED")
    again = await client.fine_tunes.get(job)
    imported = await client.imports.get(job_id=import_id)

    assert (job.status, again.status) == ("RUNNING", "FAILED")
    assert (job.job_id, job.create_time) == (again.job_id, again.create_time)
    assert await client.imports.get(imported) == imported
    assert isinstance(imported, ImportJob)


async def test_another_job_than_the_one_asked_for() -> None:
    """
    An answer about another job is not believed, neither when getting a job nor when looking into a
    lost answer.
    """
    async with scripted(job("FAILED", "ft-2")) as server:
        for noun in (server.client().fine_tunes, server.client().imports):
            with pytest.raises(MalformedResponse, match="job_id is not ft-1") as caught:
                await noun.get("ft-1")

            assert caught.value.path == "output.job_id"
    async with scripted(HangUp(), job("CANCELED", "ft-2")) as server:
        with pytest.raises(OutcomeUnknown):
            await server.client().fine_tunes.cancel("ft-1")


async def test_cancelling_and_deleting(studio: Emulator, client: AsyncClient) -> None:
    """
    Cancellations and deletions each leave a receipt, with the id that the service's own books have.
    """
    [job_id] = studio.seed(jobs=1, statuses=["RUNNING"])
    cancelled = await client.fine_tunes.cancel(job_id)

    assert cancelled.confirmed
    assert (await client.fine_tunes.get(job_id)).status == "CANCELING"

    assert isinstance(studio.clock, ManualClock)
    studio.clock.advance(60)
    deleted = await client.fine_tunes.delete(await client.fine_tunes.get(job_id))

    assert deleted.confirmed
    assert deleted.job is None
    assert deleted.job_id == job_id
    assert deleted.request_id in {entry.request_id for entry in studio.account().books.entries}
    assert studio.account().jobs == {}


async def test_deleting_an_import(studio: Emulator, client: AsyncClient) -> None:
    """
    The receipt of a deleted import carries the job that was deleted.
    """
    [import_id] = studio.seed(imports=1, import_statuses=["FAILED"])
    receipt = await client.imports.delete(import_id)

    assert receipt.confirmed
    assert receipt.job is not None
    assert receipt.job.job_id == import_id
    assert receipt.job.status == "FAILED"
    assert studio.account().imports == {}


async def test_deleting_an_import_answered_with_another() -> None:
    """
    An answer about another job proves nothing: the deletion is asked for again.
    """
    async with scripted(job(job_id="im-2"), refusal(404, "NotFound")) as server:
        receipt = await server.client().imports.delete("im-1")

    assert len(server.sent) == 2
    assert not receipt.confirmed
    assert receipt.job is None


async def test_deleting_an_import_that_is_only_acknowledged() -> None:
    """
    An answer without the job confirms the deletion as well.
    """
    async with scripted(Answer({"request_id": "r", "output": {"status": "success"}})) as server:
        receipt = await server.client().imports.delete("i-1")

    assert (receipt.job_id, receipt.request_id, receipt.job) == ("i-1", "r", None)
    assert receipt.confirmed


async def test_what_is_missing(client: AsyncClient) -> None:
    """
    What is missing is an error, or with `missing_ok` a receipt that confirms nothing.
    """
    for noun in (client.fine_tunes, client.imports):
        with pytest.raises(NotFound) as caught:
            await noun.delete("ft-0")
        receipt = await noun.delete("ft-0", missing_ok=True)

        assert receipt.confirmed is False
        assert receipt.job_id == "ft-0"
        assert receipt.request_id is not None
        assert caught.value.hint is not None


async def test_missing_ok_excuses_nothing_else(studio: Emulator, client: AsyncClient) -> None:
    """
    A job that is there and cannot be deleted is an error all the same.
    """
    [job_id] = studio.seed(jobs=1, statuses=["RUNNING"])
    with pytest.raises(StateConflict) as caught:
        await client.fine_tunes.delete(job_id, missing_ok=True)

    assert caught.value.job_status == "RUNNING"


async def test_a_state_that_forbids(studio: Emulator, client: AsyncClient) -> None:
    """
    The error tells the job's status.
    """
    [job_id, import_id] = studio.seed(
        jobs=1, statuses=["SUCCEEDED"], imports=1, import_statuses=["RUNNING"]
    )
    with pytest.raises(StateConflict) as ended:
        await client.fine_tunes.cancel(job_id)
    with pytest.raises(StateConflict) as running:
        await client.imports.delete(import_id)

    assert (ended.value.job_status, ended.value.code) == ("SUCCEEDED", "UnsupportedOperation")
    assert (running.value.job_status, running.value.code) == ("RUNNING", "OperationDenied")


async def test_lost_answers_and_the_books(studio: Emulator, client: AsyncClient) -> None:
    """
    What the client says of changes whose answers were lost is what the service's books say.
    """
    first, second, third = studio.seed(jobs=3, statuses=["FAILED"])
    studio.inject(
        Fault(operation="fine_tunes.delete", lose="after"),
        Fault(operation="fine_tunes.delete", lose="before"),
    )
    view = client.with_options(deadline=30)
    inferred = await view.fine_tunes.delete(first)
    confirmed = await view.fine_tunes.delete(second)
    studio.inject(Fault(operation="fine_tunes.create", lose="after"))
    with pytest.raises(OutcomeUnknown):
        await view.fine_tunes.create(model=MODELS[0], training_file_ids=["file-1"])

    assert (inferred.confirmed, confirmed.confirmed) == (False, True)
    assert set(studio.account().jobs) - {third} != set()
    assert len(studio.account().jobs) == 2
    assert len(studio.journal.of("fine_tunes.create")) == 1


async def test_looking_into_a_lost_answer_while_the_service_refuses() -> None:
    """
    In a run over many jobs only the deadline ends the looking into a cancellation in doubt.
    """
    busy = [refusal(429, "Throttling.RateQuota", "Requests rate limit exceeded")] * 6
    async with scripted(HangUp(), *busy, job("CANCELING")) as server:
        report = await server.client().fine_tunes.cancel_many(["ft-1"]).report()

    assert report.reasons == {"inferred": 1}
    assert server.sent == ["POST /fine-tunes/ft-1/cancel"] + ["GET /fine-tunes/ft-1"] * 7


# Creating


async def test_creating_a_job(studio: Emulator, client: AsyncClient) -> None:
    """
    Every documented field is sent as it is given, and nothing else.
    """
    fields: dict[str, Any] = {
        "model": "qwen3-14b",
        "training_file_ids": ["file-1"],
        "validation_file_ids": ["file-2"],
        "hyper_parameters": {"n_epochs": 3, "learning_rate": "1.6e-5", "batch_size": "128"},
        "training_type": "sft",
        "job_name": "名前",
        "model_name": "display",
        "finetuned_output_suffix": "suffix",
        "priority": "high",
    }
    job = await client.fine_tunes.create(**fields, extra={"new_field": {"a": 1}})
    least = await client.fine_tunes.create(model="qwen3-14b", training_file_ids=["file-1"])
    [request, bare] = studio.journal.of("fine_tunes.create")

    assert request.body == fields | {"new_field": {"a": 1}}
    assert bare.body == {"model": "qwen3-14b", "training_file_ids": ["file-1"]}
    assert job.status == JobStatus.PENDING
    assert job.hyper_parameters == fields["hyper_parameters"]
    assert {job.job_id, least.job_id} == set(studio.account().jobs)


# Bad input

ID_TAKERS: dict[str, Callable[[AsyncClient, Any], Awaitable[Any]]] = {
    "get": lambda client, job: client.fine_tunes.get(job),
    "cancel": lambda client, job: client.fine_tunes.cancel(job),
    "delete": lambda client, job: client.fine_tunes.delete(job),
    "delete missing_ok": lambda client, job: client.fine_tunes.delete(job, missing_ok=True),
    "imports.get": lambda client, job: client.imports.get(job),
    "imports.delete": lambda client, job: client.imports.delete(job),
}


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "..",
        "...",
        "../files/file-1",
        "a/b",
        "a\\b",
        "/",
        "a?x=1",
        "a#b",
        "a%2fb",
        "a b",
        "a\n",
        "\x00",
        "a\r\nX: y",
        "ft-①",
        "-a",
        "a" * 129,
    ],
)
@pytest.mark.parametrize("call", ID_TAKERS)
async def test_an_id_that_cannot_be_one(
    studio: Emulator, client: AsyncClient, call: str, bad: str
) -> None:
    """
    What cannot be an id is refused before anything is sent, by itself or in a job.
    """
    with pytest.raises(InvalidArgument):
        await ID_TAKERS[call](client, bad)
    job: Any = ImportJob(job_id=bad) if call.startswith("imports") else FineTuneJob(job_id=bad)
    with pytest.raises(InvalidArgument):
        await ID_TAKERS[call](client, job)

    assert len(studio.journal) == 0
    assert studio.journal.connections == 0


@pytest.mark.parametrize("call", ID_TAKERS)
async def test_what_is_no_job_of_this_noun(
    studio: Emulator, client: AsyncClient, call: str
) -> None:
    """
    A job of the other noun, or anything else, is a TypeError.
    """
    other = FineTuneJob(job_id="x") if call.startswith("imports") else ImportJob(job_id="x")
    for bad in (other, None, 7, b"ft-1", ["ft-1"], {"job_id": "ft-1"}):
        with pytest.raises(TypeError):
            await ID_TAKERS[call](client, bad)

    assert studio.journal.connections == 0


@pytest.mark.parametrize("bad", [0, -1, 101, 2**40, True, False, None, "1", 1.0])
async def test_pages_out_of_bounds(studio: Emulator, client: AsyncClient, bad: Any) -> None:
    """
    Numbers and sizes of pages that cannot be are refused before anything is sent.
    """
    nouns: list[Any] = [client.fine_tunes, client.imports]
    for noun in nouns:
        with pytest.raises(InvalidArgument):
            await noun.page(1, bad)
        if bad != 101:
            with pytest.raises(InvalidArgument):
                await noun.page(bad)
        if bad is not None:
            with pytest.raises(InvalidArgument):
                noun.list(page_size=bad)

    assert studio.journal.connections == 0


async def test_walks_of_small_pages(studio: Emulator, client: AsyncClient) -> None:
    """
    A walk needs pages of at least twenty; a single page may be smaller.
    """
    with pytest.raises(InvalidArgument):
        client.fine_tunes.list(page_size=19)
    with pytest.raises(InvalidArgument):
        client.imports.list(page_size=19)

    assert len(await client.fine_tunes.page(1, 1)) == 0


async def test_filters_that_cannot_be(studio: Emulator, client: AsyncClient) -> None:
    """
    Filters that are empty, not printable or no text are refused before anything is sent.
    """
    nouns: dict[str, Any] = {"model": client.fine_tunes, "model_name": client.imports}
    for name, noun in nouns.items():
        for bad, kind in (("", InvalidArgument), ("a\nb", InvalidArgument), (7, TypeError)):
            with pytest.raises(kind):
                noun.list(**{name: bad})
            with pytest.raises(kind):
                await noun.page(**{name: bad})
        nothing: list[Any] = ["", [], {"FAILED", ""}]
        for status in nothing:
            with pytest.raises(InvalidArgument):
                noun.list(status=status)
        with pytest.raises(TypeError):
            noun.list(status=[7])

    assert studio.journal.connections == 0


async def test_filters_are_quoted(studio: Emulator, client: AsyncClient) -> None:
    """
    Whatever a filter holds arrives as it was given.
    """
    odd = "a&b=c d+e/ü?#%25"
    await client.fine_tunes.page(model=odd)
    [request] = studio.journal

    assert request.query["model"] == odd


@pytest.mark.parametrize("noun", ["fine_tunes", "imports"])
async def test_what_is_no_plan_or_selection(
    studio: Emulator, client: AsyncClient, noun: str
) -> None:
    """
    What is no plan or no selection is a TypeError that says what would be right, before anything is
    sent.
    """
    jobs: Any = getattr(client, noun)
    plan: Plan = await jobs.plan(Selection())
    studio.journal.clear()
    bad: Any
    for bad in ("plan.json", None, plan.to_dict(), Selection()):
        with pytest.raises(TypeError, match=r"it must be a Plan: Plan\.load") as caught:
            await jobs.apply(bad)
        assert str(caught.value).startswith(f"plan is a {type(bad).__name__};")
    for bad in (None, "x", {}, plan):
        with pytest.raises(TypeError, match="it must be a Selection") as caught:
            await jobs.plan(bad)
        assert str(caught.value).startswith(f"selection is a {type(bad).__name__};")

    assert len(studio.journal) == 0


async def unawaited(_: object) -> None:
    raise AssertionError


@pytest.mark.parametrize("callback", [5, unawaited])
@pytest.mark.parametrize("noun", ["fine_tunes", "imports"])
async def test_a_callback_that_cannot_be(
    studio: Emulator, client: AsyncClient, noun: str, callback: Any
) -> None:
    """
    What cannot be called, or would have to be awaited, is a TypeError before anything is sent.
    """
    studio.seed(jobs=3, imports=3, statuses=["FAILED"], import_statuses=["FAILED"])
    jobs: Any = getattr(client, noun)
    plan = await jobs.plan(Selection())
    studio.journal.clear()
    with pytest.raises(TypeError, match="on_outcome is a"):
        await jobs.apply(plan, max_percent=100, on_outcome=callback)
    with pytest.raises(TypeError, match="on_look is a"):
        await jobs.wait_many([plan.entries[0].job_id], on_look=callback)

    assert len(plan.entries) == 3
    assert len(studio.journal) == 0
