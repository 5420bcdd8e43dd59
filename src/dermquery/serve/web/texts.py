"""Tables of the page's words, in English; whoever shows them translates them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["PARTS", "PRESETS", "TERMS"]

PARTS: Mapping[str, str] = {"meaning": "means", "findings": "findings", "look": "looks"}
"""The parts of a score by the names that people read."""

PRESETS: Mapping[str, tuple[str, str]] = {
    "balanced": ("Balanced", "What the lesions mean counts most, then the findings, then the looks."),
    "paper": ("Meaning", "Only what the lesions mean counts, as in the paper: the weights named “paper”."),
    "same findings": ("Same findings", "The findings you give count most."),
    "look-alikes": ("Look-alikes", "What the image looks like counts most."),
}
"""Title and explanation of weights that the project knows by name."""

TERMS: Mapping[str, Mapping[str, str]] = {
    "Atypical network and veil": {"pigment_network": "atypical", "blue_whitish_veil": "present"},
    "Irregular streaks and globules": {"streaks": "irregular", "dots_and_globules": "irregular"},
    "Regression": {"regression_structures": "combinations"},
    "Atypical vessels": {"vascular_structures": "linear irregular"},
    "Regular network and globules": {"pigment_network": "typical", "dots_and_globules": "regular"},
    "Starburst": {"streaks": "regular", "pigmentation": "diffuse regular"},
}
"""Findings that occur together, by name."""
