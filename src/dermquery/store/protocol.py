"""What the case base asks of a model and of a store, so that neither is tied to one implementation."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from PIL import Image

from dermquery.data.case import Case, Query
from dermquery.data.image import ImageSource
from dermquery.model.alignment import Evidence, Vectors
from dermquery.model.parts import PartLayout
from dermquery.store.damage import Damage, is_sound
from dermquery.store.filters import Filter

__all__ = [
    "FEWEST_INDEXED",
    "INDEX_FROM",
    "CaseReader",
    "CaseStore",
    "Encoder",
    "ExplainingEncoder",
    "Flaws",
    "ImageStamp",
    "PreparingEncoder",
    "ScoredCase",
    "StoredCase",
    "check_indexable",
    "from_payload",
    "gives_vectors_of",
    "image_key",
    "left_of",
    "packed",
    "to_payload",
]

INDEX_FROM = 10_000
"""Cases from which a store gets an index by itself; below, every vector is read and the ranking is exact."""
FEWEST_INDEXED = 1024
"""Cases below which nothing is worth indexing, and quantisers could not be trained."""


def check_indexable(n: int) -> None:
    """Raise a ValueError where ``n`` cases are too few for an index."""
    if n < FEWEST_INDEXED:
        raise ValueError(
            f"an index needs at least {FEWEST_INDEXED} cases, and there are {n}; every search is exact without"
        )


@runtime_checkable
class Encoder(Protocol):
    """A model, as far as a case base needs it; :class:`dermquery.model.encoder.ComposedModel` is one.

    An encoder may also have ``replaces: tuple[str, ...]``, the hashes of earlier artifacts that give the same vectors
    (:func:`gives_vectors_of`), and ``presets: Mapping[str, Weights]``, weights by name that were chosen for it.
    """

    @property
    def name(self) -> str:
        """What people call the model."""

    @property
    def artifact_hash(self) -> str:
        """SHA-256 of the artifact, in hexadecimal digits; two models with one hash give the same vectors."""

    @property
    def layout(self) -> PartLayout:
        """Order of the parts in a vector."""

    def encode_case(
        self, images: Sequence[Image.Image], checklists: Sequence[Mapping[str, str]] | None = None, /
    ) -> Vectors:
        """Vectors of cases by their images and recorded findings, (n, layout.size) float32."""

    def encode_query(self, queries: Sequence[Query], /) -> Vectors:
        """Vectors of queries, (n, layout.size) float32, not yet weighted."""


@runtime_checkable
class PreparingEncoder(Encoder, Protocol):
    """A model that can get ready in the background."""

    def prepare(self) -> None:
        """Begin to load what the first encoding needs; returns at once."""


@runtime_checkable
class ExplainingEncoder(Encoder, Protocol):
    """A model that can say where a similarity comes from."""

    def evidence(self, query: Query, case: Case, /, *, image: ImageSource | None = None) -> Evidence:
        """Evidence maps of one query and one case; ``image`` stands for its own file, where that is kept elsewhere."""


def gives_vectors_of(model: Encoder, artifact_hash: str) -> bool:
    """Whether a model gives the vectors of the artifact with this hash: it is that artifact, or replaces it."""
    return artifact_hash in (model.artifact_hash, *getattr(model, "replaces", ()))


def image_key(sha256: str) -> str:
    """64 bits of the hash of an image file: enough to find it by, and to be held against the whole hash then."""
    return sha256[:16]


@dataclass(frozen=True)
class ImageStamp:
    """What identifies the image bytes that a vector was made of.

    Attributes:
        sha256: of the file's bytes, in hexadecimal digits.
        size: in bytes.
        mtime_ns: time of the last change in nanoseconds; with the size, it spares reading a file that stayed as it was.
        phash: perceptual hash of the picture (:mod:`.duplicates`), in hexadecimal digits; empty if it is not known.
    """

    sha256: str
    size: int
    mtime_ns: int
    phash: str = ""

    @property
    def key(self) -> str:
        """The beginning of the hash, by which stores find an image; see :func:`image_key`."""
        return image_key(self.sha256)

    def same_file_state(self, size: int, mtime_ns: int) -> bool:
        """Whether a file of this size and time has not been touched since."""
        return (self.size, self.mtime_ns) == (size, mtime_ns)


@dataclass(frozen=True, eq=False)
class StoredCase:
    """A case with its vector, as one row of a store.

    Attributes:
        vector: (size,) float32; empty where a read did not ask for vectors. Stores keep it in half precision
            (:func:`packed`), and scores are those of what they keep.
    """

    case: Case
    vector: Vectors
    stamp: ImageStamp


def packed(vector: Vectors) -> Vectors:
    """A vector as stores keep it: numbers of half precision, here in float32."""
    return vector.astype(np.float16).astype(np.float32)


def to_payload(row: StoredCase) -> str:
    """Case and stamp as JSON; the image's path is absolute, fields without a value are left out."""
    case, stamp = row.case, row.stamp
    fields = case.model_dump(mode="json", exclude_none=True) | {"image": str(case.image.absolute())}
    stamped = [stamp.sha256, stamp.size, stamp.mtime_ns, stamp.phash]
    return json.dumps({"case": fields, "stamp": stamped}, ensure_ascii=False, separators=(",", ":"))


