"""The words of sources, and the hierarchies they stand in."""

from __future__ import annotations

import datetime
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermquery.data.case import CASE_FIELDS, Case, Kind
from dermquery.data.sources.derm7pt import group_diagnosis
from dermquery.data.vocabulary.ages_days import DayOrder, day_of, order_of, years
from dermquery.data.vocabulary.diagnoses import DIAGNOSES
from dermquery.data.vocabulary.sites import SITES
from dermquery.data.vocabulary.spelling import folded, rows_of
from dermquery.data.vocabulary.trees import TREES, below
from dermquery.data.vocabulary.words import is_missing, reworded, skin_type, word_for
from tests.data.clinic_values import judged, rows
from tests.data.test_derm7pt import COUNTS

MELANOMA = "Malignant melanocytic proliferations (Melanoma)"
WORD_FIELDS = ("sex", "site", "laterality", "confirmed_by", "image_type", "polarisation", "contact", "licence")


def case(**values: object) -> Case:
    return Case(**{"case_id": "a", "image": Path("a.jpg"), **values})


def test_every_path_is_one_of_the_archives() -> None:
    from isic_metadata.anatom_site_hierarchical import AnatomSiteEnum
    from isic_metadata.diagnosis_hierarchical import DiagnosisEnum

    paths = {str(path.value) for path in DiagnosisEnum}
    tables = ("diagnosis_words.csv", "diagnosis_codes.csv", "codes_read.csv")
    assert len(paths) == 418
    assert {row["path"] for table in tables for row in rows_of(table) if row["path"]} <= paths
    places = {str(path.value) for path in AnatomSiteEnum}
    assert {site.isic_path for site in SITES.by_word.values() if site.isic_path} <= places
    for path in places:
        assert SITES.named(path) in SITES.by_word, "every place of the archive is below one of ours"


def test_every_code_is_in_dicoms_list_of_sites() -> None:
    pytest.importorskip("pydicom", reason="it holds the standard's lists")
    from pydicom.sr._cid_dict import cid_concepts
    from pydicom.sr._concepts_dict import concepts

    codes: Any = concepts
    listed = {
        (scheme, code) for scheme, names in cid_concepts[4029].items() for n in names for code in codes[scheme][n]
    }
    assert {(site.scheme, site.code) for site in SITES.by_word.values() if site.code} <= listed
    assert SITES.named("66643007") == SITES.named("SCT 66643007") == "back"


def test_every_hierarchical_field_has_its_tree() -> None:
    assert set(TREES) == {name for name, field in CASE_FIELDS.items() if field.kind is Kind.TREE}


def test_no_spelling_means_two_places() -> None:
    seen: dict[str, str] = {}
    for site in SITES.by_word.values():
        assert set(site.parents) <= set(SITES.by_word)
        for spelling in (site.word, *site.spellings):
            assert seen.setdefault(folded(spelling), site.word) == site.word
            assert SITES.named(spelling) == site.word


@pytest.mark.parametrize(
    ("source", "word", "place"),
    [
        ("Derm7pt", "head neck", "head and neck"), ("Derm7pt", "upper limbs", "upper extremity"),
        ("Derm7pt", "buttocks", "buttock"), ("Derm7pt", "acral", "palms and soles"),
        ("Derm7pt", "genital areas", "genital"), ("HAM10000", "lower extremity", "lower extremity"),
        ("HAM10000", "scalp", "scalp"), ("ISIC 2019", "posterior torso", "back"),
        ("ISIC 2019", "anterior torso", "anterior trunk"), ("ISIC 2020", "head/neck", "head and neck"),
        ("ISIC 2020", "palms/soles", "palms and soles"), ("ISIC 2020", "oral/genital", "oral or genital"),
        ("MILK10k", "head_neck_face", "head and neck"), ("PAD-UFES-20", "FOREARM", "forearm"),
        ("clinic", "Rücken", "back"), ("clinic", "Ruecken", "back"), ("clinic", "bovenbeen", "thigh"),
        ("ISIC Archive", "Trunk:Posterior trunk:Upper back:Lateral upper back", "upper back"),
    ],
)  # fmt: skip
def test_the_sites_of_sources(source: str, word: str, place: str) -> None:
    assert SITES.named(word) == place


