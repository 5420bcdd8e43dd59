"""Read checklist values from free text, and say what could not be read.

Every word of a text is accounted for: it is read into a finding, describes one, says nothing about the seven criteria,
or is reported. What is doubtful, contradictory or incomplete gives no value, and a question instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dermquery.data.checklist import ABSENT, CRITERIA
from dermquery.data.reading.clauses import clauses_of
from dermquery.data.reading.lexicon import Language, is_known, languages_of
from dermquery.data.reading.mentions import Mention
from dermquery.data.reading.plain import plain
from dermquery.data.reading.reader import Reader
from dermquery.data.reading.tokens import tokens_of, words_of

__all__ = ["Findings", "Remark", "read_findings"]

_BOTH = frozenset(("blue areas", "white areas", "combinations"))


@dataclass(frozen=True)
class Remark:
    """What a text says of a criterion without giving it a value.

    Attributes:
        criterion: its name.
        words: as they were written.
        question: asks for what is missing, for example "streaks: regular or irregular?".
    """

    criterion: str
    words: str
    question: str


@dataclass(frozen=True)
class Findings:
    """The findings in a text.

    Attributes:
        checklist: criterion to value, in the checklist's order.
        unread: the words that are neither read nor known to say nothing, as they were written.
        uncertain: criteria that are doubtful, or were seen at another time or by somebody else.
        conflicts: criteria that get values which exclude each other.
        incomplete: criteria that are named without a value, or of which only one value is denied.
        language: in which the text was read, by its code ("en"); empty without a text.
    """

    checklist: dict[str, str]
    unread: tuple[str, ...] = ()
    uncertain: tuple[Remark, ...] = ()
    conflicts: tuple[Remark, ...] = ()
    incomplete: tuple[Remark, ...] = ()
    language: str = ""

    def with_terms(self, terms: Mapping[str, str]) -> Findings:
        """The same with criteria given as terms: a term stands and answers questions, and a contradiction is said."""
        against = tuple(
            Remark(
                name,
                f"{self.checklist[name]} in the text, {value} as a term",
                _question(name, {value, self.checklist[name]}),
            )
            for name, value in terms.items()
            if self.checklist.get(name, value) != value
        )
        found = {**self.checklist, **terms}

        def open_(remarks: tuple[Remark, ...]) -> tuple[Remark, ...]:
            return tuple(remark for remark in remarks if remark.criterion not in terms)

        return Findings(
            {name: found[name] for name in CRITERIA if name in found},
            self.unread,
            open_(self.uncertain),
            (*open_(self.conflicts), *against),
            open_(self.incomplete),
            self.language,
        )


def read_findings(text: str) -> Findings:
    """Checklist values that ``text`` names, and what else it says; any text can be read."""
    if not text.strip():
        return Findings({})
    written = plain(text, is_known)
    readings = [_read(written, language) for language in languages_of(words_of(written))]
    return min(readings, key=lambda found: sum(map(len, found.unread)))


def _read(written: str, language: Language) -> Findings:
    pattern, full = language.shorthand
    written = pattern.sub(lambda match: f" {full[match[0].lower()]} ", written)
    reader = Reader(written, language)
    for clause in clauses_of(tokens_of(written, language), language):
        reader.read(clause)
    return _found(reader.mentions, tuple(reader.unread), language.code)


def _found(mentions: Sequence[Mention], unread: tuple[str, ...], language: str) -> Findings:
    checklist: dict[str, str] = {}
    uncertain, conflicts, incomplete = [], [], []
    for name in CRITERIA:
        of = [mention for mention in mentions if mention.criterion == name]
        current = [mention for mention in of if not mention.elsewhere]
        if any(mention.doubt for mention in current) or (of and not current):
            given = {value for mention in of for given in mention.given for value in given}
            uncertain.append(Remark(name, _words(of), _question(name, given, sure=False)))
        elif current:
            values, clash = _left(name, current)
            if clash:
                conflicts.append(Remark(name, _words(current), _question(name, values)))
            elif len(values) == 1:
                checklist[name] = next(iter(values))
            else:
                incomplete.append(Remark(name, _words(current), _question(name, values)))
    return Findings(checklist, unread, tuple(uncertain), tuple(conflicts), tuple(incomplete), language)


def _left(name: str, mentions: Sequence[Mention]) -> tuple[set[str], bool]:
    """The values that mentions of a criterion leave, and whether they contradict each other."""
    legal = CRITERIA[name].values
    given = [(values, mention.part) for mention in mentions for values in mention.given]
    ruled_out = {value for mention in mentions for value in mention.ruled_out}
    there = [(values, part) for values, part in given if values != {ABSENT}]
    gone = [part for values, part in given if values == {ABSENT}]
    named = any(mention.bare or mention.there for mention in mentions)
    if there:
        gone = [part for part in gone if not part or any(other in ("", part) for _, other in there)]
    everything = {value for values, _ in given for value in values}
    if gone and (there or named):
        return everything | {ABSENT, *(() if there else legal[1:])}, True
    if there:
        left = set(frozenset.intersection(*(values for values, _ in there)))
        if not left and everything - {ABSENT} <= _BOTH:
            left = {"combinations"}
        left -= ruled_out
        return (left, False) if left else (everything, True)
    if gone:
        return {ABSENT}, False
    if len(legal) == 2 and named:
        return {legal[1]}, False
    left = {value for value in legal if value not in ruled_out and not (named and value == ABSENT)}
    if _BOTH - {"combinations"} <= ruled_out:
        left.discard("combinations")
    # That one of two is denied does not say that it is the other one.
    return (left, False) if len(left) > 1 or left == {ABSENT} else (set(legal[1:]), False)


def _question(name: str, values: Iterable[str], *, sure: bool = True) -> str:
    """Asks which of the values it is; of what is not sure, whether it is one of them at all."""
    legal = CRITERIA[name].values
    chosen = [value for value in legal if value in values]
    if not sure:
        chosen = [*(chosen or legal[1:]), ABSENT] if ABSENT not in chosen or len(chosen) > 1 else list(legal)
    options = ["both" if value == "combinations" and len(chosen) > 1 else value for value in dict.fromkeys(chosen)]
    return f"{CRITERIA[name].title}: {', '.join(options[:-1])}{' or ' if len(options) > 1 else ''}{options[-1]}?"


def _words(mentions: Sequence[Mention]) -> str:
    return "; ".join(dict.fromkeys(mention.words for mention in mentions))
