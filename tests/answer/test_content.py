"""The words of a case, and what one more field of it takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

import dermquery
from dermquery.answer.content import Measure, case_facts, report_content
from dermquery.answer.csv_json import hits_csv
from dermquery.answer.fhir import hits_fhir
from dermquery.answer.html import html_sheet
from dermquery.answer.notebook import notebook_html
from dermquery.answer.pdf import write_pdf
from dermquery.answer.png import draw
from dermquery.answer.ranking_words import formula
from dermquery.answer.words import IN_BRIEF, TITLES
from dermquery.data.case import CASE_FIELDS, Case, Kind
from dermquery.model.parts import Weights
from dermquery.store.casebase import CaseBase

ROOT = Path(__file__).parents[2]


def test_every_field_has_its_words() -> None:
    described = {name for name, field in CASE_FIELDS.items() if field.kind is not Kind.CRITERION} - {"case_id"}
    assert set(TITLES) == described
    assert set(IN_BRIEF) <= described


def test_facts_say_what_was_recorded(cases: Sequence[Case]) -> None:
    case = cases[1].model_copy(update={"age": 40.5, "site": None})
    facts = {fact.name: fact for fact in case_facts(case)}
    assert list(facts) == list(TITLES)
    assert (facts["diagnosis"].value, facts["diagnosis"].words) == ("mel", "Melanoma")
    assert (facts["age"].value, facts["age"].words) == (40.5, "40.5 y")
    assert (facts["site"].value, facts["site"].words) == (None, None)


def test_parts_that_say_something_are_shown_with_the_share_of_cases_less_alike(
    base: CaseBase, cases: Sequence[Case]
) -> None:
    (item,) = report_content(base.search(image=cases[0].image, top_k=1)).hits
    assert [part.name for part in item.parts] == ["meaning"]
    assert item.same_image == "Byte-identical image"
    content = report_content(base.search(checklist={"streaks": "absent"}, top_k=24))
    assert [[part.name for part in item.parts] for item in content.hits] == [["meaning", "findings"]] * 24
    assert all(0.0 <= part.bar <= 1.0 for item in content.hits for part in item.parts)
    assert {item.same_image for item in content.hits} == {None}
    assert content.scale is not None
    first = content.hits[0].parts[0]
    assert first.closer_than is not None
    assert first.brief == f"{first.percent} ({content.hits[0].hit.meaning:.3f})"


def test_findings_that_nobody_recorded_are_said_to_be_likely_only(base: CaseBase) -> None:
    result = base.search(checklist={"streaks": "absent"}, top_k=1)
    (hit,) = result.hits
    bare = replace(hit, case=hit.case.model_copy(update={"checklist": {}}), shared_criteria={}, differing_criteria={})
    unrecorded = replace(result, hits=(replace(bare, findings=0.45, likely_criteria={"streaks": 0.45}),))
    content = report_content(unrecorded)
    assert content.scale is not None
    assert "counts as likely as the model finds it by the image" in content.scale
    assert content.hits[0].likely == ("streaks: absent (45 % by the image)",)
    assert [row.case_words for row in content.hits[0].criteria if row.asked] == ["45 % by the image"]
    buffer = BytesIO()
    write_pdf(unrecorded, buffer)
    outputs = {
        "pdf": PdfReader(buffer).pages[0].extract_text(),
        "png": " ".join(text.get_text() for text in draw(unrecorded).texts),
        "html": html_sheet(unrecorded),
        "csv": hits_csv(unrecorded),
        "fhir": hits_fhir(unrecorded),
    }
    for name, said in outputs.items():
        assert "45 % by the image" in " ".join(said.split()), name
    for name in ("pdf", "png", "html", "fhir"):
        assert "counts as likely as the model finds it" in " ".join(outputs[name].split()), name
    assert "counts as likely" in notebook_html(unrecorded)

    recorded = report_content(base.search(checklist={"streaks": "absent"}, top_k=24)).scale
    assert recorded is not None
    assert recorded.endswith("Findings: the share of those asked for that were recorded.")


def test_the_formula_leaves_out_what_says_nothing(base: CaseBase, cases: Sequence[Case]) -> None:
    weights = Weights(meaning=1, findings=0.5, look=0.3)
    by_image = base.search(image=cases[0].image, top_k=1, weights=weights)
    assert formula(by_image).startswith("Score = 1 × meaning")
    assert "findings" not in formula(by_image)
    by_words = base.search(checklist={"streaks": "absent"}, top_k=1, weights=weights)
    assert "0.5 × findings" in formula(by_words)
    assert "look" not in formula(by_words)
    assert formula(replace(by_words, hits=())) == formula(by_words)
    assert formula(replace(by_image, hits=(replace(by_image.hits[0], look=0.5),))).startswith(
        "Score = 1 × meaning + 0.3 × look"
    )


def test_a_score_says_whose_its_threshold_is(base: CaseBase) -> None:
    content = report_content(base.search(checklist={"pigment_network": "atypical", "streaks": "irregular"}, top_k=1))
    assert content.query.score == 3
    assert "threshold of three (Argenziano et al. 1998); that is no advice of this program" in content.query.score_hint


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0.0 %"), (0.9917, "99.1 %"), (0.99996, "99.996 %"), (0.999999, "99.999 %"), (None, None)],
)
def test_a_share_is_never_rounded_up_to_all(share: float | None, words: str | None) -> None:
    assert Measure("look", -0.5, share).percent == words
    assert Measure("look", -0.5, share).bar == (share or 0.0)


_FIELD = 'posture: Annotated[Literal["lying", "sitting", "standing"] | None, Kind.CHOICE] = None'
_NUMBER = "pressure_kpa: Annotated[Annotated[float, Field(ge=0, le=60)] | None, Kind.NUMBER] = None"
ONE_MORE = {
    "data/case.py": [("    site: _Tree = None\n", f"    site: _Tree = None\n    {_FIELD}\n    {_NUMBER}\n")],
    "answer/words.py": [
        ('"site": "Site",', '"site": "Site", "posture": "Posture of the patient", "pressure_kpa": "Pressure",'),
        ('IN_BRIEF = ("site", ', 'IN_BRIEF = ("site", "posture", '),
    ],
}
"""Changes that declare one more field of words, and one more number."""

WITH_IT = """
import sys
from io import BytesIO
from pathlib import Path
from pypdf import PdfReader
from dermquery.answer import csv_json, html, pdf, png
from dermquery.answer.content import report_content
from dermquery.data.case_table import CaseTableError, read_cases, write_cases
from dermquery.serve.api.search_schemas import RankingRequest
from dermquery.serve.fields import CaseFields
from dermquery.serve.web.address import CHOSEN_FIELDS
from dermquery.store.casebase import CaseBase
from dermquery.store.filters import FilterError
from tests.store.conftest import draw_lesion
from tests.store.encoder import ProjectionEncoder

