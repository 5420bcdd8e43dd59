"""Lesions that are numbered for each patient, in prepared folders and in tables that are indexed as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.data.case_table import read_cases, write_cases
from dermquery.data.sources.folder import prepare_folder
from dermquery.data.sources.keeping import read_kept
from dermquery.data.sources.lesions import within_patients
from tests.data.made_up import write_csv, write_skin

_IDS = st.sampled_from(["1", "2", "a", "1/2", "IL_1234567"]) | st.none()


def case(number: int, patient: str | None, lesion: str | None, source: str | None) -> Case:
    facts = {"patient_id": patient, "lesion_id": lesion, "source": source}
    return Case(case_id=f"{number}", image=Path("a.png"), **facts)


@given(st.lists(st.tuples(_IDS, _IDS, st.sampled_from(["A", "B", None])), max_size=12))
def test_no_number_is_left_that_is_of_several_patients(rows: list[tuple[str | None, str | None, str | None]]) -> None:
    cases = [case(number, *row) for number, row in enumerate(rows)]
    named, said = within_patients(cases)
    assert len(named) == len(cases)
    pairs = {(each.lesion_key, each.patient_key) for each in named if each.lesion_id and each.patient_id}
    own = [lesion for lesion, _ in pairs if not str(lesion).endswith("IL_1234567")]
    if "1/2" not in {row[1] for row in rows}:  # "1/2" is of patient 1 or of all
        assert len(own) == len(set(own))
    assert bool(said) == (named != cases)
    assert all(each.patient_key == before.patient_key for each, before in zip(named, cases, strict=True))


@pytest.mark.parametrize("lesions", [["7", "8", "9", "9"], ["", "", "", ""]])
def test_numbers_of_one_patient_each_stay(lesions: list[str]) -> None:
    cases = [case(i, "pqrr"[i], lesion or None, "A") for i, lesion in enumerate(lesions)]
    assert within_patients(cases) == (cases, [])


def test_a_folder_and_a_table_say_it(tmp_path: Path) -> None:
    rows = [(f"{i}.png", "1", f"p{i}") for i in range(3)]
    for name, *_ in rows:
        write_skin(tmp_path / "images" / name, seed=int(name[0]))
    cells: list[dict[str, object]] = [
        {"case_id": name[0], "image": name, "lesion_id": lesion, "patient_id": who} for name, lesion, who in rows
    ]
    table = write_csv(tmp_path / "t.csv", cells)
    report = prepare_folder(tmp_path / "images", tmp_path / "out", table=table)
    assert [each.lesion_id for each in report.cases] == ["p0/1", "p1/1", "p2/1"]
    (note,) = report.notes
    assert "several patients have a lesion '1', so" in note
    assert report.table is not None
    again, _ = read_kept(report.table, columns={}, skip_bad=False)
    assert (tuple(again), again.notes) == (report.cases, ())
    write_cases([each.model_copy(update={"lesion_id": "1"}) for each in report.cases], raw := tmp_path / "raw.csv")
    indexed, _ = read_kept(raw, columns={}, skip_bad=False)
    assert [each.lesion_id for each in indexed] == ["p0/1", "p1/1", "p2/1"]
    assert len(indexed.notes) == 1
    assert [each.lesion_id for each in read_cases(raw)] == ["1", "1", "1"], "the table itself stays"
