"""`dermquery compare`, `ablate` and `crossval`: many systems, or configurations of ours, on the same folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console
from dermquery.cli.width import columns_of_pipes, terminal_width
from dermquery.lab.cli.processes import run_jobs
from dermquery.lab.cli.train import (
    AcceleratorOption,
    AlsoOption,
    ConfigOption,
    DevicesOption,
    FoldsOption,
    OutOption,
    SetOption,
    StartOption,
    TableArgument,
    cases_and_folds,
    other_cases,
    start_model,
    trainer_options,
)

if TYPE_CHECKING:
    from dermquery.lab.experiment import Plan, Row

__all__ = ["ablate", "compare", "crossval"]

DataOption = Annotated[Path, typer.Option("--data", help="Case table with diagnoses, or the folder of `data prepare`.")]
OnlyOption = Annotated[list[int] | None, typer.Option("--fold", help="Only this fold. Can be repeated.")]
JobsOption = Annotated[int, typer.Option(min=1, help="Trainings at a time, each in its own process.")]
ReportOption = Annotated[bool, typer.Option("--report/--no-report", help="Write tables and figures at the end.")]


def _systems_listed(names: str) -> str:
    """``--systems help`` needs no data: it answers before other options are missed."""
    if names == "help":
        from dermquery.lab.experiment.registry import all_systems

        for listed in all_systems().values():
            typer.echo(f"{listed.key:22} {listed.title} (asks with {listed.asks}; gallery: {listed.gallery})")
        raise typer.Exit
    return names


def _parts_listed(names: str) -> str:
    """The same for ``--parts help``."""
    if names == "help":
        from dermquery.lab.experiment.ablation import ABLATIONS

        for listed in ABLATIONS.values():
            typer.echo(f"{listed.key:22} {listed.title:32} {' '.join(listed.overrides)}")
        raise typer.Exit
    return names


@dataclass(frozen=True)
class _Request:
    """The options that the commands share."""

    data: Path
    out: Path
    folds: Path | None
    config: str
    overrides: Sequence[str]
    start_from: str | None
    only: Sequence[int] | None
    jobs: int
    report: bool
    accelerator: str
    devices: int = 1
    json_path: Path | None = None
    others: Path | None = None

    def child(self, *command: str) -> list[str]:
        """Arguments of a process that trains a part: ``command`` and what all of them need."""
        options = ["--out", str(self.out), "--folds", str(self.out / "folds.json"), "--no-report"]
        options += ["--config", self.config, "--accelerator", self.accelerator]
        options += [part for override in self.overrides for part in ("--set", override)]
        options += [] if self.others is None else ["--also", str(self.others)]
        return [*command, *options, *([] if self.start_from is None else ["--start-from", self.start_from])]


@expected_errors
def compare(
    data: DataOption,
    out: OutOption,
    systems: Annotated[
        str,
        typer.Option(
            help="Systems by name, separated by commas; all if absent. `--systems help` lists them.",
            callback=_systems_listed,
            is_eager=True,
        ),
    ] = "all",
    folds: FoldsOption = None,
    config: ConfigOption = "lite",
    overrides: SetOption = [],  # noqa: B006 - typer makes its own copy
    start_from: StartOption = None,
    also: AlsoOption = None,
    only: OnlyOption = None,
    jobs: JobsOption = 1,
    report: ReportOption = True,
    accelerator: AcceleratorOption = "auto",
) -> None:
    """Train and ask every system on every fold, and write the paper's tables; the first system is the reference."""
    from dermquery.lab.config import load_config
    from dermquery.lab.experiment.comparison import Row
    from dermquery.lab.experiment.registry import all_systems, system

    possible = [key for key, listed in all_systems().items() if start_from is not None or not listed.needs_start]
    keys = possible if systems == "all" else list(dict.fromkeys(part.strip() for part in systems.split(",")))
    chosen = [system(key) for key in keys]
    if unfounded := [key for key in keys if key not in possible]:
        raise ValueError(f"the system {unfounded[0]!r} searches by a taught backbone: give it with --start-from")
    settings = load_config(config, tuple(overrides))
    rows = [Row(listed.title, listed, settings) for listed in chosen]
    groups: dict[str, list[str]] = {}
    for listed in chosen:
        groups.setdefault(listed.job, []).append(listed.key)
    request = _Request(data, out, folds, config, overrides, start_from, only, jobs, report, accelerator, others=also)
    command = request.child("compare", "--data", str(data))
    _run(
        request, rows, [{name: [*command, "--systems", ",".join(keys)] for name, keys in groups.items()}], "Comparison"
    )


