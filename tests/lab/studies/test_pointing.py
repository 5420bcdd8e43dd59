"""Region masks against known structures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermquery.data.case import Case, Query
from dermquery.lab.studies.pointing import evaluate_regions
from dermquery.model.encoder import ComposedModel
from tests.tiny import noise_cases, tiny_model


class Corner(ComposedModel):
    """A model whose masks all look at the upper left quarter, or, asked with a text, at the lower right one."""

    def region_masks(self, image: object, query: Query | None = None) -> dict[str, np.ndarray]:
        mask = np.zeros((2, 4, 4), np.float32)
        if query is not None and query.checklist:
            mask[:, 2:, 2:] = 0.25
        else:
            mask[:, :2, :2] = 0.25
        return {"level": mask}


def with_masks(folder: Path, n: int) -> tuple[list[Case], Path]:
    """Cases whose network fills the lower right quarter."""
    cases = noise_cases(folder / "images", n)
    for case in cases:
        path = folder / "masks" / case.case_id / "pigment_network.png"
        path.parent.mkdir(parents=True)
        truth = np.zeros((80, 100), np.uint8)
        truth[40:, 50:] = 255
        Image.fromarray(truth).save(path)
    return cases, folder / "masks"


def test_a_model_that_looks_at_what_is_named(tmp_path: Path) -> None:
    cases, masks = with_masks(tmp_path, 4)
    tiny = tiny_model(tmp_path)
    result = evaluate_regions(Corner(tiny.runtime, tiny.config, name="corner"), cases, masks)
    rows = result["rows"]
    assert result["n"] == 4
    assert rows["named"]["hits"] == 1
    assert rows["named"]["energy"] > 0.8
    assert rows["image only"]["hits"] == 0
    assert rows["image only"]["energy"] < 0.1
    assert rows["uniform"]["hits"] == pytest.approx(0.25)
    assert rows["uniform"]["energy"] == pytest.approx(0.25)
    assert rows["named"]["by_criterion"]["pigment_network"]["n"] == 4


def test_cases_without_masks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no mask of the cases .* dermquery data synthesize"):
        evaluate_regions(tiny_model(tmp_path), noise_cases(tmp_path / "images", 2), tmp_path)
