"""How often Derm7pt's diagnoses, sites and checklist values occur, and occur together.

Aggregate facts about the 888 eligible cases of the Derm7pt release (Kawahara et al., 2018): per diagnosis group its
size, its sexes and a few latent *profiles*. Within a profile the variables are independent; the profiles carry the
dependences. The numbers are parts per thousand and were printed by :mod:`.fit_frequencies`, which explains the model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["GROUPS", "JOINED", "JOINT", "Group", "Profile"]

JOINED = ("regression_structures", "vascular_structures")
JOINT = "regression_and_vessels"
"""Two criteria kept as one variable ("white areas + dotted"): vessels within regression need a regression."""


@dataclass(frozen=True)
class Profile:
    """One latent profile of a diagnosis group.

    Attributes:
        weight: share of the group's cases, in parts per thousand.
        chances: variable to value to probability, in parts per thousand; values not named do not occur.
    """

    weight: int
    chances: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Group:
    """One diagnosis group.

    Attributes:
        cases: how many of the release's 888 eligible cases belong to it.
        sexes: cases by sex.
        profiles: its latent profiles.
    """

    cases: int
    sexes: Mapping[str, int]
    profiles: tuple[Profile, ...]


# fmt: off
GROUPS: Mapping[str, Group] = {
"mel": Group(252, {"female": 136, "male": 116}, (
    Profile(366, {
        "fine_diagnosis": {"melanoma": 11, "melanoma (in situ)": 150, "melanoma (less than 0.76 mm)": 839},
        "elevation": {"flat": 216, "nodular": 7, "palpable": 777},
        "site": {"abdomen": 43, "back": 334, "chest": 130, "head neck": 30, "lower limbs": 359, "upper limbs": 105},
        "pigment_network": {"absent": 262, "atypical": 632, "typical": 106},
        "streaks": {"absent": 165, "irregular": 803, "regular": 33},
        "pigmentation": {"absent": 431, "diffuse irregular": 533, "localized irregular": 36},
        "dots_and_globules": {"absent": 82, "irregular": 907, "regular": 11},
        "blue_whitish_veil": {"absent": 512, "present": 488},
        "regression_and_vessels": {"absent + absent": 445, "absent + dotted": 43, "absent + linear irregular": 11,
            "blue areas + absent": 49, "combinations + absent": 230, "combinations + dotted": 22,
            "combinations + linear irregular": 22, "combinations + within regression": 104,
            "white areas + absent": 43, "white areas + within regression": 31},
    }),
    Profile(293, {
        "fine_diagnosis": {"melanoma (in situ)": 680, "melanoma (less than 0.76 mm)": 320},
        "elevation": {"flat": 733, "nodular": 18, "palpable": 249},
        "site": {"abdomen": 136, "acral": 14, "back": 220, "buttocks": 27, "chest": 68, "head neck": 261,
            "lower limbs": 121, "upper limbs": 153},
        "pigment_network": {"absent": 66, "atypical": 756, "typical": 179},
        "streaks": {"absent": 526, "irregular": 447, "regular": 27},
        "pigmentation": {"absent": 532, "diffuse irregular": 377, "localized irregular": 77, "localized regular": 14},
        "dots_and_globules": {"absent": 127, "irregular": 777, "regular": 95},
        "blue_whitish_veil": {"absent": 1000},
        "regression_and_vessels": {"absent + absent": 379, "blue areas + absent": 292,
            "blue areas + within regression": 68, "combinations + absent": 119,
            "combinations + within regression": 73, "white areas + absent": 14, "white areas + dotted": 14,
            "white areas + within regression": 43},
    }),
    Profile(291, {
        "fine_diagnosis": {"melanoma (0.76 to 1.5 mm)": 666, "melanoma (more than 1.5 mm)": 334},
        "elevation": {"nodular": 549, "palpable": 451},
        "site": {"abdomen": 55, "acral": 14, "back": 250, "buttocks": 14, "chest": 123, "genital areas": 14,
            "lower limbs": 408, "upper limbs": 124},
        "pigment_network": {"absent": 593, "atypical": 314, "typical": 94},
        "streaks": {"absent": 372, "irregular": 614, "regular": 14},
        "pigmentation": {"absent": 306, "diffuse irregular": 626, "localized irregular": 68},
        "dots_and_globules": {"irregular": 986, "regular": 14},
        "blue_whitish_veil": {"absent": 44, "present": 956},
        "regression_and_vessels": {"absent + absent": 399, "absent + dotted": 232, "absent + linear irregular": 137,
            "blue areas + absent": 27, "blue areas + dotted": 27, "combinations + absent": 55,
            "combinations + dotted": 27, "combinations + linear irregular": 41,
            "combinations + within regression": 14, "white areas + dotted": 14, "white areas + linear irregular": 14,
            "white areas + within regression": 14},
    }),
    Profile(51, {
        "fine_diagnosis": {"melanoma (0.76 to 1.5 mm)": 332, "melanoma (less than 0.76 mm)": 77,
            "melanoma (more than 1.5 mm)": 277, "melanoma metastasis": 314},
        "elevation": {"nodular": 1000},
        "site": {"acral": 78, "back": 214, "chest": 391, "head neck": 78, "lower limbs": 88, "upper limbs": 150},
        "pigment_network": {"absent": 674, "atypical": 79, "typical": 247},
        "streaks": {"absent": 1000},
        "pigmentation": {"absent": 514, "diffuse irregular": 329, "diffuse regular": 157},
        "dots_and_globules": {"absent": 314, "irregular": 608, "regular": 78},
        "blue_whitish_veil": {"absent": 610, "present": 390},
        "regression_and_vessels": {"absent + absent": 529, "absent + arborizing": 157, "absent + hairpin": 235,
            "combinations + hairpin": 78},
    }),
)),
"nv": Group(575, {"female": 288, "male": 287}, (
    Profile(376, {
        "fine_diagnosis": {"clark nevus": 952, "congenital nevus": 34, "recurrent nevus": 14},
        "elevation": {"flat": 644, "palpable": 356},
        "site": {"abdomen": 151, "acral": 23, "back": 456, "buttocks": 26, "chest": 115, "head neck": 17,
            "lower limbs": 129, "upper limbs": 82},
        "pigment_network": {"absent": 86, "atypical": 231, "typical": 683},
        "streaks": {"absent": 837, "irregular": 163},
        "pigmentation": {"absent": 785, "diffuse irregular": 137, "localized irregular": 78},
        "dots_and_globules": {"absent": 96, "irregular": 438, "regular": 467},
        "blue_whitish_veil": {"absent": 988, "present": 12},
        "regression_and_vessels": {"absent + absent": 515, "absent + comma": 41, "absent + dotted": 13,
            "blue areas + absent": 210, "blue areas + within regression": 18, "combinations + absent": 112,
            "combinations + within regression": 14, "white areas + absent": 37,
            "white areas + within regression": 41},
    }),
    Profile(257, {
        "fine_diagnosis": {"clark nevus": 902, "combined nevus": 13, "congenital nevus": 35, "recurrent nevus": 7,
            "reed or spitz nevus": 43},
        "elevation": {"flat": 743, "palpable": 257},
        "site": {"abdomen": 282, "back": 368, "buttocks": 43, "chest": 120, "lower limbs": 173, "upper limbs": 14},
        "pigment_network": {"absent": 76, "typical": 924},
        "streaks": {"absent": 835, "irregular": 12, "regular": 154},
        "pigmentation": {"absent": 586, "diffuse irregular": 125, "diffuse regular": 282, "localized regular": 7},
        "dots_and_globules": {"absent": 207, "irregular": 76, "regular": 717},
        "blue_whitish_veil": {"absent": 973, "present": 27},
        "regression_and_vessels": {"absent + absent": 875, "absent + arborizing": 7, "absent + dotted": 15,
            "blue areas + absent": 65, "blue areas + comma": 6, "blue areas + dotted": 7, "combinations + absent": 18,
            "white areas + dotted": 7},
    }),
    Profile(115, {
        "fine_diagnosis": {"clark nevus": 155, "combined nevus": 15, "recurrent nevus": 15,
            "reed or spitz nevus": 814},
        "elevation": {"flat": 311, "nodular": 45, "palpable": 643},
        "site": {"back": 92, "buttocks": 61, "chest": 46, "lower limbs": 565, "upper limbs": 236},
        "pigment_network": {"absent": 522, "atypical": 389, "typical": 89},
        "streaks": {"absent": 181, "irregular": 432, "regular": 387},
        "pigmentation": {"absent": 485, "diffuse irregular": 460, "diffuse regular": 55},
        "dots_and_globules": {"absent": 54, "irregular": 633, "regular": 313},
        "blue_whitish_veil": {"absent": 404, "present": 596},
        "regression_and_vessels": {"absent + absent": 790, "absent + dotted": 105, "blue areas + absent": 72,
            "combinations + absent": 18, "combinations + dotted": 15},
    }),
    Profile(100, {
        "fine_diagnosis": {"blue nevus": 70, "clark nevus": 102, "combined nevus": 158, "congenital nevus": 31,
            "dermal nevus": 558, "reed or spitz nevus": 80},
        "elevation": {"nodular": 384, "palpable": 616},
        "site": {"abdomen": 240, "back": 194, "chest": 180, "head neck": 178, "lower limbs": 44, "upper limbs": 164},
        "pigment_network": {"absent": 773, "atypical": 38, "typical": 188},
        "streaks": {"absent": 960, "irregular": 40},
        "pigmentation": {"absent": 847, "diffuse irregular": 58, "diffuse regular": 42, "localized irregular": 36,
            "localized regular": 18},
        "dots_and_globules": {"absent": 124, "irregular": 177, "regular": 698},
        "blue_whitish_veil": {"absent": 704, "present": 296},
        "regression_and_vessels": {"absent + absent": 692, "absent + arborizing": 17, "absent + comma": 143,
            "absent + dotted": 37, "absent + hairpin": 17, "absent + linear irregular": 17, "blue areas + absent": 57,
            "blue areas + comma": 18},
    }),
    Profile(78, {
        "fine_diagnosis": {"clark nevus": 978, "reed or spitz nevus": 22},
        "elevation": {"flat": 910, "palpable": 90},
        "site": {"acral": 981, "upper limbs": 19},
        "pigment_network": {"absent": 976, "typical": 24},
        "streaks": {"irregular": 305, "regular": 695},
        "pigmentation": {"absent": 870, "diffuse irregular": 86, "diffuse regular": 22, "localized irregular": 22},
        "dots_and_globules": {"absent": 353, "irregular": 290, "regular": 357},
        "blue_whitish_veil": {"absent": 1000},
        "regression_and_vessels": {"absent + absent": 933, "blue areas + absent": 67},
    }),
    Profile(74, {
        "fine_diagnosis": {"blue nevus": 561, "combined nevus": 23, "congenital nevus": 62, "dermal nevus": 23,
            "recurrent nevus": 20, "reed or spitz nevus": 311},
        "elevation": {"flat": 274, "nodular": 140, "palpable": 586},
        "site": {"abdomen": 45, "acral": 70, "back": 159, "buttocks": 23, "chest": 23, "head neck": 117,
            "lower limbs": 321, "upper limbs": 242},
        "pigment_network": {"absent": 1000},
        "streaks": {"absent": 668, "irregular": 83, "regular": 249},
        "pigmentation": {"diffuse irregular": 335, "diffuse regular": 665},
        "dots_and_globules": {"absent": 827, "regular": 173},
        "blue_whitish_veil": {"absent": 1000},
        "regression_and_vessels": {"absent + absent": 977, "absent + arborizing": 23},
    }),
)),
"bkl": Group(61, {"male": 33, "female": 28}, (
    Profile(475, {
        "fine_diagnosis": {"seborrheic keratosis": 1000},
        "elevation": {"nodular": 311, "palpable": 689},
        "site": {"abdomen": 344, "back": 186, "chest": 100, "head neck": 266, "upper limbs": 104},
        "pigment_network": {"absent": 869, "atypical": 131},
        "streaks": {"absent": 965, "irregular": 35},
        "pigmentation": {"absent": 256, "diffuse irregular": 226, "diffuse regular": 518},
        "dots_and_globules": {"absent": 713, "irregular": 72, "regular": 215},
        "blue_whitish_veil": {"absent": 1000},
        "regression_and_vessels": {"absent + absent": 714, "absent + arborizing": 35, "absent + comma": 35,
            "absent + dotted": 69, "absent + hairpin": 148},
    }),
    Profile(263, {
        "fine_diagnosis": {"seborrheic keratosis": 1000},
        "elevation": {"flat": 187, "palpable": 813},
        "site": {"abdomen": 64, "back": 412, "chest": 193, "head neck": 206, "upper limbs": 125},
        "pigment_network": {"absent": 488, "atypical": 75, "typical": 437},
        "streaks": {"absent": 814, "irregular": 124, "regular": 62},
        "pigmentation": {"absent": 161, "diffuse irregular": 776, "localized irregular": 62},
        "dots_and_globules": {"absent": 83, "irregular": 557, "regular": 360},
        "blue_whitish_veil": {"absent": 875, "present": 125},
        "regression_and_vessels": {"absent + absent": 706, "absent + hairpin": 107, "blue areas + absent": 125,
            "combinations + absent": 62},
    }),
    Profile(262, {
        "fine_diagnosis": {"melanosis": 1000},
        "elevation": {"flat": 1000},
        "site": {"genital areas": 437, "head neck": 563},
        "pigment_network": {"absent": 813, "atypical": 62, "typical": 125},
        "streaks": {"absent": 250, "irregular": 125, "regular": 625},
        "pigmentation": {"absent": 562, "diffuse irregular": 250, "diffuse regular": 187},
        "dots_and_globules": {"absent": 562, "irregular": 187, "regular": 250},
        "blue_whitish_veil": {"absent": 938, "present": 62},
        "regression_and_vessels": {"absent + absent": 688, "absent + hairpin": 62, "blue areas + comma": 62,
            "combinations + absent": 62, "combinations + arborizing": 62, "white areas + within regression": 62},
    }),
)),
}
# fmt: on
"""The three groups by diagnosis label."""