def test_the_trunk_has_back_chest_and_abdomen() -> None:
    assert {"back", "chest", "abdomen", "posterior torso", "Rücken"} <= set(below("site", ["trunk"]).values)
    assert {"hand", "foot", "trunk and limbs"}.isdisjoint(below("site", ["trunk"]).values)
    assert {"palm", "sole", "acral"} <= set(below("site", ["palms and soles"]).values)
    assert "palm" in below("site", ["upper extremity"]).values


@pytest.mark.parametrize("word", COUNTS)
def test_derm7pts_words_have_the_papers_group(word: str) -> None:
    assert (DIAGNOSES.group(word, "Derm7pt") or None) in (group_diagnosis(word), *({None} & {group_diagnosis(word)}))
    placed = DIAGNOSES.named(word, "Derm7pt")
    assert (placed is None) == (word == "miscellaneous")
    if word.startswith("melanoma"):
        assert DIAGNOSES.codes(placed or "").group == "mel"


@pytest.mark.parametrize(
    ("source", "word", "place"),
    [
        ("HAM10000", "akiec", None), ("ISIC 2019", "AK", "Solar or actinic keratosis"), ("HAM10000", "vasc", "Benign"),
        ("PAD-UFES-20", "SCC", "Malignant epidermal proliferations"), ("", "Basaliom", "Basal cell carcinoma"),
        ("", "Nävuszellnävus", "Nevus"), ("", "Naevus", "Nevus"), ("", "blauer Nävus", "Blue nevus"),
        ("MILK10k", "SCCKA", "Malignant epidermal proliferations"), ("ISIC 2020", "nevus", "Nevus"),
        ("", "no such lesion", None), ("", "nevus, clark", "Nevus, Clark"),
    ],
)  # fmt: skip
def test_the_diagnoses_of_sources(source: str, word: str, place: str | None) -> None:
    path = DIAGNOSES.named(word, source)
    assert (path.rpartition(":")[2] if path else None) == place


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("C43.5", MELANOMA), ("c43.9 G", MELANOMA), ("C43.-", MELANOMA), ("C43x", MELANOMA),
        ("ICD-10: C43.59", MELANOMA), ("C 43.5", MELANOMA), ("c 43,5 G", MELANOMA), ("ICD-10 C 43.9", MELANOMA),
        ("C 44.3 Basaliom", "Basal cell carcinoma"), ("Nävus (D 22.5)", "Nevus"), ("L 82", "Seborrheic keratosis"),
        *((code, "Benign soft tissue proliferations - Adipocytic") for code in ("D17.9", "D17.0", "D17.22", "D17")),
        *((code, "Inflammatory or infectious diseases") for code in ("L40.0", "L40", "L20.8", "L30.9", "B35.3")),
        ("L91.0", "Scar"), ("I78.1", "Benign soft tissue proliferations - Vascular"),
        ("8720/3", MELANOMA), ("M-87203", MELANOMA), ("M8720/3", MELANOMA), ("ICD-O-3 8720/3", MELANOMA),
        ("8743/3", "Melanoma Invasive, Superficial spreading"),
        ("SSM C43.5", "Melanoma Invasive, Superficial spreading"),
        ("D03.9", "Melanoma in situ"), ("8720/2", "Melanoma in situ"), ("8720/6", "Melanoma metastasis"),
        ("8742/2", "Melanoma in situ, Lentigo maligna type"),
        ("C44.3", "Malignant"), ("C44", "Malignant"), ("C44.9", "Malignant"), ("C79.2", "Malignant"),
        ("C44.01", "Basal cell carcinoma"), ("C44.311", "Basal cell carcinoma"), ("8090/3", "Basal cell carcinoma"),
        ("C44.42", "Malignant epidermal proliferations"), ("C44.40", "Malignant"), ("C44.13", "Sebaceous carcinoma"),
        ("C44.3 Basaliom", "Basal cell carcinoma"), ("Basaliom (C44.3)", "Basal cell carcinoma"),
        ("D04.3", "Squamous cell carcinoma in situ"), ("8070/32", "Squamous cell carcinoma, Invasive"),
        ("D22.9", "Nevus"), ("8720/0", "Nevus"), ("8771/0", "Nevus"), ("8780/0", "Blue nevus"),
        ("D22.5 Spitz-Nävus", "Nevus, Spitz"),
        ("8720/1", "Indeterminate melanocytic proliferations"), ("D48.5", "Indeterminate"), ("D23.5", "Benign"),
        ("L82", "Seborrheic keratosis"), ("L82.0", "Seborrheic keratosis"), ("L57.0", "Solar or actinic keratosis"),
        ("D18.01", "Hemangioma"), ("L81.4", "Benign"), ("8832/0", "Dermatofibroma"),
        ("8832/3", "Dermatofibrosarcoma protuberans"),
        ("8999/3", "Malignant"),
        # suspected, past or excluded; two things that contradict each other; of another organ; no code
        *((word, None) for word in ("C43.9 V", "C43.9 Z", "C43.9 A", "C43.5?", "C43.5 Basaliom", "C43.5 irgendwas")),
        *((word, None) for word in ("T 12", "C 4", "Z 12")),
        *((word, None) for word in ("C34.1", "L57", "8720", "87203", "2021/3", "C4", "172.5", "2C30", "372244006")),
    ],
)  # fmt: skip
def test_a_code_goes_as_far_as_its_meaning(written: str, place: str | None) -> None:
    path = DIAGNOSES.named(written)
    assert (path.rpartition(":")[2] if path else None) == place
    read = reworded([case(diagnosis=written)])
    assert (read.cases[0].diagnosis, read.cases[0].diagnosis_path) == (written, path)
    assert dict(read.unknown) == ({} if path else {"diagnosis_path": Counter({written: 1})})


