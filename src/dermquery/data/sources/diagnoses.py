"""The diagnoses that the sources share: the label of the field's data sets and its place in ISIC's hierarchy."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AK", "BCC", "BKL", "DF", "MEL", "NV", "SCC", "VASC", "Diagnosis", "group_of"]


class Diagnosis(NamedTuple):
    """A source's word in the words of all.

    Attributes:
        group: the label that retrieval is judged by; empty for none.
        path: in the hierarchy of the ISIC Archive, as far as the word says it; empty if it says nothing.
    """

    group: str
    path: str = ""


_EPIDERMAL = "Benign:Benign epidermal proliferations"
MEL = Diagnosis("mel", "Malignant:Malignant melanocytic proliferations (Melanoma)")
NV = Diagnosis("nv", "Benign:Benign melanocytic proliferations:Nevus")
BCC = Diagnosis("bcc", "Malignant:Malignant adnexal epithelial proliferations - Follicular:Basal cell carcinoma")
BKL = Diagnosis("bkl", _EPIDERMAL)
AK = Diagnosis("akiec", "Indeterminate:Indeterminate epidermal proliferations:Solar or actinic keratosis")
SCC = Diagnosis("scc", "Malignant:Malignant epidermal proliferations")
DF = Diagnosis("df", "Benign:Benign soft tissue proliferations - Fibro-histiocytic:Dermatofibroma")
VASC = Diagnosis("vasc", "Benign:Benign soft tissue proliferations - Vascular")

_GROUPS = (
    MEL, NV, BCC, DF, VASC, AK,
    Diagnosis("vasc", "Benign:Hemorrhagic lesions"),
    Diagnosis("akiec", f"{SCC.path}:Squamous cell carcinoma in situ"),  # as in HAM10000 and MILK10k
    SCC,
    *(
        Diagnosis("bkl", f"{_EPIDERMAL}:{name}")
        for name in (
            "Seborrheic keratosis", "Solar lentigo", "Lichen planus like keratosis", "Pigmented benign keratosis",
            "Clear cell acanthoma",
        )
    ),
)  # fmt: skip


def group_of(path: str) -> str:
    """The group of a place in ISIC's hierarchy; empty for what none of the field's data sets has a label for.

    >>> group_of("Malignant:Malignant melanocytic proliferations (Melanoma):Melanoma in situ")
    'mel'
    """
    return next((group for group, above in _GROUPS if f"{path}:".startswith(f"{above}:")), "")
