"""Pooled features of a backbone for many images: computed once by OpenVINO, then read from the cache."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.lab.network.normalise import normalise
from dermquery.lab.network.vision import means_of
from dermquery.lab.network.weights import digest
from dermquery.lab.train.batches import cache_pixels, default_cache
from dermquery.model.architecture import VisionConfig
from dermquery.model.pixels import prepare_pixels

__all__ = ["PooledFeatures", "Pooling"]

_BATCH = 16
_KEPT = 64
"""Fewer images than this are encoded anew: a query is timed with its encoding."""


class Pooling(nn.Module):
    """Means over space of a backbone's three maps, (B, F), from uint8 pixels (B, S, S, 3)."""

    def __init__(self, backbone: nn.Module, vision: VisionConfig) -> None:
        super().__init__()
        self.backbone, self.vision = backbone, vision

    def forward(self, pixels: Tensor) -> Tensor:
        return means_of(self.backbone(normalise(pixels, self.vision)))


class PooledFeatures:
    """Pooled features of a backbone for lists of cases, in float16's precision; a case of two lists is encoded once.

    OpenVINO computes in bfloat16 where the processor has it, which follows float32 with a cosine above .9999 and takes
    a third of the time. Long lists are kept on disk, named by weights, preprocessing and images.

    Args:
        backbone: for evaluation; left as it is.
        vision: preprocessing.
        folder: of the cache; :func:`.batches.default_cache` if None.
    """

    def __init__(self, backbone: nn.Module, vision: VisionConfig, folder: Path | None = None) -> None:
        self._backbone, self._vision, self._folder = backbone.eval(), vision, folder
        self._known: dict[str, NDArray[np.float32]] = {}
        self._compiled: dict[int, Any] = {}

    def __call__(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        """Features (n, F) of the cases' images.

        Raises:
            ImageError: an image cannot be decoded.
        """
        missing = [case for case in cases if case.case_id not in self._known]
        if missing:
            found = self._read(missing) if len(missing) >= _KEPT else self._computed(missing)
            self._known.update(zip((case.case_id for case in missing), found, strict=True))
        return np.stack([self._known[case.case_id] for case in cases])

    def _read(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        named = hashlib.sha256(f"three maps {digest(self._backbone.state_dict())}".encode())
        named.update(self._vision.model_dump_json().encode())
        for case in cases:
            stat = case.image.stat()
            named.update(f"{case.image.absolute()} {stat.st_size} {stat.st_mtime_ns}\n".encode())
        path = (self._folder or default_cache()) / f"pooled-{named.hexdigest()[:24]}.npy"
        if not path.is_file():
            found = self._encoded(cache_pixels(cases, self._vision, self._folder))
            with replacing(path) as part, part.open("wb") as file:
                np.save(file, found.astype(np.float16), allow_pickle=False)
        return np.asarray(np.load(path, allow_pickle=False), np.float32)

    def _computed(self, cases: Sequence[Case]) -> NDArray[np.float32]:
        found = self._encoded(np.stack([prepare_pixels(case.image, self._vision) for case in cases]))
        return found.astype(np.float16).astype(np.float32)

    def _encoded(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate(
            [self._run(np.array(pixels[i : i + _BATCH])) for i in range(0, len(pixels), _BATCH)]  # a copy of the map's
        )

    def _run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        size = 1 if len(batch) == 1 else _BATCH
        whole = np.concatenate([batch, batch[-1:].repeat(size - len(batch), axis=0)])
        return np.array(self._network(size)(whole)[0][: len(batch)], np.float32)

    def _network(self, size: int) -> Any:
        """The network for batches of this size, compiled when the first one comes: most lists need one size only."""
        import openvino as ov

        if size not in self._compiled:
            core, side = ov.Core(), self._vision.decoded_size
            with TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
                warnings.simplefilter("ignore")  # the tracer warns of sizes, which are constants here
                example, graph = torch.zeros((size, side, side, 3), dtype=torch.uint8), Path(folder, "pooled.onnx")
                network = Pooling(self._backbone, self._vision).eval()
                torch.onnx.export(network, (example,), graph, dynamo=False, opset_version=17)
                model = core.read_model(graph.read_bytes())
            self._compiled[size] = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
        return self._compiled[size]
