"""Bases of a model with heads: three numbers a hit, by name and by weight, and the scale that people read them on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from typer.testing import CliRunner

from dermquery.cli import app
from dermquery.data.case import Case, Query
from dermquery.model.heads import VALUES
from dermquery.model.parts import Weights
from dermquery.store.casebase import CaseBase, QueryError
from dermquery.store.protocol import packed
from dermquery.store.same_image import said_of_hits
from dermquery.store.transfer import copy_base, restore_snapshot, write_snapshot
from dermquery.store.where import parse_where
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder
from tests.store.loading import load_by

TERMS = {"streaks": "irregular", "vascular_structures": "dotted"}
_WEIGHT = st.floats(0, 2)


@pytest.fixture(scope="module")
def headed(tmp_path_factory: pytest.TempPathFactory, cases: Sequence[Case]) -> CaseBase:
    base = CaseBase.create(tmp_path_factory.mktemp("headed") / "base", ProjectionEncoder(heads=True))
    base.add(cases, batch_size=7)
    return base


@settings(max_examples=25)
@given(st.floats(0.01, 2), _WEIGHT, _WEIGHT, st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_a_score_is_the_sum_of_the_parts_of_what_is_stored(
    headed: CaseBase,
    cases: Sequence[Case],
    meaning: float,
    findings: float,
    look: float,
    posterior: float,
    local_weight: float,
    by_words: bool,
) -> None:
    weights = Weights(meaning=meaning, findings=findings, look=look, posterior=posterior, local_weight=local_weight)
    image = None if by_words else cases[5].image
    result = headed.search(image=image, checklist=TERMS, weights=weights, top_k=24)
    assert (result.weights, result.local_weight) == (weights, local_weight)
    model, layout = headed.model, headed.manifest.layout
    asked = model.encode_query([Query(image=image, checklist=TERMS)])
    rows = headed.store.get(headed.store.ids())
    for hit in result.hits:
        held = rows[hit.case.case_id].vector[None]
        parts = layout.parts(asked, held, weights)
        assert hit.meaning == pytest.approx(float(parts.meaning[0, 0]), abs=1e-5)
        assert hit.findings == pytest.approx(float(parts.findings[0, 0]), abs=1e-5)
        assert hit.look == (None if by_words else pytest.approx(float(parts.look[0, 0]), abs=1e-5))
        total = meaning * hit.meaning + findings * (hit.findings or 0) + look * (hit.look or 0)
        assert hit.score == pytest.approx(total, abs=1e-9)
        assert hit.score == pytest.approx(float((layout.weigh(asked, weights) @ held.T)[0, 0]), abs=1e-5)
    ranked = [hit.score for hit in result.hits[0 if by_words else 1 :]]
    assert ranked == sorted(ranked, reverse=True)


def test_presets_answer_what_their_names_say(headed: CaseBase, cases: Sequence[Case]) -> None:
    assert set(headed.manifest.weights) == {"balanced", "paper", "same findings", "look-alikes"}
    assert headed.search(image=cases[2].image).preset == "balanced"
    by_words = headed.search(checklist={"streaks": "irregular"}, weights="same findings", top_k=5)
    assert by_words.preset == "same findings"
    assert all(hit.case.checklist["streaks"] == "irregular" for hit in by_words.hits)
    alike = headed.search(image=cases[2].image, weights="look-alikes", top_k=24)
    looks = [hit.look for hit in alike.hits if hit.look is not None]
    assert len(looks) == 24
    assert np.corrcoef(looks, np.arange(24))[0, 1] < -0.8
    paper = headed.search(image=cases[2].image, weights="paper", local_weight=0.3)
    assert (paper.preset, paper.weights) == (None, Weights(meaning=1, local_weight=0.3))
    for hit in paper.hits:
        assert hit.score == 0.3 * hit.local + 0.7 * hit.global_
    with pytest.raises(QueryError, match=r"give the name of a preset \(balanced, paper, same findings, look-alikes\)"):
        headed.search(image=cases[2].image, weights="best")


def test_weights_of_which_nothing_is_in_the_query_are_refused(headed: CaseBase, cases: Sequence[Case]) -> None:
    words, image = {"checklist": {"streaks": "irregular"}}, {"image": cases[2].image}
    for asked, silent, heard in ((words, "look=1", "look=1,findings=1"), (image, "findings=1", "findings=1,look=.1")):
        with pytest.raises(QueryError, match=f"with the weights .*{silent}.* nothing of this query counts"):
            headed.search(**asked, weights=silent)
        with pytest.raises(QueryError, match="nothing of this query counts"):
            headed.search_many([asked] * 30, weights=silent)
        assert headed.search(**asked, weights=heard).hits[0].score > 0


def test_a_hit_says_which_findings_were_recorded_and_which_are_likely(headed: CaseBase) -> None:
    for hit in headed.search(checklist=TERMS, top_k=24).hits:
        unrecorded = {name for name in TERMS if name not in hit.case.checklist}
        assert hit.likely_criteria.keys() == unrecorded
        vector = headed.store.get([hit.case.case_id])[hit.case.case_id].vector
        part = vector[headed.manifest.layout.slices["findings"]]
        for name, probability in hit.likely_criteria.items():
            assert probability == pytest.approx(float(part[VALUES.index((name, TERMS[name]))]))
            assert 0 < probability < 1


def test_the_very_image_comes_first_and_is_named(tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "own", 24)
    twin = cases[9].model_copy(update={"case_id": "twin", "lesion_id": "twin"})
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder(heads=True))
    base.add([*cases, twin])
    other = {"streaks": "regular", "pigmentation": "absent", "blue_whitish_veil": "present"}
    asked = {"image": cases[9].image, "checklist": other, "weights": "findings=1,meaning=.01"}
    whole = base.search(**asked, top_k=25)  # type: ignore[arg-type]
    assert [hit.case.case_id for hit in whole.hits[:2]] == ["case-009", "twin"]
    assert [hit.same_image for hit in whole.hits] == [True, True, *[False] * 23]
    assert whole.hits[0].score < whole.hits[2].score
    pages = [base.search(**asked, top_k=4, offset=i).hits for i in range(0, 25, 4)]  # type: ignore[arg-type]
    assert [hit for page in pages for hit in page] == list(whole.hits)
    without = base.search(**asked, exclude_case="case-009")  # type: ignore[arg-type]
    assert without.hits[0].case.case_id == "twin"
    assert not any(hit.same_image for hit in base.search(**asked, where=parse_where(["site=moon"])).hits)  # type: ignore[arg-type]
    like = base.search_encoded(base.encoded_case("twin"), top_k=3)
    assert [hit.same_image for hit in like.hits] == [True, True, False]


@pytest.mark.parametrize(
    "weights", ["balanced", "paper", Weights(meaning=1, look=0.5, posterior=0.7, local_weight=0.15)]
)
@pytest.mark.parametrize(
    "asked", [{"image": 3}, {"text": "irregular streaks"}, {"image": 3, "text": "irregular streaks"}]
)
def test_shares_are_those_of_a_plain_count(
    headed: CaseBase, cases: Sequence[Case], asked: dict[str, Any], weights: str | Weights
) -> None:
    query = {**asked, "image": cases[3].image} if "image" in asked else asked
    hits = headed.search(**query, weights=weights, top_k=24).hits
    assert len(hits) == 24
    known = {name: [value for hit in hits if (value := hit.parts[name]) is not None] for name in ("meaning", "look")}
    for hit in hits:
        assert set(hit.closer_than) == {name for name, values in known.items() if values}
        for name, share in hit.closer_than.items():
            value = hit.parts[name]
            assert value is not None
            assert share == min(sum(other < value - 1e-6 for other in known[name]) / 24, 23 / 24)


def test_a_scale_wants_enough_cases_and_is_renewed_as_a_base_grows(tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "own", 50)
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(cases[:10])
    assert base.search(image=cases[0].image).hits[1].closer_than == {}
    for n, sampled in ((24, 24), (25, 24), (50, 50)):
        base.add(cases[:n])
        assert max(hit.closer_than["meaning"] for hit in base.search(image=cases[0].image).hits) == 1 - 1 / sampled


def test_a_sample_is_spread_over_the_base(tmp_path: Path) -> None:
    cases = make_cases(tmp_path / "own", 50)
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    assert base.store.spread(5) == []
    base.add(cases, batch_size=9)
    base.delete([case.case_id for case in cases[:10]])
    kept = [case.case_id for case in cases[10:]]
    drawn = [row.case.case_id for row in base.store.spread(5)]
    assert (drawn[0], drawn[-1], len(set(drawn))) == (kept[0], kept[-1], 5)
    assert sorted(row.case.case_id for row in base.store.spread(1000)) == sorted(kept)


def test_vectors_are_half_precision_wherever_they_go(headed: CaseBase, tmp_path: Path) -> None:
    copy_base(headed.uri, tmp_path / "copy")
    write_snapshot(headed.uri, tmp_path / "base.parquet")
    restore_snapshot(tmp_path / "base.parquet", tmp_path / "back")
    rows = headed.store.get(headed.store.ids())
    for place in ("copy", "back"):
        other = CaseBase.open(tmp_path / place)
        assert (other.manifest.layout, other.manifest.weights) == (headed.manifest.layout, headed.manifest.weights)
        for case_id, row in other.store.get(other.store.ids()).items():
            assert np.array_equal(row.vector, rows[case_id].vector)
            assert np.array_equal(row.vector, packed(row.vector))


def test_from_the_command_line(headed: CaseBase, cases: Sequence[Case], monkeypatch: pytest.MonkeyPatch) -> None:
    load_by(monkeypatch, lambda name: (ProjectionEncoder(heads=True), str(name)))
    line = ["search", "--base", str(headed.uri), "--model", "headed", "--image", str(cases[1].image), "--json", "-"]
    run = CliRunner().invoke
    for options, weights in (
        ([], "balanced"),
        (["--preset", "look-alikes"], "look-alikes"),
        (["--weights", "meaning=1,findings=.5"], "meaning=1,findings=.5"),
    ):
        said = json.loads(run(app, [*line, *options]).stdout)
        expected = headed.search(image=cases[1].image, weights=weights)
        assert said["query"]["preset"] == (None if "=" in weights else weights)
        assert [hit["score"] for hit in said["hits"]] == pytest.approx([hit.score for hit in expected.hits])
        assert said["hits"][0]["same_image"] is True
    failed = run(app, [*line, "--preset", "paper", "--weights", "look=1"])
    assert failed.exit_code == 2
    assert "say the same thing twice" in failed.stderr.replace("\n", " ")
    for columns, head in (("80", ["meaning", "look", "1"]), ("200", ["meaning", "look", "shared"])):
        table = run(app, line[:-2], env={"COLUMNS": columns}).stdout
        assert table.split()[:7] == ["rank", "case", "diagnosis", "score", *head]


@pytest.mark.parametrize("how", ["JPEG of quality 40", "half the size", "PNG again", "a dark frame"])
def test_another_file_of_the_same_photograph_is_named_as_such(tmp_path: Path, how: str) -> None:
    """It is no byte-identical one, and no other case is called so."""
    cases = make_cases(tmp_path / "own", 24)
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder(heads=True))
    base.add(cases)
    picture = Image.open(cases[9].image).convert("RGB")
    copy = tmp_path / ("copy.jpg" if how.startswith("JPEG") else "copy.png")
    if how == "half the size":
        picture = picture.resize((picture.width // 2, picture.height // 2))
    if how == "a dark frame":
        picture = ImageOps.expand(picture, 12, "black")
    options: dict[str, Any] = {"quality": 40} if how.startswith("JPEG") else {"compress_level": 1}
    picture.save(copy, **options)
    hits = base.search(image=copy, top_k=24).hits
    assert [hit.case.case_id for hit in hits if hit.same_photograph] == ["case-009"]
    assert not any(hit.same_image for hit in hits)
    (said,) = said_of_hits(hits)
    assert "case case-009. It looks like the same photograph" in said.message
    assert "not byte-identical" in said.message
    very = base.search(image=cases[9].image, top_k=24).hits
    assert not said_of_hits(very)
    assert said_of_hits(base.search(text="regular streaks", top_k=24).hits) == ()
