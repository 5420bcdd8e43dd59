"""The question of a page: its filter, its address, and when it has to be encoded again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.serve.page.state import TOP_K, Patient, Question
from dermquery.store.filters import FilterError, matches

_words = st.text(st.characters(codec="utf-8"), max_size=40)
_terms = st.dictionaries(st.sampled_from(list(CRITERIA)), st.none(), max_size=7).flatmap(
    lambda names: st.fixed_dictionaries(
        {name: st.sampled_from(CRITERIA[name].values) for name in CRITERIA if name in names}
    )
)
_unit = st.integers(0, 100).map(lambda percent: percent / 100)
_controls = st.sampled_from(("sex", "age_from", "site", "diagnosis", "elevation", "date_to", "without_patient"))
_patients = st.builds(
    lambda written, found: Patient({**written, **found}), st.dictionaries(_controls, _words.filter(bool)), _terms
)
_crops = st.none() | st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(5, 50), st.integers(5, 50)).map(
    lambda parts: (parts[0] / 100, parts[1] / 100, parts[2] / 100, parts[3] / 100)
)


@given(
    st.builds(
        Question,
        image=st.just("key"),
        turn=st.integers(0, 3),
        crop=_crops,
        like=_words,
        text=_words,
        terms=_terms,
        patient=_patients,
        weights=st.sampled_from(["", "paper", "meaning=1,look=.3"]),
        local_weight=st.none() | _unit,
        top_k=st.sampled_from(TOP_K),
        relevant=st.lists(st.text(min_size=1, max_size=9), unique=True, max_size=3).map(tuple),
    )
)
def test_an_address_brings_the_whole_question_back(question: Question) -> None:
    assert Question.from_fragment(question.to_fragment()) == question


@given(st.text(max_size=200))
def test_any_address_can_be_read(fragment: str) -> None:
    question = Question.from_fragment(fragment)
    assert question.local_weight is None or 0 <= question.local_weight <= 1
    assert question.top_k in TOP_K
    assert question.turn in range(4)


@pytest.mark.parametrize(
    "fragment",
    [
        "lambda=nan",
        "lambda=2",
        "k=1000000",
        "turn=1e400",
        "term=streaks:purple",
        "term=nothing",
        "crop=0,0,9,9",
        "crop=a",
    ],
)
def test_what_an_address_cannot_mean_is_left_out(fragment: str) -> None:
    question = Question.from_fragment(fragment)
    assert question.terms == {}
    assert question.crop is None
    assert question.top_k == 10


def test_a_text_that_nobody_wrote_is_cut() -> None:
    long = "irregular streaks and " * 100_000
    assert Question.from_fragment(f"text={long}").text == Question(text=long).text == long[:2000]


def test_the_filter_says_what_the_form_says() -> None:
    patient = Patient(
        {"sex": "female", "age_from": "40", "age_to": "60", "site": "back", "without_patient": " p1 "}
    ).changed(without_lesion="l1")
    where = patient.where()
    fits = Case(case_id="a", image="a.png", sex="female", age=50, site="back", patient_id="p2", lesion_id="l2")
    assert matches(where, fits)
    for change in (
        {"sex": "male"},
        {"age": 61.0},
        {"age": None},
        {"site": "chest"},
        {"patient_id": "p1"},
        {"lesion_id": "l1"},
    ):
        assert not matches(where, fits.model_copy(update=change)), change
    assert Patient().where().is_empty


@pytest.mark.parametrize(
    ("field", "value"), [("age_from", "old"), ("age_to", "200"), ("age_from", "nan"), ("date_to", "1.2.2024")]
)
def test_an_age_or_a_date_that_cannot_be_read_is_named(field: str, value: str) -> None:
    with pytest.raises(FilterError, match=value.replace(".", r"\.")):
        Patient({field: value}).where()


def test_only_what_is_encoded_makes_another_encoding_necessary() -> None:
    question = Question(image="key", text="streaks")
    cheap = {"weights": "paper", "local_weight": 0.1, "top_k": 20, "patient": Patient({"sex": "male"})}
    assert replace(question, **cheap).what == question.what  # type: ignore[arg-type]
    for change in ({"text": "veil"}, {"turn": 1}, {"crop": (0.1, 0.1, 0.5, 0.5)}, {"image": "b"}, {"relevant": ("a",)}):
        assert replace(question, **change).what != question.what, change
    assert replace(question, image="", turn=1).what == replace(question, image="").what, "there is nothing to turn"


@pytest.mark.parametrize(
    "fragment", ["text=a\ud800b", "text=%ED%A0%80", "term=streaks:\udfff", "site=\ud83d", "like=\udc00"]
)
def test_half_a_character_in_a_link_is_no_reason_to_fail(fragment: str) -> None:
    question = Question.from_fragment(fragment)
    again = question.to_fragment()
    again.encode()
    assert Question.from_fragment(again) == question
