"""An artifact's graphs in onnxruntime: on a GPU where its GPU build finds one, else on the processor."""

from __future__ import annotations

import threading
from typing import Any

from numpy.typing import NDArray

from dermquery.model.artifact import GRAPHS, Artifact
from dermquery.model.graph_runtime import GraphRuntime
from dermquery.model.runtime import Maps

__all__ = ["OnnxRuntime"]


class OnnxRuntime(GraphRuntime):
    """One session for each graph; sessions may be used by several threads.

    Args:
        artifact: see :class:`.graph_runtime.GraphRuntime`.

    Raises:
        ModuleNotFoundError: neither ``onnxruntime`` nor ``onnxruntime-gpu`` is installed.
    """

    def __init__(self, artifact: Artifact) -> None:
        import onnxruntime

        onnxruntime.disable_telemetry_events()
        super().__init__(artifact)
        self._runtime: Any = onnxruntime
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        self._providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
        self.name = f"onnxruntime {'cuda' if len(self._providers) > 1 else 'cpu'}"
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()

    def prepare(self) -> None:
        """Load the graphs of the network."""
        for graph in GRAPHS:
            self._session(graph)

    def _session(self, graph: str) -> Any:
        with self._lock:
            if graph not in self._sessions:
                path = str(self._artifact.folder / graph)
                with self._artifact.run_as_hashed(graph):
                    session = self._runtime.InferenceSession(path, providers=self._providers)
                self._check_graph(graph, session.get_inputs()[0].shape)
                self._sessions[graph] = session
            return self._sessions[graph]

    def _run(self, graph: str, *inputs: NDArray[Any]) -> Maps:
        session = self._session(graph)
        names = [entry.name for entry in session.get_inputs()]
        found: list[NDArray[Any]] = session.run(None, dict(zip(names, inputs, strict=True)))
        return tuple(found)
