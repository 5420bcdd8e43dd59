"""Fitting the linear heads (:mod:`dermquery.model.heads`) on pooled features: no gradient, minutes for thousands.

Cases may come from several sources. Those with a recorded checklist teach the findings and how findings speak for a
diagnosis; all with a diagnosis teach the image expert; lesions with several photographs teach the look.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.utils.extmath import randomized_svd

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.model.heads import VALUES, Floats, Heads

__all__ = ["HeadFit", "fit_heads", "image_posterior", "look_projection"]

_COMPONENTS = 512
_LOOK, _LOOK_COMPONENTS = 64, 256
_WITHIN = 0.4
"""Share of the mean within-lesion variance that is added to every direction before whitening. Chosen, with the two
sizes, on lesions of HAM10000's training part: 64 numbers find siblings as well as 128 do."""
_STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
"""C of the regressions; one is chosen by the log loss of cases that a regression has not seen."""
_SPLITS = 3
_OTHERS = 0.1
"""Weight, beside the described cases, of all others together in the image expert. They name diagnoses that the
described ones lack, but their labels are drawn otherwise: with weight 1 they cost .014 of mAP (inner validation)."""


class HeadFit(NamedTuple):
    """Heads, and what was measured while they were fitted, on cases that the regressions had not seen."""

    heads: Heads
    facts: dict[str, Any]


def fit_heads(pooled: Floats, cases: Sequence[Case], *, look: int = _LOOK) -> HeadFit:
    """Heads from pooled features (n, F) of cases; nothing of them is random.

    Args:
        pooled: a row for each case.
        cases: with a diagnosis, a checklist, or several photographs of one lesion; each is used where it has one.
        look: m, length of the look.

    Raises:
        ValueError: fewer than two diagnoses, or no case with a recorded checklist.
    """
    centre, scale = pooled.mean(axis=0), pooled.std(axis=0) + 1e-3
    standard = np.asarray((pooled - centre) / scale, np.float32)
    axes = _axes(standard)
    rows = np.asarray(standard @ axes, np.float32)
    described = np.array([bool(case.checklist) for case in cases])
    told = np.array([case.diagnosis is not None for case in cases])
    diagnoses = tuple(sorted({str(case.diagnosis) for case in cases if case.diagnosis is not None}))
    if len(diagnoses) < 2 or not (described & told).any():
        raise ValueError("heads need cases of two diagnoses or more, and cases with a recorded checklist")
    spoken = _chosen(described & told, cases)
    prior = _prior(spoken, _chosen(~described & told, cases), diagnoses)
    image, of_image = _image_expert(rows[told], _chosen(told, cases), diagnoses, prior)
    words, of_words = _checklist_expert(spoken, diagnoses, prior)
    values, of_values = _finding_heads(rows[described], _chosen(described, cases))
    heads = Heads(
        diagnoses=diagnoses,
        centre=np.asarray(centre, np.float32),
        scale=np.asarray(scale, np.float32),
        diagnosis=_unprojected(image, axes),
        checklist=np.asarray(words, np.float32),
        prior=np.asarray(prior, np.float32),
        findings=_unprojected(values, axes),
        look=_look(rows, axes, [case.group for case in cases], look),
    )
    facts = {"image": of_image, "checklist": of_words, "findings": of_values, "cases": len(cases)}
    return HeadFit(heads, facts)


def image_posterior(standard: Floats, cases: Sequence[Case], asked: Floats) -> NDArray[np.float64]:
    """P(diagnosis | image) of standardised features ``asked`` (m, F) by a regression on those of cases: (m, C)."""
    axes = _axes(standard)
    diagnoses = tuple(sorted({str(case.diagnosis) for case in cases}))
    labels = np.array([diagnoses.index(str(case.diagnosis)) for case in cases])
    groups = [case.group for case in cases]
    rows, every = np.asarray(standard @ axes, np.float32), np.ones(len(cases))
    fitted, _, _ = _regression(rows, labels, len(diagnoses), groups, every, every.astype(bool))
    logits = _logits(fitted, asked @ axes)
    return np.asarray(np.exp(logits - _log_sum(logits.T)[:, None]))


def look_projection(standard: Floats, groups: Sequence[str], count: int = _LOOK) -> Floats:
    """The look's projection (count, F) of standardised features (n, F) alone; see :func:`_look`."""
    axes = _axes(standard)
    return _look(standard @ axes, axes, groups, count)


def _look(rows: NDArray[Any], axes: NDArray[Any], groups: Sequence[str], count: int) -> Floats:
    """Within-lesion whitening, then the directions in which lesions differ most: (count, F).

    ``count`` directions of linear discriminant analysis with every lesion a class of its own (within-class covariance
    normalisation, Hatch et al. 2006); no label is used. Without a lesion that has several photographs, the features'
    principal components, whitened.
    """
    rows, axes = rows[:, :_LOOK_COMPONENTS], axes[:, :_LOOK_COMPONENTS]
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    several = [found for found in members.values() if len(found) > 1]
    if several:
        apart = np.concatenate([rows[found] - rows[found].mean(axis=0) for found in several])
        within = apart.T @ apart / len(apart)
        within += _WITHIN * np.trace(within) / len(within) * np.eye(len(within))
    else:
        within = np.cov(rows.T) + 1e-6 * np.eye(rows.shape[1])
    size, turn = np.linalg.eigh(within.astype(np.float64))
    white = turn / np.sqrt(np.maximum(size, 1e-12))
    spread, best = np.linalg.eigh(np.cov((rows @ white).T))
    order = np.argsort(-spread)[:count]
    return np.asarray((axes @ white @ best[:, order]).T, np.float32)


