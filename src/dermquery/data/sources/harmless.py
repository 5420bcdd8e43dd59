"""What values are that name nobody: numbers, answers, codes, and texts of which every word is known.

Names cannot be listed, so it is asked the other way round here too: a word may be a name unless it is one of the
vocabularies, of headings, or an everyday word of clinics ("plain" of ``column_facts.json``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache

from dermquery.data.checklist import CRITERIA
from dermquery.data.sources.column_facts import is_fact, word_lists_of_columns
from dermquery.data.sources.identifying import PICTURE, words_of_findings, year_of
from dermquery.data.vocabulary.coded import code_of
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.spelling import folded
from dermquery.data.vocabulary.words import is_missing, word_for

__all__ = ["answers", "are_known_words", "ids_may_name", "is_known_word", "measures", "texts_may_name"]

_ANSWERS = frozenset(
    {"yes", "no", "y", "n", "true", "false", "ja", "nein", "j", "nee", "oui", "non", "o", "x", "si"}
    | {"none", "keine", "keiner", "kein", "geen", "aucun", "aucune", "positive", "negative", "positiv", "negativ"}
)
"""Answers to a question, which name nobody: "Partner: yes"."""
_UNIT = "%|°|mm|cm|µm|μm|um|[mc]?m[²2]|/ ?mm[²2]|kg|m?g|ml|nm|dpi|px|[kKmM]B|x|[JjhdsWy]|ms|Gy|Jahre?|years?|jaar|ans"
_NUMBER = r"\d{1,3}(?:[.,]\d+)?"
_MEASURE = re.compile(
    rf"[<>≤≥~≈±+-]{{0,2}} ?{_NUMBER}(?:[eE]-\d{{1,3}}|(?: ?[x×] ?{_NUMBER}){{1,2}}| ?[-–] ?\d{{1,2}})? ?(?:{_UNIT})?"
)
"""A number of at most three digits, which no postcode, no year and no number of a person is, or sizes."""
_LISTED = re.compile(r"\s*[,;/+|]\s*")
_INITIALS = 3
"""Letters of which the initials of the staff may be."""
_KNOWN_FIELDS = ("sex", "laterality", "confirmed_by", "image_type", "polarisation", "contact", "skin_type", "licence")
_BETWEEN_TOKENS = re.compile(r"[^\w.'’-]+")
_WITHIN_TOKEN = re.compile(r"[-_.'’]+|(?<=[a-zß-öø-ÿ])(?=[A-ZÀ-ÖØ-Þ])")
_HEXADECIMAL = re.compile(r"(?=.*\d)[0-9a-f-]{6,}", re.IGNORECASE)
"""A hash or a UUID, whose letters are no word."""
_ENDINGS = ("e", "en", "em", "er", "es", "n", "s")
_SHORT_CODE = 4
"""Capital letters of which the sign of a clinic or a camera may be: "DSC_001"."""
_OF_ALL = 0.9
"""Share of the cells from which a word is the same for all: the "KLU" of "KLU_001"."""
_REPEATED = 3
"""Rows in which each word of a small vocabulary stands, if nobody knows it."""
_EACH_ON_AVERAGE = 5
"""Rows for each of its words: more than a patient has photographs as a rule."""


def answers(value: str) -> bool:
    """Whether a value answers a question, or says that nothing is known."""
    return folded(value) in _ANSWERS or is_missing(value)


def measures(value: str) -> bool:
    """Whether a value is a small number, a size or an answer."""
    return _MEASURE.fullmatch(value) is not None or answers(value)


def are_known_words(values: Counter[str]) -> bool:
    """Whether all are words of the vocabularies; where most have three letters, they may be somebody's initials."""
    if not all(measures(value) or is_known_word(value) for value in values):
        return False
    said = [value for value in values if not measures(value)]
    short = [value for value in said if len(value) <= _INITIALS and word_for("sex", value) is None]
    return 2 * len(short) <= len(said)


