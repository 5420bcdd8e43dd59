"""Do the region masks look at the structure that the text names? Measured on synthetic cases with known structures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dermquery.data.borders import visible_box
from dermquery.data.case import Case, Query
from dermquery.data.checklist import CRITERIA
from dermquery.data.image import load_image
from dermquery.lab.evaluate.intervals import percentile_interval
from dermquery.model.encoder import ComposedModel

__all__ = ["evaluate_regions"]

_GRID = 56
"""Side on which attention and structure are compared."""
_ROWS = ("named", "image only", "uniform")


def evaluate_regions(model: ComposedModel, cases: Sequence[Case], masks: Path, *, seed: int = 0) -> dict[str, Any]:
    """Pointing game (Zhang et al. 2018) and energy of the region masks inside the structure that the text names.

    Every structure that a case shows is asked for by its own finding. Three rows: the composed query (``named``), the
    same image without text (``image only``), and a uniform mask, whose share of energy is also the chance of a random
    point.

    Args:
        model: the model.
        cases: synthetic cases.
        masks: folder with ``<case_id>/<criterion>.png``, as ``dermquery data synthesize`` writes it.
        seed: of the bootstrap over cases.

    Returns:
        ``n`` asked structures, and for each row ``hits`` and ``energy`` with intervals and by criterion.

    Raises:
        ValueError: no case has a mask.
    """
    found: dict[str, list[tuple[str, str, float, float]]] = {row: [] for row in _ROWS}
    for case in cases:
        box = visible_box(load_image(case.image)) if model.config.vision.remove_borders else None
        structures = list(_structures(case, masks, box))
        if not structures:
            continue
        plain = _attention(model.region_masks(case.image, Query(image=case.image)))
        for name, truth in structures:
            query = Query(image=case.image, checklist={name: case.checklist[name]})
            attention = {
                "named": _attention(model.region_masks(case.image, query)),
                "image only": plain,
                "uniform": np.full((_GRID, _GRID), _GRID**-2.0),
            }
            for row, where in attention.items():
                peak = truth.ravel()[int(where.argmax())] if row != "uniform" else truth.mean()
                found[row].append((case.case_id, name, float(peak), float((where * truth).sum() / where.sum())))
    if not found["named"]:
        raise ValueError(f"no mask of the cases was found in {masks}; make cases with: dermquery data synthesize")
    rng = np.random.default_rng(seed)
    return {"n": len(found["named"]), "rows": {row: _summary(values, rng) for row, values in found.items()}}


def _structures(
    case: Case, masks: Path, box: tuple[int, int, int, int] | None
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Criteria that the case shows, each with the structure's share of every grid cell above one half as 0 or 1."""
    for name in CRITERIA:
        path = masks / case.case_id / f"{name}.png"
        if name in case.checklist and path.is_file():
            with Image.open(path) as image:
                seen = image.convert("L").crop(box or (0, 0, *image.size))
            truth = np.asarray(seen.resize((_GRID, _GRID), Image.Resampling.BOX), np.float64) > 127
            if truth.any():
                yield name, truth.astype(np.float64)


def _attention(masks: dict[str, NDArray[np.float32]]) -> NDArray[np.float64]:
    """Mean of all masks of all levels on the grid; sums to one up to resampling."""
    total = np.zeros((_GRID, _GRID))
    for level in masks.values():
        density = Image.fromarray((level.mean(axis=0) * level[0].size).astype(np.float32))
        total += np.asarray(density.resize((_GRID, _GRID), Image.Resampling.BILINEAR))
    share: NDArray[np.float64] = total / total.sum()
    return share


def _summary(values: Sequence[tuple[str, str, float, float]], rng: np.random.Generator) -> dict[str, Any]:
    ids = np.array([case for case, *_ in values])
    unique = np.unique(ids)
    numbers = np.array([(hit, energy) for *_, hit, energy in values])
    # Structures of one case are drawn together.
    sums = np.array([[*numbers[ids == case].sum(axis=0), (ids == case).sum()] for case in unique])
    drawn = sums[rng.integers(len(unique), size=(1000, len(unique)))].sum(axis=1)
    means = numbers.mean(axis=0)
    named = {name: numbers[[n == name for _, n, *_ in values]] for name in dict.fromkeys(n for _, n, *_ in values)}
    return {
        "hits": float(means[0]),
        "hits_interval": list(percentile_interval(drawn[:, 0] / drawn[:, 2])),
        "energy": float(means[1]),
        "energy_interval": list(percentile_interval(drawn[:, 1] / drawn[:, 2])),
        "by_criterion": {
            name: {"n": len(v), "hits": float(v[:, 0].mean()), "energy": float(v[:, 1].mean())}
            for name, v in named.items()
        },
    }
