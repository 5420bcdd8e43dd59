"""`dermquery describe`: what a configuration builds, or what an artifact holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dermquery.cli.common import expected_errors

__all__ = ["describe"]


@expected_errors
def describe(
    model: Annotated[str, typer.Argument(help="Configuration (lite, paper, demo, a TOML file) or artifact folder.")],
    overrides: Annotated[list[str], typer.Option("--set", help="Override a key of a configuration.")] = [],  # noqa: B006
) -> None:
    """Print the parts of a model and their parameter counts."""
    from dermquery.config import load_config, shipped_configs
    from dermquery.model.artifact import load_model, shipped_models
    from dermquery.model.network import ComposedNetwork, count_parameters

    console = Console()
    if model in shipped_models() or (Path(model) / "artifact.json").is_file():
        loaded = load_model(model)
        network = loaded.network
        console.print(f"[bold]{loaded.name}[/] {loaded.artifact_hash[:12]}  labels: {', '.join(loaded.labels)}")
    elif model in shipped_configs() or Path(model).is_file():
        network = ComposedNetwork(load_config(model, tuple(overrides)).model)
    else:
        known = ", ".join([*shipped_models(), *shipped_configs()])
        raise FileNotFoundError(f"no model or configuration {model!r}: give a folder, a TOML file, or one of {known}")
    config = network.config
    console.print(
        f"{config.vision.backbone} at {config.vision.image_size} px, {config.text.encoder}, width {config.width}"
    )
    table = Table("part", "parameters", title=f"one case is {network.layout.size} numbers")
    table.columns[1].justify = "right"
    for part, count in count_parameters(network).items():
        table.add_row(part, f"{count:,}")
    console.print(table)
