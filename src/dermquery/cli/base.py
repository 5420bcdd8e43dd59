"""``dermquery index``: a case table into a case base."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from dermquery.cli.common import expected_errors

if TYPE_CHECKING:
    from dermquery.store.ingest import IngestProgress, IngestReport

__all__ = ["index"]

_SHOWN = 20


@expected_errors
def index(
    table: Annotated[Path, typer.Argument(help="Case table, .csv or .parquet; only case_id and image are required.")],
    base: Annotated[
        str, typer.Option("--base", help="Folder of the case base, or milvus://host:port/name; made if there is none.")
    ],
    model: Annotated[str, typer.Option("--model", help="Name of a shipped model, or the folder of an artifact.")],
    described: Annotated[
        bool,
        typer.Option("--described", help="Encode every case with its own recorded findings, not its image alone."),
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out bad rows and images, and count that as success.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images encoded and written at once.")] = 32,
) -> None:
    """Encode the cases of a table and put them into a case base.

    Can be interrupted and run again: cases that are there already with the same image and description are skipped.
    """
    from dermquery.data.table import read_cases
    from dermquery.store.casebase import CaseBase

    cases = read_cases(table, skip_bad=skip_bad)
    case_base = CaseBase.open_or_create(base, model, described=described)
    console = Console(stderr=True)
    with _progress(console) as bar:
        task = bar.add_task("indexing", total=len(cases), speed="", left="")
        report = case_base.add(cases, batch_size=batch_size, progress=lambda state: _show(bar, task, state))
    _print(report, skipped=len(cases.skipped), n_cases=len(case_base), base=base)
    if report.bad and not skip_bad:
        raise typer.Exit(1)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[left]}"),
        console=console,
    )


def _show(bar: Progress, task: TaskID, state: IngestProgress) -> None:
    left = "" if state.eta_seconds is None else f"{_duration(state.eta_seconds)} left"
    speed = f"{state.rate:.1f} images/s" if state.rate else ""
    bar.update(task, completed=state.done, speed=speed, left=left)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _print(report: IngestReport, *, skipped: int, n_cases: int, base: str) -> None:
    from dermquery.store.hits import RESEARCH_USE

    out = Console(soft_wrap=True)
    bad = len(report.bad)
    counts = f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, {bad} with a bad image"
    rows = f", {skipped} bad rows of the table left out" if skipped else ""
    out.print(Text(f"{base}: {counts}{rows}, in {_duration(report.seconds)}; it now holds {n_cases} cases."))
    for item in report.bad[:_SHOWN]:
        out.print(Text(f"  left out {item.case_id}: {item.reason}"))
    if bad > _SHOWN:
        out.print(Text(f"  and {bad - _SHOWN} more"))
    out.print(Text(RESEARCH_USE), style="dim")
