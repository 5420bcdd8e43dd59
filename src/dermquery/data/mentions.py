"""From the segments of a text to the mentions of its criteria, and to what of it was not read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dermquery.data.checklist import ABSENT, CRITERIA
from dermquery.data.clauses import Clause, Segment
from dermquery.data.lexicon import Language, Token
from dermquery.data.scope import consumed, denied, doubted, is_bare, last_of, names_only, owned, post_denied, unheard
from dermquery.data.tokens import Placed

__all__ = ["Mention", "Reader"]

_AND = Token("and")
_NEVER_REPORTED = frozenset(
    ("irrelevant", "number", "and", "or", "noun", "present", "sure", "since", "now", "self", "gone", "with", "but", "item")
    + ("comma", "stop", "dot", "line", "ask", "is", "box", "tick")
)
_GLUE = frozenset(("irrelevant", "number", "and", "or", "noun", "present", "sure", "since", "with", "line"))


@dataclass
class Mention:
    """One place where a text speaks of a criterion.

    Attributes:
        criterion: its name.
        part: the part of it that is named, such as "dots"; empty for the whole.
        words: as they were written.
        given: each the values that one of its words leaves; none if it is only named.
        ruled_out: values that it denies.
        there: whether it says that the structure is there ("the network is not typical").
        doubt: whether it is uncertain.
        past, other: whether it is of another time, or somebody else's view.
    """

    criterion: str
    part: str
    words: str
    given: list[frozenset[str]] = field(default_factory=list)
    ruled_out: set[str] = field(default_factory=set)
    there: bool = False
    doubt: bool = False
    past: bool = False
    other: bool = False

    @property
    def elsewhere(self) -> bool:
        """Whether it is no finding of the writer's own, now."""
        return self.past or self.other

    @property
    def bare(self) -> bool:
        """Whether it only names the criterion."""
        return not self.given and not self.ruled_out

    @property
    def absent(self) -> bool:
        """Whether it says that the criterion is absent."""
        return self.given == [frozenset((ABSENT,))]

    @property
    def open(self) -> bool:
        """Whether a word could still say which value it is."""
        return not self.given or (bool(self.given) and len(frozenset.intersection(*self.given)) > 1)


