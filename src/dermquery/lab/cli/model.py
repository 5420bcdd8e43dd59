"""`dermquery describe-config` and `dermquery pack`: what a network holds, and how a model is given to others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console
from dermquery.lab.cli.train import AlsoOption, labelled_cases, other_cases
from dermquery.model.artifact import Storage

__all__ = ["describe_config", "fit_heads", "pack"]


@expected_errors
def describe_config(
    name: Annotated[str, typer.Argument(metavar="CONFIG", help="Configuration: lite, paper, demo, or a TOML file.")],
    overrides: Annotated[list[str], typer.Option("--set", help="Override a key of the configuration.")] = [],  # noqa: B006
) -> None:
    """Build the network of a configuration and print its parts and their parameter counts."""
    from dermquery.lab.config import load_config
    from dermquery.lab.network.network import ComposedNetwork, count_parameters

    console = Console()
    network = ComposedNetwork(load_config(name, tuple(overrides)).model)
    config = network.config
    console.print(
        f"{config.vision.backbone} at {config.vision.image_size} px, {config.text.encoder}, width {config.width}"
    )
    table = Table("part", "parameters", title=f"one case is {network.layout.size} numbers")
    table.columns[1].justify = "right"
    for part, count in count_parameters(network).items():
        table.add_row(part, f"{count:,}")
    console.print(table)


@expected_errors
def fit_heads(
    model: Annotated[str, typer.Argument(help="Artifact folder, such as RUN/model.")],
    data: Annotated[Path, typer.Option("--data", help="Table, or prepared folder, that it was trained on.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write, for `pack --heads`.")],
    folds: Annotated[Path | None, typer.Option(help="Fold file; the published one of the table if absent.")] = None,
    fold: Annotated[
        int | None, typer.Option(help="Leave out this fold's test part; the model's own fold if it has one.")
    ] = None,
    also: AlsoOption = None,
    width: Annotated[int, typer.Option(min=8, help="Numbers that each block of equation 9 keeps.")] = 64,
) -> None:
    """Fit heads on a trained model: diagnosis, findings and look, a turn that narrows vectors, and the presets."""
    from dermquery.lab.data.folds import Folds, published_folds
    from dermquery.lab.experiment import fit_readout
    from dermquery.lab.network.eager import load_trained
    from dermquery.model.readout import write_heads_file

    loaded = load_trained(model)
    cases = labelled_cases(data)
    chosen = list(cases)
    left_out = loaded.provenance.get("fold") if fold is None else fold
    if left_out is not None:
        splits = published_folds(cases) if folds is None else Folds.load(folds, cases)
        parts = splits.split(cases, left_out)
        chosen = [*parts.train, *parts.validation]
    readout, facts = fit_readout(loaded, chosen, other_cases(also), width)
    write_heads_file(out, readout)
    console = Console()
    for name, values in {"image": facts["image"], "checklist": facts["checklist"], **facts["findings"]}.items():
        console.print(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in values.items()))
    console.print(f"[bold]{out}[/], fitted on {facts['cases']} cases")


@expected_errors
def pack(
    model: Annotated[str, typer.Argument(help="Artifact folder, such as RUN/model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="New folder of the packed artifact.")],
    name: Annotated[str | None, typer.Option(help="New name; the model's own if absent.")] = None,
    notes: Annotated[
        Path | None, typer.Option(help="Markdown for the model card: data and terms, intended use, limits.")
    ] = None,
    evaluations: Annotated[
        list[Path] | None,
        typer.Option("--evaluation", help="JSON that `evaluate` wrote; its tables go into the card. Can be repeated."),
    ] = None,
    storage: Annotated[
        Storage, typer.Option(help="Numbers that the weights are stored as: float32, float16 or int8.")
    ] = "float32",
    reference_text: Annotated[
        bool, typer.Option("--reference-text", help="Leave a frozen text encoder out; its package provides it.")
    ] = False,
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(help="Table whose images it was trained on, for a model that does not say. Can be repeated."),
    ] = None,
    without: Annotated[
        list[Path] | None, typer.Option(help="Table whose images are taken out of --trained-on again.")
    ] = None,
    heads: Annotated[
        Path | None, typer.Option(help="Heads, turn and presets of the vectors, fitted for this very model.")
    ] = None,
) -> None:
    """Write a model as it is given to others: smaller, named, with a card that holds its figures."""
    from dermquery.data.case_table import read_cases
    from dermquery.lab.data.trained_on import fingerprints_of
    from dermquery.lab.network.eager import load_trained
    from dermquery.lab.network.model_card import model_card
    from dermquery.lab.network.pack import save_model
    from dermquery.model.readout import read_heads_file
    from dermquery.model.trained_on import joined

    if (out / "artifact.json").exists():
        raise FileExistsError(f"{out} already holds an artifact; choose another --out, or remove it")
    loaded, readout = load_trained(model), None if heads is None else read_heads_file(heads)
    text = [] if notes is None else [notes.read_text(encoding="utf-8").strip()]
    text += _evaluation_sections(evaluations or ())
    loaded.provenance = {**loaded.provenance, "packed_from": {"name": loaded.name, "artifact": loaded.artifact_hash}}
    loaded.name = name or loaded.name
    if trained_on:
        left_out = {case.case_id for table in without or () for case in read_cases(table)}
        taught = [case for table in trained_on for case in read_cases(table) if case.case_id not in left_out]
        loaded.trained_on = fingerprints_of(taught, loaded.trained_on)
    if readout is not None:
        loaded.trained_on = joined((), loaded.trained_on, readout.trained_on)
    found = save_model(
        loaded,
        out,
        card=model_card(loaded, "\n\n".join(text)),
        storage=storage,
        reference_text=reference_text,
        readout=readout,
    )
    size = sum(path.stat().st_size for path in out.iterdir())
    Console().print(f"[bold]{out}[/] {found[:12]}, {size / 1e6:.1f} MB")


def _evaluation_sections(paths: Sequence[Path]) -> list[str]:
    """Tables of the evaluations for the model card; those of one protocol and fold stand in one table as its rows."""
    from dermquery.lab.cli.result_tables import evaluation_tables, row_name, strata_tables
    from dermquery.lab.evaluate.protocols import Protocol

    sections: dict[str, dict[str, Any]] = {}
    for path in paths:
        result = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(result, dict) or not {"protocol", "micro", "provenance"} <= result.keys():
            raise ValueError(f"{path} is no evaluation; give the JSON that `dermquery evaluate --json` wrote")
        facts = result["provenance"]
        fold = f", fold {facts['fold']} of the folds `{facts['folds_sha256'][:12]}`" if "fold" in facts else ""
        sections.setdefault(f"{Protocol(result['protocol']).heading}{fold}", {})[row_name(facts)] = result
    return [
        f"## {heading}\n\n"
        + (evaluation_tables(rows) + "".join(strata_tables(row.get("strata", {})) for row in rows.values())).strip()
        for heading, rows in sections.items()
    ]
