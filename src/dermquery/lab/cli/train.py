"""`dermquery train`, and the options that every training command shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console
from dermquery.data.case import Case
from dermquery.model.artifact import Storage

__all__ = [
    "AlsoOption",
    "cases_and_folds",
    "labelled_cases",
    "other_cases",
    "start_model",
    "teach",
    "train",
    "trainer_options",
    "tune",
]

TableArgument = Annotated[Path, typer.Argument(metavar="TABLE", help="Case table (CSV or Parquet) with diagnoses.")]
ConfigOption = Annotated[str, typer.Option("--config", "-c", help="TOML file, or a shipped one: lite, paper, demo.")]
SetOption = Annotated[list[str], typer.Option("--set", help="Override a key: train.epochs=20. Can be repeated.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder of the run; started again, a killed run goes on.")]
FoldsOption = Annotated[
    Path | None, typer.Option("--folds", help="Fold file; made with seed 0 and kept in --out if absent.")
]
StartOption = Annotated[
    str | None,
    typer.Option(
        "--start-from",
        metavar="MODEL",
        help="Model, or eye (`dermquery teach`), whose backbone is the start. It must not have seen a test case.",
    ),
]
AlsoOption = Annotated[
    Path | None,
    typer.Option(
        "--also",
        metavar="TABLE",
        help="A further table whose images and diagnoses are learnt from, too; without its held-out fifth.",
    ),
]
DevicesOption = Annotated[int, typer.Option(min=1, help="Processes, one for each GPU (or for the processor's halves).")]
AcceleratorOption = Annotated[Literal["auto", "cpu", "gpu"], typer.Option(help="What trains.")]


@expected_errors
def train(
    table: TableArgument,
    out: OutOption,
    config: ConfigOption = "lite",
    overrides: SetOption = [],  # noqa: B006 - typer makes its own copy
    folds: FoldsOption = None,
    fold: Annotated[int, typer.Option(help="Which fold's training and validation parts are used.")] = 0,
    start_from: StartOption = None,
    also: AlsoOption = None,
    name: Annotated[str, typer.Option(help="Name of the artifact.")] = "model",
    storage: Annotated[
        Storage, typer.Option(help="Numbers that the weights are stored as: float32, float16 or int8.")
    ] = "float32",
    reference_text: Annotated[
        bool, typer.Option("--reference-text", help="Leave a frozen text encoder out; its package provides it.")
    ] = False,
    devices: DevicesOption = 1,
    accelerator: AcceleratorOption = "auto",
) -> None:
    """Train on one split; writes the artifact to OUT/model, logs and checkpoints to OUT."""
    from dermquery.lab.config import load_config
    from dermquery.lab.experiment import train as run

    settings = load_config(config, tuple(overrides))
    cases, splits = cases_and_folds(table, folds, out)
    facts = splits.facts(fold)
    model = run(
        splits.split(cases, fold), settings, out, name=name, facts=facts, storage=storage,
        reference_text=reference_text, start=start_model(start_from), others=other_cases(also),
        **trainer_options(devices, accelerator),
    )  # fmt: skip
    best = model.provenance["best"]
    console = Console()
    chosen = "" if best["validation_map"] is None else f", validation mAP {best['validation_map']:.3f}"
    console.print(f"kept epoch {best['epoch']} of {best['epochs']}{chosen}")
    console.print(f"[bold]{out / 'model'}[/] {model.artifact_hash[:12]}")


@expected_errors
def teach(
    table: TableArgument,
    out: OutOption,
    config: ConfigOption = "lite",
    overrides: SetOption = [],  # noqa: B006 - typer makes its own copy
    hold_out: Annotated[
        int, typer.Option(min=2, help="One lesion in so many is kept from the training, by a rule (docs/data.md).")
    ] = 5,
    name: Annotated[str, typer.Option(help="Name of the eye.")] = "eye",
    devices: DevicesOption = 1,
    accelerator: AcceleratorOption = "auto",
) -> None:
    """Teach a small backbone what a large one sees; writes OUT/eye, from which `train --start-from` goes on."""
    from dermquery.lab.config import load_config
    from dermquery.lab.experiment import held_out
    from dermquery.lab.experiment import teach as run

    cases = labelled_cases(table)
    chosen = [case for case in cases if not held_out(case, hold_out)]
    facts = {"table": table.name, "held_out": f"one lesion in {hold_out}"}
    eye = run(
        chosen, load_config(config, tuple(overrides)), out, name=name, facts=facts,
        **trainer_options(devices, accelerator),
    )  # fmt: skip
    Console().print(f"{len(chosen)} of {len(cases)} images taught; [bold]{out / 'eye'}[/] {eye.artifact_hash[:12]}")


@expected_errors
def tune(
    table: TableArgument,
    out: OutOption,
    config: ConfigOption = "lite",
    overrides: SetOption = [],  # noqa: B006 - typer makes its own copy
    folds: FoldsOption = None,
    fold: Annotated[int, typer.Option(help="This fold's test part is left out.")] = 0,
    name: Annotated[str, typer.Option(help="Name of the eye.")] = "tuned",
    devices: DevicesOption = 1,
    accelerator: AcceleratorOption = "auto",
) -> None:
    """Tune the teacher's last blocks on a fold's cases; writes OUT/eye, from which `train --start-from` goes on."""
    from dermquery.lab.config import load_config
    from dermquery.lab.experiment import tune as run

    settings = load_config(config, tuple(overrides))
    cases, splits = cases_and_folds(table, folds, out)
    parts = splits.split(cases, fold)
    facts = splits.facts(fold)
    chosen = [*parts.train, *parts.validation]
    eye = run(chosen, settings, out, name=name, facts=facts, **trainer_options(devices, accelerator))
    Console().print(f"{len(chosen)} of {len(cases)} cases; [bold]{out / 'eye'}[/] {eye.artifact_hash[:12]}")


def labelled_cases(table: Path) -> tuple[Case, ...]:
    """Cases with a diagnosis, of a table or a prepared folder."""
    from dermquery.data.case_table import read_cases

    return read_cases(table / "cases.csv" if table.is_dir() else table, need=("diagnosis",)).cases


def cases_and_folds(table: Path, folds: Path | None, out: Path) -> tuple[Any, Any]:
    """Cases of a table or a prepared folder, and their folds; without a file, those that OUT keeps or will keep.

    Folds of other cases, which a run kept that trained nothing, are made again.
    """
    from dermquery.lab.data.folds import Folds, FoldsError, make_folds
    from dermquery.lab.experiment import nothing_trained

    cases = labelled_cases(table)
    if folds is not None:
        return cases, Folds.load(folds, cases)
    kept = out / "folds.json"
    if kept.is_file():
        try:
            return cases, Folds.load(kept, cases)
        except FoldsError:
            if not ((out / "run.json").is_file() and nothing_trained(out)):
                raise
    out.mkdir(parents=True, exist_ok=True)
    made = make_folds(cases)
    made.save(kept)
    return cases, made


def other_cases(table: Path | None) -> list[Any]:
    """Cases of a further table, without those that are held out (:func:`dermquery.lab.experiment.held_out`)."""
    from dermquery.lab.experiment import HELD_OUT, held_out

    if table is None:
        return []
    cases = labelled_cases(table)
    return [case for case in cases if not held_out(case, HELD_OUT)]


def start_model(name_or_path: str | None) -> Any:
    """The taught backbone that a training starts from, if one is named."""
    from dermquery.lab.network.start import load_start

    return None if name_or_path is None else load_start(name_or_path)


def trainer_options(devices: int, accelerator: str) -> dict[str, Any]:
    """Keyword arguments of Lightning's trainer."""
    from dermquery.lab.train.progress import EpochProgress

    return {"devices": devices, "accelerator": accelerator, "callbacks": [EpochProgress()]}
