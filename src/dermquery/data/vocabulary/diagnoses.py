"""Diagnoses in the hierarchy of the ISIC Archive (the package ``isic-metadata``), and the words of sources for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from dermquery.data.vocabulary.coded import code_beside, code_of, family, path_of_code, without_staging
from dermquery.data.vocabulary.spelling import folded, is_doubted, rows_of

__all__ = ["DIAGNOSES", "LEVEL", "Codes"]

LEVEL = ":"
"""Between the levels of a path."""


@dataclass(frozen=True)
class Codes:
    """What other systems call a diagnosis, each empty where nothing is known.

    Attributes:
        group: the label of the shared data sets ("mel", "nv").
        icd10, icdo3: of the ICD-10, and the morphology of the ICD-O-3.
    """

    group: str = ""
    icd10: str = ""
    icdo3: str = ""


class Diagnoses:
    """All paths of the ISIC Archive, such as ``Benign:Benign melanocytic proliferations:Nevus``, by what names them."""

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The 418 paths, those of few levels first."""
        from isic_metadata.diagnosis_hierarchical import DiagnosisEnum

        return tuple(str(path.value) for path in DiagnosisEnum)

    def named(self, written: str, source: str = "") -> str | None:
        """The path for a path or its last name, whatever its capitals, for a word of a source or for a code; None for
        none, and for one with a question mark.

        Args:
            written: such as ``Nevus``, ``melanoma (in situ)``, ``Basaliom``, ``C43.5``, ``8720/3``.
            source: whose word it is: "Derm7pt", "HAM10000", "ISIC 2018", "ISIC 2019", "ISIC 2020", "MILK10k",
                "PAD-UFES-20". A source that has a word without a path has none for it.
        """
        if is_doubted(written):
            return None
        key = (folded(source), folded(written))
        if key in self._words:
            return self._words[key] or None
        found = (self._words.get(("", word)) or self._names.get(word) for word in _spelled(key[1]))
        if path := next(filter(None, found), None) or self._coded(written):
            return path
        bare = without_staging(written)
        return self.named(bare, source) if bare != written else None

    def _coded(self, written: str) -> str | None:
        """The path for a code, alone or beside words that say no less and nothing else: "C44.3 Basaliom"."""
        if code := code_of(written):
            return path_of_code(code)
        if not (both := code_beside(written)):
            return None
        place, own = path_of_code(both[0]), self.named(both[1])
        paths = sorted(filter(None, (place, own)), key=len)
        return paths[-1] if len(paths) == 2 and f"{paths[1]}:".startswith(f"{paths[0]}:") else None

    def group(self, written: str, source: str = "") -> str:
        """The label of the shared data sets for a word of a source, or for a path; empty for none."""
        if is_doubted(written):
            return ""
        known = self._groups.get((folded(source), folded(written)))
        path = self.named(written, source)
        return known if known is not None else self.codes(path).group if path else ""

    @cached_property
    def group_names(self) -> frozenset[str]:
        """The labels of the shared data sets."""
        return frozenset(filter(None, (*self._groups.values(), *(codes.group for codes in self._codes.values()))))

    def codes(self, path: str) -> Codes:
        """Codes of a path: its own, else those of the nearest path above that has some."""
        levels = path.split(":")
        above = (":".join(levels[:end]) for end in range(len(levels), 0, -1))
        return next((self._codes[name] for name in above if name in self._codes), Codes())

    def has_code(self, path: str, code: str) -> bool:
        """Whether a place is what a code means: at its place or below, and not in another category of its system.

        Melanoma in situ (D03) is below melanoma, and no C43.
        """
        place = path_of_code(code)
        if place is None or not f"{path}:".startswith(f"{place}:"):
            return False
        codes = self.codes(path)
        own = codes.icdo3 if "/" in code else codes.icd10
        return family(own) == family(code) if own else LEVEL in place

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """By the folded path and by its last name, of which none is another's."""
        return {folded(name): path for path in self.paths for name in (path, path.rpartition(":")[2])}

    @cached_property
    def _words(self) -> Mapping[tuple[str, str], str]:
        return {(folded(row["source"]), folded(row["word"])): row["path"] for row in rows_of("diagnosis_words.csv")}

    @cached_property
    def _groups(self) -> Mapping[tuple[str, str], str]:
        return {(folded(row["source"]), folded(row["word"])): row["group"] for row in rows_of("diagnosis_words.csv")}

    @cached_property
    def _codes(self) -> Mapping[str, Codes]:
        rows = rows_of("diagnosis_codes.csv")
        return {row["path"]: Codes(row["group"], row["icd10"], row["icdo3"]) for row in rows}


def _spelled(word: str) -> tuple[str, str]:
    """A folded word as it is, and as the other side of the Atlantic writes it: dysplastic naevus, dysplastic nevus."""
    return word, word.replace("naev", "nev") if "naev" in word else word.replace("nev", "naev")


DIAGNOSES = Diagnoses()
"""The diagnoses that are known."""
