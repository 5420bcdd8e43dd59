"""The veil of evidence: clear where the evidence is, opaque where there is none, never coloured."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dermquery.answer.overlay import LONGEST_SIDE, level_overlays, of_hit, png, spotlight
from dermquery.data.case import Case
from dermquery.data.case_table import read_cases
from dermquery.data.image import load_image
from dermquery.lab.synthetic import synthesize
from dermquery.model.alignment import Evidence
from dermquery.store.casebase import CaseBase


@given(st.integers(20, 300), st.integers(20, 300), st.integers(0, 6), st.integers(0, 6))
def test_the_peak_is_clear_and_the_border_dimmed(width: int, height: int, row: int, column: int) -> None:
    level = np.zeros((7, 7), np.float32)
    level[row, column] = 0.4
    box = (width // 10, height // 10, width - width // 10, height - height // 10)
    veil = spotlight([level, np.full((2, 2), -0.1, np.float32)], box, (width, height), 140)
    assert max(veil.size) == 140
    assert abs(veil.width / veil.height - width / height) < 0.1 * width / height
    pixels = np.asarray(veil)
    assert not pixels[..., :3].any()
    alpha = pixels[..., 3]
    scale = 140 / max(width, height)
    x = (box[0] + (column + 0.5) / 7 * (box[2] - box[0])) * scale
    y = (box[1] + (row + 0.5) / 7 * (box[3] - box[1])) * scale
    assert alpha[min(int(y), veil.height - 1), min(int(x), veil.width - 1)] < 0.3 * alpha.max()
    assert alpha[0, 0] == alpha.max() == round(0.6 * 255)


def test_no_evidence_dims_everything() -> None:
    veil = np.asarray(spotlight([np.full((3, 3), -1.0, np.float32)], (0, 0, 30, 30), (30, 30), 30))
    assert (veil[..., 3] == round(0.6 * 255)).all()


def evidence(query: bool = True) -> Evidence:
    """Three levels, each with its mass in another corner, over a part of the images."""
    maps = []
    for level, side in enumerate((8, 6, 4)):
        held = np.zeros((side, side), np.float32)
        held[0 if level < 2 else -1, 0 if level == 0 else -1] = 0.1
        maps.append(held)
    return Evidence(tuple(maps) if query else (), tuple(maps), (10, 5, 90, 65) if query else None, (0, 0, 60, 60))


LEVELS = ("low", "middle", "high")


def test_every_level_has_an_overlay_on_both_sides() -> None:
    found = level_overlays(evidence(), LEVELS, (60, 60), (100, 70), side=120)
    assert list(found.query) == list(found.case) == ["all", *LEVELS]
    assert {image.size for image in found.case.values()} == {(120, 120)}
    assert {image.size for image in found.query.values()} == {(120, 84)}
    corners = {"low": (2, 2), "middle": (2, 117), "high": (117, 117)}
    for name, image in found.case.items():
        alpha = np.asarray(image)[..., 3]
        for level, place in corners.items():
            assert (alpha[place] < 100) == (name in {level, "all"}), (name, level)
    assert np.asarray(found.query["low"])[0, 0, 3] == round(0.6 * 255), "outside the box nothing was looked at"


def test_a_query_of_words_has_no_overlay() -> None:
    found = level_overlays(evidence(query=False), LEVELS, (60, 60))
    assert not found.query
    assert len(found.case) == 4


def test_overlays_are_small_png_files() -> None:
    found = level_overlays(evidence(), LEVELS, (6000, 4000), (100, 70), side=LONGEST_SIDE)
    written = png(found.case["all"])
    again = Image.open(io.BytesIO(written))
    assert (again.format, again.mode, again.size) == ("PNG", "RGBA", (1024, 683))
    np.testing.assert_array_equal(np.asarray(again), np.asarray(found.case["all"]))


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="between 1 and 1024 pixels, got 1025"):
        level_overlays(evidence(), LEVELS, (60, 60), (100, 70), side=1025)
    with pytest.raises(ValueError, match="3 maps of evidence do not fit the levels low, high"):
        level_overlays(evidence(), ("low", "high"), (60, 60), (100, 70))
    with pytest.raises(ValueError, match="size of the query's image"):
        level_overlays(evidence(), LEVELS, (60, 60))


def test_a_later_page_of_a_ranking_keeps_its_evidence(base: CaseBase, cases: Sequence[Case]) -> None:
    result = base.search(image=cases[0].image, top_k=6)
    page = replace(result, hits=result.hits[4:], evidence=(evidence(), evidence(query=False)))
    assert of_hit(page, 5, (60, 60), 40) is not None
    assert of_hit(page, 6, (60, 60), 40) is not None


@pytest.mark.slow
def test_levels_of_the_real_model_add_up_to_the_local_similarity(tmp_path: Path) -> None:
    synthesize(tmp_path / "cases", n=3, size=(96, 96), workers=1)
    own = list(read_cases(tmp_path / "cases" / "cases.csv"))
    base = CaseBase.create(tmp_path / "base", "demo")
    base.add(own)
    result = base.explain(base.search(image=own[0].image, checklist={"streaks": "irregular"}, top_k=2))
    for hit, found in zip(result.hits, result.evidence, strict=True):
        assert sum(float(level.sum()) for level in found.case) == pytest.approx(hit.local, abs=1e-3)
        sizes = [load_image(source).size for source in (hit.case.image, own[0].image)]
        drawn = level_overlays(found, result.base.levels, *sizes)
        assert list(drawn.case) == ["all", *base.manifest.levels]
