"""Rates of false and of right warnings about images, and how to fit the statistics behind the warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from dermquery.data.appearance import FEATURES, Appearance, appearance_features
from dermquery.data.borders import remove_borders
from dermquery.data.image import ImageSource, load_image
from dermquery.data.image_quality import WARNING_KINDS, check_image

__all__ = ["SPOILT", "evaluate_quality", "fit_appearance"]

_PARTS = 10
_FALSE_ALARMS = 0.0075
"""Share of dermoscopic images beyond each of the two limits of an :class:`Appearance`."""
_REGULARISATION = 0.3
"""Inverse strength of the discriminant's L2 penalty, on standardised features."""


def _blurred(share: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def _brighter(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


def _flatter(factor: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: ImageEnhance.Contrast(image).enhance(factor)


def _smaller(side: int) -> Callable[[Image.Image], Image.Image]:
    def shrink(image: Image.Image) -> Image.Image:
        scale = side / min(image.size)
        return image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)

    return shrink


def _cropped(share: float) -> Callable[[Image.Image], Image.Image]:
    def crop(image: Image.Image) -> Image.Image:
        width, height = (round(share * length) for length in image.size)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        return image.crop((left, top, left + width, top + height))

    return crop


def _tinted(*factors: float) -> Callable[[Image.Image], Image.Image]:
    def tint(image: Image.Image) -> Image.Image:
        return Image.fromarray((np.asarray(image) * np.array(factors)).clip(0, 255).astype(np.uint8))

    return tint


SPOILT: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    **{f"blurred, σ {100 * share:g} % of the side": _blurred(share) for share in (0.003, 0.006, 0.01, 0.02)},
    **{f"brightness × {factor:g}": _brighter(factor) for factor in (0.5, 0.35, 0.25, 1.3, 1.6, 2.0)},
    **{f"contrast × {factor:g}": _flatter(factor) for factor in (0.5, 0.3, 0.15)},
    **{f"{side} pixels": _smaller(side) for side in (400, 256, 224, 150)},
    "centre, 60 % of each side": _cropped(0.6),
    "warmer: red + 10 %, green − 15 %, blue − 10 %": _tinted(1.1, 0.85, 0.9),
}
"""Ways in which an image is spoilt; or, in its size, framing and tint, changed as another camera might."""


def evaluate_quality(
    dermoscopic: Mapping[str, Sequence[ImageSource]],
    others: Mapping[str, Sequence[ImageSource]],
    spoil: str | None = None,
) -> dict[str, Any]:
    """Rates of every warning.

    Args:
        dermoscopic: good dermoscopic images by the name of their set; every warning about them is a false alarm.
        others: pictures of other things.
        spoil: the set of which spoilt copies are judged too.

    Returns:
        For every set ``n``, the rate of each warning, and of any, under ``dermoscopic``, ``spoilt`` and ``others``.
    """
    result: dict[str, Any] = {
        "dermoscopic": {name: _rates(map(load_image, images)) for name, images in dermoscopic.items()},
        "others": {name: _rates(map(load_image, images)) for name, images in others.items()},
    }
    if spoil is not None:
        result["spoilt"] = {
            name: _rates(change(load_image(image)) for image in dermoscopic[spoil]) for name, change in SPOILT.items()
        }
    return result


def _rates(images: Iterable[Image.Image]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    n = 0
    for image in images:
        kinds = {warning.kind for warning in check_image(image)}
        counts.update([*kinds, *(["any"] if kinds else [])])
        n += 1
    return {"n": n, **{kind: round(counts[kind] / max(n, 1), 4) for kind in (*WARNING_KINDS, "any")}}


def fit_appearance(
    dermoscopic: Sequence[ImageSource], rendered: Sequence[ImageSource], clinical: Sequence[ImageSource]
) -> Appearance:
    """Statistics of dermoscopic images, and the discriminant against clinical close-ups.

    Args:
        dermoscopic: photographs through a dermatoscope.
        rendered: synthetic ones, which count as dermoscopic too.
        clinical: close-ups taken without a dermatoscope.
    """
    reference, close_ups = _features([*dermoscopic, *rendered]), _features(clinical)
    made_of = {"dermoscopic": len(dermoscopic), "rendered": len(rendered), "clinical": len(clinical)}
    # Limits from images that the statistics were not taken of, or they would be too tight for new ones.
    distances, odds = np.empty(len(reference)), np.empty(len(reference))
    for kept, left in KFold(_PARTS, shuffle=True, random_state=0).split(reference):
        distances[left], odds[left] = _fitted(reference[kept], close_ups, made_of).measures(reference[left])
    limits = [round(float(np.quantile(measure, 1 - _FALSE_ALARMS)), 4) for measure in (distances, odds)]
    fitted = _fitted(reference, close_ups, made_of)
    return fitted.model_copy(update={"distance_limit": limits[0], "odds_limit": limits[1]})


def _fitted(reference: NDArray[np.float64], close_ups: NDArray[np.float64], made_of: dict[str, int]) -> Appearance:
    mean, scale = reference.mean(axis=0), reference.std(axis=0)
    standard, foreign = (reference - mean) / scale, (close_ups - mean) / scale
    precision = LedoitWolf(assume_centered=True).fit(standard).precision_
    discriminant = LogisticRegression(C=_REGULARISATION, max_iter=5000, class_weight="balanced")
    discriminant.fit(np.concatenate([standard, foreign]), [0] * len(standard) + [1] * len(foreign))
    return Appearance(
        features=FEATURES,
        mean=_rounded(mean),
        scale=_rounded(scale),
        precision=tuple(_rounded(row) for row in precision),
        weights=_rounded(discriminant.coef_[0]),
        intercept=round(float(discriminant.intercept_[0]), 6),
        distance_limit=1.0,
        odds_limit=0.0,
        made_of=made_of,
    )


def _features(images: Sequence[ImageSource]) -> NDArray[np.float64]:
    return np.stack([appearance_features(remove_borders(load_image(image))) for image in images])


def _rounded(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.6g}") for value in values)
