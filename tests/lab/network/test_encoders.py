"""Foundation models as encoders: what they give is what the published classes compute, and they can be shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from dermquery.lab.config import load_config
from dermquery.lab.network.encoders import preprocessing_of
from dermquery.lab.network.hub import WeightsUnavailableError
from dermquery.lab.network.text import build_text_encoder
from dermquery.lab.network.vision import build_backbone
from dermquery.model.architecture import TextConfig, VisionConfig
from tests.lab.network.vits import KINDS, LAYERS, MEAN, PATCH, POSITIONS, SIDE, STD, WIDTH, independent, vit_folder

GRID = SIDE // PATCH


def pixels(n: int = 2, side: int = SIDE) -> torch.Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
def test_levels_are_the_tokens_that_the_published_class_computes(tmp_path: Path, kind: str) -> None:
    folder = vit_folder(tmp_path, kind)
    backbone = build_backbone(VisionConfig(backbone=str(folder), image_size=SIDE)).eval()
    assert backbone.channels == (WIDTH, WIDTH, WIDTH)
    with torch.inference_mode():
        found = backbone(pixels())
    for level, tokens in zip(found, independent(folder, kind, pixels(), (2, 3, LAYERS)), strict=True):
        assert level.shape == (2, WIDTH, GRID, GRID)
        for row in range(GRID):
            for column in range(GRID):
                expected = tokens[:, tokens.shape[1] - GRID * GRID + row * GRID + column]
                torch.testing.assert_close(level[:, :, row, column], expected, atol=1e-5, rtol=1e-4)


def test_layers_can_be_chosen_and_later_ones_are_left_out(tmp_path: Path) -> None:
    folder = vit_folder(tmp_path, "ViTModel")
    config = VisionConfig(backbone=str(folder), image_size=SIDE, layers=(1, 2, 3))
    backbone = build_backbone(config).eval()
    with torch.inference_mode():
        found = backbone(pixels())
    for level, tokens in zip(found, independent(folder, "ViTModel", pixels(), (1, 2, 3)), strict=True):
        torch.testing.assert_close(level.flatten(2).transpose(1, 2), tokens[:, 1:], atol=1e-5, rtol=1e-4)
    assert not [name for name, _ in backbone.named_parameters() if f"layers.{LAYERS - 1}." in name]
    for wrong in ((2, 2, 3), (1, 2, LAYERS + 1)):
        with pytest.raises(ValueError, match=r"layers.*4 layers; name 3 of them"):
            build_backbone(config.model_copy(update={"layers": wrong}))


@pytest.mark.parametrize("kind", ["ViTModel", "Dinov2Model", "CLIPVisionModel", "SiglipVisionModel"])
def test_positions_are_fitted_to_another_size_as_the_network_does_it(tmp_path: Path, kind: str) -> None:
    import transformers

    folder = vit_folder(tmp_path, kind)
    side = SIDE + 2 * PATCH
    backbone = build_backbone(VisionConfig(backbone=str(folder), image_size=side)).eval()
    own = getattr(transformers, kind).from_pretrained(folder).eval()
    how = {} if kind == "Dinov2Model" else {"interpolate_pos_encoding": True}
    with torch.inference_mode():
        found = backbone(pixels(side=side))
        expected = own(pixel_values=pixels(side=side), **how).last_hidden_state
        if kind == "CLIPVisionModel":
            expected = own.post_layernorm(expected)
    n = side // PATCH
    torch.testing.assert_close(found[-1].flatten(2).transpose(1, 2), expected[:, -n * n :], atol=1e-5, rtol=1e-4)


def test_frozen_layers_get_no_gradient(tmp_path: Path) -> None:
    config = VisionConfig(backbone=str(vit_folder(tmp_path, "Dinov2Model")), image_size=SIDE, frozen_stages=3)
    trained = {name for name, p in build_backbone(config).named_parameters() if p.requires_grad}
    assert trained
    assert all(f"layer.{LAYERS - 1}." in name or "layernorm" in name for name in trained)


def test_a_configuration_takes_mean_std_and_size_from_the_folder(tmp_path: Path) -> None:
    folder = vit_folder(tmp_path / "clip", "CLIPModel")
    assert preprocessing_of(str(folder)) == {"mean": MEAN, "std": STD, "image_size": SIDE}
    named = f"model.vision.backbone={folder}"
    vision = load_config("lite", (named,)).model.vision
    assert (vision.mean, vision.std, vision.image_size) == (MEAN, STD, SIDE)
    vision = load_config(
        "paper", (named, "model.vision.image_size=64", "model.vision.std=[0.5, 0.5, 0.5]")
    ).model.vision
    assert (vision.mean, vision.std, vision.image_size) == (MEAN, (0.5, 0.5, 0.5), 64)
    config = tmp_path / "own.toml"
    config.write_text(f'[model.vision]\nbackbone = "{folder}"\nmean = [0.1, 0.1, 0.1]\n')
    vision = load_config(config).model.vision
    assert (vision.mean, vision.std) == ((0.1, 0.1, 0.1), STD)


def test_configurations_of_before_keep_their_hash_and_values() -> None:
    lite = load_config("lite")
    assert (lite.model.vision.image_size, lite.model.vision.mean) == (224, (0.498, 0.498, 0.498))
    assert "layers" not in lite.model_dump(mode="json", exclude_none=True)["model"]["vision"]


@pytest.mark.parametrize("kind", ["CLIPModel", "SiglipModel"])
def test_the_text_tower_encodes_each_sentence_as_the_published_class_does(tmp_path: Path, kind: str) -> None:
    import transformers

    folder = vit_folder(tmp_path, kind)
    encoder = build_text_encoder(TextConfig(encoder=str(folder), max_tokens=40)).eval()
    long = "pigment network: atypical, blue-whitish veil: present - streaks: irregular - network: typical."
    with torch.inference_mode():
        states, mask = encoder(["streaks: absent.", "network: typical. streaks: irregular.", long])
    tower = getattr(transformers, kind).from_pretrained(folder).eval().text_model
    with torch.inference_mode():
        ids = torch.tensor([encoder.tokenizer.encode("streaks: irregular.").ids])
        expected = tower(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
    first = len(encoder.tokenizer.encode("network: typical.").ids)
    torch.testing.assert_close(states[1, first : first + len(expected)], expected, atol=1e-5, rtol=1e-4)
    assert int(mask[2].sum()) == POSITIONS, "a sentence of more tokens than the tower has positions is cut"
    assert encoder.width == WIDTH


def test_what_is_not_read_is_named_at_once(tmp_path: Path) -> None:
    from transformers import ViTMAEConfig

    ViTMAEConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2).save_pretrained(tmp_path / "mae")
    with pytest.raises(ValueError, match=r"'vit_mae' with the stages.*plain vision transformers are read"):
        build_backbone(VisionConfig(backbone=str(tmp_path / "mae")))
    (tmp_path / "empty").mkdir()
    assert preprocessing_of(str(tmp_path / "empty")) == {}
    with pytest.raises(WeightsUnavailableError, match="empty"):
        build_backbone(VisionConfig(backbone=str(tmp_path / "empty")))
