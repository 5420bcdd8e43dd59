"""Search in bases of several sizes: our store, exact NumPy and other indexes, held against encoding a query."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case, Query
from dermquery.data.image import load_image
from dermquery.lab.bench.other_indexes import OTHERS, build
from dermquery.lab.bench.ratios import QUERY_TEXT, grown, rounds
from dermquery.model.alignment import Vectors
from dermquery.model.encoder import ComposedModel
from dermquery.model.load import load_model
from dermquery.model.parts import PAPER, PartLayout, Weights, equation_9
from dermquery.store.casebase import CaseBase
from dermquery.store.filters import Filter
from dermquery.store.protocol import ImageStamp, StoredCase, packed
from dermquery.store.where import parse_where

__all__ = ["FILTERS", "bench_search"]

FILTERS = {"none": [], "10 %": ["site=site 0"], "0.5 %": ["source=source 0"]}
"""Conditions by the share of the cases that they let through."""
_SITES, _SOURCES = 10, 200
_STEP = 50_000
_TOP = 10


@dataclass(frozen=True, eq=False)
class _Gallery:
    """The vectors of one size, in a file, and what the queries should find.

    Attributes:
        vectors: (n, size) float32.
        queries: (q, size) unit queries, not weighted.
        others: as many others, which bring into memory what any search reads and are not counted.
        layout: of both.
        weights: by name.
        wanted: positions of the ten best by weights and filter, (q, 10).
    """

    vectors: Vectors
    queries: Vectors
    others: Vectors
    layout: PartLayout
    weights: dict[str, Weights]
    wanted: dict[tuple[str, str], NDArray[np.int64]]

    def recall(self, name: str, share: str, found: Sequence[Sequence[int]]) -> float:
        """Recall@10 over the queries."""
        wanted = self.wanted[name, share]
        return float(np.mean([len(set(w.tolist()) & set(f)) / _TOP for w, f in zip(wanted, found, strict=True)]))


def bench_search(
    model: str,
    cases: Sequence[Case],
    sizes: Sequence[int],
    *,
    n_queries: int = 25,
    others_up_to: int = 100_000,
    starts: int = 3,
    tell: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Recall@10 and time of a search by size, weights and filter, with ratios to the time of encoding a composed query.

    Args:
        model: name or path of an artifact.
        cases: their encodings are what the bases are grown from (:func:`~.bench.grown`), and their images and findings
            are the queries.
        sizes: cases in the bases, ascending.
        n_queries: queries, each asked once by every preset, and by λ = 0 and 1, with every filter.
        others_up_to: size beyond which no other library's index is built, for that takes hours.
        starts: new processes that are timed on each base.
        tell: called with what is known after each size.
    """
    loaded = load_model(model)
    pictures = [load_image(case.image) for case in cases]
    encoded = loaded.encode_case(pictures, [case.checklist for case in cases])
    step = max(2, len(cases) // n_queries)
    asked = [_query(case) for case in cases[::step][:n_queries]]
    queries, others = (
        np.concatenate([loaded.encode_query([query]) for query in part])
        for part in (asked, [_query(case) for case in cases[1::step][:n_queries]])
    )
    results = []
    for n in sizes:
        folder = Path(tempfile.mkdtemp(prefix="dermquery-bench-"))
        try:
            gallery = _gallery(folder / "vectors.npy", encoded, queries, others, loaded, n)
            base = CaseBase.create(folder / "base", loaded, reference=model, images=False)
            results.append(_one_size(loaded, base, gallery, asked, others=n <= others_up_to, starts=starts))
            if tell:
                tell(_summary(loaded, asked, results))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return _summary(loaded, asked, results)


def _summary(model: ComposedModel, asked: Sequence[Query], results: list[dict[str, Any]]) -> dict[str, Any]:
    worst = [max(row["p50_ms"] for row in entry["store"]) for entry in results]
    plain = [_plain(entry)["p50_ms"] for entry in results]
    query = [_plain(entry)["p50_ms"] + _plain(entry)["encoding p50_ms"] for entry in results]
    return {
        "runtime": model.runtime.name,
        "numbers": model.layout.size,
        "queries": len(asked),
        "sizes": results,
        "growth": {
            "search without filter, preset paper, p50": round(plain[-1] / plain[0], 2),
            "slowest search, p50": round(worst[-1] / worst[0], 2),
            "encoding and search, p50": round(query[-1] / query[0], 2),
        },
    }


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(r for r in entry["store"] if r["weights"] == "paper" and r["filter"] == "none")
    return found


def _query(case: Case) -> Query:
    query = case.as_query()
    words = {} if query.sentence else {"text": QUERY_TEXT}
    return query.model_copy(update={"image": load_image(case.image), **words})


def _one_size(
    model: ComposedModel, base: CaseBase, gallery: _Gallery, asked: Sequence[Query], *, others: bool, starts: int
) -> dict[str, Any]:
    n, folder = len(gallery.vectors), Path(base.uri)
    started = time.perf_counter()
    for start in range(0, n, _STEP):
        base.store.upsert(_rows(gallery.vectors[start : start + _STEP], start))
    written = time.perf_counter()
    base.store.compact()
    indexed = time.perf_counter()
    if hasattr(os, "sync"):
        os.sync()  # else the first searches wait behind what was just written
    base.store.warm()  # as a service does when it starts
    turns = itertools.cycle(asked)

    def encode() -> object:
        return model.encode_query([next(turns)])

    result: dict[str, Any] = {
        "cases": n,
        "seconds": {"writing": round(written - started, 1), "compaction and index": round(indexed - written, 1)},
        "store": _measured(gallery, encode, lambda vector, where: _ids(base, vector, where)),
        "numpy": _numpy(gallery, encode),
        "bytes per case": _bytes(folder, gallery),
        "start": _start(folder, starts) if starts else {},
    }
    result["others"] = _other_indexes(gallery, encode, folder.parent) if others else "not built at this size"
    return result


def _gallery(path: Path, encoded: Vectors, queries: Vectors, others: Vectors, model: ComposedModel, n: int) -> _Gallery:
    """Grow the vectors into a file, and find what is exactly nearest on the way."""
    layout = model.layout
    weights = {**model.presets, **{f"paper, λ = {w:g}": equation_9(w) for w in (0.0, 1.0)}}
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, (n, layout.size))
    keys = list(itertools.product(weights, FILTERS))
    scores = {key: np.full((len(queries), _TOP), -np.inf) for key in keys}
    wanted = {key: np.zeros((len(queries), _TOP), np.int64) for key in keys}
    for start in range(0, n, _STEP):
        count = min(_STEP, n - start)
        part = packed(grown(encoded, layout, len(encoded) + count, seed=start)[len(encoded) :])
        vectors[start : start + count] = part
        for name, share in keys:
            positions = start + np.flatnonzero(_allowed(share, start + np.arange(count)))
            found = layout.weigh(queries, weights[name]) @ part[positions - start].T
            both = np.concatenate([scores[name, share], found], axis=1)
            places = np.concatenate([wanted[name, share], np.tile(positions, (len(queries), 1))], axis=1)
            best = np.argpartition(-both, _TOP - 1, axis=1)[:, :_TOP]
            scores[name, share] = np.take_along_axis(both, best, 1)
            wanted[name, share] = np.take_along_axis(places, best, 1)
    return _Gallery(vectors, queries, others, layout, weights, wanted)


