from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermquery.data.case import Case, Query
from dermquery.data.image import ImageError
from dermquery.model.parts import Weights
from dermquery.store.base_manifest import ManifestError, ModelMismatchError
from dermquery.store.casebase import CaseBase, EmptyBaseError, QueryError
from dermquery.store.filters import FilterError
from dermquery.store.hits import SearchResult, compare_criteria
from dermquery.store.matching import matches
from dermquery.store.protocol import Encoder, packed
from dermquery.store.where import parse_where
from tests.store.encoder import ProjectionEncoder
from tests.store.loading import load_by

TERMS = {"pigment_network": "atypical", "streaks": "irregular"}


def ids(result: SearchResult) -> list[str]:
    return [hit.case.case_id for hit in result.hits]


@settings(max_examples=30)
@given(
    local_weight=st.sampled_from([0.0, 1.0, 0.6]) | st.floats(0, 1),
    seed=st.integers(0, 23),
    form=st.sampled_from(["image", "text", "both"]),
    top_k=st.integers(1, 40),
)
def test_a_search_is_the_full_matrix_of_scores(
    base: CaseBase, cases: Sequence[Case], local_weight: float, seed: int, form: str, top_k: int
) -> None:
    image = cases[seed].image if form != "text" else None
    text = "raised border, no vessels" if form != "image" else None
    result = base.search(image=image, text=text, top_k=top_k, local_weight=local_weight)

    encoder = ProjectionEncoder()
    layout, weights = encoder.layout, Weights(meaning=1, local_weight=local_weight)
    unit = encoder.encode_query([Query(image=image, text=text)])
    gallery = packed(encoder.encode_case([Image.open(case.image) for case in cases], [c.checklist for c in cases]))
    expected = layout.score(unit, gallery, weights)[0]
    blocks = [layout.split(vectors)["blocks"] for vectors in (unit, gallery)]
    local, global_ = (part[0] for part in layout.blocks.parts(*blocks))
    best = sorted(range(len(cases)), key=lambda i: (-expected[i], cases[i].case_id))
    if image is not None:  # of the very image that was asked with, whatever the words are
        best.remove(seed)
        best.insert(0, seed)
    best = best[:top_k]
    assert len(result.hits) == min(top_k, len(cases))
    assert [hit.rank for hit in result.hits] == list(range(1, len(result.hits) + 1))
    at = {case.case_id: i for i, case in enumerate(cases)}
    for hit, i in zip(result.hits, best, strict=True):
        own = at[hit.case.case_id]
        assert hit.score == hit.meaning == local_weight * hit.local + (1 - local_weight) * hit.global_
        assert hit.score == pytest.approx(expected[own], abs=1e-6)
        assert hit.score == pytest.approx(expected[i], abs=1e-6)
        assert hit.local == pytest.approx(local[own], abs=1e-6)
        assert hit.global_ == pytest.approx(global_[own], abs=1e-6)
        assert hit.case == cases[own]
        assert hit.same_image == (image is not None and own == seed)


def test_the_same_image_comes_first(base: CaseBase, cases: Sequence[Case]) -> None:
    result = base.search(image=cases[5].image)
    assert ids(result)[0] == "case-005"
    assert result.hits[0].score == pytest.approx(1.0, abs=1e-3)
    assert [hit.same_image for hit in result.hits] == [True, *[False] * 4]
    assert len(result.hits) == 5
    data = cases[5].image.read_bytes()
    for source in (str(cases[5].image), data, Image.open(cases[5].image)):
        assert ids(base.search(image=source)) == ids(result)


def test_equal_images_are_ordered_by_case_id(tmp_path: Path, cases: Sequence[Case]) -> None:
    twins = [cases[0].model_copy(update={"case_id": f"twin-{i:02d}"}) for i in (7, 3, 5, 1, 9)]
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    for twin in twins:
        base.add([twin])
    base.add(cases[1:4])
    result = base.search(image=cases[0].image, top_k=3)
    assert ids(result) == ["twin-01", "twin-03", "twin-05"]
    assert len({hit.score for hit in result.hits}) == 1


