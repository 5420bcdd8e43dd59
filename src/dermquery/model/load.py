"""From a name or a folder to a model that encodes: OpenVINO on a processor, onnxruntime or PyTorch on a GPU."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from dermquery.extensions import Extensions
from dermquery.model.artifact import Artifact, ArtifactError, artifact_folder, open_artifact, read_trained_on
from dermquery.model.encoder import ComposedModel
from dermquery.model.readout import read_readout
from dermquery.model.runtime import Runtime

__all__ = ["RUNTIMES", "choose_runtime", "load_model", "runtime_names"]

VARIABLE = "DERMQUERY_RUNTIME"
RUNTIMES: Extensions[Callable[[Artifact], Runtime]] = Extensions(
    "dermquery.runtimes",
    "runtime",
    callable,
    "a function from an artifact to a runtime",
    {
        "openvino": "dermquery.model.openvino_runtime:OpenVinoRuntime",
        "openvino-f32": "dermquery.model.openvino_runtime:in_float32",
        "onnxruntime": "dermquery.model.onnx_runtime:OnnxRuntime",
    },
)
"""What runs an artifact's graphs, by name."""


def load_model(name_or_path: str | Path, runtime: str = "auto") -> ComposedModel:
    """Load a model that ships with the package by name, or an artifact by its folder. Nothing is looked up on a hub.

    Every file is checked now, and once more when a runtime has read it; the runtime starts at the first encoding.

    Args:
        name_or_path: of the model.
        runtime: what encodes, see :func:`choose_runtime`.

    Raises:
        FileNotFoundError: neither a shipped name nor a folder with an artifact; the message lists the names.
        ArtifactError: a file is missing or is not the one that was saved, or the artifact is of an earlier format.
    """
    artifact = open_artifact(artifact_folder(name_or_path))
    manifest = artifact.manifest
    if manifest.format == 1:
        raise ArtifactError(
            f"{artifact.folder} was saved by an earlier version, without graphs to run; bring it up to date with: "
            f"dermquery pack {artifact.folder} --out NEW_FOLDER (needs: pip install 'dermquery[lab]')"
        )
    return ComposedModel(
        lambda: choose_runtime(artifact, runtime),
        manifest.model,
        name=manifest.name,
        labels=manifest.labels,
        artifact_hash=artifact.hash,
        provenance=manifest.provenance,
        replaces=manifest.replaces,
        readout=read_readout(artifact),
        trained_on=read_trained_on(artifact),
    )


def runtime_names() -> list[str]:
    """Names that :func:`choose_runtime` takes."""
    return ["auto", *RUNTIMES.names()]


def choose_runtime(artifact: Artifact, name: str = "auto") -> Runtime:
    """The runtime of an artifact.

    ``auto`` is onnxruntime where its GPU build is installed and finds a GPU, else OpenVINO. ``openvino`` computes in
    bfloat16 where the processor does so natively and the artifact was checked in it; ``openvino-f32`` never does.
    ``torch`` comes with the laboratory. ``$DERMQUERY_RUNTIME`` stands for ``auto``.

    Raises:
        ValueError: an unknown name, or another package's runtime that is broken.
        ModuleNotFoundError: what the runtime needs is not installed.
        ArtifactError: a file of the artifact was changed or removed since it was opened.
    """
    chosen = os.environ.get(VARIABLE) or "auto" if name == "auto" else name
    if chosen == "auto":
        chosen = "onnxruntime" if _gpu_for_onnxruntime() else "openvino"
    if (start := RUNTIMES.find(chosen)) is not None:
        with RUNTIMES.blamed(chosen):
            return start(artifact)
    raise ValueError(f"unknown runtime {chosen!r}; use one of: {', '.join(runtime_names())}")


def _gpu_for_onnxruntime() -> bool:
    """Whether its GPU build is installed and finds a GPU. The other build is not imported: it would leave traces."""
    try:
        version("onnxruntime-gpu")
    except PackageNotFoundError:
        return False
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
