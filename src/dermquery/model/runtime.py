"""What a runtime of the network computes, in the paper's steps; :class:`.encoder.ComposedModel` puts them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Features", "Maps", "Pixels", "Regions", "Runtime"]

Pixels = NDArray[np.uint8]
"""Decoded images (B, S, S, 3), S = ``VisionConfig.decoded_size``."""
Maps = tuple[NDArray[np.float32], ...]
"""One map for each level, (B, d, h_l, w_l): features F_l or composed maps C_l."""


class Features(NamedTuple):
    """What the backbone sees of images.

    Attributes:
        maps: F_l of each level.
        pooled: its three maps before their projection, averaged over space, (B, F): what heads read; None from an
            artifact that was packed before there were any.
    """

    maps: Maps
    pooled: NDArray[np.float32] | None


class Regions(NamedTuple):
    """Unit blocks (B, 2·L, d), local levels first, and the region masks of each level, (B, K, h_l, w_l)."""

    blocks: NDArray[np.float32]
    masks: Maps


class Runtime(Protocol):
    """Runs a network.

    Attributes:
        name: for reports, such as "openvino bf16".
    """

    name: str

    def prepare(self) -> None:
        """Do now what would else be done at the first encoding."""

    def features(self, pixels: Pixels) -> Features:
        """Equations 2 and 3: feature maps F_l of images, and what heads read of them."""

    def composed(self, maps: Maps | None, texts: Sequence[str | None]) -> Maps:
        """Equations 4 and 5: composed maps C_l of images and their texts.

        None for all maps puts the learned null image in their place; None for a text the learned null text.
        """

    def regions(self, maps: Maps) -> Regions:
        """Equations 6 to 8: region masks, and the unit blocks of both similarities."""
