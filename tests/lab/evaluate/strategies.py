"""Small retrieval problems with everything that can go wrong in them: ties, shared lesions, gaps, one-sided labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from dermquery.data.case import Case
from dermquery.data.checklist import CRITERIA
from dermquery.lab.evaluate.ranking import Ranking, rank

LABELS = ("melanoma", "nevus", "bkl")


@dataclass(frozen=True)
class Problem:
    queries: list[Case]
    gallery: list[Case]
    scores: NDArray[np.float64]

    def rank(self) -> Ranking:
        return rank(self.scores, self.queries, self.gallery)

    def shuffled(self, seed: int) -> Problem:
        """The same problem with the gallery in another order."""
        places = np.random.default_rng(seed).permutation(len(self.gallery))
        return Problem(self.queries, [self.gallery[i] for i in places], self.scores[:, places])


def make_case(case_id: str, diagnosis: str | None = "nevus", **known: object) -> Case:
    return Case.model_validate(
        {"case_id": case_id, "image": Path(f"/images/{case_id}.png"), "diagnosis": diagnosis, **known}
    )


def random_problem(seed: int, n_queries: int, n_gallery: int, *, gaps: bool = True, shared: bool = True) -> Problem:
    """Cases drawn from one pool, so that a query may stand in its own gallery (`shared`), with tied scores."""
    rng = np.random.default_rng(seed)
    pool = []
    for number in rng.permutation(n_queries + n_gallery):
        checklist = {
            name: str(rng.choice(criterion.values[:3]))
            for name, criterion in CRITERIA.items()
            if not (gaps and rng.random() < 0.3)
        }
        pool.append(
            make_case(
                f"case{number}",
                str(rng.choice(LABELS, p=(0.3, 0.5, 0.2))),
                fine_diagnosis=None if gaps and rng.random() < 0.1 else str(rng.choice(["a", "b", "c", "d"])),
                lesion_id=f"lesion{rng.integers(n_gallery)}" if rng.random() < 0.5 else None,
                checklist=checklist,
            )
        )
    queries, gallery = pool[:n_queries], pool[n_queries:]
    if shared:
        gallery = [*queries[: n_queries // 2], *gallery][:n_gallery]
    scores = rng.integers(0, max(2, n_gallery // 2), size=(n_queries, n_gallery)).astype(np.float64)
    return Problem(queries, gallery, scores)


def problems(*, gaps: bool = True) -> st.SearchStrategy[Problem]:
    return st.builds(
        lambda seed, n_queries, n_gallery: random_problem(seed, n_queries, n_gallery, gaps=gaps),
        st.integers(0, 2**32 - 1),
        st.integers(1, 7),
        st.integers(1, 24),
    )
