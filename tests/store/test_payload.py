"""A row as one text: nothing of a case or of its image's stamp is lost on the way."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.store.protocol import ImageStamp, StoredCase, from_payload, to_payload

_WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_MAYBE = st.none() | _WORDS
_CASES = st.builds(
    Case,
    case_id=_WORDS.filter(bool),
    image=st.just(Path("/data/a b ü.png")),
    diagnosis=_MAYBE,
    lesion_id=_MAYBE,
    age=st.none() | st.floats(0, 130),
    date=st.none() | st.dates(),
    text=_MAYBE,
    checklist=st.fixed_dictionaries({}, optional={n: st.sampled_from(c.values) for n, c in CRITERIA.items()}),
    extra=st.dictionaries(_WORDS, _WORDS, max_size=3),
)
_STAMPS = st.builds(ImageStamp, st.just("ab" * 32), st.integers(0), st.integers(0, 2**63 - 1), st.just("0f" * 32))


@given(_CASES, _STAMPS)
def test_a_row_comes_back_as_it_was(case: Case, stamp: ImageStamp) -> None:
    vector = np.ones(3, np.float32)
    again = from_payload(to_payload(StoredCase(case, vector, stamp)), vector)
    assert (again.case, again.stamp) == (case, stamp)
    assert again.vector is vector


def test_what_is_not_known_takes_no_room_and_a_relative_image_becomes_absolute() -> None:
    case = Case(case_id="a", image=Path("b.png"), date=datetime.date(2024, 3, 1))
    payload = json.loads(to_payload(StoredCase(case, np.ones(1, np.float32), ImageStamp("00", 1, 2, "ff"))))
    assert payload["case"] == {
        "case_id": "a", "image": str(Path("b.png").absolute()), "date": "2024-03-01", "checklist": {}, "extra": {},
    }  # fmt: skip
    assert payload["stamp"] == ["00", 1, 2, "ff"]
