"""The network's two graphs in OpenVINO's format.

They are exported once for each artifact and each version of the programs into a cache, and held against PyTorch once on
each kind of processor.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from dermquery.data.files import replacing
from dermquery.model.network import ComposedNetwork

__all__ = ["GRAPHS", "LEAST_COSINE", "ParityError", "compiled", "graphs_name", "openvino", "prepared", "processor"]

LEAST_COSINE = {"bf16": 0.999, "f32": 0.99999}
"""Of a block with PyTorch's own, for each precision."""
_PATIENCE = 600
"""Seconds to wait while another process exports the same graphs."""


class ParityError(RuntimeError):
    """An exported graph does not compute what the network computes."""


class _CaseGraph(nn.Module):
    def __init__(self, network: ComposedNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network.targets(self.network.features(inputs)).blocks


class _QueryGraph(_CaseGraph):
    def forward(self, inputs: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:  # type: ignore[override]
        return self.network.compose(self.network.features(inputs), tokens, mask).blocks


GRAPHS: dict[str, Callable[[ComposedNetwork], nn.Module]] = {"case": _CaseGraph, "query": _QueryGraph}


def openvino() -> Any:
    """OpenVINO without its usage reports.

    Its converter would send one to Google Analytics each time, from a forked process; where the reporting package
    cannot be imported it falls back to a stub of its own.
    """
    cast("dict[str, Any]", sys.modules).setdefault("openvino_telemetry", None)
    import openvino as package

    return package


def graphs_name(network: ComposedNetwork, artifact_hash: str) -> str:
    """Folder of an artifact's graphs: they are as good as the weights and the programs that they were made of.

    The versions are there to read; the digest adds those of the other packages and dermquery's own code of the parts.
    """
    if not artifact_hash.strip():
        raise ValueError(
            "a network without an artifact hash has no place in OpenVINO's cache; save the model and load it"
        )
    own = sys.modules["dermquery"].__version__  # importing the package would count as importing what it offers, too
    version = str(openvino().__version__)
    digest = hashlib.sha256(version.encode())
    for name in sorted({type(part).__module__ for part in network.modules()} | {__name__}):
        module, package = sys.modules[name], sys.modules[name.partition(".")[0]]
        digest.update(f"{name} {getattr(package, '__version__', '')}".encode())
        if package.__name__ == "dermquery" and module.__file__:
            digest.update(Path(module.__file__).read_bytes())
    return f"{artifact_hash[:24]}-{own}-{version.partition('-')[0]}-{digest.hexdigest()[:8]}"


def processor(core: Any) -> dict[str, Any]:
    """What a graph's numbers depend on here: the processor's name and what it can do, as both libraries see it."""
    return {
        "name": core.get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "instructions": torch.backends.cpu.get_cpu_capability(),
    }


def prepared(network: ComposedNetwork, folder: Path, here: dict[str, Any]) -> dict[str, float]:
    """Least cosine of each precision on this processor; graphs or figures that are missing are made, by one at a time.

    A home may be shared between machines, so each kind of processor has figures of its own.
    """
    from filelock import FileLock

    kind = hashlib.sha256(json.dumps(here, sort_keys=True).encode()).hexdigest()[:8]
    record = folder / f"parity-{kind}.json"
    if not _complete(folder, record):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=_PATIENCE):
            if not _complete(folder):
                _export(network, folder, record.name, here)
            elif not record.is_file():
                _measure(network, folder, record, here)
    return cast("dict[str, float]", json.loads(record.read_text(encoding="utf-8"))["parity"])


def _complete(folder: Path, *more: Path) -> bool:
    files = [folder / f"{graph}.{kind}" for graph in GRAPHS for kind in ("xml", "bin")]
    return all(file.is_file() for file in (*files, *more))


def _export(network: ComposedNetwork, folder: Path, record: str, here: dict[str, Any]) -> None:
    """Write both graphs and how closely they follow PyTorch; the folder appears whole or not at all."""
    ov = openvino()
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # what a killed export may have left
    part.mkdir()
    try:
        for name, make in GRAPHS.items():
            with warnings.catch_warnings(), torch.inference_mode(), _quiet("transformers"):
                warnings.simplefilter("ignore")  # the tracer warns of sizes that are constants of this artifact
                model = ov.convert_model(make(network).eval(), example_input=_example(network, name, 2, 5))
            ov.save_model(model, part / f"{name}.xml", compress_to_fp16=False)
        _measure(network, part, part / record, here)
        shutil.rmtree(folder, ignore_errors=True)  # graphs of which a file was deleted
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _measure(network: ComposedNetwork, folder: Path, record: Path, here: dict[str, Any]) -> None:
    """Hold the graphs in ``folder`` against PyTorch on this processor and write down what was found."""
    core, parity = openvino().Core(), {"bf16": 1.0, "f32": 1.0}
    for name, make in GRAPHS.items():
        # Another batch and another length of text than were traced.
        probe = _example(network, name, 3, 9)
        with torch.inference_mode():
            expected = make(network).eval()(*probe).numpy()
        for precision in parity:
            found = compiled(core, folder / f"{name}.xml", precision)(tuple(value.numpy() for value in probe))[0]
            # np.minimum, unlike min, keeps a NaN.
            parity[precision] = float(np.minimum(parity[precision], (found * expected).sum(axis=-1).min()))
    if not parity["f32"] >= LEAST_COSINE["f32"]:
        raise ParityError(f"the exported graphs follow the network with a cosine of {parity['f32']:.6f} only")
    with replacing(record) as written:
        written.write_text(json.dumps({"processor": here, "parity": parity}, indent=2), encoding="utf-8")


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


def compiled(core: Any, path: Path, precision: str) -> Callable[[Any], Any]:
    """A graph compiled for this processor, to be called with its inputs from any thread."""
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    model, own = core.compile_model(str(path), "CPU", settings), threading.local()

    def run(inputs: Any) -> Any:
        # Calling a compiled model directly shares one request between threads, which then read each other's results.
        if not hasattr(own, "request"):
            own.request = model.create_infer_request()
        return own.request.infer(inputs)

    return run
