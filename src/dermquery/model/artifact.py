"""The artifact: weights, configuration, preprocessing, labels, provenance and model card, in one folder.

artifact.json         everything but the numbers, with the SHA-256 of every other file
weights.safetensors   the parameters and buffers
tokenizer.json        the text encoder's tokenizer
README.md             the model card
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dermquery.model.encoder import ComposedModel
from dermquery.model.lazy import LazyNetwork
from dermquery.model.manifest import (
    CARD,
    MANIFEST,
    TOKENIZER,
    WEIGHTS,
    ArtifactError,
    Manifest,
    checked,
    read_manifest,
    sha256,
)
from dermquery.model.sentences import read_tokenizer

if TYPE_CHECKING:
    from dermquery.lab.network.network import ComposedNetwork

__all__ = ["ArtifactError", "Manifest", "load_model", "save_model", "shipped_models"]

_SHIPPED = Path(__file__).parent / "shipped"


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
    from dermquery.lab.network.weights import digest, write_network

    network, config = model.network, model.config
    if reference_text and not (config.text.frozen and config.text.pretrained and config.text.encoder == "minilm"):
        raise ValueError("only a frozen, pretrained 'minilm' text encoder can be left out of the artifact")
    folder.mkdir(parents=True, exist_ok=True)
    write_network(network, folder, half=half, reference_text=reference_text)
    (folder / CARD).write_text(card, encoding="utf-8")
    manifest = Manifest(
        name=model.name,
        model=config,
        labels=model.labels,
        vision_description=getattr(network.backbone, "description", None),
        text_description=network.text.description,
        text_source=digest(network.text.encoder.state_dict()) if reference_text else None,
        files={name: sha256((folder / name).read_bytes()) for name in (WEIGHTS, TOKENIZER, CARD)},
        provenance=model.provenance,
    )
    payload = json.dumps(manifest.model_dump(mode="json"), indent=2, sort_keys=True, default=str) + "\n"
    (folder / MANIFEST).write_text(payload, encoding="utf-8")
    return sha256((folder / MANIFEST).read_bytes())


def shipped_models() -> list[str]:
    """Names of the models that ship inside the package."""
    return sorted(p.parent.name for p in _SHIPPED.glob(f"*/{MANIFEST}"))


def load_model(name_or_path: str | Path, device: str = "cpu", runtime: str = "auto") -> ComposedModel:
    """Load a model that ships with the package by name, or an artifact by its folder. Nothing is looked up on a hub.

    Every file is checked now; the network is built at the first use that needs PyTorch (:mod:`.lazy`).

    Args:
        name_or_path: of the model.
        device: where PyTorch puts the weights.
        runtime: what encodes: ``torch``, ``openvino``, or ``auto`` for the faster one (:mod:`.runtime`).

    Raises:
        FileNotFoundError: neither a shipped name nor a folder with an artifact; the message lists the names.
        ArtifactError: a file is missing or is not the one that was saved. A package that provides the text encoder is
            looked at when the network is built; this error, or WeightsUnavailableError, is then raised there.
    """
    folder = _SHIPPED / str(name_or_path) if str(name_or_path) in shipped_models() else Path(name_or_path)
    if not (folder / MANIFEST).is_file():
        known = ", ".join(shipped_models()) or "none"
        raise FileNotFoundError(
            f"no model at {str(name_or_path)!r}: give a folder that holds {MANIFEST}, or a shipped model ({known})"
        )
    manifest, artifact_hash = read_manifest(folder)
    network = LazyNetwork(
        manifest.model,
        build=partial(_build, folder, manifest, device),
        tokenizer=lambda: read_tokenizer(checked(folder, TOKENIZER, manifest)),
        device=device,
    )
    return ComposedModel(
        network,
        name=manifest.name,
        labels=manifest.labels,
        artifact_hash=artifact_hash,
        provenance=manifest.provenance,
        runtime=runtime,
    )


def _build(folder: Path, manifest: Manifest, device: str) -> ComposedNetwork:
    from dermquery.lab.network.weights import build_network

    return build_network(folder, manifest, device)
