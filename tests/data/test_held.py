"""Another import into a folder drops nothing of the first without a word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dermquery.data.case_table import read_cases, write_cases
from dermquery.data.sources.folder import prepare_folder
from dermquery.data.sources.prepare import PrepareError
from dermquery.data.sources.source import load_source, prepare_source
from tests.data.made_up import write_csv, write_skin
from tests.data.releases import RELEASES


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for number, name in enumerate(("a/1", "a/2", "b/1", "b/2", "c/3")):
        write_skin(tmp_path / f"{name}.jpg", seed=number, width=32, height=32)
    return tmp_path


def ids(out: Path) -> list[str]:
    return [case.case_id for case in read_cases(out / "cases.csv")]


@pytest.mark.parametrize("other", ["b", "c"], ids=["the same ids", "other ids"])
@pytest.mark.parametrize("recorded", [True, False], ids=["now", "by an earlier version"])
def test_a_folder_of_another_source_is_refused(folders: Path, other: str, recorded: bool) -> None:
    out = folders / "out"
    prepare_folder(folders / "a", out)
    before = (out / "cases.csv").read_bytes(), (out / "images" / "1.jpg").read_bytes()
    if not recorded:
        said = json.loads((out / "prepare.json").read_text(encoding="utf-8"))
        (out / "prepare.json").write_text(json.dumps({k: v for k, v in said.items() if k != "from"}), encoding="utf-8")
    with pytest.raises(PrepareError, match=r"2 cases \(1, 2\) would be lost; prepare into another folder"):
        prepare_folder(folders / other, out)
    assert ((out / "cases.csv").read_bytes(), (out / "images" / "1.jpg").read_bytes()) == before
    assert prepare_folder(folders / "a", out).kept == 2, "its own is continued"
    assert str(folders) not in (out / "prepare.json").read_text(encoding="utf-8")
    (out / "cases.csv").unlink()
    assert len(prepare_folder(folders / other, out).cases) == (2 if other == "b" else 1)


def test_tables_of_one_folder(folders: Path) -> None:
    out = folders / "out"
    rows: list[dict[str, object]] = [{"case_id": "1"}, {"case_id": "2"}]
    one, both = write_csv(folders / "one.csv", rows[:1]), write_csv(folders / "both.csv", rows)
    prepare_folder(folders / "a", out, table=one)
    prepare_folder(folders / "a", out, table=both)
    assert ids(out) == ["1", "2"], "what holds the first one and more may follow"
    with pytest.raises(PrepareError, match=r"1 case \(2\) would be lost"):
        prepare_folder(folders / "a", out, table=one)
    write_csv(both, rows[1:])
    report = prepare_folder(folders / "a", out, table=both)
    assert "1 case (1) of before is no longer in what was read and left the table" in report.notes
    assert ids(out) == ["2"]


def test_what_was_entered_since_stays(folders: Path) -> None:
    out = folders / "out"
    first, second = prepare_folder(folders / "a", out).cases
    write_cases([first.model_copy(update={"diagnosis": "mel", "extra": {"by": "me"}}), second], out / "cases.csv")
    write_skin(folders / "a" / "3.jpg", seed=9, width=32, height=32)
    assert [case.diagnosis for case in prepare_folder(folders / "a", out).cases] == ["mel", None, None]
    assert read_cases(out / "cases.csv").cases[0].extra == {"by": "me"}


def test_a_label_that_was_corrected_since_stays_and_is_told(folders: Path) -> None:
    out = folders / "out"
    (folders / "a" / "nevus").mkdir()
    (folders / "a" / "1.jpg").rename(folders / "a" / "nevus" / "1.jpg")
    prepare_folder(folders / "a", out, label_from_folder=True)
    assert not prepare_folder(folders / "a", out, label_from_folder=True).notes, "nothing was entered"
    cases = read_cases(out / "cases.csv").cases
    corrected = [case.model_copy(update={"diagnosis": "melanoma"} if case.diagnosis else {}) for case in cases]
    write_cases(corrected, out / "cases.csv")
    report = prepare_folder(folders / "a", out, label_from_folder=True)
    assert any("the source says otherwise: diagnosis (1)" in note for note in report.notes)
    (case,) = [case for case in report.cases if case.diagnosis]
    assert case.diagnosis == "melanoma"
    assert "Melanoma" in (case.diagnosis_path or ""), "no longer the place of the nevus"


def test_a_part_of_a_release_and_the_release_in_another_place(tmp_path: Path) -> None:
    source, out = load_source("ham10000"), tmp_path / "out"
    whole = RELEASES["ham10000"](tmp_path / "ham")
    prepare_source(source, whole, out)
    part = RELEASES["ham10000"](tmp_path / "part")
    next(part.rglob("ISIC_0000005.jpg")).unlink()
    with pytest.raises(PrepareError, match=r"1 case \(ISIC_0000005\) would be lost"):
        prepare_source(source, part, out)
    moved = whole.rename(tmp_path / "moved")
    assert prepare_source(source, moved, out).kept == 5
