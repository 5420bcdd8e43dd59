"""How common the diagnoses of an answer's hits are, beside how common they are in the base."""

from __future__ import annotations

from dataclasses import dataclass

from dermquery.answer.words import Tone, diagnosis_title, tones
from dermquery.store.hits import SearchResult

__all__ = ["Share", "diagnosis_shares"]


@dataclass(frozen=True)
class Share:
    """How often a diagnosis occurs among the hits and in the base; shares lie between 0 and 1."""

    diagnosis: str | None
    title: str
    tone: Tone
    hits: int
    hit_share: float
    cases: int
    base_share: float


def diagnosis_shares(result: SearchResult) -> tuple[Share, ...]:
    """The diagnoses of base and hits, in the order of the base."""
    base, found = result.base.diagnoses, result.diagnoses
    n_hits, n_cases = max(len(result.hits), 1), max(result.base.count, 1)
    names = [*base, *(name for name in found if name not in base)]
    palette = tones(names)
    return tuple(
        Share(
            diagnosis=name,
            title=diagnosis_title(name),
            tone=palette[name],
            hits=found.get(name, 0),
            hit_share=found.get(name, 0) / n_hits,
            cases=base.get(name, 0),
            base_share=base.get(name, 0) / n_cases,
        )
        for name in names
    )
