"""What the API takes and sends for searches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import UploadFile
from pydantic import BaseModel, ConfigDict, Field, Json, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from dermquery.answer.shares import diagnosis_shares
from dermquery.data.checklist import seven_point_score
from dermquery.model.parts import Weights
from dermquery.serve.answers import MAX_RANK, Answer
from dermquery.serve.api.common import SmallJson
from dermquery.serve.api.schemas import CaseAnswer, Notice, Out
from dermquery.store.casebase import QueryError
from dermquery.store.filters import Condition
from dermquery.store.hits import RESEARCH_USE, Hit, SearchResult
from dermquery.store.where import Written

__all__ = ["FeedbackRequest", "RankingParameters", "RankingRequest", "SearchAnswer", "SearchForm"]


class HitAnswer(Out):
    """A case that a query found."""

    rank: int = Field(description="1 for the most similar case.")
    score: float = Field(description="The weighted sum of meaning, findings and look.")
    meaning: float = Field(description="How much the lesions mean the same, from −1 to 1; λ·local + (1−λ)·global.")
    findings: float | None = Field(description="Share of the findings asked for that it has; null without any.")
    look: float | None = Field(description="How much the lesions look the same, from −1 to 1; null without an image.")
    closer_than: Mapping[str, float] = Field(
        description="Share of the base's cases that are less alike to the query, by part, where it is known."
    )
    same_image: bool = Field(description="Whether it is of the very image file that was sent; such hits come first.")
    same_photograph: bool = Field(
        description="Whether its picture is nearly the one that was sent though its file is another: compressed again, "
        "resized or cropped."
    )
    trained_on: bool | None = Field(description="Whether the model was trained on its image; null if it does not say.")
    local: float = Field(description="Similarity of the learned regions, from −1 to 1.")
    global_: float = Field(alias="global", description="Similarity of the whole images, from −1 to 1.")
    shared_criteria: Mapping[str, str] = Field(
        description="Criteria that the query gives and the case has with the same value."
    )
    differing_criteria: Mapping[str, str] = Field(
        description="Criteria that the query gives and the case has with another value, with the case's value."
    )
    likely_criteria: Mapping[str, float] = Field(
        description="Criteria that the query gives and nobody recorded, with how likely its value is by the image."
    )
    viewer: str | None = Field(
        description="Address of its images in the picture archive's viewer; null where none is configured or has them."
    )
    case: CaseAnswer

    @classmethod
    def of(cls, hit: Hit, root: str) -> HitAnswer:
        """The answer for a hit."""
        values: dict[str, Any] = {n: dict(v) if isinstance(v, Mapping) else v for n, v in vars(hit).items()}
        values["case"] = CaseAnswer.shown(hit.case, hit.sha256, root)
        return cls.model_construct(**{name: values[name] for name in cls.model_fields})


class DiagnosisShare(Out):
    """How often a diagnosis occurs among the hits and in the whole base. A share among hits is no probability."""

    diagnosis: str | None = Field(description="Null for the cases without one.")
    hits: int = Field(description="Hits of this page.")
    base: int = Field(description="Cases in the base.")
    share_of_hits: float = Field(ge=0, le=1)
    share_of_base: float = Field(ge=0, le=1)

    @classmethod
    def all_of(cls, result: SearchResult) -> tuple[DiagnosisShare, ...]:
        """Most frequent among the hits first, then those that only the base has."""
        return tuple(
            cls(
                diagnosis=share.diagnosis,
                hits=share.hits,
                base=share.cases,
                share_of_hits=share.hit_share,
                share_of_base=share.base_share,
            )
            for share in sorted(diagnosis_shares(result), key=lambda share: -share.hits)
        )


class WarningAnswer(Out):
    """Something to know about the query's image or about how near the hits are."""

    kind: str
    message: str


class RemarkAnswer(Out):
    """What the text says of a criterion without giving it a value."""

    criterion: str
    words: str = Field(description="As they were written.")
    question: str = Field(description="Asks for what is missing, for example `streaks: regular or irregular?`.")


