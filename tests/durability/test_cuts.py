"""The power is cut at some points of every scenario; ``make cuts`` takes all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.cuts import failures_of, recorded, spread
from tests.durability.scenarios import SCENARIOS

_CUTS = 5


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nothing_confirmed_is_lost_and_every_base_opens(scenario: str, tmp_path: Path) -> None:
    disk = recorded(scenario, tmp_path)
    cuts = spread(disk.cuts, _CUTS)
    assert len(cuts) == _CUTS
    states = [("lost", 0), ("torn", 0), ("mixed", 0)]
    assert list(failures_of(scenario, disk, cuts, states, tmp_path / "states")) == []
