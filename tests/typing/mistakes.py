"""
Mistakes that type checkers must find: to each of them an ignore without an error is an error.
"""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from dashscope_ft import AsyncClient, Client, FineTuneJob, ImportJob, Pager, Selection


def settings() -> None:
    Client("sk-1")  # type: ignore[call-arg]
    Client(colour="red")  # type: ignore[call-arg]
    Client(timeout="5")  # type: ignore[arg-type]
    AsyncClient("sk-1")  # type: ignore[call-arg]
    AsyncClient(timeout="5")  # type: ignore[arg-type]


def arguments(client: Client, job: FineTuneJob, upload: ImportJob) -> None:
    jobs = client.fine_tunes
    jobs.get(3)  # type: ignore[arg-type]
    jobs.get()  # type: ignore[call-arg]
    jobs.get(upload)  # type: ignore[arg-type]
    jobs.delete(job, True)  # type: ignore[call-arg]
    jobs.delete(job, force=True)  # type: ignore[call-arg]
    jobs.list("qwen3-14b")  # type: ignore[call-arg]
    jobs.list(status=3)  # type: ignore[arg-type]
    jobs.page("1")  # type: ignore[arg-type]
    jobs.create(training_file_ids=["f-1"])  # type: ignore[call-arg]
    jobs.delete_many(["ft-1", 3])  # type: ignore[list-item]
    jobs.delete_many([upload])  # type: ignore[list-item]
    jobs.apply(Selection())  # type: ignore[arg-type]
    client.imports.cancel("937b")  # type: ignore[attr-defined]


def answers(client: Client) -> None:
    print(client.fine_tunes.get("ft-1").nmae)  # type: ignore[attr-defined]
    print(client.fine_tunes.list()[0])  # type: ignore[index]
    pager: Pager[ImportJob] = client.fine_tunes.list()  # type: ignore[assignment]
    pager.colect()  # type: ignore[attr-defined]


async def colours(client: Client, other: AsyncClient) -> None:
    await client.fine_tunes.get("ft-1")  # type: ignore[misc]
    print(other.fine_tunes.get("ft-1").status)  # type: ignore[attr-defined]
    for _ in other.fine_tunes.list():  # type: ignore[attr-defined]
        pass
    async for _ in client.fine_tunes.list():  # type: ignore[attr-defined]
        pass