def test_codes_that_are_written_are_codes_that_are_read() -> None:
    """What we say of a place is read as that place or one above it."""
    for path in DIAGNOSES.paths:
        codes = DIAGNOSES.codes(path)
        for code in filter(None, (codes.icd10, codes.icdo3)):
            read = DIAGNOSES.named(code)
            assert f"{path}:".startswith(f"{read}:"), (path, code)
            assert DIAGNOSES.has_code(path, code) or read in ("Malignant", "Benign"), (path, code)


def test_codes_come_from_the_nearest_place_above() -> None:
    nodular = DIAGNOSES.named("Basal cell carcinoma, Nodular") or ""
    assert (DIAGNOSES.codes(nodular).icd10, DIAGNOSES.codes(nodular).icdo3) == ("C44", "8090/3")
    in_situ = DIAGNOSES.codes(DIAGNOSES.named("melanoma in situ") or "")
    assert (in_situ.group, in_situ.icd10, in_situ.icdo3) == ("mel", "D03", "8720/2")
    assert DIAGNOSES.codes("Benign").icd10 == ""


@pytest.mark.parametrize(
    ("field", "written", "word"),
    [
        ("sex", "M", "male"), ("sex", "männlich", "male"), ("sex", "WEIBLICH", "female"), ("sex", "man", "male"),
        ("sex", "vrouw", "female"), ("sex", "divers", "other"), ("laterality", "L", "left"),
        ("laterality", "rechts", "right"), ("confirmed_by", "histo", "histopathology"),
        ("confirmed_by", "follow_up", "serial imaging showing no change"), ("image_type", "Dermoscopic", "dermoscopic"),
        ("polarisation", "NON_POLARIZED", "non-polarised"), ("contact", "NON_CONTACT", "non-contact"),
        ("licence", "CC BY-NC 4.0", "CC-BY-NC"), ("licence", "https://creativecommons.org/licenses/by/4.0/", "CC-BY"),
        ("licence", "all rights reserved", None), ("skin_type", "III", "Fitzpatrick III"),
        ("skin_type", "Fitzpatrick 3", "Fitzpatrick III"), ("skin_type", "monk 4", "Monk 4"), ("skin_type", "3", None),
        ("skin_type", "Fitzpatrick 7", None), ("skin_type", "VII", None),
    ],
)  # fmt: skip
def test_words(field: str, written: str, word: str | None) -> None:
    assert word_for(field, written) == word


