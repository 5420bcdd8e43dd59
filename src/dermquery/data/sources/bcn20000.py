"""BCN20000 (Combalia et al. 2019): 18,946 images of Barcelona, as collection 249 of the ISIC Archive."""

from __future__ import annotations

import dataclasses

from dermquery.data.sources.isic_archive import SOURCE as ARCHIVE
from dermquery.data.sources.tables import Part

__all__ = ["SOURCE"]

SOURCE = dataclasses.replace(
    ARCHIVE,
    name="bcn20000",
    title="BCN20000: 18,946 dermoscopic images of Barcelona, from the ISIC Archive.",
    constants={
        "source": "BCN20000",
        "licence": "CC-BY-NC",
        "attribution": "Department of Dermatology, Hospital Clínic de Barcelona",
    },
    parts={"metadata": Part(18_946)},
)
