"""The model card that every artifact carries (Mitchell et al. 2019), filled with what is known of the training."""

from __future__ import annotations

import json

from dermquery.model.encoder import ComposedModel
from dermquery.model.training_words import training_words

__all__ = ["model_card"]


def model_card(model: ComposedModel, notes: str = "") -> str:
    """Markdown card: what the model is, what it was trained on, how it was chosen, and what it must not be used for."""
    facts, config = model.provenance, model.config
    sizes = facts.get("parameters", {})
    text = f"`{config.text.encoder}` ({'frozen' if config.text.frozen else 'trained'})"
    lines = [
        f"# {model.name}",
        "",
        "A dermquery model: composed image-and-text queries against dermoscopic cases.",
        "**Research use only; not a medical device.**",
        "It finds similar cases. It gives no diagnosis and no probability of cancer.",
        "",
        f"- Backbone `{config.vision.backbone}` at {config.vision.image_size} px; text encoder {text}.",
        f"- Width {config.width}, {config.regions.count} region masks a level, local weight {config.local_weight}.",
        f"- Labels: {', '.join(model.labels) or 'none'}.",
        f"- Parameters: {sizes.get('all', 0):,} ({sizes.get('trained', 0):,} trained).",
        *(f"- {said}" for said in training_words(facts)),
        f"- dermquery {facts.get('dermquery', '?')}, commit {facts.get('commit') or 'unknown'}.",
        "",
    ]
    if notes:
        lines += [notes.strip(), ""]
    if "config" in facts:
        lines += ["## Configuration", "", "```json", json.dumps(facts["config"], indent=1), "```", ""]
    return "\n".join(lines)
