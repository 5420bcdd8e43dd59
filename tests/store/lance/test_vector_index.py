"""Approximate search beside the exact one, on both stores: what it finds, and what was written since."""

from __future__ import annotations

import numpy as np
import pytest

from dermquery.lab.bench.ratios import grown
from dermquery.model.alignment import BlockLayout
from dermquery.model.heads import places_of_criteria
from dermquery.model.parts import PartLayout, Weights
from dermquery.model.presets import presets_of
from dermquery.store.protocol import CaseStore, StoredCase, packed
from dermquery.store.where import parse_where
from tests.store.conftest import MakeStore
from tests.store.rows import row

LAYOUT = PartLayout(BlockLayout(("low", "middle", "high"), 16), diagnoses=3, look=16)
WEIGHTS = {
    **presets_of(LAYOUT, {}),
    "global": Weights(meaning=1, local_weight=0),
    "local": Weights(meaning=1, local_weight=1),
}
N = 3000


def clustered(n: int, seed: int = 0) -> np.ndarray:
    """Vectors in 80 heaps, as encodings of real cases lie, half of them with recorded findings, (n, size)."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(80, LAYOUT.size)).astype(np.float32)
    centres = LAYOUT.normalised(centres, np.ones_like(centres))
    findings = centres[:, LAYOUT.slices["findings"]]
    for places in places_of_criteria():
        chosen = np.eye(len(places))[rng.integers(len(places), size=40)]
        findings[:, places] = np.concatenate([chosen, rng.dirichlet(np.ones(len(places)), 40)])
    return packed(grown(centres, LAYOUT, n, seed=seed))


def asking(n: int, seed: int = 0) -> np.ndarray:
    """As many queries that lie in the same heaps, and ask for one or two findings of theirs."""
    queries = LAYOUT.asking(clustered(N + n, seed)[-n:])
    part = LAYOUT.slices["findings"]
    queries[:, part] *= np.random.default_rng(seed).random((n, 28)) < 0.2
    return LAYOUT.normalised(queries, queries)


def case_rows(vectors: np.ndarray, start: int = 0) -> list[StoredCase]:
    sites, sources = ("back", *("chest",) * 9), ("a", *("b",) * 199)
    return [
        row(f"{i:05d}", vector, site=sites[i % 10], source=sources[i % 200], lesion_id=f"l{i // 2}")
        for i, vector in enumerate(vectors, start)
    ]


def ids(store: CaseStore, query: np.ndarray, where: list[str] | None = None, *, exact: bool = False) -> list[str]:
    found = store.search(query, parse_where(where or []), top_k=10, exact=exact)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    for hit in found:
        assert hit.score == float((hit.row.vector.astype(float) * query.astype(float)).sum())
    return [hit.row.case.case_id for hit in found]


@pytest.fixture(scope="module")
def indexed(make_store: MakeStore) -> CaseStore:
    store = make_store(LAYOUT.size)
    store.upsert(case_rows(clustered(N)))
    assert store.build_index() == N
    return store


@pytest.mark.slow
def test_one_index_serves_every_weight_and_filter(indexed: CaseStore) -> None:
    queries = asking(2)
    filters = (["site=back"], ["source=a"], ["lesion_id!=l3", "site!=back"])
    # Weights change the query, filters the candidates: each with one of the other, and the two farthest apart.
    asked: list[tuple[str, list[str] | None]] = [(name, None) for name in WEIGHTS]
    asked += [*(("balanced", where) for where in filters), ("local", ["source=a"])]
    for name, where in asked:
        recall = []
        for query in LAYOUT.weigh(queries, WEIGHTS[name]):
            wanted = ids(indexed, query, where, exact=True)
            assert len(wanted) == 10
            recall.append(len(set(ids(indexed, query, where)) & set(wanted)) / 10)
        assert np.mean(recall) >= 0.98, (name, where, recall)


@pytest.mark.slow
def test_what_was_written_since_is_found_as_it_is_now(make_store: MakeStore) -> None:
    store, vectors = make_store(LAYOUT.size), clustered(2 * N, seed=3)
    store.upsert(case_rows(vectors[:N]))
    store.build_index()
    query = vectors[5]
    assert ids(store, query)[0] == "00005"
    moved = case_rows(vectors[N : N + 20], start=0)  # cases 0 to 19 have another vector now
    fresh = case_rows(vectors[5:6], start=9000)
    store.upsert(moved + fresh)
    assert ids(store, query)[0] == "09000"
    assert "00005" not in ids(store, query)
    for i in range(0, 20, 5):
        assert ids(store, vectors[N + i])[0] == f"{i:05d}"
    store.delete(["09000", *(f"{i:05d}" for i in range(100, 1100))])
    found = ids(store, query)
    assert found == ids(store, query, exact=True)
    assert not {f"{i:05d}" for i in range(100, 1100)} & set(found)
    store.upsert(case_rows(vectors[5:6], start=9001))
    store.compact()
    assert ids(store, query)[0] == "09001"


@pytest.mark.slow
def test_pages_of_an_approximate_ranking(indexed: CaseStore) -> None:
    query = LAYOUT.weigh(clustered(1))[0]
    whole = [hit.row.case.case_id for hit in indexed.search(query, top_k=40)]
    pages = [hit.row.case.case_id for start in range(0, 40, 8) for hit in indexed.search(query, top_k=8, offset=start)]
    assert len(set(pages)) == 40
    assert len(set(pages) & set(whole)) >= 39


def test_too_few_cases(make_store: MakeStore) -> None:
    store = make_store(LAYOUT.size)
    store.upsert(case_rows(clustered(10)))
    with pytest.raises(ValueError, match="an index needs at least 1024 cases, and there are 10"):
        store.build_index()
    assert ids(store, clustered(1)[0]) == ids(store, clustered(1)[0], exact=True)


@pytest.mark.slow
def test_a_base_that_shrinks_below_what_can_be_indexed(make_store: MakeStore) -> None:
    store, vectors = make_store(LAYOUT.size), clustered(1101)
    store.upsert(case_rows(vectors[:1100]))
    store.build_index()
    store.delete([f"{i:05d}" for i in range(400)])
    store.upsert(case_rows(vectors[1100:], start=1100))
    store.compact()
    assert ids(store, vectors[1100]) == ids(store, vectors[1100], exact=True)
