"""Words for diagnoses, asked of bases whose cases have labels, places in the hierarchy, both, or one of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.store.filters import FilterError
from dermquery.store.known_values import KnownValues
from dermquery.store.lance.lance_store import LanceStore
from dermquery.store.matching import matches
from dermquery.store.protocol import ImageStamp, StoredCase
from dermquery.store.where import parse_where

MELANOMA = "Malignant:Malignant melanocytic proliferations (Melanoma)"
SCC = "Malignant:Malignant epidermal proliferations"
LABELS = (None, "mel", "Melanom", "melanoma?", "AK", "akiec", "nv", "scc", "vasc", "bkl", "in house")
PATHS = (
    None,
    "Malignant",
    MELANOMA,
    f"{MELANOMA}:Melanoma in situ",
    f"{SCC}:Squamous cell carcinoma in situ",
    SCC,
    "Benign:Benign melanocytic proliferations:Nevus",
    "Malignant:Our own",
)
FINE = (None, "SSM", "Basaliom", "Angiom", "nothing known")
ASKED = (
    *("mel", "MEL", "Melanom", "melanoma", "Malignant", "Benign", "Nevus", "nv", "SSM", "scc", "akiec", "AK", "vasc"),
    *("bcc", "Basaliom", "bkl", "in house", "Melanoma in situ", "Malignant:Our own", "Merkel cell carcinoma", "x"),
)
GROUPS = ("mel", "nv", "scc", "akiec", "vasc", "bcc", "bkl")


def store_of(folder: Path, cases: list[Case]) -> LanceStore:
    store = LanceStore(folder, 2)
    store.upsert([StoredCase(case, np.ones(2, np.float32), ImageStamp("0", 0, 0, "")) for case in cases])
    return store


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    each = itertools.product(LABELS, PATHS, FINE)
    return [
        Case(case_id=f"c{i}", image=Path("a.jpg"), diagnosis=label, diagnosis_path=path, fine_diagnosis=fine)
        for i, (label, path, fine) in enumerate(each)
    ]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, cases: list[Case]) -> LanceStore:
    return store_of(tmp_path_factory.mktemp("store"), cases)


def walks_through(place: str, path: str) -> bool:
    return f"{path}:".startswith(f"{place}:")


def naively(field: str, asked: str, case: Case) -> bool:
    """Whether a case has a diagnosis, by its own words alone."""
    word, by_label = asked.casefold(), field == "diagnosis"
    is_group = word in GROUPS and (by_label or word == "vasc")  # whose place is above it
    place = DIAGNOSES.named(asked) or asked

    def means(own: str | None) -> bool:
        if own is None:
            return False
        return DIAGNOSES.group(own) == word if is_group else walks_through(place, DIAGNOSES.named(own) or "")

    label = case.diagnosis
    if by_label and label is not None and (label.casefold() == word or (is_group and means(label))):
        return True
    if case.diagnosis_path is None:
        return means(label) or means(case.fine_diagnosis)
    if is_group:
        return DIAGNOSES.codes(case.diagnosis_path).group == word
    return walks_through(place, case.diagnosis_path)


@settings(deadline=None)
@given(
    st.sampled_from(["diagnosis", "diagnosis_path"]),
    st.lists(st.sampled_from(ASKED), min_size=1, max_size=3, unique=True),
    st.booleans(),
)
def test_a_diagnosis_is_found_by_label_place_and_words(
    store: LanceStore, cases: list[Case], field: str, asked: list[str], negated: bool
) -> None:
    clause = f"{field}{'!=' if negated else '='}{','.join(asked)}"
    by_word = [[case for case in cases if naively(field, word, case)] for word in asked]
    if not all(by_word):
        with pytest.raises(FilterError, match=f"no case has the {field}"):
            parse_where([clause], KnownValues(store))
        return
    expected = {case.case_id for case in cases if any(case in found for found in by_word) != negated}
    where = parse_where([clause], KnownValues(store))
    assert {case.case_id for case in cases if matches(where, case)} == expected
    assert {row.case.case_id for row in store.page(where, limit=1000)} == expected


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("diagnosis=Malignant", "1 2 3"), ("diagnosis_path=Malignant", "1 2 3"), ("diagnosis=melanoma", "1 2 3"),
        ("diagnosis=mel", "1 2 3"), ("diagnosis=Melanom", "1 2 3"), ("diagnosis!=mel", "4 5 6"),
        ("diagnosis!=Malignant", "4 5 6"), ("diagnosis=Nevus", "4"), ("diagnosis=nv", "4"), ("diagnosis=SSM", "3"),
        ("diagnosis=mel,our own,missing", "1 2 3 5 6"),
    ],
)  # fmt: skip
def test_a_case_entered_by_hand_is_found_beside_imported_ones(tmp_path: Path, clause: str, expected: str) -> None:
    rows = [
        {"diagnosis": "Melanoma, NOS", "diagnosis_path": MELANOMA},
        {"diagnosis": "Melanom"},
        {"diagnosis": "SSM"},
        {"diagnosis": "Nävus"},
        {"diagnosis": "our own"},
        {},
    ]
    store = store_of(tmp_path, [Case(case_id=f"{i}", image=Path("a.jpg"), **row) for i, row in enumerate(rows, 1)])
    found = store.page(parse_where([clause], KnownValues(store)), limit=10)
    assert sorted(row.case.case_id for row in found) == expected.split()


def test_a_group_is_named_where_it_alone_is_there(tmp_path: Path) -> None:
    store = store_of(tmp_path, [Case(case_id="1", image=Path("a.jpg"), diagnosis="akiec")])
    with pytest.raises(FilterError, match=r"no case has the diagnosis 'AK'.*'AK' belongs to the group 'akiec'"):
        parse_where(["diagnosis=AK"], KnownValues(store))


CODED = (
    ("melanoma of the trunk", {"diagnosis": "C43.5"}), ("melanoma", {"diagnosis": "mel", "diagnosis_path": MELANOMA}),
    ("in situ", {"diagnosis": "mel", "diagnosis_path": f"{MELANOMA}:Melanoma in situ"}),
    ("in situ by hand", {"diagnosis": "D03.3"}), ("histology", {"diagnosis": "other", "fine_diagnosis": "M-87203"}),
    ("SSM", {"diagnosis": "8743/3"}), ("skin of the face", {"diagnosis": "c44.3 G", "diagnosis_path": "Malignant"}),
    ("BCC", {"diagnosis": "Basaliom"}), ("American BCC", {"diagnosis": "C44.311"}), ("SCC", {"diagnosis_path": SCC}),
    ("doubted", {"diagnosis": "C43.9 V"}), ("keratosis", {"fine_diagnosis": "L82.1"}), ("AK", {"diagnosis": "L57.0"}),
    ("akiec", {"diagnosis": "akiec"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("diagnosis=C43", "melanoma of the trunk, melanoma, histology, SSM"),
        ("diagnosis=C43.9", "melanoma of the trunk, melanoma, histology, SSM"),
        ("diagnosis=C43.5", "melanoma of the trunk"), ("diagnosis=D03", "in situ, in situ by hand"),
        ("diagnosis=8720/3", "melanoma of the trunk, melanoma, histology, SSM"), ("diagnosis=M87433", "SSM"),
        ("diagnosis=C44", "skin of the face, BCC, American BCC, SCC"),
        ("diagnosis=C44.3", "skin of the face, American BCC"),
        ("diagnosis=C44.91", "BCC, American BCC"), ("diagnosis=L82", "keratosis"), ("diagnosis=bkl", "keratosis"),
        ("diagnosis=mel", "melanoma of the trunk, melanoma, in situ, in situ by hand, histology, SSM"),
        ("diagnosis=bcc", "BCC, American BCC"), ("diagnosis=L57.0", "AK"), ("diagnosis=AK", "AK"),
        ("diagnosis=akiec", "AK, akiec"), ("diagnosis_path=C43", "melanoma of the trunk, melanoma, histology, SSM"),
    ],
)  # fmt: skip
def test_codes_are_asked_for_and_found(tmp_path: Path, clause: str, expected: str) -> None:
    store = store_of(tmp_path, [Case(case_id=name, image=Path("a.jpg"), **row) for name, row in CODED])
    found = {row.case.case_id for row in store.page(parse_where([clause], KnownValues(store)), limit=100)}
    assert found == set(expected.split(", "))


def test_a_code_with_a_place_is_asked_for_by_both_where_no_case_has_it(tmp_path: Path) -> None:
    store = store_of(tmp_path, [Case(case_id="1", image=Path("a.jpg"), diagnosis="mel", diagnosis_path=MELANOMA)])
    with pytest.raises(FilterError, match=r"C43\.5 is a diagnosis and a place.*diagnosis=C43 and site=trunk"):
        parse_where(["diagnosis=C43.5"], KnownValues(store))
    with pytest.raises(FilterError, match=r"no case has the diagnosis 'L57\.0'"):
        parse_where(["diagnosis=L57.0"], KnownValues(store))
