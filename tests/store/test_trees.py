"""Conditions on places of a hierarchy: in Python, in both stores, and by walking up from every case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.store.filters import Equals, Filter, Not, OneOf
from dermquery.store.matching import matches
from dermquery.store.milvus.expression import column_text, to_milvus
from dermquery.store.protocol import CaseStore, ImageStamp, StoredCase
from tests.store.conftest import MakeStore

PLACES = {"site": [*SITES.by_word], "diagnosis_path": [*DIAGNOSES.paths]}


def case(**values: object) -> Case:
    return Case(**{"image": Path("a.jpg"), **values})


@pytest.fixture(scope="module")
def placed() -> list[Case]:
    """A case at every place, and some of no place that is known."""
    cases = [
        case(case_id=f"{field} {i:03d}", **{field: place})
        for field, places in PLACES.items()
        for i, place in enumerate(places)
    ]
    others = ["", "Benign:Our own", "Benign:Our own:finer", "Benign;", "Benigna", "Malign", "nevus"]
    cases += [case(case_id=f"other {i}", diagnosis_path=value) for i, value in enumerate(others)]
    return [*cases, case(case_id="site", site="posterior torso"), case(case_id="none")]


def naively(field: str, place: str, value: str | None) -> bool:
    """Whether a value is at a place or below, by walking up."""
    if value is None:
        return False
    if field == "diagnosis_path":
        return f"{value}:".startswith((f"{place}:", f"{DIAGNOSES.named(place) or place}:"))
    to_see, seen = [SITES.named(value) or value], set[str]()
    while to_see:
        seen.add(word := to_see.pop())
        to_see += SITES.by_word[word].parents if word in SITES.by_word else ()
    return (SITES.named(place) or place) in seen


@pytest.mark.parametrize(("field", "place"), [("site", "trunk"), ("diagnosis_path", "Malignant")])
def test_a_place_is_the_union_of_what_is_below_it(placed: list[Case], field: str, place: str) -> None:
    whole = Filter(condition=Equals(field=field, value=place))
    own = [getattr(one, field) for one in placed if matches(whole, one)]
    parts = Filter(condition=OneOf(field=field, values=tuple(own)))
    assert len(own) > 10
    assert [matches(whole, one) for one in placed] == [matches(parts, one) for one in placed]


places = st.sampled_from(sorted(PLACES)).flatmap(
    lambda field: st.tuples(
        st.just(field), st.sampled_from([*PLACES[field], "Benign:Our own", "nevus", "no such place"])
    )
)


@given(places)
def test_a_place_finds_what_is_below_it(placed: list[Case], asked: tuple[str, str]) -> None:
    field, place = asked
    where = Filter(condition=Equals(field=field, value=place))
    for one in placed:
        assert matches(where, one) == naively(field, place, getattr(one, field)), (place, getattr(one, field))


@settings(max_examples=15)
@given(places, st.booleans())
def test_both_stores_find_the_same(
    filled: CaseStore, placed: list[Case], asked: tuple[str, str], negated: bool
) -> None:
    condition = Equals(field=asked[0], value=asked[1])
    where = Filter(condition=Not(condition=condition) if negated else condition)
    hits = filled.page(where, limit=1000)
    assert {row.case.case_id for row in hits} == {one.case_id for one in placed if matches(where, one)}


@pytest.fixture(scope="module")
def filled(make_store: MakeStore, placed: list[Case]) -> CaseStore:
    store = make_store(2)
    store.upsert([StoredCase(one, np.ones(2, np.float32), ImageStamp("0", 0, 0, "")) for one in placed])
    return store


@given(places, st.booleans())
def test_milvus_is_asked_for_the_same(placed: list[Case], asked: tuple[str, str], negated: bool) -> None:
    """Its expressions are Python's too, so their meaning can be had without a server."""
    condition = Equals(field=asked[0], value=asked[1])
    where = Filter(condition=Not(condition=condition) if negated else condition)
    expression = compile(to_milvus(where), "expression", "eval")
    for one in placed[::7]:
        columns = {field: column_text(getattr(one, field)) for field in PLACES}
        assert eval(expression, {}, columns) == matches(where, one)  # noqa: S307 - our own expression
