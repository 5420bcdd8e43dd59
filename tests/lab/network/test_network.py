"""The composed network against the equations, with the same classes as the paper's at a small size."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig

from dermquery.lab.network.hub import WeightsUnavailableError, from_hub
from dermquery.lab.network.network import ComposedNetwork, count_parameters
from dermquery.lab.network.regions import RegionMasks, mask_overlap
from dermquery.lab.network.vision import build_backbone
from dermquery.model.architecture import ComposerConfig, ModelConfig, TextConfig, VisionConfig
from tests.lab.reference import scores
from tests.tiny import bert_folder, swin_folder, tiny_config

TEXTS = ["Pigment network: atypical. Streaks: absent.", None, "Streaks: irregular."]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> ComposedNetwork:
    torch.manual_seed(1)
    return ComposedNetwork(tiny_config(tmp_path_factory.mktemp("tiny"))).eval()


def pixels(n: int, side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
@pytest.mark.parametrize("local_weight", [0.0, 0.3, 0.6, 1.0])
def test_score_equals_a_slow_derivation_from_the_equations(network: ComposedNetwork, local_weight: float) -> None:
    maps, others = network.features(pixels(1)), network.features(pixels(1, seed=1))
    tokens, mask = network.tokens(TEXTS[:1])
    composed = network.composer(maps, tokens, mask)
    query, target = network.queries(maps, TEXTS[:1]), network.targets(others)
    q, t, mq, mt = ([x[0].double().numpy() for x in group] for group in (composed, others, query.masks, target.masks))
    expected = scores.score(scores.local_similarity(q, t, mq, mt), scores.global_similarity(q, t), local_weight)
    actual = network.layout.score(query.blocks.flatten(1).numpy(), target.blocks.flatten(1).numpy(), local_weight)
    assert actual.item() == pytest.approx(expected, abs=1e-5)


@torch.inference_mode()
def test_composed_maps_keep_the_shape_and_targets_are_not_composed(network: ComposedNetwork) -> None:
    maps = network.features(pixels(3))
    composed = network.composer(maps, *network.tokens(TEXTS))
    assert [m.shape for m in composed] == [m.shape for m in maps]
    assert len({m.shape[-1] for m in maps}) == 3, "three different resolutions"
    torch.testing.assert_close(network.targets(maps).blocks, network.targets(maps).blocks)
    assert not torch.allclose(network.queries(maps, TEXTS).blocks, network.targets(maps).blocks)


@torch.inference_mode()
def test_a_batch_gives_what_its_queries_give_alone(network: ComposedNetwork) -> None:
    """Padding of shorter texts and queries without image or text must not change their neighbours."""
    has_image = torch.tensor([True, True, False])
    together = network.queries(network.features(pixels(3)), TEXTS, has_image).blocks
    for i, text in enumerate(TEXTS):
        alone = network.queries(network.features(pixels(3)[i : i + 1]), [text], has_image[i : i + 1]).blocks
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together.norm(dim=-1), torch.ones(3, 6))


@torch.inference_mode()
def test_a_query_without_image_does_not_depend_on_pixels(network: ComposedNetwork) -> None:
    without = torch.tensor([False])
    one = network.queries(network.features(pixels(1, seed=3)), ["Streaks: absent."], without).blocks
    other = network.queries((), ["Streaks: absent."], without).blocks
    torch.testing.assert_close(one, other)


@torch.inference_mode()
def test_order_of_sentences_has_no_effect_when_encoded_by_sentence(network: ComposedNetwork) -> None:
    maps = network.features(pixels(1))
    first = network.queries(maps, ["Streaks: absent. Pigment network: atypical."]).blocks
    second = network.queries(maps, ["Pigment network: atypical. Streaks: absent."]).blocks
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("mask", ["softmax", "sigmoid"])
@pytest.mark.parametrize("frozen", [True, False])
def test_every_trained_parameter_receives_a_gradient(tmp_path: Path, mask: str, frozen: bool) -> None:
    network = ComposedNetwork(tiny_config(tmp_path, frozen=frozen, mask=mask)).train()
    maps = network.features(pixels(4))
    queries = network.queries(maps, [*TEXTS, "Streaks: regular."], torch.tensor([True, True, False, True]))
    targets = network.targets(maps)
    (queries.blocks * targets.blocks.roll(1, 0)).sum().backward()
    missing = [
        name
        for name, p in network.named_parameters()
        if p.requires_grad and (p.grad is None or not bool(p.grad.abs().sum() > 0))
    ]
    # A softmax over keys ignores what all keys share, so the attention's key bias has no gradient by construction;
    # Swin's relative position tables of a 1x1 window likewise.
    assert [n for n in missing if "key.bias" not in n and "k_proj.bias" not in n and "relative_position" not in n] == []
    assert all(not p.requires_grad for p in network.text.encoder.parameters()) == frozen


def test_region_masks_sum_to_one_and_overlap_is_a_cosine() -> None:
    from dermquery.model.architecture import RegionsConfig

    x = torch.randn(2, 8, 5, 5)
    for form in ("softmax", "sigmoid"):
        masks = RegionMasks(8, RegionsConfig(count=4, mask=form))(x)
        torch.testing.assert_close(masks.sum(dim=(2, 3)), torch.ones(2, 4))
    same = torch.full((1, 3, 2, 2), 0.25)
    apart = torch.eye(4).reshape(1, 4, 2, 2)
    assert mask_overlap(same).item() == pytest.approx(1.0)
    assert mask_overlap(apart).item() == pytest.approx(0.0)
    assert mask_overlap(same[:, :1]).item() == 0.0


def test_parameter_counts_are_those_of_the_parts(network: ComposedNetwork) -> None:
    counts = count_parameters(network)
    assert counts["all"] == sum(p.numel() for p in network.parameters())
    assert counts["trained"] == counts["all"] - sum(p.numel() for p in network.text.encoder.parameters())
    assert sum(v for k, v in counts.items() if k not in ("all", "trained")) == counts["all"]


def test_hub_name_that_cannot_be_reached_gives_the_three_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    config = ModelConfig(vision=VisionConfig(backbone="nobody/no-such-swin"))
    with pytest.raises(WeightsUnavailableError, match=r"no-such-swin.*\(1\).*folder.*\(2\).*cache.*\(3\).*lite"):
        ComposedNetwork(config)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("efficientnet_lite0", "no folder and no encoder.*Did you mean 'efficientnet-lite0'"),
        ("Xception-sklesions", "Did you mean 'xception-sklesion'"),
        ("/nowhere/swin", "'/nowhere/swin': there is no such folder"),
        ("./swin", "'./swin': there is no such folder"),
    ],
)
def test_mistyped_backbone_is_no_question_to_the_hub(name: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(WeightsUnavailableError, match=message):
        build_backbone(VisionConfig(backbone=name))


def test_hub_that_has_no_address_is_not_tried_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(*_: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    asked = []

    def load(name: str, **how: bool) -> Any:
        asked.append(how)
        return AutoConfig.from_pretrained(name, **how)

    with pytest.raises(WeightsUnavailableError, match="hf download nobody/no-such-swin"):
        from_hub("nobody/no-such-swin", load)
    assert asked == [{"local_files_only": True}]


def test_backbone_with_too_few_stages_is_refused(tmp_path: Path) -> None:
    from transformers import ResNetConfig

    ResNetConfig(depths=[1, 1], hidden_sizes=[8, 16], embedding_size=8).save_pretrained(tmp_path)
    config = ModelConfig(vision=VisionConfig(backbone=str(tmp_path), pretrained=False))
    with pytest.raises(ValueError, match="three or more"):
        ComposedNetwork(config)


def test_width_must_fit_the_heads(tmp_path: Path) -> None:
    config = ModelConfig(
        width=18,
        vision=VisionConfig(backbone=str(swin_folder(tmp_path / "s")), image_size=64),
        text=TextConfig(encoder=str(bert_folder(tmp_path / "b"))),
        composer=ComposerConfig(heads=4),
    )
    with pytest.raises(ValueError, match=r"18 .* 4 heads"):
        ComposedNetwork(config)


@torch.inference_mode()
def test_minilm_from_its_package_gives_the_golden_sentence_embedding() -> None:
    """Against sentence-transformers' published recipe: mean pooling of MiniLM puts paraphrases together."""
    from dermquery.lab.network.text import build_text_encoder

    encoder = build_text_encoder(TextConfig()).eval()
    tokens, mask = encoder(["A man is eating food.", "A man eats something.", "The stock market fell."])
    pooled = (tokens * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    near, far = (np.float64(torch.cosine_similarity(pooled[0], pooled[i], dim=0)) for i in (1, 2))
    assert near > 0.7 > 0.3 > far
