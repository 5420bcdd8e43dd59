"""Network input in search is that of training (docs/decisions/0006)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dermquery.lab.network.normalise import normalise
from dermquery.model.architecture import VisionConfig
from dermquery.model.pixels import network_input


@pytest.mark.parametrize("side", [32, 64, 160, 224, 384])
def test_search_resizes_as_training_does(side: int) -> None:
    config = VisionConfig(image_size=side, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    shape = (3, config.decoded_size, config.decoded_size, 3)
    pixels = np.random.default_rng(side).integers(0, 256, shape, dtype=np.uint8)
    expected = normalise(torch.from_numpy(pixels), config).numpy()
    found = network_input(list(pixels), config)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=3e-6)


@pytest.mark.parametrize("given", [20, 32, 47, 300])
def test_pixels_of_any_size_are_resized_alike(given: int) -> None:
    config = VisionConfig(image_size=32)
    pixels = np.random.default_rng(given).integers(0, 256, (1, given, given, 3), dtype=np.uint8)
    expected = normalise(torch.from_numpy(pixels), config).numpy()
    np.testing.assert_allclose(network_input(list(pixels), config), expected, atol=3e-6)
