"""Places on the body, each below one or more others: the palm is part of the hand, and of "palms and soles".

Clinics write a place together with its side and with words that say where on it: "Rücken li.", "face interne de la
cuisse droite". A place is read only if every word is known: "unter dem Knie" is not the knee.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import NamedTuple

from dermquery.data.vocabulary.spelling import folded, is_doubted, rows_of, word_lists

__all__ = ["SITES", "Place", "Site"]

_LANGUAGES = ("de", "nl", "fr", "en")
_NEEDS_SIDE = "~"
"""Before an abbreviation that is one only beside a side of its language: "US re.", but not "US"."""
_ROOT = ("39937001", "SCT 39937001", "skin", "skin structure", "structure of skin", "Haut", "huid", "peau")
"""The whole skin: no place on it."""
_ELIDED = re.compile(r"(?<!\w)[ldLD]['’](?=\w)")
"""The French article and preposition before a vowel, which are no "l" for left."""


def _list(name: str) -> frozenset[str]:
    words = word_lists()[name]
    assert isinstance(words, list)  # noqa: S101 - our own file
    return frozenset(words)


_FRENCH_LETTERS = frozenset(("g", "d"))
_HIGH = frozenset(("haut",))
"""German for skin, and French for the upper part: "haut du dos"."""
_NO_SIDES = frozenset(("b", "mitte", "midden", "mittig", "milieu"))
"""Words of the column of sides that say something else beside a place: the middle of the back is no side of it."""
_NEUTRAL = frozenset(("l", "r", "left", "right", "lt", "rt", "bilateral", "midline"))
_FRENCH = frozenset(("g", "d", "gauche", "gauches", "gche", "droit", "droite", "droits", "droites", "dte"))
_FILLERS = _list("articles around a place")
_QUALIFIERS = _list("where within a place")
_LEADING_AWAY = _list("where within a limb")
"""Where on an arm; but on the trunk they lead from one place to another, as from the chest to the back."""
_BETWEEN_PARTS = re.compile(r"[,;/+&()]")
_SIDED = re.compile(r"(linker|rechter)(\w{3,})")
_DIGITS = ("finger", "toe")
_DIGIT = re.compile(r"d(?:ig)?([1-5]|i{1,3}|iv|v)")
"""D2, DII: a finger or a toe, whose hand or foot has to stand beside it."""
_NUMBERS = _list("numbers of fingers and toes")
_NAIL = _list("parts of a nail")
"""Words that say a nail only beside its finger or toe."""
_SIDED_LIMB = re.compile(r"([lr])([ul])e")
"""RUE, the right upper extremity."""
_ENDS = re.compile(r"(\w{3,})(?:bereich|region|gegend|partie|streek|regio|gebied)")


class Place(NamedTuple):
    """What a written place says.

    Attributes:
        site: the vocabulary's word.
        side: "left", "right", "bilateral" or "midline", if it says one.
    """

    site: str
    side: str | None = None


@dataclass(frozen=True)
class Site:
    """A place.

    Attributes:
        word: what it is called here.
        parents: what it is part of; none at the top.
        scheme, code: of DICOM's context group 4029, "SCT" or "DCM"; empty where it has none.
        isic_path: in the hierarchy of the ISIC Archive; empty where it is in none.
        spellings: of other sources and languages.
    """

    word: str
    parents: tuple[str, ...]
    scheme: str
    code: str
    isic_path: str
    spellings: tuple[str, ...]


class Sites:
    """All of them, by their words, spellings, codes and paths."""

    @cached_property
    def by_word(self) -> Mapping[str, Site]:
        """In the order of the table, parents before what is part of them or shortly after."""
        found = {}
        for row in rows_of("sites.csv"):
            other = (name for names in self._foreign[row["word"]].values() for name in names)
            own = filter(None, row["spellings"].split("|"))
            names = dict.fromkeys(name for name in (*own, *other) if not name.startswith(_NEEDS_SIDE))
            found[row["word"]] = Site(
                row["word"], tuple(filter(None, row["parents"].split("|"))), row["scheme"], row["code"],
                row["isic_path"], tuple(names),
            )  # fmt: skip
        return found

    def is_root(self, written: str) -> bool:
        """Whether it is the whole skin, and so no place on it."""
        return folded(written) in map(folded, _ROOT)

    def named(self, written: str) -> str | None:
        """The word for a spelling, a code ("66643007", "SCT 66643007") or a path of the ISIC Archive; None for none.

        A path below those of the table is the nearest above: ``Trunk:Posterior trunk:Upper back:Lateral upper back``
        is the upper back. A side is left out; :meth:`read` has it.
        """
        place = self.read(written)
        return None if place is None else place.site

    def read(self, written: str) -> Place | None:
        """The place and its side; None unless every word is known, and for two sides.

        >>> SITES.read("Rücken li."), SITES.read("face interne de la cuisse droite"), SITES.read("unter dem Knie")
        (Place(site='back', side='left'), Place(site='thigh', side='right'), None)
        """
        return _read(self, written)

    def below(self, word: str) -> tuple[str, ...]:
        """Every word and spelling of a place and of what is part of it; of an unknown word itself."""
        words = [word, *(name for name, above in self._above.items() if word in above)]
        sites = [self.by_word[name] for name in dict.fromkeys(words) if name in self.by_word]
        return tuple(dict.fromkeys([word, *(name for site in sites for name in (site.word, *site.spellings))]))

    def lineage(self, word: str) -> tuple[str, ...]:
        """From the top to a place by its first parents; of an unknown word itself."""
        word = self.named(word) or word
        site = self.by_word.get(word)
        return (word,) if site is None or not site.parents else (*self.lineage(site.parents[0]), word)

    def of_path(self, written: str) -> str | None:
        """The word for a path of the ISIC Archive."""
        parts = [folded(part) for part in written.split(":")]
        paths = (":".join(parts[:end]) for end in range(len(parts), 0, -1))
        return next((self._by_path[path] for path in paths if path in self._by_path), None)

    def spelled(self, words: Sequence[str]) -> str | None:
        """The word for folded words in this order; articles may be left out."""
        return self._by_spelling.get(" ".join(words))

    def abbreviated(self, words: Sequence[str], sides: Iterable[str]) -> str | None:
        """The word for an abbreviation, beside words for sides of its language."""
        french = bool(_FRENCH.intersection(sides))
        germanic = not french and not _NEUTRAL.issuperset(sides)
        names = self._short_french if french else self._short if germanic else {}
        return names.get(" ".join(words))

    def is_french(self, words: Sequence[str]) -> bool:
        """Whether the words are a place in French."""
        return " ".join(words) in self._french

    def holds_list(self, written: str) -> bool:
        """Whether a spelling that joins two places is written: "head/neck"."""
        return folded(written) in self._lists

    @cached_property
    def _above(self) -> Mapping[str, frozenset[str]]:
        """By word, all that it is part of."""

        def above(word: str) -> frozenset[str]:
            parents = self.by_word[word].parents
            return frozenset(parents).union(*(above(parent) for parent in parents))

        return {word: above(word) for word in self.by_word}

    @cached_property
    def _foreign(self) -> Mapping[str, Mapping[str, list[str]]]:
        """By word and language, its spellings."""
        return {
            row["word"]: {language: list(filter(None, row[language].split("|"))) for language in _LANGUAGES}
            for row in rows_of("site_words.csv")
        }

    @cached_property
    def _by_spelling(self) -> Mapping[str, str]:
        """By folded spelling, as it is and without articles; umlauts also without their dots."""
        found: dict[str, str] = {}
        for site in self.by_word.values():
            codes = (site.code, f"{site.scheme} {site.code}") if site.code else ()
            ends = (site.isic_path.rpartition(":")[2],) if site.isic_path else ()
            for name in (site.word, *site.spellings, *codes, *ends):
                found.setdefault(folded(name), site.word)
        for site in self.by_word.values():
            for name in site.spellings:
                for form in _forms(name):
                    found.setdefault(form, site.word)
        return found

    @cached_property
    def _short(self) -> Mapping[str, str]:
        return {**self._abbreviations("de"), **self._abbreviations("nl")}

    @cached_property
    def _short_french(self) -> Mapping[str, str]:
        return self._abbreviations("fr")

    def _abbreviations(self, language: str) -> Mapping[str, str]:
        words = ((word, names[language]) for word, names in self._foreign.items())
        short = ((word, name) for word, names in words for name in names if name.startswith(_NEEDS_SIDE))
        return {form: word for word, name in short for form in _forms(name)}

    @cached_property
    def _french(self) -> frozenset[str]:
        return frozenset(form for word in self._foreign.values() for name in word["fr"] for form in _forms(name))

    @cached_property
    def _lists(self) -> frozenset[str]:
        names = (name for site in self.by_word.values() for name in site.spellings)
        return frozenset(folded(name) for name in names if _BETWEEN_PARTS.search(name))

    @cached_property
    def _by_path(self) -> Mapping[str, str]:
        paths = ((site.isic_path, site.word) for site in self.by_word.values() if site.isic_path)
        return {":".join(map(folded, path.split(":"))): word for path, word in paths}


def _forms(name: str) -> Iterator[str]:
    """A spelling folded, without articles, and without the dots of its umlauts."""
    for written in (name, name.translate(str.maketrans("äöüÄÖÜ", "aouAOU"))):
        plain = folded(_ELIDED.sub("", written.removeprefix(_NEEDS_SIDE)))
        yield plain
        yield " ".join(word for word in plain.split() if word not in _FILLERS) or plain


@lru_cache(maxsize=4096)
def _read(sites: Sites, written: str) -> Place | None:
    if ":" in written:
        word = sites.of_path(written)
        return None if word is None else Place(word)
    if is_doubted(written):
        return None
    bare = _ELIDED.sub("", written)
    parts = [tuple(folded(part).split()) for part in _BETWEEN_PARTS.split(bare)]
    word = sites.spelled(folded(written).split()) or sites.spelled(folded(bare).split())
    if word and (len(parts) == 1 or sites.holds_list(written)):
        return Place(word)
    parts = [tuple(piece for word in part for piece in _pieces(sites, word)) for part in parts]
    named = [part for part in parts if not _SAYING_NO_PLACE.issuperset(part)]
    if len(named) != 1:
        return None
    said = [word for part in parts for word in part if word in _sides()]
    sides = {_sides()[word] for word in said if word not in _FRENCH_LETTERS}
    if (found := _found(sites, named[0], said)) is None:
        return None
    word, french = found
    sides |= {_sides()[word] for word in said if word in _FRENCH_LETTERS and french}
    if len(sides) > 1 or (not french and _FRENCH_LETTERS.intersection(said)):
        return None
    return Place(word, next(iter(sides), None))


def _found(sites: Sites, words: Sequence[str], said: Sequence[str]) -> tuple[str, bool] | None:
    """The place that some words name with as few of them left out as possible, and whether it is French."""
    words = [word for word in words if word not in _sides()]
    return _with_few_left_out(sites, words, said) or _numbered(sites, words, said)


def _numbered(sites: Sites, words: Sequence[str], said: Sequence[str]) -> tuple[str, bool] | None:
    """The finger or toe with a number or of a nail: "Zehe II", "Dig. V Fuß", "nail bed of the thumb"; not "Dig. II"."""
    rest = [word for word in words if word not in _NUMBERS | _NAIL]
    numbers = sum(word in _NUMBERS for word in words)
    found = _with_few_left_out(sites, rest, said) if numbers <= 1 and len(rest) < len(words) else None
    return found if found is not None and found[0] in _DIGITS else None


def _with_few_left_out(sites: Sites, words: Sequence[str], said: Sequence[str]) -> tuple[str, bool] | None:
    articles = _FILLERS - _HIGH
    for left_out in (
        frozenset[str](),
        articles,
        _FILLERS,
        _FILLERS | _QUALIFIERS,
        _FILLERS | _QUALIFIERS | _LEADING_AWAY,
    ):
        rest = [word for word in words if word not in left_out]
        for kept in (rest, [word for word in rest if word != "face"]):
            word = sites.spelled(kept) or (sites.abbreviated(kept, said) if said else None)
            if word is not None and not (_LEADING_AWAY & left_out and "trunk" in sites.lineage(word)):
                return word, sites.is_french(kept) or bool(_FRENCH.intersection(said) - _FRENCH_LETTERS)
    return None


def _pieces(sites: Sites, word: str) -> tuple[str, ...]:
    """The words that are written as one: "linkerarm", "Halsregion"."""
    if sites.spelled([word]):
        return (word,)
    if match := _DIGIT.fullmatch(word):
        return ("dig", match[1])
    if match := _SIDED_LIMB.fullmatch(word):
        return (match[1], "upper" if match[2] == "u" else "lower", "extremity")
    if match := _SIDED.fullmatch(word):
        return (match[1], *_pieces(sites, match[2]))
    if match := _ENDS.fullmatch(word):
        return next(((stem,) for stem in (match[1], match[1][:-1]) if sites.spelled([stem])), (word,))
    return (word,)


@cache
def _sides() -> Mapping[str, str]:
    """By word, the side that it says beside a place."""
    words = word_lists()["laterality"]
    assert isinstance(words, dict)  # noqa: S101 - our own file
    pairs = ((folded(name), side) for side, names in words.items() for name in (side, *names))
    return {name: side for name, side in pairs if name not in _NO_SIDES and " " not in name and not name.isdecimal()}


_SAYING_NO_PLACE = _FILLERS | _QUALIFIERS | _LEADING_AWAY | frozenset(_sides())

SITES = Sites()
"""The places that are known."""
