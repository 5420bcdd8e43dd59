"""``artifact.json``: what an artifact says of itself, held against the files beside it. Reading it needs no PyTorch.

The files are named in :mod:`.artifact`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from dermquery.model.architecture import ModelConfig

__all__ = [
    "CARD",
    "MANIFEST",
    "TOKENIZER",
    "WEIGHTS",
    "ArtifactError",
    "Manifest",
    "checked",
    "read_manifest",
    "sha256",
]

MANIFEST, WEIGHTS, TOKENIZER, CARD = "artifact.json", "weights.safetensors", "tokenizer.json", "README.md"


class ArtifactError(ValueError):
    """The folder is no artifact, or not the one that was saved."""


class Manifest(BaseModel):
    """Content of ``artifact.json``.

    Attributes:
        text_source: set if the frozen text encoder's weights are not stored but taken from the package named by
            ``model.text.encoder``; it is then the digest that they must have.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    name: str
    model: ModelConfig
    labels: tuple[str, ...]
    vision_description: dict[str, Any] | None
    text_description: dict[str, Any]
    text_source: str | None
    files: dict[str, str]
    provenance: dict[str, Any]


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """The manifest of an artifact whose files are all there and unchanged, and its SHA-256, the artifact's hash.

    Raises:
        ArtifactError: the manifest cannot be read, or a file is missing or is not the one that was saved.
    """
    content = (folder / MANIFEST).read_bytes()
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise ArtifactError(f"{folder / MANIFEST} is not readable by this version of dermquery: {error}") from error
    if unlisted := {WEIGHTS, TOKENIZER} - manifest.files.keys():
        raise ArtifactError(f"{folder / MANIFEST} says nothing of {', '.join(sorted(unlisted))}; copy the folder again")
    for name in manifest.files:
        checked(folder, name, manifest)
    return manifest, sha256(content)


def checked(folder: Path, name: str, manifest: Manifest) -> bytes:
    """The bytes of a file of an artifact.

    Raises:
        ArtifactError: it is missing, or is not the one that was saved.
    """
    path = folder / name
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; copy the whole folder again")
    content = path.read_bytes()
    if sha256(content) != manifest.files[name]:
        raise ArtifactError(f"{path} is not the file that was saved with this model; copy the folder again")
    return content


def sha256(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
