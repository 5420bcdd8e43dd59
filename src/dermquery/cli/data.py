"""`dermquery data`: prepare, synthesize, split and check case tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from dermquery.cli.common import expected_errors

if TYPE_CHECKING:
    from dermquery.data.sources.prepare import PrepareReport

__all__ = ["app"]

app = typer.Typer(help="Prepare, synthesize, split and check case tables.", no_args_is_help=True)
prepare = typer.Typer(help="Images without borders in one size, beside a case table.", no_args_is_help=True)
app.add_typer(prepare, name="prepare")

OutOption = Annotated[Path, typer.Option("--out", help="Folder to write to; an interrupted run is continued.")]
SizeOption = Annotated[int, typer.Option("--size", help="Width and height of the images in pixels.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad", help="Leave out what cannot be used, and report how many.")]


class _Rate(ProgressColumn):
    """Images per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.finished_speed or task.speed or 0:.1f}/s", style="dim")


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr with count, rate and time left; the callback takes (done, in all)."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@prepare.command()
@expected_errors
def derm7pt(
    release: Annotated[Path, typer.Argument(metavar="RELEASE_DIR", help="release_v0, or the folder that holds it.")],
    out: OutOption,
    all_diagnoses: Annotated[bool, typer.Option("--all", help="All 1,011 cases with their full diagnoses.")] = False,
    size: SizeOption = 512,
    skip_bad: SkipOption = False,
) -> None:
    """Derm7pt: the 888 cases of the paper (252 mel, 575 nv, 61 bkl), or all 1,011."""
    from dermquery.data.sources.derm7pt import prepare_derm7pt

    with _bar("Derm7pt") as step:
        report = prepare_derm7pt(release, out, size=size, all_diagnoses=all_diagnoses, skip_bad=skip_bad, progress=step)
    _finish(report, skip_bad=skip_bad)


@prepare.command()
@expected_errors
def ham10000(
    images: Annotated[Path, typer.Argument(metavar="IMAGES_DIR", help="Folder with the images, at any depth.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA_CSV", help="HAM10000_metadata.csv")],
    out: OutOption,
    size: SizeOption = 512,
    skip_bad: SkipOption = False,
) -> None:
    """HAM10000, or another release in the ISIC layout."""
    from dermquery.data.sources.ham10000 import prepare_ham10000

    with _bar("HAM10000") as step:
        report = prepare_ham10000(images, metadata, out, size=size, skip_bad=skip_bad, progress=step)
    _finish(report, skip_bad=skip_bad)


@prepare.command()
@expected_errors
def folder(
    images: Annotated[Path, typer.Argument(metavar="IMAGES_DIR", help="Folder with the images, at any depth.")],
    out: OutOption,
    table: Annotated[Path | None, typer.Option("--table", help="CSV or Parquet table of the images.")] = None,
    column: Annotated[
        list[str] | None, typer.Option("--column", help="Name of a column: THEIRS=OURS, for example dx=diagnosis.")
    ] = None,
    label_from_folder: Annotated[
        bool, typer.Option("--label-from-folder", help="The name of an image's folder is its diagnosis.")
    ] = False,
    size: SizeOption = 512,
    skip_bad: SkipOption = False,
) -> None:
    """Any folder of images, with or without a table."""
    from dermquery.data.sources.folder import prepare_folder

    with _bar("images") as step:
        report = prepare_folder(
            images, out, table=table, columns=_mapping(column or []), label_from_folder=label_from_folder, size=size,
            skip_bad=skip_bad, progress=step,
        )  # fmt: skip
    _finish(report, skip_bad=skip_bad)


@app.command()
@expected_errors
def synthesize(
    out: OutOption,
    n: Annotated[int, typer.Option("--n", help="Number of cases.")] = 600,
    seed: Annotated[int, typer.Option("--seed", help="Case i depends on it and on i alone.")] = 7,
    size: SizeOption = 512,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that render.")] = 2,
) -> None:
    """Render synthetic dermoscopy cases with the mask of every structure."""
    from dermquery.data.sources.synthetic import synthesize as run
    from dermquery.data.table import read_cases

    done = 0
    with _bar("rendering") as step:

        def one(count: int) -> None:
            nonlocal done
            done += count
            step(done, n)

        table = run(out, n=n, seed=seed, size=(size, size), workers=workers, progress=one)
    _counts([case.diagnosis for case in read_cases(table, check_images=False)])
    typer.echo(f"{table}\nThese cases are synthetic.")


@app.command()
@expected_errors
def folds(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Case table with diagnoses.")],
    out: Annotated[Path, typer.Option("--out", help="JSON file to write.")],
    n_splits: Annotated[int, typer.Option("--n-splits", min=2, help="Number of folds.")] = 5,
    seed: Annotated[int, typer.Option("--seed", help="Of the shuffles; written into the file.")] = 0,
    validation_share: Annotated[
        float, typer.Option("--validation-share", help="Part of the training folds kept for every choice.")
    ] = 0.15,
) -> None:
    """Split a table into folds: stratified by diagnosis, grouped by patient and lesion."""
    from dermquery.data.folds import make_folds
    from dermquery.data.table import read_cases

    made = make_folds(read_cases(table, need=("diagnosis",)), n_splits, seed, validation_share)
    made.save(out)
    for i, fold in enumerate(made.folds):
        typer.echo(f"fold {i}: {len(fold.train)} train, {len(fold.validation)} validation, {len(fold.test)} test")
    typer.echo(f"{out} {made.sha256[:12]}")


@app.command()
@expected_errors
def check(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Case table.")],
    need: Annotated[list[str] | None, typer.Option("--need", help="Column that every row must have.")] = None,
    column: Annotated[list[str] | None, typer.Option("--column", help="Name of a column: THEIRS=OURS.")] = None,
    skip_bad: SkipOption = False,
) -> None:
    """Validate a case table and count what it holds."""
    from dermquery.data.table import read_cases

    read = read_cases(table, need=need or (), columns=_mapping(column or []) or None, skip_bad=skip_bad)
    for row in read.skipped:
        typer.echo(f"left out: line {row.line} ({row.case_id or 'no id'}): {'; '.join(row.problems)}", err=True)
    _counts([case.diagnosis for case in read])
    lesions = len({case.group for case in read})
    typer.echo(f"{lesions} patients or lesions, {len(read.skipped)} rows left out")


def _mapping(pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        theirs, equals, ours = (part.strip() for part in pair.partition("="))
        if not (theirs and equals and ours):
            raise ValueError(f"cannot read --column {pair!r}; write THEIRS=OURS, for example dx=diagnosis")
        mapping[theirs] = ours
    return mapping


def _counts(diagnoses: Sequence[str | None]) -> None:
    typer.echo(f"{len(diagnoses)} cases")
    for name, count in Counter(name or "(no diagnosis)" for name in diagnoses).most_common():
        typer.echo(f"{count:6d} {name}")


def _finish(report: PrepareReport, *, skip_bad: bool) -> None:
    """Say what was made; exit with 1 if something was bad and nobody asked to leave it out, or nothing is left."""
    for bad in report.bad:
        typer.echo(f"bad: {bad.case_id or 'no id'}: {bad.reason}", err=True)
    _counts([case.diagnosis for case in report.cases])
    typer.echo(f"{report.made} images made, {report.kept} kept from before, {len(report.bad)} bad")
    if report.table is not None:
        typer.echo(report.table)
        return
    remedy = "" if skip_bad else ", or leave them out with --skip-bad"
    typer.echo(f"no table was written: mend what is listed above{remedy}", err=True)
    raise typer.Exit(1)
