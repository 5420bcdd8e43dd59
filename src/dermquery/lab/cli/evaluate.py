"""`dermquery evaluate`, `evaluate-text`, `evaluate-regions` and `figures`: evaluate one model, draw results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console
from dermquery.cli.width import columns_of_pipes, terminal_width
from dermquery.lab.cli.asked_cases import asked_sets, check_asked, grouped, held_out_of
from dermquery.lab.cli.train import labelled_cases

__all__ = ["evaluate", "evaluate_eye", "evaluate_regions", "evaluate_text", "figures"]

ModelOption = Annotated[str, typer.Option("--model", "-m", help="Artifact folder or name of a shipped model.")]
GalleryOption = Annotated[Path | None, typer.Option(help="Case table that is searched.")]
QueriesOption = Annotated[Path | None, typer.Option(help="Case table whose cases ask; the gallery's if absent.")]
DataOption = Annotated[Path | None, typer.Option(help="Case table, or a prepared folder, that --folds splits.")]
FoldsOption = Annotated[
    Path | None,
    typer.Option(help="Fold file, for the seen and unseen protocols; the published one of the table if absent."),
]
FoldOption = Annotated[int, typer.Option(help="Which fold's test part asks.")]
ProtocolOption = Annotated[str, typer.Option(help="seen, unseen or external.")]
JsonOption = Annotated[Path | None, typer.Option("--json", dir_okay=False, help="Write the result here.")]
RowsOption = Annotated[
    Path | None,
    typer.Option(
        "--json",
        dir_okay=False,
        help="Write the result here, and every query's values beside it, with the ending .parquet.",
    ),
]


@expected_errors
def evaluate(
    model: ModelOption,
    gallery: GalleryOption = None,
    queries: QueriesOption = None,
    data: DataOption = None,
    folds: FoldsOption = None,
    fold: FoldOption = 0,
    protocol: ProtocolOption = "external",
    query: Annotated[
        str, typer.Option(help="Part used: composed, 'image only', 'text only'; or 'frozen features', untrained.")
    ] = "composed",
    weights: Annotated[
        str | None,
        typer.Option(help="Preset, such as balanced, or meaning=1,findings=.5,look=.3; equation 9 alone if absent."),
    ] = None,
    local_weight: Annotated[float | None, typer.Option(help="λ of equation 9; the model's own if absent.")] = None,
    held_out: Annotated[
        int | None,
        typer.Option(
            help="Of external tables only the lesions kept from training, one in so many by their ids.", min=1
        ),
    ] = None,
    include_known: Annotated[
        bool,
        typer.Option(
            "--include-known", help="Let cases ask that the model was trained on, too; the row says how many."
        ),
    ] = False,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Break down by a column: sex, site:1, age, ... Can be repeated.")
    ] = None,
    group_by: Annotated[
        str,
        typer.Option(help="Label that decides what is relevant: diagnosis, fine_diagnosis, diagnosis_path:1, ..."),
    ] = "diagnosis",
    json_path: RowsOption = None,
) -> None:
    """Rank a gallery for every query and judge the rankings; a query never retrieves its own case or lesion."""
    from dermquery.lab.cli.result_tables import evaluation_tables, row_name, strata_tables
    from dermquery.lab.evaluate.predictions import write_rows
    from dermquery.lab.evaluate.strata import check_columns, strata
    from dermquery.lab.experiment import evaluate_ranker, provenance, ranker_of, write_json
    from dermquery.model.load import load_model
    from dermquery.model.presets import PAPER_NAME

    asking, searched, facts = asked_sets(protocol, gallery, queries, data, folds, fold)
    if held_out is not None:
        asking, searched = held_out_of(asking, held_out, protocol), held_out_of(searched, held_out, protocol)
        facts["held_out"] = f"one lesion in {held_out}"
    check_columns(asking, by or ())
    asking, searched = grouped(asking, group_by), grouped(searched, group_by)
    encoder = load_model(model)
    ranker = ranker_of(encoder, query, local_weight, weights)
    facts |= check_asked(encoder, protocol, asking, searched, facts, include_known=include_known)
    block = evaluate_ranker(ranker, asking, searched, protocol)
    weight = encoder.local_weight if local_weight is None else local_weight
    facts |= {
        "model": model,
        "artifact": encoder.artifact_hash,
        "query": query,
        "local_weight": weight,
        "weights": weights or PAPER_NAME,
    } | ({} if group_by == "diagnosis" else {"group_by": group_by})
    parted = strata(block, asking, by or ())
    result = {**block.model_dump(mode="json"), "strata": parted, "provenance": provenance(**facts)}
    if json_path is not None:
        write_json(json_path, {name: value for name, value in result.items() if name != "per_query"})
        write_rows(json_path.with_suffix(".parquet"), block.per_query)
    tables = evaluation_tables({row_name(facts): result}) + strata_tables(parted)
    typer.echo(columns_of_pipes(tables, terminal_width()))


@expected_errors
def evaluate_text(
    model: ModelOption,
    gallery: GalleryOption = None,
    queries: QueriesOption = None,
    data: DataOption = None,
    folds: FoldsOption = None,
    fold: FoldOption = 0,
    protocol: ProtocolOption = "external",
    texts: Annotated[
        Path | None, typer.Option(help="Table of texts with the findings that they mean; the packaged one if absent.")
    ] = None,
    json_path: JsonOption = None,
) -> None:
    """Judge texts as people write them: what is read in them, and what the ranking loses against the plain findings."""
    from dermquery.lab.data.written import read_written
    from dermquery.lab.experiment import provenance, write_json
    from dermquery.lab.studies.written_texts import evaluate_texts
    from dermquery.model.load import load_model

    written = read_written(texts)
    asking, searched, facts = asked_sets(protocol, gallery, queries, data, folds, fold)
    encoder = load_model(model)
    facts |= check_asked(encoder, protocol, asking, searched, facts)
    facts |= {
        "model": model,
        "artifact": encoder.artifact_hash,
        "texts": str(texts or "packaged"),
        "protocol": protocol,
    }
    result = {**evaluate_texts(encoder, written, asking, searched), "provenance": provenance(**facts)}
    if json_path is not None:
        write_json(json_path, result)
    _print(result)


@expected_errors
def evaluate_regions(
    folder: Annotated[Path, typer.Argument(help="Synthetic cases with their masks, from `dermquery data synthesize`.")],
    model: ModelOption = "demo",
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first cases of the table.")] = None,
    json_path: JsonOption = None,
) -> None:
    """Do the region masks look at the structure that the text names? Pointing game and share of energy."""
    from dermquery.data.case_table import read_cases
    from dermquery.lab.experiment import provenance, write_json
    from dermquery.lab.studies.pointing import evaluate_regions as run
    from dermquery.model.load import load_model

    encoder = load_model(model)
    cases = read_cases(folder / "cases.csv").cases[:limit]
    result = {**run(encoder, cases, folder / "masks"), "provenance": provenance(model=model, n_cases=len(cases))}
    result["provenance"]["artifact"] = encoder.artifact_hash
    if json_path is not None:
        write_json(json_path, result)
    table = Table("region masks", "pointing hits", "energy inside", title=f"{result['n']} named structures", box=None)
    for row, values in result["rows"].items():
        low, high = values["hits_interval"]
        below, above = values["energy_interval"]
        table.add_row(
            row, f"{values['hits']:.3f} [{low:.3f}, {high:.3f}]", f"{values['energy']:.3f} [{below:.3f}, {above:.3f}]"
        )
    Console().print(table)


@expected_errors
def evaluate_eye(
    table: Annotated[Path, typer.Argument(help="Table, or prepared folder, of lesions with diagnoses (HAM10000).")],
    start_from: Annotated[
        str | None, typer.Option("--start-from", metavar="MODEL", help="Model or eye; the teacher itself if absent.")
    ] = None,
    config: Annotated[
        str, typer.Option("--config", "-c", help="TOML file, or a shipped one; names the teacher.")
    ] = "lite",
    json_path: JsonOption = None,
) -> None:
    """What does a backbone see of lesions that are held out? Siblings found again, and diagnoses told apart."""
    from dermquery.lab.config import load_config
    from dermquery.lab.experiment import HELD_OUT, held_out, provenance, teacher_vision, write_json
    from dermquery.lab.network.start import backbone_of, load_start
    from dermquery.lab.network.vision import build_backbone
    from dermquery.lab.studies.eye import evaluate_eye as run

    settings = load_config(config).teach
    cases = labelled_cases(table)
    kept = [case for case in cases if held_out(case, HELD_OUT)]
    training = [case for case in cases if not held_out(case, HELD_OUT)]
    if start_from is None:
        vision = teacher_vision(settings.teacher, settings.teacher_size)
        backbone, name, artifact = build_backbone(vision).eval(), settings.teacher, ""
    else:
        start = load_start(start_from)
        backbone, vision, name, artifact = backbone_of(start), start.vision, start.name, start.artifact_hash
    facts = provenance(backbone=name, artifact=artifact, image_size=vision.image_size, held_out=HELD_OUT)
    result = {**run(backbone, vision, training, kept), "provenance": facts}
    if json_path is not None:
        write_json(json_path, result)
    console = Console()
    for name, row in result["siblings"].items():
        low, high = row["interval@5"]
        console.print(
            f"siblings, {name}: recall@1 {row['recall@1']:.3f}, @5 {row['recall@5']:.3f} [{low:.3f}, {high:.3f}], "
            f"{row['n']} of {row['n_gallery']} photographs ask"
        )
    for name, row in result["diagnoses"].items():
        console.print(f"diagnoses, {name}: " + ", ".join(f"{metric} {value:.3f}" for metric, value in row.items()))
    console.print(f"{result['images_per_second']} images a second")


@expected_errors
def figures(
    result: Annotated[Path, typer.Argument(help="JSON that `crossval`, `compare` or `ablate` wrote.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the PNG files.")],
) -> None:
    """Draw a result for each protocol: accuracy over k, mAP with intervals, paired differences, and the λ curve."""
    import json

    from dermquery.lab.evaluate.figures import write_figures

    found = json.loads(result.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not {"means", "curve"} <= found.keys():
        raise ValueError(
            f"{result} is no result of a comparison; give the JSON that `dermquery crossval` or `compare` wrote"
        )
    for path in write_figures(found, out):
        typer.echo(path)


def _print(result: dict[str, Any]) -> None:
    console = Console()
    reading = result["reading"]
    table = Table("texts", "n", "read exactly", "precision", "recall", title="Reading", box=None)
    for kind, row in {"all": reading, **reading["by_kind"]}.items():
        shares = (row["exact"], row["precision"], row["recall"])
        table.add_row(kind, str(row["n"]), *("–" if value is None else f"{100 * value:.1f}" for value in shares))
    console.print(table)
    for row in result["written"]:
        if row["n_texts"]:
            low, high = row["drop_interval"]
            console.print(
                f"{row['query']}: mAP {row['map_plain']:.3f} plain, {row['map_written']:.3f} as written, "
                f"drop {row['drop']:.3f} [{low:.3f}, {high:.3f}] over {row['n_texts']} texts"
            )
    console.print("findings given: " + ", ".join(f"{row['findings']} {row['map']:.3f}" for row in result["partial"]))
    against = result["contradiction"]
    if against["n"]:
        console.print(
            f"text against image: mAP {against['map_of_image']:.3f} for the image's diagnosis, "
            f"{against['map_of_text']:.3f} for the text's"
        )
