"""Render a plan: skin, lesion, structures, photograph, and the mask of every structure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from dermquery.data.checklist import ABSENT, CRITERIA
from dermquery.lab.synthetic import artefacts, structures
from dermquery.lab.synthetic.brushes import Canvas, Field, Mask
from dermquery.lab.synthetic.lesion import Lesion, draw_lesion
from dermquery.lab.synthetic.plan import CasePlan
from dermquery.lab.synthetic.skin import absorb, skin_colour, skin_densities
from dermquery.lab.synthetic.structures import Layer
from dermquery.lab.synthetic.vessels import vessels

__all__ = ["LESION", "SMALLEST", "Rendered", "render_case"]

LESION = "lesion"
"""Name of the mask of the whole lesion."""
SMALLEST = 96
"""Shorter side in pixels below which a fine network can no longer be drawn."""

_STREAMS = ("skin", "lesion", "photograph", "view", *CRITERIA)
_SHADING: Mapping[str, float] = {"flat": 0.0, "palpable": 0.10, "nodular": 0.24}


@dataclass(frozen=True)
class Rendered:
    """One rendered case.

    Attributes:
        image: 8-bit RGB.
        masks: structure name ("lesion" and each criterion that is not absent) to a boolean array (height, width).
    """

    image: Image.Image
    masks: Mapping[str, Mask]


def render_case(plan: CasePlan, seed: int, size: tuple[int, int]) -> Rendered:
    """Render one case.

    Skin, lesion and each structure have random streams of their own, seeded by the lesion's first case; this case seeds
    the photograph. So leaving a structure out of ``plan.checklist`` moves nothing else, and two images of a lesion
    differ in view, light and artefacts only.

    Args:
        plan: what to show.
        seed: the seed that the plan was drawn with.
        size: width and height in pixels, each at least ``SMALLEST``.

    Raises:
        ValueError: if the size is too small.
    """
    if min(size) < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} x {SMALLEST} pixels, got {size[0]} x {size[1]}")
    canvas = Canvas(size)
    image, masks = _scene(canvas, plan, seed)
    photograph = _stream(seed, plan.index, "photograph")
    if plan.is_second_view:
        image, masks = _turned(canvas, _stream(seed, plan.index, "view"), image, masks)
    artefacts.add_glare(canvas, photograph, image)
    artefacts.add_hairs(canvas, photograph, image)
    artefacts.add_bubbles(canvas, photograph, image)
    artefacts.add_ruler(canvas, photograph, image)
    developed = artefacts.develop(canvas, photograph, image)
    framed, visible = artefacts.frame(canvas, photograph, developed)
    return Rendered(framed, {name: mask & visible for name, mask in masks.items()})


def _stream(seed: int, index: int, name: str) -> np.random.Generator:
    """The random stream of one part of one case; the leading 1 keeps it apart from the plan's."""
    return np.random.default_rng(np.random.SeedSequence([seed, index, 1, _STREAMS.index(name)]))


def _scene(canvas: Canvas, plan: CasePlan, seed: int) -> tuple[Field, dict[str, Mask]]:
    """Skin with its lesion in linear RGB, before any camera, and the masks."""
    rng = _stream(seed, plan.scene, "skin")
    colour = skin_colour(rng, plan.skin_angle)
    skin_melanin, skin_blood = skin_densities(canvas, rng, plan.site, plan.age)
    rng = _stream(seed, plan.scene, "lesion")
    lesion = draw_lesion(canvas, rng, plan.fine_diagnosis)
    layers = _layers(lesion, plan, seed)
    melanin, blood = lesion.melanin + skin_melanin * (1 - 0.6 * lesion.cover), lesion.blood + skin_blood
    for layer in layers.values():
        if layer.melanin is not None:
            melanin += layer.melanin
    for layer in layers.values():
        if layer.bleach is not None:
            melanin *= 1 - layer.bleach
    image = absorb(colour, melanin, blood)
    for share, tint in (*lesion.tints, *(tint for layer in layers.values() for tint in layer.tints)):
        # Light that comes back from below is filtered by the person's own skin, too.
        image += share[..., None] * (tint * np.sqrt(colour / _LIGHT_SKIN) - image)
    image *= _shading(lesion, rng, plan.elevation)[..., None]
    inside = lesion.inside | layers["streaks"].mask if "streaks" in layers else lesion.inside
    return image, {LESION: inside, **{name: layer.mask for name, layer in layers.items()}}


_LIGHT_SKIN = np.array([0.80, 0.60, 0.46], dtype=np.float32)


def _layers(lesion: Lesion, plan: CasePlan, seed: int) -> dict[str, Layer]:
    """One layer per criterion that is not absent, in the order in which they lie over each other."""
    painters = {
        "pigment_network": structures.network,
        "streaks": structures.streaks,
        "pigmentation": structures.blotches,
        "dots_and_globules": structures.dots_and_globules,
        "regression_structures": structures.regression,
        "blue_whitish_veil": structures.veil,
    }
    present = {name: value for name, value in plan.checklist.items() if value != ABSENT}
    layers = {
        name: paint(lesion, _stream(seed, plan.scene, name), present[name])
        for name, paint in painters.items()
        if name in present
    }
    name = "vascular_structures"
    if name in present:
        regressed = _stream(seed, plan.scene, "regression_structures")
        layers[name] = vessels(lesion, _stream(seed, plan.scene, name), present[name], regressed)
    return layers


def _shading(lesion: Lesion, rng: np.random.Generator, elevation: str) -> Field:
    """Raised lesions are lighter towards the lamp and darker away from it."""
    strength, turn = _SHADING.get(elevation, 0.0), rng.uniform(0, 2 * np.pi)
    canvas = lesion.canvas
    across = (canvas.x - np.float32(lesion.centre[0])) * np.float32(np.cos(turn))
    across += (canvas.y - np.float32(lesion.centre[1])) * np.float32(np.sin(turn))
    return np.asarray(1 + np.float32(strength / lesion.radius) * across * lesion.cover, dtype=np.float32)


def _turned(
    canvas: Canvas, rng: np.random.Generator, image: Field, masks: Mapping[str, Mask]
) -> tuple[Field, dict[str, Mask]]:
    """The same skin seen again: turned, a little nearer or farther and off-centre."""
    turn, scale = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 1.05)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    middle = (np.array(canvas.size[::-1]) - 1) / 2
    offset = middle - matrix @ middle + rng.uniform(-0.05, 0.05, 2) * canvas.unit

    def again(field: Field) -> Field:
        return np.asarray(ndimage.affine_transform(field, matrix, offset, order=1, mode="mirror"), dtype=np.float32)

    seen = np.stack([again(image[..., channel]) for channel in range(3)], axis=-1)
    return seen, {name: again(mask.astype(np.float32)) > 0.5 for name, mask in masks.items()}
