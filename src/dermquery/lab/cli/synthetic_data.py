"""`dermquery data synthesize` and `dermquery data folds`: render cases, split cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dermquery.cli.bars import bar
from dermquery.cli.data import OutOption, print_counts
from dermquery.cli.expected_errors import expected_errors

__all__ = ["folds", "synthesize"]


@expected_errors
def synthesize(
    out: OutOption,
    n: Annotated[int, typer.Option("--n", help="Number of cases.")] = 600,
    seed: Annotated[int, typer.Option("--seed", help="Case i depends on it and on i alone.")] = 7,
    size: Annotated[int, typer.Option("--size", min=32, help="Width and height of the images in pixels.")] = 512,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes that render.")] = 2,
    quality: Annotated[int, typer.Option("--quality", min=1, max=95, help="Quality of the JPEG images.")] = 92,
    masks: Annotated[bool, typer.Option("--masks/--no-masks", help="Write the mask of every structure.")] = True,
) -> None:
    """Render synthetic dermoscopy cases with the mask of every structure."""
    from dermquery.data.case_table import read_cases
    from dermquery.lab.synthetic import synthesize as run

    done = 0
    with bar("rendering") as step:

        def one(count: int) -> None:
            nonlocal done
            done += count
            step(done, n)

        table = run(out, n=n, seed=seed, size=(size, size), workers=workers, quality=quality, masks=masks, progress=one)
    print_counts([case.diagnosis for case in read_cases(table, check_images=False)])
    typer.echo(f"{table}\nThese cases are synthetic.")


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
    from dermquery.data.case_table import read_cases
    from dermquery.lab.data.folds import make_folds

    made = make_folds(read_cases(table, need=("diagnosis",)), n_splits, seed, validation_share)
    made.save(out)
    for i, fold in enumerate(made.folds):
        typer.echo(f"fold {i}: {len(fold.train)} train, {len(fold.validation)} validation, {len(fold.test)} test")
    typer.echo(f"{out} {made.sha256[:12]}")