def _axes(standard: Floats) -> NDArray[np.float64]:
    """Principal axes (F, k) of standardised features, at most :data:`_COMPONENTS` and fewer than there are rows."""
    count = min(_COMPONENTS, len(standard) - 1, standard.shape[1])
    _, _, axes = randomized_svd(standard, count, n_iter=4, random_state=0)
    return np.asarray(axes.T)


def _unprojected(matrix: NDArray[Any], axes: NDArray[Any]) -> Floats:
    """A matrix on projected rows, its constant last, as one on standardised features."""
    return np.asarray(np.concatenate([matrix[:, :-1] @ axes.T, matrix[:, -1:]], axis=1), np.float32)


def _chosen(mask: NDArray[np.bool_], cases: Sequence[Case]) -> list[Case]:
    return [case for case, use in zip(cases, mask, strict=True) if use]


def _prior(spoken: Sequence[Case], others: Sequence[Case], diagnoses: Sequence[str]) -> NDArray[np.float64]:
    """Share of each diagnosis (C,): that of the described cases, and half of the others' share where those have none.

    The others' mixture is drawn otherwise, so it moves nothing between diagnoses that the described ones have. But with
    next to no share at all, a diagnosis that only the others have (basal cell carcinoma beside Derm7pt) is excluded
    from every answer: with half of both shares for all of them, held-out lesions of HAM10000 gained .06 to .11 of macro
    mAP, and one fold of Derm7pt lost .004 of it.
    """
    own, further = (
        np.array([part[name] for name in diagnoses], float)
        for part in (Counter(str(case.diagnosis) for case in cases) for cases in (spoken, others))
    )
    unknown = own == 0
    own = (own + 1) / (own + 1).sum()
    further = np.where(unknown, (further + 1) / (further + 1).sum(), 0) / 2
    return np.asarray(np.where(unknown, further, own / own[~unknown].sum() * (1 - further.sum())))


