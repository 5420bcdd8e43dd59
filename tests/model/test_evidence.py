"""Evidence maps: they sum to the local similarity of the score."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dermquery.data.case import Query
from dermquery.model.parts import Weights
from tests.tiny import noise_cases, tiny_model

LOCAL = Weights(meaning=1, local_weight=1)


@pytest.mark.parametrize("parts", ["composed", "image only", "text only"])
def test_each_side_sums_to_the_local_similarity(tmp_path: Path, parts: str) -> None:
    model = tiny_model(tmp_path)
    asking, case = noise_cases(tmp_path / "images", 2)
    image, checklist = asking.image, asking.checklist
    query = {
        "composed": Query(image=image, checklist=checklist),
        "image only": Query(image=image),
        "text only": Query(checklist=checklist),
    }[parts]
    local = model.layout.score(model.encode_query([query]), model.encode_case([case.image]), LOCAL)
    evidence = model.evidence(query, case)
    assert sum(m.sum() for m in evidence.case) == pytest.approx(float(local[0, 0]), abs=1e-5)
    if query.image is None:
        assert evidence.query == ()
        assert evidence.query_box is None
    else:
        assert sum(m.sum() for m in evidence.query) == pytest.approx(float(local[0, 0]), abs=1e-5)


def test_maps_cover_what_is_left_without_borders(tmp_path: Path) -> None:
    model = tiny_model(tmp_path)
    (case,) = noise_cases(tmp_path / "images", 1)
    framed = Image.new("RGB", (240, 200))
    framed.paste(Image.open(case.image).resize((160, 120)), (40, 40))
    framed.save(tmp_path / "framed.png")
    in_frame = case.model_copy(update={"image": tmp_path / "framed.png"})
    left, top, right, bottom = model.evidence(Query(image=case.image), in_frame).box
    assert abs(left - 40) <= 3
    assert abs(top - 40) <= 3
    assert abs(right - 200) <= 3
    assert abs(bottom - 160) <= 3
    assert model.evidence(Query(image=case.image), case).query_box == (0, 0, 100, 80)
