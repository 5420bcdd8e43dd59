"""A ranking in words: how many hits it has, why it has none, and what its scores are made of."""

from __future__ import annotations

from collections.abc import Sequence

from dermquery.answer.language import _, ngettext, number
from dermquery.store.hits import Hit, SearchResult

__all__ = ["findings_scale", "formula", "heading", "n_cases", "no_hits", "scale"]


def formula(result: SearchResult) -> str:
    """What a score is made of, without the parts that say nothing for this query."""
    weights, saying = result.weights, _saying(result)
    parts = [(value, name) for name in saying if (value := getattr(weights, name))]
    total = " + ".join(f"{_few(value)} × {_(name)}" for value, name in parts) or "0"
    values = {"local": _few(weights.local_weight), "other": _few(1 - weights.local_weight)}
    local = _("%(local)s × local + %(other)s × global similarity") % values
    if weights.posterior:
        values = {"other": _few(1 - weights.posterior), "local": local, "posterior": _few(weights.posterior)}
        local = _("%(other)s × (%(local)s) + %(posterior)s × agreement of the diagnoses") % values
    named = f" ({_(result.preset)})" if result.preset else ""
    sums = [_("Score = %s.") % f"{total}{named}"]
    sums += [_("Meaning = %s.") % local] if weights.meaning else []
    return " ".join(sums)


def scale(hits: Sequence[Hit]) -> str | None:
    """How the percentages beside hits are to be read; None where there are none."""
    closer = _("Percentages of meaning or look: the share of the base's cases that are less alike to the query.")
    said = (closer if any(hit.closer_than for hit in hits) else None, findings_scale(hits))
    return " ".join(filter(None, said)) or None


def findings_scale(hits: Sequence[Hit]) -> str | None:
    """What the findings of hits are a share of; None where none were asked for."""
    if any(hit.likely_criteria for hit in hits):
        return _(
            "Findings: the share of those asked for that were recorded; one that nobody recorded counts as likely as "
            "the model finds it by the image."
        )
    asked = any(hit.findings is not None for hit in hits)
    return _("Findings: the share of those asked for that were recorded.") if asked else None


def _saying(result: SearchResult) -> list[str]:
    """The parts of which some hit has a number; without any hit, those that the query asks for."""
    if result.hits:
        return [name for name in result.hits[0].parts if any(hit.parts[name] is not None for hit in result.hits)]
    asked = {"meaning": True, "findings": bool(result.terms), "look": result.query.image is not None}
    return [name for name, there in asked.items() if there]


def _few(value: float) -> str:
    """A weight, with as many digits as it has."""
    written = f"{value:g}"
    return number(value, len(written.partition(".")[2]))


def n_cases(n: int) -> str:
    """How many cases, in words."""
    return ngettext("%s case", "%s cases", n) % number(n)


def no_hits(result: SearchResult) -> str:
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


def heading(result: SearchResult) -> str:
    """How many hits of how many cases."""
    n = len(result.hits)
    if not n:
        return _("No case found")
    first, last = result.hits[0].rank, result.hits[-1].rank
    values = {"n": number(n), "first": number(first), "last": number(last), "all": number(result.n_candidates)}
    if first > 1:
        return _("Cases %(first)s to %(last)s of %(all)s by similarity") % values
    return ngettext("%(n)s most similar case of %(all)s", "%(n)s most similar cases of %(all)s", n) % values
