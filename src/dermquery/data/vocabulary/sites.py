"""Places on the body, each below one or more others: the palm is part of the hand, and of "palms and soles"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from dermquery.data.vocabulary.spelling import folded, rows_of

__all__ = ["SITES", "Site"]


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
        return {row["word"]: _site(row) for row in rows_of("sites.csv")}

    def named(self, written: str) -> str | None:
        """The word for a spelling, a code ("66643007", "SCT 66643007") or a path of the ISIC Archive; None for none.

        A path below those of the table is the nearest above: ``Trunk:Posterior trunk:Upper back:Lateral upper back``
        is the upper back.
        """
        parts = [folded(part) for part in written.split(":")]
        if len(parts) == 1:
            return self._by_spelling.get(parts[0])
        for end in range(len(parts), 0, -1):
            if (word := self._by_path.get(":".join(parts[:end]))) is not None:
                return word
        return None

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

    @cached_property
    def _above(self) -> Mapping[str, frozenset[str]]:
        """By word, all that it is part of."""

        def above(word: str) -> frozenset[str]:
            parents = self.by_word[word].parents
            return frozenset(parents).union(*(above(parent) for parent in parents))

        return {word: above(word) for word in self.by_word}

    @cached_property
    def _by_spelling(self) -> Mapping[str, str]:
        found: dict[str, str] = {}
        for site in self.by_word.values():
            codes = (site.code, f"{site.scheme} {site.code}") if site.code else ()
            ends = (site.isic_path.rpartition(":")[2],) if site.isic_path else ()
            for name in (site.word, *site.spellings, *codes, *ends):
                found.setdefault(folded(name), site.word)
        return found

    @cached_property
    def _by_path(self) -> Mapping[str, str]:
        paths = ((site.isic_path, site.word) for site in self.by_word.values() if site.isic_path)
        return {":".join(map(folded, path.split(":"))): word for path, word in paths}


def _site(row: Mapping[str, str]) -> Site:
    several = {name: tuple(filter(None, row[name].split("|"))) for name in ("parents", "spellings")}
    return Site(row["word"], several["parents"], row["scheme"], row["code"], row["isic_path"], several["spellings"])


SITES = Sites()
"""The places that are known."""
