"""What narrower and coarser vectors cost a model's ranking, without training it again.

Blocks are cut down to d numbers and normalised again, so equation 9 stays an inner product of unit blocks: by leaving
numbers out (``first``), or by turning each block onto the d directions that hold most of the training fold's encodings
(``pca``). Then the numbers are rounded to half precision or 8 bits on the case's side; a query stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dermquery.data.case import Case
from dermquery.lab.bench.judging import judged, judging_parts
from dermquery.lab.evaluate.protocols import Protocol
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.systems.composed import case_query
from dermquery.model.alignment import BlockLayout, Vectors
from dermquery.model.load import load_model

__all__ = ["FORMATS", "bench_width", "cut", "principal_directions", "rounded"]

WIDTHS = (32, 64, 128, 256)
FORMATS = {"float32": 4, "float16": 2, "int8": 1}
"""Bytes of a number."""


def bench_width(model: str, cases: Sequence[Case], *, fold: int = 0) -> dict[str, Any]:
    """MAP and Acc@1 by width, reduction and number format, under the seen and the unseen protocol.

    Args:
        model: name or path of an artifact that was trained on the other folds of the table's published ones.
        cases: the whole table.
        fold: its test part asks; directions are fitted on the cases of the other folds, as images and as queries.
    """
    loaded = load_model(model)
    facts, test, training = judging_parts(loaded, cases, fold)
    everyone = [*test, *training]
    held = loaded.layout.split(loaded.encode_case([case.image for case in everyone]))["blocks"]
    asked = loaded.layout.split(loaded.encode_query([case_query(case) for case in everyone]))["blocks"]
    n, width = len(test), loaded.layout.blocks.width
    directions = principal_directions(np.concatenate([held[n:], asked[n:]]), width)
    rows = []
    for d in sorted({d for d in WIDTHS if d < width} | {width}):
        reductions: dict[str, Callable[[Vectors], Vectors]] = {"none": lambda vectors: vectors}
        if d < width:
            reductions = {
                "first": lambda vectors, d=d: cut(vectors, width, d),  # type: ignore[misc]
                "pca": lambda vectors, d=d: cut(vectors, width, d, directions),  # type: ignore[misc]
            }
        for reduction, reduce in reductions.items():
            layout = BlockLayout(loaded.layout.blocks.levels, d)
            small, queries = reduce(held), layout.weigh(reduce(asked)[:n], loaded.local_weight)
            for number, size in FORMATS.items():
                stored = rounded(small, number, small[n:])
                found = {
                    "seen": _judged(Protocol.SEEN, queries @ stored[n:].T, test, training),
                    "unseen": _judged(Protocol.UNSEEN, queries @ stored[:n].T, test, test),
                }
                rows.append(
                    {"width": d, "reduction": reduction, "number": number, "bytes per case": size * layout.size} | found
                )
    return {**facts, "runtime": loaded.runtime.name, "rows": rows}


def _judged(protocol: Protocol, scores: Vectors, queries: list[Case], gallery: list[Case]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in judged(protocol, rank(scores, queries, gallery)).items()}


def principal_directions(vectors: Vectors, width: int) -> Vectors:
    """For each block, the directions that hold most of its second moment, the most first.

    Nothing is centred: what counts is the inner product, not the variance.

    Args:
        vectors: (n, blocks·width).
        width: of a block.

    Returns:
        (blocks, width, width), a direction in each column.
    """
    blocks = vectors.reshape(len(vectors), -1, width).astype(np.float64)
    moments = np.einsum("nbi,nbj->bij", blocks, blocks) / len(blocks)
    return np.asarray(np.linalg.eigh(moments)[1][:, :, ::-1], np.float32)


def cut(vectors: Vectors, width: int, d: int, directions: Vectors | None = None) -> Vectors:
    """Unit blocks of d numbers: the first of each block, or of its coordinates along directions; (n, blocks·d)."""
    blocks = vectors.reshape(len(vectors), -1, width)
    if directions is not None:
        blocks = np.einsum("nbi,bij->nbj", blocks, directions[:, :, :d])
    small = blocks[:, :, :d]
    norms = np.linalg.norm(small, axis=-1, keepdims=True)
    return np.asarray((small / np.maximum(norms, 1e-12)).reshape(len(vectors), -1), np.float32)


def rounded(vectors: Vectors, number: str, fitted_on: Vectors) -> Vectors:
    """The vectors as they come back from a number format of :data:`FORMATS`, as float32.

    8 bits are 255 equal steps between the least and the greatest value of each number in ``fitted_on``.
    """
    if number == "float16":
        return vectors.astype(np.float16).astype(np.float32)
    if number == "int8":
        low, high = fitted_on.min(axis=0), fitted_on.max(axis=0)
        step = np.maximum(high - low, 1e-12) / 255
        return np.asarray(np.clip(np.round((vectors - low) / step), 0, 255) * step + low, np.float32)
    return vectors
