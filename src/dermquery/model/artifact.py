"""The artifact: a model that is ready to run, in one folder, read without PyTorch.

artifact.json            everything but the numbers, with the SHA-256 of every other file
weights.safetensors      the parameters and buffers
image.onnx               pixels to feature maps (equations 2 and 3)
composer.onnx            feature maps and token embeddings to composed maps (equation 5)
regions.onnx             maps to region masks and unit blocks (equations 6 to 8)
embeddings.safetensors   what stands for a missing text or image, and the sentences of a closed vocabulary (equation 4)
text.onnx                token ids to token embeddings (equation 4), where a text is encoded as it is written
tokenizer.json           the text encoder's tokenizer, where there is a text to cut into tokens
heads.safetensors        what is read of an image beside its blocks: diagnosis, findings, look; and the turn that packs
                         vectors (optional)
trained_on.safetensors   fingerprints of every training image, through all generations (optional)
README.md                the model card

The graphs hold no weights: they refer to places in ``weights.safetensors``. The laboratory writes an artifact once and
checks its graphs against PyTorch; nothing is exported or traced afterwards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load

from dermquery.model.architecture import ModelConfig
from dermquery.model.parts import Weights
from dermquery.model.trained_on import NOTHING, Fingerprints

__all__ = [
    "Artifact",
    "ArtifactError",
    "Manifest",
    "Storage",
    "artifact_folder",
    "open_artifact",
    "read_trained_on",
    "sha256",
    "shipped_models",
]

MANIFEST, WEIGHTS, TOKENIZER, CARD = "artifact.json", "weights.safetensors", "tokenizer.json", "README.md"
EMBEDDINGS, TEXT_GRAPH, HEADS = "embeddings.safetensors", "text.onnx", "heads.safetensors"
TRAINED_ON = "trained_on.safetensors"
GRAPHS = ("image.onnx", "composer.onnx", "regions.onnx")
Storage = Literal["float32", "float16", "int8"]
"""Numbers that ``weights.safetensors`` holds: of int8 the large weights, with a scale for each output."""
_SHIPPED = Path(__file__).parent / "shipped"


class ArtifactError(ValueError):
    """The folder is no artifact, or not the one that was saved."""


class Manifest(BaseModel):
    """Content of ``artifact.json``.

    Attributes:
        format: 2; an artifact of format 1 has weights only, and ``dermquery pack`` brings it to format 2.
        text_source: digest that the frozen text encoder's weights must have, where the artifact does not hold them but
            the package named by ``model.text.encoder`` provides them; only the laboratory needs them.
        sentences: the closed vocabulary whose embeddings the artifact holds, in their order; empty for a model that
            encodes any text.
        bf16: the graphs were checked in bfloat16 too and may run in it.
        diagnoses: in the order of the posterior, for an artifact with heads.
        presets: weights of the parts of a score, by names such as ``balanced``, that were chosen for this model.
        replaces: hashes of earlier artifacts of the same weights; vectors that they made are this model's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1, 2] = 2
    name: str
    model: ModelConfig
    labels: tuple[str, ...]
    vision_description: dict[str, Any] | None
    text_description: dict[str, Any]
    text_source: str | None
    sentences: tuple[str, ...] = ()
    bf16: bool = False
    diagnoses: tuple[str, ...] = ()
    presets: dict[str, Weights] = Field(default_factory=dict)
    replaces: tuple[str, ...] = ()
    files: dict[str, str]
    provenance: dict[str, Any]

    @property
    def needed(self) -> tuple[str, ...]:
        """Files without which the model cannot run."""
        heads = (HEADS,) if self.diagnoses else ()
        return (*GRAPHS, WEIGHTS, EMBEDDINGS, *heads, *(() if self.sentences else (TEXT_GRAPH, TOKENIZER)))


