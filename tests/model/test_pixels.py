"""Resizing by matrices is PyTorch's bilinear interpolation with antialiasing, and training and graphs share it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dermquery.lab.network.normalise import normalise
from dermquery.model.architecture import VisionConfig
from dermquery.model.pixels import resizing


@pytest.mark.parametrize(("given", "side"), [(37, 32), (73, 64), (183, 160), (256, 224), (20, 32), (300, 32), (8, 40)])
def test_the_matrices_interpolate_as_pytorch_does(given: int, side: int) -> None:
    x = torch.rand(2, 3, given, given, generator=torch.Generator().manual_seed(side))
    expected = torch.nn.functional.interpolate(x, (side, side), mode="bilinear", antialias=True)
    matrix = torch.from_numpy(resizing(given, side))
    torch.testing.assert_close(matrix @ x @ matrix.T, expected, atol=3e-6, rtol=0)
    np.testing.assert_allclose(resizing(given, side).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("side", [32, 64, 160, 224])
def test_network_input_is_resized_scaled_and_standardised(side: int) -> None:
    config = VisionConfig(image_size=side, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    shape = (3, config.decoded_size, config.decoded_size, 3)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(side))
    scaled = pixels.permute(0, 3, 1, 2).float() / 255
    resized = torch.nn.functional.interpolate(scaled, (side, side), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (config.mean, config.std))
    torch.testing.assert_close(normalise(pixels, config), (resized - mean) / std, atol=3e-5, rtol=0)
