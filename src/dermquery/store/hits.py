"""What a search gives back: hits with their evidence, and the question they answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from dermquery.data.case import CASE_FIELDS, Case, Query
from dermquery.data.checklist import seven_point_score
from dermquery.data.findings import Findings
from dermquery.data.image import ImageSource, file_hash
from dermquery.data.names import slashed
from dermquery.data.viewer import Viewer
from dermquery.model.alignment import Evidence
from dermquery.model.parts import Weights
from dermquery.store.archive import ArchiveError, ImageArchive
from dermquery.store.damage import Damage
from dermquery.store.filters import Filter

__all__ = ["RESEARCH_USE", "BaseInfo", "Hit", "SearchResult", "compare_criteria"]

RESEARCH_USE = "Research use only. Not a medical device."
"""Shown wherever results are shown."""


@dataclass(frozen=True)
class Hit:
    """One case that a query found.

    Attributes:
        rank: 1 for the most similar case.
        score: the weighted sum of its parts.
        meaning: the lesions mean the same: equation 9, with the agreement of the diagnoses where the weights say so.
        findings: the share of the findings asked for that the case has; None where none were asked for.
        look: the lesions look the same, in [−1, 1]; None without an image, or from a model that does not tell.
        local: equation 7, the similarity of the regions, in [−1, 1], not yet weighted.
        global_: equation 8, the similarity of the whole maps, in [−1, 1], not yet weighted.
        closer_than: the share of the base's cases that are less alike to the query, by part, where it is known.
        same_image: whether it is of the very image file that was asked with; such hits come first.
        same_photograph: whether its picture is nearly the one that was asked with though its file is another:
            compressed again, made smaller, or cut out of its frame.
        shared_criteria: the criteria that the query gives and the case has with the same value, with that value.
        differing_criteria: those that the case has with another value, with the case's value.
        likely_criteria: those that nobody recorded of it, with the model's probability of the query's value.
        trained_on: whether the model was trained on its image; None where the model does not say.
        sha256: of the image file that the case's vector was made of.
        viewer: address of its images in a picture archive's viewer, where one is configured and has them.
    """

    rank: int
    case: Case
    score: float
    meaning: float
    findings: float | None
    look: float | None
    local: float
    global_: float
    shared_criteria: Mapping[str, str] = field(default_factory=dict)
    differing_criteria: Mapping[str, str] = field(default_factory=dict)
    likely_criteria: Mapping[str, float] = field(default_factory=dict)
    closer_than: Mapping[str, float] = field(default_factory=dict)
    same_image: bool = False
    same_photograph: bool = False
    trained_on: bool | None = None
    sha256: str = ""
    viewer: str | None = None

    @property
    def parts(self) -> dict[str, float | None]:
        """The parts of the score by name."""
        return {"meaning": self.meaning, "findings": self.findings, "look": self.look}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "rank": self.rank,
            "case_id": self.case.case_id,
            "score": self.score,
            **self.parts,
            "closer_than": dict(self.closer_than),
            "same_image": self.same_image,
            "same_photograph": self.same_photograph,
            "trained_on": self.trained_on,
            "local": self.local,
            "global": self.global_,
            "shared_criteria": dict(self.shared_criteria),
            "differing_criteria": dict(self.differing_criteria),
            "likely_criteria": dict(self.likely_criteria),
            "viewer": self.viewer,
            "case": self.case.model_dump(mode="json"),
        }

    def to_row(self) -> dict[str, Any]:
        """One row of a table: :meth:`to_dict` flat, with the fields of the case and its criteria as columns."""
        found = self.to_dict()
        case = found.pop("case")
        closer = {f"{name}_closer_than": found["closer_than"].get(name) for name in ("meaning", "look")}
        kept = {name: value for name, value in found.items() if not isinstance(value, dict)}
        fields = {name: field.of(self.case) for name, field in CASE_FIELDS.items() if name != "case_id"}
        return {**kept, **closer, **fields, "image": case["image"]}


@dataclass(frozen=True)
class BaseInfo:
    """The case base that answered.

    Attributes:
        uri: where it lies.
        count: cases in it.
        diagnoses: how many cases have each diagnosis; None counts those without one.
        model_name, model_hash: the model that made its vectors.
        version: how often it was encoded, from 1.
        levels: names of the model's feature levels, low to high.
    """

    uri: str
    count: int
    diagnoses: Mapping[str | None, int]
    model_name: str
    model_hash: str
    version: int = 1
    levels: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of ``uri``: the folder around it says something of the computer."""
        return slashed(self.uri).rstrip("/").rpartition("/")[2]


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query.

    Attributes:
        query: as it was encoded.
        reading: what the query's terms and its free text say.
        hits: best first, ties by ``case_id``; before them those of the very image that was asked with.
        weights: of the parts of a score.
        preset: the name of these weights; None for others than the base knows.
        where: the filter, with the exclusions.
        n_candidates: cases that satisfy it, from which the hits were taken.
        base: the case base.
        evidence: where each hit's local similarity comes from, if it was asked for (``CaseBase.explain``).
        archive: where the images of the base are kept, if it keeps them.
        damage: what is wrong with the base, as warnings.
    """

    query: Query
    reading: Findings
    hits: tuple[Hit, ...]
    weights: Weights
    preset: str | None
    where: Filter
    n_candidates: int
    base: BaseInfo
    evidence: tuple[Evidence, ...] = ()
    archive: ImageArchive | None = field(default=None, compare=False, repr=False)
    damage: tuple[Damage, ...] = ()

    @property
    def terms(self) -> Mapping[str, str]:
        """Checklist criteria that the query gives, as terms or in its free text."""
        return self.reading.checklist

    @property
    def local_weight(self) -> float:
        """λ of equation 9."""
        return self.weights.local_weight

    def with_links(self, viewer: Viewer | None) -> Self:
        """The same with each hit's address in a viewer."""
        if viewer is None:
            return self
        return replace(self, hits=tuple(replace(hit, viewer=viewer.address(hit.case)) for hit in self.hits))

    def picture(self, hit: Hit) -> ImageSource:
        """The image that a hit's vector was made of, from the archive; without it, the file that the case names."""
        try:
            if self.archive is not None:
                return self.archive.original(hit.sha256)
        except ArchiveError:
            pass  # an image that was lost there may still be where the case came from
        return hit.case.image

    @property
    def diagnoses(self) -> dict[str | None, int]:
        """How many hits have each diagnosis, most frequent first; None counts those without one."""
        counts = Counter(hit.case.diagnosis for hit in self.hits)
        return dict(sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))))

    def to_frame(self) -> Any:
        """The hits as a ``pandas.DataFrame``, a row each, best first: rank, score and parts, fields and criteria.

        ``frame.attrs["notice"]`` says that this is for research use only.

        Raises:
            ModuleNotFoundError: pandas, which the product does not need, is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError("to_frame needs pandas: pip install pandas") from error
        frame = pandas.DataFrame([hit.to_row() for hit in self.hits], columns=list(_columns()))
        frame.attrs["notice"] = RESEARCH_USE
        return frame

    def _repr_html_(self) -> str:
        # Words and pictures are the answer's, which stands above the store: looked up, not imported.
        shown: str = import_module("dermquery.answer.notebook").notebook_html(self)
        return shown

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON. The query's image is the SHA-256 of its file, whose name may be a patient's."""
        return {
            "notice": RESEARCH_USE,
            "query": {
                "image_sha256": _hash_of_query(self.query.image),
                "text": self.query.text,
                "checklist": dict(self.query.checklist),
                "terms": dict(self.terms),
                "language": self.reading.language or None,
                "uncertain": [asdict(remark) for remark in self.reading.uncertain],
                "conflicts": [asdict(remark) for remark in self.reading.conflicts],
                "incomplete": [asdict(remark) for remark in self.reading.incomplete],
                "unread": list(self.reading.unread),
                "seven_point_score": seven_point_score(self.terms) if self.terms else None,
                "where": self.where.model_dump(mode="json", exclude_none=True)["condition"],
                "preset": self.preset,
                "weights": self.weights.model_dump(),
                "local_weight": self.local_weight,
            },
            "base": {
                "name": self.base.name,
                "version": self.base.version,
                "count": self.base.count,
                "candidates": self.n_candidates,
                "diagnoses": [{"diagnosis": name, "count": n} for name, n in self.base.diagnoses.items()],
                "model": self.base.model_name,
                "model_hash": self.base.model_hash,
            },
            "hits": [hit.to_dict() for hit in self.hits],
        }


def _hash_of_query(image: ImageSource | None) -> str | None:
    """The SHA-256 of the query's image file; None without one, or if it is gone by now."""
    try:
        return file_hash(image)
    except OSError:
        return None


def _columns() -> tuple[str, ...]:
    """Names of :meth:`Hit.to_row`, for a result without any hit."""
    case = Case(case_id="none", image=Path("none"))
    return tuple(Hit(1, case, 0.0, 0.0, None, None, 0.0, 0.0).to_row())


def compare_criteria(terms: Mapping[str, str], case: Case) -> tuple[dict[str, str], dict[str, str]]:
    """Criteria on which a case agrees with a query's terms, and those on which it differs, with the case's values.

    A criterion that is not recorded for the case is in neither.
    """
    recorded = {name: case.checklist[name] for name in terms if case.checklist.get(name)}
    shared = {name: value for name, value in recorded.items() if value == terms[name]}
    return shared, {name: value for name, value in recorded.items() if name not in shared}
