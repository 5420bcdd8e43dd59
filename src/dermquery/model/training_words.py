"""What a model's provenance says of its training, in sentences: for its card, and for ``dermquery describe``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["training_words"]


def training_words(provenance: Mapping[str, Any]) -> list[str]:
    """Sentences: how many cases it was trained on and how it was chosen, what stood beside them, where it started."""
    best, cases = provenance.get("best", {}), provenance.get("cases", {})
    if "train" not in cases:
        said = ["What it was trained on is not recorded."]
    elif provenance.get("config", {}).get("train", {}).get("refit"):
        everyone = cases["train"] + cases.get("validation", 0)
        said = [f"Trained on {everyone:,} cases for all {best.get('epochs', '?')} epochs; nothing was selected."]
    else:
        score = best.get("validation_map")
        chosen = "" if score is None else f", validation mAP {score:.3f}"
        said = [
            (
                f"Trained on {cases['train']:,} cases; epoch {best.get('epoch', '?')} of {best.get('epochs', '?')} "
                f"chosen on {cases.get('validation', '?')} others{chosen}."
            )
        ]
    if further := cases.get("further"):
        said.append(f"As many of {further:,} further cases, images without words, stood in every batch.")
    if started := provenance.get("started_from"):
        said.append(f"Its backbone started from `{started['name']}` ({(started['artifact'] or '')[:12]}).")
    return said
