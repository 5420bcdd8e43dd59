"""An artifact's graphs in OpenVINO, on this machine's processor."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dermquery.model.artifact import GRAPHS, Artifact
from dermquery.model.graph_runtime import GraphRuntime
from dermquery.model.runtime import Maps

__all__ = ["OpenVinoRuntime", "in_float32"]


class OpenVinoRuntime(GraphRuntime):
    """Graphs compiled for this processor, each at its first use, or ahead of it by :meth:`prepare`.

    Args:
        artifact: see :class:`.graph_runtime.GraphRuntime`.
        precision: ``bf16`` or ``f32``; None takes bfloat16 where the processor has it natively and the artifact was
            checked in it.
    """

    def __init__(self, artifact: Artifact, precision: str | None = None) -> None:
        super().__init__(artifact)
        self._core: Any = _openvino().Core()
        # Weights are copied when a graph is compiled, so that no later change of the file reaches them.
        self._core.set_property({"ENABLE_MMAP": False})
        native = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        self._precision = precision or ("bf16" if native and artifact.manifest.bf16 else "f32")
        self.name = f"openvino {self._precision}"
        self._graphs: dict[str, Callable[[tuple[Any, ...]], Maps]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Compile the graphs of the network, all at once."""
        with ThreadPoolExecutor(len(GRAPHS)) as pool:
            list(pool.map(self._compiled, GRAPHS))

    def _run(self, graph: str, *inputs: NDArray[Any]) -> Maps:
        return self._compiled(graph)(inputs)

    def _compiled(self, graph: str) -> Callable[[tuple[Any, ...]], Maps]:
        with self._lock:
            lock = self._locks.setdefault(graph, threading.Lock())
        with lock:
            if graph not in self._graphs:
                self._graphs[graph] = self._compile(graph)
            return self._graphs[graph]

    def _compile(self, graph: str) -> Callable[[tuple[Any, ...]], Maps]:
        settings = {
            "INFERENCE_PRECISION_HINT": self._precision,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": _threads(),
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # weights of 8 bits shall not round what is computed with them
        }
        with self._artifact.run_as_hashed(graph):
            model = self._core.compile_model(str(self._artifact.folder / graph), "CPU", settings)
        shape = model.input(0).get_partial_shape()
        self._check_graph(graph, [side.get_length() if side.is_static else None for side in shape])
        own = threading.local()

        def run(inputs: tuple[Any, ...]) -> Maps:
            # Called directly, a compiled model shares one request between threads, which read each other's results.
            if not hasattr(own, "request"):
                own.request = model.create_infer_request()
            found = own.request.infer(inputs)
            return tuple(np.array(found[i], np.float32) for i in range(len(model.outputs)))

        return run


def in_float32(artifact: Artifact) -> OpenVinoRuntime:
    """A runtime that never computes in bfloat16."""
    return OpenVinoRuntime(artifact, "f32")


def _openvino() -> Any:
    """OpenVINO without its converter, which nothing here needs: it takes a third of the import and reports its use."""
    cast("dict[str, Any]", sys.modules).setdefault("openvino.tools.ovc", None)
    import openvino as package

    return package


def _threads() -> int:
    """Threads of an inference at most: ``$OMP_NUM_THREADS``, or the cores that this process may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
