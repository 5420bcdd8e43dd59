"""What the heading of a further column says: a fact of the lesion or of the picture, or something else.

The words of headings are ``column_facts.json``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path

from dermquery.data.vocabulary.spelling import folded

__all__ = ["heading_says_fact", "heading_words", "is_fact", "word_lists_of_columns"]

_CALLED = frozenset({"name", "naam", "nom"})
"""Words that may stand beside a fact, "Name der Kamera", and say none."""


@cache
def word_lists_of_columns() -> Mapping[str, frozenset[str]]:
    """By kind, words of headings and of what stands below them, folded."""
    listed = json.loads((Path(__file__).parent / "column_facts.json").read_text(encoding="utf-8"))
    return {kind: frozenset(names) for kind, names in listed.items()}


def heading_words(name: str) -> list[str]:
    """The words of a heading, with the number or the name that a German or Dutch word ends in by itself."""
    spaced = re.sub(r"(?<=[a-zß-ÿ])(?=[A-ZÀ-Þ])", " ", name)
    parts = [re.sub(r"(?<=[a-z])\d+$", "", part) for part in folded(spaced).split()]
    split = (re.sub(r"(?<=..)(nummer|number|nr|naam|name)$", r" \1", part).split() for part in parts)
    return list(chain.from_iterable(split))


def heading_says_fact(parts: Sequence[str]) -> bool:
    """Whether all words of a heading together say a fact: "Therapie" does, "Therapie durch" does not."""
    words = word_lists_of_columns()
    if not parts or not all(map(_is_known, parts)):
        return False
    if words["number"] & {*parts} and parts[:2] not in (["number", "of"], ["no", "of"]):
        return bool(words["numbered"] & {*parts})
    return any(part not in words["beside"] | _CALLED for part in parts)


@lru_cache(maxsize=4096)
def _is_known(part: str) -> bool:
    words = word_lists_of_columns()
    known = words["fact"] | words["beside"] | words["number"] | words["numbered"] | _CALLED
    return part in known or part.isdigit() or is_fact(part)


def is_fact(part: str) -> bool:
    """Whether a word is a fact, or made of several: Operationsdatum, excisiemarge."""
    fact = word_lists_of_columns()["fact"]
    if part in fact or any(part.removesuffix(end) in fact for end in ("s", "en") if part.endswith(end)):
        return True
    heads = (part[:end] for end in range(3, len(part) - 2) if part[:end] in fact)
    return any(is_fact(part[len(head) :].removeprefix(link)) for head in heads for link in ("", "s", "n", "en"))
