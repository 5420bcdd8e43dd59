"""What a training starts from: the backbone of a trained model, or an eye that ``dermquery teach`` wrote."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from dermquery.data.files import replacing
from dermquery.lab.network.eager import load_trained, network_of
from dermquery.lab.network.vision import build_backbone
from dermquery.model.architecture import VisionConfig
from dermquery.model.artifact import ArtifactError, sha256
from dermquery.model.encoder import ComposedModel
from dermquery.model.trained_on import Fingerprints

__all__ = ["EYE", "Start", "backbone_of", "load_start", "save_eye"]

EYE = "eye.json"
_WEIGHTS, _IMAGES = "backbone.safetensors", "trained_on"


@dataclass(frozen=True, eq=False)
class Start:
    """A taught backbone.

    Attributes:
        name: of the model or the folder.
        artifact_hash: SHA-256 of the model, or of the eye's ``eye.json``, which holds that of its weights.
        vision: backbone and preprocessing that it was taught with.
        state: the backbone's weights.
        provenance: what it was taught on and how.
        trained_on: fingerprints (n, 32) of the images that it was taught on, and of what it started from.
    """

    name: str
    artifact_hash: str
    vision: VisionConfig
    state: dict[str, Tensor]
    provenance: dict[str, Any]
    trained_on: Fingerprints

    @classmethod
    def of(cls, model: ComposedModel) -> Start:
        """The backbone of a model that PyTorch runs."""
        state = network_of(model).backbone.state_dict()
        return cls(model.name, model.artifact_hash, model.config.vision, state, model.provenance, model.trained_on)


def load_start(name_or_path: str) -> Start:
    """The backbone of a model by name or folder, or of an eye by its folder.

    Raises:
        FileNotFoundError, ArtifactError, WeightsUnavailableError: see :func:`.eager.load_trained`.
    """
    folder = Path(name_or_path)
    if not (folder / EYE).is_file():
        return Start.of(load_trained(name_or_path))
    content, weights = (folder / EYE).read_bytes(), (folder / _WEIGHTS).read_bytes()
    held = json.loads(content)
    if sha256(weights) != held["weights"]:
        raise ArtifactError(f"{folder / _WEIGHTS} is not the file that was saved with {EYE}; copy the folder again")
    vision = VisionConfig.model_validate(held["vision"])
    state = load(weights)
    images = state.pop(_IMAGES).numpy()
    return Start(held["name"], sha256(content), vision, state, held["provenance"], images)


def backbone_of(start: Start) -> nn.Module:
    """The backbone itself, for evaluation."""
    backbone = build_backbone(start.vision.model_copy(update={"pretrained": False}))
    backbone.load_state_dict(start.state)
    return backbone.eval()


def save_eye(
    backbone: nn.Module,
    vision: VisionConfig,
    folder: Path,
    name: str,
    provenance: dict[str, Any],
    trained_on: Fingerprints,
) -> Start:
    """Write a taught backbone to a folder and return it."""
    state = {key: value.detach().cpu().contiguous() for key, value in backbone.state_dict().items()}
    weights = save({**state, _IMAGES: torch.from_numpy(trained_on)})
    held = {
        "name": name, "vision": vision.model_dump(mode="json"), "weights": sha256(weights), "provenance": provenance,
    }  # fmt: skip
    with replacing(folder / _WEIGHTS) as part:
        part.write_bytes(weights)
    with replacing(folder / EYE) as part:
        part.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    return load_start(str(folder))
