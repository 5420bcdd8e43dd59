"""The words of dermoscopists as tokens, one file a language.

The files lie in ``languages/`` and share one layout, which ``en.toml`` explains; another language is another file.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal

from dermquery.data.checklist import CRITERIA
from dermquery.data.reading.plain import folded

__all__ = ["DEFAULT", "Kind", "Language", "Token", "is_known", "languages", "languages_of"]

Kind = Literal[
    "item", "quality", "no", "absent", "gone", "present", "doubt", "sure", "same", "past", "since", "now", "other",
    "self", "and", "or", "but", "with", "noun", "irrelevant", "number", "unknown",
    "comma", "stop", "dot", "line", "ask", "is", "box", "tick",
]  # fmt: skip
_Written = Kind | Literal["was", "month", "place", "not", "nor", "suspicion", "hiding", "judgement"]
_WORDS: tuple[_Written, ...] = (
    "was", "month", "irrelevant", "place", "noun", "with", "but", "or", "and", "self", "other", "now", "since", "past",
    "sure", "present", "gone", "absent", "no", "not", "nor", "same", "doubt", "suspicion",
    "hiding", "judgement",
)  # fmt: skip
"""Kinds in the table ``words``, what weighs more last: a phrase that stands in two is of the later kind."""
_SHORTEST = 4
"""Letters that an inflected word keeps at least when its ending is cut off."""
DEFAULT = "en"
"""Read where no other language knows more of a text's words."""
Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Token:
    """A phrase or sign with a meaning.

    Attributes:
        kind: ``item`` names a criterion, ``quality`` how it looks; the others are explained where they stand in
            ``en.toml``, and signs by their names.
        meanings: criterion to the values that an item or a quality leaves; none leaves all.
        part: the name of a part of a criterion ("dots"), which can be absent while another part is there; of a word of
            denial or doubt the table that it stands in, where that says more (``not``, ``nor``, ``suspicion``,
            ``hiding``), so of what leads to a place, and of an unknown one that makes no denial before it doubtful
            (``judgement``).
    """

    kind: Kind
    meanings: Mapping[str, frozenset[str]] = field(default_factory=dict)
    part: str = ""


@dataclass(frozen=True)
class Language:
    """A language as it is read.

    Attributes:
        code: name of its file.
        name: in English.
        phrases: every phrase, as its stems, with its token.
        abbreviations: stem to the stems that it stands for.
        shorthand: finds what is written with other signs than letters, and what each stands for.
        vocabulary: stems long enough to recognise despite a typing error.
        words: all stems.
        ordinary: stems of words that are none of these, however near to one.
        was: stems that put a year or a month into the past; ``year``: those that stand before one; ``month``: months.
        joiner: what a slash and a plus say.
        longest: words of the longest phrase.
    """

    code: str
    name: str
    adjectives_first: bool
    denial_cancels: bool
    endings: tuple[str, ...]
    denying_prefixes: tuple[str, ...]
    phrases: Mapping[Phrase, Token]
    abbreviations: Mapping[str, Phrase]
    shorthand: tuple[re.Pattern[str], Mapping[str, str]]
    vocabulary: tuple[str, ...]
    vocabulary_set: frozenset[str]
    words: frozenset[str]
    ordinary: frozenset[str]
    was: frozenset[str]
    year: frozenset[str]
    month: frozenset[str]
    joiner: str
    longest: int

    def stem(self, word: str) -> str:
        """A word without case, accents and ending."""
        return _stem(folded(word), self.endings)


def _stem(word: str, endings: tuple[str, ...]) -> str:
    for ending in endings:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST:
            return word[: -len(ending)]
    return word


@cache
def languages() -> Mapping[str, Language]:
    """Every language by the name of its file, the default one first."""
    files = [
        f for f in resources.files("dermquery.data.reading").joinpath("languages").iterdir() if f.name.endswith(".toml")
    ]
    read = {f.name.removesuffix(".toml"): tomllib.loads(f.read_text("utf-8")) for f in files}
    return {code: _language(code, read[code]) for code in sorted(read, key=lambda code: (code != DEFAULT, code))}