def test_filters_and_exclusions(base: CaseBase, cases: Sequence[Case]) -> None:
    where = ["site=back,chest", "age>=30"]
    result = base.search(image=cases[1].image, where=where, top_k=50)
    expected = {case.case_id for case in cases if matches(parse_where(where), case)}
    assert set(ids(result)) == expected
    assert result.n_candidates == len(expected) < result.base.count == 24
    assert ids(base.search(image=cases[1].image, where=parse_where(where), top_k=50)) == ids(result)

    everything = set(ids(base.search(image=cases[1].image, top_k=50)))
    assert everything - set(ids(base.search(image=cases[1].image, top_k=50, exclude_case="case-001"))) == {"case-001"}
    without = base.search(image=cases[1].image, top_k=50, exclude_lesion=["lesion-0", "lesion-3"])
    assert everything - set(ids(without)) == {"case-000", "case-001", "case-006", "case-007"}
    without = base.search(image=cases[1].image, top_k=50, exclude_patient="patient-0", exclude_case=["case-023"])
    assert everything - set(ids(without)) == {"case-001", "case-002", "case-003", "case-023"}
    assert base.search(image=cases[1].image, where=parse_where(["site=moon"])).hits == ()
    with pytest.raises(FilterError, match="no case has the site 'moon'; there are: back, chest, upper limbs"):
        base.search(image=cases[1].image, where=["site=moon"])


def test_pages_of_a_ranking_keep_their_ranks(base: CaseBase, cases: Sequence[Case]) -> None:
    whole = base.search(image=cases[1].image, top_k=24)
    pages = [base.search(image=cases[1].image, top_k=7, offset=start) for start in (0, 7, 14, 21)]
    assert [hit for page in pages for hit in page.hits] == list(whole.hits)
    assert [hit.rank for hit in pages[2].hits] == list(range(15, 22))
    assert base.search(image=cases[1].image, offset=24).hits == ()
    with pytest.raises(QueryError, match="offset must be at least 0, got -1"):
        base.search(image=cases[1].image, offset=-1)


def test_hits_say_which_terms_they_share(base: CaseBase, cases: Sequence[Case]) -> None:
    result = base.search(checklist=TERMS, text="no blue-white veil", top_k=50)
    assert result.terms == {**TERMS, "blue_whitish_veil": "absent"}
    for hit in result.hits:
        recorded = hit.case.checklist
        assert hit.shared_criteria == {k: v for k, v in TERMS.items() if recorded.get(k) == v}
        assert hit.differing_criteria == {k: recorded[k] for k, v in TERMS.items() if recorded.get(k, v) != v}


def test_terms_overrule_the_free_text() -> None:
    query = Query(text="regular streaks, atypical network", checklist={"streaks": "irregular"})
    assert query.terms == {"pigment_network": "atypical", "streaks": "irregular"}
    case = Case(case_id="a", image=Path("a.png"), checklist={"streaks": "absent"})
    assert compare_criteria(query.terms, case) == ({}, {"streaks": "absent"})


def test_what_a_text_leaves_open_is_not_searched_for_and_a_contradiction_is_said(base: CaseBase) -> None:
    result = base.search(text="APN, possible veil; regular streaks", checklist={"pigment_network": "typical"})
    assert result.terms == {"pigment_network": "typical", "streaks": "regular"}
    assert [remark.criterion for remark in result.reading.uncertain] == ["blue_whitish_veil"]
    assert [remark.words for remark in result.reading.conflicts] == ["atypical in the text, typical as a term"]
    said = result.to_dict()["query"]
    assert (said["language"], said["seven_point_score"]) == ("en", 0)
    assert said["uncertain"][0]["question"] == "blue-whitish veil: present or absent?"


