"""Files of an answer that the command line writes for other systems."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from pydicom import dcmread
from typer.testing import CliRunner

from dermquery import CaseBase
from dermquery.cli import app
from dermquery.cli.demo import _CASES
from dermquery.cli.hits_table import _there
from dermquery.data.case_table import read_cases
from tests.dermoscopic import dermoscopic_object


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base of three cases, of which one is known to an archive, and the image of a query as DICOM and as JPEG."""
    made = tmp_path_factory.mktemp("search")
    first, second, third, asked = read_cases(_CASES / "cases.csv").cases[:4]
    base = CaseBase.create(made / "base", "demo")
    base.add([first.model_copy(update={"study_uid": "2.25.7"}), second, third])
    with Image.open(asked.image) as picture:
        picture.save(made / "query.jpg")
        dermoscopic_object(made / "query.dcm", picture)
    return made


def run(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["search", "--base", str(folder / "base"), *arguments], env=env)
    return done.exit_code, " ".join(done.output.split())


def test_a_dicom_query_gives_objects_about_itself_and_a_bundle(folder: Path, tmp_path: Path) -> None:
    query = folder / "query.dcm"
    code, said = run(
        folder, "--image", str(query), "--term", "streaks=irregular", "--seg", str(tmp_path / "seg.dcm"),
        "--sr", str(tmp_path / "sr.dcm"), "--fhir", str(tmp_path / "x.fhir.json"), "--notice", "Rendered.",
    )  # fmt: skip
    assert code == 0, said
    source, seg, sr = dcmread(query), dcmread(tmp_path / "seg.dcm"), dcmread(tmp_path / "sr.dcm")
    assert seg.StudyInstanceUID == sr.StudyInstanceUID == source.StudyInstanceUID
    assert (seg.Rows, seg.Columns) == (source.Rows, source.Columns)
    assert (seg.Modality, sr.Modality) == ("SEG", "SR")
    bundle = json.loads((tmp_path / "x.fhir.json").read_text(encoding="utf-8"))
    reports = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "DiagnosticReport"]
    assert "Rendered." in reports[0]["conclusion"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "irregular streaks", "--sr", "sr.dcm"], "--sr writes an object about the query's image"),
        (["--image", "query.jpg", "--seg", "seg.dcm"], "query.jpg is no DICOM object, which --seg could refer to"),
        (["--image", "query.dcm", "--sr", "sr.dcm"], "a report needs findings"),
        (
            ["--image", "query.dcm", "--csv", "ser.csv", "--report", "ser.fhir.json", "--sr", "sr.dcm"],
            "a report needs findings",
        ),
        (["--image", "query.dcm", "--sr", "no-folder/sr.dcm"], "there is no folder"),
        (["--image", "missing.dcm", "--sr", "sr.dcm"], "missing.dcm"),
    ],
)
def test_objects_that_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(folder)
    code, output = run(folder, *arguments)
    assert code == 2
    assert said in output
    assert not [*folder.glob("*s[er]*.dcm"), *folder.glob("ser.*")], "an error writes nothing"


def test_hits_open_in_a_viewer_by_option_or_environment(folder: Path) -> None:
    template = "http://127.0.0.1:8042/stone-webviewer/index.html?study={study}"
    for more, env in ((["--viewer", template], None), ([], {"DERMQUERY_VIEWER": template})):
        code, said = run(folder, "--text", "irregular streaks", *more, env=env)
        assert code == 0, said
        assert said.count("http://127.0.0.1:8042/stone-webviewer/index.html?study=2.25.7") == 1
    code, said = run(folder, "--text", "irregular streaks", "--viewer", "https://pacs/")
    assert code == 2
    assert "lacks the place {study}" in said


def test_what_a_base_has_of_a_number_is_a_range() -> None:
    assert _there("age", {45.0: 3, 5.0: 2, 85.0: 1}) == "from 5 to 85"
    assert _there("age", {45.0: 3, None: 2}) == "45, or missing"
    assert _there("breslow_mm", {0.7: 1, 0.65: 2, None: 2}) == "from 0.65 to 0.7, or missing"
    assert _there("date", {"2024-03-31": 1, "2019-01-02": 2}) == "from 2019-01-02 to 2024-03-31"
    assert _there("age", {None: 2}) == "missing"
    assert _there("site", {"back": 3, None: 1}) == "back, missing"
    assert _there("site", {f"{n}": 1 for n in range(14)}).endswith("11 and 2 more")


def test_one_case_is_counted_as_one(folder: Path) -> None:
    first = next(CaseBase.open(folder / "base").store.scan(vectors=False))[0].case.case_id
    assert (
        "1 of 1 case that may be found, 3 in the base"
        in run(folder, "--text", "no streaks", "--where", f"case_id={first}")[1]
    )
    nothing = run(folder, "--text", "no streaks", "--where", "age>129")[1]
    assert "No case satisfies the conditions." in nothing
    assert "age in this base: from " in nothing
    assert "no case may be found, 3 in the base" in nothing
