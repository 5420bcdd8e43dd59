"""Ablations: train the composed model without one of its parts, or with more or less of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dermquery.lab.config import Config
from dermquery.lab.experiment.comparison import Row
from dermquery.lab.experiment.registry import system

__all__ = ["ABLATIONS", "Ablation", "ablation_rows"]


@dataclass(frozen=True)
class Ablation:
    """One change.

    Attributes:
        key: its name on the command line.
        title: its name in the tables.
        overrides: of the configuration, as ``--set`` takes them.
        system: which query is asked.
    """

    key: str
    title: str
    overrides: tuple[str, ...] = ()
    system: str = "composed"


_LISTED = (
    Ablation("whole", "whole model"),
    Ablation("level_high", "high level only", ('model.levels=["high"]',)),
    Ablation("levels_middle_high", "middle and high level", ('model.levels=["middle", "high"]',)),
    Ablation("regions_1", "K = 1 region", ("model.regions.count=1",)),
    Ablation("regions_4", "K = 4 regions", ("model.regions.count=4",)),
    Ablation("regions_16", "K = 16 regions", ("model.regions.count=16",)),
    Ablation("local_only", "local only (λ = 1)", ("model.local_weight=1.0",)),
    Ablation("global_only", "global only (λ = 0)", ("model.local_weight=0.0",)),
    Ablation(
        "no_text", "no text, in training and query", ("train.forms=drop", "train.text_dropout=1.0"), "image_only"
    ),
    Ablation("no_composer", "no cross-modal attention", ("model.composer.depth=0", "model.composer.text_shift=true")),
    Ablation("no_text_shift", "no text shift", ("model.composer.text_shift=false",)),
    Ablation("no_grading", "positives by label only", ("train.objective.grading=0.0",)),
    Ablation("no_prototypes", "no sub-centre loss", ("train.objective.prototypes=0",)),
    Ablation("no_diversity", "no diversity loss", ("train.objective.diversity=0.0",)),
    Ablation("no_image_mix", "no image mixing", ("train.image_mix=0.0",)),
    Ablation("width_64", "width d = 64", ("model.width=64",)),
    Ablation("width_128", "width d = 128", ("model.width=128",)),
    Ablation("size_112", "112 px", ("model.vision.image_size=112",)),
    Ablation("size_160", "160 px", ("model.vision.image_size=160",)),
)  # fmt: skip
ABLATIONS: dict[str, Ablation] = {listed.key: listed for listed in _LISTED}
"""By key; the first is the model as it is, which the others are tested against."""


def ablation_rows(keys: Sequence[str], load: Callable[[tuple[str, ...]], Config]) -> list[Row]:
    """Rows of a comparison; the whole model is the first, whether it is named or not.

    Args:
        keys: of :data:`ABLATIONS`.
        load: the configuration with overrides.

    Raises:
        ValueError: an unknown key; the message lists the known ones.
    """
    for key in keys:
        if key not in ABLATIONS:
            raise ValueError(f"unknown ablation {key!r}; use some of: {', '.join(ABLATIONS)}")
    chosen = [ABLATIONS[key] for key in dict.fromkeys(["whole", *keys])]
    return [Row(listed.title, system(listed.system), load(listed.overrides)) for listed in chosen]
