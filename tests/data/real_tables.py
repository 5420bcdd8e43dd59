"""Check the sources against the published tables: ``python -m tests.data.real_tables DIR``.

The tables are not in this repository, for their licences are their owners'. DIR has a folder for each source, called as
its command is: ``DIR/milk10k/MILK10k_Training_Metadata.csv``, and so on; what is not there is not checked, and said.
Images are not needed. Exits with 1 if anything is not as published.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.sources.layouts import header_of
from dermquery.data.sources.source import load_source
from dermquery.data.sources.tables import TableSource
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.words import reworded

# Cases; labels of them; cases without any place in the hierarchy of diagnoses. Counted by hand, apart from our code.
MILK10K = {"bcc": 5044, "nv": 1492, "bkl": 1088, "scc": 946, "mel": 900, "akiec": 606, "df": 104, "vasc": 94}
EXPECTED: dict[str, tuple[int, dict[str, int], int]] = {
    "ham10000": (10_015, {"nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115}, 327),
    "isic2019": (
        25_331,
        {"mel": 4522, "nv": 12875, "bcc": 3323, "akiec": 867, "bkl": 2624, "df": 239, "vasc": 253, "scc": 628},
        0,
    ),
    "isic2020": (33_126 + 10_982, {"nv": 5193, "mel": 584, "bkl": 179}, 10_982),
    "milk10k": (10_480 + 958, MILK10K, 958),
    "isic-archive": (10_480, {"bcc": 5044, "nv": 1492, "mel": 900, "scc": 946, "akiec": 606, "df": 104}, 0),
}
SHARED = {("ham10000", "isic2019"): 10_015, ("isic-archive", "milk10k"): 10_480}
"""Images of one ISIC id in two sources; in any other two there is none."""


def main(folder: Path) -> int:
    """How many checks failed."""
    read: dict[str, Sequence[Case]] = {}
    failed = 0
    for name in EXPECTED:
        source = load_source(name)
        assert isinstance(source, TableSource)
        tables = sorted(
            path for path in (folder / name).rglob("*") if path.is_file() and source.recognises(header_of(path))
        )
        if not tables:
            print(f"{name}: no table below {folder / name}, not checked")  # noqa: T201
            continue
        reading = source.read_tables(tables, Path)
        worded = reworded(reading.cases)
        read[name] = worded.cases
        failed += told(name, [*reading.notes, *worded.notes, *facts(worded.cases)], faults(name, worded.cases))
    for first, second in combinations(sorted(read), 2):
        shared = len({case.case_id for case in read[first]} & {case.case_id for case in read[second]})
        wrong = shared != SHARED.get((first, second), 0)
        failed += told(f"{first} and {second}", [f"{shared:,} images in common"], ["another number is known"] * wrong)
    return failed


def facts(cases: Sequence[Case]) -> Iterator[str]:
    """What is known of them."""
    for name in ("confirmed_by", "image_type", "licence"):
        yield f"{name}: {dict(Counter(getattr(case, name) for case in cases).most_common())}"
    strange = Counter(case.site for case in cases if case.site and SITES.named(case.site) is None)
    yield f"sites: {sum(case.site is not None for case in cases):,}, in no vocabulary: {dict(strange)}"


def faults(name: str, cases: Sequence[Case]) -> Iterator[str]:
    """Where they differ from what is published."""
    count, labels, without = EXPECTED[name]
    found = Counter(case.diagnosis for case in cases)
    if len(cases) != count:
        yield f"{len(cases):,} cases, not {count:,}"
    yield from (f"{label}: {found[label]:,}, not {n:,}" for label, n in labels.items() if found[label] != n)
    if (empty := sum(case.diagnosis_path is None for case in cases)) != without:
        yield f"{empty:,} cases without a place in the hierarchy, not {without:,}"
    if unknown := {case.diagnosis_path for case in cases if case.diagnosis_path} - set(DIAGNOSES.paths):
        yield f"no paths of the archive: {sorted(unknown)}"


def told(name: str, known: Sequence[str], wrong: Iterator[str] | Sequence[str]) -> int:
    """Print both; how many are wrong."""
    faulty = list(wrong)
    print(f"{name}: {'WRONG: ' + '; '.join(faulty) if faulty else 'as published'}")  # noqa: T201
    print("\n".join(f"  {line}" for line in known))  # noqa: T201
    return len(faulty)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR")
    sys.exit(main(parser.parse_args().folder) > 0)
