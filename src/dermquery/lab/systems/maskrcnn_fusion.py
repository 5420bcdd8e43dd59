"""After MaskRCNN-Fusion (IEEE Access 2023, 10.1109/ACCESS.2023.3310245): deep and textural features of the lesion.

From the authors: features of a pre-trained network are fused with textural ones (global-local pyramid pattern,
Zernike moments, Haralick), for retrieval across modalities; the paper that we implement runs it on the lesion that a
Mask R-CNN finds.

Reconstruction, hence "after": the lesion by a threshold instead of a detector, whose weights cannot be had;
multi-scale uniform local binary patterns in place of the pyramid pattern; z-scores in each block, blocks of equal
weight, cosine. Nothing is learned but the z-scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2gray
from skimage.feature import local_binary_pattern
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label, regionprops

from dermquery.data.borders import remove_borders
from dermquery.data.case import Case
from dermquery.data.image import load_image
from dermquery.lab.network.normalise import normalise
from dermquery.lab.network.vision import build_backbone
from dermquery.lab.systems.config import FusionConfig
from dermquery.lab.systems.ranker import Scores
from dermquery.model.architecture import VisionConfig
from dermquery.model.pixels import prepare_pixels

__all__ = ["MaskRCNNFusion", "lesion_box", "lesion_mask", "texture"]

_SMALL, _MARGIN = 0.02, 0.05


def lesion_mask(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The lesion in an image (h, w, 3): darker than Otsu's threshold, the largest part near the middle, holes filled.

    All true where that finds nothing of a plausible size: a whole image is better than a wrong part of it.
    """
    smooth = gaussian(pixels[..., 2].astype(np.float64), sigma=max(pixels.shape[:2]) / 100)
    if np.ptp(smooth) < 1:
        return np.ones(pixels.shape[:2], np.bool_)
    parts = label(smooth < threshold_otsu(smooth))
    middle = np.array(pixels.shape[:2]) / 2
    best, mask = 0.0, np.zeros(pixels.shape[:2], np.bool_)
    for region in regionprops(parts):
        far = np.linalg.norm((np.array(region.centroid) - middle) / middle)
        if (weight := region.area * np.exp(-2 * far**2)) > best:
            best, mask = weight, parts == region.label
    mask = ndimage.binary_fill_holes(mask)
    return mask if mask.mean() >= _SMALL else np.ones_like(mask)


def lesion_box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Box (left, top, right, bottom) around a mask with a margin of a twentieth of the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    high, wide = (round(side * _MARGIN) for side in mask.shape)
    return (
        max(0, int(columns[0]) - wide),
        max(0, int(rows[0]) - high),
        min(mask.shape[1], int(columns[-1]) + 1 + wide),
        min(mask.shape[0], int(rows[-1]) + 1 + high),
    )


def texture(pixels: NDArray[np.uint8], mask: NDArray[np.bool_], config: FusionConfig) -> list[NDArray[np.float64]]:
    """Three blocks of a square crop (s, s, 3) with its lesion mask: local binary patterns, Zernike moments, Haralick.

    Patterns are counted inside the mask (10 shares for each radius); Zernike moments are magnitudes of the masked grey
    values inside the inscribed circle; Haralick's 13 features of 64 grey levels are means over four directions.
    """
    mahotas = _mahotas()
    grey = rgb2gray(pixels)
    patterns = []
    for radius in config.lbp_radii:
        codes = local_binary_pattern((grey * 255).astype(np.uint8), 8, radius, "uniform")
        patterns.append(np.bincount(codes[mask].astype(int), minlength=10) / mask.sum())
    middle = pixels.shape[0] / 2
    moments = mahotas.zernike_moments(grey * mask, middle, degree=config.zernike_degree, cm=(middle, middle))
    haralick = mahotas.haralick((grey * 63).astype(np.uint8), return_mean=True)
    return [np.concatenate(patterns), np.asarray(moments), np.asarray(haralick)]


class MaskRCNNFusion:
    """Cosine of four standardised blocks: pooled features of a pre-trained backbone, and three of texture."""

    name = "after MaskRCNN-Fusion"
    train_seconds: float | None = None

    def __init__(self, vision: VisionConfig, config: FusionConfig) -> None:
        self._vision, self._config = vision, config
        self._backbone = build_backbone(vision).eval()
        self._known: dict[str, list[NDArray[np.float64]]] = {}
        self._scale: list[tuple[NDArray[np.float64], NDArray[np.float64]]] = []

    @property
    def bytes_per_case(self) -> int:
        """Size of one stored vector, as float32."""
        return 4 * sum(len(block) for block in next(iter(self._known.values())))

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Mean and deviation of every feature over the training part."""
        self._scale = [(np.mean(b, axis=0), np.std(b, axis=0)) for b in self._blocks(training)]

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        left, right = self._vectors(queries), self._vectors(gallery)
        return np.asarray(left @ right.T)

    def _vectors(self, cases: Sequence[Case]) -> NDArray[np.float64]:
        """Unit vectors; each block has the same expected length before."""
        parts = [
            (block - mean) / np.maximum(deviation, 1e-9) / np.sqrt(block.shape[1])
            for block, (mean, deviation) in zip(self._blocks(cases), self._scale, strict=True)
        ]
        joined = np.concatenate(parts, axis=1)
        unit: NDArray[np.float64] = joined / np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-12)
        return unit

    def _blocks(self, cases: Sequence[Case]) -> list[NDArray[np.float64]]:
        for case in cases:
            if case.case_id not in self._known:
                self._known[case.case_id] = self._features(case)
        return [np.stack(blocks) for blocks in zip(*(self._known[c.case_id] for c in cases), strict=True)]

    def _features(self, case: Case) -> list[NDArray[np.float64]]:
        image = remove_borders(load_image(case.image))
        small = image.resize((256, 256), Image.Resampling.BILINEAR)
        mask = lesion_mask(np.asarray(small))
        box = lesion_box(mask)
        wide, high = image.width / 256, image.height / 256
        crop = image.crop((round(box[0] * wide), round(box[1] * high), round(box[2] * wide), round(box[3] * high)))
        size = (self._config.side, self._config.side)
        inside = np.asarray(Image.fromarray(mask).crop(box).resize(size, Image.Resampling.NEAREST))
        blocks = texture(np.asarray(crop.resize(size, Image.Resampling.BICUBIC)), inside, self._config)
        return [self._deep(crop), *blocks]

    @torch.inference_mode()
    def _deep(self, crop: Image.Image) -> NDArray[np.float64]:
        vision = self._vision.model_copy(update={"remove_borders": False})  # they are off already
        pixels = torch.from_numpy(prepare_pixels(crop, vision)[None])
        pooled = self._backbone(normalise(pixels, vision))[-1].mean(dim=(2, 3))
        return np.asarray(pooled[0].double().numpy())


def _mahotas() -> Any:
    try:
        from mahotas import features
    except ModuleNotFoundError as error:
        message = "after MaskRCNN-Fusion needs mahotas: pip install 'dermquery[lab]'"
        raise ModuleNotFoundError(message) from error
    return features
