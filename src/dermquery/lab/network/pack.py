"""Writing an artifact: weights, graphs that follow PyTorch, embeddings and card (:mod:`dermquery.model.artifact`)."""

from __future__ import annotations

import copy
import json
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.numpy import save as save_arrays
from safetensors.torch import save
from torch import Tensor

from dermquery.data.files import make_folder, move, sync_tree
from dermquery.lab.network.eager import TorchRuntime, network_of
from dermquery.lab.network.network import ComposedNetwork
from dermquery.lab.network.onnx_graphs import write_graphs
from dermquery.lab.network.parity import check_parity
from dermquery.lab.network.text import TextEncoder
from dermquery.lab.network.weights import TEXT_PREFIX, as_floats, as_stored, digest
from dermquery.model.artifact import (
    CARD,
    EMBEDDINGS,
    HEADS,
    MANIFEST,
    TOKENIZER,
    TRAINED_ON,
    WEIGHTS,
    Artifact,
    Manifest,
    Storage,
    open_artifact,
    sha256,
)
from dermquery.model.encoder import ComposedModel
from dermquery.model.readout import Readout
from dermquery.model.sentences import closed_vocabulary

__all__ = ["save_model"]


def save_model(
    model: ComposedModel,
    folder: Path,
    *,
    card: str,
    storage: Storage = "float32",
    reference_text: bool = False,
    readout: Readout | None = None,
) -> str:
    """Write ``model`` to ``folder``, ready to run, and return the artifact's hash.

    The folder appears when the graphs are written and follow PyTorch, or not at all.

    Args:
        model: what to save; PyTorch must run it (:func:`.eager.load_trained`).
        folder: created if missing; an artifact that is already there is replaced.
        card: the model card, Markdown.
        storage: of the weights, which are float32 again once loaded: ``float16`` has half the size, ``int8`` a quarter
            (large weights; the rest is float16).
        reference_text: leave out a frozen text encoder that a package provides; building the network again then needs
            the package, encoding does not if texts are read into findings.
        readout: heads, turn and presets; the model's own if not given.

    Raises:
        ValueError: heads that do not fit the network, or ``reference_text`` for a text encoder that was trained or that
            no package provides.
        ParityError: the graphs do not compute what PyTorch does.
    """
    config = model.config
    sentences = closed_vocabulary(config.text)
    if reference_text and not (sentences and config.text.pretrained and config.text.encoder == "minilm"):
        raise ValueError(
            "only a frozen, pretrained 'minilm' text encoder can be left out of an artifact, and only of a model that "
            "reads texts into findings"
        )
    held = model.readout if readout is None else readout
    held.layout(config)
    _check_features(held, network_of(model))
    part = folder.parent / f".{uuid.uuid4().hex[:12]}.part"
    part.mkdir(parents=True)
    try:
        network = _write_files(network_of(model), part, sentences, storage=storage, reference_text=reference_text)
        (part / CARD).write_text(card, encoding="utf-8")
        if len(model.trained_on):
            (part / TRAINED_ON).write_bytes(save_arrays({"images": model.trained_on}))
        if held.tensors:
            (part / HEADS).write_bytes(held.to_bytes())
        manifest = Manifest(
            name=model.name,
            model=config,
            labels=model.labels,
            vision_description=getattr(network.backbone, "description", None),
            text_description=network.text.description,
            text_source=digest(network.text.encoder.state_dict()) if reference_text else None,
            sentences=sentences,
            diagnoses=() if held.heads is None else held.heads.diagnoses,
            presets=dict(held.presets),
            replaces=_replaced(model) if readout is None else (),
            files={path.name: sha256(path.read_bytes()) for path in sorted(part.iterdir())},
            provenance=model.provenance,
        )
        bf16 = check_parity(Artifact(part, manifest, ""), TorchRuntime(network))
        _write_manifest(part / MANIFEST, manifest.model_copy(update={"bf16": bf16}))
        _put(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return open_artifact(folder).hash


def _check_features(readout: Readout, network: ComposedNetwork) -> None:
    """ValueError for heads that were fitted to what another backbone gives."""
    given = sum(network.backbone.channels)  # type: ignore[arg-type]
    if readout.heads is not None and len(readout.heads.centre) != given:
        raise ValueError(
            f"the heads read {len(readout.heads.centre)} features, and this model's backbone gives {given}; fit them "
            "on this model"
        )


def _write_files(
    network: ComposedNetwork, folder: Path, sentences: Sequence[str], *, storage: Storage, reference_text: bool
) -> ComposedNetwork:
    """Weights, graphs, embeddings and tokenizer; returns the network with its weights as they are stored."""
    state = {k: v for k, v in network.state_dict().items() if not (reference_text and k.startswith(TEXT_PREFIX))}
    stored = as_stored(state, storage)
    (folder / WEIGHTS).write_bytes(save(stored))
    if storage != "float32":
        network = copy.deepcopy(network)
        network.load_state_dict(as_floats(stored), strict=False)
    write_graphs(network, folder, text=not sentences)
    (folder / EMBEDDINGS).write_bytes(save(_embeddings(network.text, network, sentences)))
    if not reference_text:
        network.text.tokenizer.save(str(folder / TOKENIZER))
    return network


@torch.no_grad()
def _embeddings(text: TextEncoder, network: ComposedNetwork, sentences: Sequence[str]) -> dict[str, Tensor]:
    held = {
        "null_text": network.null_text.detach().float().cpu().contiguous(),
        "null_image": network.null_image.detach().float().cpu().contiguous(),
    }
    if sentences:
        states, mask = text(sentences)
        held |= {"states": (states * mask[..., None]).float().cpu().contiguous(), "lengths": mask.sum(dim=1).cpu()}
    return held


def _replaced(model: ComposedModel) -> tuple[str, ...]:
    """Hashes of artifacts of these very weights, oldest first."""
    own = (model.artifact_hash,) if len(model.artifact_hash.strip("0")) else ()
    return tuple(dict.fromkeys((*model.replaces, *own)))


def _write_manifest(path: Path, manifest: Manifest) -> None:
    content: dict[str, Any] = manifest.model_dump(mode="json")
    path.write_text(json.dumps(content, indent=2, sort_keys=True, default=str) + "\n", encoding="utf-8")


def _put(part: Path, folder: Path) -> None:
    """Let a finished folder take the place of another; files that are not the artifact's stay."""
    make_folder(folder)
    sync_tree(part)
    for path in sorted(part.iterdir(), key=lambda p: p.name == MANIFEST):
        move(path, folder / path.name)
