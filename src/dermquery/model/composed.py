"""The composed model as its users meet it: images, texts and queries in, unit vectors out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dermquery.data.borders import remove_borders, visible_box
from dermquery.data.case import Case, Query
from dermquery.data.image import load_image
from dermquery.model.alignment import BlockLayout, Evidence, Vectors
from dermquery.model.config import VisionConfig
from dermquery.model.evidence import region_evidence
from dermquery.model.network import ComposedNetwork
from dermquery.model.runtime import Runtime, choose_runtime
from dermquery.model.text import encoded_text

__all__ = ["ComposedModel", "ImageSource", "normalise", "prepare_pixels"]

ImageSource = Path | str | bytes | Image.Image


def prepare_pixels(source: ImageSource, config: VisionConfig) -> NDArray[np.uint8]:
    """Decode, crop borders and resize to (S, S, 3), S = ``config.decoded_size``: the one path from any image to pixels.

    Args:
        source: path, encoded bytes or decoded image.
        config: the artifact's preprocessing.

    Raises:
        ImageError: the image cannot be decoded; the message names it.
    """
    image = load_image(source)
    if config.remove_borders:
        image = remove_borders(image)
    side = config.decoded_size
    # A copy, because PIL's buffer is read-only and torch must be able to own it.
    return np.array(image.resize((side, side), Image.Resampling.BICUBIC), dtype=np.uint8)


def normalise(pixels: Tensor, config: VisionConfig) -> Tensor:
    """Network input (B, 3, H, W) from uint8 pixels (B, S, S, 3): resized, in [0, 1], then standardised per channel.

    Training, validation and search all come through here. Decoding straight to the network's size would be a little
    sharper than anything that was trained on, which cost .03 of mAP (docs/decisions/0006).
    """
    scaled = pixels.permute(0, 3, 1, 2).float() / 255.0
    size = (config.image_size, config.image_size)
    return standardise(torch.nn.functional.interpolate(scaled, size, mode="bilinear", antialias=True), config)


def standardise(scaled: Tensor, config: VisionConfig) -> Tensor:
    """Subtract the mean and divide by the standard deviation, per channel of (B, 3, H, W) in [0, 1]."""
    mean = torch.tensor(config.mean, device=scaled.device).view(1, 3, 1, 1)
    std = torch.tensor(config.std, device=scaled.device).view(1, 3, 1, 1)
    return (scaled - mean) / std


class ComposedModel:
    """Encoder of cases and queries.

    Attributes:
        network: the weights.
        name: the artifact's name.
        labels: diagnosis labels that it was trained on.
        artifact_hash: SHA-256 that identifies weights, configuration and preprocessing together.
        provenance: what it was trained on and how.
    """

    def __init__(
        self,
        network: ComposedNetwork,
        *,
        name: str,
        labels: Sequence[str] = (),
        artifact_hash: str = "",
        provenance: dict[str, Any] | None = None,
        batch_size: int = 16,
        runtime: str = "torch",
    ) -> None:
        self.network = network.eval()
        self.name = name
        self.labels = tuple(labels)
        self.artifact_hash = artifact_hash
        self.provenance = provenance or {}
        self.batch_size = batch_size
        self._runtime_name = runtime
        self._runtime: Runtime | None = None

    @property
    def runtime(self) -> Runtime:
        """What runs the network when it encodes; chosen, and exported if need be, at the first use."""
        if self._runtime is None:
            self._runtime = choose_runtime(self.network, self.artifact_hash, self._runtime_name)
        return self._runtime

    @property
    def layout(self) -> BlockLayout:
        """Order of the blocks in the vectors."""
        return self.network.layout

    @property
    def local_weight(self) -> float:
        """λ where a query names none."""
        return self.network.config.local_weight

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What happens to an image before the network; a case base records it."""
        vision = self.network.config.vision
        fields = vision.model_dump(mode="json", include={"image_size", "remove_borders", "mean", "std"})
        return {**fields, "decoded_size": vision.decoded_size}

    def network_input(self, images: Sequence[ImageSource]) -> Tensor:
        """What the network sees of images: (n, 3, side, side) float32, cropped, resized and normalised."""
        return self._input([self._pixels(image) for image in images])

    def encode_case(self, images: Sequence[ImageSource]) -> Vectors:
        """Vectors of database images; (n, 2·L·d) float32, every block of unit norm.

        Raises:
            ImageError: an image cannot be decoded; nothing is returned then.
        """
        with ThreadPoolExecutor(max_workers=2) as pool:  # PIL releases the interpreter lock while it decodes
            batches = [self._targets(batch) for batch in _batches(list(images), self.batch_size, self._pixels, pool)]
        return self._joined(batches)

    def encode_query(self, queries: Sequence[Query]) -> Vectors:
        """Vectors of queries; (n, 2·L·d) float32, every block of unit norm, not yet weighted by λ.

        Put λ on them with ``layout.weigh``; the inner product with a case's vector is then equation 9.

        Raises:
            ValueError: a query has no image, and no text or none that the model can read.
            ImageError: an image cannot be decoded.
        """
        for query in queries:
            if query.image is None and self._text(query) is None:
                raise ValueError(_nothing_to_encode(query))
        rows = [queries[i : i + self.batch_size] for i in range(0, len(queries), self.batch_size)]
        return self._joined([self._composed(batch) for batch in rows])

    @torch.inference_mode()
    def region_masks(self, image: ImageSource, query: Query | None = None) -> dict[str, NDArray[np.float32]]:
        """Learned region masks: level name to (K, h, w), each mask with sum one.

        Of ``image`` as a database image, or, with a query whose text it is asked with, of their composed maps.
        """
        maps = self.network.features(self._input([self._pixels(image)]))
        if query is None:
            masks = self.network.targets(maps).masks
        else:
            masks = self.network.queries(maps, [self._text(query)]).masks
        return {level: mask[0].float().cpu().numpy() for level, mask in zip(self.layout.levels, masks, strict=True)}

    @torch.inference_mode()
    def evidence(
        self, query: Query, case: Case, *, described: bool = False, image: ImageSource | None = None
    ) -> Evidence:
        """Where the local similarity between a query and a case comes from (:mod:`.evidence`).

        Args:
            query: what was asked.
            case: what was found.
            described: the case was encoded with its own findings.
            image: the case's image, if not the file that it names.

        Raises:
            ValueError: the query has nothing to encode.
            ImageError: an image cannot be decoded.
        """
        text = self._text(query)
        if query.image is None and text is None:
            raise ValueError(_nothing_to_encode(query))
        shown = case.image if image is None else image
        held = self.network.features(self._input([self._pixels(shown)]))
        if described:
            held = self.network.composed_maps(held, self._text(case.as_query()))
        maps = None if query.image is None else self.network.features(self._input([self._pixels(query.image)]))
        on_query, on_case = region_evidence(self.network, self.network.composed_maps(maps, text), held)
        return Evidence(
            query=() if maps is None else tuple(m[0].float().cpu().numpy() for m in on_query),
            case=tuple(m[0].float().cpu().numpy() for m in on_case),
            query_box=None if query.image is None else self._box(query.image),
            box=self._box(shown),
        )

    def _box(self, source: ImageSource) -> tuple[int, int, int, int]:
        image = load_image(source)
        return visible_box(image) if self.network.config.vision.remove_borders else (0, 0, *image.size)

    def _text(self, query: Query) -> str | None:
        return encoded_text(query, self.network.config.text)

    def _pixels(self, image: ImageSource) -> NDArray[np.uint8]:
        return prepare_pixels(image, self.network.config.vision)

    def _input(self, pixels: Sequence[NDArray[np.uint8]]) -> Tensor:
        device = next(self.network.parameters()).device
        return normalise(torch.from_numpy(np.stack(pixels)).to(device), self.network.config.vision)

    def _targets(self, pixels: Sequence[NDArray[np.uint8]]) -> Vectors:
        return self._flat(self.runtime.cases(self._input(pixels)))

    @torch.inference_mode()
    def _composed(self, queries: Sequence[Query]) -> Vectors:
        """Queries with an image go through the runtime; the others are a few tokens, which PyTorch composes."""
        vectors = np.empty((len(queries), self.layout.size), np.float32)
        texts = [self._text(query) for query in queries]
        seen = [i for i, query in enumerate(queries) if query.image is not None]
        blind = [i for i, query in enumerate(queries) if query.image is None]
        if seen:
            tokens, mask = self.network.tokens([texts[i] for i in seen])
            inputs = self._input([self._pixels(queries[i].image) for i in seen])
            vectors[seen] = self._flat(self.runtime.queries(inputs, tokens, mask))
        if blind:
            none = torch.zeros(len(blind), dtype=torch.bool)
            blocks = self.network.queries((), [texts[i] for i in blind], none).blocks
            vectors[blind] = self._flat(blocks.float().cpu().numpy())
        return vectors

    def _joined(self, batches: Sequence[Vectors]) -> Vectors:
        return np.concatenate(batches) if batches else np.zeros((0, self.layout.size), np.float32)

    @staticmethod
    def _flat(blocks: NDArray[np.float32]) -> Vectors:
        return blocks.reshape(len(blocks), -1)


def _nothing_to_encode(query: Query) -> str:
    if not query.text:
        return "the query has neither image nor text; give at least one of them"
    return (
        f"the text {query.text!r} names no finding of the seven-point checklist, which is all that this model knows of "
        "words; name one (for instance: atypical network, blue-whitish veil, no streaks) or give an image"
    )


def _batches(
    images: list[ImageSource], size: int, decode: Any, pool: ThreadPoolExecutor
) -> Iterable[list[NDArray[np.uint8]]]:
    """Decoded batches, one decoded ahead while the network works on the last, so that memory stays bounded."""
    ahead = [pool.submit(decode, image) for image in images[: 2 * size]]
    for start in range(0, len(images), size):
        batch = [future.result() for future in ahead[:size]]
        follow = images[start + 2 * size : start + 3 * size]
        ahead = ahead[size:] + [pool.submit(decode, image) for image in follow]
        yield batch
