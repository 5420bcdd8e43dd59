"""Photographs of a picture archive, read over DICOMweb and prepared as those of a folder are.

What is fetched waits in a folder that only its owner may enter, until its images are made and its rows are in the
table; then it is gone. So a run that was killed goes on where it was, and one that follows fetches only what is new.
The table is read before it is written: what people enter in it, such as diagnoses, stays.
"""

from __future__ import annotations

import csv
import datetime
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from dermquery.data.decoding import Decoders
from dermquery.data.dicom.importing import Import
from dermquery.data.dicom.objects import DicomFile
from dermquery.data.dicom.site_key import site_key as read_site_key
from dermquery.data.dicom.web import Found, NoSuchObjectError, WebArchive, read_token
from dermquery.data.files import make_folder, replacing
from dermquery.data.sources.dicom import bounded_decoders, check_allowed
from dermquery.data.sources.held import held_cases
from dermquery.data.sources.prepare import BadImage, PrepareError, PrepareReport, Progress, prepare_cases

__all__ = ["LEFT_OUT", "Wanted", "prepare_dicomweb"]

LEFT_OUT = "left-out.csv"
"""Beside the table: what was fetched and cannot become a case, with the reason; it is not fetched again."""
_RECEIVED = ".received"
_BATCH = 64
_MODALITY = re.compile(r"[A-Z0-9]{1,16}")


@dataclass(frozen=True)
class Wanted:
    """What to read.

    Attributes:
        url: address of the archive's DICOMweb services.
        modalities: of the series.
        since: the first day of the studies; None for all.
        token: file with a bearer token, or with the value of the Authorization header; None for none.
        most_bytes: of one object.
    """

    url: str
    modalities: Sequence[str] = ("DMS", "XC")
    since: datetime.date | None = None
    token: Path | None = None
    most_bytes: int = 512 << 20

    def __post_init__(self) -> None:
        if bad := [each for each in self.modalities if not _MODALITY.fullmatch(each)]:
            raise PrepareError(f"{bad[0]!r} is no modality of DICOM; write for example DMS,XC")
        if not self.modalities:
            raise PrepareError("no modality is asked for; write for example DMS,XC")


def prepare_dicomweb(
    wanted: Wanted,
    out: Path,
    *,
    site_key: Path | None = None,
    keep_identity: bool = False,
    allow: frozenset[str] = frozenset(),
    clinic: str = "DICOM",
    progress: Progress | None = None,
) -> PrepareReport:
    """Prepare the photographs of an archive that are not yet in ``out``.

    Args:
        wanted: what to read.
        out: folder to write to; it is added to.
        site_key: file of the key for pseudonyms, as of :func:`~dermquery.data.sources.dicom.prepare_dicom`.
        keep_identity: leave ids, UIDs and dates as they are.
        allow: what may be seen in pixels, as there.
        clinic: what is recorded as the source of the cases.
        progress: called after each new object.

    Raises:
        DicomWebError: the archive cannot be read.
        PrepareError: ``out`` was prepared in another way.
        SiteKeyError: the key cannot be used.
    """
    check_allowed(allow)
    key = None if keep_identity else read_site_key(site_key)
    call = str if key is None else key.uid
    token = read_token(wanted.token) if wanted.token else None
    with WebArchive(wanted.url, token, most_bytes=wanted.most_bytes) as archive:
        run = _Run(archive, out, "dicomweb with identity" if keep_identity else "dicomweb", call)
        new = run.new(archive.objects(wanted.modalities, wanted.since))
        decoders = bounded_decoders()
        try:
            waiting, done = iter(new.items()), 0
            while batch := dict(islice(waiting, _BATCH)):
                run.take(batch, Import(key, allow, clinic, named=True), decoders)
                done += len(batch)
                if progress:
                    progress(done, len(new))
        finally:
            decoders.close()
    return run.report()


