"""A network that is built only when PyTorch has to run it.

Importing PyTorch and transformers and filling a network takes seconds. A search whose graphs lie exported in the cache
needs its configuration and its tokenizer, and no more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tokenizers import Tokenizer

from dermquery.model.architecture import ModelConfig

if TYPE_CHECKING:
    from dermquery.lab.network.network import ComposedNetwork

__all__ = ["LazyNetwork"]


class LazyNetwork:
    """A network, built at the first look at it and by one thread.

    Args:
        config: of the network.
        build: makes it, for evaluation.
        tokenizer: gives its text encoder's tokenizer without building it.
        device: where ``build`` puts it, as PyTorch names devices.
    """

    def __init__(
        self,
        config: ModelConfig,
        build: Callable[[], ComposedNetwork],
        tokenizer: Callable[[], Tokenizer],
        device: str = "cpu",
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self._build = build
        self._device = device
        self._built: ComposedNetwork | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, network: ComposedNetwork) -> LazyNetwork:
        """One that is there already."""
        known = cls(network.config, lambda: network, lambda: network.text.tokenizer)
        known._built = network
        return known

    @property
    def network(self) -> ComposedNetwork:
        """The network; what cannot be built raises here, as ``build`` does."""
        with self._lock:
            if self._built is None:
                self._built = self._build()
            return self._built

    @property
    def on_processor(self) -> bool:
        """Whether its weights lie, or would lie, in the processor's memory."""
        built = self._built
        device = self._device if built is None else next(built.parameters()).device.type
        return device.partition(":")[0] == "cpu"
