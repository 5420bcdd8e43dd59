"""The network as ONNX graphs, whose weights are places in the artifact's ``weights.safetensors``.

Three graphs hold the equations, in the order in which a runtime calls them (:mod:`dermquery.model.runtime`); a fourth
holds the text encoder of a model that encodes any text.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from dermquery.lab.network.hub import quiet
from dermquery.lab.network.network import ComposedNetwork
from dermquery.lab.network.normalise import normalise
from dermquery.lab.network.weights import SCALE
from dermquery.model.artifact import TEXT_GRAPH, WEIGHTS

__all__ = ["write_graphs"]

_OPSET = 17
_TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "I8": TensorProto.INT8}


class _Image(nn.Module):
    def __init__(self, network: ComposedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        maps, pooled = self.network.seen(normalise(pixels, self.network.config.vision))
        return (*maps, pooled)


class _Composer(nn.Module):
    def __init__(self, network: ComposedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        *maps, tokens, mask = given
        return self.network.composed(tuple(maps), tokens, mask)


class _Regions(nn.Module):
    def __init__(self, network: ComposedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        encoded = self.network.pooled(maps)
        return (encoded.blocks, *encoded.masks)


class _Text(nn.Module):
    def __init__(self, network: ComposedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        # An encoder may look at no mask, and an input that nothing uses would be missing in the graph.
        return self.network.text.states(ids, mask) * mask[..., None]


def write_graphs(network: ComposedNetwork, folder: Path, *, text: bool) -> None:
    """Write the graphs beside the weights that they refer to.

    Args:
        network: on the processor, for evaluation, with exactly the weights that ``folder`` holds.
        folder: that holds ``weights.safetensors``.
        text: write the text encoder too.
    """
    side, levels = network.config.vision.decoded_size, network.config.levels
    pixels = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        maps = tuple(m.clone() for m in network.features(normalise(pixels, network.config.vision)))
    tokens, mask = torch.randn(2, 5, network.text.width), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    places = _places(folder / WEIGHTS)
    axes: dict[str, dict[int, str]] = {"pixels": {0: "batch"}}
    axes |= {level: {0: "batch", 2: f"{level}_height", 3: f"{level}_width"} for level in levels}
    axes |= {name: {0: "batch", 1: "length"} for name in ("tokens", "mask", "ids")}
    graphs: dict[str, tuple[nn.Module, tuple[Tensor, ...], list[str], list[str]]] = {
        "image.onnx": (_Image(network), (pixels,), ["pixels"], [*levels, "pooled"]),
        "composer.onnx": (
            _Composer(network), (*maps, tokens, mask), [*levels, "tokens", "mask"], [f"composed_{x}" for x in levels],
        ),
        "regions.onnx": (_Regions(network), maps, list(levels), ["blocks", *(f"masks_{x}" for x in levels)]),
    }  # fmt: skip
    if text:
        ids = torch.randint(network.text.tokenizer.get_vocab_size(), (2, 5))
        graphs[TEXT_GRAPH] = (_Text(network), (ids, mask), ["ids", "mask"], ["states"])
    for name, (module, inputs, takes, gives) in graphs.items():
        path = folder / name
        with warnings.catch_warnings(), torch.no_grad(), quiet("transformers"):
            warnings.simplefilter("ignore")  # the tracer warns of sizes that are constants of this artifact
            # Not the newer exporter, which takes half a minute for each graph; nothing is folded, so that every weight
            # in the graph is one of the file.
            torch.onnx.export(
                module.eval(), inputs, str(path), input_names=takes, output_names=gives, opset_version=_OPSET,
                dynamic_axes={name: axes[name] for name in takes}, dynamo=False, do_constant_folding=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )  # fmt: skip
        onnx.save(_referring(onnx.load(path), places), path)


def _places(weights: Path) -> dict[str, tuple[str, int, int]]:
    """Data type, offset and length in bytes of every tensor of a safetensors file."""
    content = weights.read_bytes()
    header = int.from_bytes(content[:8], "little")
    described = json.loads(content[8 : 8 + header])
    return {
        name: (
            entry["dtype"],
            8 + header + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in described.items()
        if name != "__metadata__"
    }


def _referring(model: onnx.ModelProto, places: Mapping[str, tuple[str, int, int]]) -> onnx.ModelProto:
    """The graph with its weights replaced by their places; those of fewer bits are restored where they are used."""
    restored = []
    for tensor in list(model.graph.initializer):
        name = tensor.name.removeprefix("network.")
        if name not in places or tensor.data_type != TensorProto.FLOAT:
            continue
        kind = places[name][0]
        stored = _external(tensor.name, list(tensor.dims), places[name])
        if kind == "F16":
            stored.name += ".half"
            restored.append(helper.make_node("Cast", [stored.name], [tensor.name], to=TensorProto.FLOAT))
        elif kind == "I8":
            stored.name += ".int8"
            scale = _external(tensor.name + SCALE, [tensor.dims[0]], places[name + SCALE])
            model.graph.initializer.append(scale)
            restored.append(helper.make_node("DequantizeLinear", [stored.name, scale.name], [tensor.name], axis=0))
        tensor.CopyFrom(stored)
    nodes = [*restored, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _external(name: str, dims: list[int], place: tuple[str, int, int]) -> TensorProto:
    """A tensor that lies in the file of the weights."""
    kind, offset, length = place
    tensor = TensorProto(name=name, dims=dims, data_type=_TYPES[kind], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", WEIGHTS), ("offset", str(offset)), ("length", str(length))):
        tensor.external_data.add(key=key, value=value)
    return tensor