def test_a_mere_step_needs_its_scale() -> None:
    assert skin_type("5", "MILK10k") == "MILK10k 5"
    assert skin_type("2.0", "Fitzpatrick") == "Fitzpatrick II"
    assert skin_type("0", "Fitzpatrick") is None


@pytest.mark.parametrize(
    ("written", "age"),
    [
        ("65", 65),
        ("65,5", 65.5),
        ("85+", 85),
        ("045Y", 45),
        ("018M", 1.5),
        ("010D", 0.027),
        ("3 Jahre", 3),
        ("60 y.", 60),
    ],
)
def test_ages(written: str, age: float) -> None:
    assert years(written) == age


@pytest.mark.parametrize("written", ["old", "30-35", "45Q", "", "+", "1,2,3"])
def test_what_is_no_age(written: str) -> None:
    with pytest.raises(ValueError, match=r"could not convert|two numbers|no unit"):
        years(written)


@given(
    st.dates(datetime.date(1900, 1, 1)),
    st.sampled_from(["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d-%m-%Y", "%Y-%m-%d"]),
)
def test_a_day_is_read_in_the_order_of_its_column(day: datetime.date, form: str) -> None:
    written = f"{day:{form}}".replace(f"{day:%Y}", f"{day.year:04d}")
    order: DayOrder = "dmy" if form.startswith("%d") else "mdy" if form.startswith("%m") else "ymd"
    assert day_of(written, order) == day
    settled = order_of([written])
    assert settled in (None, order)
    if settled:
        assert day_of(written, None) == day


def test_days_that_do_not_settle_their_order() -> None:
    assert order_of(["03/04/2024", "25/12/2024"]) == "dmy"
    assert order_of(["03/04/2024"]) is None
    assert f"{day_of('03.04.2024', None)}" == "2024-04-03"
    with pytest.raises(
        ValueError, match="'03/04/2024' may have the day or the month first; say which with --date-order"
    ):
        day_of("03/04/2024", None)
    with pytest.raises(ValueError, match="'25/12/2024' has the day first and '12/25/2024' the month"):
        order_of(["25/12/2024", "12/25/2024"])
    for wrong in ("31.02.2024", "1.2.124", "yesterday", "1.2.45", "21-06-15"):
        with pytest.raises(ValueError, match=wrong):
            day_of(wrong, None)


written = st.sampled_from(["M", "Rücken", "histo", "CC0", "unknown", "something else", "LEFT", "head/neck"]) | st.text(
    max_size=6
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys((*WORD_FIELDS, "diagnosis", "fine_diagnosis"), written)))
def test_rewording_twice_changes_nothing_more(values: dict[str, str]) -> None:
    once = reworded([case(**values)])
    (first,) = once.cases
    twice = reworded([first])
    assert twice.cases == once.cases
    labels = (values.get("diagnosis"), values.get("fine_diagnosis"))
    assert (first.diagnosis, first.fine_diagnosis) == tuple(None if own and is_missing(own) else own for own in labels)
    for field in WORD_FIELDS:
        if (own := values.get(field)) and not is_missing(own) and word_for(field, own) is None:
            assert getattr(first, field) == own, "an unknown word survives as it is"
            assert once.unknown[field][own] == 1


def test_the_original_spelling_is_kept_where_it_differs() -> None:
    (made,) = reworded(
        [case(site="upper limbs", sex="male", laterality="?", diagnosis="nv", fine_diagnosis="clark nevus")]
    ).cases
    assert (made.site, made.sex, made.laterality) == ("upper extremity", "male", None)
    assert made.extra == {"site_as_recorded": "upper limbs"}
    assert (made.diagnosis_path or "").endswith("Nevus, Clark")


