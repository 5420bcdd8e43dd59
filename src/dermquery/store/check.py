"""A whole base held against itself: rows, images, index and manifest; and what is wrong put right where that can be.

Repair goes from what needs nothing else to what needs most: a file that is wrong by one bit is put right by its
checksum; an image comes back from the file that it was indexed from, a thumbnail from its image, a vector from the
image and the model; an index is built again. What is left needs a backup, and is named.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dermquery.data.image import ImageError, load_image
from dermquery.store.archive import ArchiveError, ImageArchive, small_copy, thumbnail_of
from dermquery.store.base_manifest import Manifest, ManifestError
from dermquery.store.case_images import original_bytes
from dermquery.store.damage import check_command
from dermquery.store.earlier_schemas import UpgradeNeededError, upgrade_command
from dermquery.store.encoding import LocalExecutor
from dermquery.store.home import Home
from dermquery.store.lance.lance_table import TableError
from dermquery.store.model_source import ModelSource, load_named_model, load_source
from dermquery.store.places import home_of
from dermquery.store.protocol import CaseStore, Encoder, Flaws, StoredCase

__all__ = ["Checked", "Finding", "check_base"]

Tell = Callable[[int, int], None]
_AT_ONCE = 32
_BACKUP = "restore the base from a backup"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written.

    Attributes:
        kind: ``case``, ``image``, ``thumbnail``, ``file``, ``table``, ``version`` or ``index``.
        name: of the case, or the file in the base's folder.
        message: what is wrong.
        remedy: what to do where a repair cannot help, or did not.
    """

    kind: str
    name: str
    message: str
    remedy: str


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        uri: the base.
        cases: in it, as far as they could be read.
        images: that were read.
        findings: what is wrong now.
        mended: what was wrong before the repair.
        trouble: why the repair could not do all that it can, with the remedy; None if it could.
    """

    uri: str
    cases: int
    images: int
    findings: tuple[Finding, ...]
    mended: tuple[Finding, ...] = ()
    trouble: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def check_base(
    uri: str | Path, *, repair: bool = False, model: ModelSource | None = None, tell: Tell | None = None
) -> Checked:
    """Read every row, image and file of a base and hold them against their checksums and each other.

    Args:
        uri: the base.
        repair: put right what can be, then look again.
        model: encodes again what has a wrong vector; the base's own if not given, loaded only if it is needed.
        tell: progress in cases whose images were looked at.

    Raises:
        ManifestError: no base there, or its manifest is damaged, without which nothing can be read.
        UpgradeNeededError: it has an earlier schema, whose rows have no checksums.
        BaseBusyError: another process is writing, and a repair was asked for.
        ArchiveError: the images cannot be reached at all.
    """
    home = home_of(uri)
    manifest = home.manifest()
    if manifest.outdated:
        raise UpgradeNeededError(
            f"{home.uri} has schema {manifest.schema_version}, whose rows have no checksums; upgrade it, then check "
            f"it: {upgrade_command(home.uri)}"
        )
    before = _Look(home, manifest, tell)
    if not repair or not before.findings:
        return before.checked()
    with home.writing():
        trouble = _repair(home, home.manifest(), model)
    after = _Look(home, home.manifest(), tell)
    left = {(finding.kind, finding.name) for finding in after.findings}
    mended = (finding for finding in before.findings if (finding.kind, finding.name) not in left)
    return after.checked(tuple(mended), trouble)


class _Look:
    """One look at everything."""

    def __init__(self, home: Home, manifest: Manifest, tell: Tell | None = None) -> None:
        self.home, self.archive = home, home.archive(manifest)
        self.findings: list[Finding] = []
        self.flaws = Flaws({})
        self.images: list[tuple[str, StoredCase]] = []
        self.cases = self.seen = 0
        self.store = self._opened(manifest)
        if self.store is None:
            return
        self.cases, self.flaws = self.store.count(), self.store.inspect()
        self.findings += self._of_store(self.flaws)
        if self.archive is not None:
            self._look_at_images(self.archive, tell)

    def checked(self, mended: tuple[Finding, ...] = (), trouble: str | None = None) -> Checked:
        return Checked(str(self.home.uri), self.cases, self.seen, tuple(self.findings), mended, trouble)

    def _opened(self, manifest: Manifest) -> CaseStore | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # of what is passed over, which inspecting finds
                return self.home.store(manifest)
        except (TableError, ManifestError) as error:
            self.findings.append(Finding("table", "rows", str(error), _BACKUP))
            return None

    def _of_store(self, flaws: Flaws) -> Iterator[Finding]:
        for case_id, row in sorted(flaws.rows.items()):
            if row is None:
                said, remedy = "its description is not as written", "put it in again, or take it from a backup"
            elif not len(row.vector):
                said, remedy = "its vector is not as written", "bring its image back from a backup, and repair"
            else:
                said, remedy = "what filters ask of it is not as written", "put it in again"
            yield Finding("case", case_id, f"{said}; no answer shows it", remedy)
        yield from (Finding("file", name, "not as written", _BACKUP) for name in flaws.files)
        if flaws.lost or flaws.unreadable:
            yield Finding("table", "rows", f"cases are lost: {flaws.lost or flaws.unreadable}", _BACKUP)
        if flaws.cut_off:
            remedy = "put in again what was being written when the power went"
            yield Finding("version", "rows", f"a write was cut off before it was confirmed: {flaws.cut_off}", remedy)
        if flaws.index:
            yield Finding("index", "index", flaws.index, f"build it again: dermquery base index {self.home.uri}")

    def _look_at_images(self, archive: ImageArchive, tell: Tell | None) -> None:
        """Read every image and thumbnail once, those of cases with a wrong vector too."""
        looked: set[str] = set()
        try:
            for row in self.rows():
                if row.stamp.sha256 not in looked:
                    looked.add(row.stamp.sha256)
                    for kind, error in _wrong_images(archive, row.stamp.sha256):
                        self.images.append((kind, row))
                        remedy = "bring it back from a backup, or give the case its image anew"
                        self.findings.append(Finding(kind, row.case.case_id, error, remedy))
                self.seen = len(looked)
                if tell:
                    tell(self.seen, self.cases)
        except TableError:
            return  # said already: not every row can be read

    def rows(self) -> Iterator[StoredCase]:
        """All rows whose description is sound."""
        assert self.store is not None  # noqa: S101 - the callers looked
        for rows in self.store.scan(vectors=False, whole=False):
            yield from rows


def _wrong_images(archive: ImageArchive, sha256: str) -> Iterator[tuple[str, str]]:
    for kind, read in (("image", archive.original), ("thumbnail", archive.thumbnail)):
        try:
            read(sha256)
        except ArchiveError as error:
            yield kind, str(error)


def _repair(home: Home, manifest: Manifest, model: ModelSource | None) -> str | None:
    """Put right what can be; returns why not all of that could be done."""
    home.mend(manifest)
    look = _Look(home, manifest)
    if look.store is None or look.flaws.lost or look.flaws.unreadable:
        return None
    if look.archive is not None:
        for _, row in look.images:
            _bring_back(row, look.archive)
    trouble = _write_again(look, manifest, model)
    look.store.renew(look.flaws)
    return trouble


def _bring_back(row: StoredCase, archive: ImageArchive) -> None:
    """An image from the file that the case names, if it still is that one, and its thumbnail from the image."""
    try:
        data = original_bytes(row, archive)
        archive.replace(row.stamp.sha256, data, thumbnail_of(small_copy(load_image(data))))
    except (ArchiveError, ImageError):
        return  # the next look names it


def _write_again(look: _Look, manifest: Manifest, model: ModelSource | None) -> str | None:
    """Write the wrong rows again, of which the description is sound; those with a wrong vector are encoded again."""
    store, wrong = look.store, look.flaws.rows
    assert store is not None  # noqa: S101 - the caller looked
    # Another case's id in the column: there are two of it, and to remove one would remove both.
    taken = store.get([case_id for case_id, row in wrong.items() if row is None or row.case.case_id != case_id])
    rows = {case_id: row for case_id, row in wrong.items() if row is not None and case_id not in taken}
    blank = [row for row in rows.values() if not len(row.vector)]
    whole = {row.case.case_id: row for row in rows.values() if len(row.vector)}
    trouble = None
    if blank:
        try:
            loaded = load_named_model(manifest, look.home.uri) if model is None else load_source(model)[0]
            manifest.check(loaded)
            whole |= {row.case.case_id: row for row in _encoded(blank, loaded, manifest, look.archive)}
        except ManifestError as error:
            trouble = f"{error}; then repeat: {check_command(look.home.uri)} --repair"
    written = [row for row in rows.values() if row.case.case_id in whole]
    for start in range(0, len(written), _AT_ONCE):
        store.upsert([whole[row.case.case_id] for row in written[start : start + _AT_ONCE]])
    store.delete([key for key, row in rows.items() if row.case.case_id in whole and row.case.case_id != key])
    return trouble


def _encoded(
    rows: Sequence[StoredCase], model: Encoder, manifest: Manifest, archive: ImageArchive | None
) -> Iterator[StoredCase]:
    """The rows with vectors, of those whose image can still be read."""
    held = None if archive is None else {row.case.case_id: row.stamp for row in rows}
    executor = LocalExecutor(model, archive=archive, batch_size=_AT_ONCE, held=held)
    stamps = {row.case.case_id: row.stamp for row in rows}
    for outcomes in executor.run((row.case, None) for row in rows):
        for item in outcomes:
            stamp = stamps[item.case.case_id]
            if item.vector is not None and item.stamp is not None and item.stamp.sha256 == stamp.sha256:
                yield StoredCase(item.case, item.vector, stamp)
