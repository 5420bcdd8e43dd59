"""A text encoder: one learned vector for each word of the checklist."""

from __future__ import annotations

from types import SimpleNamespace

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn

from dermquery.data.checklist import CRITERIA, render_text
from dermquery.model.architecture import TextConfig

__all__ = ["Words", "words"]

WIDTH = 32


class Words(nn.Module):
    """Called as the encoders of ``transformers`` are: ids and mask (n, T) in, ``last_hidden_state`` (n, T, 32) out."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.config = SimpleNamespace(hidden_size=WIDTH)
        self.embedding = nn.Embedding(vocabulary, WIDTH)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, output_hidden_states: bool = False) -> SimpleNamespace:
        return SimpleNamespace(last_hidden_state=self.embedding(input_ids))


def words(config: TextConfig, pretrained: bool) -> tuple[nn.Module, Tokenizer]:
    """The encoder and its tokenizer; there are no published weights."""
    known = " ".join(render_text({name: value}) for name, c in CRITERIA.items() for value in c.values)
    cut = pre_tokenizers.Whitespace()
    found = dict.fromkeys(word for word, _ in cut.pre_tokenize_str(known.lower()))
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0} | {word: i for i, word in enumerate(found, 1)}, "<unk>"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.Lowercase(), cut
    return Words(len(found) + 1), tokenizer
