"""`dermquery compare` and `dermquery ablate`: many systems, or many configurations of ours, on the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from dermquery.cli.common import expected_errors
from dermquery.cli.jobs import run_jobs
from dermquery.cli.train import (
    AcceleratorOption,
    ConfigOption,
    SetOption,
    StartOption,
    cases_and_folds,
    start_model,
    trainer_options,
)

__all__ = ["compare"]

DataOption = Annotated[Path, typer.Option("--data", help="Case table with diagnoses, or the folder of `data prepare`.")]
FoldsOption = Annotated[
    Path | None, typer.Option("--folds", help="Fold file; made with seed 0 and kept in --out if absent.")
]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the comparison; started again, it goes on.")]
OnlyOption = Annotated[list[int] | None, typer.Option("--fold", help="Only this fold. Can be repeated.")]
JobsOption = Annotated[int, typer.Option(min=1, help="Trainings at a time, each in its own process.")]
ReportOption = Annotated[bool, typer.Option("--report/--no-report", help="Write tables and figures at the end.")]


@expected_errors
def compare(
    data: DataOption,
    out: OutOption,
    systems: Annotated[
        str, typer.Option(help="Systems by name, separated by commas; all if absent. `--systems help` lists them.")
    ] = "all",
    folds: FoldsOption = None,
    config: ConfigOption = "lite",
    overrides: SetOption = [],  # noqa: B006 - typer makes its own copy
    start_from: StartOption = None,
    only: OnlyOption = None,
    jobs: JobsOption = 1,
    report: ReportOption = True,
    accelerator: AcceleratorOption = "auto",
) -> None:
    """Train and ask every system on every fold, and write the paper's tables; the first system is the reference."""
    from dermquery.config import load_config
    from dermquery.experiment.compare import Row
    from dermquery.experiment.systems import SYSTEMS, system

    if systems == "help":
        for listed in SYSTEMS.values():
            typer.echo(f"{listed.key:22} {listed.title} (asks with {listed.asks}; gallery: {listed.gallery})")
        return
    keys = list(SYSTEMS) if systems == "all" else list(dict.fromkeys(part.strip() for part in systems.split(",")))
    chosen = [system(key) for key in keys]
    settings = load_config(config, tuple(overrides))
    rows = [Row(listed.title, listed, settings) for listed in chosen]
    command = ["compare", "--data", str(data), "--out", str(out), "--config", config, "--accelerator", accelerator]
    command += [part for override in overrides for part in ("--set", override)]
    command += [] if start_from is None else ["--start-from", start_from]
    groups: dict[str, list[str]] = {}
    for listed in chosen:
        groups.setdefault(listed.training or "untrained", []).append(listed.key)
    children = {name: [*command, "--systems", ",".join(keys)] for name, keys in groups.items()}
    _run(data, folds, out, rows, children, only, jobs, start_from, report=report, accelerator=accelerator)


def _run(
    data: Path,
    folds: Path | None,
    out: Path,
    rows: Sequence[Any],
    children: dict[str, list[str]],
    only: Sequence[int] | None,
    jobs: int,
    start_from: str | None,
    *,
    report: bool,
    accelerator: str,
) -> None:
    """Predict, in processes of their own if several jobs are allowed, and report."""
    from dermquery.experiment.compare import Plan, predict

    cases, splits = cases_and_folds(data, folds, out)
    chosen = sorted(set(only)) if only else list(range(splits.n_splits))
    console = Console()
    plan = Plan(cases, splits, out, start_model(start_from))
    if jobs > 1:
        splits.save(out / "folds.json")
        more = ["--folds", str(out / "folds.json"), "--no-report"]
        run_jobs(
            {
                f"{name}-fold-{fold}": [*command, *more, "--fold", str(fold)]
                for fold in chosen
                for name, command in children.items()
            },
            jobs, out / "logs",
        )  # fmt: skip
    predict(plan, rows, chosen, say=console.print, **trainer_options(1, accelerator))
    if report:
        typer.echo("report")