class QueryAnswer(Out):
    """How the query was understood."""

    image_sha256: str | None = Field(description="Of the image file that was sent, or of the case's.")
    like: str | None = Field(description="The case that more like it was asked for.")
    terms: Mapping[str, str] = Field(description="Checklist criteria, given as terms or read in the text.")
    language: str | None = Field(description="In which the text was read, for example `de`; null without a text.")
    uncertain: tuple[RemarkAnswer, ...] = Field(
        description="Criteria that are doubtful, or were seen at another time or by somebody else; they do not count."
    )
    conflicts: tuple[RemarkAnswer, ...] = Field(
        description="Criteria with values that exclude each other; a term counts, values of the text do not."
    )
    incomplete: tuple[RemarkAnswer, ...] = Field(description="Criteria that are named without a value.")
    unread: tuple[str, ...] = Field(description="Words of the text that were not understood.")
    seven_point_score: int | None = Field(description="Of those terms; null without any.")
    relevant: tuple[str, ...] = Field(description="Cases that were marked as relevant.")
    irrelevant: tuple[str, ...] = Field(description="Cases that were marked as irrelevant.")


class SearchAnswer(Out):
    """One page of a ranking."""

    notice: Notice = RESEARCH_USE
    search: str = Field(description="Key for ranking again, for marks and for overlays; kept for 30 minutes.")
    query: QueryAnswer
    preset: str | None = Field(description="Name of the weights; null for others than the base knows by name.")
    weights: Weights = Field(description="Of the parts of the score.")
    local_weight: float = Field(ge=0, le=1, description="λ, one of them.")
    where: Any = Field(description="The filter with the exclusions, as a condition tree.")
    offset: int
    candidates: int = Field(description="Cases that satisfy the filter.")
    count: int = Field(description="Cases in the base.")
    model: str
    model_hash: str
    hits: tuple[HitAnswer, ...]
    diagnoses: tuple[DiagnosisShare, ...] = Field(description="Those of the hits, beside those of the base.")
    warnings: tuple[WarningAnswer, ...]

    @classmethod
    def of(cls, answer: Answer, root: str) -> SearchAnswer:
        """What is sent for an answer of the service."""
        prepared, result = answer.prepared, answer.result
        reading, marks = prepared.encoded.reading, prepared.marks
        terms = dict(reading.checklist)
        query = {
            **vars(reading),
            "image_sha256": prepared.sha256,
            "like": prepared.like,
            "terms": terms,
            "language": reading.language or None,
            "seven_point_score": seven_point_score(terms) if terms else None,
            "relevant": tuple(case_id for case_id, relevant in marks.items() if relevant),
            "irrelevant": tuple(case_id for case_id, relevant in marks.items() if not relevant),
        }
        return cls.model_construct(
            search=prepared.key,
            query=QueryAnswer.model_validate(query),
            preset=result.preset,
            weights=result.weights,
            local_weight=result.local_weight,
            where=result.where.model_dump(mode="json", exclude_none=True)["condition"],
            offset=answer.offset,
            candidates=result.n_candidates,
            count=result.base.count,
            model=result.base.model_name,
            model_hash=result.base.model_hash,
            hits=tuple(HitAnswer.of(hit, root) for hit in result.hits),
            diagnoses=DiagnosisShare.all_of(result),
            warnings=tuple(map(WarningAnswer.model_validate, answer.warnings)),
        )


MOST_HITS = 100
"""Hits of one page."""

_CaseIds = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=500)], ...], Field(max_length=1000)]


def _plainly(value: object, handler: ValidatorFunctionWrapHandler) -> object:
    """What is wrong with weights, without the names of the types that they are not."""
    try:
        return handler(value)
    except ValidationError:
        raise ValueError(
            'give the name of a preset, "meaning=1,findings=.5,look=.3", or an object of such numbers by name'
        ) from None


