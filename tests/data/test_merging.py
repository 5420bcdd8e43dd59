"""One image of the ISIC Archive in two releases."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from dermquery.data.case import Case
from dermquery.data.merging import ALSO_IN, Contradictions, completed, contradictions

MALIGNANT = "Malignant:Malignant melanocytic proliferations (Melanoma)"


def case(source: str | None = "HAM10000", **facts: Any) -> Case:
    return Case(case_id="ISIC_0000001", image=Path("none.jpg"), source=source, **facts)


def test_a_second_release_fills_what_the_first_left_empty() -> None:
    first = case(confirmed_by="histopathology", extra={"a": "1"}, checklist={"streaks": "absent"})
    second = case(
        "ISIC 2019", age=55, date=datetime.date(2019, 1, 2), lesion_id="HAM_0000118", extra={"a": "2", "b": "3"},
        checklist={"pigment_network": "typical"}, diagnosis="mel", diagnosis_path=MALIGNANT,
    )  # fmt: skip
    both = completed(first, second)
    assert (both.confirmed_by, both.age, both.lesion_id, both.source) == (
        "histopathology",
        55,
        "HAM_0000118",
        "HAM10000",
    )
    assert (both.diagnosis, both.diagnosis_path, both.date) == ("mel", MALIGNANT, datetime.date(2019, 1, 2))
    assert both.extra == {"a": "1", "b": "3", ALSO_IN: "ISIC 2019"}
    assert list(both.checklist) == ["pigment_network", "streaks"]
    assert completed(both, second) == both, "twice is once"
    assert completed(first, both) == both, "and the first's own table again changes nothing"
    assert completed(both, case("ISIC 2018")).extra[ALSO_IN] == "ISIC 2019; ISIC 2018"
    assert contradictions(first, second) == {}


def test_what_contradicts_stays_and_is_counted() -> None:
    first = case(diagnosis="nv", age=40, site="back", licence="CC-BY-NC")
    second = case("B", diagnosis="mel", diagnosis_path=MALIGNANT, confirmed_by="histopathology", age=45, site="back",
                  licence="cc-by-nc", sex="male")  # fmt: skip
    both = completed(first, second)
    assert (both.diagnosis, both.age, both.sex) == ("nv", 40, "male")
    assert (both.diagnosis_path, both.confirmed_by) == (None, None), "nothing confirms what the other one says"
    found = Contradictions()
    for _ in range(4):
        found.take(first, second)
    assert found.counts == {"diagnosis": 4, "age": 4}
    example = "ISIC_0000001: 'nv', 'mel'"
    assert found.sentences[0] == f"diagnosis: 4 ({example}; {example}; {example}; …)"


def test_ids_of_the_archive_contradict_each_other_and_those_of_a_source_do_not() -> None:
    archive, other = case(lesion_id="HAM_0000101"), case("ISIC 2019", lesion_id="BCN_0000001")
    assert contradictions(archive, other) == {"lesion_id": ("HAM_0000101", "BCN_0000001")}
    assert completed(archive, other).lesion_id == "HAM_0000101"
    assert contradictions(archive, case("B", lesion_id="12")) == {}
    assert contradictions(case("A", patient_id="11"), case("B", patient_id="12")) == {}
    assert contradictions(case(patient_id="IP_0000001"), case("B", patient_id="IP_0000002")) != {}


def test_a_spelling_goes_with_its_value() -> None:
    spelled = {"site_as_recorded": "posterior torso"}
    second = case("ISIC 2019", site="back", extra=spelled)
    assert "site_as_recorded" not in completed(case(site="back"), second).extra
    assert completed(case(), second).extra["site_as_recorded"] == "posterior torso"
    broad = case(site="trunk", extra={"site_as_recorded": "Rumpf"})
    assert completed(broad, second).extra["site_as_recorded"] == "posterior torso", "the narrower place is taken"
    assert "site_as_recorded" not in completed(broad, case("B", site="back")).extra
    assert completed(broad, case("B", site="face")).extra["site_as_recorded"] == "Rumpf"


@pytest.mark.parametrize(
    ("field", "broad", "narrow"), [("site", "trunk", "back"), ("diagnosis_path", "Malignant", MALIGNANT)]
)
def test_a_place_within_another_is_no_contradiction(field: str, broad: str, narrow: str) -> None:
    one, other = case(**{field: broad}), case("B", **{field: narrow})
    assert not contradictions(one, other)
    assert not contradictions(other, one)
    assert getattr(completed(one, other), field) == narrow
    assert getattr(completed(other, one), field) == narrow


def test_ids_do_not_change_their_source() -> None:
    second = case("clinic", lesion_id="12", patient_id="7", study_uid="1.2.3")
    both = completed(case(), second)
    assert (both.lesion_id, both.patient_id, both.study_uid) == (None, None, "1.2.3")
    assert completed(case(None), second).lesion_key == second.lesion_key
    assert completed(case(None, lesion_id="5"), second).lesion_key == "lesion:5"


def test_the_image_is_the_firsts_if_it_is_still_there(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    there, gone = case().model_copy(update={"image": tmp_path / "a.jpg"}), case("B")
    assert completed(there, gone).image == completed(gone, there).image == tmp_path / "a.jpg"
