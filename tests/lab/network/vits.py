"""Plain vision transformers and CLIP-style models small enough for tests, saved as `save_pretrained` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SIDE, PATCH, WIDTH, LAYERS, POSITIONS = 32, 8, 32, 4, 12
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.25)
WORDS = (
    "<start>", "<end>", "<unk>", "pigment", "network", "atypical", "typical", "absent", "streaks", "irregular", "veil",
    "blue", "whitish", "present", ":", ".", "-",
)  # fmt: skip
_SIZES = {"hidden_size": WIDTH, "num_attention_heads": 2, "intermediate_size": 64}
VISION = {**_SIZES, "num_hidden_layers": LAYERS, "image_size": SIDE, "patch_size": PATCH}
TEXT = {
    **_SIZES, "num_hidden_layers": 2, "vocab_size": len(WORDS), "max_position_embeddings": POSITIONS,
    "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
KINDS = (
    "ViTModel", "ViTForImageClassification", "DeiTModel", "Dinov2Model", "Dinov2WithRegistersModel", "DINOv3ViTModel",
    "CLIPModel", "CLIPVisionModel", "SiglipModel", "SiglipVisionModel",
)  # fmt: skip


def vit_folder(folder: Path, kind: str) -> Path:
    """A network of one of :data:`KINDS` with random weights, its preprocessing, and a tokenizer."""
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, kind)
    config = model.config_class
    settings = (
        config(vision_config=VISION, text_config=TEXT) if kind in ("CLIPModel", "SiglipModel") else config(**VISION)
    )
    network = model(settings)
    with torch.no_grad():  # what is all zeros or ones at first would hide a mistake
        for value in network.parameters():
            value.add_(torch.randn_like(value) * 0.1)
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": MEAN, "image_std": STD, "size": {"height": SIDE, "width": SIDE}})
    )
    tokenizer_of_words().save(str(folder / "tokenizer.json"))
    return folder


def tokenizer_of_words() -> Tokenizer:
    """One that cuts at blanks and signs, and marks beginning and end as CLIP's does."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.normalizer = None
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 0), ("<end>", 1)]
    )
    return tokenizer


def independent(folder: Path, kind: str, pixels: torch.Tensor, layers: tuple[int, ...]) -> list[torch.Tensor]:
    """Tokens after some layers, normalised, by the published class itself: a hook on every layer, and its norm."""
    import transformers

    whole: Any = getattr(transformers, kind).from_pretrained(folder).eval()
    tower = getattr(whole, "vision_model", getattr(whole, "vit", whole))
    blocks = next(m for m in tower.modules() if isinstance(m, torch.nn.ModuleList) and len(m) == LAYERS)
    norm = next(getattr(tower, n) for n in ("post_layernorm", "layernorm", "norm") if hasattr(tower, n))
    seen: dict[int, torch.Tensor] = {}
    for number, block in enumerate(blocks, start=1):
        block.register_forward_hook(
            lambda _m, _i, out, n=number: seen.update({n: out[0] if isinstance(out, tuple) else out})
        )
    with torch.inference_mode():
        tower(pixel_values=pixels)
        return [norm(seen[layer]) for layer in layers]
