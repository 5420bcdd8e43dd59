"""The address of a search, and the question that its key stands for."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.serve.web.address import CHOSEN_FIELDS, TOP_K, Address, clause
from dermquery.serve.web.question import LONGEST_TEXT, Asked, AskedQuestions, Question
from dermquery.store.filters import FilterError
from dermquery.store.matching import matches
from dermquery.store.where import Written

_words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
    str.strip
)
_conditions = st.builds(clause, st.sampled_from(CHOSEN_FIELDS), _words, excluded=st.booleans())
_addresses = st.builds(
    Address,
    query=st.just("key"),
    where=st.lists(_conditions | st.just("age>=40"), unique=True, max_size=5).map(tuple),
    weights=st.sampled_from(["", "paper", "meaning=1,look=.3"]),
    local_weight=st.none() | st.integers(0, 100).map(lambda percent: percent / 100),
    top_k=st.sampled_from(TOP_K),
    compare=st.just("") | st.just("case/1"),
)


@given(_addresses)
def test_an_address_is_read_as_it_was_written(address: Address) -> None:
    assert Address.of(QueryParams(parse_qsl(address.path().removeprefix("/?")))) == address


@given(st.lists(st.tuples(st.sampled_from(["query", "where", "k", "lambda", "weights", "turn"]), st.text(max_size=50))))
def test_any_address_can_be_read(pairs: list[tuple[str, str]]) -> None:
    address = Address.of(QueryParams(pairs))
    assert address.local_weight is None or 0 <= address.local_weight <= 1
    assert address.top_k in TOP_K


@given(_words)
def test_a_value_is_asked_for_as_it_stands(value: str) -> None:
    case = Case.model_validate({"case_id": "1", "image": "x.png", "site": value})
    assert matches(Written((clause("site", value),)).read(None), case)
    assert not matches(Written((clause("site", value, excluded=True),)).read(None), case)


def test_values_of_a_field_are_alternatives_and_fields_hold_together() -> None:
    address = Address(where=('site="back"', 'site="head, neck"', 'sex="female"', "age>=40"))
    where = Written(address.clauses()).read(None)
    for site, sex, age, found in [("back", "female", 50, 1), ("head, neck", "female", 40, 1), ("back", "male", 50, 0)]:
        assert (
            matches(where, Case.model_validate({"case_id": "1", "image": "x", "site": site, "sex": sex, "age": age}))
            == found
        )
    assert address.clauses(without="site") == ('sex="female"', "age>=40")


@pytest.mark.parametrize("age", ["500", "-1"])
def test_an_age_that_nobody_has_is_told(age: str) -> None:
    address = Address.of_form(QueryParams([("age_from", age)]))
    if address.where:
        with pytest.raises(FilterError, match="between 0 and 130"):
            address.options()


def test_the_control_that_moved_says_what_counts() -> None:
    now = [("weights.now", "look-alikes"), ("lambda.now", "0.3")]
    form = [*now, ("weights", "paper"), ("meaning", "1"), ("findings", "0.5"), ("look", "0"), ("lambda", "0.8")]

    def moved(name: str) -> tuple[str, float | None]:
        address = Address.of_form(QueryParams([*form, ("rerank", name)]))
        return address.weights, address.local_weight

    assert moved("") == ("look-alikes", 0.3)
    assert moved("preset") == ("paper", None)
    assert moved("parts") == ("meaning=1,findings=0.5,look=0", 0.3)
    assert moved("lambda") == ("look-alikes", 0.8)


def test_a_long_text_is_cut_and_wrong_terms_are_left_out() -> None:
    form = [
        ("text", "x" * 9000),
        ("term.streaks", "irregular"),
        ("term.pigment_network", "purple"),
        ("turn", "9"),
        ("crop", "nan,0,1,1"),
    ]
    question = Question.of(QueryParams(form))
    assert len(question.text) == LONGEST_TEXT
    assert question.terms == {"streaks": "irregular"}
    assert (question.turn, question.crop) == (1, None)


def test_a_finding_that_is_left_out_does_not_count() -> None:
    text = "atypical network, irregular streaks"
    question = Question(text=text, dropped=("streaks",))
    assert question.words() == (None, {"pigment_network": "atypical"})
    assert Question(text=text).words() == (text, {})
    given_too = Question(text=text, dropped=("streaks",), terms={"streaks": "regular"})
    assert given_too.counted["streaks"] == "regular", "what is ticked counts"
    assert set(question.counted) <= set(CRITERIA)


def test_questions_are_kept_for_their_owner_and_forgotten_on_demand() -> None:
    asked = AskedQuestions()
    for i in range(130):
        asked.put("ann", Asked(f"k{i}", Question(text=str(i)), f"p{i}", ""))
    asked.put("bob", Asked("k129", Question(text="bob's"), "p", ""))
    found = asked.get("ann", "k129")
    assert found is not None
    assert found.question.text == "129"
    assert asked.get("ann", "k0") is None, "each owner has a hundred"
    assert [one.key for one in asked.last("ann", 2)] == ["k129", "k128"]
    asked.forget("ann")
    assert asked.last("ann", 5) == []
    assert len(asked.last("bob", 5)) == 1