def _image_expert(
    rows: NDArray[Any], cases: Sequence[Case], diagnoses: Sequence[str], prior: NDArray[np.float64]
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Logits (C, k + 1) of the diagnosis; the constant makes the prior the given one."""
    labels = np.array([diagnoses.index(str(case.diagnosis)) for case in cases])
    judged = np.array([bool(case.checklist) for case in cases])
    weights = np.where(judged, 1.0, _OTHERS * judged.sum() / max(1, (~judged).sum()))
    groups = [case.group for case in cases]
    fitted, facts, _ = _regression(rows, labels, len(diagnoses), groups, weights, judged)
    seen = np.bincount(labels, weights, len(diagnoses)) + 1.0
    fitted[:, -1] += np.log(prior) - np.log(seen / seen.sum())
    return fitted, facts


def _checklist_expert(
    cases: Sequence[Case], diagnoses: Sequence[str], prior: NDArray[np.float64]
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Logits (C, 29) of the diagnosis from the values asked; a diagnosis that no described case has keeps its prior."""
    place = {value: i for i, value in enumerate(VALUES)}
    rows = np.zeros((len(cases), len(VALUES)))
    for row, case in enumerate(cases):
        rows[row, [place[item] for item in case.checklist.items()]] = 1
    known = sorted({diagnoses.index(str(case.diagnosis)) for case in cases})
    labels = np.array([known.index(diagnoses.index(str(case.diagnosis))) for case in cases])
    found = np.zeros((len(diagnoses), len(VALUES) + 1))
    found[:, -1] = np.log(prior)
    if len(known) == 1:
        return found, {}
    # Queries name one finding or seven: with some left out, fewer speak with the voice of fewer.
    rows, labels, groups = _thinned(rows, labels, [case.group for case in cases])
    fitted, facts, _ = _regression(rows, labels, len(known), groups, np.ones(len(rows)), np.ones(len(rows), bool))
    found[known] = fitted
    found[known, -1] += np.log(prior[known].sum()) - _log_sum(fitted[:, -1:])[0]
    return found, facts


def _thinned(
    rows: NDArray[Any], labels: NDArray[Any], groups: Sequence[str]
) -> tuple[NDArray[Any], NDArray[Any], list[str]]:
    """Each case with all its findings, and four times with each criterion left out by an even chance."""
    rng = np.random.default_rng(0)
    of_value = [list(CRITERIA).index(name) for name, _ in VALUES]
    copies = [rows]
    for _ in range(4):
        kept = rng.random((len(rows), len(CRITERIA))) < 0.5
        copies.append(rows * kept[:, of_value])
    return np.concatenate(copies), np.tile(labels, 5), list(groups) * 5


def _finding_heads(rows: NDArray[Any], cases: Sequence[Case]) -> tuple[NDArray[Any], dict[str, Any]]:
    """Logits (28, k + 1) of the values, divided by a temperature that was fitted on cases not seen."""
    found = np.zeros((len(VALUES), rows.shape[1] + 1))
    facts = {}
    for name, criterion in CRITERIA.items():
        has = [i for i, case in enumerate(cases) if name in case.checklist]
        given = [cases[i].checklist[name] for i in has]
        known = [value for value in criterion.values if value in given]
        places = [VALUES.index((name, value)) for value in criterion.values]
        found[places, -1] = np.log([given.count(v) + 0.5 for v in criterion.values])
        if len(known) < 2:
            continue
        labels = np.array([known.index(value) for value in given])
        groups = [cases[i].group for i in has]
        every = np.ones(len(has), bool)
        fitted, facts[name], unseen = _regression(rows[has], labels, len(known), groups, every.astype(float), every)
        sharp = minimize_scalar(
            lambda t, u=unseen, y=labels, k=len(known): _loss(y, u * t, k), bounds=(0.2, 3.0), method="bounded"
        ).x
        facts[name]["temperature"] = round(1 / float(sharp), 3)
        facts[name]["calibration_error"] = round(_calibration_error(labels, unseen * sharp), 4)
        mine = [VALUES.index((name, value)) for value in known]
        found[mine] = fitted * sharp
        others = [place for place in places if place not in mine]
        found[others, -1] = found[mine, -1].min() - 3.0
    return found, facts


def _regression(
    rows: NDArray[Any],
    labels: NDArray[Any],
    classes: int,
    groups: Sequence[str],
    weights: NDArray[Any],
    judged: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], dict[str, Any], NDArray[np.float64]]:
    """A multinomial regression whose strength C has the least log loss on ``judged`` rows of lesions not seen.

    Returns:
        Logit matrix (classes, k + 1), facts, and logits (n, classes) of every row by a regression that had not seen it.
    """
    splits = min(_SPLITS, min(np.bincount(labels, minlength=1)[np.unique(labels)]))
    if splits < 2:
        return _fitted(rows, labels, classes, weights, 1e-2), {}, np.zeros((len(rows), classes))
    parts = list(StratifiedGroupKFold(splits, shuffle=True, random_state=0).split(rows, labels, groups))
    best: tuple[float, float, NDArray[np.float64]] | None = None
    for strength in _STRENGTHS:
        unseen = np.zeros((len(rows), classes))
        for train, test in parts:
            unseen[test] = _logits(_fitted(rows[train], labels[train], classes, weights[train], strength), rows[test])
        loss = _loss(labels[judged], unseen[judged], classes)
        if best is None or loss < best[0]:
            best = (loss, strength, unseen)
        elif loss > best[0] * 1.02:
            break  # the loss is convex in log C as far as it was ever seen
    assert best is not None  # noqa: S101 - there are strengths
    loss, strength, unseen = best
    accuracy = float((unseen[judged].argmax(axis=1) == labels[judged]).mean())
    facts = {"C": strength, "log_loss": round(loss, 4), "accuracy": round(accuracy, 4)}
    return _fitted(rows, labels, classes, weights, strength), facts, unseen


def _fitted(
    rows: NDArray[Any], labels: NDArray[Any], classes: int, weights: NDArray[Any], strength: float
) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        # Weak strengths need more steps and lose by log loss anyway.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=strength, max_iter=200, tol=1e-3).fit(rows, labels, sample_weight=weights)
    found = np.zeros((classes, rows.shape[1] + 1))
    found[:, -1] = -20.0
    if len(model.classes_) == 2:  # scikit-learn keeps one row for two classes
        found[model.classes_, :-1] = np.concatenate([-model.coef_, model.coef_]) / 2
        found[model.classes_, -1] = np.concatenate([-model.intercept_, model.intercept_]) / 2
    else:
        found[model.classes_, :-1], found[model.classes_, -1] = model.coef_, model.intercept_
    return found


def _logits(matrix: NDArray[np.float64], rows: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(rows @ matrix[:, :-1].T + matrix[:, -1])


def _log_sum(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    top = columns.max(axis=0)
    return np.asarray(top + np.log(np.exp(columns - top).sum(axis=0)))


def _loss(labels: NDArray[Any], logits: NDArray[Any], classes: int) -> float:
    chances = np.exp(logits - _log_sum(logits.T)[:, None])
    return float(log_loss(labels, chances, labels=list(range(classes))))


def _calibration_error(labels: NDArray[Any], logits: NDArray[Any], bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017): mean gap between confidence and accuracy over equal bins."""
    chances = np.exp(logits - _log_sum(logits.T)[:, None])
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [
        abs(sure[place == b].mean() - right[place == b].mean()) * (place == b).sum()
        for b in range(bins)
        if (place == b).any()
    ]
    return float(sum(gaps) / len(labels))
