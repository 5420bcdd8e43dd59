"""Models in the layout of open_clip, read without that package: its weights under the names of ``transformers``.

A folder holds ``open_clip_config.json`` and ``open_clip_model.safetensors`` or ``open_clip_pytorch_model.bin``. Image
towers that are open_clip's own vision transformer or timm's plain ``vit_…`` are read, and text towers that are
open_clip's own or a BERT. Others are refused by name; nothing is loaded in part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

__all__ = ["is_folder", "preprocessing", "text_model", "vision_model"]

CONFIG = "open_clip_config.json"
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_HEAD = 64
"""Width of an attention head where nothing is said."""
_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_TIMM_BLOCK = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.o_proj",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_EXTRAS = ("no_ln_pre", "attentional_pool", "ls_init_value", "norm_kwargs", "act_kwargs", "embed_cls")
"""What open_clip's own towers can have besides, and what is not read."""
State = dict[str, Tensor]


def is_folder(name: str) -> bool:
    """Whether a name is a folder in this layout alone: many hold both, and ``transformers``' is then read."""
    folder = Path(name).expanduser()
    if not (folder / CONFIG).is_file():
        return False
    other = folder / "config.json"
    return not (other.is_file() and "model_type" in json.loads(other.read_text(encoding="utf-8")))


def preprocessing(folder: Path) -> dict[str, Any]:
    """``mean``, ``std`` and ``image_size`` as the folder says them."""
    config = _config(folder)
    said = config.get("preprocess_cfg") or {}
    found: dict[str, Any] = {key: tuple(said[key]) for key in ("mean", "std") if key in said}
    return found | {"image_size": _side(config["model_cfg"]["vision_cfg"])}


def vision_model(folder: Path, *, pretrained: bool) -> Any:
    """The image tower as a ``transformers`` model, with random weights if they are not wanted.

    Raises:
        ValueError: a tower of another kind.
        FileNotFoundError: the folder has no weights.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModel, ViTConfig, ViTModel

    model_cfg = _config(folder)["model_cfg"]
    config = model_cfg["vision_cfg"]
    timm = config.get("timm_model_name")
    if timm is None:
        _check_own(folder, "vision_cfg", config)
        width, head = int(config["width"]), int(config.get("head_width", _HEAD))
        settings: Any = CLIPVisionConfig(
            hidden_size=width, num_hidden_layers=config["layers"], num_attention_heads=width // head,
            intermediate_size=int(width * config.get("mlp_ratio", 4.0)), image_size=_side(config),
            patch_size=config["patch_size"], hidden_act=_activation(model_cfg),
        )  # fmt: skip
        model = CLIPVisionModel(settings)
        if pretrained:
            model.load_state_dict(_own_vision(_weights(folder)))
        return model
    if not timm.startswith("vit_") or "_patch" not in timm or any(part in timm for part in ("siglip", "clip", "reg")):
        raise ValueError(f"{folder / CONFIG}: the image tower {timm!r} of timm is not read, only plain vit_… are")
    state = _timm_vision(_weights(folder))
    width, _, patch, _ = state["embeddings.patch_embeddings.projection.weight"].shape
    settings = ViTConfig(
        hidden_size=width, num_hidden_layers=_depth(state, "layers."), num_attention_heads=width // _HEAD,
        intermediate_size=len(state["layers.0.mlp.fc1.weight"]), image_size=_side(config), patch_size=patch,
        layer_norm_eps=1e-6,
    )  # fmt: skip
    model = ViTModel(settings, add_pooling_layer=False)
    if pretrained:
        model.load_state_dict(state)
    return model


def text_model(folder: Path, *, pretrained: bool) -> Any:
    """The text tower as a ``transformers`` model, with random weights if they are not wanted.

    Raises:
        ValueError: a tower of another kind.
        FileNotFoundError: the folder has no weights.
    """
    from transformers import BertConfig, BertModel, CLIPTextConfig, CLIPTextModel

    model_cfg = _config(folder)["model_cfg"]
    config = model_cfg["text_cfg"]
    if (hub := config.get("hf_model_name")) is None:
        _check_own(folder, "text_cfg", config)
        settings: Any = CLIPTextConfig(
            hidden_size=config["width"], num_hidden_layers=config["layers"], num_attention_heads=config["heads"],
            intermediate_size=int(config["width"] * config.get("mlp_ratio", 4.0)), vocab_size=config["vocab_size"],
            max_position_embeddings=config.get("context_length", 77), hidden_act=_activation(model_cfg),
            eos_token_id=2,  # of the pooled token, which is not used: the greatest number, as open_clip takes it
        )  # fmt: skip
        model = CLIPTextModel(settings)
        if pretrained:
            model.load_state_dict(_own_text(_weights(folder)))
        return model
    state = {
        key: value
        for key, value in _under(_weights(folder), "text.transformer.").items()
        if "pooler" not in key and "position_ids" not in key
    }
    words = state.get("embeddings.word_embeddings.weight")
    if words is None or "roberta" in hub.lower() or "embeddings.token_type_embeddings.weight" not in state:
        raise ValueError(f"{folder / CONFIG}: the text tower {hub!r} is not read, of the hub's only BERT is")
    settings = BertConfig(
        vocab_size=len(words), hidden_size=words.shape[1], num_hidden_layers=_depth(state, "encoder.layer."),
        num_attention_heads=words.shape[1] // _HEAD,
        intermediate_size=len(state["encoder.layer.0.intermediate.dense.weight"]),
        max_position_embeddings=len(state["embeddings.position_embeddings.weight"]),
    )  # fmt: skip
    model = BertModel(settings, add_pooling_layer=False)
    if pretrained:
        model.load_state_dict(state)
    return model


def _own_vision(state: State) -> State:
    """open_clip's vision transformer as a ``CLIPVisionModel``."""
    found = _blocks(_under(state, "visual.transformer.resblocks."))
    tower = _under(state, "visual.")
    found |= {
        "embeddings.class_embedding": tower["class_embedding"],
        "embeddings.patch_embedding.weight": tower["conv1.weight"],
        "embeddings.position_embedding.weight": tower["positional_embedding"],
    }
    for kind in ("weight", "bias"):
        found[f"pre_layrnorm.{kind}"] = tower[f"ln_pre.{kind}"]
        found[f"post_layernorm.{kind}"] = tower[f"ln_post.{kind}"]
    return found


