"""Teaching a backbone at a small size, and what a taught one is worth as a start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dermquery.data.case import Case
from dermquery.lab.config import Config
from dermquery.lab.data.folds import FoldCases
from dermquery.lab.data.trained_on import were_trained_on
from dermquery.lab.experiment import held_out, teach, train
from dermquery.lab.experiment.teaching import tune
from dermquery.lab.network.start import EYE, backbone_of, load_start
from dermquery.lab.network.vision import build_backbone
from dermquery.lab.train.batches import BalancedBatches, BesideBatches
from dermquery.lab.train.config import AugmentConfig, TeachConfig, TrainConfig, TuneAugmentConfig, TuneConfig
from dermquery.lab.train.eye import principal_components
from dermquery.lab.train.pooled import PooledFeatures
from dermquery.model.architecture import ModelConfig, VisionConfig
from dermquery.model.artifact import ArtifactError
from tests.tiny import noise_cases, tiny_config

TINY = VisionConfig(image_size=32, pretrained=False)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMQUERY_CACHE", str(tmp_path / "cache"))


def lesions(folder: Path, n: int) -> list[Case]:
    """Photographs of which two each show one lesion."""
    return [c.model_copy(update={"lesion_id": f"l{i // 2}"}) for i, c in enumerate(noise_cases(folder, n))]


@pytest.mark.slow
def test_teaching_learns_and_writes_an_eye_that_a_training_starts_from(tmp_path: Path) -> None:
    cases = lesions(tmp_path / "images", 32)
    config = Config(
        model=ModelConfig(vision=TINY),
        train=TrainConfig(
            epochs=12,
            batch_size=16,
            learning_rate=3e-3,
            average=0,
            precision="32",
            augment=AugmentConfig(rotate=False, crop=1.0, colour=0, blur=0),
        ),
        teach=TeachConfig(teacher="efficientnet-lite0", teacher_size=64, components=8),
    )
    eye = teach(cases, config, tmp_path / "run", name="eye", facts={}, accelerator="cpu")
    copied = np.genfromtxt(tmp_path / "run" / "metrics.csv", delimiter=",", names=True, encoding="utf-8")
    assert copied["traincopy"][-3:].mean() < copied["traincopy"][:3].mean() - 0.1
    assert were_trained_on(eye.trained_on, cases).all()
    first = PooledFeatures(build_backbone(TINY), TINY)(cases)
    taught = PooledFeatures(backbone_of(eye), TINY)(cases)
    assert first.shape == taught.shape
    assert np.abs(first - taught).max() > 1e-3
    again = load_start(str(tmp_path / "run" / "eye"))
    assert again.artifact_hash == eye.artifact_hash
    assert all(torch.equal(value, again.state[name]) for name, value in eye.state.items())
    weights = tmp_path / "run" / "eye" / "backbone.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=EYE):
        load_start(str(tmp_path / "run" / "eye"))


@pytest.mark.slow
def test_tuning_learns_in_the_last_blocks_alone_and_a_second_run_loads_it(tmp_path: Path) -> None:
    cases = noise_cases(tmp_path / "images", 32)
    config = Config(
        teach=TeachConfig(teacher="efficientnet-lite0", teacher_size=64),
        tune=TuneConfig(
            frozen_stages=5,
            epochs=8,
            batch_size=16,
            average=0,
            precision="32",
            augment=TuneAugmentConfig(rotate=False, crop=1.0, colour=0),
        ),
    )
    eye = tune(cases, config, tmp_path / "run", name="tuned", facts={}, accelerator="cpu")
    losses = np.genfromtxt(tmp_path / "run" / "metrics.csv", delimiter=",", names=True, encoding="utf-8")["trainloss"]
    assert losses[-2:].mean() < losses[:2].mean()
    first = build_backbone(VisionConfig(image_size=64, frozen_stages=5)).state_dict()
    changed = {name for name, value in eye.state.items() if not torch.equal(value, first[name])}
    assert changed
    assert all(name.startswith(("stages.5.", "stages.6.", "head.")) for name in changed)
    assert were_trained_on(eye.trained_on, cases).all()
    assert tune(cases, config, tmp_path / "run", name="x", facts={}).artifact_hash == eye.artifact_hash


def test_principal_components_are_those_of_standardised_features() -> None:
    features = np.random.default_rng(0).normal(0, [1, 5, 2, 1], (200, 4)).astype(np.float32)
    features[:, 1] += features[:, 0]
    found = principal_components(features, 4)
    assert (np.diff(found.var(axis=0)) <= 1e-6).all()
    np.testing.assert_allclose(np.corrcoef(found.T), np.eye(4), atol=1e-3)


def test_paired_batches_hold_each_images_sibling() -> None:
    groups = [0, 0, 1, 1, 1, 2, 3, 4, 5, 6]
    batches = BalancedBatches([0] * 5 + [1] * 5, 4, 1.0, seed=0, groups=groups)
    seen = set()
    for batch in batches:
        assert len(batch) == 4
        for one, other in zip(batch[:2], batch[2:], strict=True):
            assert groups[one] == groups[other]
            assert (one == other) == (groups.count(groups[one]) == 1)
            seen.add(one)
    assert len(seen) > 2


def test_every_batch_holds_as_many_images_of_a_further_data_set_and_their_siblings() -> None:
    own, groups = BalancedBatches([0] * 9 + [1] * 3, 4, 0.5, seed=0), [i // 2 for i in range(30)]
    beside = BalancedBatches([0] * 24 + [1] * 6, 4, 0.5, seed=0, groups=groups)
    both = BesideBatches(own, beside, 20)
    seen: set[int] = set()
    for epoch in range(4):
        both.set_epoch(epoch)
        batches = list(both)
        assert [batch[:4] for batch in batches] == list(own)
        assert len(batches) == len(both) == 3
        further = [[i - 20 for i in batch[4:]] for batch in batches]
        assert all(
            groups[a] == groups[b] and a != b for batch in further for a, b in zip(batch[:2], batch[2:], strict=True)
        )
        seen |= {i for batch in further for i in batch}
    assert min(seen) >= 0
    assert max(seen) < 30
    assert len(seen) > 12, "an epoch draws other images than the one before"
    one = BesideBatches(own, BalancedBatches([0, 0, 1, 1], 4, 0.5, seed=0), 12)
    assert len(list(one)) == 3, "a smaller data set comes again"


@pytest.mark.slow
def test_a_further_data_set_is_trained_beside_and_the_teacher_goes_on_teaching(tmp_path: Path) -> None:
    cases, others = noise_cases(tmp_path / "images", 36), lesions(tmp_path / "further", 68)
    others = [c.model_copy(update={"case_id": f"f{c.case_id}", "checklist": {}, "source": "further"}) for c in others]
    config = Config(
        model=tiny_config(tmp_path),
        train=TrainConfig(
            epochs=6, refit=True, batch_size=8, learning_rate=2e-3, average=0, forms="all", image_mix=0.5
        ),
        teach=TeachConfig(teacher="efficientnet-lite0", teacher_size=64, components=8),
    )
    parts = FoldCases(train=cases[:20], validation=cases[20:26], test=cases[26:])
    with pytest.raises(ValueError, match="10 of the 10 test cases of the fold were trained on by 'the further cases'"):
        train(parts, config, tmp_path / "run", name="m", others=others, accelerator="cpu")
    others = others[36:]  # the first show what the cases show
    model = train(parts, config, tmp_path / "run", name="m", others=others, accelerator="cpu")
    logged = np.genfromtxt(tmp_path / "run" / "metrics.csv", delimiter=",", names=True, encoding="utf-8")
    assert logged["traineye_copy"][-1] < logged["traineye_copy"][0]
    assert logged["trainloss"][-1] < logged["trainloss"][0]
    assert were_trained_on(model.trained_on, [*parts.train, *parts.validation, *others]).all()
    assert not were_trained_on(model.trained_on, parts.test).any()
    assert model.provenance["cases"]["further"] == 32
    with pytest.raises(ValueError, match="another further cases"):
        train(parts, config, tmp_path / "run", name="m", others=others[:20], accelerator="cpu")


def test_features_of_a_list_do_not_depend_on_the_list(tmp_path: Path) -> None:
    cases = lesions(tmp_path / "images", 70)
    backbone = build_backbone(TINY).eval()
    whole = PooledFeatures(backbone, TINY)(cases)
    cached = PooledFeatures(backbone, TINY)(cases)
    np.testing.assert_array_equal(whole, cached)
    one = PooledFeatures(backbone, TINY)(cases[5:6])
    np.testing.assert_allclose(one[0], whole[5], rtol=2e-2, atol=2e-2)


def test_the_held_out_part_is_a_rule_on_lesions() -> None:
    cases = [Case(case_id=f"c{i}", image=Path("none"), lesion_id=f"HAM_{i // 3:07d}") for i in range(3000)]
    kept = [held_out(case, 5) for case in cases]
    assert 0.17 < np.mean(kept) < 0.23
    assert all(len({kept[i + j] for j in range(3)}) == 1 for i in range(0, 3000, 3)), "a lesion is kept whole"
