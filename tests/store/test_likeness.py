from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dermquery.data.case import Case
from dermquery.data.image import load_image
from dermquery.model.alignment import BlockLayout, Vectors
from dermquery.model.parts import PartLayout, Weights
from dermquery.store.casebase import CaseBase
from dermquery.store.likeness import UNLIKE_QUANTILE, Likeness, encode_alone
from dermquery.store.sample import sample_rows
from tests.store.conftest import draw_lesion
from tests.store.encoder import ProjectionEncoder

LAYOUT = PartLayout(BlockLayout(("low", "high"), 5), diagnoses=3, look=4)


def unit(raw: np.ndarray) -> Vectors:
    """Numbers as vectors of images alone."""
    vectors = np.asarray(raw, np.float32)
    return LAYOUT.normalised(vectors, np.ones_like(vectors))


def named(n: int, lesions: int | None = None) -> list[Case]:
    return [
        Case(case_id=f"{i:04d}", image=Path("x.png"), lesion_id=None if lesions is None else f"l{i % lesions}")
        for i in range(n)
    ]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 1), st.integers(2, 12))
def test_best_scores_are_those_of_a_plain_loop(seed: int, local_weight: float, look: float, lesions: int) -> None:
    weights = Weights(meaning=1, local_weight=local_weight, look=look, findings=2, posterior=0.5)
    images = weights.model_copy(update={"findings": 0.0})
    rng = np.random.default_rng(seed)
    cases, vectors = named(20, lesions), unit(rng.normal(size=(20, LAYOUT.size)))
    found = Likeness.of_vectors(cases, vectors, LAYOUT).best_scores(weights)
    expected = sorted(
        max(
            float(LAYOUT.score(vectors[i : i + 1], vectors[j : j + 1], images)[0, 0])
            for j in range(20)
            if not cases[i].same_lesion(cases[j])
        )
        for i in range(20)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("local_weight", [0.0, 0.6, 1.0])
def test_queries_of_the_same_kind_are_called_unlike_as_often_as_the_quantile_says(local_weight: float) -> None:
    rates = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        drawn = unit(rng.normal(size=(1200, LAYOUT.size)) + 1.5)
        likeness = Likeness.of_vectors(named(400), drawn[:400], LAYOUT)
        rates.append(
            np.mean(
                [
                    likeness.judge(vector, Weights(meaning=1, local_weight=local_weight)) is not None
                    for vector in drawn[400:]
                ]
            )
        )
    assert 0.4 * UNLIKE_QUANTILE < np.mean(rates) < 2.5 * UNLIKE_QUANTILE


def test_what_lies_elsewhere_is_called_unlike() -> None:
    rng = np.random.default_rng(0)
    likeness = Likeness.of_vectors(named(300), unit(rng.normal(size=(300, LAYOUT.size)) + 3), LAYOUT)
    warning = likeness.judge(unit(rng.normal(size=(1, LAYOUT.size)) - 3)[0])
    assert warning is not None
    assert warning.percentile == 0
    assert warning.value < warning.threshold
    assert "none of the base's own cases" in warning.message
    assert f"{warning.threshold:.2f}" in warning.message
    assert warning.to_dict()["kind"] == "unlike the base"


def test_a_small_base_says_nothing(base: CaseBase) -> None:
    far = -np.asarray(base.store.get(["case-000"])["case-000"].vector)
    assert Likeness.of(base).judge(far) is None


def test_an_empty_base(tmp_path: Path) -> None:
    likeness = Likeness.of(CaseBase.create(tmp_path / "base", ProjectionEncoder()))
    assert likeness.best_scores().shape == (0,)
    assert likeness.judge(np.ones(64, np.float32)) is None


def test_cases_of_one_lesion_only(tmp_path: Path) -> None:
    likeness = Likeness.of_vectors(named(5, 1), unit(np.random.default_rng(0).normal(size=(5, LAYOUT.size))), LAYOUT)
    assert likeness.best_scores().size == 0


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    folder = tmp_path_factory.mktemp("many")
    return [
        Case(case_id=f"m{i:03d}", image=draw_lesion(folder / f"{i}.png", i), checklist={"streaks": "irregular"})
        for i in range(130)
    ]


def test_images_are_judged_alone_in_a_real_base(tmp_path: Path, many: Sequence[Case]) -> None:
    base = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    base.add(many)
    likeness = Likeness.of(base)
    alone = ProjectionEncoder().encode_case([load_image(case.image) for case in many])
    part = base.manifest.layout.slices["blocks"]
    np.testing.assert_allclose(likeness.cases[:, part], alone[:, part], atol=1e-3)
    noise = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    assert likeness.judge(encode_alone(base, Image.fromarray(noise))) is not None
    assert likeness.judge(encode_alone(base, many[3].image)) is None


def test_the_sample_depends_on_the_ids_alone(tmp_path: Path, many: Sequence[Case]) -> None:
    forth, back = (CaseBase.create(tmp_path / name, ProjectionEncoder()) for name in ("forth", "back"))
    forth.add(many, batch_size=40)
    back.add(many[::-1], batch_size=9)
    chosen = [row.case.case_id for row in sample_rows(forth.store, 50)]
    assert chosen == [row.case.case_id for row in sample_rows(back.store, 50)] == sorted(chosen)
    assert len(chosen) == 50
    back.delete(chosen[:1])
    after = {row.case.case_id for row in sample_rows(back.store, 50)}
    assert len(after - set(chosen)) == 1
    assert len(sample_rows(forth.store, 1000)) == 130
