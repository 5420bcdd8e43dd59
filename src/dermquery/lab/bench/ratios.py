"""How fast the parts of a search are, each as a ratio to another part measured in the same run.

Absolute times say little on a shared machine; a ratio of two things measured in turns, round by round, says more.
"""

from __future__ import annotations

import io
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dermquery.data.case import Case, Query
from dermquery.data.image import load_image
from dermquery.model.alignment import Vectors
from dermquery.model.encoder import ComposedModel
from dermquery.model.heads import places_of_criteria
from dermquery.model.load import load_model
from dermquery.model.parts import PartLayout
from dermquery.model.pixels import prepare_pixels
from dermquery.store.casebase import CaseBase
from dermquery.store.protocol import ImageStamp, StoredCase

__all__ = ["Timing", "bench_encode", "bench_ingest", "bench_many", "bench_query", "block_cosines", "grown", "rounds"]

QUERY_SIZE = (768, 512)
QUERY_TEXT = "atypical network, blue-whitish veil"


@dataclass(frozen=True)
class Timing:
    """Seconds of one thing over several rounds.

    Attributes:
        seconds: of each round, in order.
    """

    seconds: tuple[float, ...]

    @property
    def p50(self) -> float:
        """The median."""
        return statistics.median(self.seconds)

    def to_dict(self) -> dict[str, float]:
        """Median, and 90th percentile, in milliseconds."""
        ms = np.asarray(self.seconds) * 1e3
        return {"p50_ms": round(float(np.median(ms)), 3), "p90_ms": round(float(np.percentile(ms, 90)), 3)}


def rounds(things: Mapping[str, Callable[[], object]], n: int, *, warm: int = 1) -> dict[str, Timing]:
    """Time several things in turns, so that what else the machine does meets all of them alike.

    Args:
        things: what to time, by name.
        n: rounds.
        warm: rounds before them that do not count.
    """
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for i in range(warm + n):
        for name, run in things.items():
            started = time.perf_counter()
            run()
            if i >= warm:
                seconds[name].append(time.perf_counter() - started)
    return {name: Timing(tuple(values)) for name, values in seconds.items()}


def bench_encode(model: str, images: Sequence[Path], *, n: int = 5) -> dict[str, Any]:
    """OpenVINO against eager PyTorch of the same model: cases and one composed query.

    Args:
        model: name or path of an artifact.
        images: at least one batch of files; they are decoded before.
        n: rounds.

    Returns:
        Times of both, their ratios, and the cosines between the two runtimes' unit blocks.
    """
    plain, fast = load_model(model, runtime="torch"), load_model(model, runtime="openvino")
    pictures = [load_image(path) for path in images]
    query = [Query(image=pictures[0], text=QUERY_TEXT)]
    pixels = np.stack([prepare_pixels(picture, plain.config.vision) for picture in pictures])
    timings = rounds(
        {
            "torch network": lambda: plain.runtime.regions(plain.runtime.features(pixels).maps),
            "openvino network": lambda: fast.runtime.regions(fast.runtime.features(pixels).maps),
            "torch cases": lambda: plain.encode_case(pictures),
            "openvino cases": lambda: fast.encode_case(pictures),
            "torch query": lambda: plain.encode_query(query),
            "openvino query": lambda: fast.encode_query(query),
        },
        n,
    )
    cosines = block_cosines(plain.encode_case(pictures), fast.encode_case(pictures), plain.layout)
    return {
        "images": len(pictures),
        "runtime": fast.runtime.name,
        "timings": {name: timing.to_dict() for name, timing in timings.items()},
        "images_per_second": {
            name: round(len(pictures) / timings[f"{name} cases"].p50, 1) for name in ("torch", "openvino")
        },
        "ratios": {
            part: round(timings[f"torch {part}"].p50 / timings[f"openvino {part}"].p50, 2)
            for part in ("network", "cases", "query")
        },
        "cosine": {"least": float(cosines.min()), "mean": float(cosines.mean())},
    }


def bench_ingest(model: str, images: Sequence[Path], *, n: int = 3, batch_size: int = 32) -> dict[str, Any]:
    """From files to searchable cases, against the bare encoder on images that are decoded already.

    Args:
        model: name or path of an artifact.
        images: files; each is a case.
        n: rounds, each into a base of its own.
        batch_size: of the encoder in both.
    """
    loaded = load_model(model)
    pictures = [load_image(path) for path in images]
    cases = [Case(case_id=f"{i:06d}", image=path) for i, path in enumerate(images)]
    folder = Path(tempfile.mkdtemp(prefix="dermquery-bench-"))
    bases = iter(range(10_000))

    def encode() -> None:
        for start in range(0, len(pictures), batch_size):
            loaded.encode_case(pictures[start : start + batch_size])

    def ingest() -> None:
        base = CaseBase.create(folder / str(next(bases)), loaded)
        report = base.add(cases, batch_size=batch_size)
        if report.bad:
            raise ValueError(f"{report.bad[0].reason}; give the benchmark images that can be read")

    try:
        timings = rounds({"bare encoder": encode, "ingest": ingest}, n)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    rates = {name: round(len(images) / timing.p50, 1) for name, timing in timings.items()}
    return {
        "images": len(images),
        "runtime": loaded.runtime.name,
        "timings": {name: timing.to_dict() for name, timing in timings.items()},
        "images_per_second": rates,
        "ratio": round(timings["bare encoder"].p50 / timings["ingest"].p50, 3),
    }