def test_what_has_no_counterpart_is_listed() -> None:
    notes = reworded([case(sex="sometimes", diagnosis="akiec", source="HAM10000"), case(sex="sometimes")]).notes
    assert notes == (
        "sex: 'sometimes' (2) kept as written",
        "diagnosis: 'akiec' (1) without a place in the hierarchy of diagnoses",
    )


@pytest.mark.parametrize(
    ("written", "site", "side"),
    [
        ("Rücken li.", "back", "left"), ("Unterschenkel re.", "lower leg", "right"), ("Wade", "lower leg", None),
        ("Schienbein links", "lower leg", "left"), ("Leiste", "groin", None), ("Oberlippe", "lip", None),
        ("kuit re", "lower leg", "right"), ("scheen", "lower leg", None), ("bovenlip", "lip", None),
        ("rug links", "back", "left"), ("dos", "back", None), ("mollet g.", "lower leg", "left"),
        ("cuisse gauche", "thigh", "left"), ("l'aine", "groin", None), ("l'épaule droite", "shoulder", "right"),
        ("lèvre sup.", "lip", None), ("dos de la main droite", "hand", "right"), ("avant-bras d.", "forearm", "right"),
        ("face interne de la cuisse droite", "thigh", "right"), ("linkeronderbeen", "lower leg", "left"),
        ("Halsregion", "neck", None), ("Rucken", "back", None), ("US re", "lower leg", "right"),
        ("Thorax dorsal", "back", None), ("Rücken Mitte", "back", None), ("Stirn median", "forehead", "midline"),
        ("Hände bds.", "hand", "bilateral"),
        ("front droit", "forehead", "right"), ("Kopf, Hals", "head and neck", None),
        ("lower right back", "lower back", "right"), ("hand_L", "hand", "left"),
        ("MI droit", "lower extremity", "right"),
        ("Hüfte rechts", "hip", "right"), ("œil gauche", "eye region", "left"),
        ("Arm, distal, li", "upper extremity", "left"), ("UE re", "lower extremity", "right"),
        ("UE links", "lower extremity", "left"), ("RUE", "upper extremity", "right"),
        ("LLE", "lower extremity", "left"),
    ],
)  # fmt: skip
def test_a_place_with_its_side(written: str, site: str, side: str | None) -> None:
    assert SITES.read(written) == (site, side)


@pytest.mark.parametrize(
    "written",
    [
        "unter dem Knie", "boven knie", "Rücken, Bauch", "dos/main", "rug, hand", "Rücken links/rechts", "Brust hinten",
        "US", "front", "Unterarm d.", "OA re", "Haut", "39937001", "Arm 2", "Nävus am Rücken", "li.", "oben", "",
        "voor het oor", "Bauch seitlich", "?", "Arm und Bein", "Nase re Wange",
        "zw. Schulterblatt und Nacken", "Hand re Fuß li", "pied gauche, dos",
    ],
)  # fmt: skip
def test_a_place_that_may_be_another_is_not_read(written: str) -> None:
    assert SITES.read(written) is None


