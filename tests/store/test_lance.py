from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.store.filters import parse_where
from dermquery.store.lance import LanceStore
from dermquery.store.protocol import CaseStore, ImageStamp, StoredCase

SIZE = 12
STAMP = ImageStamp("ab" * 32, 123, 1_700_000_000_123_456_789)


def row(case_id: str, vector: np.ndarray | None = None, **fields: object) -> StoredCase:
    case = Case(case_id=case_id, image=Path("/data/a b.png"), **fields)
    return StoredCase(case, np.zeros(SIZE, np.float32) if vector is None else vector.astype(np.float32), STAMP)


def random_rows(n: int, seed: int = 0, prefix: str = "") -> list[StoredCase]:
    vectors = np.random.default_rng(seed).normal(size=(n, SIZE))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [row(f"{prefix}{i:04d}", v, site="back" if i % 2 else None) for i, v in enumerate(vectors)]


def brute_force(rows: list[StoredCase], query: np.ndarray, top_k: int) -> list[str]:
    scored = [(-float(np.sum(r.vector.astype(float) * query.astype(float))), r.case.case_id) for r in rows]
    return [case_id for _, case_id in sorted(scored)[:top_k]]


def found(store: CaseStore, query: np.ndarray, top_k: int) -> list[str]:
    return [hit.row.case.case_id for hit in store.search(query.astype(np.float32), top_k=top_k)]


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    store: CaseStore = LanceStore(tmp_path, SIZE)
    full = row(
        "a",
        np.linspace(-1, 1, SIZE),
        diagnosis="mel",
        fine_diagnosis="melanoma (in situ)",
        lesion_id="l",
        patient_id="p",
        sex="female",
        age=40.5,
        site="back",
        elevation="flat",
        text="line\nbreak",
        checklist={"streaks": "irregular", "pigment_network": "atypical"},
        extra={"zeta": "1", "alpha": 'quote "'},
    )
    store.upsert([full, row("b")])
    got = store.get(["a", "b", "not there"])
    assert set(got) == {"a", "b"}
    assert got["a"].case == full.case
    assert list(got["a"].case.extra) == ["zeta", "alpha"]
    assert got["a"].stamp == STAMP
    np.testing.assert_array_equal(got["a"].vector, full.vector)
    assert got["b"].case == row("b").case
    assert store.get(["a"], vectors=False)["a"].vector.size == 0


def test_upsert_replaces_and_delete_removes(tmp_path: Path) -> None:
    store = LanceStore(tmp_path, SIZE)
    store.upsert(random_rows(600))
    store.upsert([row("0003", site="chest"), row("new")])
    assert store.count() == 601
    assert store.get(["0003"])["0003"].case.site == "chest"
    assert store.delete([f"{i:04d}" for i in range(600)] + ["not there"]) == 600
    assert store.ids() == ["new"]
    assert store.delete([]) == 0


@pytest.mark.parametrize("bad", [np.zeros(SIZE - 1), np.full(SIZE, np.nan), np.full(SIZE, np.inf)])
def test_bad_vectors_are_refused(tmp_path: Path, bad: np.ndarray) -> None:
    store = LanceStore(tmp_path, SIZE)
    with pytest.raises(ValueError, match="case 'b': its vector must be 12 finite numbers"):
        store.upsert([row("a"), row("b", bad)])
    assert store.count() == 0


def test_an_id_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    store = LanceStore(tmp_path, SIZE)
    with pytest.raises(ValueError, match="case ids occur more than once: a"):
        store.upsert([row("a"), row("a")])


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[LanceStore, list[StoredCase]]:
    store = LanceStore(tmp_path_factory.mktemp("many"), SIZE)
    rows = random_rows(300)
    rows += [row(f"twin-{i:02d}", rows[0].vector) for i in range(40)]  # 41 equal vectors, spread over two writes
    store.upsert(rows[200:])
    store.upsert(rows[:200])
    return store, rows


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), top_k=st.integers(1, 400))
def test_search_is_exact(many: tuple[LanceStore, list[StoredCase]], seed: int, top_k: int) -> None:
    store, rows = many
    query = np.random.default_rng(seed).normal(size=SIZE).astype(np.float32)
    assert found(store, query, top_k) == brute_force(rows, query, top_k)


def test_ties_break_by_case_id_whatever_lies_first(many: tuple[LanceStore, list[StoredCase]]) -> None:
    store, rows = many
    query = rows[0].vector
    expected = ["0000", *(f"twin-{i:02d}" for i in range(40))]
    for top_k in (1, 3, 5, 17, 18, 41):
        assert found(store, query, top_k) == expected[:top_k]


def test_compacting_changes_no_answer(tmp_path: Path) -> None:
    store, rows = LanceStore(tmp_path, SIZE), random_rows(60)
    for start in range(0, 60, 5):
        store.upsert(rows[start : start + 5])
    query = rows[7].vector
    before = found(store, query, 60)
    store.compact()
    assert found(store, query, 60) == before == brute_force(rows, query, 60)


def test_filter_and_exclusion(many: tuple[LanceStore, list[StoredCase]]) -> None:
    store, rows = many
    query = rows[1].vector
    hits = store.search(query, parse_where(["site=back"]), top_k=3, exclude=["0001"])
    allowed = [r for r in rows if r.case.site == "back" and r.case.case_id != "0001"]
    assert [h.row.case.case_id for h in hits] == brute_force(allowed, query, 3)
    assert store.search(query, parse_where(["site=nowhere"])) == []
    assert len(store.search(query, top_k=10_000, exclude=[f"{i:04d}" for i in range(300)])) == 40


def test_bad_searches(many: tuple[LanceStore, list[StoredCase]]) -> None:
    store, _ = many
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        store.search(np.zeros(SIZE, np.float32), top_k=0)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(12,\)"):
        store.search(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="unknown field 'vector'"):
        store.value_counts("vector")


def test_counts(many: tuple[LanceStore, list[StoredCase]]) -> None:
    store, _ = many
    assert store.count(parse_where(["site=back"])) == 150
    assert store.value_counts("site") == {None: 190, "back": 150}
    assert store.value_counts("site", parse_where(["site!=missing"])) == {"back": 150}


def test_an_empty_store(tmp_path: Path) -> None:
    store = LanceStore(tmp_path, SIZE)
    assert (store.count(), store.ids(), store.value_counts("site")) == (0, [], {})
    assert store.search(np.zeros(SIZE, np.float32)) == []
    store.upsert([])
    store.compact()


def test_a_reader_sees_what_another_handle_wrote(tmp_path: Path) -> None:
    reader, writer = LanceStore(tmp_path, SIZE), LanceStore(tmp_path, SIZE)
    assert reader.count() == 0
    writer.upsert([row("a")])
    assert reader.ids() == ["a"]


def _write_all(folder: Path, n: int, barrier: object) -> None:
    store = LanceStore(folder, SIZE)
    barrier.wait()  # type: ignore[attr-defined]
    for start in range(0, n, 4):
        store.upsert(random_rows(n)[start : start + 4])


@pytest.mark.slow
def test_two_processes_that_write_the_same_cases_make_no_duplicates(tmp_path: Path) -> None:
    LanceStore(tmp_path, SIZE)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    writers = [context.Process(target=_write_all, args=(tmp_path, 120, barrier)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = LanceStore(tmp_path, SIZE)
    assert store.count() == 120
    assert len(set(store.ids())) == 120
