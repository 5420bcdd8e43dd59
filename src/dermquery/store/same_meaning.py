"""Values that mean the same: what somebody asks for, and what the cases of a base have, in the words of any clinic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dermquery.data.case import CASE_FIELDS, Kind
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.spelling import folded
from dermquery.data.vocabulary.trees import LEVEL, TREES, below
from dermquery.data.vocabulary.words import skin_type, word_for
from dermquery.store.filters import EXTRA, AllOf, Equals, FilterError, Not, OneOf, asked_values

if TYPE_CHECKING:
    from dermquery.store.where import Known

__all__ = ["check_one_place", "in_their_words", "is_wider", "meant", "places_like", "values_like"]


def values_like(field: str, written: str, known: Known) -> tuple[str, ...]:
    """The values of a field that are this one but for capitals, and those that mean the same by the vocabulary."""
    found = known.alike(field, written)
    word = meant(field, written)
    if field == "image_type":
        asked = _of_kind(word_for("image_type kinds", written) or word or written, known)
        return (*found, *(value for value in asked if value not in found))
    if word is None and not found and field == "skin_type":
        word = _on_the_one_scale(written, known)
    if word is None:
        return found
    return (*found, *(value for value in known.values(field) if value not in found and meant(field, value) == word))


def meant(field: str, written: str) -> str | None:
    """The project's word for a choice; None for other fields, and for a word that has none."""
    return word_for(field, written) if not field.startswith(EXTRA) and CASE_FIELDS[field].kind is Kind.CHOICE else None


def places_like(field: str, written: str, known: Known) -> tuple[str, ...]:
    """The places of a hierarchy that are meant and at or below which there are cases: by their name, or as they are."""
    tree, there = TREES[field], known.values(field)
    place = tree.named(written)
    if place is None:
        above = {name for value in there for name in tree.lineage(value)}
        place = next((name for name in above if folded(written) in (folded(name), folded(name.split(LEVEL)[-1]))), None)
    found = [] if place is None or not any(below(field, (place,)).holds(value) for value in there) else [place]
    held = below(field, found)
    others = [value for value in there if not held.holds(value) and place is not None and place in tree.lineage(value)]
    return (*found, *dict.fromkeys((*others, *(v for v in known.alike(field, written) if not held.holds(v)))))


def is_wider(written: str) -> bool:
    """Whether a word for a diagnosis is placed above what it means: "vasc" at all that is benign."""
    path = DIAGNOSES.named(written)
    return path is not None and LEVEL not in path and folded(written) != folded(path)


def check_one_place(written: str, there: tuple[str, ...]) -> tuple[str, ...]:
    """Of words that were never put into ours, the values that cases have just so; none of a place alone.

    Such are a place with a comma ("head, neck", which is neither the head nor what holds both), and one with a side,
    which are two fields.

    Raises:
        FilterError: no case has a place with a side; naming both fields.
    """
    if "," in written and there:
        return there
    place = SITES.read(written)
    if place is None or place.side is None:
        return ()
    if not there:
        raise FilterError(
            f"{written!r} is a place and a side; ask for both: site={place.site} and laterality={place.side}"
        )
    return there


def in_their_words(node: Any, known: Known) -> Any:
    """A condition tree whose choices are those that the cases of a base have."""
    if isinstance(node, Not):
        return Not(condition=in_their_words(node.condition, known))
    if isinstance(node, AllOf):
        return AllOf(conditions=tuple(in_their_words(child, known) for child in node.conditions))
    if not isinstance(node, Equals | OneOf) or all(meant(node.field, str(v)) is None for v in asked_values(node)):
        return node
    asked = asked_values(node)
    found = dict.fromkeys(same for value in asked for same in values_like(node.field, str(value), known) or (value,))
    return node if tuple(found) == asked else OneOf(field=node.field, values=tuple(found))


def _of_kind(asked: str, known: Known) -> tuple[str, ...]:
    """The types of image that are the one asked for, or of that kind: "clinical" for close-up and overview."""
    words = {value: meant("image_type", value) or value for value in known.values("image_type")}
    kinds = {value: {folded(word), folded(word.partition(":")[0])} for value, word in words.items()}
    return tuple(value for value, names in kinds.items() if folded(asked) in names)


def _on_the_one_scale(step: str, known: Known) -> str | None:
    """The skin type for a mere step, where the cases have one scale."""
    scales = {word.partition(" ")[0] for value in known.values("skin_type") if (word := meant("skin_type", value))}
    return skin_type(step, *scales) if len(scales) == 1 else None