def _allowed(share: str, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which cases a filter lets through: the sites and sources take turns, with different images of each."""
    modulus = {"none": 1, "10 %": _SITES, "0.5 %": _SOURCES}[share]
    return np.asarray(_shuffled(positions) % modulus == 0)


def _shuffled(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number of each case that has nothing to do with the image it was grown from (Knuth's multiplicative hash)."""
    return np.asarray((positions * 2_654_435_761 % 2**32) >> 8)


def _rows(vectors: Vectors, start: int) -> list[StoredCase]:
    marks = _shuffled(start + np.arange(len(vectors)))
    return [
        StoredCase(
            Case(
                case_id=f"{i:09d}",
                image=Path("/none.jpg"),
                diagnosis=("nv", "mel", "bkl")[i % 3],
                lesion_id=f"lesion {i // 2}",
                site=f"site {mark % _SITES}",
                source=f"source {mark % _SOURCES}",
            ),
            np.asarray(vector),
            ImageStamp(f"{i:064x}", 0, 0, ""),
        )
        for i, (vector, mark) in enumerate(zip(vectors, marks.tolist(), strict=True), start)
    ]


def _ids(base: CaseBase, vector: Vectors, where: Filter) -> list[int]:
    return [int(hit.row.case.case_id) for hit in base.store.search(vector, where, _TOP)]


def _measured(
    gallery: _Gallery, encode: Callable[[], object], search: Callable[[Vectors, Filter], list[int]]
) -> list[dict[str, Any]]:
    """Every query once by all weights and filters, after others that do not count, in turns with encoding one."""
    rows = []
    for name, share in itertools.product(gallery.weights, FILTERS):
        where = parse_where(FILTERS[share])
        rows.append(_row(gallery, encode, lambda vector, where=where: search(vector, where), name, share))  # type: ignore[misc]
    return rows


def _row(
    gallery: _Gallery,
    encode: Callable[[], object],
    search: Callable[[Vectors], list[int]],
    name: str,
    share: str,
) -> dict[str, Any]:
    weights = gallery.weights[name]
    weighed = gallery.layout.weigh(gallery.queries, weights)
    for other in gallery.layout.weigh(gallery.others, weights):
        search(other)
    vectors, found = iter(weighed), list[list[int]]()
    things = {"search": lambda: found.append(search(next(vectors))), "encode": encode}
    timings = rounds(things, len(weighed), warm=0)
    return {
        "weights": name,
        "filter": share,
        "recall@10": round(gallery.recall(name, share, found), 4),
        **timings["search"].to_dict(),
        "encoding p50_ms": timings["encode"].to_dict()["p50_ms"],
        "ratio to encoding": round(timings["search"].p50 / timings["encode"].p50, 3),
    }


def _numpy(gallery: _Gallery, encode: Callable[[], object]) -> dict[str, Any]:
    """One product of all vectors with a query; the ranking is what the others are held against."""
    weighed = gallery.layout.weigh(gallery.queries[:5], PAPER)
    turns = itertools.cycle(weighed)
    things = {"numpy": lambda: np.argpartition(-(gallery.vectors @ next(turns)), _TOP)[:_TOP], "encode": encode}
    timings = rounds(things, 5)
    ratio = timings["numpy"].p50 / timings["encode"].p50
    return {**timings["numpy"].to_dict(), "ratio to encoding": round(ratio, 3)}


def _other_indexes(gallery: _Gallery, encode: Callable[[], object], folder: Path) -> dict[str, Any]:
    """The same queries put to indexes of other libraries, one after the other."""
    marks = _shuffled(np.arange(len(gallery.vectors)))
    columns = {"site": marks % _SITES, "source": marks % _SOURCES}
    conditions = {"none": "", "10 %": "site = 0", "0.5 %": "source = 0"}
    everything = np.arange(len(gallery.vectors))
    chosen = {share: None if share == "none" else _allowed(share, everything) for share in FILTERS}
    results: dict[str, Any] = {}
    for name in OTHERS:
        index = build(name, gallery.vectors, columns, folder / name)
        rows = []
        for weights, share in itertools.product(gallery.weights, FILTERS if index.filters else ["none"]):

            def search(vector: Vectors, condition: str = conditions[share], through: Any = chosen[share]) -> list[int]:
                return list(index.search(vector, condition, through, _TOP))  # noqa: B023 - used before the next round

            rows.append(_row(gallery, encode, search, weights, share))
        results[name] = {
            **index.settings,
            "build seconds": round(index.seconds, 1),
            "bytes per case": index.size,
            "searches": rows,
        }
        shutil.rmtree(folder / name)
    return results


def _bytes(base: Path, gallery: _Gallery) -> dict[str, Any]:
    """Of the table and of the index."""
    n = len(gallery.vectors)
    table = sum(path.stat().st_size for path in _files(base / "cases.lance"))
    sizes: dict[str, Any] = {"vector": 2 * gallery.layout.size, "table on disk": round(table / n)}
    for folder in (base / "index").glob("cases-*"):
        sizes["index on disk, mapped into memory"] = round(sum(path.stat().st_size for path in _files(folder)) / n)
    return sizes


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


_STAGES = """
import time; t = [time.perf_counter()]
from dermquery.store.casebase import CaseBase; t.append(time.perf_counter())
base = CaseBase.open({base!r}); t.append(time.perf_counter())
base.model; t.append(time.perf_counter())
base.search(text={text!r}); t.append(time.perf_counter())
base.search(text={text!r}); t.append(time.perf_counter())
print(*(b - a for a, b in zip(t, t[1:])))
"""


def _start(base: Path, n: int) -> dict[str, float]:
    """Seconds of a new process on a ready base: the command as a whole, and what it does in turn."""
    line = [sys.executable, "-m", "dermquery", "search", "--base", str(base), "--text", QUERY_TEXT, "--json", "-"]
    quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
    seconds = []
    for _ in range(n):
        started = time.perf_counter()
        subprocess.run(line, check=True, capture_output=True, env=quiet)  # noqa: S603 - our own command
        seconds.append(time.perf_counter() - started)
    code = _STAGES.format(base=str(base), text=QUERY_TEXT)
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=quiet)  # noqa: S603
    names = ("import the case base", "open the base", "import and load the model", "first search", "second search")
    stages = dict(zip(names, (round(float(s), 3) for s in said.stdout.split()), strict=True))
    return {"dermquery search": round(float(np.median(seconds)), 3), **stages}
