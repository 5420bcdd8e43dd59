"""Forms of a training query: which ones are made, from which rows, with which texts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.train.config import TrainConfig
from dermquery.lab.train.forms import Forms, draw_forms, mix_images
from dermquery.model.architecture import TextConfig

FULL = {name: criterion.values[0] for name, criterion in CRITERIA.items()}

TEXT = TextConfig()


def cases(with_text: list[bool]) -> list[Case]:
    return [
        Case(case_id=f"c{i}", image=Path(f"{i}.jpg"), diagnosis="nv", checklist=FULL if has else {})
        for i, has in enumerate(with_text)
    ]


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.sampled_from(["drop", "all"]), st.floats(0, 1))
def test_no_query_lacks_both_and_every_row_asks(with_text: list[bool], forms: str, dropout: float) -> None:
    drawn = draw_forms(
        cases(with_text), TrainConfig(forms=forms, text_dropout=dropout / 2, image_dropout=dropout), TEXT
    )
    assert len(drawn.rows) == len(drawn.texts) == len(drawn.has_image)
    assert drawn.rows[: len(with_text)].tolist() == list(range(len(with_text)))
    assert set(drawn.rows.tolist()) == set(range(len(with_text)))
    for row, text, has_image in zip(drawn.rows.tolist(), drawn.texts, drawn.has_image.tolist(), strict=True):
        assert text is not None or has_image
        assert text is None or with_text[row]


def test_all_forms_ask_with_both_parts_with_the_text_and_with_the_image() -> None:
    drawn = draw_forms(cases([True, False]), TrainConfig(forms="all", attribute_dropout=0), TEXT)
    asked = sorted(
        (row, text is not None, image)
        for row, text, image in zip(drawn.rows.tolist(), drawn.texts, drawn.has_image.tolist(), strict=True)
    )
    assert asked == [(0, False, True), (0, True, False), (0, True, True), (1, False, True)]


@pytest.mark.parametrize(("text", "image", "expected"), [(1.0, 0.0, (False, True)), (0.0, 1.0, (True, False))])
def test_certain_dropout_always_drops(text: float, image: float, expected: tuple[bool, bool]) -> None:
    config = TrainConfig(text_dropout=text, image_dropout=image, attribute_dropout=0)
    drawn = draw_forms(cases([True] * 50), config, TEXT)
    assert {(t is not None, i) for t, i in zip(drawn.texts, drawn.has_image.tolist(), strict=True)} == {expected}


def test_dropout_shares_are_those_of_the_configuration() -> None:
    torch.manual_seed(0)
    config = TrainConfig(text_dropout=0.2, image_dropout=0.3, attribute_dropout=0.25)
    drawn = draw_forms(cases([True] * 4000), config, TEXT)
    assert sum(text is None for text in drawn.texts) / 4000 == pytest.approx(0.2, abs=0.03)
    assert (~drawn.has_image).float().mean() == pytest.approx(0.3, abs=0.03)
    kept = [
        sum(c.title.lower() in text.lower() for c in CRITERIA.values()) / len(CRITERIA) for text in drawn.texts if text
    ]
    assert sum(kept) / len(kept) == pytest.approx(0.75, abs=0.03)


@given(st.floats(0, 1), st.integers(0, 1000))
def test_mixing_leaves_images_without_text_and_keeps_the_share_within_the_strength(strength: float, seed: int) -> None:
    torch.manual_seed(seed)
    maps = (torch.rand(5, 3, 2, 2), torch.rand(5, 4, 1, 1))
    forms = Forms(torch.tensor([0, 1, 2, 3, 4, 2]), ["a", None, "b", None, "c", None], torch.ones(6, dtype=torch.bool))
    mixed = mix_images(maps, forms, strength)
    for level, got in zip(maps, mixed, strict=True):
        own = level[forms.rows]
        alone = torch.tensor([text is None for text in forms.texts])
        assert torch.equal(got[alone], own[alone])
        # Between the own map and another's by at most `strength`: no value leaves that part of the batch's range.
        low, high = level.amin(0), level.amax(0)
        assert bool(
            ((got >= own + strength * (low - own) - 1e-5) & (got <= own + strength * (high - own) + 1e-5)).all()
        )


def test_mixing_nothing_draws_nothing() -> None:
    torch.manual_seed(0)
    rows = torch.arange(16).flip(0)  # so many that a permutation leaves them all in place almost never
    forms = Forms(rows, ["a"] * 16, torch.ones(16, dtype=torch.bool))
    maps = (torch.rand(16, 3, 2, 2),)
    before = torch.get_rng_state()
    assert torch.equal(mix_images(maps, forms, 0.0)[0], maps[0][rows])
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(mix_images(maps, forms, 1.0)[0], maps[0][rows])
