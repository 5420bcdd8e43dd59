"""``dermquery index``: a case table into a case base."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from dermquery.cli.columns import column_mapping
from dermquery.cli.counts import counted
from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console
from dermquery.data.files import replacing

if TYPE_CHECKING:
    from dermquery.data.case import Case
    from dermquery.data.case_table import CaseTable
    from dermquery.store.casebase import CaseBase
    from dermquery.store.encoding import Executor
    from dermquery.store.ingest import IngestProgress, IngestReport
    from dermquery.store.protocol import CaseReader

__all__ = ["index", "progress_bar", "show_progress"]

_SHOWN = 20
_REPEATS_SHOWN = 5
_GONE_SHOWN = 3


@expected_errors
def index(
    table: Annotated[Path, typer.Argument(help="Case table, .csv or .parquet; only case_id and image are required.")],
    base: Annotated[
        str, typer.Option("--base", help="Folder of the case base, or milvus://host:port/name; made if there is none.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Name of a shipped model, or the folder of an artifact; a base that is there knows its own.",
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out bad rows and images, and count that as success.")
    ] = False,
    images: Annotated[
        str | None,
        typer.Option(
            "--images",
            help="Where a new base keeps its images: a folder, s3://bucket/prefix or none; by default its own folder.",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="Name of a column, THEIRS=OURS; X=X keeps one that may name a person."),
    ] = None,
    prefix: Annotated[
        str,
        typer.Option(
            help="Put before each case id, where another source has the same ids; those of the ISIC Archive stay."
        ),
    ] = "",
    replace_cases: Annotated[
        bool, typer.Option("--replace", help="Write over cases of the same ids, whatever source or image they have.")
    ] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Images encoded and written at once.")] = 32,
    ray: Annotated[
        str | None, typer.Option("--ray", help="Encode on a Ray cluster: its address, or local for processes here.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Write counts and bad images to this JSON file.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, encode and write nothing, and say what would be done.")
    ] = False,
) -> None:
    """Encode the cases of a table and put them into a case base.

    Can be interrupted and run again: cases that are there already with the same image and description are skipped.
    """
    from dermquery.data.sources.keeping import read_kept

    cases, told = read_kept(table, columns=column_mapping(column or []), skip_bad=skip_bad)
    if prefix:
        cases = replace(cases, cases=tuple(_prefixed(case, prefix) for case in cases))
    for note in filter(None, (*cases.notes, told)):
        Console(stderr=True, soft_wrap=True).print(Text(note, style="yellow"))
    gone: Mapping[str, list[str]] = {}
    with progress_bar(Console(stderr=True)) as bar:
        task = bar.add_task("reading" if dry_run else "indexing", total=len(cases), speed="", left="")
        if dry_run:
            done, n_cases, gone = _dry_run(
                cases, base, prefix, replacing=replace_cases, progress=lambda state: show_progress(bar, task, state)
            )
        else:
            from dermquery.store.casebase import CaseBase

            place = True if images is None else False if images == "none" else images
            case_base = CaseBase.open_or_create(base, model, images=place)
            case_base.check_writable()
            if not replace_cases:
                _check_elsewhere(cases, case_base.store)
            gone = _left_behind(cases, prefix, case_base.store)
            executor = None if ray is None else _cluster(ray, case_base, model, batch_size)
            done = case_base.add(
                cases, batch_size=batch_size, executor=executor, replacing=replace_cases,
                progress=lambda state: show_progress(bar, task, state),
            )  # fmt: skip
            n_cases = len(case_base)
    if report is not None:
        with replacing(report) as part:
            part.write_text(
                json.dumps(done.to_dict() | {"not_in_table": gone}, indent=2, ensure_ascii=False) + "\n",
                encoding="utf-8",
            )
    _print(done, gone, skipped=len(cases.skipped), n_cases=n_cases, base=base)
    if done.bad and not skip_bad:
        raise typer.Exit(1)


def _prefixed(case: Case, prefix: str) -> Case:
    return case if case.archive_id else case.model_copy(update={"case_id": f"{prefix}{case.case_id}"})


def _dry_run(
    cases: CaseTable, base: str, prefix: str, *, replacing: bool, progress: Callable[[IngestProgress], None]
) -> tuple[IngestReport, int, Mapping[str, list[str]]]:
    """What an ingest would do, how many cases the base holds now, and which of them the table has no more."""
    from dermquery.store.casebase import CaseBase
    from dermquery.store.encoding import LocalExecutor
    from dermquery.store.ingest import index_cases
    from dermquery.store.places import home_of

    store = CaseBase.open(base).store if home_of(base).exists() else None
    if store is not None and not replacing:
        _check_elsewhere(cases, store)
    report = index_cases(cases, store, LocalExecutor(None), dry_run=True, replacing=replacing, progress=progress)
    if store is None:
        return report, 0, {}
    return report, store.count(), _left_behind(cases, prefix, store)


def _left_behind(cases: CaseTable, prefix: str, store: CaseReader) -> Mapping[str, list[str]]:
    """By source, what the base holds and the table has no more; rows of no use are in the table all the same."""
    from dermquery.store.left_behind import left_behind

    unused = [name for row in cases.skipped for name in (row.case_id, f"{prefix}{row.case_id}")]
    sources = dict.fromkeys(case.source for case in cases.cases if case.source)
    return left_behind([*(case.case_id for case in cases.cases), *unused], sources, store)


def _print_left_behind(gone: Mapping[str, list[str]], base: str) -> None:
    """Say it, with the command that removes them; those of many cases are in the file of --report."""
    out = Console(soft_wrap=True)
    for source, ids in gone.items():
        named = ", ".join(ids[:_GONE_SHOWN]) + (", …" if len(ids) > _GONE_SHOWN else "")
        are = "1 case is" if len(ids) == 1 else f"{len(ids):,} cases are"
        out.print(Text(f"  {are} in the base and not in this table of source {source!r} ({named}); none was removed"))
        options = " ".join(f"--case {shlex.quote(name)}" for name in ids[:_SHOWN])
        more = " …  (--report FILE lists all)" if len(ids) > _SHOWN else ""
        out.print(Text(f"    to remove them: dermquery base delete {shlex.quote(base)} {options}{more}"))


def _check_elsewhere(cases: CaseTable, store: CaseReader) -> None:
    from dermquery.store.other_sources import others_from_elsewhere

    if taken := others_from_elsewhere(cases.cases, store):
        raise ValueError(taken)


def _cluster(address: str, base: CaseBase, model: str | None, batch_size: int) -> Executor:
    from dermquery.model.load import load_model
    from dermquery.store.cluster import RayExecutor

    reference = base.manifest.model_reference or model
    if reference is None:
        raise ValueError(f"{base.uri} does not say where its model lies; name it by --model")
    return RayExecutor(
        address,
        partial(load_model, reference),
        base.manifest.model_hash,
        images=None if base.archive is None else base.archive.lasting_url,
        batch_size=batch_size,
    )


def progress_bar(console: Console) -> Progress:
    """A bar with the count, the rate and the time left."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[left]}"),
        console=console,
    )


