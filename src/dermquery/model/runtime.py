"""What runs the network in search and evaluation: OpenVINO on a processor, PyTorch on an accelerator.

OpenVINO's graphs are exported once for each artifact into a cache and held against PyTorch there. Training, and what
looks inside the network (masks, evidence), always use PyTorch.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dermquery.model.network import ComposedNetwork

__all__ = [
    "OpenVinoRuntime",
    "ParityError",
    "Runtime",
    "RuntimeName",
    "TorchRuntime",
    "choose_runtime",
    "runtime_cache",
]

Blocks = NDArray[np.float32]
RuntimeName = Literal["auto", "torch", "openvino"]
VARIABLE = "DERMQUERY_RUNTIME"
_PARITY = {"bf16": 0.999, "f32": 0.99999}
"""Least cosine of a block with PyTorch's own, for each precision."""


class ParityError(RuntimeError):
    """An exported graph does not compute what the network computes."""


class Runtime(Protocol):
    """Runs the two graphs of a network; every array of blocks is (B, 2·L, d) with unit blocks.

    Attributes:
        name: for reports, such as "openvino bf16".
    """

    name: str

    def cases(self, inputs: Tensor) -> Blocks:
        """Blocks of database images from network input (B, 3, H, W)."""

    def queries(self, inputs: Tensor, tokens: Tensor, mask: Tensor) -> Blocks:
        """Blocks of composed queries that have an image; token embeddings (B, T, text width) and their mask (B, T)."""


class TorchRuntime:
    """The network as it is."""

    name = "torch"

    def __init__(self, network: ComposedNetwork) -> None:
        self._network = network

    @torch.inference_mode()
    def cases(self, inputs: Tensor) -> Blocks:
        return self._network.targets(self._network.features(inputs)).blocks.float().cpu().numpy()

    @torch.inference_mode()
    def queries(self, inputs: Tensor, tokens: Tensor, mask: Tensor) -> Blocks:
        network = self._network
        return network.compose(network.features(inputs), tokens, mask).blocks.float().cpu().numpy()


class OpenVinoRuntime:
    """Graphs exported to OpenVINO and compiled for this processor.

    Args:
        network: what is exported, if the cache does not have it yet.
        folder: of this artifact in the cache.
        precision: ``bf16``, where the processor has it, or ``f32``.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
        ParityError: the exported graphs give other vectors than PyTorch, even in f32.
    """

    def __init__(self, network: ComposedNetwork, folder: Path, precision: str | None = None) -> None:
        ov = _openvino()
        if not (folder / "parity.json").is_file():
            _export(network, folder)
        self._core: Any = ov.Core()
        self._core.set_property({"CACHE_DIR": str(folder / "compiled")})
        parity = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
        capable = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        chosen = precision or ("bf16" if capable and parity["bf16"] >= _PARITY["bf16"] else "f32")
        self.name = f"openvino {chosen}"
        self._cases, self._queries = (_compiled(self._core, folder / f"{graph}.xml", chosen) for graph in _GRAPHS)

    def cases(self, inputs: Tensor) -> Blocks:
        return np.array(self._cases(inputs.numpy())[0], np.float32)

    def queries(self, inputs: Tensor, tokens: Tensor, mask: Tensor) -> Blocks:
        return np.array(self._queries((inputs.numpy(), tokens.numpy(), mask.numpy()))[0], np.float32)


def runtime_cache() -> Path:
    """Folder of exported graphs: ``$DERMQUERY_CACHE/openvino``, else ``~/.cache/dermquery/openvino``."""
    return Path(os.environ.get("DERMQUERY_CACHE") or Path.home() / ".cache" / "dermquery") / "openvino"


