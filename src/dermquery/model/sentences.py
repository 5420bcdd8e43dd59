"""Texts as the text encoder takes them, and its embeddings put together again where PyTorch does not run it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from dermquery.data.case import Query
from dermquery.data.checklist import render_text
from dermquery.model.architecture import TextConfig

__all__ = [
    "CACHED_SENTENCES",
    "SentenceTokens",
    "encoded_text",
    "parts_of",
    "read_tokenizer",
    "split_sentences",
    "token_ids",
]

CACHED_SENTENCES = 4096
"""Free text is unbounded; the checklist's own sentences number 27."""

_Floats = NDArray[np.float32]
_Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


def encoded_text(query: Query, config: TextConfig) -> str | None:
    """The text of a query that is encoded, in training and in search; None if there is none."""
    if config.reading == "verbatim":
        return query.sentence
    return render_text(query.terms) or None


def split_sentences(text: str) -> list[str]:
    """Sentences of ``text``, without empty ones; findings separated by ".", ";" or a line break count as sentences."""
    return [part.strip() for part in re.split(r"(?<=[.;!?])\s+|[\r\n]+", text) if part.strip()]


def parts_of(text: str, config: TextConfig) -> list[str]:
    """What of a text is encoded by itself, in order; never nothing."""
    return split_sentences(text) or [text] if config.by_sentence else [text]


def token_ids(tokenizer: Tokenizer, sentence: str, config: TextConfig) -> list[int]:
    """The tokens of a sentence as far as they are kept."""
    ids: list[int] = tokenizer.encode(sentence).ids
    return ids[: config.max_tokens]


def read_tokenizer(source: Path | bytes) -> Tokenizer:
    """A tokenizer from its ``tokenizer.json``, or from the bytes of one, which neither pads nor cuts off."""
    tokenizer = Tokenizer.from_str((source if isinstance(source, bytes) else source.read_bytes()).decode())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class SentenceTokens:
    """What ``TextEncoder`` and ``encode_texts`` of the laboratory compute, by an encoder that PyTorch does not run.

    Args:
        run: the encoder, from token ids (n, T) and their mask (n, T) to states (n, T, width).
        tokenizer: of the encoder.
        null: the embedding (1, width) that stands for a missing text.
        config: of the text encoder.
    """

    def __init__(
        self,
        run: Callable[[NDArray[np.int64], _Mask], _Floats],
        tokenizer: Tokenizer,
        null: _Floats,
        config: TextConfig,
    ) -> None:
        self._run, self._tokenizer, self._null, self._config = run, tokenizer, null, config
        self._cache: dict[str, _Floats] = {}

    def __call__(self, texts: Sequence[str | None]) -> tuple[_Floats, _Mask]:
        """Token embeddings (n, T, width) and their mask (n, T), true for tokens; None is a missing text."""
        parts = [None if text is None else parts_of(text, self._config) for text in texts]
        encoded = self._encoded(list(dict.fromkeys(part for text in parts if text is not None for part in text)))
        return _padded(
            [
                self._null if text is None else np.concatenate([encoded[p] for p in text])[: self._config.max_tokens]
                for text in parts
            ]
        )

    def _encoded(self, sentences: list[str]) -> dict[str, _Floats]:
        """States (T_s, width) of each sentence."""
        known = {s: found for s in sentences if (found := self._cache.get(s)) is not None}
        missing = [s for s in sentences if s not in known]
        if missing:
            ids, mask = _padded([np.array(token_ids(self._tokenizer, s, self._config), np.int64) for s in missing])
            states = self._run(ids, mask)
            new = {s: state[: int(kept.sum())].copy() for s, state, kept in zip(missing, states, mask, strict=True)}
            if len(self._cache) + len(new) > CACHED_SENTENCES:
                self._cache.clear()  # another thread's look-up keeps what it has found
            self._cache.update(new)
            known |= new
        return known


def _padded(rows: Sequence[NDArray[T]]) -> tuple[NDArray[T], _Mask]:
    """Rows (T_i, ...) under each other, filled up with zeros, and the mask of what was there."""
    length = max(len(row) for row in rows)
    padded = np.zeros((len(rows), length, *rows[0].shape[1:]), rows[0].dtype)
    for filled, row in zip(padded, rows, strict=True):
        filled[: len(row)] = row
    return padded, np.arange(length) < np.array([[len(row)] for row in rows])
