"""The network as PyTorch runs it, for search and evaluation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dermquery.lab.network.network import ComposedNetwork
from dermquery.model.runtime import Blocks, Inputs

__all__ = ["TorchRuntime"]


class TorchRuntime:
    """A :class:`~.runtime.Runtime`: the network as it is, where it is."""

    name = "torch"

    def __init__(self, network: ComposedNetwork) -> None:
        self._network = network

    @torch.inference_mode()
    def cases(self, inputs: Inputs) -> Blocks:
        return _array(self._network.targets(self._features(inputs)).blocks)

    @torch.inference_mode()
    def queries(self, inputs: Inputs, texts: Sequence[str | None]) -> Blocks:
        return _array(self._network.compose(self._features(inputs), *self._network.tokens(texts)).blocks)

    @torch.inference_mode()
    def words(self, texts: Sequence[str]) -> Blocks:
        return _array(self._network.compose_words(*self._network.tokens(texts)).blocks)

    def _features(self, inputs: Inputs) -> tuple[Tensor, ...]:
        return self._network.features(torch.from_numpy(inputs).to(next(self._network.parameters()).device))


def _array(blocks: Tensor) -> Blocks:
    return blocks.float().cpu().numpy()
