"""The network's graphs in OpenVINO's format: their names, their place in the cache, and how they are run.

They are exported once for each artifact and each version of the programs into a cache, and held against PyTorch once on
each kind of processor
(:mod:`dermquery.lab.network.export`). Graphs that lie there are found and run without importing PyTorch.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np

from dermquery.model.lazy import LazyNetwork

__all__ = [
    "GRAPHS",
    "LEAST_COSINE",
    "NULL_TEXT",
    "SIZES",
    "ParityError",
    "compiled",
    "exported_again",
    "graph_files",
    "graphs_name",
    "openvino",
    "prepared",
    "processor",
]

GRAPHS: dict[str, tuple[str, ...]] = {
    "case": ("bf16", "f32"),
    "query": ("bf16", "f32"),
    "text": ("f32",),
    "words": ("f32",),
}
"""Each graph and the precisions that it is run in. Of a few tokens, as in text and words, bf16 saves nothing.

case   network input (B, 3, H, W) to blocks (B, 2·L, d) of database images
query  network input, token embeddings (B, T, text width) and their mask (B, T) to blocks of composed queries
text   token ids (B, T) and their mask (B, T) to token embeddings
words  token embeddings and their mask to blocks of queries without an image
"""
NULL_TEXT = "null_text.npy"
"""File of the embedding (1, text width) that stands for a missing text, beside the graphs."""
SIZES = "sizes.json"
"""File of the bytes that each of the others had when it was exported."""
LEAST_COSINE = {"bf16": 0.999, "f32": 0.99999}
"""Of a block, or a token's embedding, with PyTorch's own, for each precision."""
_PATIENCE = 600
"""Seconds to wait while another process exports the same graphs."""
_CODE = Path(__file__).parent
_MADE_WITH = ("torch", "transformers", "timm")


class ParityError(RuntimeError):
    """An exported graph does not compute what the network computes."""


def openvino() -> Any:
    """OpenVINO without its usage reports.

    Its converter would send one to Google Analytics each time, from a forked process; where the reporting package
    cannot be imported it falls back to a stub of its own.
    """
    cast("dict[str, Any]", sys.modules).setdefault("openvino_telemetry", None)
    import openvino as package

    return package


def graphs_name(artifact_hash: str) -> str:
    """Folder of an artifact's graphs: they are as good as the weights and the programs that they were made of.

    The versions are there to read; the digest adds those of the other packages and the code of this one, all of it,
    because which of it a network runs is known only once PyTorch is there.
    """
    if not artifact_hash.strip():
        raise ValueError(
            "a network without an artifact hash has no place in OpenVINO's cache; save the model and load it"
        )
    own = sys.modules["dermquery"].__version__  # importing the package would count as importing what it offers, too
    runs = str(openvino().__version__)
    digest = hashlib.sha256(f"{runs} {' '.join(f'{name} {_installed(name)}' for name in _MADE_WITH)}".encode())
    for file in sorted(_CODE.glob("*.py")):
        digest.update(file.name.encode() + file.read_bytes())
    return f"{artifact_hash[:24]}-{own}-{runs.partition('-')[0]}-{digest.hexdigest()[:8]}"


def _installed(package: str) -> str:
    """Version of a package, from its metadata; importing it would take a second. Empty if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def processor(core: Any) -> dict[str, Any]:
    """What a graph's numbers depend on here: the processor's name and what it can do, as OpenVINO and NumPy see it."""
    extensions: Any = np.show_config(mode="dicts")  # leaves out what is empty
    return {
        "name": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "instructions": extensions.get("SIMD Extensions", {}).get("found", []),
    }


def prepared(network: LazyNetwork, folder: Path, here: dict[str, Any]) -> dict[str, float]:
    """Least cosine of each precision on this processor; graphs or figures that are missing are made, by one at a time.

    A home may be shared between machines, so each kind of processor has figures of its own.
    """
    kind = hashlib.sha256(json.dumps(here, sort_keys=True).encode()).hexdigest()[:8]
    record = folder / f"parity-{kind}.json"
    if not _complete(folder, record):
        _complete_now(network, folder, record, here)
    return cast("dict[str, float]", json.loads(record.read_text(encoding="utf-8"))["parity"])


def exported_again(network: LazyNetwork, folder: Path, here: dict[str, Any]) -> None:
    """Replace graphs of which one cannot be read, though all are there."""
    folder.joinpath(SIZES).unlink(missing_ok=True)
    prepared(network, folder, here)


def _complete_now(network: LazyNetwork, folder: Path, record: Path, here: dict[str, Any]) -> None:
    from filelock import FileLock

    from dermquery.lab.network import export

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=_PATIENCE):
        if not _complete(folder):
            export.export(network.network, folder, record.name, here)
        elif not record.is_file():
            export.measure(network.network, folder, record, here)


def _complete(folder: Path, *more: Path) -> bool:
    """Whether every file is there, and as long as it was when it was exported."""
    try:
        sizes = json.loads((folder / SIZES).read_text(encoding="utf-8"))
        whole = all((folder / name).stat().st_size == sizes[name] for name in graph_files())
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return whole and all(file.is_file() for file in more)


def graph_files() -> list[str]:
    """Names of the files that an export leaves, but for :data:`SIZES` and the figures of processors."""
    return [*(f"{graph}.{kind}" for graph in GRAPHS for kind in ("xml", "bin")), NULL_TEXT]


def compiled(core: Any, path: Path, precision: str) -> Callable[[Any], Any]:
    """A graph compiled for this processor, to be called with its inputs from any thread."""
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": _threads(),
    }
    model, own = core.compile_model(str(path), "CPU", settings), threading.local()

    def run(inputs: Any) -> Any:
        # Calling a compiled model directly shares one request between threads, which then read each other's results.
        if not hasattr(own, "request"):
            own.request = model.create_infer_request()
        return own.request.infer(inputs)

    return run


def _threads() -> int:
    """Threads of an inference at most, as PyTorch would count them: ``$OMP_NUM_THREADS``, or the cores we may use."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
