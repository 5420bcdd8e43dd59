"""What an answer says, in words and numbers: the one content that every output renders.

Terminal, CSV, sheet, PDF, picture and page show its parts in their places; JSON and the API send the recorded values
(:class:`~dermquery.store.hits.Hit`, :class:`~dermquery.data.case.Case`) as they are. What is recorded of a case and
how it is called stands in :mod:`dermquery.data.case` and :mod:`.words`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from dermquery import __version__
from dermquery.answer.language import _, current, ngettext, number, said
from dermquery.answer.shares import Share, diagnosis_shares
from dermquery.answer.words import (
    TITLES,
    Tone,
    describe_case,
    describe_condition,
    diagnosis_title,
    field_words,
    reading_notes,
    term_phrase,
)
from dermquery.data.case import CASE_FIELDS, Case
from dermquery.data.checklist import CRITERIA, seven_point_score
from dermquery.store.hits import RESEARCH_USE, Hit, SearchResult

__all__ = [
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

_NEARLY_ALL = 0.999
"""Shares from here on are told apart by more digits."""
_EXCISION = 3
"""Seven-point score from which excision is usually advised (Argenziano et al. 1998)."""
NO_PROBABILITY = "A share among the hits is no probability: it depends on what the base holds."
NO_DIAGNOSIS = "Similar cases are evidence to look at, not a diagnosis."
TRAINED_ON = "The model was trained on this image"
_SCALE = (
    "Percentages: of meaning and look, the share of the base's cases that are less alike to the query; "
    "of findings, the share of those asked for."
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
        score_hint: how to read it.
        conditions: says which cases might be found; None if all might.
    """

    text: str | None
    notes: tuple[str, ...]
    terms: tuple[Term, ...]
    score: int | None
    score_hint: str
    conditions: str | None


@dataclass(frozen=True)
class Comparison:
    """A criterion of the checklist: what query and case say, None where one says nothing.

    Attributes:
        likely: how likely the case has what was asked by its image, where nobody recorded the criterion.
    """

    title: str
    asked: str | None
    held: str | None
    likely: float | None = None

    @property
    def same(self) -> bool | None:
        """Whether they agree; None unless both say something."""
        return None if self.asked is None or self.held is None else self.asked == self.held

    @property
    def kind(self) -> str:
        """Asked and ``shared``, asked and ``differing``, ``recorded`` only, ``likely`` by the image, or ``unknown``."""
        if self.same is not None:
            return "shared" if self.same else "differing"
        return "recorded" if self.held else "unknown" if self.likely is None else "likely"

    @property
    def words(self) -> str:
        """The same in a few words: ``streaks: regular (asked: irregular)``."""
        values = {"held": self.held, "asked": self.asked, "percent": number(100 * (self.likely or 0))}
        words = {
            "shared": _("%(held)s, as asked"),
            "differing": _("%(held)s (asked: %(asked)s)"),
            "recorded": "%(held)s",
            "likely": _("%(asked)s? Not recorded; %(percent)s %% by the image"),
            "unknown": _("not recorded"),
        }
        return f"{self.title}: {words[self.kind] % values}"


@dataclass(frozen=True)
class Fact:
    """What a case has in one field.

    Attributes:
        name: of the field, as tables, filters and JSON have it.
        title: what people call it.
        value: as it was recorded; None if it was not.
        words: the same for people.
    """

    name: str
    title: str
    value: str | float | date | None
    words: str | None


@dataclass(frozen=True)
class Measure:
    """A similarity by its name.

    Attributes:
        closer_than: the share of the base's cases that are less alike to the query; None where it is not known.
    """

    name: str
    value: float
    closer_than: float | None = None

    @property
    def words(self) -> str:
        """With three digits; findings as the share of those asked for, never rounded up to all."""
        return f"{math.floor(self.value * 100 + 1e-3)} %" if self.name == "findings" else number(self.value, 3)

    @property
    def percent(self) -> str | None:
        """The share of cases that are less alike; never rounded up to all of them."""
        if self.closer_than is None:
            return None
        digits = 1 if self.closer_than < _NEARLY_ALL else 3
        return f"{number(math.floor(self.closer_than * 100 * 10**digits) / 10**digits, digits)} %"

    @property
    def brief(self) -> str:
        """What people read first: the share of cases, then the number itself."""
        return self.words if self.percent is None else f"{self.percent} ({self.words})"

    @property
    def bar(self) -> float:
        """How much of a bar is filled, from 0 to 1; of a negative similarity nothing is."""
        return min(max(self.value if self.closer_than is None else self.closer_than, 0.0), 1.0)


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
    likely: tuple[tuple[str, str], ...]
    criteria: tuple[Comparison, ...]
    about: str
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
        heading=_heading(result),
        when=(created or datetime.now().astimezone()).strftime("%Y-%m-%d %H:%M %Z").strip(),
        version=__version__,
        language=current().code,
        research_use=_(RESEARCH_USE),
        notice=notice,
        warnings=tuple(said(warning.message) for warning in warnings),
        query=_query(result),
        hits=tuple(_hit(hit, result.terms, palette[hit.case.diagnosis]) for hit in result.hits),
        no_hits=None if result.hits else _no_hits(result),
        formula=_formula(result),
        scale=_(_SCALE) if any(hit.closer_than for hit in result.hits) else None,
        evidence=_(_EVIDENCE) if result.evidence else None,
        shares=shares,
        source=(
            (_("Case base"), result.base.name),
            (_("Version of the base"), f"{result.base.version}, {_n_cases(result.base.count)}"),
            (_("Model"), result.base.model_name),
            (_("Artifact"), result.base.model_hash),
            (_("Program"), f"dermquery {__version__}"),
        ),
        no_probability=_(NO_PROBABILITY),
        no_diagnosis=_(NO_DIAGNOSIS),
    )