class RankingRequest(BaseModel):
    """How to rank: weights, filter, exclusions and page. Nothing of it needs the network."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"where": ["site=back", "age>=40"], "weights": "same findings", "top_k": 10}]},
    )

    top_k: Annotated[int, Field(ge=1, le=MOST_HITS, description="Hits wanted.")] = 10
    offset: Annotated[int, Field(ge=0, le=MAX_RANK - MOST_HITS, description="Hits before the page.")] = 0
    weights: Annotated[
        dict[str, float] | str | None,
        WrapValidator(_plainly),
        Field(
            description="Name of a preset, or the parts that weigh something: `meaning=1,findings=.5,look=.3` or "
            '`{"meaning": 1, "findings": 0.5, "look": 0.3}`; the base\'s default.'
        ),
    ] = None
    local_weight: Annotated[
        float | None,
        Field(ge=0, le=1, description="λ: 0 is global similarity only, 1 is local only; that of the weights."),
    ] = None
    where: Annotated[
        tuple[str, ...], Field(max_length=100, description="Conditions such as `site=back`; all must hold.")
    ] = ()
    must: Annotated[
        tuple[Annotated[str, Field(max_length=200)], ...],
        Field(max_length=50, description="Finding that a case must have, such as `vascular_structures=arborizing`."),
    ] = ()
    filter: Annotated[Condition | None, Field(description="Conditions as a tree.")] = None
    exclude_case: _CaseIds = ()
    exclude_lesion: _CaseIds = ()
    exclude_patient: _CaseIds = ()

    def condition(self) -> Written:
        """Every form of the filter as one, to be read by what the base holds.

        Raises:
            FilterError: for a condition that cannot be read or used, whatever the base.
        """
        return Written(self.where, self.must, self.filter)

    def options(self) -> dict[str, Any]:
        """Arguments of :meth:`SearchService.search`."""
        names = ("top_k", "offset", "weights", "local_weight", "exclude_case", "exclude_lesion", "exclude_patient")
        return {"where": self.condition(), **{name: getattr(self, name) for name in names}}


class RankingParameters(RankingRequest):
    """The same in an address or a form, where weights and the tree of conditions are written as text."""

    weights: Annotated[
        str | None,
        Field(max_length=500, description="Name of a preset, or `meaning=1,findings=.5,look=.3`; the base's default."),
    ] = None
    filter: Annotated[Json[Condition] | None, SmallJson, Field(description="The conditions as a tree, in JSON.")] = None


class FeedbackRequest(RankingRequest):
    """Marks of hits, and how to rank with them."""

    relevant: _CaseIds = ()
    irrelevant: _CaseIds = ()


class SearchForm(RankingParameters):
    """An image, a text, checklist terms, or any of them together, and how to rank."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"text": "atypical network", "top_k": 5}]}
    )

    image: Annotated[
        UploadFile | None, Field(description="Dermoscopic image: JPEG, PNG, TIFF, BMP, WebP, GIF, JPEG 2000 or HEIC.")
    ] = None
    text: Annotated[str | None, Field(max_length=4000, description="Free text.")] = None
    term: Annotated[
        tuple[Annotated[str, Field(max_length=200)], ...],
        Field(max_length=50, description="Checklist term, `criterion=value`; may be repeated."),
    ] = ()
    checklist: Annotated[Json[dict[str, str]] | None, SmallJson, Field(description="The same as a JSON object.")] = None

    def terms(self) -> dict[str, str]:
        """Terms of both forms.

        Raises:
            QueryError: for one that cannot be read, or two values for one criterion.
        """
        found = dict(self.checklist or {})
        for written in self.term:
            name, equals, value = (part.strip() for part in written.partition("="))
            if not equals or not value:
                raise QueryError(f"cannot read the term {written!r}; write for example pigment_network=atypical")
            if found.setdefault(name, value) != value:
                raise QueryError(f"two values for {name}: {found[name]!r} and {value!r}; give one")
        return found
