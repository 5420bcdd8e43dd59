"""What runs the network in search and evaluation: OpenVINO on a processor, PyTorch on an accelerator.

Training, and what looks inside the network (masks, evidence), always use PyTorch.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dermquery.model.graphs import (
    GRAPHS,
    LEAST_COSINE,
    ParityError,
    compiled,
    graphs_name,
    openvino,
    prepared,
    processor,
)
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
        folder: of this artifact's graphs in the cache.
        precision: ``bf16``, where the processor has it, or ``f32``.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
        ParityError: the exported graphs give other vectors than PyTorch, even in f32.
        TimeoutError: another process has been exporting the same graphs for ten minutes.
    """

    def __init__(self, network: ComposedNetwork, folder: Path, precision: str | None = None) -> None:
        self._core: Any = openvino().Core()
        here = processor(self._core)
        parity = prepared(network, folder, here)
        self._core.set_property({"CACHE_DIR": str(folder / "compiled")})
        capable = "BF16" in here["capabilities"]
        chosen = precision or ("bf16" if capable and parity["bf16"] >= LEAST_COSINE["bf16"] else "f32")
        self.name = f"openvino {chosen}"
        self._cases, self._queries = (compiled(self._core, folder / f"{graph}.xml", chosen) for graph in GRAPHS)

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
        artifact_hash: names the graphs in the cache; OpenVINO cannot be had without it.
        name: a :data:`RuntimeName`.

    Raises:
        ValueError: an unknown name, or ``openvino`` for a network that no artifact holds.
        ModuleNotFoundError, ParityError: ``openvino`` was asked for by name and cannot be had.
    """
    chosen = os.environ.get(VARIABLE, "auto") if name == "auto" else name
    if chosen not in (known := get_args(RuntimeName)):
        raise ValueError(f"unknown runtime {chosen!r}; use one of: {', '.join(known)}")
    on_processor = next(network.parameters()).device.type == "cpu"
    if chosen == "torch" or not (on_processor or chosen == "openvino"):
        return TorchRuntime(network)
    try:
        return OpenVinoRuntime(network, runtime_cache() / graphs_name(network, artifact_hash))
    except Exception as error:
        if chosen == "openvino":
            raise
        if not isinstance(error, ModuleNotFoundError):
            warnings.warn(f"OpenVINO cannot run this network, PyTorch does ({error})", RuntimeWarning, stacklevel=2)
        return TorchRuntime(network)
