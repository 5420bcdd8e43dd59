"""What an answer says, in words and numbers: the one content that every output renders.

Terminal, CSV, sheet, PDF, picture and page show its parts in their places; JSON and the API send the recorded values
(:class:`~dermquery.store.hits.Hit`, :class:`~dermquery.data.case.Case`) as they are. What is recorded of a case and
how it is called stands in :mod:`dermquery.data.case` and :mod:`.words`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dermquery import __version__
from dermquery.answer.case_words import Comparison, Fact, Measure, by_image, case_facts, image_alt, origin
from dermquery.answer.language import _, current, said
from dermquery.answer.ranking_words import formula, heading, n_cases, no_hits, scale
from dermquery.answer.shares import Share, diagnosis_shares
from dermquery.answer.words import (
    Tone,
    describe_case,
    describe_condition,
    diagnosis_title,
    reading_notes,
    term_phrase,
)
from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.store.hits import RESEARCH_USE, Hit, SearchResult

__all__ = [
    "SCORE_HINT",
    "TRAINED_ON",
    "Comparison",
    "Content",
    "Fact",
    "HitContent",
    "Measure",
    "QueryContent",
    "Term",
    "Warned",
    "case_facts",
    "image_alt",
    "report_content",
]

NO_PROBABILITY = "A share among the hits is no probability: it depends on what the base holds."
NO_DIAGNOSIS = "Similar cases are evidence to look at, not a diagnosis."
TRAINED_ON = "The model was trained on this image"
SCORE_HINT = (
    "Of the criteria given. The checklist was published with a threshold of three (Argenziano et al. 1998); "
    "that is no advice of this program."
)
_EVIDENCE = "Bright parts of an image make up its local similarity; the rest is dimmed."


class Warned(Protocol):
    """A warning about a query: of :mod:`dermquery.data.image_quality` or :mod:`.likeness`."""

    @property
    def kind(self) -> str:
        """What is wrong, in a few words."""

    @property
    def message(self) -> str:
        """For people, with the remedy."""


@dataclass(frozen=True)
class Term:
    """A criterion of the query: its name, its value, and its points in the seven-point score."""

    title: str
    value: str
    points: int


@dataclass(frozen=True)
class QueryContent:
    """The question.

    Attributes:
        text: free text, stripped; None without any.
        notes: say what of it was not searched for, and ask for what is missing.
        score: seven-point score of the terms given; None without any.
        score_hint: of what it is, and whose its threshold is.
        conditions: says which cases might be found; None if all might.
    """

    text: str | None
    notes: tuple[str, ...]
    terms: tuple[Term, ...]
    score: int | None
    score_hint: str
    conditions: str | None


@dataclass(frozen=True)
class HitContent:
    """One hit.

    Attributes:
        hit: the hit itself.
        score: the weighted sum of its parts.
        parts: those of the score that say something here.
        same_image: says that it is of the very image that was asked with, or looks like the same photograph; else None.
        trained_on: says that the model was trained on its image; None if it was not, or nobody knows.
        title: name of its diagnosis.
        tone: colour of its diagnosis.
        alt: describes its image to those who cannot see it.
        label: the diagnosis as it was recorded, where it differs from the title.
        fine: the finer diagnosis, where it says more.
        shared: criteria on which it agrees with the query.
        differing: those on which it does not, each with what the query says.
        likely: those that nobody recorded of it, each with how likely the query's value is by its image.
        criteria: the query's and the case's, side by side, all seven.
        about: the case in one line; empty if nothing of it is known.
        origin: source, licence and attribution of its image; empty if nothing of them is known.
        seven_point: says the score of its own findings; None without any.
        facts: every field of the case, in the order of :data:`.words.TITLES`.
    """

    hit: Hit
    score: Measure
    parts: tuple[Measure, ...]
    same_image: str | None
    trained_on: str | None
    title: str
    tone: Tone
    alt: str
    label: str | None
    fine: str | None
    shared: tuple[str, ...]
    differing: tuple[tuple[str, str], ...]
    likely: tuple[str, ...]
    criteria: tuple[Comparison, ...]
    about: str
    origin: str
    seven_point: str | None
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Content:
    """A whole report.

    Attributes:
        heading: how many hits of how many cases.
        language: code of the language that it is written in.
        when: local time with its zone: a report is filed where it was printed.
        notice: a line on top, for example "These cases are synthetic.".
        warnings: what is wrong with the base or the query's image, or that it is like nothing in the base.
        no_hits: why there is none, where there is none.
        formula: what a score is made of.
        scale: how the percentages beside it are to be read; None where there are none.
        evidence: how to read images that are shown with their evidence; None if they are not.
        shares: in the order of the base.
        source: what answered, as pairs of name and value.
    """

    heading: str
    language: str
    when: str
    version: str
    research_use: str
    notice: str | None
    warnings: tuple[str, ...]
    query: QueryContent
    hits: tuple[HitContent, ...]
    no_hits: str | None
    formula: str
    scale: str | None
    evidence: str | None
    shares: tuple[Share, ...]
    source: tuple[tuple[str, str], ...]
    no_probability: str
    no_diagnosis: str


def report_content(
    result: SearchResult,
    *,
    warnings: Sequence[Warned] = (),
    notice: str | None = None,
    created: datetime | None = None,
) -> Content:
    """Put an answer into words; ``created`` is now if not given."""
    shares = diagnosis_shares(result)
    palette = {share.diagnosis: share.tone for share in shares}
    return Content(
        heading=heading(result),
        when=(created or datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M %Z").strip(),
        version=__version__,
        language=current().code,
        research_use=_(RESEARCH_USE),
        notice=notice,
        warnings=tuple(said(warning.message) for warning in warnings),
        query=_query(result),
        hits=tuple(_hit(hit, result.terms, palette[hit.case.diagnosis]) for hit in result.hits),
        no_hits=None if result.hits else no_hits(result),
        formula=formula(result),
        scale=scale(result.hits),
        evidence=_(_EVIDENCE) if result.evidence else None,
        shares=shares,
        source=(
            (_("Case base"), result.base.name),
            (_("Version of the base"), f"{result.base.version}, {n_cases(result.base.count)}"),
            (_("Model"), result.base.model_name),
            (_("Artifact"), result.base.model_hash),
            (_("Program"), f"dermquery {__version__}"),
        ),
        no_probability=_(NO_PROBABILITY),
        no_diagnosis=_(NO_DIAGNOSIS),
    )


def _query(result: SearchResult) -> QueryContent:
    terms = result.terms
    score = seven_point_score(terms) if terms else None
    conditions = "; ".join(describe_condition(result.where.condition))
    return QueryContent(
        text=(result.query.text or "").strip() or None,
        notes=reading_notes(result.reading),
        terms=tuple(
            Term(_(CRITERIA[name].title), _(value), CRITERIA[name].points if value in CRITERIA[name].suspicious else 0)
            for name, value in terms.items()
        ),
        score=score,
        score_hint=_(SCORE_HINT),
        conditions=_("Only cases with %s.") % conditions if conditions else None,
    )


def _same(hit: Hit) -> str | None:
    if hit.same_image:
        return _("Byte-identical image")
    return _("Looks like the same photograph") if hit.same_photograph else None


def _values(asked: Mapping[str, str], case: Case, name: str) -> tuple[str | None, str | None]:
    """What the query and a case say of a criterion, in words."""
    return tuple(_(held[name]) if held.get(name) else None for held in (asked, case.checklist))  # type: ignore[return-value]


def _hit(hit: Hit, asked: Mapping[str, str], tone: Tone) -> HitContent:
    case = hit.case
    title = diagnosis_title(case.diagnosis)
    return HitContent(
        hit=hit,
        score=Measure("score", hit.score),
        parts=tuple(
            Measure(name, value, hit.closer_than.get(name)) for name, value in hit.parts.items() if value is not None
        ),
        same_image=_same(hit),
        trained_on=_(TRAINED_ON) if hit.trained_on else None,
        title=title,
        tone=tone,
        alt=image_alt(case),
        label=case.diagnosis if case.diagnosis != title else None,
        fine=case.fine_diagnosis if case.fine_diagnosis not in {case.diagnosis, title} else None,
        shared=tuple(term_phrase(name, value) for name, value in hit.shared_criteria.items()),
        differing=tuple((term_phrase(name, value), _(asked[name])) for name, value in hit.differing_criteria.items()),
        likely=tuple(
            f"{term_phrase(name, asked[name])} ({by_image(probability)})"
            for name, probability in hit.likely_criteria.items()
        ),
        criteria=tuple(
            Comparison(_(criterion.title), *_values(asked, case, name), hit.likely_criteria.get(name))
            for name, criterion in CRITERIA.items()
        ),
        about=describe_case(case),
        origin=origin(case),
        seven_point=_("seven-point score %s") % seven_point_score(case.checklist) if case.checklist else None,
        facts=case_facts(case),
    )
