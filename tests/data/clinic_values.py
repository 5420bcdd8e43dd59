"""Values as hospitals write them, three hundred by hand: which are read rightly, which are listed, which wrongly.

``python -m tests.data.clinic_values`` counts them. Behind a question mark stands what somebody may have meant who wrote
what can be read in two ways, or in a way that no vocabulary has: it is right to list it.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from dermquery.data.vocabulary.ages_days import day_of, years
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.words import is_missing, word_for

__all__ = ["judged", "rows"]

LISTED = "listed"


def rows() -> list[dict[str, str]]:
    """Language, field, what is written and what it means."""
    with (Path(__file__).parent / "clinic_values.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(field: str, written: str) -> str:
    """What is read, as the table writes it; ``LISTED`` for what is not."""
    if field == "site":
        place = SITES.read(written)
        return LISTED if place is None else f"{place.site}/{place.side or ''}"
    if field == "diagnosis":
        path = DIAGNOSES.named(written)
        return LISTED if path is None else path.rpartition(":")[2]
    if field == "sex":
        return "" if is_missing(written) else word_for("sex", written) or LISTED
    try:
        return f"{years(written):g}" if field == "age" else day_of(written, None).isoformat()
    except ValueError:
        return LISTED


def judged(row: dict[str, str]) -> str:
    """``right``, ``listed`` or ``wrong``."""
    found, meant = read(row["field"], row["written"]), row["means"]
    if found == LISTED:
        return LISTED if not meant.startswith("?") else "rightly listed"
    return "right" if found == meant.removeprefix("?") else "wrong"


def main() -> None:
    """Print the counts by language and field, and what is not read."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for row in rows():
        verdict = judged(row)
        counts.setdefault((row["language"], row["field"]), Counter())[verdict] += 1
        if verdict in ("wrong", LISTED):
            print(verdict, *row.values(), "read as", read(row["field"], row["written"]))  # noqa: T201
    for key, found in counts.items():
        print(*key, dict(found))  # noqa: T201


if __name__ == "__main__":
    main()