class Reader:
    """Reads a text clause by clause.

    Attributes:
        mentions: in the order of the text.
        unread: its words that are neither read nor known to say nothing.
    """

    def __init__(self, text: str, language: Language) -> None:
        self._text, self._language = text, language
        self.mentions: list[Mention] = []
        self.unread: list[str] = []
        self._last: list[Mention] = []
        self._asked = False
        self._used: set[int] = set()

    def read(self, clause: Clause) -> None:
        """Read the next clause."""
        before, self._used = len(self.mentions), set()
        waiting: list[Placed] = []
        denial = doubt = False
        segments = clause.segments
        answered = False
        for at, segment in enumerate(segments):
            structure = segment.structure
            if last_of(structure, "item") < 0:
                if self._waits(structure, segments[at + 1 :]):
                    waiting = [*waiting, *structure, *([_joint(structure[-1])] if structure else [])]
                else:
                    answered = self._follow(segment, structure, clause, new=len(self.mentions) == before) or answered
                continue
            structure, waiting = [*waiting, *structure], []
            or_ = _or_ahead(segments[at:])
            listed = segment.joint == "comma" and (bool(or_) or _begins_bare(structure, segments[at + 1 :]))
            later = _later(segments[at + 1 :]) if names_only(structure) and not segment.has("past", "other") else ""
            repeats = structure[0].kind == "same" and bool(self._last) and self._last[-1].absent
            carried = repeats or (denial and listed and not segment.has("doubt"))
            doubtful = doubt and listed and not segment.has("no", "absent")
            named = self._named(segment, structure, carried and (or_ or "and"), doubtful, later)
            self._boxed(segment, named)
            goes_on = carried or segment.has("no") or _begins(structure, "absent")
            denial = goes_on and bool(named) and named[-1].absent and not named[-1].doubt
            doubt = (segment.has("doubt") or doubt) and bool(named) and named[-1].doubt and named[-1].bare
            self.mentions += named
            self._last, self._asked = named, False
        if clause.asked and (len(self.mentions) > before or answered):
            for mention in self._last:
                mention.doubt, self._asked = True, True
        self._report(clause, read=len(self.mentions) > before or answered)

    def _waits(self, structure: Sequence[Placed], later: Sequence[Segment]) -> bool:
        """Whether qualities describe the structure that the next segment names ("Atypical, broadened network")."""
        fits = all(p.kind in ("quality", "no", "absent", "doubt", "and", "or", "present") for p in structure)
        return fits and last_of(structure, "quality") >= 0 and self._opens(later) and not self._answers(structure)

    def _opens(self, later: Sequence[Segment]) -> bool:
        """Whether the next segments lead to a structure through qualities only."""
        for segment in later:
            if segment.joint != "comma":
                return False
            structure = segment.structure
            item = next((at for at, p in enumerate(structure) if p.kind == "item"), None)
            before = structure if item is None else structure[:item]
            if any(p.kind not in ("quality", "and", "or") for p in before):
                return False
            if item is not None:
                return True
        return False

    def _answers(self, structure: Sequence[Placed]) -> bool:
        """Whether the last structure still waits for a value that these words give it."""
        return any(
            mention.open and any(mention.criterion in p.token.meanings for p in structure if p.kind == "quality")
            for mention in self._last
        )

    def _named(
        self, segment: Segment, structure: list[Placed], carried: str | bool, doubtful: bool, later: str
    ) -> list[Mention]:
        """The mentions of a segment that names structures."""
        taken = consumed(structure, self._language.adjectives_first)
        qualities = owned(structure, taken)
        absent = denied(structure, bool(carried), "or" if carried == "or" else "")
        doubt = doubted(structure, doubtful) | unheard(structure, absent)
        words = self._slice(segment.tokens)
        found = []
        for at, of in qualities.items():
            ((name, value),) = structure[at].token.meanings.items()
            mention = Mention(name, structure[at].token.part, words, past=segment.past, other=segment.other)
            mention.doubt = at in doubt or later == "doubt"
            denied_values = [i for i in of if self._is_denied(i, at, structure)]
            described = [structure[i].token.meanings[name] for i in of if i not in denied_values]
            given = ([value] if value else []) + described
            for i in denied_values:
                mention.ruled_out |= structure[i].token.meanings[name]
                mention.there = True
            if at in absent or (later == "absent" and is_bare(at, structure)):
                _deny(mention, given)
            else:
                mention.given = given
            self._use(structure, of)
            found.append(mention)
        self._use(structure, [i for i, p in enumerate(structure) if p.kind in ("no", "absent", "doubt")])
        self._used |= {id(p) for p in segment.tokens if p.kind in ("past", "other")}
        return found

    def _is_denied(self, quality: int, item: int, structure: Sequence[Placed]) -> bool:
        """Whether "not" stands right before a quality that follows its structure."""
        at = quality - 1
        while at > item and structure[at].kind == "quality":
            at -= 1
        return at > item and structure[at].kind == "no" and post_denied(at, structure)

    def _boxed(self, segment: Segment, named: list[Mention]) -> None:
        """Deny what stands beside an empty box."""
        if segment.joint != "box":
            return
        for mention in named:
            if mention.absent or mention.ruled_out:
                mention.doubt = True  # an empty box beside "no veil" says neither
            else:
                _deny(mention, mention.given)

    def _follow(self, segment: Segment, structure: list[Placed], clause: Clause, *, new: bool) -> bool:
        """Read a segment that names no structure as said of the one before; whether it was."""
        if segment.joint == "box":
            self._use(structure, range(len(structure)))
            return True
        if not self._last or not structure:
            return False
        taken = consumed(structure, self._language.adjectives_first)
        kinds = {p.kind for p in structure}
        if new and clause.joint and kinds & {"noun", "unknown"}:
            return False
        fresh = segment.fresh and (segment.joint == "now" or self._last[-1].elsewhere)
        waiting = [m for m in self._last if m.bare] or self._last[-1:]
        open_ = fresh or self._asked or waiting[-1].open or (clause.joint == "but" and waiting[-1].doubt)
        qualities = [i for i, p in enumerate(structure) if p.kind == "quality" and i not in taken]
        if new and clause.joint not in ("", "but") and not open_:
            return False
        read = False
        for mention in waiting:
            fitting = [i for i in qualities if mention.criterion in structure[i].token.meanings]
            to = self._again(mention, segment, fresh) if fresh else mention
            if self._told(to, structure, fitting, open_, new):
                read = True
                self._use(structure, [*fitting, *(i for i, p in enumerate(structure) if p.kind in ("no", "absent", "doubt"))])
                if fresh:
                    self.mentions.append(to)
                    self._last = [to]
                else:
                    to.words = " ".join(dict.fromkeys((to.words, self._slice(segment.tokens))))
        if read:
            self._used |= {id(p) for p in segment.tokens if p.kind in ("past", "other")}
            self._asked = False
        return read

    def _again(self, mention: Mention, segment: Segment, fresh: bool) -> Mention:
        return replace(
            mention, words=self._slice(segment.tokens), given=[], ruled_out=set(), doubt=False, past=segment.past, other=segment.other
        )  # fmt: skip

    def _told(self, mention: Mention, structure: Sequence[Placed], fitting: list[int], open_: bool, new: bool) -> bool:
        """Give a mention what is said of it later; whether anything was."""
        kinds = {p.kind for p in structure}
        values = [structure[i].token.meanings[mention.criterion] for i in fitting]
        if "doubt" in kinds:
            if kinds & {"noun", "unknown"}:
                return False  # "most likely a congenital naevus"
            mention.doubt = True
            mention.given += values
            return True
        absent = kinds & {"absent", "gone"} or ("no" in kinds and not any(p.kind == "quality" for p in structure))
        if absent and not values:
            if not (mention.bare or open_):
                return False
            mention.doubt = mention.doubt and not (self._asked or new)
            _deny(mention, [])
            return True
        if "no" in kinds and values:
            mention.ruled_out.update(*values)
            mention.there = True
            return True
        if values:
            mention.given += values
        elif not (kinds & {"present"} and open_):
            return False
        mention.doubt = mention.doubt and not (self._asked or new)
        return True

    def _use(self, structure: Sequence[Placed], indices: Sequence[int] | range) -> None:
        self._used |= {id(structure[i]) for i in indices}

    def _slice(self, tokens: Sequence[Placed]) -> str:
        return " ".join(self._text[tokens[0].start : tokens[-1].end].split()).strip(" ,;:.-") if tokens else ""

    def _report(self, clause: Clause, *, read: bool) -> None:
        """Keep what of a clause was not read: all of it if nothing was, else each run of such words."""
        left = [p.kind not in _NEVER_REPORTED and id(p) not in self._used for p in clause.tokens]
        if not any(left):
            return
        if not read:
            self.unread.append(self._slice(clause.tokens))
            return
        run: list[Placed] = []
        last = 0
        for placed, open_ in zip(clause.tokens, left, strict=True):
            if open_:
                run.append(placed)
                last = len(run)
            elif placed.kind in _GLUE and (run or placed.kind == "noun"):
                run.append(placed)
            elif placed.kind not in _GLUE:
                self._keep(run, last)
                run, last = [], 0
        self._keep(run, last)

    def _keep(self, run: list[Placed], last: int) -> None:
        """Keep the words up to the last that was not read, with a thing that follows it."""
        if not last:
            return
        if len(run) > last and run[last].kind == "noun":
            last += 1
        end = run[last - 1].end
        rest = re.match(r"(?:-\w+)*", self._text[end:])
        whole = run[last - 1]._replace(end=end + (rest.end() if rest else 0))  # "leaf-like", of which "like" says nothing
        self.unread.append(self._slice([*run[: last - 1], whole]))