def bench_query(model: str, images: Sequence[Path], *, n_cases: int = 100_000, n: int = 30) -> dict[str, Any]:
    """A composed query, JPEG and text to the ten best of many cases, against the bare encoders on the decoded image.

    Args:
        model: name or path of an artifact.
        images: whose encodings the cases are grown from (:func:`grown`).
        n_cases: in the base.
        n: rounds.
    """
    loaded = load_model(model)
    data = query_file(images[0])
    bare = [Query(image=load_image(data), text=QUERY_TEXT)]
    folder = Path(tempfile.mkdtemp(prefix="dermquery-bench-"))
    try:
        base = CaseBase.create(folder, loaded, images=False)
        for rows in _rows(loaded, images, n_cases):
            base.store.upsert(rows)
        base.store.compact()
        timings = rounds(
            {
                "bare encoders": lambda: loaded.encode_query(bare),
                "search": lambda: base.search(image=data, text=QUERY_TEXT, top_k=10),
            },
            n,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "cases": n_cases,
        "runtime": loaded.runtime.name,
        "timings": {name: timing.to_dict() for name, timing in timings.items()},
        "ratio": round(timings["search"].p50 / timings["bare encoders"].p50, 2),
    }


def bench_many(model: str, images: Sequence[Path], *, n_cases: int = 2_000, n: int = 5) -> dict[str, Any]:
    """Many searches in one call (``CaseBase.search_many``), against a loop of single ones.

    Args:
        model: name or path of an artifact.
        images: half of which ask, by words, by image, and by both; whose encodings the cases are grown from.
        n_cases: in the base.
        n: rounds.

    Returns:
        Times, and for each kind of query how many times as long the loop takes.
    """
    loaded = load_model(model)
    asking = images[: max(len(images) // 2, 1)]
    words = [QUERY_TEXT, "irregular streaks, no regression", "typical network", "vascular structures: arborizing"]
    texts = [words[i % len(words)] for i in range(len(asking))]
    kinds: dict[str, list[dict[str, Any]]] = {
        "words": [{"text": text} for text in texts],
        "image": [{"image": image} for image in asking],
        "both": [{"image": image, "text": text} for image, text in zip(asking, texts, strict=True)],
    }
    folder = Path(tempfile.mkdtemp(prefix="dermquery-bench-"))
    try:
        base = CaseBase.create(folder, loaded, images=False)
        for rows in _rows(loaded, images, n_cases):
            base.store.upsert(rows)
        base.store.compact()
        things: dict[str, Callable[[], object]] = {}
        for kind, queries in kinds.items():
            things[f"{kind} loop"] = partial(_one_by_one, base, queries)
            things[f"{kind} many"] = partial(base.search_many, queries)
        timings = rounds(things, n)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "cases": n_cases,
        "queries": len(asking),
        "runtime": loaded.runtime.name,
        "timings": {name: timing.to_dict() for name, timing in timings.items()},
        "ratios": {kind: round(timings[f"{kind} loop"].p50 / timings[f"{kind} many"].p50, 2) for kind in kinds},
    }


def _one_by_one(base: CaseBase, queries: Sequence[Mapping[str, Any]]) -> None:
    for query in queries:
        base.search(**query)


def grown(vectors: Vectors, layout: PartLayout, n: int, *, noise: float = 0.5, seed: int = 0) -> Vectors:
    """More vectors like some real ones: copies with noise, their blocks of unit norm again.

    Recorded findings stay as they are; shares of diagnoses and of findings are each made some thirds more or less.

    Args:
        vectors: (m, size) float32.
        layout: of the vectors.
        n: vectors wanted.
        noise: expected norm of the noise on a block; .5 leaves a copy a cosine of about .89 with its original.
        seed: of the noise.

    Returns:
        (n, size) float32; the first m are the originals.
    """
    rng, new = np.random.default_rng(seed), slice(len(vectors), None)
    copies, at = vectors[np.arange(n) % len(vectors)].copy(), layout.slices
    for name, width in (("blocks", layout.blocks.width), ("look", layout.look)):
        part = copies[new, at[name]]
        part += rng.standard_normal(part.shape, np.float32) * np.float32(noise / max(width, 1) ** 0.5)
    for name in ("posterior", "findings"):
        part = copies[new, at[name]]
        part *= np.exp(rng.standard_normal(part.shape, np.float32) * np.float32(0.3))
    copies[new] = layout.normalised(copies[new], copies[new])
    findings = copies[new, at["findings"]]
    for places in places_of_criteria():
        total = findings[:, places].sum(axis=1, keepdims=True)
        findings[:, places] = np.where(total > 0, findings[:, places] / np.maximum(total, 1e-9), 0)
    return copies


def _rows(model: ComposedModel, images: Sequence[Path], n: int) -> Iterator[list[StoredCase]]:
    vectors = model.encode_case(images)
    step = 5000
    for start in range(0, n, step):
        count = min(step, n - start)
        part = grown(vectors, model.layout, len(vectors) + count, seed=start)[len(vectors) :]
        yield [
            StoredCase(
                Case(case_id=f"{start + i:08d}", image=images[i % len(images)], diagnosis=("nv", "mel", "bkl")[i % 3]),
                vector,
                ImageStamp(f"{start + i:064x}", 0, 0, ""),
            )
            for i, vector in enumerate(part)
        ]


def query_file(image: Path) -> bytes:
    """A photograph as a clinician's camera gives it: a JPEG of 768 × 512 pixels."""
    buffer = io.BytesIO()
    load_image(image).resize(QUERY_SIZE, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def block_cosines(one: Vectors, other: Vectors, layout: PartLayout) -> Vectors:
    """Cosines of the unit blocks of vectors (n, layout.size) with those of others, (n, blocks)."""
    left, right = (layout.split(v)["blocks"].reshape(len(v), -1, layout.blocks.width) for v in (one, other))
    return np.asarray((left * right).sum(axis=-1))
