"""What every store promises, asked of each: the embedded one, and a real Milvus server on loopback."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermquery.store.protocol import CaseStore, StoredCase
from dermquery.store.where import parse_where
from tests.store.conftest import MakeStore
from tests.store.rows import SIZE, STAMP, brute_force, found, random_rows, row


def test_round_trip_keeps_everything(make_store: MakeStore) -> None:
    store = make_store(SIZE)
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


def test_upsert_replaces_and_delete_removes(make_store: MakeStore) -> None:
    store = make_store(SIZE)
    store.upsert(random_rows(600))
    store.upsert([row("0003", site="chest"), row("new")])
    assert store.count() == 601
    assert store.get(["0003"])["0003"].case.site == "chest"
    assert store.delete([f"{i:04d}" for i in range(600)] + ["not there"]) == 600
    assert store.ids() == ["new"]
    assert store.delete([]) == 0


@pytest.mark.parametrize("bad", [np.zeros(SIZE - 1), np.full(SIZE, np.nan), np.full(SIZE, np.inf)])
def test_bad_vectors_are_refused(make_store: MakeStore, bad: np.ndarray) -> None:
    store = make_store(SIZE)
    with pytest.raises(ValueError, match="case 'b': its vector must be 12 finite numbers, of at most 65504"):
        store.upsert([row("a"), row("b", bad)])
    assert store.count() == 0


def test_an_id_that_occurs_twice_is_refused(make_store: MakeStore) -> None:
    store = make_store(SIZE)
    with pytest.raises(ValueError, match="case ids occur more than once: a"):
        store.upsert([row("a"), row("a")])


@pytest.fixture(scope="module")
def many(make_store: MakeStore) -> tuple[CaseStore, list[StoredCase]]:
    store = make_store(SIZE)
    rows = random_rows(300)
    rows += [row(f"twin-{i:02d}", rows[0].vector) for i in range(40)]  # 41 equal vectors, spread over two writes
    store.upsert(rows[200:])
    store.upsert(rows[:200])
    return store, rows


@settings(max_examples=25)
@given(seed=st.integers(0, 10_000), top_k=st.integers(1, 400))
def test_search_is_exact(many: tuple[CaseStore, list[StoredCase]], seed: int, top_k: int) -> None:
    store, rows = many
    query = np.random.default_rng(seed).normal(size=SIZE).astype(np.float32)
    assert found(store, query, top_k) == brute_force(rows, query, top_k)


def test_ties_break_by_case_id_whatever_lies_first(many: tuple[CaseStore, list[StoredCase]]) -> None:
    store, rows = many
    query = rows[0].vector
    expected = ["0000", *(f"twin-{i:02d}" for i in range(40))]
    for top_k in (1, 3, 5, 17, 18, 41):
        assert found(store, query, top_k) == expected[:top_k]


def test_compacting_changes_no_answer(make_store: MakeStore) -> None:
    store, rows = make_store(SIZE), random_rows(60)
    for start in range(0, 60, 5):
        store.upsert(rows[start : start + 5])
    query = rows[7].vector
    before = found(store, query, 60)
    store.compact()
    assert found(store, query, 60) == before == brute_force(rows, query, 60)


def test_filter_and_exclusion(many: tuple[CaseStore, list[StoredCase]]) -> None:
    store, rows = many
    query = rows[1].vector
    hits = store.search(query, parse_where(["site=back"]), top_k=3, exclude=["0001"])
    allowed = [r for r in rows if r.case.site == "back" and r.case.case_id != "0001"]
    assert [h.row.case.case_id for h in hits] == brute_force(allowed, query, 3)
    assert store.search(query, parse_where(["site=nowhere"])) == []
    assert len(store.search(query, top_k=10_000, exclude=[f"{i:04d}" for i in range(300)])) == 40


def test_pages_of_a_ranking_make_up_the_ranking(many: tuple[CaseStore, list[StoredCase]]) -> None:
    store, rows = many
    query = rows[0].vector  # equal to 40 others, which lie across the first pages
    pages = [
        [hit.row.case.case_id for hit in store.search(query, top_k=17, offset=start)] for start in range(0, 357, 17)
    ]
    assert [len(page) for page in pages] == [17] * 20 + [0]
    assert [case_id for page in pages for case_id in page] == brute_force(rows, query, 340)


NAMES = [
    "a",
    "B",
    "b-1",
    "b 1",
    "b%201",
    "b/1",
    "b[1",
    "b_1",
    "b~1",
    "ba",
    "ä",
    "日本",
    "b'1",
    'b"1',
    "b\\1",
    "b\n1",
    "😀",
]


def test_pages_of_cases_are_in_the_order_of_ids(make_store: MakeStore) -> None:
    store = make_store(SIZE)
    store.upsert([row(name, np.full(SIZE, i), site="back" if i % 2 else None) for i, name in enumerate(NAMES)])
    for where, wanted in ((None, NAMES), (parse_where(["site=back"]), NAMES[1::2])):
        for limit in (1, 3, len(wanted), 100):
            seen: list[str] = []
            while page := store.page(where, seen[-1] if seen else None, limit):
                assert len(page) <= limit
                seen += [entry.case.case_id for entry in page]
            assert seen == sorted(wanted)
    assert [entry.case.case_id for entry in store.page(None, "b", 2)] == ["b\n1", "b 1"]  # no case is named b
    assert store.page(limit=1)[0].vector.size == 0
    (with_vector,) = store.page(None, "ab", 1, vectors=True)
    np.testing.assert_array_equal(with_vector.vector, np.full(SIZE, NAMES.index(with_vector.case.case_id), np.float32))
    with pytest.raises(ValueError, match="a page holds at least 1 case, got limit 0"):
        store.page(limit=0)


def test_pages_longer_than_one_read(make_store: MakeStore) -> None:
    store, rows = make_store(SIZE), random_rows(1200)
    store.upsert(rows)
    assert [entry.case.case_id for entry in store.page(None, "0003", 1100)] == [f"{i:04d}" for i in range(4, 1104)]


def test_bad_searches(many: tuple[CaseStore, list[StoredCase]]) -> None:
    store, _ = many
    with pytest.raises(ValueError, match="top_k must be at least 1, got 0"):
        store.search(np.zeros(SIZE, np.float32), top_k=0)
    with pytest.raises(ValueError, match="offset must be at least 0, got -1"):
        store.search(np.zeros(SIZE, np.float32), offset=-1)
    with pytest.raises(ValueError, match=r"shape \(3,\), expected \(12,\)"):
        store.search(np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="unknown field 'vector'"):
        store.value_counts("vector")


def test_counts(many: tuple[CaseStore, list[StoredCase]]) -> None:
    store, _ = many
    assert store.count(parse_where(["site=back"])) == 150
    assert store.value_counts("site") == {None: 190, "back": 150}
    assert store.value_counts("site", parse_where(["site!=missing"])) == {"back": 150}


def test_an_empty_store(make_store: MakeStore) -> None:
    store = make_store(SIZE)
    assert (store.count(), store.ids(), store.value_counts("site")) == (0, [], {})
    assert store.search(np.zeros(SIZE, np.float32)) == []
    store.upsert([])
    store.compact()