@expected_errors
def ablate(
    data: DataOption,
    out: OutOption,
    parts: Annotated[
        str,
        typer.Option(
            help="Ablations by name, separated by commas; all if absent. `--parts help` lists them.",
            callback=_parts_listed,
            is_eager=True,
        ),
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

    keys = list(ABLATIONS) if parts == "all" else [part.strip() for part in parts.split(",")]
    rows = ablation_rows(keys, lambda more: load_config(config, (*overrides, *more)))
    request = _Request(data, out, folds, config, overrides, start_from, only, jobs, report, accelerator)
    command = [*request.child("ablate", "--data", str(data)), "--parts"]
    # The whole model first, for every other part would train it too.
    rounds = [{"whole": [*command, "whole"]}, {key: [*command, key] for key in dict.fromkeys(keys) if key != "whole"}]
    _run(request, rows, rounds, "Ablations")


@expected_errors
def crossval(
    table: TableArgument,
    out: OutOption,
    config: ConfigOption = "lite",
    overrides: SetOption = [],  # noqa: B006 - typer makes its own copy
    folds: FoldsOption = None,
    start_from: StartOption = None,
    only: OnlyOption = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Result file; OUT/result.json if absent.")
    ] = None,
    jobs: JobsOption = 1,
    report: ReportOption = True,
    devices: DevicesOption = 1,
    accelerator: AcceleratorOption = "auto",
) -> None:
    """Train our model on every fold and ask with each part of the query; each fold's model is in OUT/fold-I/model."""
    from dermquery.lab.config import load_config
    from dermquery.lab.experiment import crossval_rows

    request = _Request(
        table, out, folds, config, overrides, start_from, only, jobs, report, accelerator, devices, json_path
    )
    child = request.child("crossval", str(table), "--devices", str(devices))
    rows = crossval_rows(load_config(config, tuple(overrides)))
    _run(request, rows, [{"crossval": child}], "Cross-validation", single=True)


def _run(
    request: _Request,
    rows: Sequence[Row],
    rounds: Sequence[Mapping[str, list[str]]],
    title: str,
    *,
    single: bool = False,
) -> None:
    """Predict, then report.

    Args:
        request: data, folder, and how to train.
        rows: of the comparison.
        rounds: with several jobs, the commands of each round by name, to be run once for every fold; this process does
            what they leave.
        title: of the tables.
        single: keep the only training of each fold in OUT/fold-I.
    """
    from dermquery.lab.experiment import Plan, predict

    cases, splits = cases_and_folds(request.data, request.folds, request.out)
    unknown = sorted(set(request.only or ()) - set(range(splits.n_splits)))
    if unknown:
        raise ValueError(f"--fold {unknown[0]}: there are folds 0 to {splits.n_splits - 1}")
    folds = sorted(set(request.only or range(splits.n_splits)))
    start, others = start_model(request.start_from), other_cases(request.others)
    if request.jobs > 1:
        splits.save(request.out / "folds.json")
        for commands in rounds:
            children = {f"{name}-fold-{i}": [*line, "--fold", str(i)] for i in folds for name, line in commands.items()}
            run_jobs(children, request.jobs, request.out / "logs")
    plan = Plan(cases, splits, request.out, start, others, single)
    predict(plan, rows, folds, say=Console().print, **trainer_options(request.devices, request.accelerator))
    if request.report:
        _report(plan, rows, folds, title, request.json_path or request.out / "result.json")


def _report(plan: Plan, rows: Sequence[Row], folds: Sequence[int], title: str, target: Path) -> None:
    """Write the result as JSON and Markdown, tables as CSV and LaTeX, figures and typical answers; print the tables."""
    from dermquery.lab.cli.result_tables import comparison_files, comparison_tables
    from dermquery.lab.evaluate.figures import write_figures
    from dermquery.lab.experiment import report, write_result
    from dermquery.lab.experiment.figure4 import typical_answers, write_answers

    result = report(plan, rows, folds)
    write_result(target, result)
    tables = comparison_tables(result, title)
    target.with_suffix(".md").write_text(tables, encoding="utf-8")
    (plan.out / "tables").mkdir(exist_ok=True)
    for name, text in comparison_files(result).items():
        (plan.out / "tables" / name).write_text(text, encoding="utf-8")
    write_figures(result, plan.out / "figures")
    if rows[0].system.key == "composed":
        heading = f"{rows[0].title}: fold {folds[0]}, seen gallery"
        write_answers(typical_answers(plan, rows[0], folds[0]), plan.out, heading)
    typer.echo(columns_of_pipes(tables, terminal_width()))
    typer.echo("\n".join(map(str, (target, target.with_suffix(".md"), plan.out / "tables", plan.out / "figures"))))
