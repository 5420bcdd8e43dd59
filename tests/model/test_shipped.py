"""The models in the package: small, whole, loaded without a network, and what their cards say they are."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dermquery
from dermquery.data.case import Query
from dermquery.data.case_table import read_cases
from dermquery.lab.data.folds import _PUBLISHED, Folds
from dermquery.lab.data.trained_on import were_trained_on
from dermquery.lab.synthetic import synthesize
from dermquery.model.artifact import _SHIPPED, shipped_models
from dermquery.model.load import load_model
from dermquery.model.parts import Weights


def test_both_models_ship() -> None:
    assert shipped_models() == ["demo", "derm-lite"]


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_model_is_small_and_answers_without_a_network(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sum(path.stat().st_size for path in (_SHIPPED / name).iterdir()) < 20e6
    cases = read_cases(synthesize(tmp_path, n=4, seed=3, size=(160, 160), workers=1)).cases

    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("a shipped model asked for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    model = load_model(name)
    assert {"bkl", "mel", "nv"} <= set(model.labels)
    gallery = model.encode_case([case.image for case in cases])
    asked = model.encode_query(
        [Query(image=cases[0].image), Query(text="irregular streaks, no veil"), cases[0].as_query()]
    )
    scores = model.layout.score(asked, gallery, Weights(meaning=1, local_weight=model.local_weight))
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() <= 1 + 1e-5
    np.testing.assert_allclose(model.encode_query([Query(text="no veil, irregular streaks")])[0], asked[1], atol=1e-5)


@pytest.mark.parametrize("name", shipped_models())
def test_a_shipped_model_says_what_it_was_trained_on(name: str) -> None:
    """None of the demo's cases, which docs/data.md promises."""
    known = load_model(name).trained_on
    assert len(known) >= load_model(name).provenance["cases"]["train"]
    assert not were_trained_on(
        known, read_cases(Path(dermquery.__file__).parent / "demo_cases" / "cases.csv").cases
    ).any()


def test_the_model_of_derm7pt_names_the_published_folds_and_its_terms() -> None:
    model = load_model("derm-lite")
    folds = Folds.load(_PUBLISHED / "derm7pt-888.json")
    assert (model.provenance["fold"], model.provenance["folds_sha256"]) == (0, folds.sha256)
    card = (_SHIPPED / "derm-lite" / "README.md").read_text(encoding="utf-8")
    for needed in ("Research use only", "CC BY-NC-SA 4.0", "Unseen gallery", "By sex", "By difficulty", "fails"):
        assert needed in card


def test_a_large_photograph_decoded_at_a_reduced_scale_keeps_its_vector(tmp_path: Path) -> None:
    """The path of a file decodes a quarter of the pixels; a decoded image gives all of them."""
    (case,) = read_cases(synthesize(tmp_path, n=1, seed=3, size=(384, 384), workers=1)).cases
    large = Image.open(case.image).convert("RGB").resize((4032, 3024), Image.Resampling.BICUBIC)
    large.save(tmp_path / "large.jpg", quality=95)
    model = load_model("derm-lite")
    blocks = model.layout.split(model.encode_case([tmp_path / "large.jpg", Image.open(tmp_path / "large.jpg")]))[
        "blocks"
    ]
    cosines = (blocks[0] * blocks[1]).reshape(-1, model.layout.blocks.width).sum(axis=-1)
    assert cosines.min() > 0.999
