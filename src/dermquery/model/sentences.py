"""From a query to the sentences that are encoded (equation 4), and from their embeddings to those of its text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from dermquery.data.case import Query
from dermquery.data.checklist import CRITERIA, render_text
from dermquery.model.architecture import TextConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = [
    "CACHED_SENTENCES",
    "Mask",
    "SentenceTokens",
    "States",
    "closed_vocabulary",
    "encoded_text",
    "padded",
    "parts_of",
    "read_tokenizer",
    "split_sentences",
    "token_ids",
]

CACHED_SENTENCES = 4096
"""Free text is unbounded; the checklist's own sentences number 27."""

States = NDArray[np.float32]
Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


def encoded_text(query: Query, config: TextConfig) -> str | None:
    """The text of a query that is encoded, in training and in search; None if there is none."""
    if config.reading == "verbatim":
        return query.sentence
    return render_text(query.terms) or None


def closed_vocabulary(config: TextConfig) -> tuple[str, ...]:
    """Every sentence that :func:`encoded_text` can give, where their number is fixed; else none.

    It is fixed where texts are read into findings and each sentence is encoded by itself by an encoder that stays as
    it is: the embeddings of the sentences then stand for the encoder.
    """
    if not (config.reading == "findings" and config.frozen and config.by_sentence):
        return ()
    return tuple(render_text({name: value}) for name, c in CRITERIA.items() for value in c.values)


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
    """A tokenizer from its ``tokenizer.json``, or from the bytes of one, which does not pad.

    One of an artifact cuts off what is more than its encoder reads; that of a published model does not.
    """
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "this model encodes texts as they are written and needs a tokenizer: pip install 'dermquery[verbatim]'"
        ) from error
    tokenizer = Tokenizer.from_str((source if isinstance(source, bytes) else source.read_bytes()).decode())
    tokenizer.no_padding()
    if not isinstance(source, bytes):
        tokenizer.no_truncation()
    return tokenizer


class SentenceTokens:
    """Token embeddings of texts (equation 4), put together from those of their sentences.

    Args:
        encode: states (T_s, width) of each of some sentences.
        null: the embedding (1, width) that stands for a missing text.
        config: of the text encoder.
    """

    def __init__(self, encode: Callable[[list[str]], list[States]], null: States, config: TextConfig) -> None:
        self._encode, self._null, self._config = encode, null, config
        self._cache: dict[str, States] = {}

    def __call__(self, texts: Sequence[str | None]) -> tuple[States, Mask]:
        """Token embeddings (n, T, width) and their mask (n, T), true for tokens; None is a missing text."""
        parts = [None if text is None else parts_of(text, self._config) for text in texts]
        encoded = self._encoded(list(dict.fromkeys(part for text in parts if text is not None for part in text)))
        return padded(
            [
                self._null if text is None else np.concatenate([encoded[p] for p in text])[: self._config.max_tokens]
                for text in parts
            ]
        )

    def _encoded(self, sentences: list[str]) -> dict[str, States]:
        """States (T_s, width) of each sentence."""
        known = {s: found for s in sentences if (found := self._cache.get(s)) is not None}
        missing = [s for s in sentences if s not in known]
        if missing:
            new = dict(zip(missing, self._encode(missing), strict=True))
            if len(self._cache) + len(new) > CACHED_SENTENCES:
                self._cache.clear()  # another thread's look-up keeps what it has found
            self._cache.update(new)
            known |= new
        return known


def padded(rows: Sequence[NDArray[T]]) -> tuple[NDArray[T], Mask]:
    """Rows (T_i, ...) under each other, filled up with zeros, and the mask of what was there."""
    length = max(len(row) for row in rows)
    filled = np.zeros((len(rows), length, *rows[0].shape[1:]), rows[0].dtype)
    for target, row in zip(filled, rows, strict=True):
        target[: len(row)] = row
    return filled, np.arange(length) < np.array([[len(row)] for row in rows])
