"""The paper's configuration: Swin-T, BERT-base and 512 px, from random weights on a CPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from dermquery.lab.config import load_config
from dermquery.lab.network.eager import torch_model
from dermquery.lab.network.network import ComposedNetwork, count_parameters
from dermquery.lab.train.fit import fit_composed
from tests.tiny import bert_folder, noise_cases

pytestmark = pytest.mark.slow


def paper_overrides(folder: Path, **bert: int) -> tuple[str, ...]:
    """The published architectures' default sizes as local folders; only the weights are random.

    Args:
        folder: where they are written.
        **bert: other sizes of the text encoder.
    """
    from transformers import BertConfig, SwinConfig

    SwinConfig(image_size=224).save_pretrained(folder / "swin")
    bert_folder(folder / "bert")
    BertConfig(**bert).save_pretrained(folder / "bert")
    return (
        f"model.vision.backbone={folder / 'swin'}",
        "model.vision.pretrained=false",
        f"model.text.encoder={folder / 'bert'}",
        "model.text.pretrained=false",
    )


def test_parameter_counts_are_the_published_ones(tmp_path: Path) -> None:
    config = load_config("paper", paper_overrides(tmp_path)).model
    counts = count_parameters(ComposedNetwork(config))
    # Swin-T has 28,288,354 with its classifier (Liu et al. 2021: 28 M): less the classifier (769,000) and its norm
    # (1,536), plus the norms of the three stages that are read (2 x (192 + 384 + 768)).
    assert counts["backbone"] == 28_288_354 - 769_000 - 1_536 + 2_688
    # BERT-base has 109,482,240 (Devlin et al. 2019: 110 M): less the pooler, 768 x 768 + 768.
    assert counts["text"] == 109_482_240 - 590_592
    assert counts["trained"] == counts["all"]


def test_one_training_step_at_512_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMQUERY_CACHE", str(tmp_path / "cache"))
    cases = noise_cases(tmp_path / "images", 6)
    # One layer over few words: what twelve more write of weights and of Adam's state takes longer than the step.
    sizes = paper_overrides(tmp_path, num_hidden_layers=1, vocab_size=200)
    config = load_config("paper", (*sizes, "train.epochs=1", "train.batch_size=4", "train.average=0"))
    assert (config.model.vision.image_size, config.model.local_weight, config.train.optimizer) == (512, 0.6, "adam")
    assert load_config("paper").train.epochs == 100
    assert load_config("paper").train.patience == 30
    run = fit_composed(cases[:4], cases[4:], config.model, config.train, tmp_path / "run", accelerator="cpu")
    assert run.epochs == 1
    model = torch_model(run.module.network, name="paper", labels=run.module.labels)
    assert model.encode_case([cases[0].image]).shape == (1, 6 * 768 + 28)
