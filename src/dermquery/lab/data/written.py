"""Queries as people write them, each with the checklist values that it means: a test set for reading and ranking."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dermquery.data.checklist import CRITERIA, check_values

__all__ = ["WrittenQuery", "read_written"]


@dataclass(frozen=True)
class WrittenQuery:
    """One hand-written text.

    Attributes:
        id: its name in results.
        kind: what is hard about it (``typo``, ``negation``, ...).
        text: as it was written.
        meaning: criterion to value; empty if it names no finding.
    """

    id: str
    kind: str
    text: str
    meaning: dict[str, str]


def read_written(path: Path | None = None) -> list[WrittenQuery]:
    """Read a table with the columns ``id, kind, text`` and the seven criteria; by default the packaged test set.

    Raises:
        ValueError: a column is missing or a value is unknown; the message names the row.
    """
    source = resources.files("dermquery.lab.data") / "written.csv" if path is None else path
    with source.open(encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := {"id", "kind", "text", *CRITERIA} - set(reader.fieldnames or ()):
            raise ValueError(f"{source} lacks the columns {', '.join(sorted(missing))}")
        found = []
        for line, row in enumerate(reader, start=2):
            meaning = {name: row[name] for name in CRITERIA if row[name]}
            try:
                check_values(meaning)
            except ValueError as error:
                raise ValueError(f"{source}, line {line}: {error}") from None
            found.append(WrittenQuery(row["id"], row["kind"], row["text"], meaning))
    if not found:
        raise ValueError(f"{source} holds no query")
    return found