def _own_text(state: State) -> State:
    """open_clip's text transformer, which stands at the top or under ``text.``, as a ``CLIPTextModel``."""
    tower = _under(state, "text.") or state
    found = _blocks(_under(tower, "transformer.resblocks."))
    found |= {
        "embeddings.token_embedding.weight": tower["token_embedding.weight"],
        "embeddings.position_embedding.weight": tower["positional_embedding"],
    }
    return found | {f"final_layer_norm.{kind}": tower[f"ln_final.{kind}"] for kind in ("weight", "bias")}


def _blocks(blocks: State) -> State:
    """Residual blocks of open_clip, whose queries, keys and values are one matrix, as encoder layers of CLIP."""
    found: State = {}
    for key, value in blocks.items():
        number, _, rest = key.partition(".")
        part, _, kind = rest.rpartition(".")
        layer = f"encoder.layers.{number}"
        if rest.startswith("attn.in_proj_"):
            for name, third in zip("qkv", value.chunk(3), strict=True):
                found[f"{layer}.self_attn.{name}_proj.{rest.removeprefix('attn.in_proj_')}"] = third
        else:
            found[f"{layer}.{_BLOCK[part]}.{kind}"] = value
    return found


def _timm_vision(state: State) -> State:
    """Timm's plain vision transformer as a ``ViTModel``."""
    trunk = _under(state, "visual.trunk.")
    found = {
        "embeddings.cls_token": trunk["cls_token"],
        "embeddings.position_embeddings": trunk["pos_embed"],
    }
    for kind in ("weight", "bias"):
        found[f"embeddings.patch_embeddings.projection.{kind}"] = trunk[f"patch_embed.proj.{kind}"]
        found[f"layernorm.{kind}"] = trunk[f"norm.{kind}"]
    for key, value in _under(trunk, "blocks.").items():
        number, _, rest = key.partition(".")
        part, _, kind = rest.rpartition(".")
        if part == "attn.qkv":
            for name, third in zip("qkv", value.chunk(3), strict=True):
                found[f"layers.{number}.attention.{name}_proj.{kind}"] = third
        else:
            found[f"layers.{number}.{_TIMM_BLOCK[part]}.{kind}"] = value
    return found


def _config(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if not {"vision_cfg", "text_cfg"} <= content.get("model_cfg", {}).keys():
        raise ValueError(f"{folder / CONFIG} has no model_cfg with vision_cfg and text_cfg; it is no CLIP of open_clip")
    return content


def _check_own(folder: Path, section: str, config: Mapping[str, Any]) -> None:
    """Refuse what the own towers can be besides: what is added to them would be left out without a word."""
    plain = isinstance(config.get("layers"), int)
    extras = [key for key in _EXTRAS if config.get(key)]
    if not plain or extras:
        why = f"with {', '.join(extras)}" if extras else "without a number of layers, such as a ResNet's"
        raise ValueError(f"{folder / CONFIG}: a {section} {why} is not read")


def _side(config: Mapping[str, Any]) -> int:
    size = config.get("image_size", 224)
    return int(size if isinstance(size, int) else max(size))


def _activation(model_cfg: Mapping[str, Any]) -> str:
    return "quick_gelu" if model_cfg.get("quick_gelu") else "gelu"


def _weights(folder: Path) -> State:
    for name in _WEIGHTS:
        if (path := folder / name).is_file():
            found: Any = (
                load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
            )
            found = found.get("state_dict", found)
            return {key.removeprefix("module."): value.float() for key, value in found.items()}
    raise FileNotFoundError(f"{folder} has {CONFIG} and no weights beside it; it needs one of {', '.join(_WEIGHTS)}")


def _under(state: Mapping[str, Tensor], prefix: str) -> State:
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _depth(state: State, prefix: str) -> int:
    return 1 + max(int(key.removeprefix(prefix).partition(".")[0]) for key in state if key.startswith(prefix))
