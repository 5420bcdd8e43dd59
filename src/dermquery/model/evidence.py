"""Where a local similarity comes from: equation 7 split exactly into places of the query and of the case.

``s_local = 1/L Σ_l ⟨q_l, x_l⟩`` with ``x_l = Σ_k u_kl / ‖Σ_k u_kl‖``, the unit mean of the unit region descriptors. So
region k contributes ``⟨q_l, u_kl⟩ / (L ‖Σ_k u_kl‖)``, and its mask, which sums to one over space, says where. The same
holds with the roles of query and case exchanged.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dermquery.model.runtime import Maps

__all__ = ["region_evidence"]

_Floats = NDArray[np.float32]


def region_evidence(asked: Maps, asked_masks: Maps, held: Maps, held_masks: Maps) -> tuple[Maps, Maps]:
    """Maps of evidence per level, (h_l, w_l), on the query's side and on the case's.

    Args:
        asked: composed maps C_l of one query, (1, d, h_l, w_l).
        asked_masks: its region masks, (1, K, h_l, w_l).
        held: maps of one case, (1, d, h_l, w_l).
        held_masks: its region masks.
    """
    on_query, on_case = [], []
    for query, query_masks, case, case_masks in zip(asked, asked_masks, held, held_masks, strict=True):
        query_regions, case_regions = _descriptors(query_masks[0], query[0]), _descriptors(case_masks[0], case[0])
        on_query.append(
            _spread(query_masks[0], query_regions, _unit(case_regions.mean(axis=0))) / np.float32(len(asked))
        )
        on_case.append(_spread(case_masks[0], case_regions, _unit(query_regions.mean(axis=0))) / np.float32(len(asked)))
    return tuple(on_query), tuple(on_case)


def _descriptors(masks: _Floats, x: _Floats) -> _Floats:
    """Unit region descriptors u_k, (K, d): equation 6 with masks (K, h, w) on a map (d, h, w)."""
    return _unit(np.einsum("khw,dhw->kd", masks, x))


def _unit(x: _Floats) -> _Floats:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12), np.float32)


def _spread(masks: _Floats, descriptors: _Floats, other: _Floats) -> _Floats:
    """Each region's share of ⟨other, unit mean of the regions⟩, laid out by its mask."""
    total = max(float(np.linalg.norm(descriptors.sum(axis=0))), 1e-12)
    return np.asarray(np.einsum("k,khw->hw", descriptors @ other / total, masks), np.float32)
