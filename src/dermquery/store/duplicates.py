"""Images that occur more than once in a case base: the same file, or nearly the same picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dermquery.data.case import Case
from dermquery.data.perceptual_hash import NEAR
from dermquery.store.protocol import StoredCase

__all__ = ["DuplicateGroup", "find_duplicates"]

_ROWS = 4096


@dataclass(frozen=True)
class DuplicateGroup:
    """Cases whose images are the same or nearly the same.

    Attributes:
        kind: ``exact`` for equal bytes, ``near`` for perceptual hashes few bits apart, directly or
            through other images of the group.
        cases: at least two, by ``case_id``.
    """

    kind: str
    cases: tuple[Case, ...]

    @property
    def conflicts(self) -> tuple[str, ...]:
        """What one image cannot have twice but is recorded differently: diagnosis, lesion or patient.

        Two sources have ids of their own for one lesion, which is no conflict.
        """
        found = [] if len({case.diagnosis for case in self.cases} - {None}) < 2 else ["diagnosis"]
        for name in ("lesion_id", "patient_id"):
            said = {(case.source if case.owns(of) else None, of) for case in self.cases if (of := getattr(case, name))}
            found += [name] if len(said) > len({source for source, _ in said}) else []
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        fields = {"case_id", "image", "diagnosis", "lesion_id", "patient_id"}
        cases = [case.model_dump(mode="json", include=fields) for case in self.cases]
        return {"kind": self.kind, "conflicts": list(self.conflicts), "cases": cases}


def find_duplicates(rows: Iterable[StoredCase], *, near: int = NEAR) -> list[DuplicateGroup]:
    """Groups of cases that show the same image, exact ones first, each by the first ``case_id``.

    Args:
        rows: of a store; their vectors are not looked at.
        near: greatest number of differing bits.

    Raises:
        ValueError: for ``near`` below 0 or above 60, beyond which unlike pictures meet.
    """
    if not 0 <= near <= 60:
        raise ValueError(f"near must lie between 0 and 60 bits, got {near}")
    by_bytes: dict[str, list[Case]] = defaultdict(list)
    hashes: dict[str, str] = {}
    for row in rows:
        by_bytes[row.stamp.sha256].append(row.case)
        if row.stamp.phash:
            hashes[row.stamp.sha256] = row.stamp.phash
    groups = [DuplicateGroup("exact", _sorted(cases)) for cases in by_bytes.values() if len(cases) > 1]
    groups += [
        DuplicateGroup("near", _sorted([case for name in files for case in by_bytes[name]]))
        for files in _linked(hashes, near)
    ]
    return sorted(groups, key=lambda group: (group.kind != "exact", group.cases[0].case_id))


def _sorted(cases: Sequence[Case]) -> tuple[Case, ...]:
    return tuple(sorted(cases, key=lambda case: case.case_id))


def _linked(hashes: dict[str, str], near: int) -> Iterator[list[str]]:
    """Connected groups of at least two files under "at most ``near`` bits apart"."""
    parent = {name: name for name in hashes}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for one, other in _close(hashes, near):
        parent[root(one)] = root(other)
    groups: dict[str, list[str]] = defaultdict(list)
    for name in hashes:
        groups[root(name)].append(name)
    yield from (group for group in groups.values() if len(group) > 1)


def _close(hashes: dict[str, str], near: int) -> Iterator[tuple[str, str]]:
    """Pairs at most ``near`` bits apart, by matrix products of all with all, a bounded number of rows at a time.

    Of 100,000 images that takes about a minute on two cores, and it grows with the square.
    """
    names = list(hashes)
    raw = np.frombuffer(bytes.fromhex("".join(hashes.values())), np.uint8).reshape(len(names), 32)
    signs = np.unpackbits(raw, axis=1).astype(np.float32) * 2 - 1
    n_bits = signs.shape[1]
    for start in range(0, len(names), _ROWS):
        apart = (n_bits - signs[start : start + _ROWS] @ signs[start:].T) / 2
        for row, column in np.argwhere(np.triu(apart <= near, k=1)):
            yield names[start + row], names[start + column]
