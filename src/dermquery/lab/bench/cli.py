"""``dermquery bench``: how fast encoding, ingest and search are on this machine, as ratios within one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from dermquery.cli.expected_errors import expected_errors
from dermquery.cli.plain_text import Console

__all__ = ["app"]

app = typer.Typer(help="Time the parts of a search against one another.", no_args_is_help=True)

_FEWEST = 4000
"""Cases of which half a percent still are ten hits."""

TableOption = Annotated[
    Path, typer.Option("--cases", help="Case table, .csv or .parquet, whose images are used; none is changed.")
]
DiagnosedOption = Annotated[Path, typer.Option("--data", help="Case table with diagnoses, .csv or .parquet.")]
FoldOption = Annotated[
    int, typer.Option("--fold", min=0, help="Fold whose test part asks; the model must not know it.")
]
ModelOption = Annotated[str, typer.Option("--model", help="Name of a shipped model, or the folder of an artifact.")]
JsonOption = Annotated[str | None, typer.Option("--json", help="Write JSON to this file, or - for stdout.")]
RoundsOption = Annotated[int, typer.Option("--rounds", min=1, help="Rounds; the things compared take turns in each.")]
BaseSizeOption = Annotated[int, typer.Option("--base-size", min=10, help="Cases in the base, grown from the images.")]
ImagesOption = Annotated[int, typer.Option("--images", min=1, help="Images of the table that are used.")]


@app.command()
@expected_errors
def encode(
    cases: TableOption,
    model: ModelOption = "derm-lite",
    images: ImagesOption = 64,
    rounds: RoundsOption = 5,
    json_out: JsonOption = None,
) -> None:
    """OpenVINO against eager PyTorch of the same model."""
    from dermquery.lab.bench.ratios import bench_encode

    _report("encode", bench_encode(model, _images(cases, images), n=rounds), model, json_out)


@app.command()
@expected_errors
def ingest(
    cases: TableOption,
    model: ModelOption = "derm-lite",
    images: ImagesOption = 512,
    rounds: RoundsOption = 3,
    json_out: JsonOption = None,
) -> None:
    """Files to searchable cases, against the bare encoder on decoded images."""
    from dermquery.lab.bench.ratios import bench_ingest

    _report("ingest", bench_ingest(model, _images(cases, images), n=rounds), model, json_out)


@app.command()
@expected_errors
def query(
    cases: TableOption,
    model: ModelOption = "derm-lite",
    images: ImagesOption = 256,
    n_cases: BaseSizeOption = 100_000,
    rounds: RoundsOption = 30,
    json_out: JsonOption = None,
) -> None:
    """JPEG and text to the ten best of many cases, against the bare encoders."""
    from dermquery.lab.bench.ratios import bench_query

    _report("query", bench_query(model, _images(cases, images), n_cases=n_cases, n=rounds), model, json_out)


@app.command()
@expected_errors
def many(
    cases: TableOption,
    model: ModelOption = "derm-lite",
    images: ImagesOption = 64,
    n_cases: BaseSizeOption = 2_000,
    rounds: RoundsOption = 5,
    json_out: JsonOption = None,
) -> None:
    """Many searches in one call, against a loop of single ones."""
    from dermquery.lab.bench.ratios import bench_many

    _report("many", bench_many(model, _images(cases, images), n_cases=n_cases, n=rounds), model, json_out)


@app.command()
@expected_errors
def search(
    cases: Annotated[Path, typer.Option("--data", help="Case table that the bases are grown from, .csv or .parquet.")],
    sizes: Annotated[str, typer.Option("--cases", help="Cases in the bases, with commas between.")] = "10000,100000",
    model: ModelOption = "derm-lite",
    images: ImagesOption = 256,
    queries: Annotated[int, typer.Option(min=1, help="Composed queries.")] = 25,
    others_up_to: Annotated[
        int, typer.Option(help="Cases beyond which no index of another library is built.")
    ] = 100_000,
    starts: Annotated[int, typer.Option(min=0, help="New search processes that are timed on each base.")] = 3,
    json_out: JsonOption = None,
) -> None:
    """Our store, exact NumPy, and FAISS HNSW, usearch and Lance's index side by side: recall and time.

    A million cases take about 16 GB in the folder for temporary files, and a while.
    """
    from dermquery.data.case_table import read_cases
    from dermquery.lab.bench.search_sizes import bench_search

    numbers = sorted(_number(part) for part in sizes.split(","))
    known = list(read_cases(cases).cases)[:images]

    def tell(so_far: dict[str, Any]) -> None:
        if json_out != "-":
            _write("search", so_far, model, json_out)
            _print_size(so_far["sizes"][-1])

    result = bench_search(model, known, numbers, n_queries=queries, others_up_to=others_up_to, starts=starts, tell=tell)
    if json_out == "-":
        _write("search", result, model, json_out)
    else:
        Console(soft_wrap=True).print(f"growth: {result['growth']}", highlight=False)


@app.command()
@expected_errors
def width(
    data: DiagnosedOption,
    model: ModelOption = "derm-lite",
    fold: FoldOption = 0,
    json_out: JsonOption = None,
) -> None:
    """What narrower and coarser vectors cost: mAP and Acc@1 by width and number format, nothing trained again."""
    from dermquery.data.case_table import read_cases
    from dermquery.lab.bench.vector_width import bench_width

    result = bench_width(model, list(read_cases(data, need=("diagnosis",)).cases), fold=fold)
    _write("width", result, model, json_out)
    if json_out == "-":
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("width", "reduction", "number", "bytes", "mAP seen", "Acc@1", "mAP unseen", "Acc@1"):
        table.add_column(title, justify="right")
    for row in result["rows"]:
        judged = [f"{row[p][m]:.4f}" for p in ("seen", "unseen") for m in ("map", "acc@1")]
        table.add_row(str(row["width"]), row["reduction"], row["number"], str(row["bytes per case"]), *judged)
    Console(soft_wrap=True).print(table)


@app.command()
@expected_errors
def ranking(
    data: DiagnosedOption,
    model: ModelOption = "derm-lite",
    fold: FoldOption = 0,
    json_out: JsonOption = None,
) -> None:
    """What OpenVINO changes of a ranking: mAP and Acc@1 by runtime, and how often the ten best are the same."""
    from dermquery.data.case_table import read_cases
    from dermquery.lab.bench.ranking_parity import bench_ranking

    result = bench_ranking(model, list(read_cases(data, need=("diagnosis",)).cases), fold=fold)
    _write("ranking", result, model, json_out)
    if json_out == "-":
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("gallery", "mAP PyTorch", "OpenVINO", "Acc@1 PyTorch", "OpenVINO", "same ten best"):
        table.add_column(title, justify="left" if title == "gallery" else "right")
    for protocol, row in result["protocols"].items():
        values = [f"{row[runtime][m]:.6f}" for m in ("map", "acc@1") for runtime in ("torch", "openvino")]
        table.add_row(protocol, *values, f"{row['same ten best']:.4f}")
    out = Console(soft_wrap=True)
    out.print(table)
    out.print(f"greatest change: {result['greatest change']}; least cosine: {result['least cosine']}", highlight=False)


def _number(written: str) -> int:
    if not written.strip().isdigit() or int(written) < _FEWEST:
        raise ValueError(f"--cases takes numbers from {_FEWEST} with commas between, not {written!r}")
    return int(written)


def _print_size(entry: dict[str, Any]) -> None:
    out = Console(soft_wrap=True)
    out.print(f"{entry['cases']} cases")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("weights", "filter", "recall@10", "p50 ms", "encoding ms", "ratio"):
        table.add_column(title, justify="right")
    for row in entry["store"]:
        times = (f"{row[name]:.1f}" for name in ("p50_ms", "encoding p50_ms"))
        words = (row["weights"], row["filter"], f"{row['recall@10']:.3f}", *times)
        table.add_row(*words, f"{row['ratio to encoding']:.2f}")
    out.print(table)
    for key in ("numpy", "bytes per case", "start", "seconds"):
        out.print(f"{key}: {entry[key]}", highlight=False)


def _images(table: Path, n: int) -> list[Path]:
    from dermquery.data.case_table import read_cases

    found = [case.image for case in read_cases(table).cases]
    if len(found) < n:
        raise ValueError(f"{table} has {len(found)} cases, and {n} images are wanted; say --images {len(found)}")
    return found[:n]


def _write(name: str, result: dict[str, Any], model: str, json_out: str | None) -> None:
    from dermquery.lab.experiment.provenance import provenance, write_json

    full = provenance(bench=name, model=model, **result)
    if json_out == "-":
        typer.echo(json.dumps(full, indent=1))
    elif json_out is not None:
        write_json(Path(json_out), full)


def _report(name: str, result: dict[str, Any], model: str, json_out: str | None) -> None:
    _write(name, result, model, json_out)
    if json_out == "-":
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "p50 ms", "p90 ms"):
        table.add_column(title, justify="left" if not title else "right")
    for part, times in result["timings"].items():
        table.add_row(part, f"{times['p50_ms']:.1f}", f"{times['p90_ms']:.1f}")
    out = Console(soft_wrap=True)
    out.print(table)
    for key, value in result.items():
        if key != "timings":
            out.print(f"{key.replace('_', ' ')}: {value}", highlight=False)
