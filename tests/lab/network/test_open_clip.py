"""The open_clip layout, read without that package: against networks written as open_clip and timm have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from dermquery.lab.network.encoders import preprocessing_of
from dermquery.lab.network.text import build_text_encoder
from dermquery.lab.network.vision import build_backbone
from dermquery.model.architecture import TextConfig, VisionConfig
from tests.lab.network.vits import MEAN, POSITIONS, STD, WORDS, tokenizer_of_words

WIDTH, HEAD, DEPTH, SIDE, PATCH = 64, 32, 4, 32, 8
GRID = SIDE // PATCH


class Block(nn.Module):
    """A residual block with the parameter names of open_clip, by PyTorch's own attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        out: Tensor = x + self.mlp["c_proj"](nn.functional.gelu(self.mlp["c_fc"](self.ln_2(x))))
        return out


class Transformer(nn.Module):
    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width, heads) for _ in range(depth))


class Visual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(WIDTH))
        self.positional_embedding = nn.Parameter(torch.randn(1 + GRID * GRID, WIDTH))
        self.ln_pre, self.ln_post = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.transformer = Transformer(WIDTH, WIDTH // HEAD, DEPTH)
        self.proj = nn.Parameter(torch.randn(WIDTH, 16))

    def levels(self, pixels: Tensor) -> list[Tensor]:
        x = self.conv1(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self.positional_embedding
        x, found = self.ln_pre(x), []
        for number, block in enumerate(self.transformer.resblocks, start=1):
            x = block(x)
            if number in (2, 3, 4):
                found.append(self.ln_post(x)[:, 1:])
        return found


class Clip(nn.Module):
    """open_clip's CLIP with its own towers."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = Visual()
        self.token_embedding = nn.Embedding(len(WORDS), WIDTH)
        self.positional_embedding = nn.Parameter(torch.randn(POSITIONS, WIDTH))
        self.transformer = Transformer(WIDTH, 2, 2)
        self.ln_final = nn.LayerNorm(WIDTH)
        self.text_projection = nn.Parameter(torch.randn(WIDTH, 16))
        self.logit_scale = nn.Parameter(torch.tensor(1.0))

    def states(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        causal = torch.full((length, length), -torch.inf).triu(1)
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        for block in self.transformer.resblocks:
            x = block(x, causal)
        out: Tensor = self.ln_final(x)
        return out


class TimmBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        qkv = self.attn["qkv"](self.norm1(x)).reshape(n, length, 3, width // 64, 64).permute(2, 0, 3, 1, 4)
        seen = ((qkv[0] @ qkv[1].transpose(-1, -2)) / 8).softmax(dim=-1) @ qkv[2]
        x = x + self.attn["proj"](seen.transpose(1, 2).reshape(n, length, width))
        out: Tensor = x + self.mlp["fc2"](nn.functional.gelu(self.mlp["fc1"](self.norm2(x))))
        return out


class TimmTrunk(nn.Module):
    """timm's plain vision transformer, two heads of 64."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, width))
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + GRID * GRID, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(TimmBlock(width) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def levels(self, pixels: Tensor) -> list[Tensor]:
        x = self.patch_embed["proj"](pixels).flatten(2).transpose(1, 2)
        x, found = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1) + self.pos_embed, []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in (2, 3, 4):
                found.append(self.norm(x)[:, 1:])
        return found


VISION_CFG = {"layers": DEPTH, "width": WIDTH, "head_width": HEAD, "patch_size": PATCH, "image_size": SIDE}
TEXT_CFG = {"context_length": POSITIONS, "vocab_size": len(WORDS), "width": WIDTH, "heads": 2, "layers": 2}


def folder_of(folder: Path, state: dict[str, Tensor], vision: dict[str, Any], text: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_cfg": {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": MEAN, "std": STD},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "open_clip_model.safetensors")
    tokenizer_of_words().save(str(folder / "tokenizer.json"))
    return folder


def same_levels(folder: Path, expected: list[Tensor], pixels: Tensor) -> None:
    backbone = build_backbone(VisionConfig(backbone=str(folder), image_size=SIDE)).eval()
    with torch.inference_mode():
        for level, tokens in zip(backbone(pixels), expected, strict=True):
            torch.testing.assert_close(level.flatten(2).transpose(1, 2), tokens, atol=1e-4, rtol=1e-3)


@torch.inference_mode()
def test_both_towers_of_open_clip_compute_what_open_clip_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    clip, pixels = Clip().eval(), torch.randn(2, 3, SIDE, SIDE)
    folder = folder_of(tmp_path, clip.state_dict(), VISION_CFG, TEXT_CFG)
    assert preprocessing_of(str(folder)) == {"mean": MEAN, "std": STD, "image_size": SIDE}
    same_levels(folder, clip.visual.levels(pixels), pixels)
    encoder = build_text_encoder(TextConfig(encoder=str(folder))).eval()
    states, _ = encoder(["pigment network: atypical."])
    expected = clip.states(torch.tensor([encoder.tokenizer.encode("pigment network: atypical.").ids]))
    torch.testing.assert_close(states, expected, atol=1e-4, rtol=1e-3)


@torch.inference_mode()
def test_a_plain_tower_of_timm_with_bert_as_biomedclip_has_them(tmp_path: Path) -> None:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    trunk, pixels = TimmTrunk().eval(), torch.randn(2, 3, SIDE, SIDE)
    sizes = {"hidden_size": 128, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 96}
    bert = BertModel(BertConfig(vocab_size=len(WORDS), **sizes), add_pooling_layer=False).eval()
    state = {f"visual.trunk.{key}": value for key, value in trunk.state_dict().items()}
    state |= {f"text.transformer.{key}": value for key, value in bert.state_dict().items()}
    state |= {"visual.head.proj.weight": torch.randn(16, 128), "text.proj.0.weight": torch.randn(16, 128)}
    text = {"hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract", "context_length": 256}
    folder = folder_of(tmp_path, state, {"timm_model_name": "vit_base_patch16_224", "image_size": SIDE}, text)
    same_levels(folder, trunk.levels(pixels), pixels)
    encoder = build_text_encoder(TextConfig(encoder=str(folder))).eval()
    states, _ = encoder(["streaks: irregular."])
    ids = torch.tensor([encoder.tokenizer.encode("streaks: irregular.").ids])
    torch.testing.assert_close(states, bert(input_ids=ids).last_hidden_state, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("vision", "message"),
    [
        ({**VISION_CFG, "layers": [3, 4, 6, 3]}, "vision_cfg without a number of layers, such as a ResNet's"),
        ({**VISION_CFG, "attentional_pool": True}, "vision_cfg with attentional_pool is not read"),
        ({"timm_model_name": "convnext_base"}, "'convnext_base' of timm is not read"),
    ],
)
def test_towers_that_are_not_read_are_named(tmp_path: Path, vision: dict[str, Any], message: str) -> None:
    folder = folder_of(tmp_path, {"logit_scale": torch.ones(1)}, vision, TEXT_CFG)
    with pytest.raises(ValueError, match=message):
        build_backbone(VisionConfig(backbone=str(folder), image_size=SIDE))


def test_a_folder_without_weights_says_which_it_needs(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"logit_scale": torch.ones(1)}, VISION_CFG, TEXT_CFG)
    (folder / "open_clip_model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"one of open_clip_model.safetensors, open_clip_pytorch_model.bin"):
        build_backbone(VisionConfig(backbone=str(folder), image_size=SIDE))