def from_payload(payload: str, vector: Vectors) -> StoredCase:
    """The row that :func:`to_payload` described, with its vector."""
    held = json.loads(payload)
    case = Case(**{**held["case"], "image": Path(held["case"]["image"])})
    return StoredCase(case, vector, ImageStamp(*held["stamp"]))


def left_of(payload: str, vector: Vectors, stored: int) -> StoredCase | None:
    """What is sound of a row, by its checksum: its vector is empty if that is wrong; None if the description is."""
    if not is_sound(payload, vector[:0], stored):
        return None
    return from_payload(payload, vector if is_sound(payload, vector, stored) else vector[:0])


@dataclass(frozen=True, eq=False)
class ScoredCase:
    """A stored case and its inner product with the query vector."""

    row: StoredCase
    score: float


@dataclass(frozen=True)
class Flaws:
    """What is wrong with a store, all of which was read.

    Attributes:
        rows: those that are wrong, by their id as its column says it; what is sound of them (:func:`left_of`).
        files: those that are not as they were written, by their path in the table's folder.
        unreadable: why not every row could be read; empty if all could.
        lost: which files are lost, so that cases are; empty if none are.
        cut_off: which write was cut off before it was confirmed; empty if none was.
        index: why the index cannot be used; empty if it can, or there is none.
    """

    rows: Mapping[str, StoredCase | None]
    files: tuple[str, ...] = ()
    unreadable: str = ""
    lost: str = ""
    cut_off: str = ""
    index: str = ""


class CaseReader(Protocol):
    """Rows of cases and vectors that can be read, and searched by inner product."""

    def get(self, case_ids: Collection[str], *, vectors: bool = True) -> dict[str, StoredCase]:
        """The rows with these ids, by id; ids that are not there are left out."""

    def with_image(self, sha256: str) -> list[StoredCase]:
        """The rows of one image file, by its hash, sorted by ``case_id``; with their vectors."""

    def count(self, where: Filter | None = None) -> int:
        """Number of cases, or of those that satisfy a filter."""

    def search(
        self,
        vector: Vectors,
        where: Filter | None = None,
        top_k: int = 5,
        exclude: Collection[str] = (),
        offset: int = 0,
        *,
        exact: bool = False,
    ) -> list[ScoredCase]:
        """The ``top_k`` cases of greatest inner product with ``vector`` (size,), best first, ties by ``case_id``.

        Fewer come back where fewer satisfy the filter. ``exclude`` names cases that must not be found. ``offset`` of
        the best are passed over, so that one ranking can be read in pages.

        A large store with an index finds nearly all of them; scores and order of what it finds are exact. ``exact``
        looks at every row.
        """

    def page(
        self, where: Filter | None = None, after: str | None = None, limit: int = 50, *, vectors: bool = False
    ) -> list[StoredCase]:
        """The first ``limit`` cases that satisfy a filter, in ascending order of ``case_id``, strictly after ``after``.

        A next page is asked for with the last id of the one before, so writes in between neither repeat nor skip a
        case that was there all the time.
        """

    def spread(self, limit: int) -> list[StoredCase]:
        """At most ``limit`` cases with their vectors, all of a smaller store: a cheap sample, another in a copy."""

    def scan(self, *, vectors: bool = True, whole: bool = True) -> Iterator[list[StoredCase]]:
        """Every row, a bounded number at a time, in no order; rows written meanwhile may be among them or not.

        ``whole`` is for those who must not lose a row, a copy say.

        Raises:
            DamageError: a row is damaged; where ``whole`` is False it is left out instead.
        """

    def ids(self) -> list[str]:
        """Every ``case_id``, sorted."""

    def value_counts(self, field: str, where: Filter | None = None) -> Mapping[str | float | None, int]:
        """How often each value of a field occurs, most frequent first; None counts the cases without one."""

    def damage(self) -> tuple[Damage, ...]:
        """What is known to be wrong with stored rows; those are left out of whatever is read."""

    def warm(self) -> None:
        """Do beforehand what first searches would wait for; a service calls it when it starts. Changes no answer."""


class CaseStore(CaseReader, Protocol):
    """Rows that can be written too.

    A write is durable when the call returns. A process that is killed in between leaves each batch wholly in or out.
    """

    def upsert(self, rows: Sequence[StoredCase]) -> None:
        """Add rows, replacing those with the same ``case_id``; all of them or none, save very many to a server."""

    def delete(self, case_ids: Collection[str]) -> int:
        """Remove cases; returns how many there were."""

    def inspect(self) -> Flaws:
        """Read everything, and say what is wrong."""

    def renew(self, flaws: Flaws) -> None:
        """Write anew what is damaged beside the wrong rows, from what is sound; cases that are lost stay lost."""

    def compact(self) -> None:
        """Merge what many small writes left behind; exact searches give the same answer before and after.

        A store that has grown large enough gets an index here.
        """

    def build_index(self) -> int:
        """Build the index for approximate search now; returns the number of rows in it.

        Raises:
            ValueError: for too few rows.
        """
