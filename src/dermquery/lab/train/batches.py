"""Training batches: decoded pixels once, class-balanced draws, augmentation on the device."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kornia.augmentation as ka
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler

from dermquery.data.case import Case
from dermquery.data.files import replacing
from dermquery.lab.network.normalise import normalise, standardise
from dermquery.lab.train.config import AugmentConfig
from dermquery.model.architecture import VisionConfig
from dermquery.model.pixels import prepare_pixels

__all__ = ["Augment", "BalancedBatches", "BesideBatches", "PixelDataset", "cache_pixels", "default_cache"]


def default_cache() -> Path:
    """Folder for decoded pixels: ``$DERMQUERY_CACHE``, else ``~/.cache/dermquery``."""
    return Path(os.environ.get("DERMQUERY_CACHE") or Path.home() / ".cache" / "dermquery")


def cache_pixels(
    cases: Sequence[Case],
    config: VisionConfig,
    folder: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.uint8]:
    """Decode all images once into a memory-mapped array (n, S, S, 3), S = ``config.decoded_size``.

    The file is named by the preprocessing and by every image's path, size and modification time, so a changed image
    is decoded anew.

    Raises:
        ImageError: an image cannot be decoded; nothing is cached then.
    """
    side = config.decoded_size
    digest = hashlib.sha256(f"{side} {config.remove_borders}".encode())
    for case in cases:
        stat = case.image.stat()
        digest.update(f"{case.image} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    folder = folder or default_cache()
    path = folder / f"pixels-{digest.hexdigest()[:24]}.npy"
    if not path.is_file():
        with replacing(path) as part, ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            array = np.lib.format.open_memmap(part, "w+", np.uint8, (len(cases), side, side, 3))
            for i, pixels in enumerate(pool.map(lambda case: prepare_pixels(case.image, config), cases)):
                array[i] = pixels
                if progress:
                    progress(1)
            array.flush()
    cached: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return cached


class PixelDataset(Dataset[tuple[Tensor, int]]):
    """Cached pixels (S, S, 3) uint8 with the position of their case."""

    def __init__(self, pixels: NDArray[np.uint8], positions: Sequence[int]) -> None:
        self.pixels = pixels
        self.positions = list(positions)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        position = self.positions[item]
        return torch.from_numpy(np.array(self.pixels[position])), position


class BalancedBatches(Sampler[list[int]]):
    """Batches whose classes are drawn with probability proportional to ``n_class**(1 − balance)``.

    Each class is walked through in a shuffled order before any of its images comes again. An epoch has as many draws as
    there are images. Every process of a distributed run draws its own batches.

    Args:
        labels: (n,) class of each item.
        batch_size: items per batch.
        balance: 0 draws classes as they are, 1 equally often.
        seed: with the epoch (``set_epoch``) and the rank it fixes the draws.
        rank, world: of a distributed run.
        groups: (n,) lesion of each item; given, half a batch is drawn and each item gets another of its lesion beside
            it, or comes twice where there is none.
    """

    def __init__(
        self,
        labels: Sequence[int],
        batch_size: int,
        balance: float,
        seed: int,
        rank: int = 0,
        world: int = 1,
        groups: Sequence[Hashable] | None = None,
    ) -> None:
        self.labels = np.asarray(labels)
        if len(self.labels) < batch_size * world:
            raise ValueError(
                f"{len(self.labels)} training images do not fill one batch of {batch_size}"
                + (f" on each of {world} devices" if world > 1 else "")
                + "; lower train.batch_size"
            )
        self.batch_size, self.balance, self.seed, self.rank, self.world = batch_size, balance, seed, rank, world
        self.epoch = 0
        self.partners: list[list[int]] | None = None
        if groups is not None:
            members: dict[Hashable, list[int]] = {}
            for i, group in enumerate(groups):
                members.setdefault(group, []).append(i)
            self.partners = [[j for j in members[group] if j != i] or [i] for i, group in enumerate(groups)]

    def __len__(self) -> int:
        return len(self.labels) // (self.batch_size * self.world)

    @property
    def sampler(self) -> BalancedBatches:
        """Itself: Lightning calls ``set_epoch`` on the sampler of a batch sampler, and on nothing else of it."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer, so that every epoch draws anew and a resumed one draws as it would have."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch, self.rank])
        classes, counts = np.unique(self.labels, return_counts=True)
        shares = counts.astype(float) ** (1.0 - self.balance)
        decks = {c: _deck(np.flatnonzero(self.labels == c), rng) for c in classes}
        for _ in range(len(self)):
            size = self.batch_size if self.partners is None else self.batch_size // 2
            drawn = [next(decks[c]) for c in rng.choice(classes, size=size, p=shares / shares.sum())]
            others = [] if self.partners is None else [int(rng.choice(self.partners[i])) for i in drawn]
            yield [*drawn, *others]


class BesideBatches(Sampler[list[int]]):
    """Two data sets in every batch, whatever their sizes: a batch of the first, and after it one of the second.

    An epoch is one of the first; of the second, which may be far larger, every epoch draws other images.

    Args:
        own: draws of the first data set, at positions from 0 on.
        beside: draws of the second.
        start: position of the second's first image.
    """

    def __init__(self, own: BalancedBatches, beside: BalancedBatches, start: int) -> None:
        self.own, self.beside, self.start = own, beside, start

    def __len__(self) -> int:
        return len(self.own)

    @property
    def sampler(self) -> BesideBatches:
        """Itself, as of :class:`BalancedBatches`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer."""
        self.own.set_epoch(epoch)
        self.beside.set_epoch(epoch)

    def __iter__(self) -> Iterator[list[int]]:
        for own, beside in zip(self.own, itertools.chain.from_iterable(itertools.repeat(self.beside)), strict=False):
            yield [*own, *(self.start + i for i in beside)]


def _deck(items: NDArray[np.intp], rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(items).tolist()


class Augment(nn.Module):
    """Network input from cached pixels: randomly changed in training, plainly resized in evaluation.

    ``forward`` takes uint8 pixels (B, S, S, 3) and returns standardised input (B, 3, H, W).
    """

    def __init__(self, vision: VisionConfig, config: AugmentConfig) -> None:
        super().__init__()
        self.vision = vision
        size = (vision.image_size, vision.image_size)
        steps: list[Any] = []
        if config.rotate:
            steps += [ka.RandomHorizontalFlip(), ka.RandomVerticalFlip()]
            # Reflected edges: black corners would be something that no image has at search time.
            steps += [ka.RandomAffine(180.0, padding_mode="reflection", p=0.8)]
        steps += [ka.RandomResizedCrop(size, scale=(config.crop, 1.0), ratio=(0.8, 1.25))]
        if config.colour > 0:
            c = config.colour
            steps += [ka.ColorJiggle((1 - c, 1 + c), (1 - c, 1 + c), (1 - c, 1 + c), (-c / 10, c / 10), p=0.8)]
        if config.blur > 0:
            steps += [ka.RandomGaussianBlur((3, 3), (0.3, 1.0), p=config.blur)]
        self.random = ka.AugmentationSequential(*steps, data_keys=["input"])

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        if not self.training:
            return normalise(pixels, self.vision)
        scaled = pixels.permute(0, 3, 1, 2).float() / 255.0
        with torch.autocast(scaled.device.type, enabled=False):
            changed: Tensor = self.random(scaled)
        return standardise(changed.clamp(0, 1), self.vision)
