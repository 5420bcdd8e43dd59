"""A stored case as a hit: its score, the parts that it is made of, and what it shares with the query."""

from __future__ import annotations

from collections.abc import Mapping

from dermquery.data.case import Case
from dermquery.model.alignment import Vectors
from dermquery.model.heads import VALUES
from dermquery.model.parts import PartLayout, Weights
from dermquery.store.closeness import Closeness
from dermquery.store.encoded import EncodedQuery
from dermquery.store.hits import Hit, compare_criteria
from dermquery.store.protocol import StoredCase

__all__ = ["hit_of"]


def hit_of(
    layout: PartLayout, encoded: EncodedQuery, row: StoredCase, weights: Weights, closer: Closeness | None
) -> Hit:
    """The hit that a row is for a query; its rank is 0 until all are in order.

    One case at a time: a product over several rows may round equal vectors apart.

    Args:
        layout: of the vectors.
        encoded: the query.
        row: the case with its vector.
        weights: of the parts.
        closer: how alike the query is to a sample of the base, if that is known.
    """
    asked, held = layout.split(encoded.vector[None]), layout.split(row.vector[None])
    local, global_ = (float(part[0, 0]) for part in layout.blocks.parts(asked["blocks"], held["blocks"]))
    meaning = weights.local_weight * local + (1.0 - weights.local_weight) * global_
    if layout.diagnoses and weights.posterior:
        agreement = float((asked["posterior"] @ held["posterior"].T)[0, 0])
        meaning = (1.0 - weights.posterior) * meaning + weights.posterior * agreement
    speaks = layout.speaks(encoded.vector)._asdict()
    findings, look = (
        float((asked[name] @ held[name].T)[0, 0]) if speaks[name] else None for name in ("findings", "look")
    )
    shared, differing = compare_criteria(encoded.terms, row.case)
    parts = {"meaning": meaning, "findings": findings, "look": look}
    return Hit(
        rank=0,
        case=row.case,
        score=weights.meaning * meaning + weights.findings * (findings or 0.0) + weights.look * (look or 0.0),
        meaning=meaning,
        findings=findings,
        look=look,
        local=local,
        global_=global_,
        shared_criteria=shared,
        differing_criteria=differing,
        likely_criteria=_likely(encoded.terms, row.case, held["findings"]) if layout.look else {},
        closer_than={} if closer is None else closer.shares(parts),
        same_image=row.stamp.sha256 in (encoded.sha256, *encoded.files),
        sha256=row.stamp.sha256,
    )


def _likely(terms: Mapping[str, str], case: Case, findings: Vectors) -> dict[str, float]:
    """Criteria that the query gives and nobody recorded of the case, with the probability of the query's value."""
    return {
        name: float(findings[0, VALUES.index((name, value))])
        for name, value in terms.items()
        if name not in case.checklist
    }
