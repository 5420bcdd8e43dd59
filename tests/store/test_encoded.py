"""A query that is encoded once and searched with often; relevance feedback against its definition."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dermquery.data.case import Case
from dermquery.model.alignment import BlockLayout
from dermquery.model.parts import PartLayout
from dermquery.store.casebase import CaseBase, QueryError
from dermquery.store.encoded import rocchio
from tests.store.encoder import ProjectionEncoder

LAYOUT = PartLayout(BlockLayout(("low", "high"), 3), diagnoses=3, look=4)
FLOATS = st.floats(0, 1, width=32)


def unit(raw: np.ndarray) -> np.ndarray:
    """Numbers as vectors of queries."""
    raw = raw + np.float32(1e-3)
    return LAYOUT.normalised(raw, raw)


@pytest.mark.parametrize("local_weight", [0.0, 0.6, 1.0])
def test_an_encoded_query_gives_the_answer_of_a_search(
    base: CaseBase, cases: Sequence[Case], local_weight: float
) -> None:
    asked = {"image": cases[3].image, "text": "atypical network"}
    encoded = base.encode(**asked)  # type: ignore[arg-type]
    once = base.search(**asked, where=["site!=back"], local_weight=local_weight)  # type: ignore[arg-type]
    again = base.search_encoded(encoded, ["site!=back"], local_weight=local_weight)
    assert [hit.to_dict() for hit in again.hits] == [hit.to_dict() for hit in once.hits]
    assert (again.terms, again.n_candidates, again.where) == (once.terms, once.n_candidates, once.where)


def test_a_moved_weight_encodes_nothing(base: CaseBase, cases: Sequence[Case]) -> None:
    encoded = base.encode(image=cases[3].image)
    model = base.model
    assert isinstance(model, ProjectionEncoder)
    before = model.encoded
    for weight in np.linspace(0, 1, 5):
        base.search_encoded(encoded, local_weight=float(weight))
    assert model.encoded == before


def test_more_like_a_case_of_the_base(base: CaseBase, cases: Sequence[Case]) -> None:
    result = base.search_encoded(base.encoded_case(cases[5].case_id), top_k=3)
    assert result.hits[0].case.case_id == cases[5].case_id
    assert result.hits[0].score == pytest.approx(1, abs=1e-3)
    assert dict(result.terms) == dict(cases[5].checklist)
    with pytest.raises(QueryError, match="has no case 'nobody'"):
        base.encoded_case("nobody")


@given(
    arrays(np.float32, (1, LAYOUT.size), elements=FLOATS),
    arrays(np.float32, st.tuples(st.integers(0, 3), st.just(LAYOUT.size)), elements=FLOATS),
    arrays(np.float32, st.tuples(st.integers(0, 3), st.just(LAYOUT.size)), elements=FLOATS),
)
def test_rocchio_block_by_block(query: np.ndarray, relevant: np.ndarray, irrelevant: np.ndarray) -> None:
    query, relevant, irrelevant = unit(query), unit(relevant), unit(irrelevant)
    moved = rocchio(LAYOUT, query[0], relevant, irrelevant)
    at = LAYOUT.slices
    parts = [*(slice(i * 3, i * 3 + 3) for i in range(4)), at["posterior"], at["findings"], at["look"]]
    for part in parts:
        expected = query[0, part].astype(float)
        if len(relevant):
            expected = expected + 0.75 * sum(row[part].astype(float) for row in relevant) / len(relevant)
        if len(irrelevant):
            expected = expected - 0.25 * sum(row[part].astype(float) for row in irrelevant) / len(irrelevant)
        shares = part == at["findings"]
        expected = np.maximum(expected, 0) if shares or part == at["posterior"] else expected
        length = float(expected.sum()) if shares else float(np.sqrt((expected**2).sum()))
        if length > 1e-3:
            np.testing.assert_allclose(moved[part], expected / length, atol=1e-4)
        assert (moved[part].sum() if shares else np.linalg.norm(moved[part])) == pytest.approx(1, abs=1e-4)


def test_a_query_without_findings_or_image_takes_those_of_the_marked_cases(
    base: CaseBase, cases: Sequence[Case]
) -> None:
    layout, encoded = base.manifest.layout, base.encode(image=cases[3].image)
    part = layout.slices["findings"]
    assert not encoded.vector[part].any()
    marked = base.store.get([cases[4].case_id])[cases[4].case_id].vector[None]
    moved = encoded.moved(layout, marked, np.empty((0, layout.size), np.float32))
    np.testing.assert_allclose(moved.vector[part], layout.asking(marked)[0, part], atol=1e-6)


def test_marks_move_a_query_towards_what_was_found_relevant(base: CaseBase, cases: Sequence[Case]) -> None:
    encoded = base.encode(image=cases[0].image)
    wanted, unwanted = (base.encoded_case(cases[i].case_id).vector for i in (7, 11))
    moved = encoded.moved(base.manifest.layout, wanted[None], unwanted[None])
    weigh = base.manifest.layout.weigh

    def score(vector: np.ndarray, case: np.ndarray) -> float:
        return float((weigh(vector[None]) @ case)[0])

    assert score(moved.vector, wanted) > score(encoded.vector, wanted)
    assert score(moved.vector, wanted) - score(moved.vector, unwanted) > score(encoded.vector, wanted) - score(
        encoded.vector, unwanted
    )
    unmarked = np.empty((0, base.manifest.layout.size), np.float32)
    np.testing.assert_allclose(
        encoded.moved(base.manifest.layout, unmarked, unmarked).vector, encoded.vector, atol=1e-6
    )
