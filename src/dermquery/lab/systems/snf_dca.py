"""SNF-DCA: search in a fused similarity network (Biomedical Signal Processing and Control 78, 2022, 103893).

From the authors: several channels (images, meta-data) are fused at the level of similarities by Similarity Network
Fusion (Wang et al. 2014), and community analysis searches the fused network. From snfpy, which does the fusion here:
z-scores, squared Euclidean distances, scaled exponential kernel (K = 20, μ = .5), fusion (K = 20, t = 20).

Reconstruction: the channels are the features of the fine-tuned classifier (:mod:`.resnet50_cossim`) and the recorded
checklist as indicators; communities by spectral clustering, as snfpy's own example does it, their number by the
eigengap of the training part; the query's community is ranked first, then by fused weight. The method is
transductive: a query is put into the network of its gallery alone, so that no query sees another, and its own lesion
is taken out before. Its gallery carries findings, which the composed model's does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import spectral_clustering
from sklearn.utils import check_array

from dermquery.data.case import Case
from dermquery.lab.systems.checklist_regression import one_hot
from dermquery.lab.systems.config import SNFConfig
from dermquery.lab.systems.ranker import Scores
from dermquery.lab.systems.resnet50_cossim import ResNet50CosSim

__all__ = ["SNFDCA", "fused_network"]

Matrix = NDArray[np.float64]


def fused_network(channels: Sequence[Matrix], config: SNFConfig) -> Matrix:
    """Similarity network (n, n) of n cases from channels (n, D_c), by snfpy; symmetric, larger is more similar."""
    compute = _snfpy()
    neighbours = min(config.neighbours, len(channels[0]) - 1)
    with np.errstate(invalid="ignore"):  # an indicator that no case has cannot be standardised; snfpy makes it zero
        affinities = compute.make_affinity(*channels, K=neighbours, mu=config.mu)
    return np.asarray(compute.snf(*affinities, K=neighbours, t=config.steps))


class SNFDCA:
    """The query's community in the fused network first, then by fused weight."""

    name = "SNF-DCA"

    def __init__(self, cossim: ResNet50CosSim, config: SNFConfig) -> None:
        self._cossim, self._config = cossim, config
        self._communities = config.communities
        self._nodes = 0

    @property
    def bytes_per_case(self) -> int:
        """Image features, a byte for each criterion, and its row of the network."""
        return self._cossim.bytes_per_case + 7 + 8 * self._nodes

    @property
    def train_seconds(self) -> float | None:
        """That of the classifier; the network has none."""
        return self._cossim.train_seconds

    def fit(self, training: Sequence[Case], validation: Sequence[Case]) -> None:
        """Train the classifier, and choose the number of communities on the training part."""
        self._cossim.fit(training, validation)
        if not self._config.communities:
            network = fused_network(self._channels(training), self._config)
            self._communities = int(_snfpy().get_n_clusters(network, range(2, 9))[0])

    def score(self, queries: Sequence[Case], gallery: Sequence[Case]) -> Scores:
        scores = np.full((len(queries), len(gallery)), -np.inf)
        for row, query in zip(scores, queries, strict=True):
            others = np.array([i for i, case in enumerate(gallery) if not case.same_lesion(query)])
            row[others] = self._answer(query, [gallery[i] for i in others])
        self._nodes = len(gallery)
        return scores

    def _answer(self, query: Case, gallery: Sequence[Case]) -> Matrix:
        network = fused_network(self._channels([query, *gallery]), self._config)
        community = spectral_clustering(network, n_clusters=self._communities, random_state=0)
        weights = network[0, 1:]
        return np.asarray(weights / max(weights.max(), 1e-12) + 2.0 * (community[1:] == community[0]))

    def _channels(self, cases: Sequence[Case]) -> list[Matrix]:
        return [self._cossim.encoded(cases, "target").astype(np.float64), one_hot(cases)]


def _snfpy() -> Any:
    """The module of snfpy; its release 0.2.2 names an argument of scikit-learn that 1.8 took away, so it is renamed."""
    try:
        from snf import compute
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("SNF-DCA needs snfpy: pip install 'dermquery[lab]'") from error

    def renamed(array: Any, force_all_finite: bool | str = True, **options: Any) -> Any:
        return check_array(array, ensure_all_finite=force_all_finite, **options)

    compute.check_array = renamed
    return compute
