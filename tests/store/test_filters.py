from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dermquery.data.case import CASE_FIELDS, NUMBERS, Case
from dermquery.data.checklist import CRITERIA
from dermquery.store.excluded import excluding
from dermquery.store.filters import (
    FIELDS,
    AllOf,
    Equals,
    Filter,
    FilterError,
    Missing,
    Not,
    OneOf,
    Range,
    without_fields,
)
from dermquery.store.lance.lance_store import LanceStore
from dermquery.store.lance.sql import to_lance
from dermquery.store.matching import field_value, matches
from dermquery.store.protocol import CaseStore, ImageStamp, StoredCase
from dermquery.store.where import Written, as_filter, parse_where
from tests.store.conftest import MakeStore

NASTY = [
    "back",
    "it's",
    "''",
    "x' OR '1'='1",
    "'; DROP TABLE cases; --",
    "\\' OR true --",
    "back\\",
    'double "quotes"',
    "`ticks`",
    "new\nline",
    "nul\x00byte",
    "$1 ? :name {x} %s",
    "皮膚 é e\u0301",
    "%",
    "_",
    "NULL",
    " back ",
    "",
    "/* back */",
]
TEXT_FIELDS: list[Any] = [
    name for name in FIELDS if name != "case_id" and not (CASE_FIELDS[name].is_ordered or CASE_FIELDS[name].values)
]
DAYS = [datetime.date(1999, 12, 31), datetime.date(2020, 2, 29), datetime.date(2020, 3, 1), datetime.date(2024, 10, 9)]


def nasty_cases() -> list[Case]:
    cases = []
    for i, value in enumerate(NASTY):
        cases.append(
            Case(
                case_id=f"{i:02d} {value}",
                image=Path("/nowhere.png"),
                diagnosis=value,
                sex=None if i % 2 else value,
                site=NASTY[(i + 1) % len(NASTY)] if i % 3 else None,
                elevation=NASTY[-i] if i % 4 else None,
                lesion_id=value if i % 5 else None,
                source=value if i % 3 == 1 else None,
                date=None if i % 4 == 3 else DAYS[i % len(DAYS)],
                age=None if i % 4 == 0 else (i - 1) * 7.25,
                breslow_mm=None if i % 3 == 0 else (i - 1) * 7.25,
                checklist={"streaks": CRITERIA["streaks"].values[i % 3]} if i % 2 else {},
            )
        )
    return cases


@pytest.fixture(scope="module")
def store(make_store: MakeStore) -> Iterator[CaseStore]:
    filled = make_store(2)
    vector = np.ones(2, dtype=np.float32)
    filled.upsert([StoredCase(case, vector, ImageStamp("0", 0, 0, "")) for case in nasty_cases()])
    yield filled
    assert filled.count() == len(NASTY), "a filter changed the table"


def found(store: CaseStore, where: Filter) -> set[str]:
    hits = store.search(np.ones(2, dtype=np.float32), where, top_k=1000)
    return {hit.row.case.case_id for hit in hits}


texts = st.sampled_from(NASTY) | st.text(st.characters(codec="utf-8"), max_size=8)
ages = st.sampled_from([0.0, -0.0, 7.25, 21.75, 36.25, 130.0]) | st.floats(allow_nan=False, allow_infinity=False)
numbers: st.SearchStrategy[Any] = st.sampled_from(NUMBERS)
bounds = st.none() | ages
days = st.sampled_from(DAYS) | st.dates()
day_bounds = st.none() | days
leaves: st.SearchStrategy[Any] = st.one_of(
    st.builds(Equals, field=st.sampled_from(TEXT_FIELDS), value=texts),
    st.builds(Equals, field=numbers, value=ages),
    st.builds(OneOf, field=st.sampled_from(TEXT_FIELDS), values=st.lists(texts, max_size=4).map(tuple)),
    st.builds(OneOf, field=numbers, values=st.lists(ages, max_size=3).map(tuple)),
    st.builds(Equals, field=st.just("streaks"), value=st.sampled_from(CRITERIA["streaks"].values)),
    st.builds(Missing, field=st.sampled_from(FIELDS)),
    st.builds(Range, field=numbers, ge=bounds, gt=bounds, le=bounds, lt=bounds),
    st.builds(Range, field=st.just("date"), ge=day_bounds, gt=day_bounds, le=day_bounds, lt=day_bounds),
    st.builds(Equals, field=st.just("date"), value=days.map(datetime.date.isoformat)),
)
trees = st.recursive(
    leaves,
    lambda inner: st.builds(Not, condition=inner) | st.builds(AllOf, conditions=st.lists(inner, max_size=3).map(tuple)),
    max_leaves=6,
)


@settings(max_examples=40)
@given(condition=trees)
@example(condition=Not(condition=Equals(field="site", value="x' OR '1'='1")))
@example(condition=OneOf(field="diagnosis", values=tuple(NASTY)))
@example(condition=Equals(field="age", value=-0.0))
def test_the_store_and_the_reference_agree(store: CaseStore, condition: Any) -> None:
    where = Filter(condition=condition)
    assert found(store, where) == {case.case_id for case in nasty_cases() if matches(where, case)}


