"""Goes through the files of an import: what becomes a case, what cannot be used, what is none of its business."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.uid import JPEGBaseline8Bit

from dermquery.data.case import Case
from dermquery.data.decoding import Decoders
from dermquery.data.dicom.attributes import PHOTOGRAPHS, age_doubts, doubts_of, facts_of
from dermquery.data.dicom.container import DicomError, is_dicom
from dermquery.data.dicom.deidentify import METHOD, check_shown, deidentified
from dermquery.data.dicom.functional import by_frame, group_doubts, of_all_frames
from dermquery.data.dicom.header import Header, read_header
from dermquery.data.dicom.layout import Layout, frame_bytes, layout_of
from dermquery.data.dicom.objects import DicomFile, is_packed
from dermquery.data.dicom.pixels import profile_of
from dermquery.data.dicom.quiet import quiet
from dermquery.data.dicom.site_key import SiteKey
from dermquery.data.dicom.values import text
from dermquery.data.dicom.written import write_object
from dermquery.data.image import ImageError
from dermquery.data.sources.prepare import BadImage, Original

__all__ = ["FrameCase", "Import"]

_NO_FILE = "no DICOM file"
_NAMED = 5
"""Archives that are named."""


@dataclass(frozen=True)
class FrameCase:
    """A case and the frame that shows it.

    Attributes:
        case: its image is no path, but the number by which :meth:`Import.opened` knows the frame.
        file: that holds the object.
        frame: from 1.
        jpeg: whether its bytes are a JPEG that shows the same outside of the object.
    """

    case: Case
    file: DicomFile
    frame: int
    jpeg: bool


class Import:
    """One import.

    Attributes:
        frames: what becomes a case, by the number that is its image.
        bad: files that cannot be used.

    Args:
        key: for pseudonyms; None keeps identities.
        allowed: see :func:`~dermquery.data.dicom.deidentify.check_shown`.
        clinic: recorded as the source of the cases.
        named: whether messages call files by their names.
    """

    def __init__(self, key: SiteKey | None, allowed: frozenset[str], clinic: str, *, named: bool) -> None:
        self._key, self._allowed, self._clinic, self._named = key, allowed, clinic, named
        self.frames: dict[int, FrameCase] = {}
        self.bad: list[BadImage] = []
        self._others: Counter[str] = Counter()
        self._mended: Counter[str] = Counter()
        self._objects: dict[str, str] = {}
        self._packed: list[str] = []

    def take(self, file: DicomFile) -> None:
        """Read a file's attributes, and make its cases."""
        try:
            head = file.head()
            if not is_dicom(head):
                if is_packed(head):
                    self._packed.append(self._called(file))
                else:
                    self._others[_NO_FILE] += 1
                return
            with file.opened() as stream, quiet():
                header = read_header(stream)
                if header.class_uid not in PHOTOGRAPHS:
                    self._others[header.kind] += 1
                    return
                layout = layout_of(header)
                if self._key is not None:
                    check_shown(header, self._allowed)
                self._add(file, header, layout, self._digest(_whole(stream)))
        except DicomError as error:
            self._refuse(file, str(error))
        except OSError as error:
            self._refuse(file, f"cannot be read ({error.strerror}); check its permissions")
        except MemoryError:
            self._refuse(file, "reading it takes too much memory; export it again")

    def _refuse(self, file: DicomFile, reason: str) -> None:
        self.bad.append(BadImage(self._called(file), reason))

    def _called(self, file: DicomFile) -> str:
        return file.name if self._named else f"file {file.place}"

    def _digest(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        return digest if self._key is None else self._key.pseudonym("object", digest)

    def _add(self, file: DicomFile, header: Header, layout: Layout, digest: str) -> None:
        described = by_frame(header.dataset, layout.frames)
        attributes = self._attributes(header, described[0])
        instance = text(attributes, "SOPInstanceUID") or f"object-{digest[:24]}"
        if instance in self._objects:
            same = self._objects[instance] == digest
            self._others["a further copy of an object" if same else "another object of a UID that was read"] += 1
            return
        self._objects[instance] = digest
        doubts = {
            *layout.mended,
            *age_doubts(header.dataset, quoted=self._named),
            *group_doubts(header.dataset, layout.frames),
        }
        more = {"pixels_read_as": "; ".join(layout.mended)} if layout.mended else {}
        if self._key is not None:
            more["deidentified"] = METHOD
        jpeg = header.syntax == JPEGBaseline8Bit and profile_of(header) is None
        for frame, dataset in enumerate(described, start=1):
            if frame == 1 or dataset is not described[frame - 2]:
                attributes = attributes if frame == 1 else self._attributes(header, dataset)
                facts = facts_of(attributes, header.class_uid)
                extra = facts.pop("extra") | more
                doubts.update(doubts_of(attributes))
            number = len(self.frames) + 1
            case_id = f"{instance}#{frame}" if layout.frames > 1 else instance
            case = Case(case_id=case_id, image=Path(str(number)), source=self._clinic, **facts, extra=extra)
            self.frames[number] = FrameCase(case, file, frame, jpeg)
        self._mended.update(sorted(doubts))

    def _attributes(self, header: Header, dataset: Dataset) -> Dataset:
        """What an object says of a frame, de-identified unless identities are kept."""
        return dataset if self._key is None else deidentified(replace(header, dataset=dataset), self._key)

    def opened(self, image: Path, decoders: Decoders) -> Original:
        """The frame of a case, for :func:`~dermquery.data.sources.prepare.prepare_cases`.

        Raises:
            ImageError: its file cannot be read any more.
        """
        taken = self.frames[int(str(image))]
        data = _read(taken.file)
        origin = self._digest(b"%d " % taken.frame + data)

        def encoded() -> bytes:
            if not taken.jpeg:
                return b""
            header = read_header(data)
            return frame_bytes(header, layout_of(header, frame=taken.frame), taken.frame)

        return Original(f"source {origin}".encode(), lambda: decoders.decode(data, frame=taken.frame), encoded)

    def write_objects(self, folder: Path, decoders: Decoders, case_ids: Collection[str]) -> list[BadImage]:
        """Write de-identified copies of the objects whose cases were prepared; those that could not be written.

        An object of which one frame cannot be used is left out.
        """
        bad: list[BadImage] = []
        by_file: dict[int, list[FrameCase]] = {}
        for taken in self.frames.values():
            by_file.setdefault(taken.file.place, []).append(taken)
        for frames in by_file.values():
            if self._key is None or any(taken.case.case_id not in case_ids for taken in frames):
                continue
            try:
                data = _read(frames[0].file)
                pictures = [decoders.decode(data, frame=taken.frame) for taken in frames]
                header = read_header(data)
                with quiet():
                    same = of_all_frames(header.dataset, len(frames))
                write_object(folder, self._attributes(header, same), pictures)
            except (DicomError, ImageError) as error:
                bad.append(BadImage(self._called(frames[0].file), f"no object was written: {error}"))
        return bad

    def notes(self, beyond: int = 0) -> tuple[str, ...]:
        """What there is to tell about the import, a line each.

        Args:
            beyond: records of a DICOMDIR that name no file below its folder.
        """
        parts = []
        if beyond:
            parts.append(f"{beyond} records of the DICOMDIR name no file below its folder and were passed over")
        if self._others:
            counted = ", ".join(f"{count} × {kind}" for kind, count in self._others.most_common())
            parts.append(f"{self._others.total()} files are no photographs and were passed over: {counted}")
        if self._packed:
            more = f" and {len(self._packed) - _NAMED} more" if len(self._packed) > _NAMED else ""
            named = ", ".join(self._packed[:_NAMED]) + more
            parts.append(f"ZIP archives among the files are not looked into; unpack them, and prepare again: {named}")
        parts += [f"{count} × {note}" for note, count in self._mended.most_common()]
        if self._key is None:
            parts.append("identities were kept: the table and its images name patients")
        elif (self.bad or self._packed) and not self._named:
            parts.append(
                "files are called by their places in the sorted list, as their names may name patients; "
                "--name-files names them"
            )
        return tuple(parts)


def _whole(stream: BinaryIO) -> bytes:
    stream.seek(0)
    return stream.read()


def _read(file: DicomFile) -> bytes:
    try:
        return file.read()
    except (DicomError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ImageError(f"the image: cannot be read any more ({reason}); prepare again") from error
