"""From the segments of a text to the mentions of its criteria, and to what of it was not read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dermquery.data.reading.clauses import Clause, Segment
from dermquery.data.reading.lexicon import Language, Token
from dermquery.data.reading.lists import begins_absent, begins_bare, ending_of, or_ahead
from dermquery.data.reading.mentions import Mention
from dermquery.data.reading.qualities import consumed, owned
from dermquery.data.reading.scope import (
    denied,
    denies_before,
    denies_other,
    doubted,
    is_bare,
    last_of,
    names_only,
    post_denied,
    unheard,
)  # fmt: skip
from dermquery.data.reading.tokens import Placed

__all__ = ["Reader"]

_AND = Token("and")
_SIGNS = ("comma", "stop", "dot", "line", "ask", "is", "box", "tick")
_GLUE = frozenset(("irrelevant", "number", "and", "or", "noun", "present", "sure", "since", "with", "line"))
_NEVER_REPORTED = _GLUE.union(_SIGNS, ("now", "self", "gone", "but", "item"))


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
            or_ = or_ahead(segments[at:])
            # A place is said of what is there: "veil in the centre of the lesion, streaks absent" is no list.
            bare = not segment.has("noun") and begins_bare(structure, segments[at + 1 :])
            listed = segment.joint == "comma" and (bool(or_) or bare)
            named_only = names_only(structure) and not segment.has("past", "other", "noun")
            later = ending_of(segments[at + 1 :]) if named_only else ""
            repeats = structure[0].kind == "same" and bool(self._last) and self._last[-1].absent
            carried = repeats or (denial and listed and not segment.has("doubt"))
            doubtful = doubt and listed and not segment.has("no", "absent")
            named = self._named(segment, structure, carried and (or_ or "and"), doubtful, later)
            self._boxed(segment, named)
            goes_on = carried or segment.has("no") or begins_absent(structure)
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
        if not fits or last_of(structure, "quality") < 0 or not self._opens(later) or self._answers(structure):
            return False
        # "Not typical, the network is broadened" denies no network.
        return last_of(structure, "no") < 0 or not _is_described(later)

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
                mention.deny(given)
                # "Instead of atypical network a typical one": the second value is denied by nobody.
                unjoined = not any(p.kind in ("and", "or") for p in structure)
                mention.doubt = mention.doubt or (len(given) > 1 and unjoined and not frozenset.intersection(*given))
            else:
                mention.given = given
            self._use(structure, of)
            found.append(mention)
        said = [i for i, p in enumerate(structure) if p.kind in ("no", "absent", "doubt")]
        self._use(structure, [i for i in said if not denies_other(i, structure) or denies_before(i, structure)])
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
                mention.deny(mention.given)

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
        open_ = (
            fresh
            or segment.has("now")
            or self._asked
            or waiting[-1].open
            or (clause.joint == "but" and waiting[-1].doubt)
        )
        qualities = [i for i, p in enumerate(structure) if p.kind == "quality" and i not in taken]
        if new and clause.joint not in ("", "but") and not open_:
            return False
        read = False
        for mention in waiting:
            fitting = [i for i in qualities if mention.criterion in structure[i].token.meanings]
            to = self._again(mention, segment) if fresh else mention
            if self._told(to, structure, fitting, open_, new):
                read = True
                self._use(
                    structure, [*fitting, *(i for i, p in enumerate(structure) if p.kind in ("no", "absent", "doubt"))]
                )
                if fresh:
                    to.doubt = to.doubt or self._could_be_of_another(structure, qualities)
                    self.mentions.append(to)
                    self._last = [to]
                else:
                    to.words = " ".join(dict.fromkeys((to.words, self._slice(segment.tokens))))
        if read:
            self._used |= {id(p) for p in segment.tokens if p.kind in ("past", "other")}
            self._asked = False
        return read

    def _could_be_of_another(self, structure: Sequence[Placed], qualities: Sequence[int]) -> bool:
        """Whether qualities of now fit several criteria of another time or view."""
        elsewhere = {mention.criterion for mention in self.mentions if mention.elsewhere}
        return len({name for i in qualities for name in structure[i].token.meanings if name in elsewhere}) > 1

    def _again(self, mention: Mention, segment: Segment) -> Mention:
        words = self._slice(segment.tokens)
        return Mention(mention.criterion, mention.part, words, past=segment.past, other=segment.other)

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
                # "Atypical network, not present": said of it, or of what nobody can tell.
                mention.doubt = mention.doubt or not (new or kinds & {"noun", "unknown"})
                return mention.doubt
            mention.doubt = mention.doubt and not (self._asked or new)
            mention.deny([])
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
        whole = run[last - 1]._replace(
            end=end + (rest.end() if rest else 0)
        )  # "leaf-like", of which "like" says nothing
        self.unread.append(self._slice([*run[: last - 1], whole]))


def _is_described(segments: Sequence[Segment]) -> bool:
    """Whether the first structure of some segments has a quality after it."""
    structure = next(s.structure for s in segments if s.has("item"))
    return last_of(structure, "quality") > last_of(structure, "item")


def _joint(after: Placed) -> Placed:
    return Placed(_AND, after.end, after.end, after.last, after.last)
