"""
Clear many workspaces on several processes: a recipe with Dask, run on the emulator.

What goes to a worker is plain data: where, which workspace, and a selection. The key does not
travel: each worker finds it in its environment. One task is one workspace, since the service
counts requests by account; within it the client is as concurrent as the service admits.

    python -m benchmarks.many_workspaces
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import distributed  # type: ignore[import-not-found]
from attrs import frozen

from dashscope_ft import Client, Report, Selection
from dashscope_ft.emulator import Emulator


@frozen
class Workspace:
    """
    A workspace to clear.
    """

    base_url: str
    """Where it is."""

    name: str
    """Its id."""

    selection: Selection
    """Which of its jobs go."""


def clear(workspace: Workspace) -> Report:
    """
    Plan and apply on one workspace; runs on a worker.
    """
    with Client(base_url=workspace.base_url, workspace=workspace.name) as client:
        plan = client.fine_tunes.plan(workspace.selection)
        return client.fine_tunes.apply(plan, max_deletes=1000, max_percent=100)


def clear_all(workspaces: Sequence[Workspace], workers: int) -> list[Report]:
    """
    Spread the workspaces over processes, and give a report each.
    """
    with (
        distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None
        ) as here,
        distributed.Client(here) as cluster,
    ):
        # Not to be run again by the engine: a clean-up accounts for itself.
        tasks = cluster.map(clear, workspaces, retries=0, pure=False)
        reports: list[Report] = cluster.gather(tasks)
        return reports


def main() -> None:
    """
    Clear eight workspaces of forty jobs.
    """
    selection = Selection(status={"FAILED", "CANCELED"})
    with Emulator() as emulator:
        os.environ["DASHSCOPE_API_KEY"] = emulator.key()
        workspaces = [Workspace(emulator.url, f"ws-{number}", selection) for number in range(8)]
        for workspace in workspaces:
            emulator.seed(jobs=40, workspace=workspace.name)
        reports = clear_all(workspaces, workers=2)
    for workspace, report in zip(workspaces, reports, strict=True):
        print(f"{workspace.name}: {report.done} of {report.selected} deleted")


if __name__ == "__main__":
    main()
