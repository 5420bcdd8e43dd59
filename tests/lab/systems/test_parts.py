"""Parts of the baselines against something independent: snfpy's example, slow loops, closed forms."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import spectral_clustering
from sklearn.metrics import v_measure_score

from dermquery.data.case import Case
from dermquery.lab.evaluate.metrics import mean_average_precision
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.systems.config import FusionConfig, SNFConfig
from dermquery.lab.systems.crn import words_at_positions
from dermquery.lab.systems.dahnet import balanced_similarity, coordinate_descent
from dermquery.lab.systems.maskrcnn_fusion import MaskRCNNFusion, lesion_box, lesion_mask, texture
from dermquery.lab.systems.snf_dca import SNFDCA, fused_network
from dermquery.model.architecture import VisionConfig
from tests.tiny import noise_cases


def test_fusion_finds_the_groups_of_snfpys_own_example() -> None:
    folder = Path(str(resources.files("snf") / "tests" / "data" / "sim"))
    channels = [np.loadtxt(folder / f"data{i}.csv") for i in (1, 2)]
    truth = np.loadtxt(folder / "label.csv")
    fused = fused_network(channels, SNFConfig())
    found = spectral_clustering(fused, n_clusters=2, random_state=0)
    assert v_measure_score(truth, found) > 0.95, "its documentation: the fused network separates the two groups"
    np.testing.assert_allclose(fused, fused.T)


def test_fusion_is_the_published_iteration() -> None:
    """Wang et al. 2014, equations 1 to 7, in loops, on a small network."""
    rng = np.random.default_rng(0)
    channels = [rng.normal(size=(12, 3)), rng.normal(size=(12, 4))]
    config = SNFConfig(neighbours=4, steps=3)
    np.testing.assert_allclose(fused_network(channels, config), slow_fusion(channels, config), rtol=1e-6)


def slow_fusion(channels: list[Any], config: SNFConfig) -> Any:
    weights = [slow_affinity(channel, config) for channel in channels]
    n = len(weights[0])
    status = []
    for w in weights:
        w = w / w.sum(axis=1, keepdims=True)
        status.append((w + w.T) / 2)
    kernels = []
    for p in status:
        s = np.zeros_like(p)
        for i in range(n):
            for j in np.argsort(-p[i])[: config.neighbours]:
                s[i, j] = p[i, j]
        kernels.append(s / s.sum(axis=1, keepdims=True))
    total = sum(status)
    for _ in range(config.steps):
        for v in range(len(status)):
            spread = kernels[v] @ (total - status[v]) @ kernels[v].T / (len(status) - 1)
            spread = spread + np.eye(n)
            status[v] = (spread + spread.T) / 2
        total = sum(status)
    total = total / len(status)
    total = total / total.sum(axis=1, keepdims=True)
    return (total + total.T + np.eye(n)) / 2


def slow_affinity(channel: Any, config: SNFConfig) -> Any:
    z = (channel - channel.mean(axis=0)) / channel.std(axis=0, ddof=1)
    n = len(z)
    distance = np.array([[((a - b) ** 2).sum() for b in z] for a in z])
    near = np.sort(distance, axis=1)[:, 1 : config.neighbours + 1].mean(axis=1)
    w = np.empty((n, n))
    for i in range(n):
        for j in range(n):
            sigma = config.mu * (near[i] + near[j] + distance[i, j]) / 3
            w[i, j] = np.exp(-(distance[i, j] ** 2) / (2 * sigma**2)) / (sigma * np.sqrt(2 * np.pi))
    return w


class _Colours:
    """Stands for the trained classifier: its feature is the mean colour."""

    name, bytes_per_case, train_seconds = "colours", 12, 1.0

    def fit(self, training: list[Case], validation: list[Case]) -> None:
        pass

    def encoded(self, cases: list[Case], role: str) -> Any:
        from PIL import Image

        return np.array([np.asarray(Image.open(c.image)).mean(axis=(0, 1)) for c in cases], np.float32)


def test_snf_dca_ranks_by_community_and_no_query_sees_another(tmp_path: Path) -> None:
    cases = noise_cases(tmp_path, 48)
    ranker = SNFDCA(_Colours(), SNFConfig(neighbours=5, communities=3))  # type: ignore[arg-type]
    ranker.fit(cases[:30], [])
    scores = ranker.score(cases[30:], cases)
    assert mean_average_precision(rank(scores, cases[30:], cases).same()) > 0.8
    np.testing.assert_array_equal(ranker.score(cases[33:34], cases), scores[3:4])
    assert np.isneginf(scores[0, 30]), "its own case is taken out of the network"
    chosen = SNFDCA(_Colours(), SNFConfig(neighbours=5))  # type: ignore[arg-type]
    chosen.fit(cases[:30], [])
    assert 2 <= chosen._communities <= 8


def test_codes_by_coordinate_descent_equal_a_slow_loop_and_lower_the_objective() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (14,), generator=generator)
    outputs = torch.randn(14, 6, generator=generator).tanh()
    start = torch.randint(0, 2, (14, 6), generator=generator).float() * 2 - 1
    similarity = balanced_similarity(labels, labels)
    assert similarity.sum().item() == pytest.approx(0, abs=1e-4)

    def objective(codes: torch.Tensor) -> float:
        value = 0.0
        for i in range(14):
            for j in range(14):
                value += float((6 * similarity[i, j] - outputs[i] @ codes[j]) ** 2)
            value += 2.5 * float(((codes[i] - outputs[i]) ** 2).sum())
        return value

    slow = start.clone()
    for _ in range(2):
        for bit in range(6):
            # All cases' bits of one column are independent given the other columns: try both signs of each.
            for case in range(14):
                values = {}
                for sign in (-1.0, 1.0):
                    slow[case, bit] = sign
                    values[sign] = objective(slow)
                slow[case, bit] = min(values, key=lambda sign: values[sign])
    fast = coordinate_descent(start, outputs, similarity, 2.5, 2)
    assert torch.equal(fast, slow)
    assert objective(fast) < objective(start)
    assert set(fast.unique().tolist()) == {-1.0, 1.0}


def test_inner_products_of_codes_are_hamming_distances() -> None:
    codes = torch.randint(0, 2, (5, 12), generator=torch.Generator().manual_seed(1)) * 2 - 1
    for a in codes:
        for b in codes:
            differ = sum(int(x != y) for x, y in zip(a.tolist(), b.tolist(), strict=True))
            assert int(a @ b) == 12 - 2 * differ


def test_words_at_positions_is_attention_in_a_loop() -> None:
    generator = torch.Generator().manual_seed(0)
    image, words = torch.randn(2, 5, 4, generator=generator), torch.randn(2, 3, 4, generator=generator)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    read = words_at_positions(image, words, mask, 7.0)
    for b in range(2):
        for p in range(5):
            logits = [float(image[b, p] @ words[b, t]) / 7.0 if mask[b, t] else -np.inf for t in range(3)]
            shares = np.exp(logits) / np.exp(logits).sum()
            expected = sum(s * words[b, t].numpy() for t, s in enumerate(shares))
            np.testing.assert_allclose(read[b, p].numpy(), expected, rtol=1e-5)


def disc(side: int, radius: float, at: tuple[float, float]) -> Any:
    rows, columns = np.mgrid[:side, :side]
    return (rows - at[0]) ** 2 + (columns - at[1]) ** 2 <= radius**2


def test_texture_of_a_flat_disc_has_its_closed_form() -> None:
    config = FusionConfig(side=160)
    inside = disc(160, 80, (80, 80))
    patterns, moments, haralick = texture(np.full((160, 160, 3), 255, np.uint8), inside, config)
    for radius in range(3):
        shares = patterns[10 * radius : 10 * radius + 10]
        assert shares[8] > 0.95, "flat: no neighbour is darker than the middle"
        assert shares.sum() == pytest.approx(1)
    assert moments[0] == pytest.approx(1 / np.pi, rel=1e-3), "Z00 of a disc of unit mass"
    assert np.abs(moments[1:]).max() < 0.01, "all others integrate to zero over the disc"
    assert haralick[:2] == pytest.approx([1.0, 0.0]), "one grey level: energy 1, contrast 0"
    stripes = np.zeros((160, 160, 3), np.uint8)
    stripes[:, ::2] = 255
    contrast = texture(stripes, inside, config)[2][1]
    assert contrast == pytest.approx(63**2 * 3 / 4, rel=0.02), "all neighbours differ by 63, save the vertical ones"


def test_the_lesion_is_found_and_a_flat_image_is_kept_whole() -> None:
    pixels = np.full((200, 260, 3), 200, np.uint8)
    truth = np.zeros((200, 260), np.bool_)
    truth[60:140, 90:190] = True
    pixels[truth] = (90, 60, 50)
    pixels[5:15, 5:15] = 20  # a dark corner is not the lesion
    mask = lesion_mask(pixels)
    assert (mask & truth).sum() / (mask | truth).sum() > 0.95
    left, top, right, bottom = lesion_box(mask)
    assert (left, top, right, bottom) == pytest.approx((90 - 13, 60 - 10, 190 + 13, 140 + 10), abs=2)
    assert lesion_mask(np.full((50, 60, 3), 7, np.uint8)).all()


def test_fusion_of_deep_and_textural_features_beats_chance(tmp_path: Path) -> None:
    cases = noise_cases(tmp_path, 36)
    ranker = MaskRCNNFusion(VisionConfig(image_size=64), FusionConfig(side=64))
    ranker.fit(cases[:24], [])
    scores = ranker.score(cases[24:], cases)
    assert mean_average_precision(rank(scores, cases[24:], cases).same()) > 0.42, (
        "noise without a lesion; chance is .36"
    )
    assert ranker.bytes_per_case == 4 * (1280 + 30 + 25 + 13)
    assert np.allclose(np.diag(ranker.score(cases[:3], cases[:3])), 1)
