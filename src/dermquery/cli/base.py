"""``dermquery index``: a case table into a case base; ``dermquery base``: case bases as a whole."""

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

__all__ = ["app", "index"]

app = typer.Typer(help="Case bases as a whole: describe, copy, snapshot, restore.", no_args_is_help=True)
BaseArgument = Annotated[str, typer.Argument(metavar="BASE", help="Folder, or milvus://host:port/name.")]

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


@app.command()
@expected_errors
def info(base: BaseArgument) -> None:
    """Which model made the vectors, how they are laid out, and what is in the base."""
    from dermquery.store.casebase import CaseBase

    case_base = CaseBase.open(base)
    manifest = case_base.manifest
    counts = case_base.store.value_counts("diagnosis")
    shown = ", ".join(f"{'not recorded' if name is None else name} {n}" for name, n in counts.items())
    width = f"{manifest.width}{', composed with the recorded findings' if manifest.described else ''}"
    levels = f"levels {', '.join(manifest.levels)}"
    made = f"{manifest.created:%Y-%m-%d %H:%M %Z} by dermquery {manifest.dermquery_version}"
    lines = [
        f"{case_base.uri}: {len(case_base)} cases{f' ({shown})' if shown else ''}",
        f"model {manifest.model_name}, artifact {manifest.model_hash}",
        f"loaded from {manifest.model_reference or 'nowhere that it knows; name it by --model'}",
        f"vectors of {manifest.layout.size} numbers: local and global, {levels}, width {width}",
        f"made {made}, schema {manifest.schema_version}",
    ]
    Console(soft_wrap=True).print(Text("\n".join(lines)))


@app.command()
@expected_errors
def copy(
    source: Annotated[str, typer.Argument(metavar="SRC", help="Folder, or milvus://host:port/name.")],
    target: Annotated[str, typer.Argument(metavar="DST", help="Likewise; empty, or an earlier copy of the same base.")],
) -> None:
    """Copy a case base to another place, folder or server, and verify every row; nothing is encoded again."""
    from dermquery.store.transfer import copy_base

    with _progress(Console(stderr=True)) as bar:
        task = bar.add_task("copying", total=None, speed="", left="")
        done = copy_base(source, target, tell=lambda n, total: bar.update(task, completed=n, total=total))
    Console(soft_wrap=True).print(Text(f"{target}: {done.rows} cases verified, {done.written} of them written now."))


@app.command()
@expected_errors
def snapshot(base: BaseArgument, file: Annotated[Path, typer.Argument(help="Parquet file to write.")]) -> None:
    """Write a case base to one file; images are not in it, a case names its image by path and SHA-256."""
    from dermquery.store.transfer import write_snapshot

    with _progress(Console(stderr=True)) as bar:
        task = bar.add_task("writing", total=None, speed="", left="")
        rows = write_snapshot(base, file, tell=lambda n, total: bar.update(task, completed=n, total=total))
    Console(soft_wrap=True).print(Text(f"{file}: {rows} cases, {file.stat().st_size / 1e6:.1f} MB."))


@app.command()
@expected_errors
def restore(
    file: Annotated[Path, typer.Argument(help="A snapshot.")],
    base: Annotated[str, typer.Argument(metavar="BASE", help="Folder, or milvus://host:port/name.")],
) -> None:
    """Make a case base of a snapshot and verify every row; a restoration that was cut off goes on."""
    from dermquery.store.transfer import restore_snapshot

    with _progress(Console(stderr=True)) as bar:
        task = bar.add_task("restoring", total=None, speed="", left="")
        done = restore_snapshot(file, base, tell=lambda n, total: bar.update(task, completed=n, total=total))
    Console(soft_wrap=True).print(Text(f"{base}: {done.rows} cases verified, {done.written} of them written now."))
