"""What runs the network in search and evaluation: OpenVINO on a processor, PyTorch on an accelerator.

Training, and what looks inside the network (masks, evidence), always use PyTorch. Where OpenVINO finds its graphs in
the cache, PyTorch is not even imported.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from dermquery.lab.network.hub import WeightsUnavailableError
from dermquery.model.graphs import (
    LEAST_COSINE,
    NULL_TEXT,
    ParityError,
    compiled,
    exported_again,
    graphs_name,
    openvino,
    prepared,
    processor,
)
from dermquery.model.lazy import LazyNetwork
from dermquery.model.manifest import ArtifactError
from dermquery.model.sentences import SentenceTokens

__all__ = [
    "Blocks",
    "Inputs",
    "OpenVinoRuntime",
    "ParityError",
    "Runtime",
    "RuntimeName",
    "choose_runtime",
    "runtime_cache",
]

Blocks = NDArray[np.float32]
Inputs = NDArray[np.float32]
RuntimeName = Literal["auto", "torch", "openvino"]
VARIABLE = "DERMQUERY_RUNTIME"


class Runtime(Protocol):
    """Runs a network; every array of blocks is (B, 2·L, d) with unit blocks, every input (B, 3, H, W).

    Attributes:
        name: for reports, such as "openvino bf16".
    """

    name: str

    def cases(self, inputs: Inputs) -> Blocks:
        """Blocks of database images."""

    def queries(self, inputs: Inputs, texts: Sequence[str | None]) -> Blocks:
        """Blocks of composed queries that have an image, and perhaps a text."""

    def words(self, texts: Sequence[str]) -> Blocks:
        """Blocks of composed queries without an image."""


class OpenVinoRuntime:
    """Graphs exported to OpenVINO and compiled for this processor, each when it is first run.

    Args:
        network: what is exported, if the cache does not have it yet.
        folder: of this artifact's graphs in the cache.
        precision: of what sees images: ``bf16``, where the processor has it, or ``f32``.

    Raises:
        ModuleNotFoundError: OpenVINO is not installed.
        ParityError: the exported graphs give other vectors than PyTorch, even in f32.
        TimeoutError: another process has been exporting the same graphs for ten minutes.
    """

    def __init__(self, network: LazyNetwork, folder: Path, precision: str | None = None) -> None:
        self._core: Any = openvino().Core()
        self._network, self._here = network, processor(self._core)
        parity = prepared(network, folder, self._here)
        # By size: a compiled graph refers to the weights in the exported one, and loads as fast.
        self._core.set_property({"CACHE_DIR": str(folder / "compiled"), "CACHE_MODE": "OPTIMIZE_SIZE"})
        capable = "BF16" in self._here["capabilities"]
        self._precision = precision or ("bf16" if capable and parity["bf16"] >= LEAST_COSINE["bf16"] else "f32")
        self.name = f"openvino {self._precision}"
        self._folder = folder
        self._graphs: dict[str, Callable[[Any], Any]] = {}
        self._lock = threading.Lock()
        null = np.load(folder / NULL_TEXT, allow_pickle=False)
        self._tokens = SentenceTokens(self._states, network.tokenizer(), null, network.config.text)

    def cases(self, inputs: Inputs) -> Blocks:
        return self._run("case", self._precision, inputs)

    def queries(self, inputs: Inputs, texts: Sequence[str | None]) -> Blocks:
        return self._run("query", self._precision, inputs, *self._tokens(texts))

    def words(self, texts: Sequence[str]) -> Blocks:
        return self._run("words", "f32", *self._tokens(texts))

    def _states(self, ids: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.float32]:
        return self._run("text", "f32", ids, mask)

    def _run(self, graph: str, precision: str, *inputs: NDArray[Any]) -> NDArray[np.float32]:
        with self._lock:
            if graph not in self._graphs:
                self._graphs[graph] = self._compiled(graph, precision)
        return np.array(self._graphs[graph](inputs)[0], np.float32)

    def _compiled(self, graph: str, precision: str) -> Callable[[Any], Any]:
        path = self._folder / f"{graph}.xml"
        try:
            return compiled(self._core, path, precision)
        except RuntimeError as error:  # cut off, or removed since
            why = " ".join(str(error).split())
            warnings.warn(f"the exported graph {path} cannot be read ({why}); exporting again", RuntimeWarning, 2)
        exported_again(self._network, self._folder, self._here)
        return compiled(self._core, path, precision)


def runtime_cache() -> Path:
    """Folder of exported graphs: ``$DERMQUERY_CACHE/openvino``, else ``~/.cache/dermquery/openvino``."""
    return Path(os.environ.get("DERMQUERY_CACHE") or Path.home() / ".cache" / "dermquery") / "openvino"


def choose_runtime(network: LazyNetwork, artifact_hash: str, name: str = "auto") -> Runtime:
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
        ArtifactError, WeightsUnavailableError: the network has to be built, and cannot be.
    """
    chosen = os.environ.get(VARIABLE, "auto") if name == "auto" else name
    if chosen not in (known := get_args(RuntimeName)):
        raise ValueError(f"unknown runtime {chosen!r}; use one of: {', '.join(known)}")
    if chosen == "torch" or not (network.on_processor or chosen == "openvino"):
        return _torch_runtime(network)
    try:
        return OpenVinoRuntime(network, runtime_cache() / graphs_name(artifact_hash))
    except (ArtifactError, WeightsUnavailableError):  # no fault of OpenVINO's; PyTorch would fail alike
        raise
    except Exception as error:
        if chosen == "openvino":
            raise
        if not isinstance(error, ModuleNotFoundError):
            warnings.warn(f"OpenVINO cannot run this network, PyTorch does ({error})", RuntimeWarning, stacklevel=2)
        return _torch_runtime(network)


def _torch_runtime(network: LazyNetwork) -> Runtime:
    from dermquery.lab.network.eager import TorchRuntime

    return TorchRuntime(network.network)
