"""Forms of a training query: image and text, text alone, image alone, as a user may ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dermquery.data.case import Case, Query
from dermquery.data.checklist import CRITERIA
from dermquery.lab.train.config import TrainConfig
from dermquery.model.architecture import TextConfig
from dermquery.model.sentences import encoded_text

__all__ = ["Forms", "draw_forms", "mix_images", "training_text"]


class Forms(NamedTuple):
    """The queries of one step.

    Attributes:
        rows: (Q,) long, the batch row that each query is made from; the first are all rows in their order, each in its
            fullest form.
        texts: one per query; None is a query without text.
        has_image: (Q,) bool. No query lacks both.
    """

    rows: Tensor
    texts: list[str | None]
    has_image: Tensor


def draw_forms(cases: Sequence[Case], config: TrainConfig, text: TextConfig) -> Forms:
    """Queries of a batch of cases, each with some criteria left out of its text (``attribute_dropout``).

    ``config.forms == "drop"``: one query a case, which loses its text or its image by chance. ``"all"``: every case
    asks in all its forms. A training image is soon known by heart, and then the composed query alone gives the text no
    gradient; in this way the text has a loss of its own at every step.
    """
    texts = [training_text(case, config.attribute_dropout, text) for case in cases]
    if config.forms == "all":
        forms = [(row, text, True) for row, text in enumerate(texts)]
        forms += [(row, text, False) for row, text in enumerate(texts) if text is not None]
        forms += [(row, None, True) for row, text in enumerate(texts) if text is not None]
    else:
        draws = torch.rand(len(texts)).tolist()
        forms = [_dropped(row, text, draw, config) for row, (text, draw) in enumerate(zip(texts, draws, strict=True))]
    rows, asked, has_image = zip(*forms, strict=True)
    return Forms(torch.tensor(rows), list(asked), torch.tensor(has_image))


def mix_images(maps: tuple[Tensor, ...], forms: Forms, strength: float) -> tuple[Tensor, ...]:
    """Feature maps of the forms' images, where the text is given too with a random share of another image mixed in.

    The label stays that of the text and the greater part. A training image tells its own label almost surely, an image
    at search time does not; without this the composer learns to trust the image alone.

    Args:
        maps: (B, d, h_l, w_l) of the batch.
        forms: Q queries made from its rows.
        strength: the share of the other image is drawn from [0, strength]; 0 mixes nothing and draws nothing.

    Returns:
        Maps (Q, d, h_l, w_l).
    """
    rows = forms.rows.to(maps[0].device)
    if strength == 0:
        return tuple(m[rows] for m in maps)
    described = torch.tensor([text is not None for text in forms.texts])
    share = (torch.rand(len(rows)) * strength * described).to(maps[0].device)[:, None, None, None]
    others = rows[torch.randperm(len(rows)).to(rows.device)]
    return tuple(((1 - share) * m[rows] + share * m[others]).to(m.dtype) for m in maps)


def _dropped(row: int, text: str | None, draw: float, config: TrainConfig) -> tuple[int, str | None, bool]:
    if text is None or draw < config.text_dropout:
        return row, None, True
    return row, text, draw < 1 - config.image_dropout


def training_text(case: Case, dropout: float, config: TextConfig) -> str | None:
    """The text of a case with each recorded criterion left out with probability ``dropout``; None if none is left."""
    draws = torch.rand(len(CRITERIA)).tolist()
    kept = {n: case.checklist[n] for n, u in zip(CRITERIA, draws, strict=True) if n in case.checklist and u >= dropout}
    return encoded_text(Query(text=case.text, checklist=kept), config)
