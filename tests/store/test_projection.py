from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA

from dermquery.data.case import Case
from dermquery.model.parts import PAPER, Weights
from dermquery.model.trained_on import fingerprints, joined
from dermquery.store.casebase import CaseBase
from dermquery.store.projection import _principal_axes, project
from tests.store.encoder import ProjectionEncoder


def test_the_plane_is_that_of_a_singular_value_decomposition(base: CaseBase) -> None:
    """Against NumPy's SVD of the same weighted vectors, up to the sign of the axes."""
    found = project(base, local_weight=0.3)
    rows = base.store.get([point.case_id for point in found.points])
    layout = base.manifest.layout
    vectors = np.stack([rows[point.case_id].vector for point in found.points])
    vectors = vectors * np.sqrt(layout.scales(Weights(meaning=1, local_weight=0.3)))
    centred = vectors - vectors.mean(axis=0)
    u, s, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.array([(point.x, point.y) for point in found.points])
    np.testing.assert_allclose(np.abs(plane), np.abs(u[:, :2] * s[:2]), atol=1e-4)
    np.testing.assert_allclose(found.explained, s[:2] ** 2 / (s**2).sum(), atol=1e-5)


@pytest.mark.parametrize("shape", [(30, 2), (3, 40), (300, 70), (70, 300), (600, 900)])
def test_the_axes_are_those_of_scikit_learn(shape: tuple[int, int]) -> None:
    """Signs and all, for few vectors and many, long and short."""
    rng = np.random.default_rng(0)
    rank = min(*shape, 20)
    vectors = rng.normal(size=(shape[0], rank)) * np.linspace(4, 0.5, rank) @ rng.normal(size=(rank, shape[1]))
    vectors += 0.2 * rng.normal(size=shape) + 3
    axes, explained = _principal_axes(vectors)
    expected = PCA(n_components=2, svd_solver="full").fit(vectors)
    np.testing.assert_allclose(axes, expected.components_, atol=1e-8)
    np.testing.assert_allclose(explained, expected.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_array_equal(axes, _principal_axes(vectors)[0])


def test_axes_that_are_not_there_are_zeros() -> None:
    line = np.outer(np.arange(50.0), np.ones(400))
    axes, explained = _principal_axes(line)
    np.testing.assert_allclose(axes[0], 0.05, rtol=1e-9)
    assert not axes[1].any()
    assert explained == pytest.approx((1, 0))
    assert not _principal_axes(np.ones((50, 400)))[0].any()


def test_distances_before_the_projection_are_those_of_the_score(base: CaseBase) -> None:
    layout = base.manifest.layout
    one, other = (base.store.get([name])[name].vector[None] for name in ("case-000", "case-007"))
    apart = float((((one - other) * np.sqrt(layout.scales(PAPER))) ** 2).sum())
    assert apart == pytest.approx(2 - 2 * float(layout.score(one, other)[0, 0]), abs=1e-3)


@pytest.mark.parametrize("weights", ["paper", "same findings", "meaning=1,findings=.5"])
def test_a_case_is_placed_where_it_lies_and_its_query_beside_it(base: CaseBase, weights: str) -> None:
    found, layout = project(base, weights=weights), base.manifest.layout
    assert found.preset == (weights if "=" not in weights else None)
    for point in found.points[:5]:
        vector = base.store.get([point.case_id])[point.case_id].vector
        assert found.place(vector) == pytest.approx((point.x, point.y), abs=1e-5)
        assert found.place(layout.asking(vector[None])[0]) == pytest.approx((point.x, point.y), abs=1e-5)


def test_the_map_is_always_the_same(base: CaseBase, cases: Sequence[Case], tmp_path: Path) -> None:
    again = CaseBase.create(tmp_path / "again", ProjectionEncoder())
    again.add(cases[::-1], batch_size=5)
    first, second = project(base), project(again)
    assert [point.case_id for point in first.points] == [case.case_id for case in cases]
    assert [point.diagnosis for point in first.points] == [case.diagnosis for case in cases]
    np.testing.assert_allclose([(p.x, p.y) for p in first.points], [(p.x, p.y) for p in second.points], atol=1e-6)
    assert first.to_dict()["points"][0].keys() == {"case_id", "x", "y", "diagnosis", "trained_on"}


def test_the_map_says_which_cases_the_model_was_trained_on(
    base: CaseBase, cases: Sequence[Case], tmp_path: Path
) -> None:
    assert {point.trained_on for point in project(base).points} == {None}, "the model does not say"
    model = ProjectionEncoder()
    model.trained_on = joined(one for case in cases[:7] for one in fingerprints(Image.open(case.image)))
    again = CaseBase.create(tmp_path / "again", model)
    again.add(cases)
    said = [point["trained_on"] for point in project(again).to_dict()["points"]]
    assert said[:7] == [True] * 7
    assert set(said[7:]) == {True, False}, "one of the others is drawn nearly like one of these"


def test_a_sample_of_a_larger_base(base: CaseBase) -> None:
    found = project(base, sample=10)
    assert len(found.points) == 10
    assert found.count == 24


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_cases(tmp_path: Path, cases: Sequence[Case], n: int) -> None:
    small = CaseBase.create(tmp_path / "base", ProjectionEncoder())
    small.add(cases[:n])
    found = project(small)
    assert len(found.points) == n
    assert np.isfinite([(point.x, point.y) for point in found.points]).all()
    assert sum(found.explained) == pytest.approx(0 if n == 1 else 1)


def test_what_cannot_be_mapped(tmp_path: Path, base: CaseBase) -> None:
    with pytest.raises(ValueError, match="holds no case; add some with: dermquery index"):
        project(CaseBase.create(tmp_path / "base", ProjectionEncoder()))
    with pytest.raises(ValueError, match="at least 2 cases, got 1"):
        project(base, sample=1)
    with pytest.raises(ValueError, match="local weight must lie between"):
        project(base, local_weight=2)
