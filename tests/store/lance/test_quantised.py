"""The index alone: one search that threads share, many at once, and its file read ahead."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from dermquery.store.lance import quantised
from dermquery.store.lance.quantised import IndexShape, VectorIndex, faiss_library, write_index
from tests.store.lance.test_vector_index import LAYOUT, WEIGHTS, asking, clustered

N = 4000
APART = (99, 127)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    quantised._threads()  # those that there are: they are kept, and tests below say other numbers
    folder, vectors = tmp_path_factory.mktemp("index"), clustered(N, seed=1)
    write_index(folder, IndexShape.of(LAYOUT.size, N, APART), vectors, [(np.arange(N), vectors)])
    return folder


def found(index: VectorIndex, queries: np.ndarray, allowed: np.ndarray | None = None, k: int = 16) -> list[list[int]]:
    return [index.nearest(query, k, allowed).tolist() for query in queries]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.01])
def test_threads_that_share_a_search_find_what_one_finds(
    folder: Path, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantised, "FEW", 100)  # so that half of the cases are looked for in the lists
    queries = LAYOUT.weigh(asking(8, seed=1), WEIGHTS["balanced"])
    allowed = None if share == 1.0 else np.random.default_rng(0).random(N) < share
    answers = {}
    for threads in (1, 2, 3, 64):
        monkeypatch.setattr(faiss_library(), "omp_get_max_threads", lambda threads=threads: threads)
        index = VectorIndex(folder)
        answers[threads] = found(index, queries, allowed)
        assert len(index._shares) == min(threads, 4)
    exact = clustered(N, seed=1) @ queries.T
    for i, answer in enumerate(answers[1]):
        assert len(answer) == 16
        assert allowed is None or allowed[answer].all()
        order = np.argsort(-exact[:, i] if allowed is None else np.where(allowed, -exact[:, i], np.inf))
        assert len(set(answer) & set(order[:16].tolist())) >= 15, "the first stage misses few"
    for threads in (2, 3, 64):
        assert answers[threads] == answers[1], threads


def test_every_list_is_looked_at_by_one_thread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss_library(), "omp_get_max_threads", lambda: 3)
    index = VectorIndex(folder)
    lists = np.arange(index.shape.lists)
    members = [[bool(share.sel.is_member(int(i))) for i in lists] for _, share in index._shares]
    assert np.sum(members, axis=0).tolist() == [1] * len(lists)
    sizes = np.sum(members, axis=1)
    assert sizes.tolist() == [size for size, _ in index._shares]
    assert sizes.max() - sizes.min() <= 1


def test_many_searches_at_once_and_the_callers_threads_stay_as_they_were(folder: Path) -> None:
    faiss, index = faiss_library(), VectorIndex(folder)
    queries = LAYOUT.weigh(asking(40, seed=1), WEIGHTS["paper"])
    before, alone = faiss.omp_get_max_threads(), found(index, queries)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda query: index.nearest(query, 16).tolist(), queries))
    assert together == alone
    assert faiss.omp_get_max_threads() == before


def test_fewer_allowed_than_wanted(folder: Path) -> None:
    allowed = np.zeros(N, np.bool_)
    allowed[[3, 77, 3999]] = True
    index = VectorIndex(folder)
    assert sorted(index.nearest(clustered(1)[0], 16, allowed)) == [3, 77, 3999]
    assert index.nearest(clustered(1)[0], 16, np.zeros(N, np.bool_)).tolist() == []


def test_reading_ahead_changes_no_answer(folder: Path) -> None:
    index, queries = VectorIndex(folder), LAYOUT.weigh(asking(4, seed=1), WEIGHTS["paper"])
    before = found(index, queries)
    assert found(index, queries) == before


@pytest.mark.parametrize("apart", [(0, 0), APART])
def test_vectors_come_out_as_they_went_in(tmp_path: Path, apart: tuple[int, int]) -> None:
    """To the last digit, and of odd length too."""
    vectors = clustered(1500, seed=2)[:, : LAYOUT.size - (apart != APART)]
    write_index(tmp_path, IndexShape.of(vectors.shape[1], 1500, apart), vectors, [(np.arange(1500), vectors)])
    index = VectorIndex(tmp_path)
    assert (index.shape.size, index.shape.width % 2) == (vectors.shape[1], 0)
    chosen = np.array([3, 77, 1499])
    assert np.array_equal(index.vectors(chosen), vectors[chosen])
    assert index.vectors(chosen[:0]).shape == (0, vectors.shape[1])
    assert index.nearest(vectors[77], 1).tolist() == [77]