@lru_cache(maxsize=8192)
def is_known_word(value: str) -> bool:
    """Whether a value is one of the vocabularies', or a list of such."""
    words = word_lists_of_columns()
    if any(value.lower() in criterion.values for criterion in CRITERIA.values()) or folded(value) in words["said"]:
        return True
    if SITES.read(value) is not None or DIAGNOSES.named(value) is not None:
        return True
    if any(word_for(field, value) is not None for field in _KNOWN_FIELDS) or answers(value):
        return True
    listed = _LISTED.split(value)
    return len(listed) > 1 and all(part and is_known_word(part) for part in listed)


def texts_may_name(values: Counter[str]) -> bool:
    """Whether words of some value may be a name: nobody knows them, nor are they a small vocabulary of single words.

    Args:
        values: of a column whose heading says a fact, each with its count.
    """
    unknown = _unknown(values)
    single = all(value.isalpha() and values[value] >= _REPEATED for value in unknown)
    is_vocabulary = single and _EACH_ON_AVERAGE * len(unknown) <= sum(values[value] for value in unknown)
    return bool(unknown) and not is_vocabulary


def ids_may_name(values: Counter[str], *, meant: bool = False) -> bool:
    """Whether words of an id or a file name may be a name: "Maier_Hans_1", "Huber"; not "nevus_back_1" nor "abc".

    Args:
        values: of a column, each with its count.
        meant: whether somebody calls these the ids; then half of them must have such a word, and a capital.
    """
    named = [value for value in _unknown(values) if not value.isalpha() or _is_name_alone(value)]
    if not meant:
        return bool(named)
    count = sum(values[value] for value in named if not value.islower())
    return count > 0 and 2 * count >= values.total()


def _unknown(values: Counter[str]) -> Mapping[str, frozenset[str]]:
    """By value, its words that may be a name; without those that all codes of the column have."""
    found = {value: words for value in values if (words := _words_unknown(value))}
    coded: Counter[str] = Counter()
    for value, words in found.items():
        if not value.isalpha():
            coded.update(dict.fromkeys(words, values[value]))
    filled = values.total()
    shared = {word for word, count in coded.items() if filled >= _REPEATED and count >= _OF_ALL * filled}
    return {value: rest for value, words in found.items() if (rest := words - shared)}


@lru_cache(maxsize=8192)
def _words_unknown(value: str) -> frozenset[str]:
    if measures(value) or is_known_word(value) or code_of(value) or year_of(value) is not None:
        return frozenset()
    ending = PICTURE.fullmatch(value)
    return frozenset(_may_be_names(value[: ending.start(1) - 1] if ending else value))


def _may_be_names(text: str) -> Iterator[str]:
    for token in _BETWEEN_TOKENS.split(text):
        is_code = any(map(str.isdigit, token)) or "_" in token
        if is_code and _HEXADECIMAL.fullmatch(token):
            continue
        for part in _WITHIN_TOKEN.split(token):
            word = part.strip("0123456789")
            is_short = len(word) < 2 or (is_code and (len(word) < 3 or (len(word) <= _SHORT_CODE and word.isupper())))
            if not is_short and word.isalpha() and not _is_everyday(word):
                yield folded(word)


@lru_cache(maxsize=8192)
def _is_everyday(word: str) -> bool:
    if is_known_word(word):
        return True
    plain = folded(word)
    stems = (plain.removesuffix(end) for end in ("", *_ENDINGS) if plain.endswith(end))
    return any(stem == plain or len(stem) > _SHORT_CODE for stem in stems if stem in _everyday() or is_fact(stem))


@cache
def _everyday() -> frozenset[str]:
    lists = word_lists_of_columns()
    return frozenset(words_of_findings()).union(*lists.values())


def _is_name_alone(value: str) -> bool:
    """A word with a capital and without a digit."""
    return bool(re.fullmatch(r"[^\W\d_a-zß-öø-ÿ][^\W\d_]*[a-zß-öø-ÿ][^\W\d_]*", value))