class Artifact:
    """A folder and its manifest, whose files were there and unchanged when it was opened.

    Attributes:
        folder: of the artifact.
        manifest: content of ``artifact.json``.
        hash: SHA-256 of ``artifact.json``, which covers all other files.
    """

    def __init__(self, folder: Path, manifest: Manifest, found: str) -> None:
        self.folder, self.manifest, self.hash = folder, manifest, found

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            ArtifactError: it is missing, or is not the one that was saved.
        """
        path = self.folder / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing; copy the whole folder again")
        content = path.read_bytes()
        if sha256(content) != self.manifest.files[name]:
            raise ArtifactError(f"{path} is not the file that was saved with this model; copy the folder again")
        return content

    def tensors(self, name: str) -> dict[str, NDArray[Any]]:
        """The arrays of a file of tensors.

        Raises:
            ArtifactError: as :meth:`read`, or it holds no tensors that NumPy has a type for.
        """
        try:
            return load(self.read(name))
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ArtifactError):
                raise
            raise ArtifactError(
                f"{self.folder / name} holds no tensors that can be read ({error}); pack it again"
            ) from error

    @contextmanager
    def run_as_hashed(self, graph: str) -> Iterator[None]:
        """Hold a graph and its weights against their hashes once the block has read them: what runs was hashed.

        Raises:
            ArtifactError: one is missing or is not the one that was saved, or a runtime cannot use the graph.
        """
        failure: Exception | None = None
        try:
            yield
        except Exception as error:  # whatever a runtime raises
            failure = error
        for name in (graph, WEIGHTS):
            self.read(name)
        if failure is not None:
            raise ArtifactError(
                f"{self.folder / graph} cannot be run ({' '.join(str(failure).split())}); the files of this folder do "
                "not belong together: copy it again"
            ) from failure


def open_artifact(folder: Path) -> Artifact:
    """The artifact in a folder, of either format.

    Raises:
        ArtifactError: the manifest cannot be read, or a file is missing or is not the one that was saved.
    """
    content = (folder / MANIFEST).read_bytes()
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise ArtifactError(
            f"{folder / MANIFEST} is not readable by this version of dermquery ({_first(error)}); copy the folder "
            "again, or update dermquery"
        ) from error
    needed = manifest.needed if manifest.format == 2 else (WEIGHTS, TOKENIZER)
    if unlisted := set(needed) - manifest.files.keys():
        raise ArtifactError(f"{folder / MANIFEST} says nothing of {', '.join(sorted(unlisted))}; copy the folder again")
    artifact = Artifact(folder, manifest, sha256(content))
    for name in manifest.files:
        artifact.read(name)
    return artifact


def read_trained_on(artifact: Artifact) -> Fingerprints:
    """Fingerprints (n, 32) of the training images; none where the artifact does not say."""
    if TRAINED_ON not in artifact.manifest.files:
        return NOTHING
    found = artifact.tensors(TRAINED_ON).get("images", NOTHING[:, :0])
    if found.ndim != 2 or found.shape[1] != 32 or found.dtype != np.uint8:
        raise ArtifactError(f"{artifact.folder / TRAINED_ON} holds no fingerprints; copy the folder again")
    fingerprints: Fingerprints = found
    return fingerprints


def shipped_models() -> list[str]:
    """Names of the models that ship inside the package."""
    return sorted(p.parent.name for p in _SHIPPED.glob(f"*/{MANIFEST}"))


def artifact_folder(name_or_path: str | Path) -> Path:
    """Folder of a model that ships with the package by name, or of an artifact by its path.

    Raises:
        FileNotFoundError: neither a shipped name nor a folder with an artifact; the message lists the names.
    """
    folder = _SHIPPED / str(name_or_path) if str(name_or_path) in shipped_models() else Path(name_or_path)
    if not (folder / MANIFEST).is_file():
        known = ", ".join(shipped_models()) or "none"
        raise FileNotFoundError(
            f"no model at {str(name_or_path)!r}: give a folder that holds {MANIFEST}, or a shipped model ({known})"
        )
    return folder


def _first(error: ValidationError) -> str:
    """The first of a schema's complaints and the value it is about, in one line."""
    found = error.errors(include_url=False)[0]
    value = found["input"]
    said = f", got {value!r:.40}" if isinstance(value, str | int | float | None) else ""
    return f"{'.'.join(map(str, found['loc'])) or 'the file'}: {found['msg']}{said}"


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
