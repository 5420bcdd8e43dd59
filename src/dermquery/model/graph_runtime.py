"""What every runtime of exported graphs does alike: texts to token embeddings, and the order of inputs and outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dermquery.model.architecture import TextConfig
from dermquery.model.artifact import EMBEDDINGS, MANIFEST, TEXT_GRAPH, TOKENIZER, Artifact, ArtifactError
from dermquery.model.runtime import Features, Maps, Pixels, Regions
from dermquery.model.sentences import SentenceTokens, States, padded, read_tokenizer, token_ids

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["GraphRuntime"]

Encode = Callable[[list[str]], list[States]]


class GraphRuntime(ABC):
    """A :class:`.runtime.Runtime` of an artifact's ONNX graphs.

    Args:
        artifact: whose files are checked again when they are read.

    Raises:
        ArtifactError: a file was changed or removed since the artifact was opened, or is of another size than it says.
        ModuleNotFoundError: a model that reads any text needs ``tokenizers``.
    """

    name: str

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        held, manifest = artifact.tensors(EMBEDDINGS), artifact.manifest
        self._null_image = held["null_image"]
        config = manifest.model
        self._check_fit(EMBEDDINGS, "levels and width", (len(config.levels), config.width), self._null_image.shape)
        if manifest.sentences:
            encode = _table(manifest.sentences, held["states"], held["lengths"])
        else:
            encode = self._encoder(read_tokenizer(artifact.read(TOKENIZER)), manifest.model.text)
        self._tokens = SentenceTokens(encode, held["null_text"], manifest.model.text)

    def _encoder(self, tokenizer: Tokenizer, config: TextConfig) -> Encode:
        """The text encoder's graph behind its tokenizer."""

        def encode(sentences: list[str]) -> list[States]:
            ids, mask = padded([np.array(token_ids(tokenizer, s, config), np.int64) for s in sentences])
            (states,) = self._run(TEXT_GRAPH, ids, mask)
            return [state[: int(kept.sum())].copy() for state, kept in zip(states, mask, strict=True)]

        return encode

    def features(self, pixels: Pixels) -> Features:
        found, levels = self._run("image.onnx", pixels), len(self._artifact.manifest.model.levels)
        return Features(found[:levels], found[levels] if len(found) > levels else None)

    def composed(self, maps: Maps | None, texts: Sequence[str | None]) -> Maps:
        if maps is None:
            shape = (len(texts), self._null_image.shape[1], 1, 1)
            maps = tuple(np.broadcast_to(level[None, :, None, None], shape).copy() for level in self._null_image)
        return self._run("composer.onnx", *maps, *self._tokens(texts))

    def regions(self, maps: Maps) -> Regions:
        blocks, *masks = self._run("regions.onnx", *maps)
        return Regions(blocks, tuple(masks))

    def _check_graph(self, graph: str, shape: Sequence[object]) -> None:
        """Refuse a graph whose first input, of this shape, takes other pixels than the manifest says."""
        if graph == "image.onnx" and isinstance(shape[1], int):
            self._check_fit(graph, "decoded pixels a side", self._artifact.manifest.model.vision.decoded_size, shape[1])

    def _check_fit(self, file: str, what: str, said: object, found: object) -> None:
        if said != found:
            raise ArtifactError(
                f"{self._artifact.folder / MANIFEST} says {said} for {what}, and {file} has {found}; the files of this "
                "folder do not belong together: copy it again"
            )

    @abstractmethod
    def _run(self, graph: str, *inputs: NDArray[Any]) -> Maps:
        """Outputs of a graph, in its order; called from any thread."""


def _table(sentences: Sequence[str], states: States, lengths: NDArray[np.int64]) -> Encode:
    """The states of a closed vocabulary, looked up."""
    known = {s: rows[:length] for s, rows, length in zip(sentences, states, lengths, strict=True)}
    return lambda asked: [known[sentence] for sentence in asked]