def choose_runtime(network: ComposedNetwork, artifact_hash: str, name: str = "auto") -> Runtime:
    """The runtime of an artifact.

    ``auto`` is OpenVINO for a network on the processor and PyTorch for one on an accelerator, or where OpenVINO is not
    installed or cannot run this network, with a warning that says so. ``$DERMQUERY_RUNTIME`` stands for ``auto``.

    Args:
        network: the weights.
        artifact_hash: names the graphs in the cache.
        name: a :data:`RuntimeName`.

    Raises:
        ValueError: an unknown name.
        ModuleNotFoundError, ParityError: ``openvino`` was asked for by name and cannot be had.
    """
    chosen = os.environ.get(VARIABLE, "auto") if name == "auto" else name
    if chosen not in (known := get_args(RuntimeName)):
        raise ValueError(f"unknown runtime {chosen!r}; use one of: {', '.join(known)}")
    on_processor = next(network.parameters()).device.type == "cpu"
    if chosen == "torch" or not (on_processor or chosen == "openvino"):
        return TorchRuntime(network)
    try:
        return OpenVinoRuntime(network, runtime_cache() / artifact_hash[:24])
    except Exception as error:
        if chosen == "openvino":
            raise
        if not isinstance(error, ModuleNotFoundError):
            warnings.warn(f"OpenVINO cannot run this network, PyTorch does ({error})", RuntimeWarning, stacklevel=2)
        return TorchRuntime(network)


class _CaseGraph(nn.Module):
    def __init__(self, network: ComposedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.targets(self.network.features(inputs)).blocks


class _QueryGraph(_CaseGraph):
    def forward(self, inputs: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return self.network.compose(self.network.features(inputs), tokens, mask).blocks


_GRAPHS: dict[str, Callable[[ComposedNetwork], nn.Module]] = {"case": _CaseGraph, "query": _QueryGraph}


def _openvino() -> Any:
    """OpenVINO without its usage reports.

    Its converter would send one to Google Analytics each time, from a forked process; where the reporting package
    cannot be imported it falls back to a stub of its own.
    """
    cast("dict[str, Any]", sys.modules).setdefault("openvino_telemetry", None)
    import openvino

    return openvino


def _export(network: ComposedNetwork, folder: Path) -> None:
    """Write both graphs and how closely they follow PyTorch; the folder appears whole or not at all."""
    ov = _openvino()
    part = folder.with_name(f".{folder.name}-{uuid4().hex[:8]}")
    part.mkdir(parents=True)
    core = ov.Core()
    parity = {"bf16": 1.0, "f32": 1.0}
    try:
        for name, make in _GRAPHS.items():
            graph = make(network).eval()
            with warnings.catch_warnings(), torch.inference_mode(), _quiet("transformers"):
                warnings.simplefilter("ignore")  # the tracer warns of sizes that are constants of this artifact
                model = ov.convert_model(graph, example_input=_example(network, name, 2, 5))
            ov.save_model(model, part / f"{name}.xml", compress_to_fp16=False)
            # Another batch and another length of text than were traced.
            probe = _example(network, name, 3, 9)
            with torch.inference_mode():
                expected = graph(*probe).numpy()
            for precision in parity:
                found = _compiled(core, part / f"{name}.xml", precision)(tuple(value.numpy() for value in probe))[0]
                parity[precision] = min(parity[precision], float((found * expected).sum(axis=-1).min()))
        if parity["f32"] < _PARITY["f32"]:
            raise ParityError(f"the exported graphs follow the network with a cosine of {parity['f32']:.6f} only")
        (part / "parity.json").write_text(json.dumps(parity), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # what a killed export may have left
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


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
    if graph == "case":
        return (inputs,)
    tokens = torch.randn(batch, length, network.text.width, generator=generator)
    mask = torch.arange(length)[None] < torch.tensor([[length], *[[length - 2]] * (batch - 1)])
    return inputs, tokens, mask


def _compiled(core: Any, path: Path, precision: str) -> Callable[[Any], Any]:
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled, own = core.compile_model(str(path), "CPU", settings), threading.local()

    def run(inputs: Any) -> Any:
        # Calling a compiled model directly shares one request between threads, which then read each other's results.
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        return own.request.infer(inputs)

    return run
