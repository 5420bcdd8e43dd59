from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.checklist import (
    ABSENT,
    CRITERIA,
    agreement,
    check_values,
    find_terms,
    render_text,
    seven_point_score,
)

CHECKLISTS = st.fixed_dictionaries({}, optional={n: st.sampled_from(c.values) for n, c in CRITERIA.items()})
FULL = st.fixed_dictionaries({n: st.sampled_from(c.values) for n, c in CRITERIA.items()})

# Derm7pt's table, by hand: column, values, points of a suspicious value, suspicious values.
RELEASE = [
    ("pigment_network", "absent typical atypical", 2, "atypical"),
    ("streaks", "absent regular irregular", 1, "irregular"),
    (
        "pigmentation",
        "absent diffuse_regular localized_regular diffuse_irregular localized_irregular",
        1,
        "diffuse_irregular localized_irregular",
    ),
    ("regression_structures", "absent blue_areas white_areas combinations", 1, "blue_areas white_areas combinations"),
    ("dots_and_globules", "absent regular irregular", 1, "irregular"),
    ("blue_whitish_veil", "absent present", 2, "present"),
    (
        "vascular_structures",
        "absent arborizing comma hairpin within_regression wreath dotted linear_irregular",
        2,
        "dotted linear_irregular",
    ),
]


def test_the_criteria_are_the_releases() -> None:
    assert [(c.name, c.values, c.points, c.suspicious) for c in CRITERIA.values()] == [
        (name, tuple(_words(values)), points, frozenset(_words(suspicious)))
        for name, values, points, suspicious in RELEASE
    ]


def _words(text: str) -> list[str]:
    return [word.replace("_", " ") for word in text.split()]


# Rows of Derm7pt's facts: the score column follows from the checklist.
@pytest.mark.parametrize(
    ("checklist", "score"),
    [
        ({}, 0),
        ({"vascular_structures": "arborizing"}, 0),
        ({"dots_and_globules": "irregular"}, 1),
        ({"pigment_network": "atypical"}, 2),
        ({"pigment_network": "typical", "streaks": "regular", "dots_and_globules": "regular"}, 0),
        ({"blue_whitish_veil": "present", "regression_structures": "combinations"}, 3),
        ({"vascular_structures": "linear irregular", "pigmentation": "localized irregular"}, 3),
        ({name: _words(suspicious)[-1] for name, _, _, suspicious in RELEASE}, 10),
    ],
)
def test_score_by_hand(checklist: dict[str, str], score: int) -> None:
    assert seven_point_score(checklist) == score


@given(CHECKLISTS)
def test_score_is_the_sum_over_criteria(checklist: dict[str, str]) -> None:
    assert seven_point_score(checklist) == sum(seven_point_score({n: v}) for n, v in checklist.items())
    assert 0 <= seven_point_score(checklist) <= 10


def test_rendering() -> None:
    text = render_text({"blue_whitish_veil": "present", "pigment_network": "atypical", "streaks": ""})
    assert text == "Pigment network: atypical. Blue-whitish veil: present."
    assert render_text({}) == ""


@pytest.mark.parametrize(("name", "value"), [(c.name, value) for c in CRITERIA.values() for value in c.values])
def test_rendered_text_names_its_value(name: str, value: str) -> None:
    assert find_terms(render_text({name: value})) == {name: value}


def test_terms_do_not_reach_over_sentences() -> None:
    checklist = {"pigment_network": "absent", "vascular_structures": "absent"}
    assert find_terms(render_text(checklist)) == checklist


@pytest.mark.parametrize("text", ["no evidence of a blue-white veil", "no irregular streaks", "without obvious BWV"])
def test_a_negated_term_is_not_taken_as_present(text: str) -> None:
    assert "present" not in find_terms(text).values()
    assert "irregular" not in find_terms(text).values()


@given(FULL, FULL)
def test_agreement(first: dict[str, str], second: dict[str, str]) -> None:
    same = sum(first[name] == second[name] for name in CRITERIA)
    assert agreement(first, second) == agreement(second, first) == pytest.approx(same / 7)
    assert agreement(first, first) == 1


def test_agreement_counts_what_both_recorded() -> None:
    assert agreement({}, {"streaks": "regular"}) == 0
    assert agreement({"streaks": "regular"}, {"streaks": "regular", "pigmentation": ABSENT}) == 1
    assert agreement({"streaks": "regular", "pigmentation": ABSENT}, {"streaks": ABSENT, "pigmentation": ABSENT}) == 0.5


@pytest.mark.parametrize("function", [check_values, seven_point_score])
def test_unknown_names_and_values(function: object) -> None:
    with pytest.raises(ValueError, match="unknown checklist criterion 'colour'; use one of: pigment_network, streaks"):
        function({"colour": "red"})  # type: ignore[operator]
    with pytest.raises(ValueError, match="unknown value 'wavy' for streaks; use one of: absent, regular, irregular"):
        function({"streaks": "wavy"})  # type: ignore[operator]
    with pytest.raises(ValueError, match="unknown value 'Regular'"):
        function({"streaks": "Regular"})  # type: ignore[operator]


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
    assert find_terms(text) == found


@given(st.text())
def test_any_text_gives_legal_values(text: str) -> None:
    check_values(find_terms(text))


def test_every_phrase_of_the_vocabulary_is_found() -> None:
    for criterion in CRITERIA.values():
        for value, phrases in criterion.terms.items():
            for phrase in phrases:
                assert find_terms(f"Seen: {phrase.upper()}!") == {criterion.name: value}, phrase


def test_no_phrase_stands_for_two_things() -> None:
    seen: dict[str, str] = {}
    for criterion in CRITERIA.values():
        for phrase in (*criterion.synonyms, criterion.title, *(p for ps in criterion.terms.values() for p in ps)):
            assert seen.setdefault(phrase, criterion.name) == criterion.name
