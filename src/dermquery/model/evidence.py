"""Where a local similarity comes from: equation 7 split exactly into places of the query and of the case.

``s_local = 1/L Σ_l ⟨q_l, x_l⟩`` with ``x_l = Σ_k u_kl / ‖Σ_k u_kl‖``, the unit mean of the unit region descriptors. So
region k contributes ``⟨q_l, u_kl⟩ / (L ‖Σ_k u_kl‖)``, and its mask, which sums to one over space, says where. The same
holds with the roles of query and case exchanged.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dermquery.lab.network.network import ComposedNetwork
from dermquery.lab.network.regions import RegionMasks

__all__ = ["evidence_maps", "region_evidence", "region_masks"]

_Maps = tuple[NDArray[np.float32], ...]


@torch.inference_mode()
def region_masks(network: ComposedNetwork, inputs: NDArray[np.float32], text: str | None, *, composed: bool) -> _Maps:
    """Region masks per level, (K, h_l, w_l), of one image's maps, or of those composed with a text.

    Args:
        network: the model's network.
        inputs: of the image, (1, 3, H, W).
        text: that the image is asked with.
        composed: whether it is asked with one at all, be it a missing one.
    """
    maps = _features(network, inputs)
    masks = (network.queries(maps, [text]) if composed else network.targets(maps)).masks
    return tuple(mask[0].float().cpu().numpy() for mask in masks)


@torch.inference_mode()
def evidence_maps(
    network: ComposedNetwork,
    asked: NDArray[np.float32] | None,
    text: str | None,
    held: NDArray[np.float32],
    findings: str | None,
    *,
    described: bool,
) -> tuple[_Maps, _Maps]:
    """Maps of evidence per level, (h_l, w_l), on the query's image and on the case's; none on a missing image.

    Args:
        network: the model's network.
        asked: input of the query's image, (1, 3, H, W).
        text: of the query.
        held: input of the case's image, (1, 3, H, W).
        findings: of the case, as a text.
        described: the case was encoded with its findings.
    """
    target = _features(network, held)
    if described:
        target = network.composed_maps(target, findings)
    maps = None if asked is None else _features(network, asked)
    on_query, on_case = region_evidence(network, network.composed_maps(maps, text), target)
    return () if maps is None else _arrays(on_query), _arrays(on_case)


@torch.inference_mode()
def region_evidence(
    network: ComposedNetwork, asked: tuple[Tensor, ...], held: tuple[Tensor, ...]
) -> tuple[list[Tensor], list[Tensor]]:
    """Maps of evidence per level, (1, h_l, w_l), on the query's side and on the case's.

    Args:
        network: the model's network.
        asked: composed maps C_l of one query, (1, d, h_l, w_l).
        held: maps F_l of one case.
    """
    query_maps, case_maps = [], []
    levels = len(network.regions)
    for region, composed, target in zip(network.regions, asked, held, strict=True):
        masks, regions = _regions(region, composed)
        case_masks, case_regions = _regions(region, target)
        query_maps.append(_spread(masks, regions, _unit_mean(case_regions)) / levels)
        case_maps.append(_spread(case_masks, case_regions, _unit_mean(regions)) / levels)
    return query_maps, case_maps


def _regions(region: torch.nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    masks: Tensor = region(x)
    return masks, RegionMasks.descriptors(masks, x)


def _unit_mean(descriptors: Tensor) -> Tensor:
    return F.normalize(descriptors.mean(dim=1), dim=-1)


def _spread(masks: Tensor, descriptors: Tensor, other: Tensor) -> Tensor:
    """Each region's share of ⟨other, unit mean of the regions⟩, laid out by its mask."""
    total = descriptors.sum(dim=1).norm(dim=-1, keepdim=True).clamp_min(1e-12)
    shares = torch.einsum("bkd,bd->bk", descriptors, other) / total
    return torch.einsum("bk,bkhw->bhw", shares, masks)


def _features(network: ComposedNetwork, inputs: NDArray[np.float32]) -> tuple[Tensor, ...]:
    return network.features(torch.from_numpy(inputs).to(next(network.parameters()).device))


def _arrays(maps: list[Tensor]) -> _Maps:
    return tuple(m[0].float().cpu().numpy() for m in maps)
