from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.checklist import (
    ABSENT,
    CRITERIA,
    agreement,
    check_values,
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