folder = Path(sys.argv[1])
base = CaseBase.open(folder / "base", ProjectionEncoder())
assert base.store.value_counts("posture") == {None: 24}
image = draw_lesion(folder / "one.png", 77)
assert len(base.search(image=image, where=["posture=missing"]).hits) == 5
assert not base.search(image=image, where=["posture=lying"]).hits

(folder / "cases.csv").write_text("case_id,image,posture,pressure_kpa\\nx,one.png,Lying,7.5\\n")
(case,) = read_cases(folder / "cases.csv")
assert case.posture == "lying" and case.pressure_kpa == 7.5 and not case.extra
write_cases([case], folder / "again.csv")
assert read_cases(folder / "again.csv").cases == (case,)
base.add([case])
result = base.search(image=image, where=["posture=lying"])
assert [hit.case.case_id for hit in result.hits] == ["x"]
assert base.store.value_counts("posture") == {None: 24, "lying": 1}
assert base.store.value_counts("pressure_kpa") == {None: 24, 7.5: 1}
for clause, n in (("pressure_kpa>=7.5", 1), ("pressure_kpa<7.5", 0), ("pressure_kpa!=7.5", 24)):
    assert base.count([clause]) == n
for refused in ("posture=lyng", "posture>=lying", "pressure_kpa>=much"):
    try:
        base.search(image=image, where=[refused])
    except FilterError as error:
        print(error)
(folder / "cases.csv").write_text("case_id,image,posture,pressure_kpa\\nx,one.png,lyng,61\\n")
try:
    read_cases(folder / "cases.csv")
except CaseTableError as error:
    print(error)

assert ",posture," in csv_json.hits_csv(result) and ",lying," in csv_json.hits_csv(result)
assert '"posture": "lying"' in csv_json.hits_json(result)
assert {fact.title: fact.words for fact in report_content(result).hits[0].facts}["Posture of the patient"] == "lying"
buffer = BytesIO()
pdf.write_pdf(result, buffer)
assert "lying" in PdfReader(buffer).pages[0].extract_text()
assert "lying" in html.write_html(result, folder / "a.html").read_text()
assert "lying" in [text.get_text() for text in png.draw(result).texts]

sent = CaseFields.model_validate({"case_id": "y", "posture": ""})
assert sent.posture is None and sent.case(image).posture is None
assert "posture" in str(RankingRequest.model_json_schema())
assert CaseFields.model_json_schema()["properties"]["posture"]["anyOf"][0]["enum"][0] == "lying"
assert "posture" in CHOSEN_FIELDS
assert {fact.title: fact.words for fact in report_content(result).hits[0].facts}["Pressure"] == "7.5"
assert ",7.5," in csv_json.hits_csv(result)
"""


def test_one_more_field_is_declared_once_and_bases_from_before_it_can_be_searched(
    base: CaseBase, tmp_path: Path
) -> None:
    source = Path(dermquery.__file__).parent
    package = Path(shutil.copytree(source, tmp_path / "src" / "dermquery", copy_function=os.symlink))
    for name, changes in ONE_MORE.items():
        text = (source / name).read_text(encoding="utf-8")
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        (package / name).unlink()  # a link to the source
        (package / name).write_text(text, encoding="utf-8")
    shutil.copytree(base.uri, tmp_path / "base")
    environment = {**os.environ, "PYTHONPATH": f"{package.parent}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", WITH_IT, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "unknown value 'lyng' for posture; use one of: lying, sitting, standing" in done.stdout
    assert ">= compares numbers and days, and 'posture' in 'posture>=lying' holds text" in done.stdout
    assert "posture 'lyng' is unknown; use one of: lying, sitting, standing" in done.stdout
    assert "pressure_kpa is a number, not 'much'; write for example pressure_kpa>=40" in done.stdout
    assert "pressure_kpa '61' is not a number from 0 to 60" in done.stdout
