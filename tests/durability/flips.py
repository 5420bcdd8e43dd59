"""Flip one bit of a file of a base, and look whether anybody notices: ``make flips``.

Every file that an answer may be read from takes its turn: the manifest, versions, rows and deletions of the table, its
indexes, their checksums, images and thumbnails. After each flip the base is opened and asked, and what it answers is
held against what it answered before. Then the bit is turned back.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lance
import numpy as np

from dermquery.data.case import Case
from dermquery.store.casebase import CaseBase
from dermquery.store.check import check_base
from dermquery.store.lance.commits import live_files, manifests
from dermquery.store.protocol import FEWEST_INDEXED, StoredCase
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

__all__ = ["Flipped", "answers_of", "flip", "flipped", "live", "make_base"]

_SITES = ("back", "chest", "upper limbs", None)


@dataclass(frozen=True)
class Flipped:
    """What came of one flip.

    Attributes:
        file: by its path in the base.
        how: ``without effect`` on the answers, or what told of it: ``error``, ``warning``, ``check``; or ``unnoticed``.
        checked: whether a check finds it.
    """

    file: str
    bit: int
    how: str
    checked: bool


def make_base(folder: Path) -> Path:
    """A base with images, an index, rows beside it and rows that are gone."""
    base = CaseBase.create(folder / "base", ProjectionEncoder())
    cases = make_cases(folder / "own", 12)
    base.add(cases)
    real = list(base.store.get(base.store.ids()).values())
    noise = np.random.default_rng(0).normal(size=(FEWEST_INDEXED + 40, base.manifest.layout.size), scale=0.05)
    noise[:, base.manifest.layout.slices["findings"]] = 0
    vectors = np.stack([real[i % 12].vector for i in range(len(noise))]) + noise.astype(np.float32)
    base.store.upsert([_more(f"more-{i:04d}", i, vector, real[i % 12]) for i, vector in enumerate(vectors)])
    base.build_index()
    base.delete([f"more-{i:04d}" for i in range(0, 60, 3)])
    base.store.upsert([_more(f"late-{i}", i, vector, real[i]) for i, vector in enumerate(vectors[:5])])
    return folder / "base"


def _more(case_id: str, i: int, vector: np.ndarray, like: StoredCase) -> StoredCase:
    fields = {"site": _SITES[i % 4], "age": float(20 + i % 60), "lesion_id": f"L{i}", "text": "seen again"}
    case = Case(case_id=case_id, image=like.case.image, diagnosis=("nv", "mel", "bkl")[i % 3], **fields)
    return StoredCase(case, vector, like.stamp)


def live(base: Path) -> dict[str, list[Path]]:
    """The files from which answers are read, by kind."""
    table = base / "cases.lance"
    held = [table / name for name, _ in live_files(table, lance.dataset(table))]
    found = {
        "manifest.json": [base / "manifest.json"],
        "versions": [manifests(table)[0][1]],
        "rows": [path for path in held if path.parent.name == "data"],
        "deletions": [path for path in held if path.parent.name == "_deletions"],
        "column indexes": [path for path in held if "_indices" in path.parts],
        "checksums": [table / "checksums.txt", *base.glob("index/*/checksums.txt")],
        "index": [path for path in base.glob("index/*/*") if path.name != "checksums.txt"],
        "images": sorted(base.glob("images/originals/*/*")),
        "thumbnails": sorted(base.glob("images/thumbnails/*/*")),
    }
    assert all(found.values()), "every kind is there"
    return found


def flip(file: Path, bit: int) -> None:
    """Turn one bit of a file, in place."""
    with file.open("r+b") as held:
        held.seek(bit // 8)
        (byte,) = held.read(1)
        held.seek(bit // 8)
        held.write(bytes([byte ^ 1 << bit % 8]))


def answers_of(base: Path) -> tuple[Any, str]:
    """What a base answers, and what it says that is wrong; empty if nothing."""
    said: list[str] = []
    found: list[Any] = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", RuntimeWarning)
        opened = CaseBase.open(base, ProjectionEncoder())
        for text in ("atypical pigment network", "blue-whitish veil, irregular streaks"):
            for where in ((), ("site=back",), ("age>=40", "diagnosis!=nv")):
                for exact in (False, True):
                    result = opened.search(text=text, where=where, top_k=20, exact=exact)
                    found.append([result.to_dict()["hits"], result.n_candidates])
                    said += [damage.message for damage in result.damage]
        found.append([opened.count(), opened.store.value_counts("site"), opened.store.ids()])
        found.append([row.case.model_dump(mode="json") for row in opened.store.page(limit=30)])
        assert opened.archive is not None
        hashes = [row.stamp.sha256 for row in opened.store.get([f"case-{i:03d}" for i in range(12)]).values()]
        found += [[opened.archive.original(name), opened.archive.thumbnail(name)] for name in hashes]
        said += [damage.message for damage in opened.store.damage()]
    said += [str(warning.message) for warning in warned if issubclass(warning.category, RuntimeWarning)]
    return found, "; ".join(said)


def flipped(base: Path, n: int, seed: int = 0) -> Iterator[Flipped]:
    """Flip bits one after the other, each at a random place of the next kind of file, and say what came of them."""
    rng = np.random.default_rng(seed)
    before, said = answers_of(base)
    assert not said, said
    kinds = live(base)
    for number in range(n):
        files = list(kinds.values())[number % len(kinds)]
        sizes = np.array([file.stat().st_size for file in files], float)
        file = files[rng.choice(len(files), p=sizes / sizes.sum())]
        bit = int(rng.integers(8 * file.stat().st_size))
        flip(file, bit)
        try:
            yield Flipped(str(file.relative_to(base)), bit, *_noticed(base, before))
        finally:
            flip(file, bit)


def _noticed(base: Path, before: Any) -> tuple[str, bool]:
    try:
        checked = bool(check_base(base).findings)
    except (ValueError, OSError):
        checked = True
    try:
        answers, said = answers_of(base)
    except (ValueError, OSError, RuntimeError):
        return "error", checked
    if answers == before:
        return "without effect", checked
    return "warning" if said else "check" if checked else "unnoticed", checked


def main(arguments: Sequence[str]) -> int:
    """Print what came of the flips by kind of file, and a JSON object at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=400, help="flips")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        base = make_base(Path(folder))
        results = list(flipped(base, options.n, options.seed))
        kinds: Mapping[str, list[Path]] = live(base)
        named = {str(file.relative_to(base)): kind for kind, files in kinds.items() for file in files}
    for kind in kinds:
        mine = [result for result in results if named[result.file] == kind]
        counts = Counter(result.how for result in mine)
        found = sum(result.checked for result in mine)
        sys.stdout.write(f"{kind}: {len(mine)} flips; {dict(counts)}; {found} found by a check\n")
    for result in results:
        if result.how == "unnoticed":
            sys.stdout.write(f"  {result}\n")
    total = Counter(result.how for result in results)
    sys.stdout.write(json.dumps({"flips": len(results), **total, "checked": sum(r.checked for r in results)}) + "\n")
    return 1 if total["unnoticed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
