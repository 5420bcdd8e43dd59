from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.answer.csv_json import COLUMNS, hits_csv, hits_json, safe_cell
from dermquery.answer.formats import write_report
from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.data.image_quality import ImageWarning
from dermquery.store.casebase import CaseBase
from dermquery.store.hits import Hit, SearchResult


@pytest.fixture(scope="module")
def result(base: CaseBase, cases: Sequence[Case]) -> SearchResult:
    return base.search(image=cases[1].image, checklist={"pigment_network": "atypical", "streaks": "irregular"})


def with_case(result: SearchResult, **fields: object) -> SearchResult:
    """The result with another first case, and a negative score."""
    first = result.hits[0]
    case = first.case.model_copy(update=fields)
    hit = Hit(1, case, -0.25, -0.25, None, None, -0.5, 0.125, first.shared_criteria)
    return replace(result, hits=(hit, *result.hits[1:]))


def test_a_row_for_every_hit_in_its_order(result: SearchResult, tmp_path: Path) -> None:
    table = pd.read_csv(write_report(result, tmp_path / "hits.csv"))
    assert tuple(table.columns) == COLUMNS
    assert list(table["rank"]) == [1, 2, 3, 4, 5]
    assert list(table["case_id"]) == [hit.case.case_id for hit in result.hits]
    assert table["score"].tolist() == pytest.approx([hit.score for hit in result.hits], abs=1e-6)
    expected = 0.6 * table["local"] + 0.4 * table["global"]
    assert table["score"].tolist() == pytest.approx(expected.tolist(), abs=2e-6)
    assert set(table["model_hash"]) == {result.base.model_hash}
    assert set(table["notice"]) == {"Research use only. Not a medical device."}
    shared = [hit.shared_criteria for hit in result.hits]
    assert [value == value for value in table["shared_criteria"]] == [bool(criteria) for criteria in shared]
    assert "patient_id" not in table.columns


def test_criteria_of_case_and_query_are_there_and_no_folder_of_the_server(result: SearchResult) -> None:
    written = hits_csv(result)
    rows = list(csv.DictReader(io.StringIO(written, newline="")))
    for row, hit in zip(rows, result.hits, strict=True):
        assert {name: row[name] for name in CRITERIA if row[name]} == dict(hit.case.checklist)
        assert {name: row[f"query_{name}"] for name in CRITERIA if row[f"query_{name}"]} == dict(result.terms)
        assert row["base"] == Path(result.base.uri).name
    assert str(Path(result.base.uri).parent) not in written


def test_words_that_look_like_formulas_are_disarmed_and_numbers_stay_numbers(result: SearchResult) -> None:
    evil = '=HYPERLINK("http://evil.example","x")'
    found = with_case(result, case_id="@SUM(A1)", site=evil, fine_diagnosis="+1\n2", source='a, "b"; c', age=41.5)
    row = next(csv.DictReader(io.StringIO(hits_csv(found), newline="")))
    assert row["case_id"] == "'@SUM(A1)"
    assert row["site"] == f"'{evil}"
    assert row["fine_diagnosis"] == "'+1\n2"
    assert row["source"] == 'a, "b"; c'
    assert (row["score"], row["local"], row["global"], row["age"]) == ("-0.25", "-0.5", "0.125", "41.5")


@given(st.text())
def test_no_cell_begins_like_a_formula(text: str) -> None:
    safe = safe_cell(text)
    assert safe in {text, f"'{text}"}
    assert not safe.strip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    if text[:1].isalnum():
        assert safe == text


def test_spreadsheets_know_the_encoding(result: SearchResult, tmp_path: Path) -> None:
    found = with_case(result, fine_diagnosis="nävus źle λ")
    written = write_report(found, tmp_path / "hits.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbfrank,")
    assert "nävus źle λ" in written.decode("utf-8-sig")
    assert written.count(b"\r\n") == 6


def test_no_hits_leave_the_header(result: SearchResult) -> None:
    assert hits_csv(replace(result, hits=())) == ",".join(COLUMNS) + "\r\n"


def test_json_is_the_whole_answer_with_its_warnings(result: SearchResult, tmp_path: Path) -> None:
    warning = ImageWarning("blurred", "The image is blurred.", 0.6, 0.48)
    found = json.loads(hits_json(result, [warning]))
    assert found["warnings"] == [{"kind": "blurred", "message": "The image is blurred."}]
    whole = json.loads(json.dumps(result.to_dict()))
    for hit in whole["hits"]:
        hit["case"]["image"] = Path(hit["case"]["image"]).name  # of the server's folders nobody is told
    assert {name: found[name] for name in found if name != "warnings"} == whole
    assert found["base"]["version"] == 1
    assert json.loads(write_report(result, tmp_path / "hits.json").read_text(encoding="utf-8"))["warnings"] == []
