"""What a report of a search says, in words and numbers, whether it becomes a page or a PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dermquery import __version__
from dermquery.answer.words import describe_case, describe_condition, diagnosis_title, term_phrase
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.store.hits import RESEARCH_USE, Hit, SearchResult

__all__ = [
    "Comparison",
    "Content",
    "HitContent",
    "QueryContent",
    "Share",
    "Term",
    "Warned",
    "no_hits",
    "report_content",
]

_EXCISION = 3
"""Seven-point score from which excision is usually advised (Argenziano et al. 1998)."""
NO_PROBABILITY = "A share among the hits is no probability: it depends on what the base holds."
NO_DIAGNOSIS = "Similar cases are evidence to look at, not a diagnosis."


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
        unread: clauses in which no finding was recognised.
        score: seven-point score of the terms given; None without any.
        score_hint: how to read it.
        conditions: which cases might be found, in words.
    """

    text: str | None
    unread: tuple[str, ...]
    terms: tuple[Term, ...]
    score: int | None
    score_hint: str
    conditions: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """A criterion that the query gives or the case has: what each says, None where it says nothing."""

    title: str
    asked: str | None
    held: str | None

    @property
    def same(self) -> bool | None:
        """Whether they agree; None unless both say something."""
        return None if self.asked is None or self.held is None else self.asked == self.held


@dataclass(frozen=True)
class HitContent:
    """One hit.

    Attributes:
        hit: the hit itself, whose rank, score and similarities are shown as they are.
        title: name of its diagnosis.
        label: the diagnosis as it was recorded, where it differs from the title.
        fine: the finer diagnosis, where it says more.
        shared: criteria on which it agrees with the query.
        differing: those on which it does not, each with what the query says.
        criteria: the query's and the case's, side by side.
        about: site, sex and age.
        seven_point: the score of its own findings; None without any.
    """

    hit: Hit
    title: str
    label: str | None
    fine: str | None
    shared: tuple[str, ...]
    differing: tuple[tuple[str, str], ...]
    criteria: tuple[Comparison, ...]
    about: str
    seven_point: int | None


@dataclass(frozen=True)
class Share:
    """How often a diagnosis occurs among the hits and in the base, with shares in per cent."""

    diagnosis: str | None
    title: str
    hits: int
    hit_share: float
    cases: int
    base_share: float


@dataclass(frozen=True)
class Content:
    """A whole report.

    Attributes:
        heading: how many hits of how many cases.
        when: local time with its zone: a report is filed where it was printed.
        notice: a line on top, for example "These cases are synthetic.".
        warnings: what is wrong with the query's image, or that it is like nothing in the base.
        no_hits: why there is none, where there is none.
        formula: what a score is made of.
        shares: in the order of the base.
        source: what answered, as pairs of name and value.
    """

    heading: str
    when: str
    version: str
    research_use: str
    notice: str | None
    warnings: tuple[str, ...]
    query: QueryContent
    hits: tuple[HitContent, ...]
    no_hits: str | None
    formula: str
    shares: tuple[Share, ...]
    source: tuple[tuple[str, str], ...]
    no_probability: str = NO_PROBABILITY
    no_diagnosis: str = NO_DIAGNOSIS


def report_content(
    result: SearchResult,
    *,
    warnings: Sequence[Warned] = (),
    notice: str | None = None,
    created: datetime | None = None,
) -> Content:
    """Put an answer into words; ``created`` is now if not given."""
    weight = result.local_weight
    return Content(
        heading=_heading(result),
        when=(created or datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M %Z").strip(),
        version=__version__,
        research_use=RESEARCH_USE,
        notice=notice,
        warnings=tuple(warning.message for warning in warnings),
        query=_query(result),
        hits=tuple(_hit(hit, result.terms) for hit in result.hits),
        no_hits=None if result.hits else no_hits(result),
        formula=f"Score = {weight:g} × local + {1 - weight:g} × global similarity.",
        shares=_shares(result),
        source=(
            ("Case base", result.base.uri),
            ("Version of the base", f"{result.base.version}, {result.base.count} cases"),
            ("Model", result.base.model_name),
            ("Artifact", result.base.model_hash),
            ("Program", f"dermquery {__version__}"),
        ),
    )


def no_hits(result: SearchResult) -> str:
    """Why an answer without hits has none: no case may be found, or the offset lies beyond the last one."""
    n = result.n_candidates
    if not n:
        return "No case satisfies the conditions."
    cases = "1 case satisfies" if n == 1 else f"{n} cases satisfy"
    return f"The ranking ends at {n}: {cases} the conditions, and the offset passes over {'it' if n == 1 else 'them'}."


def _heading(result: SearchResult) -> str:
    n = len(result.hits)
    if not n:
        return "No case found"
    first = result.hits[0].rank
    if first > 1:
        return f"Cases {first} to {result.hits[-1].rank} of {result.n_candidates} by similarity"
    return f"{n} most similar case{'' if n == 1 else 's'} of {result.n_candidates}"


def _query(result: SearchResult) -> QueryContent:
    terms = result.terms
    score = seven_point_score(terms) if terms else None
    advised = "Three or more: excision is usually advised."
    return QueryContent(
        text=(result.query.text or "").strip() or None,
        unread=tuple(result.unread),
        terms=tuple(
            Term(CRITERIA[name].title, value, CRITERIA[name].points if value in CRITERIA[name].suspicious else 0)
            for name, value in terms.items()
        ),
        score=score,
        score_hint=advised if score is not None and score >= _EXCISION else "Excision is usually advised from three.",
        conditions=tuple(describe_condition(result.where.condition)),
    )


def _hit(hit: Hit, asked: Mapping[str, str]) -> HitContent:
    case = hit.case
    title = diagnosis_title(case.diagnosis)
    return HitContent(
        hit=hit,
        title=title,
        label=case.diagnosis if case.diagnosis != title else None,
        fine=case.fine_diagnosis if case.fine_diagnosis not in {case.diagnosis, title} else None,
        shared=tuple(term_phrase(name, value) for name, value in hit.shared_criteria.items()),
        differing=tuple((term_phrase(name, value), asked[name]) for name, value in hit.differing_criteria.items()),
        criteria=tuple(
            Comparison(CRITERIA[name].title, asked.get(name), case.checklist.get(name))
            for name in CRITERIA
            if name in asked or name in case.checklist
        ),
        about=" · ".join(describe_case(case)),
        seven_point=seven_point_score(case.checklist) if case.checklist else None,
    )


def _shares(result: SearchResult) -> tuple[Share, ...]:
    base, found = result.base.diagnoses, result.diagnoses
    n_hits, n_cases = max(len(result.hits), 1), max(result.base.count, 1)
    names = [*base, *(name for name in found if name not in base)]
    return tuple(
        Share(
            diagnosis=name,
            title=diagnosis_title(name),
            hits=found.get(name, 0),
            hit_share=100 * found.get(name, 0) / n_hits,
            cases=base.get(name, 0),
            base_share=100 * base.get(name, 0) / n_cases,
        )
        for name in names
    )
