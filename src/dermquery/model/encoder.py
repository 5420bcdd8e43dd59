"""The composed model as its users meet it: images, texts and queries in, unit vectors out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case, Query
from dermquery.data.image import ImageSource
from dermquery.model.alignment import BlockLayout, Evidence, Vectors
from dermquery.model.lazy import LazyNetwork
from dermquery.model.pixels import network_input, prepare_pixels, visible_part
from dermquery.model.runtime import Inputs, Runtime, choose_runtime
from dermquery.model.sentences import encoded_text

if TYPE_CHECKING:
    from dermquery.lab.network.network import ComposedNetwork

__all__ = ["ComposedModel"]


class ComposedModel:
    """Encoder of cases and queries.

    Args:
        network: the weights, or how they are had once PyTorch has to run them.
        batch_size: images that go through the network at once.
        runtime: what encodes (:mod:`.runtime`).

    Attributes:
        config: of the network.
        name: the artifact's name.
        labels: diagnosis labels that it was trained on.
        artifact_hash: SHA-256 that identifies weights, configuration and preprocessing together.
        provenance: what it was trained on and how.
    """

    def __init__(
        self,
        network: ComposedNetwork | LazyNetwork,
        *,
        name: str,
        labels: Sequence[str] = (),
        artifact_hash: str = "",
        provenance: dict[str, Any] | None = None,
        batch_size: int = 16,
        runtime: str = "torch",
    ) -> None:
        self._network = network if isinstance(network, LazyNetwork) else LazyNetwork.of(network.eval())
        self.config = self._network.config
        self.name = name
        self.labels = tuple(labels)
        self.artifact_hash = artifact_hash
        self.provenance = provenance or {}
        self.batch_size = batch_size
        self._runtime_name = runtime
        self._runtime: Runtime | None = None

    @property
    def network(self) -> ComposedNetwork:
        """The network itself; the first look at it may build it.

        Raises:
            ArtifactError, WeightsUnavailableError: it cannot be built.
        """
        return self._network.network

    @property
    def runtime(self) -> Runtime:
        """What runs the network when it encodes; chosen, and exported if need be, at the first use."""
        if self._runtime is None:
            self._runtime = choose_runtime(self._network, self.artifact_hash, self._runtime_name)
        return self._runtime

    @property
    def layout(self) -> BlockLayout:
        """Order of the blocks in the vectors."""
        return BlockLayout(self.config.levels, self.config.width)

    @property
    def local_weight(self) -> float:
        """λ where a query names none."""
        return self.config.local_weight

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What happens to an image before the network; a case base records it."""
        vision = self.config.vision
        fields = vision.model_dump(mode="json", include={"image_size", "remove_borders", "mean", "std"})
        return {**fields, "decoded_size": vision.decoded_size}

    def network_input(self, images: Sequence[ImageSource]) -> Inputs:
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

    def region_masks(self, image: ImageSource, query: Query | None = None) -> dict[str, NDArray[np.float32]]:
        """Learned region masks: level name to (K, h, w), each mask with sum one.

        Of ``image`` as a database image, or, with a query whose text it is asked with, of their composed maps.
        """
        from dermquery.model.evidence import region_masks

        text = None if query is None else self._text(query)
        masks = region_masks(self.network, self.network_input([image]), text, composed=query is not None)
        return dict(zip(self.layout.levels, masks, strict=True))

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
        from dermquery.model.evidence import evidence_maps

        text = self._text(query)
        if query.image is None and text is None:
            raise ValueError(_nothing_to_encode(query))
        shown = case.image if image is None else image
        on_query, on_case = evidence_maps(
            self.network,
            None if query.image is None else self.network_input([query.image]),
            text,
            self.network_input([shown]),
            self._text(case.as_query()) if described else None,
            described=described,
        )
        vision = self.config.vision
        return Evidence(
            query=on_query,
            case=on_case,
            query_box=None if query.image is None else visible_part(query.image, vision),
            box=visible_part(shown, vision),
        )

    def _text(self, query: Query) -> str | None:
        return encoded_text(query, self.config.text)

    def _pixels(self, image: ImageSource) -> NDArray[np.uint8]:
        return prepare_pixels(image, self.config.vision)

    def _input(self, pixels: Sequence[NDArray[np.uint8]]) -> Inputs:
        return network_input(pixels, self.config.vision)

    def _targets(self, pixels: Sequence[NDArray[np.uint8]]) -> Vectors:
        return self._flat(self.runtime.cases(self._input(pixels)))

    def _composed(self, queries: Sequence[Query]) -> Vectors:
        vectors = np.empty((len(queries), self.layout.size), np.float32)
        texts = [self._text(query) for query in queries]
        seen = [i for i, query in enumerate(queries) if query.image is not None]
        blind = [i for i, query in enumerate(queries) if query.image is None]
        if seen:
            inputs = self._input([self._pixels(image) for query in queries if (image := query.image) is not None])
            vectors[seen] = self._flat(self.runtime.queries(inputs, [texts[i] for i in seen]))
        if blind:
            vectors[blind] = self._flat(self.runtime.words([text for i in blind if (text := texts[i]) is not None]))
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