@settings(max_examples=80)
@given(condition=trees)
@example(condition=Not(condition=Equals(field="site", value="back")))
@example(condition=Missing(field="elevation"))
def test_a_field_without_a_column_was_recorded_for_no_case(condition: Any) -> None:
    where, lacking = Filter(condition=condition), ("site", "elevation", "streaks", "date")
    rewritten = without_fields(where, lacking)
    assert not set(rewritten.fields) & set(lacking)
    for case in nasty_cases():
        bare = case.model_copy(update={"site": None, "elevation": None, "date": None, "checklist": {}})
        assert matches(rewritten, case) == matches(where, bare)


@pytest.mark.parametrize("value", NASTY)
def test_a_nasty_value_finds_itself_only(store: CaseStore, value: str) -> None:
    where = Filter(condition=Equals(field="diagnosis", value=value))
    assert found(store, where) == {f"{NASTY.index(value):02d} {value}"}
    assert store.count(where) == 1


@settings(max_examples=60)
@given(condition=trees)
def test_json_round_trip(condition: Any) -> None:
    where = Filter(condition=condition)
    assert Filter.model_validate_json(where.model_dump_json()) == where


def test_every_field_can_be_asked_for() -> None:
    described = set(Case.model_fields) - {"image", "text", "checklist", "extra"} | set(CRITERIA)
    assert set(FIELDS) == described


def test_parse_where() -> None:
    where = parse_where(["site=back", " sex = female ", "age>=40", "age < 60.5", "diagnosis!=nv", "site=back, chest"])
    assert where.condition == AllOf(
        conditions=(
            Equals(field="site", value="back"),
            Equals(field="sex", value="female"),
            Range(ge=40),
            Range(lt=60.5),
            Not(condition=Equals(field="diagnosis", value="nv")),
            OneOf(field="site", values=("back", "chest")),
        )
    )
    assert where.fields == ("site", "sex", "age", "diagnosis")


def test_parse_other_forms() -> None:
    where = parse_where(["age=40,50", "age>40", "age<=50", "site=missing", "sex!=missing", "diagnosis==a=b"])
    assert where.condition == AllOf(
        conditions=(
            OneOf(field="age", values=(40, 50)),
            Range(gt=40),
            Range(le=50),
            Missing(field="site"),
            Not(condition=Missing(field="sex")),
            Equals(field="diagnosis", value="a=b"),
        )
    )
    assert parse_where(["streaks=irregular"]).condition == AllOf(
        conditions=(Equals(field="streaks", value="irregular"),)
    )


