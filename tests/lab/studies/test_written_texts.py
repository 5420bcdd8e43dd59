"""Written texts: what is counted as read, and that a text read without loss changes no ranking."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.data.written import WrittenQuery, read_written
from dermquery.lab.studies.written_texts import evaluate_texts
from tests.tiny import noise_cases, tiny_model


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return noise_cases(tmp_path_factory.mktemp("images"), 18)


def test_a_text_that_is_read_exactly_loses_nothing(cases: list[Case], tmp_path: Path) -> None:
    model = tiny_model(tmp_path, reading="findings")
    value = cases[0].checklist["pigment_network"]
    written = [
        WrittenQuery("a", "plain", f"{value} netwrok", {"pigment_network": value}),
        WrittenQuery("b", "plain", "patient is worried", {}),
        WrittenQuery("c", "wrong", "no veil", {"pigment_network": value, "blue_whitish_veil": "absent"}),
    ]
    result = evaluate_texts(model, written, cases, cases)
    assert result["n_texts"] == 3
    assert result["reading"]["exact"] == pytest.approx(2 / 3)
    assert result["reading"]["precision"] == 1
    assert result["reading"]["recall"] == pytest.approx(2 / 3)
    assert result["reading"]["by_kind"]["plain"]["exact"] == 1
    for row in result["written"]:
        assert row["drop_by_kind"]["plain"] == 0, row["query"]
    assert [row["findings"] for row in result["partial"]] == list(range(8))
    assert result["contradiction"]["n"] == len(cases)
    assert 0 < result["contradiction"]["map_of_image"] <= 1


def test_nothing_to_contradict_with(cases: list[Case], tmp_path: Path) -> None:
    alike = [case for case in cases if case.diagnosis == cases[0].diagnosis]
    result = evaluate_texts(tiny_model(tmp_path), [WrittenQuery("a", "plain", "worried", {})], alike, alike)
    assert result["contradiction"] == {"n": 0, "map_of_image": None, "map_of_text": None}
    assert [row["n_texts"] for row in result["written"]] == [0, 0]
    assert result["written"][0]["drop"] is None


def test_the_packaged_texts_cover_every_value() -> None:
    written = read_written()
    assert len(written) >= 150
    assert len({query.text for query in written}) == len(written)
    meant = {item for query in written for item in query.meaning.items()}
    assert meant == {(name, value) for name, criterion in CRITERIA.items() for value in criterion.values}


def test_a_table_of_texts_with_a_fault_names_it(tmp_path: Path) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("id,kind,text\na,b,c\n", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks the columns blue_whitish_veil"):
        read_written(table)
    head = "id,kind,text," + ",".join(CRITERIA)
    table.write_text(f"{head}\na,b,c,wavy,,,,,,\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"texts\.csv, line 2: unknown value 'wavy'"):
        read_written(table)
    table.write_text(f"{head}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="holds no query"):
        read_written(table)
