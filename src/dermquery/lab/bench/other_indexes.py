"""Indexes of other libraries over the same vectors: graphs of FAISS and usearch, and Lance's own.

Each is built with inner product over what a case base stores, and asked with weighted queries, as a base is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dermquery.model.alignment import Vectors
from dermquery.store.lance.quantised import faiss_library

__all__ = ["OTHERS", "OtherIndex", "build"]

_STEP = 50_000
Chosen = NDArray[np.bool_] | None
Search = Callable[[Vectors, str, Chosen, int], Sequence[int]]


@dataclass(frozen=True, eq=False)
class OtherIndex:
    """An index that was built.

    Attributes:
        settings: its parameters.
        seconds: that the building took.
        size: bytes a case, with the vectors that it holds.
        filters: whether a search takes a condition.
        search: positions of the best, from a weighted query (size,), a condition in SQL ("" for none), the cases that
            it lets through (n,) or None, and how many.
    """

    settings: dict[str, Any]
    seconds: float
    size: int
    filters: bool
    search: Search


def build(name: str, vectors: Vectors, columns: dict[str, NDArray[np.int64]], folder: Path) -> OtherIndex:
    """An index of :data:`OTHERS` over vectors (n, size) in a file, and columns for conditions, in a new folder."""
    folder.mkdir()
    return OTHERS[name](vectors, columns, folder)


def _faiss(vectors: Vectors, columns: dict[str, NDArray[np.int64]], folder: Path) -> OtherIndex:
    del columns, folder
    faiss = faiss_library()
    size = vectors.shape[1]
    settings = {"M": 32, "efConstruction": 80, "efSearch": 400}
    index = faiss.IndexHNSWSQ(size, faiss.ScalarQuantizer.QT_fp16, settings["M"], faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = settings["efConstruction"]
    started = time.perf_counter()
    index.train(np.array(vectors[:_STEP]))
    for start in range(0, len(vectors), _STEP):
        index.add(np.ascontiguousarray(vectors[start : start + _STEP]))
    seconds = time.perf_counter() - started

    def search(vector: Vectors, condition: str, chosen: Chosen, count: int) -> Sequence[int]:
        del condition
        selector = {}
        if chosen is not None:
            selector["sel"] = faiss.IDSelectorBitmap(np.packbits(chosen, bitorder="little"))
        options = faiss.SearchParametersHNSW(efSearch=settings["efSearch"], **selector)
        found: list[int] = index.search(vector[None], count, params=options)[1][0].tolist()
        return found

    links = 2 * settings["M"]
    return OtherIndex({**settings, "numbers": "float16"}, seconds, 2 * size + 4 * links, filters=True, search=search)


def _usearch(vectors: Vectors, columns: dict[str, NDArray[np.int64]], folder: Path) -> OtherIndex:
    from usearch.index import Index

    del columns
    settings: dict[str, Any] = {"connectivity": 32, "expansion_add": 80, "expansion_search": 400}
    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16", **settings)
    started = time.perf_counter()
    for start in range(0, len(vectors), _STEP):
        part = np.ascontiguousarray(vectors[start : start + _STEP])
        index.add(np.arange(start, start + len(part), dtype=np.uint64), part)
    seconds = time.perf_counter() - started
    index.save(str(folder / "usearch"))

    def search(vector: Vectors, condition: str, chosen: Chosen, count: int) -> Sequence[int]:
        del condition, chosen  # its Python package takes no condition
        found: list[int] = index.search(vector, count).keys.astype(np.int64).tolist()
        return found

    size = (folder / "usearch").stat().st_size // len(vectors)
    return OtherIndex({**settings, "numbers": "float16"}, seconds, size, filters=False, search=search)


def _lance(vectors: Vectors, columns: dict[str, NDArray[np.int64]], folder: Path) -> OtherIndex:
    import lance

    n, size = vectors.shape

    def batches() -> Any:
        for start in range(0, n, _STEP):
            part = np.asarray(vectors[start : start + _STEP], np.float16)
            held: dict[str, Any] = {key: values[start : start + _STEP] for key, values in columns.items()}
            held["vector"] = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), size)
            held["place"] = np.arange(start, start + len(part))
            yield pa.record_batch(held)

    schema = next(batches()).schema
    table: Any = lance.write_dataset(
        pa.RecordBatchReader.from_batches(schema, batches()), str(folder / "vectors.lance")
    )
    for key in columns:
        table.create_scalar_index(key, "BITMAP")
    started = time.perf_counter()
    lists = max(1, n // 50_000)
    building, searching = {"m": 20, "ef_construction": 150}, {"nprobes": lists, "ef": 400, "refine_factor": 20}
    table.create_index("vector", "IVF_HNSW_SQ", metric="dot", num_partitions=lists, **building)
    seconds = time.perf_counter() - started

    def search(vector: Vectors, condition: str, chosen: Chosen, count: int) -> Sequence[int]:
        del chosen
        nearest = {"column": "vector", "q": vector.astype(np.float16), "k": count, **searching}
        asked = {"filter": condition, "prefilter": True} if condition else {}
        found: list[int] = table.to_table(columns=["place"], nearest=nearest, **asked)["place"].to_pylist()
        return found

    on_disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return OtherIndex(
        {"partitions": lists, **building, **searching}, seconds, on_disk // n, filters=True, search=search
    )


OTHERS: dict[str, Callable[[Vectors, dict[str, NDArray[np.int64]], Path], OtherIndex]] = {
    "FAISS HNSW": _faiss,
    "usearch": _usearch,
    "Lance IVF_HNSW_SQ": _lance,
}
"""By the name in the results."""
