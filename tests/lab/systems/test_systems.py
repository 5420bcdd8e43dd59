"""Baselines: each beats chance on cases that it can solve, and says so where it cannot."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from dermquery.data.case import Case
from dermquery.lab.evaluate.metrics import mean_average_precision
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.systems.checklist_regression import ChecklistCosine, ChecklistRegression, one_hot
from dermquery.lab.systems.composed import ComposedRanker, case_query, query_parts
from dermquery.lab.systems.diagnosed import TEMPERATURES, DiagnosedGallery
from dermquery.lab.systems.frozen import FrozenFeatures
from dermquery.lab.systems.ranker import Ranker
from dermquery.model.architecture import VisionConfig
from tests.tiny import noise_cases, tiny_model


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    return noise_cases(tmp_path_factory.mktemp("images"), 45)


def mean_ap(ranker: Ranker, queries: list[Case], gallery: list[Case]) -> float:
    return mean_average_precision(rank(ranker.score(queries, gallery), queries, gallery).same())


def test_baselines_beat_chance(cases: list[Case]) -> None:
    training, test = cases[:30], cases[30:]
    for ranker, floor in (
        (ChecklistCosine(), 0.5),
        (ChecklistRegression(), 0.9),
        (FrozenFeatures(VisionConfig(image_size=64)), 0.6),
    ):
        ranker.fit(training, [])
        assert mean_ap(ranker, test, test) > floor, ranker.name


def test_checklist_cosine_is_the_cosine_of_indicators(cases: list[Case]) -> None:
    a, b = one_hot(cases[:2])
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert ChecklistCosine().score(cases[:1], cases[1:2])[0, 0] == pytest.approx(expected)
    assert one_hot(cases).sum(axis=1).tolist() == [7.0] * len(cases)


def test_a_case_without_checklist_scores_zero(cases: list[Case]) -> None:
    bare = cases[0].model_copy(update={"checklist": {}})
    assert ChecklistCosine().score([bare], cases[:3]).tolist() == [[0.0, 0.0, 0.0]]


def test_regression_names_a_label_that_it_never_saw(cases: list[Case]) -> None:
    ranker = ChecklistRegression()
    ranker.fit([c for c in cases if c.diagnosis != "bkl"], [])
    with pytest.raises(ValueError, match="no case of bkl"):
        ranker.score(cases[:1], cases)


def test_parts_of_one_model_share_the_gallery_and_differ(cases: list[Case], tmp_path: Path) -> None:
    composed = ComposedRanker(tiny_model(tmp_path))
    scores = {
        part: composed.variant(parts=query_parts(part)).score(cases[:3], cases)
        for part in ("composed", "image only", "text only")
    }
    assert all(s.shape == (3, 45) for s in scores.values())
    assert not np.allclose(scores["composed"], scores["image only"])
    assert not np.allclose(scores["image only"], scores["text only"])
    assert len(composed._known) == 45 + 3 * 3


def test_known_diagnoses_are_ranked_by_the_vote_of_the_training_cases(cases: list[Case], tmp_path: Path) -> None:
    composed = ComposedRanker(tiny_model(tmp_path))
    ranker = DiagnosedGallery(composed)
    training, validation, test = cases[:24], cases[24:30], cases[30:]
    ranker.fit(training, validation)
    votes = []
    for scores in composed.score(test, training):
        sums = dict.fromkeys(ranker.labels, 0.0)
        for case, score in zip(training, scores, strict=True):
            sums[str(case.diagnosis)] += math.exp(float(score) / ranker.temperature)
        votes.append([sums[label] / sum(sums.values()) for label in ranker.labels])
    np.testing.assert_allclose(ranker.chances(test), votes, rtol=1e-4)
    losses = []
    for ranker.temperature in TEMPERATURES:
        losses.append(-np.mean([math.log(c[ranker.labels.index(str(case.diagnosis))])
                                for c, case in zip(ranker.chances(validation), validation, strict=True)]))  # fmt: skip
    ranker.fit(training, validation)
    assert ranker.temperature == TEMPERATURES[int(np.argmin(losses))]
    similarity = composed.score(test, test)
    for chances, alike, row in zip(votes, similarity, rank(ranker.score(test, test), test, test).order, strict=True):
        placed = [(-chances[ranker.labels.index(str(test[i].diagnosis))], -alike[i]) for i in row if i >= 0]
        assert placed == sorted(placed)


def test_a_diagnosis_of_small_chance_is_never_ranked_into_one_of_smaller(
    cases: list[Case], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ranker = DiagnosedGallery(ComposedRanker(tiny_model(tmp_path)))
    ranker.fit(cases[:24], [])
    chances = np.array([[1 - 3e-7 - 1e-8, 3e-7, 1e-8]])
    monkeypatch.setattr(ranker, "_votes", lambda scores, temperature: chances.repeat(len(scores), axis=0))
    test = cases[24:]
    for row in rank(ranker.score(test, test), test, test).order:
        placed = [ranker.labels.index(str(test[i].diagnosis)) for i in row if i >= 0]
        assert placed == sorted(placed)


def test_known_diagnoses_name_a_label_that_has_no_vote(cases: list[Case], tmp_path: Path) -> None:
    ranker = DiagnosedGallery(ComposedRanker(tiny_model(tmp_path)))
    ranker.fit([c for c in cases if c.diagnosis != "bkl"], [])
    with pytest.raises(ValueError, match="no case of bkl"):
        ranker.score(cases[:1], cases)


def test_the_parts_of_the_score_mix_to_the_score_at_each_local_weight(cases: list[Case], tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    parts = ComposedRanker(model).similarities(cases[:3], cases)
    for weight in (0.0, 0.6, 1.0):
        scores = ComposedRanker(model, local_weight=weight).score(cases[:3], cases)
        np.testing.assert_allclose(weight * parts["local"] + (1 - weight) * parts["global"], scores, atol=1e-6)
    assert not np.allclose(parts["local"], parts["global"])


def test_parts_of_a_query() -> None:
    case = Case(case_id="a", image=Path("a.jpg"), text="nodular", checklist={"streaks": "absent"})
    assert case_query(case, "image only").sentence is None
    assert case_query(case, "text only").image is None
    assert case_query(case).sentence == "Streaks: absent. nodular"
    with pytest.raises(ValueError, match="composed, image only, text only"):
        query_parts("both")


def test_score_before_fit_says_so() -> None:
    with pytest.raises(RuntimeError, match="fit the ranker"):
        ComposedRanker(lambda training, validation: tiny_model(Path())).score([], [])
