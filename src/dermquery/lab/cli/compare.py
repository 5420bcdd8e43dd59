"""`dermquery compare` and `dermquery ablate`: many systems, or many configurations of ours, on the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from dermquery.cli.expected_errors import expected_errors
from dermquery.lab.cli.processes import run_jobs
from dermquery.lab.cli.train import (
    AcceleratorOption,
    ConfigOption,
    SetOption,
    StartOption,
    cases_and_folds,
    start_model,
    trainer_options,
)

if TYPE_CHECKING:
    from dermquery.lab.experiment.comparison import Plan, Row

__all__ = ["ablate", "compare"]

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
    from dermquery.lab.config import load_config
    from dermquery.lab.experiment.comparison import Row
    from dermquery.lab.experiment.registry import SYSTEMS, system

    if systems == "help":
        for listed in SYSTEMS.values():
            typer.echo(f"{listed.key:22} {listed.title} (asks with {listed.asks}; gallery: {listed.gallery})")
        return
    keys = list(SYSTEMS) if systems == "all" else list(dict.fromkeys(part.strip() for part in systems.split(",")))
    chosen = [system(key) for key in keys]
    settings = load_config(config, tuple(overrides))
    rows = [Row(listed.title, listed, settings) for listed in chosen]
    groups: dict[str, list[str]] = {}
    for listed in chosen:
        groups.setdefault(listed.training or "untrained", []).append(listed.key)
    options = _options(data, out, config, overrides, start_from, accelerator)
    children = {name: ["compare", *options, "--systems", ",".join(group)] for name, group in groups.items()}
    plan, numbers = _plan(data, folds, out, start_from, only)
    _predict(plan, rows, numbers, children, jobs, accelerator)
    if report:
        _report(plan, rows, numbers, "Comparison")


@expected_errors
def ablate(
    data: DataOption,
    out: OutOption,
    parts: Annotated[
        str, typer.Option(help="Ablations by name, separated by commas; all if absent. `--parts help` lists them.")
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
    """Train our model without each of its parts in turn, and write the same tables against the whole model."""
    from dermquery.lab.config import load_config
    from dermquery.lab.experiment.ablation import ABLATIONS, ablation_rows

    if parts == "help":
        for listed in ABLATIONS.values():
            typer.echo(f"{listed.key:22} {listed.title:32} {' '.join(listed.overrides)}")
        return
    keys = list(ABLATIONS) if parts == "all" else [part.strip() for part in parts.split(",")]
    rows = ablation_rows(keys, lambda more: load_config(config, (*overrides, *more)))
    options = _options(data, out, config, overrides, start_from, accelerator)
    # The first child trains the whole model, which every other one would ask for too.
    children = {key: ["ablate", *options, "--parts", key] for key in dict.fromkeys(keys)}
    plan, numbers = _plan(data, folds, out, start_from, only)
    if jobs > 1:
        _predict(plan, rows[:1], numbers, {"whole": ["ablate", *options, "--parts", "whole"]}, jobs, accelerator)
    _predict(plan, rows, numbers, children, jobs, accelerator)
    if report:
        _report(plan, rows, numbers, "Ablations")


def _options(
    data: Path, out: Path, config: str, overrides: Sequence[str], start_from: str | None, accelerator: str
) -> list[str]:
    """What a child process is given as it is."""
    options = ["--data", str(data), "--out", str(out), "--config", config, "--accelerator", accelerator]
    options += [part for override in overrides for part in ("--set", override)]
    return options + ([] if start_from is None else ["--start-from", start_from])


def _plan(
    data: Path, folds: Path | None, out: Path, start_from: str | None, only: Sequence[int] | None
) -> tuple[Plan, list[int]]:
    """Data and folder of a comparison, and the numbers of its folds."""
    from dermquery.lab.experiment.comparison import Plan

    cases, splits = cases_and_folds(data, folds, out)
    unknown = sorted(set(only or ()) - set(range(splits.n_splits)))
    if unknown:
        raise ValueError(f"--fold {unknown[0]}: there are folds 0 to {splits.n_splits - 1}")
    return Plan(cases, splits, out, start_model(start_from)), sorted(set(only or range(splits.n_splits)))


def _predict(
    plan: Plan, rows: Sequence[Row], folds: Sequence[int], children: dict[str, list[str]], jobs: int, accelerator: str
) -> None:
    """Predict, with several jobs in processes of their own; what they leave is done here."""
    from dermquery.lab.experiment.comparison import predict

    if jobs > 1:
        plan.folds.save(plan.out / "folds.json")
        more = ["--folds", str(plan.out / "folds.json"), "--no-report"]
        commands = {
            f"{name}-fold-{fold}": [*command, *more, "--fold", str(fold)]
            for fold in folds
            for name, command in children.items()
        }
        run_jobs(commands, jobs, plan.out / "logs")
    predict(plan, rows, folds, say=Console().print, **trainer_options(1, accelerator))


def _report(plan: Plan, rows: Sequence[Row], folds: Sequence[int], title: str) -> None:
    """Write ``result.json`` and ``.md``, tables as CSV and LaTeX, figures, and typical answers; print the tables."""
    from dermquery.lab.cli.result_tables import comparison_files, comparison_tables
    from dermquery.lab.evaluate.figures import write_figures
    from dermquery.lab.experiment import write_json
    from dermquery.lab.experiment.comparison_result import report
    from dermquery.lab.experiment.figure4 import typical_answers, write_answers

    result = report(plan, rows, folds)
    write_json(plan.out / "result.json", result)
    tables = comparison_tables(result, title)
    (plan.out / "result.md").write_text(tables, encoding="utf-8")
    (plan.out / "tables").mkdir(exist_ok=True)
    for name, text in comparison_files(result).items():
        (plan.out / "tables" / name).write_text(text, encoding="utf-8")
    write_figures(result, plan.out / "figures")
    if rows[0].system.key == "composed":
        heading = f"{rows[0].title}: fold {folds[0]}, seen gallery"
        write_answers(typical_answers(plan, rows[0], folds[0]), plan.out, heading)
    typer.echo(tables)
    typer.echo(f"{plan.out / 'result.json'}\n{plan.out / 'result.md'}\n{plan.out / 'tables'}\n{plan.out / 'figures'}")
