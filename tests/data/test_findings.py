"""Reading findings in free text."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.checklist import CRITERIA, check_values, render_text
from dermquery.data.findings import Remark, read_findings
from dermquery.lab.data.written import read_written


def find(text: str) -> dict[str, str]:
    return read_findings(text).checklist


@pytest.mark.parametrize(("name", "value"), [(c.name, value) for c in CRITERIA.values() for value in c.values])
def test_rendered_text_names_its_value(name: str, value: str) -> None:
    assert find(render_text({name: value})) == {name: value}


def test_terms_do_not_reach_over_sentences() -> None:
    checklist = {"pigment_network": "absent", "vascular_structures": "absent"}
    assert find(render_text(checklist)) == checklist


@pytest.mark.parametrize("text", ["no evidence of a blue-white veil", "no irregular streaks", "without obvious BWV"])
def test_a_negated_term_is_not_taken_as_present(text: str) -> None:
    assert "present" not in find(text).values()
    assert "irregular" not in find(text).values()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Irregular network, no blue-white veil", {"pigment_network": "atypical", "blue_whitish_veil": "absent"}),
        ("BWV", {"blue_whitish_veil": "present"}),
        ("blue-whitish veil absent", {"blue_whitish_veil": "absent"}),
        ("starburst pattern; cobblestone pattern", {"streaks": "regular", "dots_and_globules": "regular"}),
        ("regression: white areas", {"regression_structures": "white areas"}),
        ("arborising vessels", {"vascular_structures": "arborizing"}),
        ("linear irregular vessels", {"vascular_structures": "linear irregular"}),
        ("irregular localised pigmentation", {"pigmentation": "localized irregular"}),
        ("no  STREAKS\n", {"streaks": "absent"}),
        ("a dark spot that grew", {}),
        ("networking", {}),
        ("", {}),
    ],
)
def test_terms_in_free_text(text: str, found: dict[str, str]) -> None:
    assert find(text) == found


@given(st.text())
def test_any_text_gives_legal_values(text: str) -> None:
    check_values(find(text))


def test_nearly_every_hand_written_text_is_read_exactly() -> None:
    written = read_written()
    missed = [query.text for query in written if find(query.text) != query.meaning]
    assert len(missed) <= 0.02 * len(written), missed


def test_a_text_without_an_end_means_what_its_beginning_means() -> None:
    found = read_findings("irregular streaks " * 500)
    assert (found.checklist, found.unread) == ({"streaks": "irregular"}, ())
    listed = read_findings("streaks, globules, " * 300 + "veil are all absent")
    assert listed.checklist == dict.fromkeys(("streaks", "dots_and_globules", "blue_whitish_veil"), "absent")


def test_what_gives_no_value_is_asked_for() -> None:
    found = read_findings("Possible veil, regression, streaks. Typical network, partly atypical. Rosettes.")
    assert dict(found.checklist) == {}
    assert [(remark.criterion, remark.question) for remark in found.uncertain] == [
        ("streaks", "streaks: regular, irregular or absent?"),
        ("regression_structures", "regression structures: blue areas, white areas, both or absent?"),
        ("blue_whitish_veil", "blue-whitish veil: present or absent?"),
    ]
    assert [remark.question for remark in found.conflicts] == ["pigment network: typical or atypical?"]
    assert found.unread == ("Rosettes",)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("streaks", "streaks: regular or irregular?"),
        ("regression", "regression structures: blue areas, white areas or both?"),
        ("no irregular streaks", "streaks: absent or regular?"),
        ("diffuse pigmentation", "pigmentation: diffuse regular or diffuse irregular?"),
        ("atypical vessels", "vascular structures: dotted or linear irregular?"),
        ("no white areas", "regression structures: absent, blue areas or both?"),
    ],
)
def test_a_question_asks_for_what_is_left(text: str, question: str) -> None:
    assert [remark.question for remark in read_findings(text).incomplete] == [question]


def test_a_term_answers_what_the_text_leaves_open_and_a_contradiction_is_said() -> None:
    found = read_findings("APN, possible veil; regression").with_terms(
        {"pigment_network": "typical", "blue_whitish_veil": "present", "regression_structures": "blue areas"}
    )
    assert dict(found.checklist) == {
        "pigment_network": "typical",
        "regression_structures": "blue areas",
        "blue_whitish_veil": "present",
    }
    assert (found.uncertain, found.incomplete) == ((), ())
    against = Remark(
        "pigment_network", "atypical in the text, typical as a term", "pigment network: typical or atypical?"
    )
    assert found.conflicts == (against,)


def test_reading_a_usual_text_takes_no_time() -> None:
    text = "Atypical pigment network and irregular dots at the edge; small blue-white veil; no vessels, no streaks."
    read_findings(text)
    began = time.process_time()
    for _ in range(50):
        read_findings(text)
    assert time.process_time() - began < 50 * 0.005, "a tenth of this is usual"
