from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dermquery.data import case as case_module
from dermquery.data import findings
from dermquery.data.case import Case, Query
from dermquery.data.checklist import CRITERIA


def case(**values: object) -> Case:
    return Case(**{"case_id": "a", "image": Path("a.jpg"), **values})


@pytest.mark.parametrize(
    ("values", "group"),
    [
        ({}, "case:a"),
        ({"lesion_id": "L"}, "lesion:L"),
        ({"lesion_id": "L", "patient_id": "P"}, "patient:P"),
        ({"patient_id": "P"}, "patient:P"),
        ({"lesion_id": "", "patient_id": ""}, "case:a"),
        ({"source": "A"}, "case of 'A':a"),
        ({"source": "A", "lesion_id": "12"}, "lesion of 'A':12"),
        ({"source": "A", "case_id": "ISIC_0000001_downsampled"}, "case:ISIC_0000001"),
        ({"source": "HAM10000", "lesion_id": "HAM_0000118"}, "lesion:HAM_0000118"),
        ({"source": "Derm7pt", "lesion_id": "derm7pt-0012"}, "lesion:derm7pt-0012"),
    ],
)
def test_group(values: dict[str, str], group: str) -> None:
    assert case(**values).group == group


def test_same_lesion() -> None:
    assert case().same_lesion(case())
    assert not case().same_lesion(case(case_id="b")), "two unknown lesions are not one"
    assert case(lesion_id="L").same_lesion(case(case_id="b", lesion_id="L"))
    assert not case(lesion_id="L").same_lesion(case(case_id="b", lesion_id="M"))
    assert not case(lesion_id="L").same_lesion(case(case_id="b"))


def test_ids_belong_to_their_source() -> None:
    twelve = case(source="A", lesion_id="12")
    assert twelve.same_lesion(case(case_id="b", source="A", lesion_id="12"))
    assert not twelve.same_lesion(case(case_id="b", source="B", lesion_id="12")), "12 of A and 12 of B are two lesions"
    assert not case(source="A").same_lesion(case(source="B")), "so are two cases of one id"
    image = {"case_id": "ISIC_0024306"}
    assert case(**image, source="HAM10000").same_lesion(case(**image, source="ISIC 2019"))
    ham = {"lesion_id": "HAM_0000118"}
    assert case(case_id="x", source="HAM10000", **ham).same_lesion(case(case_id="y", source="ISIC 2019", **ham))


sources, ids = st.none() | st.text("a':%12", max_size=3), st.text("a':%12", min_size=1, max_size=3)


@given(st.tuples(sources, ids), st.tuples(sources, ids))
def test_two_lesions_are_one_if_source_and_id_are(one: tuple[str | None, str], other: tuple[str | None, str]) -> None:
    first, second = (case(case_id=str(i), source=a, lesion_id=b) for i, (a, b) in enumerate((one, other)))
    alone = [(source or None) if made.owns(of) else None for made, (source, of) in ((first, one), (second, other))]
    assert first.same_lesion(second) == ((alone[0], one[1]) == (alone[1], other[1]))
    assert (first.group == second.group) == first.same_lesion(second)


def test_the_checklist_is_ordered_and_checked() -> None:
    made = case(checklist={"vascular_structures": "comma", "pigment_network": "typical", "streaks": ""})
    assert list(made.checklist.items()) == [("pigment_network", "typical"), ("vascular_structures", "comma")]
    with pytest.raises(ValidationError, match="unknown value 'wavy' for streaks"):
        case(checklist={"streaks": "wavy"})
    with pytest.raises(ValidationError, match="unknown checklist criterion 'colour'"):
        Query(checklist={"colour": "red"})


@pytest.mark.parametrize("values", [{"case_id": ""}, {"age": -1}, {"age": 131}, {"age": float("nan")}, {"nonsense": 1}])
def test_impossible_values(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        case(**values)


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        case().case_id = "b"  # type: ignore[misc]


def test_survives_json_and_a_process_border() -> None:
    made = case(age=40, checklist={name: c.values[-1] for name, c in CRITERIA.items()}, extra={"scanner": "x"})
    assert Case.model_validate_json(made.model_dump_json()) == made
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301  # what a DataLoader worker does; our own object


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        (Query(), None),
        (Query(text="  "), None),
        (Query(text=" grew in a year "), "grew in a year"),
        (Query(checklist={"streaks": "irregular"}), "Streaks: irregular."),
        (Query(checklist={"streaks": "irregular"}, text="grew"), "Streaks: irregular. grew"),
    ],
)
def test_sentence(query: Query, sentence: str | None) -> None:
    assert query.sentence == sentence


def test_as_query_holds_findings_and_nothing_that_tells_the_answer() -> None:
    made = case(
        diagnosis="mel", fine_diagnosis="melanoma (in situ)", site="back", text="grew",
        checklist={"streaks": "irregular"}, extra={"management": "excision"},
    )  # fmt: skip
    query = made.as_query()
    assert query == Query(image=Path("a.jpg"), text="grew", checklist={"streaks": "irregular"})
    assert "melanoma" not in (query.sentence or "")
    assert "excision" not in (query.sentence or "")


def test_a_text_is_read_once_and_another_text_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reading(text: str) -> findings.Findings:
        read.append(text)
        return findings.read_findings(text)

    monkeypatch.setattr(case_module, "read_findings", reading)
    query = Query(text="atypical network; rosettes", checklist={"streaks": "absent"})
    assert query.terms == {"pigment_network": "atypical", "streaks": "absent"}
    assert query.findings.unread == ("rosettes",)
    assert query.model_copy(update={"image": b""}).terms == query.terms
    assert read == ["atypical network; rosettes"]
    other = query.model_copy(update={"text": "no streaks", "checklist": {}})
    assert other.terms == {"streaks": "absent"}
    assert query == Query(text=query.text, checklist=query.checklist), "what was read is no part of what was asked"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"checklist": {"streak": "absent"}}, "unknown checklist criterion 'streak'; use one of: pigment_network,"),
        ({"checklist": {"streaks": "wavy"}}, "unknown value 'wavy' for streaks"),
        ({"checklist": 5}, "checklist: "),
        ({"text": 5}, "text: Input should be a valid string, got 5"),
        ({"txt": "no veil"}, "a query has no 'txt'; use image, text, checklist"),
    ],
)
def test_a_query_of_fields_says_in_one_line_what_is_wrong(fields: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as told:
        Query.of(fields)
    assert "\n" not in str(told.value)
