"""Small made-up releases with the tables and the folder trees of the published ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.data.made_up import write_csv, write_skin

__all__ = ["RELEASES", "one_hot"]

Row = dict[str, object]
_ISIC = [f"ISIC_{number:07d}" for number in range(1, 6)]


def one_hot(key: str, rows: Mapping[str, str], classes: tuple[str, ...]) -> list[Row]:
    """A row for each id, with 1.0 in the column of its class."""
    return [{key: name, **{one: float(one == own) for one in classes}} for name, own in rows.items()]


def _images(folder: Path, names: list[str], ending: str = "jpg") -> None:
    for number, name in enumerate(names):
        write_skin(folder / f"{name}.{ending}", seed=number, width=48, height=32)


def ham10000(root: Path) -> Path:
    _images(root / "HAM10000_images_part_1", _ISIC[:3])
    _images(root / "HAM10000_images_part_2", _ISIC[3:])
    columns = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
    rows = (
        ("HAM_1", _ISIC[0], "bkl", "histo", "80.0", "male", "scalp"),
        ("HAM_1", _ISIC[1], "bkl", "histo", "80.0", "male", "scalp"),
        ("HAM_2", _ISIC[2], "df", "consensus", "", "unknown", "unknown"),
        ("HAM_3", _ISIC[3], "nv", "follow_up", "5", "female", "trunk"),
        ("HAM_4", _ISIC[4], "mel", "confocal", "0.0", "female", "lower extremity"),
    )
    write_csv(root / "HAM10000_metadata.csv", [dict(zip(columns, row, strict=True)) for row in rows])
    return root


def isic2018(root: Path) -> Path:
    classes = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
    _images(root / "ISIC2018_Task3_Training_Input", _ISIC)
    rows = dict(zip(_ISIC, ("MEL", "NV", "NV", "AKIEC", "VASC"), strict=True))
    write_csv(root / "ISIC2018_Task3_Training_GroundTruth.csv", one_hot("image", rows, classes))
    groups: list[Row] = [
        {"image": name, "lesion_id": f"HAM_{number // 2}", "diagnosis_confirm_type": "histo"}
        for number, name in enumerate(_ISIC)
    ]
    write_csv(root / "ISIC2018_Task3_Training_LesionGroupings.csv", groups)
    (root / "ATTRIBUTION.txt").write_text("HAM10000", encoding="utf-8")
    return root


def isic2019(root: Path) -> Path:
    classes = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
    names = [_ISIC[0], f"{_ISIC[1]}_downsampled", *_ISIC[2:]]
    _images(root / "ISIC_2019_Training_Input", names)
    rows = dict(zip(names, ("MEL", "NV", "AK", "SCC", "UNK"), strict=True))
    write_csv(root / "ISIC_2019_Training_GroundTruth.csv", one_hot("image", rows, classes))
    lesions = ("", "", "HAM_1", "BCN_1", "BCN_1")
    facts: list[Row] = [
        {"image": name, "age_approx": 55, "anatom_site_general": "anterior torso", "lesion_id": lesion, "sex": "female"}
        for name, lesion in zip(names, lesions, strict=True)
    ]
    write_csv(root / "ISIC_2019_Training_Metadata.csv", facts)
    return root


def isic2020(root: Path) -> Path:
    _images(root / "train", _ISIC)
    words = ("melanoma", "unknown", "nevus", "nevus", "lentigo NOS")
    rows: list[Row] = [
        {
            "image_name": name, "patient_id": "IP_1", "sex": "male", "age_approx": "45.0",
            "anatom_site_general_challenge": "head/neck", "diagnosis": word,
            "benign_malignant": "malignant" if word == "melanoma" else "benign", "target": int(word == "melanoma"),
        }
        for name, word in zip(_ISIC, words, strict=True)
    ]  # fmt: skip
    write_csv(root / "train.csv", rows)
    pairs: list[Row] = [
        {"image_name_1": _ISIC[2], "image_name_2": _ISIC[3]}, {"image_name_1": "ISIC_9999999", "image_name_2": _ISIC[4]}
    ]  # fmt: skip
    write_csv(root / "ISIC_2020_Training_Duplicates.csv", pairs)
    return root


def isic_archive(root: Path) -> Path:
    _images(root, _ISIC)
    common = {"attribution": "Hospital A", "sex": "female", "age_approx": 85}
    tumour = "Malignant melanocytic proliferations (Melanoma)"
    rows: list[Row] = [
        {
            "isic_id": _ISIC[0], "copyright_license": "CC-0", **common, "anatom_site_general": "lower extremity",
            "anatom_site_special": "acral NOS", "diagnosis_1": "Malignant", "diagnosis_2": tumour,
            "diagnosis_3": "Melanoma in situ", "diagnosis_confirm_type": "histopathology", "image_type": "dermoscopic",
            "dermoscopic_type": "contact non-polarized", "fitzpatrick_skin_type": "III", "lesion_id": "IL_1",
            "patient_id": "IP_1", "clin_size_long_diam_mm": "4.2", "mel_thick_mm": "0.4",
        },
        {
            "isic_id": _ISIC[1], "copyright_license": "CC-BY", **common, "anatom_site_general": "palms/soles",
            "anatom_site_special": "", "diagnosis_1": "Benign", "diagnosis_2": "", "diagnosis_3": "",
            "diagnosis_confirm_type": "", "image_type": "clinical: close-up", "dermoscopic_type": "",
            "fitzpatrick_skin_type": "", "lesion_id": "IL_1", "patient_id": "IP_1", "clin_size_long_diam_mm": "",
            "mel_thick_mm": "",
        },
    ]  # fmt: skip
    write_csv(root / "metadata.csv", rows)
    (root / "attribution.txt").write_text("Hospital A", encoding="utf-8")
    (root / "licenses").mkdir()
    for name in ("CC-0", "CC-BY"):
        (root / "licenses" / f"{name}.txt").write_text("…", encoding="utf-8")
    return root


def milk10k(root: Path) -> Path:
    classes = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
    lesions = {"IL_1": "BCC", "IL_2": "MEL"}
    rows: list[Row] = []
    for number, name in enumerate(_ISIC[:4]):
        lesion = f"IL_{1 + number // 2}"
        _images(root / "MILK10k_Training_Input" / lesion, [name])
        kind = "dermoscopic" if number % 2 else "clinical: close-up"
        rows.append({
            "lesion_id": lesion, "image_type": kind, "isic_id": name, "attribution": "MILK study team",
            "copyright_license": "CC-BY-NC", "image_manipulation": "altered", "age_approx": 70, "sex": "male",
            "skin_tone_class": 1, "site": "head_neck_face", "MONET_hair": 0.25,
        })  # fmt: skip
    write_csv(root / "MILK10k_Training_Metadata.csv", rows)
    write_csv(root / "MILK10k_Training_GroundTruth.csv", one_hot("lesion_id", lesions, classes))
    full = ("Basal cell carcinoma", "Basal cell carcinoma", "Melanoma in situ", "Melanoma in situ")
    supplement: list[Row] = [
        {"isic_id": name, "diagnosis_full": word, "diagnosis_confirm_type": "histopathology"}
        for name, word in zip(_ISIC[:4], full, strict=True)
    ]
    write_csv(root / "MILK10k_Training_Supplement.csv", supplement)
    return root


def pad_ufes_20(root: Path) -> Path:
    columns = (
        "patient_id", "lesion_id", "age", "gender", "fitspatrick", "region", "diameter_1", "diameter_2", "diagnostic",
        "itch", "elevation", "img_id", "biopsed",
    )  # fmt: skip
    rows = (
        ("PAT_1", "10", 69, "MALE", "3.0", "FACE", "6.0", "13.0", "BCC", True, True, "PAT_1_10_1.png", True),
        ("PAT_2", "11", 8, "", "", "ARM", "", "", "NEV", "UNK", "UNK", "PAT_2_11_2.png", False),
    )
    write_csv(root / "metadata.csv", [dict(zip(columns, row, strict=True)) for row in rows])
    for number, row in enumerate(rows):
        write_skin(root / "images" / f"imgs_part_{number + 1}" / str(row[-2]), seed=number, width=48, height=32)
    return root


def ph2(root: Path) -> Path:
    header = (
        "||   Name ||   Histological Diagnosis || Clinical Diagnosis || Asymmetry || Pigment Network || Dots/Globules"
        " || Streaks || Regression Areas || Blue-Whitish Veil ||     Colors ||"
    )
    lines = [
        header,
        "|| IMD002 ||              || 1 || 1 || AT || AT || T || P || A || 3  4 ||",
        "|| IMD003 ||              || 0 || 0 || T || A || A || A || A || 4 ||",
        "|| IMD405 ||   Melanoma   || 2 || 2 || AT || T || P || A || P || 1  3  5 ||",
        "",
        "Legend", "======", "Clinical Diagnosis: 0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma",
    ]  # fmt: skip
    root.mkdir(parents=True)
    (root / "PH2_dataset.txt").write_text("\n".join(lines), encoding="utf-8")
    for number, name in enumerate(("IMD002", "IMD003", "IMD405")):
        folder = root / "PH2 Dataset images" / name
        for kind, file in (("Dermoscopic_Image", name), ("lesion", f"{name}_lesion")):
            write_skin(folder / f"{name}_{kind}" / f"{file}.bmp", seed=number, width=48, height=32)
    return root


RELEASES: Mapping[str, Callable[[Path], Path]] = {
    "ham10000": ham10000, "isic2018": isic2018, "isic2019": isic2019, "isic2020": isic2020,
    "isic-archive": isic_archive, "bcn20000": isic_archive, "milk10k": milk10k, "pad-ufes-20": pad_ufes_20, "ph2": ph2,
}  # fmt: skip
"""By the source's name, what writes a release of its layout to a folder."""
