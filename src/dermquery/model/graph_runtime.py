"""What every runtime of exported graphs does alike: texts to token embeddings, and the order of inputs and outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from dermquery.model.artifact import EMBEDDINGS, TEXT_GRAPH, TOKENIZER, Artifact
from dermquery.model.runtime import Maps, Pixels, Regions
from dermquery.model.sentences import SentenceTokens, States, padded, read_tokenizer, token_ids

__all__ = ["GraphRuntime"]


class GraphRuntime(ABC):
    """A :class:`.runtime.Runtime` of an artifact's ONNX graphs.

    Args:
        artifact: whose files are checked again when they are read.

    Raises:
        ArtifactError: a file was changed or removed since the artifact was opened.
        ModuleNotFoundError: a model that reads any text needs ``tokenizers``.
    """

    name: str

    def __init__(self, artifact: Artifact) -> None:
        self._artifact = artifact
        held, manifest = load(artifact.read(EMBEDDINGS)), artifact.manifest
        self._null_image = held["null_image"]
        config = manifest.model.text
        if manifest.sentences:
            rows = zip(manifest.sentences, held["states"], held["lengths"], strict=True)
            known = {sentence: states[:length] for sentence, states, length in rows}
            encode = lambda sentences: [known[sentence] for sentence in sentences]  # noqa: E731
        else:
            tokenizer = read_tokenizer(artifact.read(TOKENIZER))

            def encode(sentences: list[str]) -> list[States]:
                ids, mask = padded([np.array(token_ids(tokenizer, s, config), np.int64) for s in sentences])
                (states,) = self._run(TEXT_GRAPH, ids, mask)
                return [state[: int(kept.sum())].copy() for state, kept in zip(states, mask, strict=True)]

        self._tokens = SentenceTokens(encode, held["null_text"], config)

    def features(self, pixels: Pixels) -> Maps:
        return self._run("image.onnx", pixels)

    def composed(self, maps: Maps | None, texts: Sequence[str | None]) -> Maps:
        if maps is None:
            shape = (len(texts), self._null_image.shape[1], 1, 1)
            maps = tuple(np.broadcast_to(level[None, :, None, None], shape).copy() for level in self._null_image)
        return self._run("composer.onnx", *maps, *self._tokens(texts))

    def regions(self, maps: Maps) -> Regions:
        blocks, *masks = self._run("regions.onnx", *maps)
        return Regions(blocks, tuple(masks))

    @abstractmethod
    def _run(self, graph: str, *inputs: NDArray[Any]) -> Maps:
        """Outputs of a graph, in its order; called from any thread."""
