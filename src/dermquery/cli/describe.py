"""``dermquery describe``: what a model is, what it was trained on, and what runs it here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console

if TYPE_CHECKING:
    from dermquery.model.parts import PartLayout, Weights

__all__ = ["describe"]

_SYMBOLS = {"posterior": "ρ", "local_weight": "λ"}


def _parts(layout: PartLayout) -> str:
    """The parts of a vector and their lengths, as far as they have any."""
    lengths = {name: part.stop - part.start for name, part in layout.slices.items()}
    return ", ".join(f"{name} {n}" for name, n in lengths.items() if n)


def _short(weights: Weights) -> str:
    """The weights but those of nothing; ρ and λ by the names of the equations, short enough for a narrow terminal."""
    values = {name: value for name, value in weights.model_dump().items() if value or name == "local_weight"}
    return ", ".join(f"{_SYMBOLS.get(name, name)}={value:g}" for name, value in values.items())


@expected_errors
def describe(
    model: Annotated[str, typer.Argument(help="Name of a shipped model, or the folder of an artifact.")],
) -> None:
    """Say what a model is: its network, labels, files, and the runtime that encodes with it on this machine."""
    from dermquery.model.artifact import artifact_folder, open_artifact
    from dermquery.model.load import load_model
    from dermquery.model.training_words import training_words

    loaded, artifact = load_model(model), open_artifact(artifact_folder(model))
    config, facts = loaded.config, loaded.provenance
    vision, text = config.vision, config.text
    table = Table(
        show_header=False, box=None, title=f"{loaded.name}  {loaded.artifact_hash[:12]}", title_justify="left"
    )
    rows = {
        "runtime": loaded.runtime.name,
        "labels": ", ".join(loaded.labels) or "none",
        "image": f"{vision.backbone} at {vision.image_size} px, levels {', '.join(config.levels)}",
        "text": f"{text.encoder}, {'read into findings' if text.reading == 'findings' else 'encoded as written'}",
        "regions": f"{config.regions.count} masks a level",
        "a case is": f"{loaded.layout.size} numbers: {_parts(loaded.layout)}",
        "presets": "\n".join(f"{name}: {_short(weights)}" for name, weights in loaded.presets.items()),
        "parameters": ", ".join(f"{part} {n:,}" for part, n in facts.get("parameters", {}).items()) or "unknown",
        "training": "\n".join(training_words(facts)),
        "replaces": ", ".join(found[:12] for found in loaded.replaces) or "none",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    for path in sorted(artifact.folder.iterdir()):
        if path.name in artifact.manifest.files:
            table.add_row(
                path.name, f"{path.stat().st_size:,} bytes, SHA-256 {artifact.manifest.files[path.name][:12]}"
            )
    Console().print(table, highlight=False)
