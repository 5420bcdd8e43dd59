"""Cut the power at every point of every scenario, and count what is lost: ``make cuts``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.durability.disk import VARIANTS, Cut, Disk, lay_out
from tests.durability.scenarios import SCENARIOS

__all__ = ["Failure", "failures_of", "recorded", "spread"]


@dataclass(frozen=True)
class Failure:
    """A state in which something is missing that was confirmed, or that does not open."""

    scenario: str
    cut: str
    variant: str
    seed: int
    error: str


def recorded(scenario: str, folder: Path) -> Disk:
    """Run a scenario and record its disk."""
    root, outside = folder / "disk", folder / "outside"
    root.mkdir(parents=True)
    outside.mkdir()
    plan = SCENARIOS[scenario]
    plan.prepare(root, outside)
    disk = Disk(root)
    with disk.recording():
        plan.act(root, outside, disk)
    return disk


def spread(cuts: Sequence[Cut], most: int) -> Sequence[Cut]:
    """So many of the cuts, spread over all."""
    if len(cuts) <= most:
        return cuts
    return [cuts[round(i * (len(cuts) - 1) / (most - 1))] for i in range(most)]


def failures_of(
    scenario: str, disk: Disk, cuts: Sequence[Cut], states: Sequence[tuple[str, int]], folder: Path
) -> Iterator[Failure]:
    """Lay out each cut in each state, variant and seed, open it, and yield those that failed."""
    for number, cut in enumerate(cuts):
        for variant, seed in states:
            target = folder / f"{number}-{variant}-{seed}"
            lay_out(cut, variant, target, seed)
            try:
                SCENARIOS[scenario].check(target, disk.told[: cut.told])
            except Exception as error:  # whatever does not open is what is looked for
                yield Failure(scenario, cut.where, variant, seed, f"{type(error).__name__}: {error}")
            finally:
                shutil.rmtree(target, ignore_errors=True)


def main(arguments: Sequence[str]) -> int:
    """Print what was cut and what was lost, a line a scenario and a JSON object at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=10_000, help="cuts of each scenario")
    parser.add_argument("--seeds", type=int, default=2, help="states by chance of each cut")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), action="append")
    options = parser.parse_args(arguments)
    states = [(variant, seed) for variant in VARIANTS for seed in range(options.seeds if variant == "mixed" else 1)]
    total: Counter[str] = Counter()
    for name in options.scenario or SCENARIOS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            disk = recorded(name, Path(folder))
            cuts = spread(disk.cuts, options.most)
            lost = list(failures_of(name, disk, cuts, states, Path(folder, "states")))
        total.update(cuts=len(cuts), states=len(cuts) * len(states), failures=len(lost))
        seconds = time.monotonic() - began
        sys.stdout.write(f"{name}: {len(cuts)} cuts, {len(cuts) * len(states)} states, {len(lost)} failures, ")
        sys.stdout.write(f"{seconds:.0f} s\n")
        for failure in lost[:5]:
            sys.stdout.write(f"  {failure}\n")
        sys.stdout.flush()
    sys.stdout.write(json.dumps(total) + "\n")
    return 1 if total["failures"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
