"""Rankings on disk, from which every metric is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.lab.evaluate.ranking import Ranking

__all__ = ["Predictions", "read_predictions", "write_predictions", "write_rows"]


class Predictions(NamedTuple):
    """A ranking and, where a system has them, the parts of its score, each (n_q, n_g) in ranked order."""

    ranking: Ranking
    parts: dict[str, NDArray[np.float32]]


def write_predictions(path: Path, ranking: Ranking, parts: Mapping[str, NDArray[np.floating]] | None = None) -> None:
    """Write a Parquet file with a row for each query: ``query_id``, ``ranked_ids`` (best first), ``scores``, the parts.

    Args:
        path: of the file; it is there whole or not at all.
        ranking: what the system answered.
        parts: name to (n_q, n_g) in the gallery's order, such as the local and the global similarity.
    """
    ids = [case.case_id for case in ranking.gallery]
    columns: dict[str, list[object]] = {"query_id": [case.case_id for case in ranking.queries]}
    columns["ranked_ids"] = [[ids[i] for i in row if i >= 0] for row in ranking.order.tolist()]
    columns["scores"] = [row[valid] for row, valid in zip(ranking.scores, ranking.valid, strict=True)]
    for name, values in (parts or {}).items():
        columns[name] = [
            np.asarray(row[order[order >= 0]], np.float32) for row, order in zip(values, ranking.order, strict=True)
        ]
    types = {"query_id": pa.string(), "ranked_ids": pa.list_(pa.string())}
    schema = pa.schema([(name, types.get(name, pa.list_(pa.float32()))) for name in columns])
    with replacing(path) as part:
        pq.write_table(pa.table(columns, schema=schema), part, compression="zstd")


def read_predictions(path: Path, queries: Sequence[Case], gallery: Sequence[Case]) -> Predictions:
    """Read what :func:`write_predictions` wrote for the same queries and gallery.

    Raises:
        ValueError: the file is of other queries, or ranks a case that is not in the gallery.
    """
    table = pq.read_table(path).to_pydict()
    if table["query_id"] != [case.case_id for case in queries]:
        raise ValueError(f"{path} holds the answers to other queries than the {len(queries)} of this fold; remove it")
    position = {case.case_id: i for i, case in enumerate(gallery)}
    unknown = sorted({case_id for row in table["ranked_ids"] for case_id in row} - position.keys())
    if unknown:
        raise ValueError(f"{path} ranks {unknown[0]!r}, which is not in the gallery of this fold; remove it")
    shape = (len(queries), len(gallery))
    order = np.full(shape, -1, np.int32)
    for row, ranked in zip(order, table["ranked_ids"], strict=True):
        row[: len(ranked)] = [position[case_id] for case_id in ranked]
    values = {name: _padded(rows, shape) for name, rows in table.items() if name not in ("query_id", "ranked_ids")}
    ranking = Ranking(tuple(queries), tuple(gallery), order, values.pop("scores"))
    return Predictions(ranking, values)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one row for each mapping, such as the metrics of every query, as a Parquet file; whole or not at all."""
    with replacing(path) as part:
        pq.write_table(pa.Table.from_pylist(list(rows)), part, compression="zstd")


def _padded(rows: Sequence[Sequence[float]], shape: tuple[int, int]) -> NDArray[np.float32]:
    padded = np.full(shape, np.nan, np.float32)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded
