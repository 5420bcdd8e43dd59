"""Conditions that are read by what a base holds."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dermquery.data.case import Case
from dermquery.store.casebase import CaseBase, EmptyBaseError
from dermquery.store.excluded import excluding
from dermquery.store.filters import AllOf, Equals, Filter, FilterError, Missing, Not, OneOf
from dermquery.store.lance.lance_store import LanceStore
from dermquery.store.lance.sql import to_lance
from dermquery.store.matching import matches
from dermquery.store.milvus.expression import to_milvus
from dermquery.store.protocol import ImageStamp, StoredCase
from dermquery.store.where import Written, apart_from, parse_where
from tests.store.conftest import draw_lesion
from tests.store.encoder import ProjectionEncoder

SITES = ("head, neck", "head", "Back", "back", "BACK", "Fuß", 'say "ah", "oh"', "it's", None, "missing")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> CaseBase:
    folder = tmp_path_factory.mktemp("where")
    made = CaseBase.create(folder / "base", ProjectionEncoder())
    vessels = ("arborizing", "comma", None)
    made.add(
        [
            Case(
                case_id=f"k{i}",
                image=draw_lesion(folder / f"{i}.png", i),
                site=site,
                age=20.0 + i,
                lesion_id=f"l{i // 2},x",
                checklist={"vascular_structures": found} if (found := vessels[i % 3]) else {},
                extra={"scanner": ("Foto Finder", "Heine")[i % 2]}
                | ({"Clark level (I, II)": "II, III"} if i < 3 else {}),
            )
            for i, site in enumerate(SITES)
        ]
    )
    return made


def found(base: CaseBase, *clauses: str, must: tuple[str, ...] = ()) -> str:
    result = base.search(text="no streaks", where=Written(clauses, must), top_k=50)
    assert result.n_candidates == len(result.hits) == base.count(Written(clauses, must))
    return " ".join(sorted(hit.case.case_id for hit in result.hits))


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("site=head, neck", "k0"),
        ('site="head, neck"', "k0"),
        ("site='head, neck'", "k0"),
        ("site=HEAD, NECK", "k0"),
        ('site="head, neck",head', "k0 k1"),
        ("site=Kopf", "k1"),
        ("site=head,fuß", "k1 k5"),
        ("site=bACK", "k2 k3 k4"),
        ("site=FUSS", "k5"),
        ("site=fu\u00df", "k5"),
        ('site=say "ah", "oh"', "k6"),
        ('site="say ""ah"", ""oh"""', "k6"),
        ("site=it's", "k7"),
        ("site=missing", "k8"),
        ('site="missing"', "k9"),
        ("site=head,missing", "k1 k8"),
        ("site!=head,missing", "k0 k2 k3 k4 k5 k6 k7 k9"),
        ("site!=missing", "k0 k1 k2 k3 k4 k5 k6 k7 k9"),
        ("site!=back", "k0 k1 k5 k6 k7 k8 k9"),
        ("lesion_id=l0,x", "k0 k1"),
        ('lesion_id="l0,x","l1,x"', "k0 k1 k2 k3"),
        ("vascular_structures=ARBORIZING", "k0 k3 k6 k9"),
        ("scanner=heine", "k1 k3 k5 k7 k9"),
        ("Scanner=foto finder", "k0 k2 k4 k6 k8"),
        ("extra.scanner=Heine", "k1 k3 k5 k7 k9"),
        ("scanner!=Heine", "k0 k2 k4 k6 k8"),
        ('"Clark level (I, II)"=ii, iii', "k0 k1 k2"),
        ("Clark level (I, II)=missing", "k3 k4 k5 k6 k7 k8 k9"),
        ("age=20,21", "k0 k1"),
    ],
)
def test_what_a_condition_finds(base: CaseBase, clause: str, expected: str) -> None:
    assert found(base, clause) == expected


def test_conditions_and_demands_hold_together(base: CaseBase) -> None:
    assert found(base, "scanner=heine", "age<27", must=("vascular_structures=arborizing,comma",)) == "k1 k3"
    assert found(base, must=("vascular_structures=arborizing",)) == "k0 k3 k6 k9"
    assert found(base, must=("vascular_structures=missing",)) == "k2 k5 k8"


@pytest.mark.parametrize(
    ("clauses", "must", "expected"),
    [
        (["site=bakc"], [], r"no case has the site 'bakc'; there are: .*\. Did you mean 'back'\?|'BACK'|'Back'"),
        (["site=knee"], [], r'no case has the site \'knee\'; there are: .*"head, neck"'),
        (["site!=knee"], [], "no case has the site 'knee'"),
        (["source=x"], [], "no case has a source, so none has 'x'"),
        (["scanner=Zeiss"], [], "no case has the scanner 'Zeiss'; there are: Foto Finder, Heine"),
        (["scaner=Heine"], [], r"unknown field 'scaner'.*Clark level.*scanner\. Did you mean 'scanner'\?"),
        (["scanner>3"], [], "compares numbers and days"),
        (["Alter>40"], [], r"compares numbers and days.*\. Did you mean 'age'\?"),
        (["alter=40"], [], r"unknown field 'alter'.*\. Did you mean 'age'\?"),
        (["Geschlecht=weiblich"], [], r"unknown field 'Geschlecht'.*\. Did you mean 'sex'\?"),
        (["age>=40,50"], [], r"may be one number or two; write age>=40, or age>=40\.50"),
        (["text=x"], [], "unknown field 'text'"),
        (["site=a,,b"], [], "remove the extra comma"),
        ([], ["site=back"], "cannot demand 'site=back'; write for example vascular_structures=arborizing"),
        ([], ["streaks"], "cannot demand 'streaks'"),
        ([], ["streks=absent"], r"Did you mean 'streaks'\?"),
        ([], ["streaks=wavy"], "unknown value 'wavy' for streaks; use one of: absent, regular, irregular"),
    ],
)
def test_what_is_refused(base: CaseBase, clauses: list[str], must: list[str], expected: str) -> None:
    with pytest.raises(FilterError, match=expected):
        base.search(text="no streaks", where=Written(tuple(clauses), tuple(must)))


def test_ids_are_not_listed_to_those_who_guess(base: CaseBase) -> None:
    assert found(base, "case_id=nobody") == found(base, "patient_id=nobody") == found(base, "study_uid=2.25.1") == ""


def test_a_number_or_a_finding_that_no_case_has_finds_nothing(base: CaseBase) -> None:
    assert found(base, "age=99") == found(base, "streaks=irregular") == found(base, "date=2024-03-31") == ""


def test_an_empty_base_says_that_it_is_empty(tmp_path: Path) -> None:
    empty = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    assert empty.count(["site=back"]) == 0
    with pytest.raises(EmptyBaseError):
        empty.search(text="no streaks", where=["site=back"])


def test_a_column_of_a_table_never_reaches_a_stores_language() -> None:
    where = Filter(condition=Not(condition=Equals(field="extra.x' OR true --", value="1")))
    for compiled in (to_lance, to_milvus):
        with pytest.raises(FilterError, match="is in no column of the store"):
            compiled(where)
    with pytest.raises(FilterError, match="is in no column"):
        to_lance(Filter(condition=Missing(field="extra.a")))
    assert parse_where(["x y=1"]).fields == ("extra.x y",)


def test_a_case_is_left_out_with_its_own_lesion_and_no_other_sources() -> None:
    def case(case_id: str, source: str | None, lesion: str, patient: str = "") -> Case:
        ids = {"lesion_id": lesion, "patient_id": patient or None}
        return Case(case_id=case_id, image=Path("a.png"), source=source, **ids)

    asking = case("a", "A", "12", "7")
    others = [
        asking, case("b", "A", "12"), case("c", "B", "12"), case("d", "B", "1", "7"), case("e", "A", "1", "7"),
        case("f", None, "12"),
    ]  # fmt: skip
    where = Filter().also(*apart_from(asking))
    assert [other.case_id for other in others if matches(where, other)] == ["c", "d", "f"]
    for other in others[:3]:
        assert matches(where, other) != asking.same_lesion(other)
    archived = case("g", "HAM10000", "HAM_0000118")
    assert not matches(Filter().also(*apart_from(archived)), case("h", "ISIC 2019", "HAM_0000118"))
    unsourced = case("i", None, "12")
    assert not matches(Filter().also(*apart_from(unsourced)), case("c", "B", "12")), "without a source as ever"


@pytest.fixture(scope="module")
def clinics(tmp_path_factory: pytest.TempPathFactory) -> CaseBase:
    """Two clinics: one was prepared, the other's table was indexed as it is."""
    folder = tmp_path_factory.mktemp("clinics")
    rows: tuple[dict[str, Any], ...] = (
        {"diagnosis": "mel", "sex": "female", "laterality": "left", "site": "back", "breslow_mm": 0.7},
        {"diagnosis": "Melanom", "sex": "weiblich", "laterality": "L", "site": "Rücken", "breslow_mm": 1.2},
        {"diagnosis": "SSM", "sex": "male", "site": "Rücken li.", "breslow_mm": 0.6},
        {"diagnosis": "Basaliom", "sex": "M", "laterality": "rechts", "site": "Knie"},
        {"diagnosis": "vasc", "date": datetime.date(2024, 3, 31)},
        {"diagnosis": "Angiom", "confirmed_by": "Histologie"},
        {"diagnosis": "nv", "image_type": "Dermatoskopie", "skin_type": "Fitzpatrick II"},
        {"diagnosis": "Nävus", "image_type": "Übersicht", "skin_type": "III"},
        {"image_type": "clinical: close-up", "site": "arm"},
    )
    made = CaseBase.create(folder / "base", ProjectionEncoder())
    made.add([Case(case_id=f"c{i}", image=draw_lesion(folder / f"{i}.png", i), **row) for i, row in enumerate(rows)])
    return made


@pytest.mark.parametrize(
    ("clause", "expected"),
    [
        ("sex=vrouw", "c0 c1"), ("sex=female", "c0 c1"), ("sex=homme", "c2 c3"), ("sex!=vrouw", "c2 c3 c4 c5 c6 c7 c8"),
        ("laterality=L", "c0 c1"), ("laterality=gauche", "c0 c1"), ("laterality=right", "c3"),
        ("breslow_mm>=0,7", "c0 c1"), ("breslow_mm=0,7", "c0"), ("breslow_mm=0,7 mm", "c0"), ("breslow_mm<1", "c0 c2"),
        ("site=Rücken", "c0 c1 c2"), ("site=dos", "c0 c1 c2"), ("site=Rücken li.", "c2"), ("site=knee", "c3"),
        ("diagnosis=mel", "c0 c1 c2"), ("diagnosis=Melanom", "c0 c1 c2"), ("diagnosis=SSM", "c2"),
        ("diagnosis=Melanom,SSM", "c0 c1 c2"), ("diagnosis=Melanom, SSM", "c2"),
        ("diagnosis=bcc", "c3"), ("diagnosis!=mel", "c3 c4 c5 c6 c7 c8"), ("diagnosis=vasc", "c4 c5"),
        ("confirmed_by=histo", "c5"), ("image_type=dermoscopic", "c6"), ("date=31.3.2024", "c4"),
        ("date>=31. März 2024", "c4"), ("image_type=klinisch", "c7 c8"), ("image_type=Clinical", "c7 c8"),
        ("image_type=overview", "c7"), ("skin_type=2", "c6"), ("skin_type=3,II", "c6 c7"),
    ],
)  # fmt: skip
def test_what_means_the_same_is_found(clinics: CaseBase, clause: str, expected: str) -> None:
    assert found(clinics, clause) == expected


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ("sex=divers", "no case has the sex 'divers' (other); there are:"),
        ("site=mollet", "no case has the site 'mollet' (lower leg); there are:"),
        ("site=Knie re.", "is a place and a side; ask for both: site=knee and laterality=right"),
        ("diagnosis=scc", "no case has the diagnosis 'scc'; there are:"),
        ("laterality=lefft", "no case has the laterality 'lefft'; there are:"),
    ],
)
def test_what_is_meant_and_not_there_is_said(clinics: CaseBase, clause: str, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        found(clinics, clause)
    assert said in str(caught.value)


def test_conditions_of_the_api_mean_the_same(clinics: CaseBase) -> None:
    female = Equals(field="sex", value="vrouw")
    assert clinics.count(Written(tree=female)) == 2
    assert clinics.count(Written(tree=Not(condition=female))) == 7
    assert clinics.count(Written(tree=AllOf(conditions=(OneOf(field="sex", values=("vrouw", "homme")),)))) == 4
    assert clinics.count(Filter(condition=female)) == 0, "a filter made in Python means what it says"


def test_a_lesions_id_is_its_sources_own(tmp_path: Path) -> None:
    rows = [
        {"source": "A", "lesion_id": "0"}, {"source": "B", "lesion_id": "0"}, {"source": "B", "lesion_id": "1"},
        {"lesion_id": "A:2"}, {"source": "A", "lesion_id": "IL_1234567"}, {"source": "B", "lesion_id": "IL_1234567"},
        {"source": "A", "patient_id": "0"}, {"source": "A: day", "lesion_id": "2"},
    ]  # fmt: skip
    store = LanceStore(tmp_path, 2)
    cases = [Case(case_id=f"{i}", image=Path("a.jpg"), **row) for i, row in enumerate(rows)]
    store.upsert([StoredCase(case, np.ones(2, np.float32), ImageStamp("0", 0, 0, "")) for case in cases])

    def left(lesions: object = None, patients: object = None) -> str:
        where = excluding(Filter(), store, None, lesions, patients)  # type: ignore[arg-type]
        return "".join(case.case_id for case in cases if not matches(where, case))

    assert left("A:0") == "0"
    assert left(["A:0", "1"]) == "02"
    assert left("1") == "2"
    assert left("A:2") == "3", "an id that is there is meant"
    assert left("A: day:2") == "7"
    assert left("IL_1234567") == "45", "the archive's are the same everywhere"
    assert left(None, "0") == "6"
    for asked, said in {
        "nowhere": "there is no lesion 'nowhere'; write the id as a hit",
        "": "there is no lesion ''",
        ":0": "there is no lesion ':0'; '0' is of 'A' and 'B'",
        "A:1": "there is no lesion 'A:1'; '1' is of 'B'",
        "a:1": "there is no lesion 'a:1', nor a source 'a'; there are: .*B.*Did you mean 'A'",
        "A:9": "there is no lesion 'A:9'; write the id",
        "3": "there is no lesion '3', but '3' is a case; exclude that instead",
    }.items():
        with pytest.raises(FilterError, match=said):
            left(["1", asked])
    assert not matches(excluding(Filter(), store, "7", None, None), cases[7])
    for case_id in ("99", "A:0"):
        with pytest.raises(FilterError, match=f"there is no case '{case_id}'"):
            excluding(Filter(), store, ["7", case_id], None, None)
    unnamed = StoredCase(
        Case(case_id="8", image=Path("a.jpg"), lesion_id="0"), np.ones(2, np.float32), ImageStamp("0", 0, 0, "")
    )
    store.upsert([unnamed])
    cases.append(unnamed.case)
    assert left(":0") == "8"
    with pytest.raises(FilterError, match="write A:0 for that of 'A', :0 for that of no source"):
        left("0")
    store.delete(["8"])
    with pytest.raises(FilterError, match="there is no lesion ':0'"):
        left(":0")  # that the base once had is nobody's
    with pytest.raises(FilterError, match="lesion '0' is one of 'A' and 'B', each its own; write A:0 for that of 'A'"):
        left(["1", "0"])
