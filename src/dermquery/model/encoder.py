"""The composed model as its users meet it: images, texts and queries in, vectors of three parts out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock, Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Case, Query
from dermquery.data.image import ImageSource
from dermquery.model.alignment import Evidence, Vectors
from dermquery.model.architecture import ModelConfig
from dermquery.model.artifact import ArtifactError
from dermquery.model.evidence import region_evidence
from dermquery.model.heads import Floats, Heads, asked_values, recorded_values
from dermquery.model.parts import PartLayout, Weights
from dermquery.model.pixels import prepare_pixels, visible_part
from dermquery.model.presets import presets_of
from dermquery.model.readout import Readout
from dermquery.model.runtime import Features, Maps, Runtime
from dermquery.model.sentences import encoded_text
from dermquery.model.trained_on import NOTHING, Fingerprints

__all__ = ["ComposedModel"]


class ComposedModel:
    """Encoder of cases and queries.

    Args:
        runtime: runs the network, or starts what does at the first encoding.
        config: of the network.
        readout: heads and turn, where the artifact has them.
        batch_size: images that go through the network at once.

    Attributes:
        config: of the network.
        name: the artifact's name.
        labels: diagnosis labels that it was trained on.
        artifact_hash: SHA-256 that identifies weights, configuration and preprocessing together.
        provenance: what it was trained on and how.
        replaces: hashes of earlier artifacts of the same weights, whose vectors are this model's too.
        readout: what is read of an image beside its blocks.
        trained_on: fingerprints (n, 32) of the images that it, and what it started from, was trained on; none where the
            artifact does not say.
        layout: order of the parts in the vectors.
        presets: weights of the parts by name.
    """

    def __init__(
        self,
        runtime: Runtime | Callable[[], Runtime],
        config: ModelConfig,
        *,
        name: str,
        labels: Sequence[str] = (),
        artifact_hash: str = "",
        provenance: dict[str, Any] | None = None,
        replaces: Sequence[str] = (),
        readout: Readout | None = None,
        trained_on: Fingerprints = NOTHING,
        batch_size: int = 16,
    ) -> None:
        self._start = runtime
        self._lock = Lock()
        self.config = config
        self.name = name
        self.labels = tuple(labels)
        self.artifact_hash = artifact_hash
        self.provenance = provenance or {}
        self.replaces = tuple(replaces)
        self.readout = readout or Readout()
        self.trained_on = trained_on
        self.layout: PartLayout = self.readout.layout(config)
        self.presets: Mapping[str, Weights] = presets_of(self.layout, self.readout.presets)
        self.batch_size = batch_size

    @property
    def runtime(self) -> Runtime:
        """What runs the network; started at the first look at it, by one thread."""
        with self._lock:
            if callable(self._start):
                self._start = self._start()
            return self._start

    def prepare(self) -> None:
        """Start the runtime now and let it compile its graphs in the background, so that the first encoding waits less.

        What fails in the background fails again, and is raised, at the first encoding. The interpreter waits for the
        thread at its end: one that comes back from native code afterwards, as it compiles or drops the last reference
        to the runtime, aborts the process.
        """
        start = self.runtime.prepare

        def quietly() -> None:
            with suppress(Exception):
                start()

        Thread(target=quietly, name="prepare").start()

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

    def encode_case(
        self, images: Sequence[ImageSource], checklists: Sequence[Mapping[str, str]] | None = None
    ) -> Vectors:
        """Vectors of database images; (n, layout.size) float32, every block of unit norm.

        Args:
            images: of the cases.
            checklists: recorded findings of each; what is not recorded is predicted, if the model has heads.

        Raises:
            ImageError: an image cannot be decoded; nothing is returned then.
        """
        given = list(checklists) if checklists is not None else [dict[str, str]()] * len(images)
        vectors = np.empty((len(images), self.layout.size), np.float32)
        done = 0
        with ThreadPoolExecutor(max_workers=2) as pool:  # PIL releases the interpreter lock while it decodes
            for batch in _batches(list(images), self.batch_size, self._pixels, pool):
                rows = slice(done, done + len(batch))
                seen = self.runtime.features(np.stack(batch))
                vectors[rows] = self._held(self._blocks(seen.maps), seen, given[rows])
                done += len(batch)
        return vectors

    def encode_query(self, queries: Sequence[Query]) -> Vectors:
        """Vectors of queries; (n, layout.size) float32, every block of unit norm, not yet weighted.

        Put the weights on them with ``layout.weigh``; the inner product with a case's vector is then the score.

        Raises:
            ValueError: a query has no image, and no text or none that the model can read.
            ImageError: an image cannot be decoded.
        """
        for query in queries:
            if query.image is None and self._text(query) is None:
                raise ValueError(_nothing_to_encode(query))
        return self._joined(queries, self._composed)

    def encode(self, items: Iterable[Query | str | ImageSource] | Query | str | ImageSource) -> Vectors:
        """Vectors of queries of one part or several; (n, layout.size) float32, as :meth:`encode_query`.

        Args:
            items: each a query, a text as ``str``, or an image as a path of ``pathlib``, bytes, a stream, an array or
                an image of Pillow; a single one is a list of one.
        """
        return self.encode_query(Query.many(items))

    def region_masks(self, image: ImageSource, query: Query | None = None) -> dict[str, NDArray[np.float32]]:
        """Learned region masks: level name to (K, h, w), each mask with sum one.

        Of ``image`` as a database image, or, with a query whose text it is asked with, of their composed maps.
        """
        maps = self._features([image]).maps
        if query is not None:
            maps = self.runtime.composed(maps, [self._text(query)])
        masks = self.runtime.regions(maps).masks
        return dict(zip(self.config.levels, (mask[0] for mask in masks), strict=True))

    def evidence(self, query: Query, case: Case, *, image: ImageSource | None = None) -> Evidence:
        """Where the local similarity between a query and a case comes from (:mod:`.evidence`).

        Args:
            query: what was asked.
            case: what was found.
            image: the case's image, if not the file that it names.

        Raises:
            ValueError: the query has nothing to encode.
            ImageError: an image cannot be decoded.
        """
        text, shown = self._text(query), case.image if image is None else image
        if query.image is None and text is None:
            raise ValueError(_nothing_to_encode(query))
        run = self.runtime
        asked = run.composed(None if query.image is None else self._features([query.image]).maps, [text])
        held = self._features([shown]).maps
        on_query, on_case = region_evidence(asked, run.regions(asked).masks, held, run.regions(held).masks)
        vision = self.config.vision
        return Evidence(
            query=() if query.image is None else on_query,
            case=on_case,
            query_box=None if query.image is None else visible_part(query.image, vision),
            box=visible_part(shown, vision),
        )

    def _text(self, query: Query) -> str | None:
        return encoded_text(query, self.config.text)

    def _pixels(self, image: ImageSource) -> NDArray[np.uint8]:
        return prepare_pixels(image, self.config.vision)

    def _features(self, images: Sequence[ImageSource]) -> Features:
        if len(images) == 1:
            return self.runtime.features(self._pixels(images[0])[None])
        with ThreadPoolExecutor(max_workers=2) as pool:  # PIL releases the interpreter lock while it decodes
            return self.runtime.features(np.stack(list(pool.map(self._pixels, images))))

    def _blocks(self, maps: Maps) -> Vectors:
        return self.readout.turned(self.runtime.regions(maps).blocks)

    def _pooled(self, seen: Features) -> tuple[Heads, Floats] | None:
        """The heads and what they read; None for a model without."""
        if self.readout.heads is None:
            return None
        if seen.pooled is None:
            raise ArtifactError(f"model {self.name!r} has heads but its graph gives nothing to read: pack it again")
        return self.readout.heads, seen.pooled

    def _held(self, blocks: Vectors, seen: Features, checklists: Sequence[Mapping[str, str]]) -> Vectors:
        """Vectors of cases from their blocks, images and recorded findings."""
        if (read := self._pooled(seen)) is None:
            return self.layout.joined(blocks, None, recorded_values(checklists), None)
        heads, pooled = read
        findings = recorded_values(checklists, heads.predicted_values(pooled))
        return self.layout.joined(blocks, heads.belief(pooled), findings, heads.look_of(pooled))

    def _composed(self, queries: Sequence[Query]) -> Vectors:
        vectors = np.empty((len(queries), self.layout.size), np.float32)
        seen = [i for i, query in enumerate(queries) if query.image is not None]
        blind = [i for i, query in enumerate(queries) if query.image is None]
        for rows in (seen, blind):
            if rows:
                vectors[rows] = self._asked([queries[i] for i in rows])
        return vectors

    def _asked(self, queries: Sequence[Query]) -> Vectors:
        """Vectors of queries that all have an image, or all have none."""
        images = [query.image for query in queries if query.image is not None]
        seen = self._features(images) if images else None
        texts, terms = [self._text(query) for query in queries], [query.terms for query in queries]
        blocks = self._blocks(self.runtime.composed(None if seen is None else seen.maps, texts))
        belief = look = None
        if seen is not None and (read := self._pooled(seen)) is not None:
            heads, pooled = read
            belief, look = heads.belief(pooled, terms), heads.look_of(pooled)
        elif self.readout.heads is not None:
            belief = self.readout.heads.belief(None, terms)
        return self.layout.joined(blocks, belief, asked_values(terms), look)

    def _joined(self, queries: Sequence[Query], encode: Callable[[Sequence[Query]], Vectors]) -> Vectors:
        """What a function gives for batches of queries."""
        starts = range(0, len(queries), self.batch_size)
        batches = [encode(queries[i : i + self.batch_size]) for i in starts]
        return np.concatenate(batches) if batches else np.zeros((0, self.layout.size), np.float32)


def _nothing_to_encode(query: Query) -> str:
    if not query.text:
        return "the query has neither image nor text; give at least one of them"
    read = query.reading
    if asked := [remark.question for remark in (*read.uncertain, *read.conflicts, *read.incomplete)]:
        return f"the text {query.text!r} gives no criterion a value; say which ({' '.join(asked)}), or give an image"
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
