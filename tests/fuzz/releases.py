"""The target that reads tables of published releases, and foreign ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dermquery.data.case_table import CaseTableError
from dermquery.data.sources.inspecting import inspect_table
from dermquery.data.sources.layouts import header_of
from dermquery.data.sources.ph2 import SOURCE as PH2
from dermquery.data.sources.prepare import PrepareError
from dermquery.data.sources.source import load_source, source_names
from dermquery.data.sources.tables import TableSource
from dermquery.data.vocabulary.words import reworded
from tests.data.releases import RELEASES
from tests.fuzz.target import Reader, Target

__all__ = ["RELEASE"]


def _release(folder: Path) -> Reader:
    sources = [source for name in source_names() if isinstance(source := load_source(name), TableSource)]

    def read(data: bytes) -> None:
        """Whatever a table holds, it gives cases or an error that says what to do."""
        path = folder / "PH2_dataset.txt"
        path.write_bytes(data)
        header = header_of(path)
        for source in sources:
            if source is PH2 or source.recognises(header):
                try:
                    reworded(source.read_tables([path], Path, skip_bad=True).cases)
                except (CaseTableError, PrepareError):
                    continue
        try:
            seen = inspect_table(path)
        except CaseTableError:
            return
        if seen.proposal:
            seen.proposal.command(path, None)

    return read


def _seeds() -> Sequence[bytes]:
    with TemporaryDirectory() as folder:
        for name, write in RELEASES.items():
            write(Path(folder) / name)
        tables = [path for path in Path(folder).rglob("*") if path.suffix in (".csv", ".txt")]
        return [path.read_bytes() for path in sorted(tables)]


_WORDS = (
    "image", "lesion_id", "MEL", "1.0", "0.0", "nan", "diagnosis_1", "anatom_site_1", "diameter_1", "fitspatrick",
    "biopsed", "IMD002", "||", "dx", "unknown", "alter", "datum", "01/02/2024", "e309",
)  # fmt: skip
RELEASE = Target(_release, _seeds, [word.encode() for word in _WORDS])