def show_progress(bar: Progress, task: TaskID, state: IngestProgress) -> None:
    """Let a bar show where an ingest stands."""
    left = "" if state.eta_seconds is None else f"{_duration(state.eta_seconds)} left"
    speed = f"{state.rate:.1f} images/s" if state.rate else ""
    bar.update(task, completed=state.done, total=state.total, speed=speed, left=left)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _print(report: IngestReport, gone: Mapping[str, list[str]], *, skipped: int, n_cases: int, base: str) -> None:
    from dermquery.store.hits import RESEARCH_USE

    out = Console(soft_wrap=True)
    bad = len(report.bad)
    counts = f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, {bad} with a bad image"
    rows = f", {skipped} bad rows of the table left out" if skipped else ""
    would = "would be: " if report.dry_run else ""
    now = "holds" if report.dry_run else "now holds"
    out.print(
        Text(f"{base}: {would}{counts}{rows}, in {_duration(report.seconds)}; it {now} {counted(n_cases, 'case')}.")
    )
    for item in report.bad[:_SHOWN]:
        out.print(Text(f"  left out {item.case_id}: {item.reason}"))
    if bad > _SHOWN:
        out.print(Text(f"  and {bad - _SHOWN} more"))
    if report.repeated:
        occur = "image occurs" if report.repeated == 1 else "images occur"
        out.print(Text(f"  {report.repeated} {occur} in the base already; see: dermquery base duplicates {base}"))
        for repeat in report.repeats[:_REPEATS_SHOWN]:
            out.print(Text(f"    {repeat.case_id}: the image of {repeat.same_image_as}"))
        if report.repeated > _REPEATS_SHOWN:
            out.print(Text(f"    and {report.repeated - _REPEATS_SHOWN} more"))
    if report.reimaged:
        named = ", ".join(report.reimaged_first) + (", …" if report.reimaged > len(report.reimaged_first) else "")
        had = "1 case had" if report.reimaged == 1 else f"{report.reimaged:,} cases had"
        out.print(Text(f"  {had} another image before ({named}); if these are other cases, use --prefix"))
    if report.completed:
        one = report.completed == 1
        what = "case is an image" if one else "cases are images"
        had = f"that another source brought: {'it completes' if one else 'they complete'} what the base says"
        out.print(Text(f"  {report.completed:,} {what} of the ISIC Archive {had}"))
    if report.contradicting:
        out.print(Text("  contradictions, of which what the base says stays (the base, then this table):"))
        for line in report.contradicting:
            out.print(Text(f"    {line}"))
    _print_left_behind(gone, base)
    out.print(Text(RESEARCH_USE), style="dim")