def test_parse_where_reads_dates() -> None:
    day = datetime.date(2024, 3, 31)
    assert parse_where(
        ["date>=2024-03-31", "date<2024-03-31", "date=2024-03-31", "source=clinic A"]
    ).condition == AllOf(
        conditions=(
            Range(field="date", ge=day),
            Range(field="date", lt=day),
            Equals(field="date", value="2024-03-31"),
            Equals(field="source", value="clinic A"),
        )
    )


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ("text=x", "unknown field 'text' in 'text=x'; use one of: case_id, diagnosis"),
        ("streaks=odd", "unknown value 'odd' for streaks; use one of: absent, regular, irregular"),
        ("age=old", "age is a number, not 'old'"),
        ("age>=nan", "age is a number, not 'nan'"),
        ("age=inf", "age is a number, not 'inf'"),
        ("site>=3", ">= compares numbers and days, and 'site'"),
        ("date>=2024", "'2024' is no day; write it as 2024-03-31"),
        ("date<20240331", "'20240331' is no day in the one form that is compared; write it as 2024-03-31"),
        ("date=3/4/2024", "'3/4/2024' may have the day or the month first"),
        ("date=31.2.2024", "'31.2.2024' is no day"),
        ("breslow_mm=1,2", "may be one number or two; write breslow_mm=1.2, or breslow_mm=1, 2"),
        ("site", "cannot read the condition 'site'; write for example"),
        ("", "cannot read the condition"),
        ("site=", "no value in 'site='; write site=missing"),
        ("site=a,,b", "empty value between the commas"),
    ],
)
def test_parse_errors_say_what_is_legal(clause: str, said: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_where([clause])
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "condition",
    [
        {"kind": "equals", "field": "site) OR (1=1", "value": "x"},
        {"kind": "equals", "field": "vector", "value": "x"},
        {"kind": "equals", "field": "age", "value": "1 OR true"},
        {"kind": "equals", "field": "age", "value": True},
        {"kind": "equals", "field": "site", "value": 3},
        {"kind": "equals", "field": "site", "value": "\ud800"},
        {"kind": "equals", "field": "streaks", "value": "present"},
        {"kind": "one_of", "field": "site", "values": ["x"] * 1001},
        {"kind": "range", "field": "site", "ge": 1},
        {"kind": "range", "field": "age", "ge": "1"},
        {"kind": "range", "field": "age", "ge": float("nan")},
        {"kind": "range", "field": "age", "ge": datetime.date(2020, 1, 1)},
        {"kind": "range", "field": "date", "ge": 2020.0},
        {"kind": "equals", "field": "date", "value": "2024-3-1"},
        {"kind": "any_sql", "text": "true"},
        {"kind": "missing", "field": "site", "more": 1},
    ],
)
def test_an_untyped_condition_is_refused(condition: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Filter(condition=condition)


@pytest.mark.parametrize("depth", [17, 500, 20_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    written = '{"kind":"not","condition":' * depth + '{"kind":"missing","field":"age"}' + "}" * depth
    with pytest.raises(ValidationError):
        Filter.model_validate_json(json.dumps({"condition": 0}).replace("0", written))


def test_an_empty_filter_lets_everything_through(store: CaseStore) -> None:
    where = Filter()
    assert where.is_empty
    assert to_lance(where) == "true"
    assert len(found(store, where)) == len(NASTY)
    assert not where.also(Missing(field="age")).is_empty
    assert as_filter(None) == as_filter([]) == where
    assert as_filter("site=back") == as_filter(["site=back"])


def test_negation_is_two_valued() -> None:
    unknown = Case(case_id="a", image=Path("a.png"))
    assert matches(parse_where(["site!=back"]), unknown)
    assert not matches(parse_where(["site=back"]), unknown)
    assert not matches(parse_where(["age<1000"]), unknown)


def test_field_value_reads_the_checklist(cases: Sequence[Case]) -> None:
    assert field_value(cases[1], "pigment_network") == "atypical"
    assert field_value(cases[1], "age") == 21.0
    assert field_value(cases[3], "diagnosis") is None


def test_more_ids_than_one_condition_may_name(tmp_path: Path) -> None:
    store = LanceStore(tmp_path, 2)
    cases = [Case(case_id=f"c{i}", image=Path("c.png"), lesion_id=f"l{i}", patient_id="p") for i in range(2500)]
    store.upsert([StoredCase(case, np.ones(2, np.float32), ImageStamp("0", 0, 0, "")) for case in cases])
    lesions = [f"l{i}" for i in range(2500)]
    assert not matches(excluding(Filter(), store, None, lesions, None), cases[-1])
    assert matches(excluding(Filter(), store, None, lesions[:-1], None), cases[-1])
    assert not matches(
        excluding(parse_where(["site=missing"]), store, [f"c{i}" for i in range(1001)], None, None), cases[1]
    )


def many(n: int) -> AllOf:
    values = [str(i) for i in range(n)]
    parts = tuple(OneOf(field="lesion_id", values=tuple(values[i : i + 1000])) for i in range(0, n, 1000))
    return AllOf(conditions=parts)


@pytest.mark.parametrize(
    ("clauses", "tree", "said"),
    [
        ((), many(2000), ""),
        ((), many(2001), "more than 2,000 values and conditions"),
        (("site=back",), many(2000), "more than 2,000 values and conditions"),
        ((), AllOf(conditions=(many(1000),) * 1000), "more than 2,000 values and conditions"),
        ((f"lesion_id={','.join(map(str, range(1000)))}",) * 2, None, ""),
        ((f"lesion_id={','.join(map(str, range(1000)))}",) * 3, None, "more than 2,000 values and conditions"),
        (("lesion_id=" + "a," * 1_000_000,), None, "lesion_id has more than 2,000 values"),
        (("lesion_id=" + "a" * 1000,), None, ""),
        (("lesion_id=" + "a" * 1001,), None, "a value of lesion_id has more than 1,000 characters"),
        (("lesion_id=" + "a" * 10_000_000,), None, "has 10,000,010 characters"),
        ((), Equals(field="lesion_id", value="a" * 1000), ""),
        ((), Not(condition=Equals(field="site", value="a" * 1001)), "a value of site has more than 1,000"),
        ((), OneOf(field="site", values=("a", "b" * 1001)), "a value of site has more than 1,000"),
    ],
    ids=range(13),
)
def test_how_much_can_be_asked_for(clauses: tuple[str, ...], tree: Any, said: str) -> None:
    """Through the API and the command line, both of which read what was written with these."""
    if not said:
        Written(clauses, tree=tree)
        return
    with pytest.raises(FilterError, match=said) as caught:
        Written(clauses, tree=tree)
    assert len(str(caught.value)) < 300
    if tree is None:
        with pytest.raises(FilterError, match=said):
            as_filter(clauses)


def test_what_a_search_leaves_out_does_not_count(tmp_path: Path) -> None:
    ids = [str(i) for i in range(1000)]
    store = LanceStore(tmp_path, 2)
    cases = [Case(case_id=i, image=Path("c.png"), lesion_id=i, patient_id=i) for i in ids]
    store.upsert([StoredCase(case, np.ones(2, np.float32), ImageStamp("0", 0, 0, "")) for case in cases])
    where = excluding(Written(tree=many(2000)).read(None), store, ids, ids, ids)
    assert len(where.fields) == 3