@pytest.mark.parametrize("site", SITES.by_word.values(), ids=lambda site: site.word)
def test_every_place_has_words_in_its_languages_and_is_read_with_every_side(site: Any) -> None:
    foreign = {row["word"]: row for row in rows_of("site_words.csv")}[site.word]
    sides = {"de": ("li.", "re."), "nl": ("links", "rechts"), "fr": ("gauche", "droite"), "en": ("left", "right")}
    for language, (left, right) in sides.items():
        names = foreign[language].split("|")
        assert all(names) or language == "en", site.word  # its own word is English
        names = [*filter(None, names)]
        for name in (name.removeprefix("~") for name in names if "/" not in name):
            assert SITES.read(f"{name} {left}") == (site.word, "left"), name
            assert SITES.read(f"{name}, {right}") == (site.word, "right"), name
            assert SITES.read(name.upper()) in ((site.word, None), None)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ("toe", "great toe|Großzehe|Zehe II|2. Zehe|2nd toe|Dig. V Fuß|D1 Fuß|orteil II|2e orteil|teen 2|toenail"),
        ("finger", "thumb|Finger II|4. Finger|finger 3|ring finger|Dig. I Hand|D3 main|doigt 4|thumb nail|pink"),
        ("hand", "knuckle|knokkel|Fingerknöchel|back of hand|dorsum of the hand"),
        ("neck", "nape|nape of neck|nuque|HWS|throat"),
        ("back", "BWS|Höhe BWS|Rücken Höhe BWS|shoulder blade"),
        ("lower back", "LWS|Höhe LWS|lumbar|loin|lombes"),
        ("knee", "popliteal fossa|Kniekehle|creux poplité|back of knee"),
        ("lower leg", "shin|calf|Wade|scheen|mollet"), ("lateral trunk", "flank|Flanke|flanc"),
        ("groin", "groin|lies|aine"),
        ("axilla", "axilla|armpit|oksel|aisselle"), ("face", "philtrum|jawline|eyebrow|nasolabial fold"),
        ("nose", "ala nasi|Nasenflügel|neusvleugel|aile du nez|tip of nose|nasal bridge"),
        ("ear", "helix|hélix|conchal bowl|concha|conque|pinna|earlobe|antihelix"),
        ("elbow", "antecubital fossa|Ellenbeuge"),
        ("back", "Steißbein|coccyx|tailbone|staartbeen"), ("sole", "Planta|plantar"),
        ("finger", "Nagelbett Daumen|nail bed of the thumb|subungual Finger 3"),
        ("toe", "Nagel Großzehe|nail bed great toe|nagelbed grote teen|Nagel D1 Fuß"),
        ("breast", "nipple|areola"), ("foot", "instep|dorsum of foot"), ("scalp", "vertex|crown|occiput"),
    ],
)  # fmt: skip
def test_everyday_places(site: str, words: str) -> None:
    for word in words.split("|"):
        assert SITES.read(word) == (site, None), word


