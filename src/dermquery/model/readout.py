"""What is read of an image beside its blocks, and how its vector is packed: ``heads.safetensors`` of an artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from dermquery.model.alignment import BlockLayout, Vectors
from dermquery.model.architecture import ModelConfig
from dermquery.model.artifact import HEADS, Artifact, ArtifactError
from dermquery.model.heads import Floats, Heads
from dermquery.model.parts import PartLayout, Weights
from dermquery.model.trained_on import NOTHING, Fingerprints

__all__ = ["Readout", "read_heads_file", "read_readout", "write_heads_file"]

_TURN, _IMAGES = "turn", "trained_on"


@dataclass(frozen=True, eq=False)
class Readout:
    """What an artifact holds beside its network; nothing of it is needed.

    Attributes:
        heads: diagnosis, findings and look.
        turn: (2·L, d, w) turns each of equation 9's blocks onto the w directions that hold most of it; the blocks are
            normalised again, so that vectors are narrow and nearly as good.
        presets: weights by name that were chosen for this model, such as ``balanced``.
        trained_on: fingerprints (n, 32) of the images that it was fitted on; in an artifact they are among the model's.
    """

    heads: Heads | None = None
    turn: Floats | None = None
    presets: Mapping[str, Weights] = field(default_factory=dict)
    trained_on: Fingerprints = field(default_factory=lambda: NOTHING)

    def layout(self, config: ModelConfig) -> PartLayout:
        """Order of the parts in a vector; ValueError for a turn of other blocks than the model's."""
        width = config.width
        if self.turn is not None:
            if self.turn.ndim != 3 or self.turn.shape[:2] != (2 * len(config.levels), width):
                raise ValueError(
                    f"heads: the turn has shape {self.turn.shape}, expected ({2 * len(config.levels)}, {width}, w)"
                )
            width = self.turn.shape[2]
        blocks = BlockLayout(config.levels, width)
        return (
            PartLayout(blocks)
            if self.heads is None
            else PartLayout(blocks, len(self.heads.diagnoses), len(self.heads.look))
        )

    def turned(self, blocks: Floats) -> Vectors:
        """Unit blocks (n, 2·L, d) as they are stored, (n, 2·L·w)."""
        if self.turn is not None:
            blocks = np.einsum("nbi,bij->nbj", blocks, self.turn)
            blocks = blocks / np.maximum(np.linalg.norm(blocks, axis=-1, keepdims=True), 1e-12)
        return np.asarray(blocks.reshape(len(blocks), -1), np.float32)

    @property
    def tensors(self) -> dict[str, Floats]:
        """Every matrix by name."""
        turn = {} if self.turn is None else {_TURN: self.turn}
        return {**turn, **({} if self.heads is None else self.heads.tensors)}

    def to_bytes(self) -> bytes:
        """Content of an artifact's ``heads.safetensors``."""
        return save({name: np.ascontiguousarray(value, np.float32) for name, value in self.tensors.items()})


def read_readout(artifact: Artifact) -> Readout:
    """The heads, turn and presets of an artifact.

    Raises:
        ArtifactError: the file is not the one that was saved, or does not fit the model.
    """
    manifest = artifact.manifest
    tensors = artifact.tensors(HEADS) if HEADS in manifest.files else {}
    try:
        found = _of(tensors, manifest.diagnoses, manifest.presets)
        found.layout(manifest.model)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{artifact.folder / HEADS} does not fit this model ({error})") from error
    return found


def write_heads_file(path: Path, readout: Readout) -> None:
    """Write heads, turn and presets to one file that ``dermquery pack --heads`` puts into an artifact.

    With the fingerprints of what they were fitted on, so that no figure on those images is ever taken for one on new
    ones.
    """
    diagnoses = () if readout.heads is None else readout.heads.diagnoses
    presets = {name: weights.model_dump() for name, weights in readout.presets.items()}
    said = {"diagnoses": json.dumps(diagnoses), "presets": json.dumps(presets)}
    tensors: dict[str, NDArray[Any]] = {n: np.ascontiguousarray(v, np.float32) for n, v in readout.tensors.items()}
    save_file({**tensors, _IMAGES: readout.trained_on}, path, metadata=said)


def read_heads_file(path: Path) -> Readout:
    """What :func:`write_heads_file` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    try:
        with safe_open(path, "numpy") as file:
            said, tensors = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        diagnoses = TypeAdapter(tuple[str, ...]).validate_json(said.get("diagnoses", "[]"))
        presets = TypeAdapter(dict[str, Weights]).validate_json(said.get("presets", "{}"))
        images = tensors.pop(_IMAGES, NOTHING)
        return replace(_of(tensors, diagnoses, presets), trained_on=images)
    except (SafetensorError, TypeError, ValidationError, ValueError) as error:
        raise ValueError(f"{path} holds no heads ({error}); write it with write_heads_file") from error


def _of(tensors: Mapping[str, Floats], diagnoses: tuple[str, ...], presets: Mapping[str, Weights]) -> Readout:
    of_heads = {name: value for name, value in tensors.items() if name != _TURN}
    heads = Heads(diagnoses, **of_heads) if of_heads else None
    return Readout(heads, tensors.get(_TURN), presets)
