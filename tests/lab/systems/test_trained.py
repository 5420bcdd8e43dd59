"""The trained baselines at a small size: every part learns, a run can be loaded, and each beats chance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from dermquery.data.case import Case
from dermquery.lab.evaluate.metrics import mean_average_precision
from dermquery.lab.evaluate.ranking import rank
from dermquery.lab.network.normalise import normalise
from dermquery.lab.systems.comquery_former import ComqueryFormer
from dermquery.lab.systems.config import SystemsConfig
from dermquery.lab.systems.crn import CRN
from dermquery.lab.systems.dahnet import DAHNet
from dermquery.lab.systems.resnet50_cossim import ResNet50CosSim
from dermquery.lab.systems.trained import Batch, Setup, TrainedRanker
from dermquery.lab.train.config import TrainConfig
from tests.tiny import noise_cases, tiny_config

Make = Callable[[Setup, Path], TrainedRanker]
SYSTEMS = SystemsConfig.model_validate(
    {"dahnet": {"bits": 12}, "comquery_former": {"depth": 2, "heads": 2, "regions": 2, "dropout": 0.0}}
)
MAKE: dict[str, Make] = {
    "resnet50_cossim": ResNet50CosSim,
    "dahnet": lambda setup, folder: DAHNet(setup, folder, SYSTEMS.dahnet),
    "comquery_former": lambda setup, folder: ComqueryFormer(setup, folder, SYSTEMS.comquery_former),
    "crn": lambda setup, folder: CRN(setup, folder, SYSTEMS.crn),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERMQUERY_CACHE", str(tmp_path / "cache"))


def setup(folder: Path, epochs: int = 5, callbacks: tuple[Callback, ...] = ()) -> Setup:
    train = TrainConfig(epochs=epochs, refit=True, batch_size=16, learning_rate=5e-3, backbone_rate=0.5, average=0.5)
    return Setup(tiny_config(folder), train, trainer={"accelerator": "cpu", "callbacks": callbacks})


def parts(folder: Path) -> tuple[list[Case], list[Case]]:
    cases = noise_cases(folder / "images", 60)
    return cases[:42], cases[42:]


@pytest.mark.parametrize("name", MAKE)
def test_every_parameter_gets_a_gradient(name: str, tmp_path: Path) -> None:
    cases, _ = parts(tmp_path)
    common = setup(tmp_path)
    ranker = MAKE[name](common, tmp_path / "run")
    network = ranker.build(["bkl", "mel", "nv"], cases).train()
    labels = torch.tensor([["bkl", "mel", "nv"].index(str(c.diagnosis)) for c in cases[:6]])
    pixels = torch.randint(0, 255, (6, 73, 73, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    allowed = ~torch.eye(6, dtype=torch.bool)
    terms = network.losses(
        normalise(pixels, common.model.vision), [c.as_query().sentence for c in cases[:5]] + [None],
        Batch(labels, torch.arange(6), allowed),
    )  # fmt: skip
    torch.stack(list(terms.values())).sum().backward()
    without = [n for n, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    # A bias before a softmax moves all of its logits alike; who reads the last map only needs no lower stage's norm.
    alike = ("key.bias", "weigh.bias")
    assert not [n for n in without if not n.endswith(alike) and "hidden_states_norms" not in n], without


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKE)
def test_it_learns_and_a_second_fit_loads_what_the_first_trained(name: str, tmp_path: Path) -> None:
    training, test = parts(tmp_path)
    ranker = MAKE[name](setup(tmp_path), tmp_path / "run")
    ranker.fit(training, [])
    scores = ranker.score(test, [*test, *training])
    assert scores.shape == (len(test), 60)
    found = mean_average_precision(rank(scores, test, [*test, *training]).same())
    assert found > 0.6, "three colours and a checklist that names them; a random order gives about .36"
    assert ranker.bytes_per_case > 0
    again = MAKE[name](setup(tmp_path), tmp_path / "run")
    again.fit(training, [])
    np.testing.assert_allclose(again.score(test, [*test, *training]), scores, rtol=1e-4, atol=1e-5)
    assert again.facts == ranker.facts


def test_score_before_fit_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="fit the ranker"):
        ResNet50CosSim(setup(tmp_path), tmp_path).score([], [])