def _language(code: str, table: Mapping[str, Any]) -> Language:
    endings = tuple(table["endings"])
    abbreviations = {folded(short): _stems(full, endings) for short, full in table["abbreviations"].items()}
    phrases: dict[Phrase, Token] = {}
    for kind in _WORDS:
        phrases.update(dict.fromkeys(_expanded(table["words"][kind], endings, abbreviations), _word(kind)))
    for phrase, meanings in _qualities(table["qualities"], endings, abbreviations).items():
        phrases[phrase] = Token("quality", meanings)
    phrases.update(_items(table, endings, abbreviations))
    words = frozenset(word for phrase in phrases for word in phrase) | abbreviations.keys()
    shorthand = {folded(short): full for short, full in table["shorthand"].items()}
    found = "|".join(re.escape(short) for short in sorted(shorthand, key=len, reverse=True)) or r"(?!)"
    return Language(
        code=code,
        name=table["name"],
        adjectives_first=table["adjectives"] == "before",
        denial_cancels=table["double_negation"] == "cancels",
        endings=endings,
        denying_prefixes=tuple(folded(prefix) for prefix in table["denying_prefixes"]),
        phrases=phrases,
        abbreviations=abbreviations,
        shorthand=(re.compile(rf"(?<!\w)(?:{found})(?!\w)", re.IGNORECASE), shorthand),
        vocabulary=tuple(sorted(word for word in words if len(word) > 3)),
        vocabulary_set=frozenset(word for word in words if len(word) > 3),
        words=words,
        ordinary=frozenset(_stem(folded(word), endings) for word in table["ordinary"]),
        was=frozenset(_stem(folded(word), endings) for word in table["words"]["was"]),
        year=frozenset(_stem(folded(word), endings) for word in table["words"]["year"]),
        month=frozenset(_stem(folded(word), endings) for word in table["words"]["month"]),
        joiner=_stems(table["words"]["and"][0], endings)[0],
        longest=max(map(len, phrases)),
    )


def _word(kind: _Written) -> Token:
    """The token of a word of the table ``words``."""
    if kind == "suspicion" or kind == "hiding":
        return Token("doubt", part=kind)
    if kind == "judgement":
        return Token("unknown", part=kind)
    if kind == "not" or kind == "nor":
        return Token("no", part=kind)
    if kind == "place":
        return Token("irrelevant", part=kind)
    return Token("irrelevant" if kind == "was" or kind == "month" else kind)


def _stems(phrase: str, endings: tuple[str, ...]) -> Phrase:
    return tuple(_stem(folded(word), endings) for word in re.findall(r"[^\W_]+", phrase))


def _expanded(phrases: Any, endings: tuple[str, ...], abbreviations: Mapping[str, Phrase]) -> list[Phrase]:
    """Phrases as stems, with abbreviations written out as in texts."""
    return [
        tuple(part for stem in _stems(phrase, endings) for part in abbreviations.get(stem, (stem,)))
        for phrase in phrases
    ]


def _qualities(
    table: Mapping[str, Any], endings: tuple[str, ...], abbreviations: Mapping[str, Phrase]
) -> dict[Phrase, dict[str, frozenset[str]]]:
    found: dict[Phrase, dict[str, frozenset[str]]] = {}
    for name, values in table.items():
        for value, phrases in values.items():
            for phrase in _expanded(phrases, endings, abbreviations):
                found.setdefault(phrase, {})[name] = _values(name, value)
    return found


def _items(
    table: Mapping[str, Any], endings: tuple[str, ...], abbreviations: Mapping[str, Phrase]
) -> Iterator[tuple[Phrase, Token]]:
    for name, phrases in table["items"].items():
        for phrase in _expanded(phrases, endings, abbreviations):
            yield phrase, Token("item", {name: frozenset()})
    parts = {name: _expanded(phrases, endings, abbreviations) for name, phrases in table["parts"].items()}
    for name, phrases in parts.items():
        for phrase in phrases:
            yield phrase, Token("item", {name: frozenset()}, " ".join(phrase))
    for name, values in table["terms"].items():
        for value, phrases in values.items():
            for phrase in _expanded(phrases, endings, abbreviations):
                part = next((" ".join(part) for part in parts.get(name, ()) if set(part) <= set(phrase)), "")
                yield phrase, Token("item", {name: _values(name, value)}, part)


def _values(name: str, written: str) -> frozenset[str]:
    values = frozenset(written.split(" | "))
    if unknown := values.difference(CRITERIA[name].values):
        raise ValueError(f"a file of languages names the unknown value {min(unknown)!r} of {name}")
    return values


def languages_of(words: list[str]) -> list[Language]:
    """The languages that know most of some words, the default one first if it is among them; it alone of none."""
    counts = Counter(code for word in words for code in _languages_with(word))
    most = max(counts.values(), default=0)
    return (
        [language for language in languages().values() if counts[language.code] == most]
        if most
        else [languages()[DEFAULT]]
    )


@lru_cache(maxsize=8192)
def _languages_with(word: str) -> tuple[str, ...]:
    return tuple(code for code, language in languages().items() if language.stem(word) in language.words)


def is_known(word: str) -> bool:
    """Whether any language has the word."""
    return bool(_languages_with(word))