@pytest.mark.parametrize("asked", [{}, {"text": "  "}, {"checklist": {}}, {"where": ["site=back"]}])
def test_an_empty_query_is_refused(base: CaseBase, asked: dict[str, object]) -> None:
    with pytest.raises(QueryError, match="give an image, a text or checklist terms"):
        base.search(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan")])
def test_a_weight_outside_the_unit_interval_is_refused(base: CaseBase, weight: float) -> None:
    with pytest.raises(QueryError, match="local weight must lie between 0"):
        base.search(text="x", local_weight=weight)


def test_other_bad_queries(base: CaseBase, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="top_k must be at least 1, got 0"):
        base.search(text="x", top_k=0)
    with pytest.raises(ImageError, match=r"nowhere\.png"):
        base.search(image=tmp_path / "nowhere.png")
    with pytest.raises(FilterError, match="unknown field 'colour'"):
        base.search(text="x", where=["colour=red"])
    with pytest.raises(ValueError, match="unknown checklist criterion 'network'"):
        base.search(checklist={"network": "atypical"})


def test_an_empty_base_is_refused(tmp_path: Path) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    assert len(base) == 0
    with pytest.raises(EmptyBaseError, match="holds no case; add some with: dermquery index"):
        base.search(text="x")


def test_create_and_open(tmp_path: Path, cases: Sequence[Case]) -> None:
    uri = tmp_path / "deep" / "base"
    base = CaseBase.create(str(uri), ProjectionEncoder())
    base.add(cases[:3])
    for again in (CaseBase.open(uri, ProjectionEncoder()), CaseBase.open(f"file://{uri}", ProjectionEncoder())):
        assert ids(again.search(image=cases[1].image)) == ids(base.search(image=cases[1].image))
    assert CaseBase.open(uri).count(["site=back"]) == base.count(["site=back"]) == 2
    with pytest.raises(ManifestError, match="holds a case base already"):
        CaseBase.create(uri, ProjectionEncoder())
    with pytest.raises(ModelMismatchError, match="cannot be compared"):
        CaseBase.open(uri, ProjectionEncoder(seed=1))
    with pytest.raises(ModelMismatchError, match="cannot be compared"):
        CaseBase.open_or_create(uri, ProjectionEncoder(seed=1))
    with pytest.raises(ManifestError, match="s3:// is not supported"):
        CaseBase.open("s3://bucket/base")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ManifestError, match="is a file; choose a folder"):
        CaseBase.create(tmp_path / "file", ProjectionEncoder())


def test_a_create_that_was_cut_off_can_be_repeated(tmp_path: Path, cases: Sequence[Case]) -> None:
    CaseBase.create(tmp_path, ProjectionEncoder())
    (tmp_path / "manifest.json").unlink()
    base = CaseBase.create(tmp_path, ProjectionEncoder())
    assert base.add(cases[:2]).added == 2


def test_the_model_is_loaded_once_needed_and_checked(
    tmp_path: Path, cases: Sequence[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    CaseBase.create(tmp_path / "base", ProjectionEncoder(), reference="shipped").add(cases[:3])
    loaded: list[object] = []

    def resolve(source: object, model: Encoder) -> tuple[Encoder, str]:
        loaded.append(source)
        return model, "shipped"

    load_by(monkeypatch, lambda source: resolve(source, ProjectionEncoder()))
    base = CaseBase.open(tmp_path / "base")
    assert loaded == []
    base.search(text="x")
    base.search(text="y")
    assert loaded == ["shipped"]

    load_by(monkeypatch, lambda source: resolve(source, ProjectionEncoder(seed=1)))
    with pytest.raises(ModelMismatchError, match="loaded from shipped"):
        CaseBase.open(tmp_path / "base").search(text="x")


def test_a_model_that_cannot_be_found_again(tmp_path: Path, cases: Sequence[Case]) -> None:
    CaseBase.create(tmp_path / "a", ProjectionEncoder()).add(cases[:1])
    with pytest.raises(ManifestError, match=r"does not say where its model .* lies; name it by --model"):
        CaseBase.open(tmp_path / "a").search(text="x")
    CaseBase.create(tmp_path / "b", ProjectionEncoder(), reference=str(tmp_path / "gone")).add(cases[:1])
    with pytest.raises(ManifestError, match=r"cannot be loaded from .*gone.* name the artifact with hash"):
        CaseBase.open(tmp_path / "b").search(text="x")


def test_a_result_is_plain_json(base: CaseBase, cases: Sequence[Case]) -> None:
    result = base.search(image=cases[1].image, checklist=TERMS, where=["site!=missing"], top_k=3)
    written = json.loads(json.dumps(result.to_dict()))
    assert [hit["case_id"] for hit in written["hits"]] == ids(result)
    first = written["hits"][0]
    assert first["score"] == pytest.approx(0.6 * first["local"] + 0.4 * first["global"])
    assert written["query"]["seven_point_score"] == 3
    assert written["notice"] == "Research use only. Not a medical device."
    assert {entry["diagnosis"]: entry["count"] for entry in written["base"]["diagnoses"]} == dict.fromkeys(
        ["nv", "mel", "bkl", None], 6
    )
    assert sum(result.diagnoses.values()) == 3


def test_opening_a_base_imports_no_torch(base: CaseBase) -> None:
    code = f"""
import sys
from dermquery.store import CaseBase
assert not {{"lance", "pyarrow"}} & set(sys.modules)
assert CaseBase.open({str(base.uri)!r}).count() == 24
assert not {{"torch", "matplotlib"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