@pytest.mark.parametrize(
    "written",
    [
        "Dig. II",
        "D2",
        "DII re.",
        "nail",
        "nail bed",
        "Nagelbett re",
        "UE",
        "OE",
        "OE li",
        "unter der Zehe",
        "mouth",
        "web space",
        "Höhe Th8",
        "Zehe 12",
        "Rücken 2",
        "paravertebral",
    ],
)
def test_a_place_that_leaves_hand_or_foot_open_is_not_read(written: str) -> None:
    assert SITES.read(written) is None


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("Nevus", "mole|moles|beauty mark|Muttermal|Leberfleck|moedervlek|grain de beauté"),
        ("Solar lentigo", "age spot|liver spot|Altersfleck|levervlek|ouderdomsvlek|tache de vieillesse"),
        ("Ephelis", "freckles|Sommersprossen|sproet|tache de rousseur"),
        ("Basal cell carcinoma", "rodent ulcer|Basaliom"),
        ("Seborrheic keratosis", "senile wart|Alterswarze|ouderdomswrat"), ("Verruca", "wart|Warze|wrat|verrue"),
        ("Capillary vascular malformation", "port-wine stain|Feuermal|wijnvlek|tache de vin|Naevus flammeus"),
        ("Hemangioma", "strawberry mark|Blutschwamm|aardbeivlek"), ("Vascular spider", "spider naevus|Naevus araneus"),
        ("Malignant melanocytic proliferations (Melanoma)", "schwarzer Hautkrebs|Melanoma malignum"),
        ("Melanoma in situ, Lentigo maligna type", "Hutchinson's melanotic freckle"),
        ("Nevus, Dysplastic", "dysplastic naevus|dysplastic nevus|naevus dysplasique"),
        ("Benign", "gutartig|goedaardig|bénin"), ("Nevus, NOS, Dermal", "intradermal naevus|dermal nevus"),
        ("Nevus, Atypical", "atypical mole"), ("Basal cell carcinoma, Superficial", "superfizielles BZK|sBCC"),
        ("Malignant", "bösartig|kwaadaardig|malin|skin cancer|Hautkrebs|huidkanker|cancer de la peau"),
        ("Cysts", "Atherom|Grützbeutel|Zyste|cyst|cyste"),
        ("Malignant epidermal proliferations", "CSC|cSCC|SqCC|Spinaliom|cutaneous SCC|squamous cell ca"),
        ("Squamous cell carcinoma, Invasive", "invasive SCC|SCC invasive|invasives Plattenepithelkarzinom"),
        ("Squamous cell carcinoma in situ", "SCC in situ|SCCis|Carcinoma in situ|Erythroplasie Queyrat"),
        ("Nevus, NOS, Dermal", "korialer Nävus|corialer Nävus|NZN vom korialen Typ|Miescher-Nävus|Unna nevus"),
        ("Benign", "Becker-Nävus|Becker's nevus|Becker naevus|naevus van Becker"),
        ("Malignant melanocytic proliferations (Melanoma)", "amelanotic melanoma|Melanomrezidiv"),
        ("Malignant", "Metastase|Metastasen|Hautmetastase|cutaneous metastasis|uitzaaiing|Karzinom|Malignom"),
        ("Melanoma metastasis", "Melanommetastase|metastatic melanoma|melanoommetastase"),
        (
            "Inflammatory or infectious diseases",
            "psoriasis|Schuppenflechte|eczema|Ekzem|eczeem|Neurodermitis|rosacea|Lichen ruber|Tinea|Zoster|Krätze|acne",
        ),
        ("Basal cell carcinoma, Infiltrating", "infiltrative BCC|infiltratives Basaliom"),
        ("Basal cell carcinoma, Nodular", "BCC nodular|BCC, nodular type"), ("Scar", "Keloid|hypertrophic scar"),
        ("Melanoma Invasive, Superficial spreading", "SSM, Clark Level III, TD 0,8 mm|SSM pT1a|SSM (pT2b N0 M0)"),
        ("Basal cell carcinoma, Nodular", "BCC nodulär, R0"), ("Malignant epidermal proliferations", "SCC G2 R0"),
        ("Melanoma in situ", "Melanoma in situ, Level I"), (None, "pT1a|R0|Basaliom pTis|Melanom pT"),
        ("Nevus, NOS, Compound", "Nävuszellnävus vom Compound-Typ"),
        ("Mongolian spot", "Mongolenfleck|mongolenvlek"), ("Digital mucous cyst", "Mukoidzyste|myxoid cyst"),
        # may be melanocytic or vascular; a keratosis in Australia; basal or squamous cell carcinoma; any colour of skin
        # and KA is keratoacanthoma in English, kératose actinique in French
        (None, "Cornu cutaneum|cutaneous horn|Tumor|Lokalrezidiv|Spitz-Tumor|Paget|NM"),
        (None, "KA|birthmark|tache de naissance|geboortevlek|sunspot|Sonnenfleck|weißer Hautkrebs|Pigmentfleck"),
    ],
)  # fmt: skip
def test_everyday_diagnoses(place: str | None, words: str) -> None:
    for word in words.split("|"):
        path = DIAGNOSES.named(word)
        assert (path.rpartition(":")[2] if path else None) == place, word


def test_the_leg_has_the_buttock_as_the_archive_has_it() -> None:
    from isic_metadata.anatom_site_hierarchical import AnatomSiteEnum

    paths = {str(path.value) for path in AnatomSiteEnum}
    assert {"Lower extremity:Buttock", "Lower extremity:Thigh:Lateral thigh:Hip"} <= paths
    assert {"buttock", "hip", "thigh", "Wade"} <= set(below("site", ["Bein"]).values)
    assert "buttock" not in below("site", ["trunk"]).values


def test_the_side_of_a_place_is_its_laterality() -> None:
    worded = reworded([case(site="Rücken li."), case(site="dos", laterality="d"), case(site="Arm re", laterality="L")])
    assert [(one.site, one.laterality) for one in worded.cases] == [
        ("back", "left"), ("back", "right"), ("upper extremity", "left"),
    ]  # fmt: skip
    assert worded.cases[0].extra == {"site_as_recorded": "Rücken li."}
    assert dict(worded.unknown["laterality"]) == {"L, but the site is Arm re": 1}


def test_the_whole_skin_is_no_place() -> None:
    (one,) = reworded([case(site="39937001")]).cases
    assert (one.site, one.extra) == (None, {"site_as_recorded": "39937001"})


