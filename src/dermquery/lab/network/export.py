"""Export of the network's graphs to OpenVINO, and how closely they follow PyTorch."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dermquery.data.files import replacing
from dermquery.lab.network.network import ComposedNetwork
from dermquery.model.graphs import GRAPHS, LEAST_COSINE, NULL_TEXT, SIZES, ParityError, compiled, graph_files, openvino

__all__ = ["export", "measure"]


class _Graph(nn.Module):
    def __init__(self, network: ComposedNetwork) -> None:
        super().__init__()
        self.network = network


class _CaseGraph(_Graph):
    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.targets(self.network.features(inputs)).blocks


class _QueryGraph(_Graph):
    def forward(self, inputs: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.network.compose(self.network.features(inputs), tokens, mask).blocks


class _TextGraph(_Graph):
    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.network.text.states(ids, mask)


class _WordsGraph(_Graph):
    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        return self.network.compose_words(tokens, mask).blocks


_MAKERS: dict[str, Callable[[ComposedNetwork], nn.Module]] = {
    "case": _CaseGraph,
    "query": _QueryGraph,
    "text": _TextGraph,
    "words": _WordsGraph,
}


def export(network: ComposedNetwork, folder: Path, record: str, here: dict[str, Any]) -> None:
    """Write all graphs and how closely they follow PyTorch; the folder appears whole or not at all.

    Args:
        network: for evaluation, on the processor.
        folder: of the graphs; a broken one is replaced.
        record: name of the file in it for the figures of this processor.
        here: this processor.

    Raises:
        ParityError: a graph gives other vectors than PyTorch, even in f32.
    """
    ov = openvino()
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a killed export may have left
    part.mkdir()
    try:
        for name in GRAPHS:
            with warnings.catch_warnings(), torch.inference_mode(), _quiet("transformers"):
                warnings.simplefilter("ignore")  # the tracer warns of sizes that are constants of this artifact
                graph = _MAKERS[name](network).eval()
                model = ov.convert_model(graph, example_input=_example(network, name, 2, 5))
            ov.save_model(model, part / f"{name}.xml", compress_to_fp16=False)
        np.save(part / NULL_TEXT, network.null_text.detach().float().numpy())
        measure(network, part, part / record, here)
        sizes = {name: (part / name).stat().st_size for name in graph_files()}
        (part / SIZES).write_text(json.dumps(sizes), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # graphs of which a file was deleted
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def measure(network: ComposedNetwork, folder: Path, record: Path, here: dict[str, Any]) -> None:
    """Hold the graphs in ``folder`` against PyTorch on this processor and write down what was found.

    Raises:
        ParityError: a graph gives other vectors than PyTorch, even in f32.
    """
    core, parity = openvino().Core(), dict.fromkeys(LEAST_COSINE, 1.0)
    for name, precisions in GRAPHS.items():
        # Another batch and another length of text than were traced.
        probe = _example(network, name, 3, 9)
        with torch.inference_mode():
            expected = _MAKERS[name](network).eval()(*probe).numpy()
        for precision in precisions:
            found = compiled(core, folder / f"{name}.xml", precision)(tuple(value.numpy() for value in probe))[0]
            # np.minimum, unlike min, keeps a NaN.
            parity[precision] = float(np.minimum(parity[precision], _cosines(found, expected, probe, name).min()))
    if not parity["f32"] >= LEAST_COSINE["f32"]:
        raise ParityError(f"the exported graphs follow the network with a cosine of {parity['f32']:.6f} only")
    with replacing(record) as written:
        written.write_text(json.dumps({"processor": here, "parity": parity}, indent=2), encoding="utf-8")


def _cosines(found: Any, expected: Any, probe: tuple[Tensor, ...], name: str) -> Any:
    """Of blocks, which are of unit norm, or of the embeddings of tokens that count."""
    if name != "text":
        return (found * expected).sum(axis=-1)
    found, expected = (states[probe[1].numpy()].astype(np.float64) for states in (found, expected))
    return (found * expected).sum(axis=-1) / np.linalg.norm(found, axis=-1) / np.linalg.norm(expected, axis=-1)


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Hold a library's remarks on attributes that only the tracer touches."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _example(network: ComposedNetwork, graph: str, batch: int, length: int) -> tuple[Tensor, ...]:
    """Smooth noise, which is more like a photograph than white noise, and random words."""
    generator = torch.Generator().manual_seed(batch)
    side = network.config.vision.image_size
    coarse = torch.randn(batch, 3, 8, 8, generator=generator)
    inputs = nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    tokens = torch.randn(batch, length, network.text.width, generator=generator)
    mask = torch.arange(length)[None] < torch.tensor([[length], *[[length - 2]] * (batch - 1)])
    if graph == "text":
        return torch.randint(network.text.tokenizer.get_vocab_size(), mask.shape, generator=generator), mask
    return {"case": (inputs,), "query": (inputs, tokens, mask), "words": (tokens, mask)}[graph]
