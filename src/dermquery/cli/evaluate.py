"""`dermquery evaluate`: one model, two case tables, one protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dermquery.cli.common import expected_errors

__all__ = ["evaluate"]


@expected_errors
def evaluate(
    model: Annotated[str, typer.Option("--model", "-m", help="Artifact folder or name of a shipped model.")],
    gallery: Annotated[Path | None, typer.Option(help="Case table that is searched.")] = None,
    queries: Annotated[Path | None, typer.Option(help="Case table whose cases ask; the gallery's if absent.")] = None,
    data: Annotated[Path | None, typer.Option(help="Case table, or a prepared folder, that --folds splits.")] = None,
    folds: Annotated[Path | None, typer.Option(help="Fold file, for the seen and unseen protocols.")] = None,
    fold: Annotated[int, typer.Option(help="Which fold's test part asks.")] = 0,
    protocol: Annotated[str, typer.Option(help="seen, unseen or external.")] = "external",
    query: Annotated[
        str, typer.Option(help="Part of the query used: composed, 'image only' or 'text only'.")
    ] = "composed",
    local_weight: Annotated[float | None, typer.Option(help="λ of equation 9; the model's own if absent.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the block here.")] = None,
) -> None:
    """Rank a gallery for every query and judge the rankings; a query never retrieves its own case or lesion."""
    from dermquery.cli.tables import evaluation_tables
    from dermquery.data.folds import Folds
    from dermquery.data.table import read_cases
    from dermquery.evaluate.protocols import Protocol, protocol_sets
    from dermquery.experiment import evaluate_model, provenance, write_json
    from dermquery.model.artifact import load_model
    from dermquery.rankers.composed import query_parts

    chosen, parts = Protocol(protocol), query_parts(query)
    facts: dict[str, object] = {"model": model}
    if chosen is Protocol.EXTERNAL:
        if gallery is None:
            raise ValueError("the external protocol needs --gallery (and --queries, if others ask)")
        searched = list(read_cases(gallery, need=("diagnosis",)))
        asking = searched if queries is None else list(read_cases(queries, need=("diagnosis",)))
    else:
        if data is None or folds is None:
            raise ValueError(f"the {chosen} protocol needs --data and --folds (made by `dermquery data folds`)")
        cases = read_cases(data / "cases.csv" if data.is_dir() else data, need=("diagnosis",)).cases
        splits = Folds.load(folds, cases)
        asking, searched = protocol_sets(chosen, splits, fold, cases)
        facts |= {"fold": fold, "folds_sha256": splits.sha256, "folds_seed": splits.seed}
    encoder = load_model(model)
    block = evaluate_model(encoder, asking, searched, chosen, parts=parts, local_weight=local_weight)
    weight = encoder.local_weight if local_weight is None else local_weight
    facts |= {"artifact": encoder.artifact_hash, "query": query, "local_weight": weight}
    result = {**block.model_dump(mode="json"), "provenance": provenance(**facts)}
    if json_path is not None:
        write_json(json_path, result)
    typer.echo(evaluation_tables({query: result}))
