"""A network small enough for tests, with the same classes as the real ones and random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.network.eager import torch_model
from dermquery.lab.network.network import ComposedNetwork
from dermquery.model.architecture import ComposerConfig, ModelConfig, RegionsConfig, TextConfig, VisionConfig
from dermquery.model.encoder import ComposedModel


def bert_folder(folder: Path) -> Path:
    """A two-layer BERT with a word-piece vocabulary, saved as `save_pretrained` does."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    words = [
        w
        for c in CRITERIA.values()
        for phrase in (c.title, *c.values)
        for w in phrase.lower().replace("-", " - ").split()
    ]
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        ":",
        ".",
        "-",
        *dict.fromkeys(w for w in words if w != "-"),
    ]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), **sizes), add_pooling_layer=False).save_pretrained(folder)
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    return folder


def swin_folder(folder: Path) -> Path:
    """A Swin of four stages with two-digit widths, saved as `save_pretrained` does."""
    from transformers import SwinBackbone, SwinConfig

    torch.manual_seed(0)
    config = SwinConfig(
        image_size=64, embed_dim=12, depths=[1, 1, 1, 1], num_heads=[1, 2, 2, 4], window_size=4, out_features=["stage4"]
    )
    SwinBackbone(config).save_pretrained(folder)
    return folder


def tiny_config(folder: Path, *, frozen: bool = True, mask: str = "softmax", reading: str = "verbatim") -> ModelConfig:
    """Swin and BERT of the folders above, 64 px, width 16."""
    return ModelConfig(
        width=16,
        vision=VisionConfig(backbone=str(swin_folder(folder / "swin")), image_size=64),
        text=TextConfig(
            encoder=str(bert_folder(folder / "bert")),
            frozen=frozen,
            by_sentence=frozen,
            max_tokens=64,
            reading=reading,
        ),
        composer=ComposerConfig(heads=2, dropout=0.0, text_shift=True, max_grid=8),
        regions=RegionsConfig(count=3, mask=mask),
    )


def tiny_model(folder: Path, name: str = "tiny", reading: str = "verbatim") -> ComposedModel:
    """An untrained model."""
    torch.manual_seed(0)
    network = ComposedNetwork(tiny_config(folder, reading=reading))
    return torch_model(network, name=name, labels=("mel", "nv"), artifact_hash="0" * 64)


def noise_cases(folder: Path, n: int, seed: int = 0) -> list[Case]:
    """Cases whose colour follows the label, so that a few steps of training can learn something."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    cases = []
    for i in range(n):
        label = ("mel", "nv", "bkl")[i % 3]
        colour = {"mel": (60, 50, 90), "nv": (160, 110, 70), "bkl": (210, 190, 120)}[label]
        pixels = np.clip(rng.normal(colour, 25, (80, 100, 3)), 0, 255).astype(np.uint8)
        path = folder / f"{i:03d}.png"
        Image.fromarray(pixels).save(path)
        terms = {name: str(rng.choice(c.values)) for name, c in CRITERIA.items()}
        terms["pigment_network"] = {"mel": "atypical", "nv": "typical", "bkl": "absent"}[label]
        cases.append(
            Case(case_id=f"n{i:03d}", image=path, diagnosis=label, fine_diagnosis=f"{label} {i % 2}", checklist=terms)
        )
    return cases
