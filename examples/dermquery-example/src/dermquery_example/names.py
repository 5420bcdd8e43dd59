"""A data source: a folder whose file names say the diagnosis, as in ``0017_mel.jpg``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dermquery.data.case import Case
from dermquery.data.sources.source import Reading

__all__ = ["SOURCE"]


@dataclass(frozen=True)
class Names:
    """A source as ``dermquery data prepare example-names FOLDER`` reads it."""

    name: str = "example-names"
    title: str = "A folder whose file names say the diagnosis: 0017_mel.jpg."
    flags: Mapping[str, str] = field(default_factory=dict)

    def recognises(self, header: Collection[str]) -> bool:
        """Never: it has no table."""
        return False

    def read(
        self,
        folder: Path,
        tables: Sequence[Path] = (),
        *,
        flags: Collection[str] = (),
        skip_bad: bool = False,
        without: Path | None = None,
    ) -> Reading:
        """One case for each JPEG; a name without a diagnosis gives a case without one."""
        cases = [
            Case(case_id=path.stem, image=path, diagnosis=path.stem.partition("_")[2] or None)
            for path in sorted(folder.rglob("*.jpg"))
            if without is None or without not in path.parents
        ]
        return Reading(tuple(cases))


SOURCE = Names()
