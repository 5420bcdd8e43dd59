"""ResNet50-CosSim: content-based retrieval with the features of a classifier (Tschandl et al. 2019, arXiv 1810.09487).

From the authors: a network that was fine-tuned to classify diagnoses, its pooled last features, ranked by similarity;
evaluated on EDRA, HAM10000 and their own images. Reconstruction: cosine as the similarity (the name that the paper
gives it), and the training, which is that of all systems here. The backbone is the table's, not always a ResNet-50.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from dermquery.data.case import Case
from dermquery.lab.systems.trained import Batch, PairNetwork, Setup, TrainedRanker

__all__ = ["ResNet50CosSim"]


class _Classifier(PairNetwork):
    def __init__(self, setup: Setup, n_labels: int) -> None:
        super().__init__()
        self.backbone = setup.backbone()
        channels: tuple[int, ...] = self.backbone.channels  # type: ignore[assignment]
        self.head = nn.Linear(channels[-1], n_labels)

    def features(self, pixels: Tensor) -> Tensor:
        """Average-pooled last map, (B, C)."""
        pooled: Tensor = self.backbone(pixels)[-1].mean(dim=(2, 3))
        return pooled

    def encode_query(self, pixels: Tensor, texts: Sequence[str | None]) -> Tensor:
        return self.encode_target(pixels)

    def encode_target(self, pixels: Tensor) -> Tensor:
        return F.normalize(self.features(pixels).float(), dim=-1)

    def losses(self, pixels: Tensor, texts: Sequence[str | None], batch: Batch) -> dict[str, Tensor]:
        return {"classes": F.cross_entropy(self.head(self.features(pixels)).float(), batch.labels)}


class ResNet50CosSim(TrainedRanker):
    """Cosine of the pooled features of a network that was fine-tuned with cross-entropy."""

    name = "ResNet50-CosSim"

    def build(self, labels: Sequence[str], cases: Sequence[Case]) -> PairNetwork:
        return _Classifier(self.setup, len(labels))
