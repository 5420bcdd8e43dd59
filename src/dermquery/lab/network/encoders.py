"""Encoders by name: ours, those of other packages, and the facts of published ones that a configuration needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dermquery.extensions import Extensions
from dermquery.model.architecture import TextConfig, VisionConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import nn

__all__ = ["IMAGE_ENCODERS", "TEXT_ENCODERS", "ImageEncoder", "TextTower", "preprocessing_of"]


@dataclass(frozen=True)
class ImageEncoder:
    """A backbone that a configuration can name (equation 2); an entry point of ``dermquery.encoders`` gives one.

    Attributes:
        build: the backbone for a configuration, with published weights if the second argument is true, else random
            ones. Its ``forward`` maps pixels (B, 3, H, W), standardised, to three maps (B, C_l, h_l, w_l), low to high,
            its ``channels`` are the three C_l, and everything in it can be exported to ONNX.
        preprocessing: ``image_size``, ``mean`` and ``std`` of its weights, for a configuration that gives none.
    """

    build: Callable[[VisionConfig, bool], nn.Module]
    preprocessing: Mapping[str, Any] = field(default_factory=dict)


TextTower = Callable[[TextConfig, bool], "tuple[nn.Module, Tokenizer]"]
"""What an entry point of ``dermquery.text_encoders`` gives: for a configuration, and whether to take published weights,
an encoder and its tokenizer. The encoder is called as those of ``transformers`` are: ``input_ids`` (n, T) and
``attention_mask`` (n, T) in, an object with ``last_hidden_state`` (n, T, width) out; ``config.hidden_size`` is the
width, and ``config.max_position_embeddings``, if it has one, the tokens that it reads at most."""

IMAGE_ENCODERS: Extensions[ImageEncoder] = Extensions(
    "dermquery.encoders",
    "encoder",
    lambda found: isinstance(found, ImageEncoder),
    "a dermquery.lab.network.encoders.ImageEncoder",
    {
        "efficientnet-lite0": "dermquery.lab.network.efficientnet_lite:LITE0",
        "efficientnet-lite2": "dermquery.lab.network.efficientnet_lite:LITE2",
        "xception-sklesion": "dermquery.lab.network.xception:SKLESION",
    },
)
TEXT_ENCODERS: Extensions[TextTower] = Extensions(
    "dermquery.text_encoders",
    "text encoder",
    callable,
    "a function that gives an encoder and its tokenizer",
    {"minilm": "dermquery.lab.network.published:minilm"},
)


def preprocessing_of(backbone: str) -> Mapping[str, Any]:
    """``mean`` and ``std`` of an encoder's weights, and ``image_size`` where they fix it; only what is known.

    Args:
        backbone: as a configuration names it.
    """
    if (encoder := IMAGE_ENCODERS.find(backbone)) is not None:
        return encoder.preprocessing
    from dermquery.lab.network.published import published_preprocessing

    return published_preprocessing(backbone)
