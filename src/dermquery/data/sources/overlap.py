"""Which images case tables have in common: an id of the ISIC Archive names one image, wherever it comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.case_table import CaseTableError, read_cases
from dermquery.data.merging import Contradictions
from dermquery.data.sources.prepare import origin_of

__all__ = ["Overlap", "find_overlaps"]

_NAMED = 3


@dataclass(frozen=True)
class Overlap:
    """What two tables have in common.

    Attributes:
        tables: the two.
        sizes: how many cases each has.
        ids: cases of the first that are in the second too: the ISIC id of their image, or the id that one source gave.
        content: cases of the first whose image was made of the same file as one of the second, under other ids.
        contradictions: where they contradict each other on cases of one id, a line for each field with examples.
    """

    tables: tuple[Path, Path]
    sizes: tuple[int, int]
    ids: tuple[str, ...]
    content: tuple[str, ...]
    contradictions: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """For people."""
        (first, second), (n, m) = self.tables, self.sizes
        found = [
            f"{len(ids):,} images {how} ({', '.join(ids[:_NAMED])}{', …' if len(ids) > _NAMED else ''})"
            for ids, how in ((self.ids, "have one id"), (self.content, "have one content and other ids"))
            if ids
        ]
        said = f"{first} ({n:,}) and {second} ({m:,}): {' and '.join(found) or 'no image in common'}"
        against = ["they contradict each other on", *(f"  {line}" for line in self.contradictions)]
        return "\n".join([said, *(against if self.contradictions else ())])


def find_overlaps(tables: Sequence[Path]) -> Iterator[Overlap]:
    """Compare each table with each other; images that are not there are compared by their ids only.

    Raises:
        CaseTableError: a table cannot be read, or is given twice.
    """
    if len({path.resolve() for path in tables}) < len(tables):
        raise CaseTableError("one table is given twice; give different ones")
    read = {path: read_cases(path, check_images=False).cases for path in tables}
    for first, second in combinations(tables, 2):
        ids = _shared(read[first], read[second], lambda case: case.case_key)
        content = _shared(read[first], read[second], lambda case: origin_of(case.image))
        sizes = (len(read[first]), len(read[second]))
        held = {case.case_key: case for case in read[second]}
        against = Contradictions()
        for case in read[first]:
            if (other := held.get(case.case_key)) is not None:
                against.take(case, other)
        alone = tuple(found for found in content if found not in set(ids))
        yield Overlap((first, second), sizes, ids, alone, against.sentences)


def _shared(first: Sequence[Case], second: Sequence[Case], key: Callable[[Case], object]) -> tuple[str, ...]:
    keys = {found for case in second if (found := key(case))}
    return tuple(case.case_id for case in first if key(case) in keys)