def _deny(mention: Mention, given: Sequence[frozenset[str]]) -> None:
    """Say that a structure is not there, or only that it has not the values given."""
    if given and len(CRITERIA[mention.criterion].values) > 2 and list(given) != [frozenset((ABSENT,))]:
        mention.ruled_out.update(*given)
        mention.given = []
    else:
        mention.given = [frozenset((ABSENT,))]


def _joint(after: Placed) -> Placed:
    return Placed(_AND, after.end, after.end, after.last, after.last)


def _begins_bare(structure: Sequence[Placed], later: Sequence[Segment]) -> bool:
    """Whether a segment begins with a structure of which nothing is said, as a further one of a list."""
    kinds = [p.kind for p in structure[:2]]
    told = later[0].structure if len(structure) == 1 and later and not later[0].has("item") else []
    described = any(structure[0].token.meanings.keys() & p.token.meanings.keys() for p in told)
    goes_on = kinds[1:] in ([], ["and"], ["or"]) or [p.kind for p in structure[1:3]] == ["no", "item"]  # "velo ni vasos"
    return kinds[0] == "item" and is_bare(0, structure) and goes_on and not described


def _or_ahead(segments: Sequence[Segment]) -> str:
    """"or" if that joins this segment or the last one of the list that goes on with it ("no veil, irregular dots or streaks")."""
    for at, segment in enumerate(segments):
        if (at and segment.joint != "comma") or segment.has("no", "absent", "gone", "doubt"):
            return ""
        if segment.has("or") and segment.has("item"):
            return "or"
    return ""


def _begins(structure: Sequence[Placed], kind: str) -> bool:
    first = next((at for at, p in enumerate(structure) if p.kind == "item"), 0)
    return any(p.kind == kind for p in structure[:first])


def _later(segments: Sequence[Segment]) -> str:
    """What a list of structures says at its end: ``absent``, ``doubt`` or nothing ("streaks, globules and veil are absent")."""
    for segment in segments:
        structure = segment.structure
        if segment.joint != "comma":
            return ""
        if names_only(structure):
            continue
        kinds = [p.kind for p in structure]
        for kind, name in (("absent", "absent"), ("gone", "absent"), ("doubt", "doubt")):
            if kind in kinds and kinds[0] in ("item", "and", "or") and names_only(structure[: kinds.index(kind)]):
                return name
        return ""
    return ""
