"""Every target for a moment, the same inputs each time; and every input that once was a finding."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.fuzz.mutation import mutated
from tests.fuzz.target import bounded
from tests.fuzz.targets import TARGETS

_SECONDS, _LEAST, _INPUTS = 0.5, 20, 1000
FINDINGS = Path(__file__).parent / "findings"


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_documented_errors(name: str, tmp_path: Path) -> None:
    """The inputs that half a second of the processor allows, of a thousand that are the same everywhere."""
    target, chance = TARGETS[name], random.Random(20261129)  # noqa: S311
    read, seeds = target.reader(tmp_path), target.seeds()
    for seed in seeds:
        bounded(read, seed)
    begun, pieces = time.process_time(), [*seeds, *target.words, *target.words]
    for number in range(_INPUTS):
        data = mutated(chance.choice(seeds), pieces, chance)
        try:
            bounded(read, data)
        except Exception as error:
            error.add_note(f"input {number}: {data[:2000]!r}")
            raise
        if number >= _LEAST and time.process_time() - begun > _SECONDS:
            break


@pytest.mark.parametrize("path", sorted(FINDINGS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_was_found_stays_mended(path: Path, tmp_path: Path) -> None:
    bounded(TARGETS[path.parent.name].reader(tmp_path), path.read_bytes())
