"""The veil of evidence: clear where the evidence is, opaque where there is none, never coloured."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dermquery.store.overlay import spotlight


@given(st.integers(20, 300), st.integers(20, 300), st.integers(0, 6), st.integers(0, 6))
def test_the_peak_is_clear_and_the_border_dimmed(width: int, height: int, row: int, column: int) -> None:
    level = np.zeros((7, 7), np.float32)
    level[row, column] = 0.4
    box = (width // 10, height // 10, width - width // 10, height - height // 10)
    veil = spotlight([level, np.full((2, 2), -0.1, np.float32)], box, (width, height), 140)
    assert max(veil.size) == 140
    assert abs(veil.width / veil.height - width / height) < 0.1 * width / height
    pixels = np.asarray(veil)
    assert not pixels[..., :3].any()
    alpha = pixels[..., 3]
    scale = 140 / max(width, height)
    x = (box[0] + (column + 0.5) / 7 * (box[2] - box[0])) * scale
    y = (box[1] + (row + 0.5) / 7 * (box[3] - box[1])) * scale
    assert alpha[min(int(y), veil.height - 1), min(int(x), veil.width - 1)] < 0.3 * alpha.max()
    assert alpha[0, 0] == alpha.max() == round(0.6 * 255)


def test_no_evidence_dims_everything() -> None:
    veil = np.asarray(spotlight([np.full((3, 3), -1.0, np.float32)], (0, 0, 30, 30), (30, 30), 30))
    assert (veil[..., 3] == round(0.6 * 255)).all()
