"""Prepare the images of any source beside a case table: as they came, or without borders, or as the paper's squares.

The result is ``OUT/cases.csv``, ``OUT/images/<case_id>.jpg`` and ``OUT/prepare.json``, which records how the images
were made. Images appear whole or not at all, so an interrupted run can be repeated.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from dermquery.data.borders import remove_borders
from dermquery.data.case import SPACING, Case
from dermquery.data.case_table import write_cases
from dermquery.data.dicom.container import NAMES_SOMEBODY, is_dicom
from dermquery.data.files import replacing
from dermquery.data.image import ImageError, load_image
from dermquery.data.jpeg import bare_jpeg
from dermquery.data.prepared_file import named_in_comment, saved
from dermquery.data.rows import CaseTableError, read_csv_rows
from dermquery.data.sources.held import PrepareError, claim, keep_held, place_of
from dermquery.data.sources.map_files import write_unknown_words
from dermquery.data.vocabulary.words import reworded

__all__ = [
    "BadImage",
    "Original",
    "PrepareError",
    "PrepareReport",
    "Progress",
    "origin_of",
    "prepare_cases",
    "read_records",
]

Progress = Callable[[int, int], None]
"""Called with (images done, images in all) after each image."""

_PIPELINE = 3
"""Increase it whenever the same source image would come out differently, so that old and new images never mix."""
_WORKERS = 2
UNKNOWN_WORDS = "unknown-words.csv"
"""In the prepared folder, every word that no vocabulary knows: a file of maps, to be corrected by hand."""


@dataclass(frozen=True)
class Original:
    """A source image.

    Attributes:
        origin: names what it is made of, in up to a hundred bytes; another origin is another image.
        decode: gives its pixels, as :func:`~dermquery.data.image.load_image` does.
        data: gives its bytes, which are kept as they are if they are a JPEG that shows just these pixels.
    """

    origin: bytes
    decode: Callable[[], Image.Image]
    data: Callable[[], bytes]


@dataclass(frozen=True)
class BadImage:
    """A source image that could not be used."""

    case_id: str
    reason: str


@dataclass(frozen=True)
class PrepareReport:
    """The outcome of a preparation.

    Attributes:
        out: the prepared folder.
        table: the case table, or None if it was not written because of bad images.
        cases: the prepared cases.
        made: images made in this run.
        kept: images that an earlier run had finished.
        bad: images that could not be used.
        notes: what there is to tell of the source: guesses, what was passed over, counts that differ.
    """

    out: Path
    table: Path | None
    cases: tuple[Case, ...]
    made: int
    kept: int
    bad: tuple[BadImage, ...]
    notes: tuple[str, ...] = ()

    @property
    def diagnoses(self) -> dict[str, int]:
        """Number of cases by diagnosis, most frequent first; cases without one are counted under ``""``."""
        return dict(Counter(case.diagnosis or "" for case in self.cases).most_common())


def prepare_cases(
    cases: Sequence[Case],
    out: Path,
    *,
    source: str,
    size: int | None = None,
    crop: bool = False,
    skip_bad: bool = False,
    progress: Progress | None = None,
    read: Callable[[Path], Original] | None = None,
    bad: Sequence[BadImage] = (),
    earlier: Sequence[Case] | None = None,
    places: Sequence[Path] = (),
) -> PrepareReport:
    """Prepare the images of ``cases`` (each :attr:`Case.image` is the source file) and write their table.

    Each image stays as it came, upright and without metadata, so that people see its true proportions; a model brings
    it to its own size. Images that an earlier run finished from the same source image are kept. Cases are written in
    the project's words (:mod:`dermquery.data.vocabulary.words`); words without a counterpart stay, and are in the
    report's notes.

    Args:
        cases: what to prepare.
        out: folder to write to.
        source: name of the kind of source.
        size: as in the paper, remove the borders and resize to ``size`` × ``size`` pixels, whatever the proportions.
        crop: remove the borders and keep the proportions.
        skip_bad: write the table without the images that cannot be used.
        progress: called after each image.
        read: opens a case's image, from two threads; by default it is a file.
        bad: source images that became no case; they count like those that cannot be used.
        earlier: cases of the folder's table that stay in it, before these; None for a source that has all in one.
        places: where ``cases`` were read from. What was prepared from elsewhere is not written over.

    A bad image never stops the others. If there is one, the table is written only with ``skip_bad``, and without it.

    Raises:
        PrepareError: if ``out`` was prepared in another way or holds another import, or ``size`` is too small.
    """
    if size is not None and size < 32:
        raise PrepareError(f"size is {size} pixels; use at least 32")
    made_by = {"source": source, "size": size, "borders": not (crop or size), "pipeline": _PIPELINE}
    place = place_of(places)
    before = claim(out, made_by, place)
    worded = reworded(cases)
    cases = worded.cases
    targets = [out / "images" / name for name in _file_names([case.case_id for case in cases])]
    notes = (*worded.notes, *write_unknown_words(worded, out / UNKNOWN_WORDS))
    if earlier is None:
        image_of = dict(zip((case.case_id for case in cases), targets, strict=True))
        notes += tuple(
            keep_held(
                out, cases, {each.case_id for each in bad}, made_by=made_by, place=place, before=before,
                is_other_image=lambda case: _is_other(case.image, image_of[case.case_id]),
            )
        )  # fmt: skip
    prepared: list[Case] = []
    unusable = list(bad)
    made = 0
    jobs = [
        (partial(read or _file, case.image), target, size, crop) for case, target in zip(cases, targets, strict=True)
    ]
    with _pool() as pool:
        for done, outcome in enumerate(pool.map(_prepare_image, jobs), start=1):
            case, target = cases[done - 1], targets[done - 1]
            if isinstance(outcome, str):
                unusable.append(BadImage(case.case_id, outcome))
            else:
                made += outcome
                # A square of any proportions has no scale that holds in both directions.
                extra = {name: value for name, value in case.extra.items() if not (size and name == SPACING)}
                prepared.append(case.model_copy(update={"image": target.absolute(), "extra": extra}))
            if progress:
                progress(done, len(cases))
    table = out / "cases.csv" if prepared and (skip_bad or not unusable) else None
    if table:
        write_cases([*(earlier or ()), *prepared], table)
    return PrepareReport(out, table, tuple(prepared), made, len(prepared) - made, tuple(unusable), notes)


def read_records(path: Path, needed: Sequence[str], remedy: str) -> list[dict[str, str]]:
    """The rows of a release's CSV table, each by column name.

    Args:
        path: the table.
        needed: columns that it must have.
        remedy: what to do if it is missing or damaged.

    Raises:
        PrepareError: there is no such file, or it is not the table that was expected.
    """
    try:
        rows = read_csv_rows(path)
    except FileNotFoundError as error:
        raise PrepareError(f"{path}: no such file; {remedy}") from error
    except CaseTableError as error:
        raise PrepareError(f"{path}: not a readable table ({error}); {remedy}") from error
    if missing := [name for name in needed if name not in rows.header]:
        there = ", ".join(rows.header)
        raise PrepareError(f"{path}: missing columns {', '.join(missing)}; it has {there}; {remedy}")
    for line, cells in rows.numbered:
        if len(cells) != len(rows.header):
            raise PrepareError(
                f"{path}: line {line} has {len(cells)} cells and the header {len(rows.header)}; {remedy}"
            )
    return [dict(zip(rows.header, cells, strict=True)) for _, cells in rows.numbered]


def _file_names(case_ids: Sequence[str]) -> list[str]:
    """``<case_id>.jpg``; an id that is no safe file name is spelled with safe letters and a hash of itself.

    Ids that differ in upper and lower case only get a hash too, as some file systems hold them for one.
    """
    if twice := [case_id for case_id, count in Counter(case_ids).items() if count > 1]:
        raise PrepareError(f"case ids occur more than once: {', '.join(twice[:5])}; give each image its own")
    folded = Counter(case_id.lower() for case_id in case_ids)
    names = []
    for case_id in case_ids:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", case_id).lstrip("._-")[:100]
        if stem != case_id or folded[case_id.lower()] > 1:
            stem = f"{stem}-{hashlib.sha256(case_id.encode()).hexdigest()[:8]}"
        names.append(f"{stem}.jpg")
    return names


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads, as Pillow and NumPy work outside the interpreter's lock; Ctrl-C drops what has not begun."""
    pool = ThreadPoolExecutor(_WORKERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_image(job: tuple[Callable[[], Original], Path, int | None, bool]) -> bool | str:
    """True if the image was made, False if it was there, or the reason why it cannot be used."""
    opened, target, size, crop = job
    try:
        original = opened()
        if target.is_file() and _made_from(target) == original.origin:
            return False
        image = original.decode()
        bare = None if size or crop else _bare(original.data(), original.origin, image)
    except (ImageError, OSError) as error:
        return str(error)
    if size or crop:
        image = remove_borders(image)
    if size:
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    with replacing(target) as part:
        part.write_bytes(saved(image, original.origin) if bare is None else bare)
    return True


def _bare(data: bytes, origin: bytes, image: Image.Image) -> bytes | None:
    """A JPEG without metadata, if it shows the same without: turned by EXIF or in other colours, it does not."""
    bare = bare_jpeg(data, origin)
    return bare if bare is not None and load_image(bare).tobytes() == image.tobytes() else None


def _file(source: Path) -> Original:
    """A file that is an image by what it holds: what names a patient in pixels or attributes has a way of its own."""
    if source.is_file():
        with source.open("rb") as file:
            if is_dicom(file.read(256)):
                raise ImageError(f"{source}: {NAMES_SOMEBODY}")
    return Original(_origin(source) if source.is_file() else b"", partial(load_image, source), source.read_bytes)


def _origin(source: Path) -> bytes:
    """The comment that names a prepared file's source, so that a corrected table or a replaced image is noticed."""
    with source.open("rb") as file:
        return named_in_comment(hashlib.file_digest(file, "sha256").hexdigest())


def _is_other(source: Path, target: Path) -> bool:
    return source.is_file() and target.is_file() and _made_from(target) != _origin(source)


def _made_from(target: Path) -> object:
    try:
        with Image.open(target, formats=("JPEG",)) as image:
            return image.info.get("comment")
    except OSError:  # damaged from outside; it is made again
        return None


def origin_of(image: Path) -> bytes | None:
    """What names the file that a prepared image was made of, or an image itself; None if there is no such file."""
    if not image.is_file():
        return None
    made = _made_from(image)
    return made if isinstance(made, bytes) and made.startswith(b"source ") else _origin(image)