class _Run:
    """One run: what the folder holds from before, and what is added.

    Args:
        archive: to fetch from.
        out: the folder.
        source: name of the kind of source.
        call: gives the UID that an object has here for the one that it has there.
    """

    def __init__(self, archive: WebArchive, out: Path, source: str, call: Callable[[str], str]) -> None:
        self._archive, self._out, self._source, self._call = archive, out, source, call
        self._table, self._received = out / "cases.csv", out / _RECEIVED
        self.cases = held_cases(out)
        self._left_out = dict(_rows(out / LEFT_OUT))
        self._before, self._made, self._passed_over = len(self.cases), 0, len(self._left_out)
        self._bad: list[BadImage] = []
        self._notes: dict[str, None] = {}

    def new(self, objects: Iterator[Found]) -> dict[str, Found]:
        """The objects that are not here yet, by the UID that they will have; what waits and is none of them goes."""
        here = {case.instance_uid for case in self.cases} | self._left_out.keys()
        new = {name: found for found in objects if (name := self._call(found.instance)) not in here}
        prepare_cases(
            [], self._out, source=self._source, earlier=self.cases
        )  # refuses a folder that was prepared otherwise
        make_folder(self._received, mode=0o700)
        for path in self._received.iterdir():
            if path.stem not in new:
                path.unlink()
        return new

    def take(self, batch: dict[str, Found], importing: Import, decoders: Decoders) -> None:
        """Fetch some objects and put their cases into the table."""
        files = list(self._fetched(batch))
        for file in files:
            importing.take(file)
        reasons = {bad.case_id: bad.reason for bad in importing.bad}
        for number, frame in list(importing.frames.items()):
            if frame.case.instance_uid != frame.file.name:
                del importing.frames[number]
                reasons[frame.file.name] = "the archive gave another object than it was asked for"
        report = prepare_cases(
            [frame.case for frame in importing.frames.values()], self._out, source=self._source, skip_bad=True,
            read=partial(importing.opened, decoders=decoders), earlier=self.cases,
        )  # fmt: skip
        self.cases += report.cases
        self._made += report.made
        self._notes |= dict.fromkeys((*report.notes, *importing.notes()))
        prepared = {case.instance_uid for case in report.cases}
        for bad in report.bad:
            uid = bad.case_id.partition("#")[0]
            if uid in prepared:  # one frame of several
                self._bad.append(bad)
            reasons[uid] = bad.reason
        names = [file.name for file in files if file.name not in prepared]
        self._leave_out({name: reasons.get(name, "no photograph") for name in names})
        for file in files:
            (self._received / f"{file.name}.dcm").unlink()

    def report(self) -> PrepareReport:
        """What came of it."""
        shutil.rmtree(self._received, ignore_errors=True)
        table = self._table if self._table.is_file() else None
        if self._passed_over:
            again = f"remove {self._out / LEFT_OUT} to try them again"
            self._notes[f"{self._passed_over} objects were left out before and not fetched; {again}"] = None
        cases, bad, notes = tuple(self.cases), tuple(self._bad), tuple(self._notes)
        return PrepareReport(self._out, table, cases, self._made, self._before, bad, notes)

    def _fetched(self, batch: dict[str, Found]) -> Iterator[DicomFile]:
        for place, (name, found) in enumerate(batch.items(), start=1):
            path = self._received / f"{name}.dcm"
            try:
                if not path.exists():
                    data = self._archive.fetch(found)
                    with replacing(path) as part:
                        part.write_bytes(data)
            except NoSuchObjectError as error:
                self._bad.append(BadImage(name, str(error)))
                continue
            yield DicomFile(place, name, path)

    def _leave_out(self, reasons: dict[str, str]) -> None:
        if not reasons:
            return
        self._bad += [BadImage(name, reason) for name, reason in reasons.items()]
        self._left_out |= reasons
        with replacing(self._out / LEFT_OUT) as part, part.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("instance_uid", "reason"), *self._left_out.items()])


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        for row in list(csv.reader(file))[1:]:
            if len(row) == 2:
                yield row[0], row[1]
