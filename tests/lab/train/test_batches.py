"""Draws, decoded pixels and augmentation."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from dermquery.data.image import ImageError
from dermquery.lab.network.normalise import normalise
from dermquery.lab.train.batches import Augment, BalancedBatches, cache_pixels
from dermquery.lab.train.config import AugmentConfig
from dermquery.model.architecture import VisionConfig
from dermquery.model.pixels import prepare_pixels
from tests.tiny import noise_cases

LABELS = [0] * 90 + [1] * 9 + [2] * 21


@pytest.mark.parametrize(("balance", "share"), [(0.0, 9 / 120), (1.0, 1 / 3)])
def test_classes_are_drawn_in_the_wanted_shares(balance: float, share: float) -> None:
    sampler = BalancedBatches(LABELS, 12, balance, seed=0)
    drawn = Counter[int]()
    for epoch in range(60):
        sampler.set_epoch(epoch)
        drawn.update(LABELS[i] for batch in sampler for i in batch)
    assert drawn.total() == 60 * 120
    assert drawn[1] / drawn.total() == pytest.approx(share, abs=0.03)


def test_every_image_of_a_class_comes_before_any_comes_again() -> None:
    batches = [i for batch in BalancedBatches(LABELS, 10, 0.0, seed=3) for i in batch]
    large = Counter(i for i in batches if LABELS[i] == 0)
    assert max(large.values()) - min(large.get(i, 0) for i in range(90)) <= 1


def test_draws_depend_on_seed_epoch_and_rank_alone() -> None:
    def draws(seed: int = 0, epoch: int = 0, rank: int = 0) -> list[list[int]]:
        sampler = BalancedBatches(LABELS, 8, 0.5, seed, rank=rank, world=2)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert draws() == draws()
    assert len({str(d) for d in (draws(), draws(seed=1), draws(epoch=1), draws(rank=1))}) == 4
    assert len(draws()) == 120 // 16


def test_too_few_images_for_a_batch_names_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"5 training images .* batch of 8; lower train.batch_size"):
        BalancedBatches([0] * 5, 8, 0.5, 0)


def test_cached_pixels_are_the_prepared_ones_and_follow_a_changed_file(tmp_path: Path) -> None:
    cases, config = noise_cases(tmp_path / "images", 3), VisionConfig(image_size=56)
    pixels = cache_pixels(cases, config, tmp_path / "cache")
    assert pixels.shape == (3, 64, 64, 3)
    np.testing.assert_array_equal(pixels[1], prepare_pixels(cases[1].image, config))
    stamp = next((tmp_path / "cache").glob("*.npy")).stat().st_mtime_ns
    cache_pixels(cases, config, tmp_path / "cache")
    assert [p.stat().st_mtime_ns for p in (tmp_path / "cache").glob("*.npy")] == [stamp], "decoded once"
    os.utime(cases[1].image, ns=(1, 1))
    cache_pixels(cases, config, tmp_path / "cache")
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_validation_and_search_give_the_network_the_same_pixels(tmp_path: Path) -> None:
    """An image resized once instead of twice is sharper than those trained on, and that alone cost .03 of mAP."""
    cases, config = noise_cases(tmp_path / "images", 2), VisionConfig(image_size=56)
    cached = torch.from_numpy(np.array(cache_pixels(cases, config, tmp_path / "cache")))
    decoded = torch.from_numpy(np.stack([prepare_pixels(case.image, config) for case in cases]))
    validated = Augment(config, AugmentConfig()).eval()(cached)
    assert validated.shape == (2, 3, 56, 56)
    assert torch.equal(validated, normalise(decoded, config))


def test_an_image_that_cannot_be_decoded_leaves_no_cache(tmp_path: Path) -> None:
    cases = noise_cases(tmp_path / "images", 3)
    cases[2].image.write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"002\.png"):
        cache_pixels(cases, VisionConfig(image_size=56), tmp_path / "cache")
    assert list((tmp_path / "cache").glob("pixels-????????????????????????.npy")) == []


def test_augmentation_changes_training_images_only_and_stays_in_range() -> None:
    vision = VisionConfig(image_size=56, mean=(0, 0, 0), std=(1, 1, 1))
    augment = Augment(vision, AugmentConfig())
    pixels = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
    plain = augment.eval()(pixels)
    torch.testing.assert_close(plain, augment(pixels))
    torch.manual_seed(0)
    changed = augment.train()(pixels)
    assert changed.shape == plain.shape == (4, 3, 56, 56)
    assert not torch.allclose(changed, plain)
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1
