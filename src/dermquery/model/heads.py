"""What a model reads of an image beside its blocks: diagnosis, findings and look, linear in the pooled features.

The backbone's three maps, averaged over space, are one vector of an image. Three linear heads on it, fitted in the
laboratory after the network (:mod:`dermquery.lab.train.heads`), give the posterior over diagnoses, the probability of
each value of the checklist, and a vector in which photographs of one lesion lie close together. They are a few
matrices, so they run in NumPy whatever runs the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.checklist import CRITERIA

__all__ = ["VALUES", "Floats", "Heads", "asked_values", "places_of_criteria", "recorded_values"]

Floats = NDArray[np.float32]
VALUES: tuple[tuple[str, str], ...] = tuple((name, value) for name, c in CRITERIA.items() for value in c.values)
"""Every value of the seven criteria, in the order of every vector over findings: 28 of them."""
_OF_CRITERION = {
    name: np.array([i for i, (criterion, _) in enumerate(VALUES) if criterion == name]) for name in CRITERIA
}


def places_of_criteria() -> list[NDArray[np.int64]]:
    """Where the values of each criterion stand in a vector over findings."""
    return list(_OF_CRITERION.values())


def asked_values(terms: Sequence[Mapping[str, str]]) -> Floats:
    """1/n at each of the n values that a query asks for, (n_queries, 28); zero where it asks for none."""
    asked = _one_hot(terms)
    return np.asarray(asked / np.maximum(asked.sum(axis=1, keepdims=True), 1), np.float32)


def recorded_values(checklists: Sequence[Mapping[str, str]], predicted: Floats | None = None) -> Floats:
    """Values of cases, (n, 28): one-hot for a criterion that is recorded, else its predicted probabilities.

    Args:
        checklists: recorded criteria of each case.
        predicted: (n, 28) probabilities; a criterion that is not recorded is all zero without them.
    """
    values = _one_hot(checklists)
    if predicted is not None:
        for name, places in _OF_CRITERION.items():
            missing = np.array([name not in checklist for checklist in checklists], bool)
            values[np.ix_(missing, places)] = predicted[np.ix_(missing, places)]
    return values


def _one_hot(checklists: Sequence[Mapping[str, str]]) -> Floats:
    place = {value: i for i, value in enumerate(VALUES)}
    found = np.zeros((len(checklists), len(VALUES)), np.float32)
    for row, checklist in enumerate(checklists):
        found[row, [place[item] for item in checklist.items() if item in place]] = 1
    return found


@dataclass(frozen=True, eq=False)
class Heads:
    """Linear heads on pooled features (n, F); the last column of a matrix is its constant.

    Attributes:
        diagnoses: the C diagnoses, in the order of the posterior.
        centre, scale: (F,) that standardise the pooled features.
        diagnosis: (C, F + 1) logits of the diagnosis from the image.
        checklist: (C, 29) logits of the diagnosis from the values asked, all at once (one-hot, not divided).
        prior: (C,) share of each diagnosis that both of them were fitted with.
        findings: (28, F + 1) logits of the values, softmax within a criterion; calibrated, the temperature is in them.
        look: (m, F) projection whose unit vectors say how alike two lesions look.
    """

    diagnoses: tuple[str, ...]
    centre: Floats
    scale: Floats
    diagnosis: Floats
    checklist: Floats
    prior: Floats
    findings: Floats
    look: Floats

    def __post_init__(self) -> None:
        n, features = len(self.diagnoses), len(self.centre)
        shapes = {
            "scale": (features,),
            "diagnosis": (n, features + 1),
            "checklist": (n, len(VALUES) + 1),
            "prior": (n,),
            "findings": (len(VALUES), features + 1),
            "look": (len(self.look), features),
        }
        for name, shape in shapes.items():
            if (found := getattr(self, name).shape) != shape:
                raise ValueError(f"heads: {name} has shape {found}, expected {shape}")

    @property
    def tensors(self) -> dict[str, Floats]:
        """All matrices by name, as an artifact stores them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "diagnoses"}

    def posterior(self, pooled: Floats | None, terms: Sequence[Mapping[str, str]] | None = None) -> Floats:
        """P(diagnosis | image, findings), (n, C): the product of the two experts over the prior.

        ``p(y | x, t) ∝ p(y | x) p(y | t) / p(y)``, which holds where image and findings are independent given the
        diagnosis. Without an image, or for a row without findings, it is the other expert's answer alone.

        Args:
            pooled: (n, F) features of the images; None for queries by words alone.
            terms: findings asked for, a mapping for each row; None for cases, which are known by their image.
        """
        total: Any = 0.0
        if pooled is not None:
            total = _log_softmax(_affine(self.diagnosis, self._standard(pooled)))
        if terms is not None:
            given = np.array([bool(t) for t in terms])[:, None]
            spoken = _log_softmax(_affine(self.checklist, _one_hot(terms)))
            prior = np.log(self.prior)
            total = total + np.where(given, spoken - prior, 0.0) + (0.0 if pooled is not None else prior)
        return np.asarray(np.exp(_log_softmax(total)), np.float32)

    def belief(self, pooled: Floats | None, terms: Sequence[Mapping[str, str]] | None = None) -> Floats:
        """Unit vectors (n, C): roots of :meth:`posterior`, whose arguments it takes.

        The inner product of two is Bhattacharyya's coefficient, 1 where query and case are believed to be the same
        with the same doubts. The plain product of posteriors shows everybody the few surest cases: its coverage@5 was
        .13 of the gallery, this one's .88, for .017 of mAP (inner validation parts of Derm7pt).
        """
        return np.asarray(np.sqrt(self.posterior(pooled, terms)), np.float32)

    def predicted_values(self, pooled: Floats) -> Floats:
        """Probability of every value of the checklist, (n, 28); those of a criterion sum to one."""
        logits = _affine(self.findings, self._standard(pooled))
        for places in _OF_CRITERION.values():
            logits[:, places] = np.exp(_log_softmax(logits[:, places]))
        return logits

    def look_of(self, pooled: Floats) -> Floats:
        """Unit vectors (n, m) whose inner product says how alike two lesions look."""
        found = self._standard(pooled) @ self.look.T
        return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12), np.float32)

    def _standard(self, pooled: Floats) -> Floats:
        return np.asarray((pooled - self.centre) / self.scale, np.float32)


def _affine(matrix: Floats, features: Floats) -> Floats:
    return np.asarray(features @ matrix[:, :-1].T + matrix[:, -1], np.float32)


def _log_softmax(logits: Any) -> Any:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
