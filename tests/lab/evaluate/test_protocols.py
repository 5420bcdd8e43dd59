"""Queries and gallery of the named protocols, on real folds."""

from __future__ import annotations

import pytest

from dermquery.data.case import Case
from dermquery.lab.data.folds import Folds, FoldsError, make_folds
from dermquery.lab.evaluate import Protocol, protocol_sets
from tests.lab.evaluate.strategies import make_case


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [
        make_case(f"{i:03d}", ("nevus", "melanoma")[i % 4 == 0], lesion_id=f"l{i // 2}" if i % 10 < 4 else None)
        for i in range(80)
    ]


@pytest.fixture(scope="module")
def folds(cases: list[Case]) -> Folds:
    return make_folds(cases, n_splits=4, seed=1, validation_share=0.2)


def test_seen_gallery_is_the_other_folds(cases: list[Case], folds: Folds) -> None:
    for number, fold in enumerate(folds.folds):
        queries, gallery = protocol_sets(Protocol.SEEN, folds, number, cases)
        assert {case.case_id for case in queries} == set(fold.test)
        assert {case.case_id for case in gallery} == {*fold.train, *fold.validation}
        assert not {case.group for case in queries} & {case.group for case in gallery}


def test_unseen_gallery_is_the_test_fold(cases: list[Case], folds: Folds) -> None:
    queries, gallery = protocol_sets("unseen", folds, 2, cases)
    assert queries == gallery
    assert {case.case_id for case in gallery} == set(folds.folds[2].test)
    assert not {case.case_id for case in gallery} & {*folds.folds[2].train, *folds.folds[2].validation}


def test_refusals(cases: list[Case], folds: Folds) -> None:
    with pytest.raises(ValueError, match="external protocol has no folds"):
        protocol_sets(Protocol.EXTERNAL, folds, 0, cases)
    with pytest.raises(ValueError, match="'honest' is not a valid Protocol"):
        protocol_sets("honest", folds, 0, cases)
    with pytest.raises(FoldsError, match="no fold 4"):
        protocol_sets("seen", folds, 4, cases)
    with pytest.raises(FoldsError, match="another table"):
        protocol_sets("seen", folds, 0, cases[:-1])


def test_headings() -> None:
    assert [protocol.heading for protocol in Protocol] == ["Seen gallery", "Unseen gallery", "External"]
    assert Protocol.SEEN.value == "seen"
