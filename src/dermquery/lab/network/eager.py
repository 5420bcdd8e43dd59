"""The network as PyTorch runs it: while it is trained, on a GPU, and as the reference for the exported graphs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dermquery.lab.network.network import ComposedNetwork
from dermquery.lab.network.normalise import normalise
from dermquery.lab.network.weights import build_network
from dermquery.model.artifact import Artifact, artifact_folder, open_artifact, read_trained_on
from dermquery.model.encoder import ComposedModel
from dermquery.model.readout import read_readout
from dermquery.model.runtime import Features, Maps, Pixels, Regions

__all__ = ["TorchRuntime", "load_trained", "network_of", "torch_model", "torch_runtime"]


class TorchRuntime:
    """A :class:`dermquery.model.runtime.Runtime`: the network as it is, where it is.

    Attributes:
        network: in evaluation mode.
    """

    name = "torch"

    def __init__(self, network: ComposedNetwork) -> None:
        self.network = network.eval()

    def prepare(self) -> None:
        """Nothing is left to do."""

    @torch.inference_mode()
    def features(self, pixels: Pixels) -> Features:
        inputs = normalise(torch.from_numpy(pixels).to(self._device), self.network.config.vision)
        maps, pooled = self.network.seen(inputs)
        return Features(_arrays(maps), _arrays((pooled,))[0])

    @torch.inference_mode()
    def composed(self, maps: Maps | None, texts: Sequence[str | None]) -> Maps:
        given = self.network.null_maps(len(texts)) if maps is None else self._tensors(maps)
        return _arrays(self.network.composed(given, *self.network.tokens(texts)))

    @torch.inference_mode()
    def regions(self, maps: Maps) -> Regions:
        blocks, masks = self.network.pooled(self._tensors(maps))
        return Regions(_arrays((blocks,))[0], _arrays(masks))

    @property
    def _device(self) -> torch.device:
        return next(self.network.parameters()).device

    def _tensors(self, maps: Maps) -> tuple[Tensor, ...]:
        return tuple(torch.from_numpy(m).to(self._device) for m in maps)


def torch_runtime(artifact: Artifact) -> TorchRuntime:
    """The runtime ``torch`` of an artifact: on a GPU if there is one."""
    return TorchRuntime(build_network(artifact, "cuda" if torch.cuda.is_available() else "cpu"))


def load_trained(name_or_path: object, device: str = "cpu") -> ComposedModel:
    """A model whose network PyTorch runs, from an artifact of any format, by name or folder.

    Raises:
        FileNotFoundError, ArtifactError, WeightsUnavailableError: see :func:`.weights.build_network`.
    """
    artifact = open_artifact(artifact_folder(str(name_or_path)))
    manifest = artifact.manifest
    return torch_model(
        build_network(artifact, device),
        name=manifest.name,
        labels=manifest.labels,
        artifact_hash=artifact.hash,
        provenance=manifest.provenance,
        replaces=manifest.replaces,
        readout=read_readout(artifact),
        trained_on=read_trained_on(artifact),
    )


def torch_model(network: ComposedNetwork, **facts: object) -> ComposedModel:
    """A model around a network; ``facts`` are the keywords of :class:`dermquery.model.encoder.ComposedModel`."""
    return ComposedModel(TorchRuntime(network), network.config, **facts)  # type: ignore[arg-type]


def network_of(model: ComposedModel) -> ComposedNetwork:
    """The network of a model that PyTorch runs.

    Raises:
        TypeError: another runtime runs it.
    """
    runtime = model.runtime
    if not isinstance(runtime, TorchRuntime):
        raise TypeError(f"model {model.name!r} runs in {runtime.name}; load it with load_trained to reach its network")
    return runtime.network


def _arrays(maps: tuple[Tensor, ...]) -> Maps:
    return tuple(m.float().cpu().numpy() for m in maps)
