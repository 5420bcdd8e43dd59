"""Whether an artifact's graphs compute what PyTorch does: the same blocks, and the same ten best."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermquery.lab.network.eager import TorchRuntime
from dermquery.model.artifact import Artifact
from dermquery.model.openvino_runtime import OpenVinoRuntime
from dermquery.model.pixels import resizing
from dermquery.model.runtime import Runtime
from dermquery.model.sentences import closed_vocabulary

__all__ = ["ParityError", "check_parity"]

IMAGES, TEXTS, TOP = 64, 32, 10
LEAST_COSINE = {"f32": 0.9999, "bf16": 0.999}
"""Of a block with PyTorch's own."""
_TIE = 1e-5
"""Cases whose mean cosines lie closer together may change places."""


class ParityError(RuntimeError):
    """An exported graph does not compute what the network computes."""


def check_parity(artifact: Artifact, reference: TorchRuntime) -> bool:
    """Hold an artifact's graphs against PyTorch on 64 images and 32 texts; returns whether bfloat16 passes too.

    Raises:
        ParityError: the graphs, in float32, give other blocks or other ten best.
    """
    expected = _encoded(reference, artifact)
    passed = {}
    for precision in ("f32", "bf16"):
        runtime = OpenVinoRuntime(artifact, precision)
        found = _encoded(runtime, artifact)
        both = zip((*found[0], found[1]), (*expected[0], expected[1]), strict=True)
        cosine = min(float((a * b).sum(axis=-1).min()) for a, b in both)
        same = _same_best(found[0], expected[0])
        passed[precision] = cosine >= LEAST_COSINE[precision] and same
        if precision == "f32" and not passed["f32"]:
            what = "and rank alike" if same else "and rank differently"
            raise ParityError(f"the exported graphs follow the network with a cosine of {cosine:.6f} {what}")
    return passed["bf16"]


def _encoded(runtime: Runtime, artifact: Artifact) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.float32]]:
    """Blocks of cases (64, 2·L, d), composed queries (32, 2·L, d) and queries by words alone (16, 2·L, d).

    With them, what heads read of the cases, as unit vectors (64, F).
    """
    pixels, texts = _probes(artifact)
    seen = [runtime.features(pixels[i : i + 16]) for i in range(0, len(pixels), 16)]
    maps = [found.maps for found in seen]
    pooled = np.concatenate([found.pooled for found in seen if found.pooled is not None])
    cases = np.concatenate([runtime.regions(m).blocks for m in maps])
    asked: list[str | None] = [*texts]
    asked[::8] = [None] * len(asked[::8])
    composed = [runtime.composed(maps[i], asked[16 * i : 16 * (i + 1)]) for i in range(2)]
    queries = np.concatenate([runtime.regions(m).blocks for m in composed])
    blocks = cases, queries, runtime.regions(runtime.composed(None, texts[:16])).blocks
    return blocks, pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def _probes(artifact: Artifact) -> tuple[NDArray[np.uint8], list[str]]:
    """Smooth colours, which are more like a photograph than white noise, and texts of one to three sentences."""
    rng, config = np.random.default_rng(0), artifact.manifest.model
    side = config.vision.decoded_size
    wide = resizing(8, side) if side >= 8 else np.ones((side, 8), np.float32) / 8
    coarse = rng.uniform(0, 255, (IMAGES, 3, 8, 8)).astype(np.float32)
    smooth = (wide @ coarse @ wide.T).transpose(0, 2, 3, 1) + rng.normal(0, 6, (IMAGES, side, side, 3))
    findings = config.text.model_copy(update={"reading": "findings", "frozen": True, "by_sentence": True})
    sentences = closed_vocabulary(findings)
    texts = [" ".join(sentences[j] for j in rng.choice(len(sentences), 1 + i % 3, False)) for i in range(TEXTS)]
    return np.clip(smooth, 0, 255).astype(np.uint8), texts


def _same_best(found: tuple[NDArray[np.float32], ...], expected: tuple[NDArray[np.float32], ...]) -> bool:
    """Whether every query's ten best are the same, but for cases whose scores lie closer together than a tie."""
    (cases, *queries), (true_cases, *true_queries) = (
        [a.reshape(len(a), -1) for a in side] for side in (found, expected)
    )
    for asked, truly in zip(queries, true_queries, strict=True):
        scores, true = asked @ cases.T, truly @ true_cases.T
        blocks = found[0].shape[1]
        best = np.take_along_axis(true, np.argsort(-scores, axis=1)[:, :TOP], axis=1)
        if (np.abs(best + np.sort(-true, axis=1)[:, :TOP]) > _TIE * blocks).any():
            return False
    return True
