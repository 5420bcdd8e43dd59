"""What a newer table has no more, and how little a store is asked for it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.store.filters import Filter
from dermquery.store.lance.lance_store import LanceStore
from dermquery.store.left_behind import left_behind
from dermquery.store.other_sources import others_in_place
from dermquery.store.protocol import CaseStore
from tests.store.conftest import MakeStore
from tests.store.rows import SIZE, row

HELD = {"A": [f"a{i}" for i in range(5)], "B": ["b0", "b1"], None: ["c0", "c1"]}


def filled(made: CaseStore) -> CaseStore:
    made.upsert([row(name, source=source) for source, names in HELD.items() for name in names])
    return made


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> CaseStore:
    return filled(LanceStore(tmp_path_factory.mktemp("lance"), SIZE))


def naive(ids: set[str], sources: list[str]) -> dict[str, list[str]]:
    held = {source: set(HELD.get(source, ())) for source in sources}
    return {source: sorted(names - ids) for source, names in held.items() if names & ids and names - ids}


@given(st.sets(st.sampled_from(["new", *(name for names in HELD.values() for name in names)])))
def test_what_is_gone_is_what_the_source_has_beside_the_table(embedded: CaseStore, ids: set[str]) -> None:
    assert left_behind(ids, ["A", "B", "other"], embedded) == naive(ids, ["A", "B", "other"])


def test_no_id_is_read_where_nothing_is_gone(make_store: MakeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled(make_store(SIZE))
    read: list[str] = []
    counts = store.value_counts

    def noted(field: str, where: Filter | None = None) -> Mapping[str | float | None, int]:
        read.append(field)
        return counts(field, where)

    monkeypatch.setattr(store, "value_counts", noted)
    assert left_behind([*HELD["A"], "new"], ["A"], store) == left_behind(["new"], ["A", "B"], store) == {}
    assert others_in_place([row(name, source="A").case for name in HELD["A"]], store) == ""
    assert read == [], "on a server each is a look at every row"
    assert left_behind(["a0", "b0", "b1"], ["A", "B"], store) == {"A": HELD["A"][1:]}
    assert read == ["case_id"]