def _formula(result: SearchResult) -> str:
    """What a score is made of."""
    weights = result.weights
    parts = [(value, name) for name in ("meaning", "findings", "look") if (value := getattr(weights, name))]
    total = " + ".join(f"{_few(value)} × {_(name)}" for value, name in parts)
    values = {"local": _few(weights.local_weight), "other": _few(1 - weights.local_weight)}
    local = _("%(local)s × local + %(other)s × global similarity") % values
    if weights.posterior:
        values = {"other": _few(1 - weights.posterior), "local": local, "posterior": _few(weights.posterior)}
        local = _("%(other)s × (%(local)s) + %(posterior)s × agreement of the diagnoses") % values
    named = f" ({_(result.preset)})" if result.preset else ""
    sums = [_("Score = %s.") % f"{total}{named}"]
    sums += [_("Meaning = %s.") % local] if weights.meaning else []
    return " ".join(sums)


def _few(value: float) -> str:
    """A weight, with as many digits as it has."""
    written = f"{value:g}"
    return number(value, len(written.partition(".")[2]))


def _n_cases(n: int) -> str:
    return ngettext("%s case", "%s cases", n) % number(n)


def _no_hits(result: SearchResult) -> str:
    """Why an answer without hits has none: no case may be found, or the offset lies beyond the last one."""
    n = result.n_candidates
    if not n:
        return _("No case satisfies the conditions.")
    words = ngettext(
        "The ranking ends at %(n)s: 1 case satisfies the conditions, and the offset passes over it.",
        "The ranking ends at %(n)s: %(n)s cases satisfy the conditions, and the offset passes over them.",
        n,
    )
    return words % {"n": number(n)}


def _heading(result: SearchResult) -> str:
    n = len(result.hits)
    if not n:
        return _("No case found")
    first, last = result.hits[0].rank, result.hits[-1].rank
    values = {"n": number(n), "first": number(first), "last": number(last), "all": number(result.n_candidates)}
    if first > 1:
        return _("Cases %(first)s to %(last)s of %(all)s by similarity") % values
    return ngettext("%(n)s most similar case of %(all)s", "%(n)s most similar cases of %(all)s", n) % values


def _query(result: SearchResult) -> QueryContent:
    terms = result.terms
    score = seven_point_score(terms) if terms else None
    below = _("Excision is usually advised from three.")
    advised = _("Three or more: excision is usually advised.")
    conditions = "; ".join(describe_condition(result.where.condition))
    return QueryContent(
        text=(result.query.text or "").strip() or None,
        notes=reading_notes(result.reading),
        terms=tuple(
            Term(_(CRITERIA[name].title), _(value), CRITERIA[name].points if value in CRITERIA[name].suspicious else 0)
            for name, value in terms.items()
        ),
        score=score,
        score_hint=advised if score is not None and score >= _EXCISION else below,
        conditions=_("Only cases with %s.") % conditions if conditions else None,
    )


def image_alt(case: Case) -> str:
    """A case's image in words, for those who cannot see it."""
    said = {"id": case.case_id, "diagnosis": diagnosis_title(case.diagnosis)}
    if case.is_clinical:
        return _("Clinical photograph of case %(id)s, %(diagnosis)s") % said
    return _("Dermoscopic image of case %(id)s, %(diagnosis)s") % said


def case_facts(case: Case) -> tuple[Fact, ...]:
    """Every field of a case that has a title, in the order in which people see them."""
    return tuple(
        Fact(name, _(title), CASE_FIELDS[name].of(case), field_words(case, name)) for name, title in TITLES.items()
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
            (term_phrase(name, asked[name]), f"{number(100 * probability)} %")
            for name, probability in hit.likely_criteria.items()
        ),
        criteria=tuple(
            Comparison(_(criterion.title), *_values(asked, case, name), hit.likely_criteria.get(name))
            for name, criterion in CRITERIA.items()
        ),
        about=describe_case(case),
        seven_point=_("seven-point score %s") % seven_point_score(case.checklist) if case.checklist else None,
        facts=case_facts(case),
    )
