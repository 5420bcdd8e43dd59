"""What of a text is encoded: as written, or the findings that are read in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermquery.data.case import Query
from dermquery.model.architecture import TextConfig
from dermquery.model.sentences import encoded_text
from tests.tiny import tiny_model

FINDINGS = TextConfig(reading="findings")


def test_the_text_is_encoded_as_written_or_as_read() -> None:
    query = Query(text="Irreg. netwrok, patient worried", checklist={"streaks": "absent"})
    assert encoded_text(query, TextConfig()) == "Streaks: absent. Irreg. netwrok, patient worried"
    assert encoded_text(query, FINDINGS) == "Pigment network: atypical. Streaks: absent."


def test_terms_overrule_the_text() -> None:
    query = Query(text="no streaks", checklist={"streaks": "regular"})
    assert encoded_text(query, FINDINGS) == "Streaks: regular."


def test_with_an_image_an_unread_text_counts_for_nothing_and_without_one_it_is_refused(tmp_path: Path) -> None:
    model = tiny_model(tmp_path, reading="findings")
    image = Image.fromarray(np.full((70, 70, 3), 120, np.uint8))
    alone, worried = model.encode_query([Query(image=image), Query(image=image, text="patient worried")])
    assert np.array_equal(alone, worried)
    with pytest.raises(ValueError, match=r"'patient worried' names no finding .* name one .* or give an image"):
        model.encode_query([Query(text="patient worried")])
    with pytest.raises(ValueError, match=r"'streaks' gives no criterion a value; say which \(streaks: regular or irre"):
        model.encode_query([Query(text="streaks")])
