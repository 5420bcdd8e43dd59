"""Weights by name, and weights as people write them: ``balanced``, or ``meaning=1,findings=.5,look=.3``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from dermquery.model.alignment import check_local_weight
from dermquery.model.parts import PAPER, PartLayout, Weights

__all__ = [
    "BALANCED",
    "PAPER_NAME",
    "AskedWeights",
    "Chosen",
    "choose",
    "default_preset",
    "presets_of",
    "read_weights",
    "written",
]

AskedWeights = Weights | Mapping[str, float] | str
"""How weights are asked for: the name of a preset; the parts that weigh something, by name or written as
``meaning=1,findings=.5,look=.3``; or all of them."""

BALANCED, PAPER_NAME = "balanced", "paper"
_WITHOUT_HEADS: Mapping[str, Weights] = {
    PAPER_NAME: PAPER,
    "same findings": Weights(meaning=0.1, findings=1.0),
}
_WITH_HEADS: Mapping[str, Weights] = {
    BALANCED: Weights(meaning=1.0, findings=0.5, look=0.3),
    PAPER_NAME: PAPER,
    "same findings": Weights(meaning=0.1, findings=1.0, look=0.1),
    "look-alikes": Weights(meaning=0.2, look=1.0),
}


class Chosen(NamedTuple):
    """Weights, and the name of the preset that they are; None for weights of one's own."""

    preset: str | None
    weights: Weights


def presets_of(layout: PartLayout, own: Mapping[str, Weights]) -> dict[str, Weights]:
    """The presets of vectors in a layout: a model's own, and the general ones that it does not replace."""
    return {**(_WITH_HEADS if layout.look else _WITHOUT_HEADS), **own}


def default_preset(presets: Mapping[str, Weights]) -> str:
    """Name of the preset that stands where a query names none."""
    return BALANCED if BALANCED in presets else PAPER_NAME


def choose(
    presets: Mapping[str, Weights], asked: AskedWeights | None = None, local_weight: float | None = None
) -> Chosen:
    """The weights that a query asks for.

    Args:
        presets: by name.
        asked: see :data:`AskedWeights`; the default preset if not given.
        local_weight: λ in place of theirs.

    Raises:
        ValueError: an unknown name, weights that cannot be read, or one out of its bounds.
    """
    if asked is None:
        asked = default_preset(presets)
    if isinstance(asked, str):
        names = {name.lower(): preset for name, preset in presets.items()}
        weights = names.get(asked.strip().lower()) or read_weights(asked, presets)
    elif isinstance(asked, Weights):
        weights = asked
    elif isinstance(asked, Mapping):
        weights = _of_names(asked, presets, dict(asked))
    else:
        raise _unreadable(asked, presets)
    if local_weight is not None:
        weights = weights.model_copy(update={"local_weight": check_local_weight(local_weight)})
    return Chosen(next((name for name, known in presets.items() if known == weights), None), weights)


def written(weights: Weights) -> str:
    """Weights as :func:`read_weights` reads them."""
    return ",".join(f"{name}={value:g}" for name, value in weights.model_dump().items())


def read_weights(words: str, presets: Mapping[str, Weights]) -> Weights:
    """Weights as they are written: ``meaning=1,findings=.5,look=.3``.

    A part that is not named weighs nothing; λ (``local_weight``) and ρ (``posterior``) are those of the default preset
    unless they are named.

    Raises:
        ValueError: naming what cannot be read, and what can be written.
    """
    found: dict[str, str] = {}
    for item in words.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise _unreadable(words, presets)
        if name in found:
            raise ValueError(f"weights {words!r}: {name} stands there twice; give it one weight")
        found[name] = value
    return _of_names(found, presets, words)


def _of_names(found: Mapping[str, Any], presets: Mapping[str, Weights], asked: object) -> Weights:
    """Weights of the named parts, and of the default preset what are no parts."""
    default = presets[default_preset(presets)]
    weights = {"posterior": default.posterior, "local_weight": default.local_weight}
    for name, value in found.items():
        if name not in Weights.model_fields:
            raise _unreadable(asked, presets)
        try:
            weights[name] = float(value)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"the weight '{name}={value}' is no number; write for example {name}=.5") from None
    try:
        return Weights(**weights)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise ValueError(
            f"weights {asked!r}: {where}{first['msg'].removeprefix('Value error, ')}; got {first['input']}"
            if where
            else f"weights {asked!r}: {first['msg'].removeprefix('Value error, ')}"
        ) from error


def _unreadable(asked: object, presets: Mapping[str, Weights]) -> ValueError:
    return ValueError(
        f"cannot read the weights {asked!r}; give the name of a preset ({', '.join(presets)}), or weights "
        "such as meaning=1,findings=.5,look=.3"
    )
