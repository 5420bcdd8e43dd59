"""Pooled features of a backbone for many images: computed once by OpenVINO, then read from the cache."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.lab.network.normalise import normalise
from dermquery.lab.network.weights import digest
from dermquery.lab.train.batches import cache_pixels, default_cache
from dermquery.model.architecture import VisionConfig

__all__ = ["PooledFeatures", "Pooling", "pooled_features"]

_BATCH = 16


class Pooling(nn.Module):
    """Means over space of a backbone's three maps, (B, F), from uint8 pixels (B, S, S, 3)."""

    def __init__(self, backbone: nn.Module, vision: VisionConfig) -> None:
        super().__init__()
        self.backbone, self.vision = backbone, vision

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.backbone(normalise(pixels, self.vision))
        return torch.cat([m.float().mean(dim=(2, 3)) for m in maps], dim=1)


def pooled_features(
    backbone: nn.Module, vision: VisionConfig, cases: Sequence[Case], folder: Path | None = None
) -> NDArray[np.float32]:
    """Pooled features (n, F) of the cases' images, in float16's precision; cached by weights, preprocessing and images.

    OpenVINO computes in bfloat16 where the processor has it, which follows float32 with a cosine above .9999 and takes
    a third of the time.

    Args:
        backbone: for evaluation; left as it is.
        vision: preprocessing.
        cases: images with files.
        folder: of the cache; :func:`default_cache` if None.

    Raises:
        ImageError: an image cannot be decoded.
    """
    if not cases:
        return np.zeros((0, 0), np.float32)
    named = hashlib.sha256(f"three maps {digest(backbone.state_dict())} {vision.model_dump_json()}".encode())
    for case in cases:
        stat = case.image.stat()
        named.update(f"{case.image.absolute()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    path = (folder or default_cache()) / f"pooled-{named.hexdigest()[:24]}.npy"
    if not path.is_file():
        found = _computed(Pooling(backbone, vision).eval(), cache_pixels(cases, vision, folder))
        with replacing(path) as part, part.open("wb") as file:
            np.save(file, found.astype(np.float16), allow_pickle=False)
    return np.asarray(np.load(path, allow_pickle=False), np.float32)


class PooledFeatures:
    """Pooled features of a backbone for lists of cases; an image of two lists is encoded once.

    Args:
        backbone: as in :func:`pooled_features`.
        vision: as there.
    """

    def __init__(self, backbone: nn.Module, vision: VisionConfig) -> None:
        self._backbone, self._vision = backbone, vision
        self._known: dict[Path, NDArray[np.float32]] = {}

    def __call__(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        missing = [case for case in cases if case.image not in self._known]
        found = pooled_features(self._backbone, self._vision, missing)
        self._known.update(zip((case.image for case in missing), found, strict=True))
        return np.stack([self._known[case.image] for case in cases])


@torch.no_grad()
def _computed(network: Pooling, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    import openvino as ov

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns of sizes, which are constants here
        example = torch.from_numpy(np.array(pixels[:1].repeat(_BATCH, axis=0)))
        model = ov.convert_model(torch.jit.trace(network, example), input=[tuple(example.shape)])
    options = {"PERFORMANCE_HINT": "THROUGHPUT"}
    run = ov.Core().compile_model(model, "CPU", options)
    found = []
    for start in range(0, len(pixels), _BATCH):
        batch = np.array(pixels[start : start + _BATCH])
        whole = np.concatenate([batch, batch[-1:].repeat(_BATCH - len(batch), axis=0)])
        found.append(run(whole)[0][: len(batch)].copy())
    return np.concatenate(found)