@pytest.mark.parametrize(
    ("written", "age"),
    [
        ("65 jr", 65), ("65 ans", 65), ("65 J.", 65), ("65 jaar", 65), ("65 Jahre", 65), ("> 90", 90), ("≥ 90", 90),
        ("90+", 90), ("6 mois", 0.5), ("3 mnd", 0.25), ("12 J", 12), ("77a", 77), ("2 Jahre 3 Monate", 2.25),
        ("65-jährig", 65), ("90 ans et plus", 90), ("90 jaar en ouder", 90), ("Über 90", 90), ("65 years old", 65),
    ],
)  # fmt: skip
def test_ages_in_four_languages(written: str, age: float) -> None:
    assert years(written) == age


@pytest.mark.parametrize("written", ["12 j", "65 m", "65w", "ca. 50", "< 1", "65. Lj.", "5 6", "1 1/2 Jahre", "65 q"])
def test_an_age_that_may_be_another_is_not_read(written: str) -> None:
    with pytest.raises(ValueError, match=r"may say|could not|two numbers|no unit"):
        years(written)


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("1.6.21", "2021-06-01"), ("13/6/21", "2021-06-13"), ("15. Juni 2021", "2021-06-15"),
        ("5 Mai 99", "1999-05-05"),
        ("15 mrt 21", "2021-03-15"), ("1er juin 2021", "2021-06-01"), ("15 août 2021", "2021-08-15"),
        ("June 15, 2021", "2021-06-15"), ("Di, 15. Juni 2021", "2021-06-15"), ("08.07.2021, 10:30", "2021-07-08"),
        ("3 févr. 2020", "2020-02-03"), ("1. 6. 2021", "2021-06-01"), ("15-mei-2021", "2021-05-15"),
    ],
)  # fmt: skip
def test_days_with_words_and_short_years(written: str, day: str) -> None:
    assert day_of(written, None).isoformat() == day


@pytest.mark.parametrize(
    "written", ["juin 2021", "06/2021", "2021", "1/6/21", "21-06-15", "1.6.45", "15 Brumaire 2021"]
)
def test_a_day_that_may_be_another_is_not_read(written: str) -> None:
    with pytest.raises(ValueError, match=r"no day|first|four digits|not a day"):
        day_of(written, None)


def test_three_hundred_values_of_hospitals() -> None:
    """Written after the vocabulary: what is read wrongly is a fault, what is not read is listed for its clinic."""
    verdicts = Counter(map(judged, rows()))
    assert verdicts["wrong"] == 0
    assert verdicts["right"] > 240
    assert verdicts["listed"] <= 3


def test_what_somebody_doubted_is_not_read() -> None:
    assert SITES.read("Rücken?") is SITES.read("dos (gauche ?)") is None
    assert DIAGNOSES.named("Melanom?") is DIAGNOSES.named("? BCC") is word_for("sex", "m?") is None
    (one,) = reworded([case(site="?", diagnosis="Melanom?", sex="?")]).cases
    assert (one.site, one.sex, one.diagnosis, one.diagnosis_path) == (None, None, "Melanom?", None)


def test_words_for_nothing_known_are_no_diagnosis() -> None:
    for word in ("N/A", "?", "unbekannt", "onbekend", "inconnu", "-"):
        (made,) = reworded([case(diagnosis=word, fine_diagnosis=word)]).cases
        assert (made.diagnosis, made.fine_diagnosis, made.diagnosis_path) == (None, None, None)


@pytest.mark.parametrize("written", ["21-06-15", "12-01-24"])
def test_a_year_that_may_stand_first_is_read_in_the_order_that_is_known(written: str) -> None:
    with pytest.raises(ValueError, match="say which with --date-order dmy or mdy"):
        day_of(written, None)
    day, month, year = map(int, written.split("-"))
    assert day_of(written, "dmy") == datetime.date(2000 + year, month, day)
    assert order_of(["2024-03-31", "25.03.2024", written]) is None, "days that other programs wrote settle nothing"
