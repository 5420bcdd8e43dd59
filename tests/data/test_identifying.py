"""Which columns of a table are kept: those of which something says that they name nobody; every other one is told."""

from __future__ import annotations

import shlex
import string
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from dermquery.cli.data import app
from dermquery.cli.index import index
from dermquery.data.case_rows import COLUMNS
from dermquery.data.case_table import read_cases, write_cases
from dermquery.data.rows import Rows, read_rows
from dermquery.data.sources.folder import prepare_folder
from dermquery.data.sources.keeping import columns_left_out, read_kept
from dermquery.data.sources.source import load_source, prepare_source
from tests.data.made_up import write_csv, write_skin
from tests.data.releases import RELEASES

PERSONS = """
    Name; NAME; Nachname; Vorname; Surname; Last name; First name; lastName; PatientName; Pat.-Name;
    Patientenname; Name des Patienten; Name (Patient); Name, Vorname; Vor- und Nachname; Full name; Given
    names; Initialen; Achternaam; Voornaam; Naam; Naam patiënt; Nom; Prénom; Nom de famille; Nom du patient;
    Apellidos; Versicherter; Kontaktperson; Angehörige; Angehöriger; Ansprechpartner; Partner;
    Contactpersoon; Nom usuel; Nom d'usage; Personne de confiance; Next of kin; Next of kin name; Spouse;
    Emergency contact; Ehemann; Guardian; Vormund; Conjoint; Echtgenote; Hausarzt; Hausärztin; Arzt; Ärztin;
    Behandler; Behandler/in; Behandelnder Arzt; Name des Hausarztes; Überweiser; Überweisender Arzt;
    Einsender; Zuweiser; Huisarts; Arts; Behandelaar; Verwijzer; Médecin traitant; Médecin; Médecin
    référent; GP; GP name; Consultant; Physician; Referring physician; Operator; Photographer; Fotograf;
    Surgeon; Chirurgien; DOB; Date of birth; dateOfBirth; birth_date; patient_dob; Geb.; Geb. am;
    Geb.-Datum; Geburtsdatum; Geburts-Datum; Geburtstag; Geboortedatum; geb.datum; Date de naissance; Né(e)
    le; Jahrgang; Geburtsjahr; Geboortejaar; Année de naissance; Year of birth; YOB; Birth year; birth_year;
    Patient birth year; Phone; phone_number; Mobile phone; Tel.; Tel. 2; Telefon; Telefon (privat);
    Telefonnummer; Handy; Handynummer; Telefoon; Telefoonnummer; Téléphone; Numéro de téléphone; Address;
    Address line 1; Street; Zip; zip code; Postcode; Adresse; Anschrift; Straße; Strasse; PLZ; PLZ / Ort;
    Wohnort; Straat; Woonplaats; Rue; Code postal; Ville; Str.; Str. / Nr.; Postfach; Domicile; Wohnadresse;
    SSN; Social Security Number; Insurance number; insurance_id; NHS number; NHS No.; Versichertennummer;
    Versicherten-Nr.; Krankenkassennummer; AHV; AHV-Nr.; BSN; Burgerservicenummer (BSN); bsn_nr;
    Verzekeringsnummer; N° sécurité sociale; Numéro AVS; Vers.-Nr.; eGK; eGK-Nr.; Rentenversicherungsnr;
    Rentenversicherungsnummer; Personalausweis; Reisepass; Führerschein; Steuer-ID; Verzekerdennummer;
    Zorgverzekeraar nr; Paspoort; Rijbewijs; INS; N° assuré; Carte Vitale; Passeport; CHI; CHI number; NI
    number; NI no.; National insurance number; Driving licence; Driver's license; Passport no.; Medicaid ID;
    E-Mail; email; eMail; E-Mail-Adresse; Mail; Emailadres; Courriel; Adresse e-mail; Username; User name;
    Benutzername; Gebruikersnaam; Nom d'utilisateur; Instagram; Facebook; IBAN; BIC; Kontonummer;
    Bankverbindung; Rekeningnummer; Bank account; Credit card; Employer; Arbeitgeber; Werkgever; Employeur"""
"""Headings of persons in four languages, which are left out although no list names them."""
NEWCOMERS = {
    "Sarah Lee; Ben Kim": """
        Contact; Provider; PCP; Seen by; Reviewed by; Signed by; Resident; Pt; Subscriber; Referring MD;
        Assessor; Signature; Read by; Created by; Reader; Author; Owner; Modified By; Reported by;
        Investigator; Entered by; erfasst von; eingegeben durch; Unterschrift; durchgeführt von; Zuständiger
        OA; Sachbearbeiter; MTA; Assistenz; Verantwortlich; gesetzl. Vertreter; Bevollmächtigte; Name des
        Kindes; Bruder; gezien door; ingevoerd door; AIOS; beoordelaar; dochter; ouder; zusje; co-assistent;
        saisi par; interne; vu par; lu par; fils; correspondant; secrétaire; sénior; ayant droit;
        Zweitmeinung""",
    "Lee; Kim; Maier": """
        Maiden; Reader; Contact; Bestätigt durch; Befund von; Therapie durch; Operation Arzt; Photo by;
        Sachbearbeiter; User; Ort; Gemeinde; Heimatort; County; gemeente; commune; Klinikarzt; Studienarzt""",
    "HM; EH; PA": "Kürzel Arzt; Visum; initiales; MI; Reader; Titel; Histologie von",
    "hmaier; ehuber": "User; Login; Reader; Kürzel; geändert von",
    "(555) 123-4567; (555) 222-3344": "Cell; Callback; Contact; Therapie; x",
    "0171 1234567; +49 6221 561234": "Kontakt; Rückruf; Therapie; x",
    "69115 Heidelberg; 50667 Köln": "Ort; CP Ville; Plaats; Lieu; Therapie",
    "Hauptstr. 5; Weststraße 17a": "Ort; Domizil; Therapie",
    "123456789; 234567891": "NPI; LANR; Kto.; BSNR; RPPS; PGN; GMC no; Hospital no.; MRN; IPP; MPI-Nr; Fall-Nr.; x",
    "1EG4-TE5-MK73; 2EG4-TE5-MK72": "Medicare ID; Zorgverzekeraar polisnr; DigiD; VIN; Kassen-Nr.",
    "17; 4": "Hausnr.; huisnr; patnr; Pers.-Nr.; Kassen-Nr.; Hospital no.; Jg.; Birth month",
    "5.3.2019; 17.11.2021": "Todesdatum; overleden op; Date of death; Geburtsdatum Kind; x",
    "katholisch; keine Angabe": "Konfession; Religion; Race; Ethnicity; Nationalität; Beruf; Occupation; profession",
    "ledig; verheiratet": "Marital status; Zivilstand; apotheek; lieu de naissance; Geburtsort",
    "Frau Maier rief an und fragte, ob der Termin noch gilt; kam mit ihrem Mann, der in der Praxis nebenan arbeitet": (
        "Bemerkung; Opmerking; Comment; Verlauf; Therapie; Kommentar; Anamnese"
    ),
}
"""What a newcomer's table holds, and below which headings it has to be left out."""
KEPT = {
    "nach Exzision, 2 mm; vor Laser": """
        file_name; Image name; site_name; Device name; Hospital name; study name; Diagnose; Alter;
        Lokalisation; Datum; Aufnahmedatum; Exam date; Klinik; Geschlecht; Histologie; path; Hauttyp;
        camera; score; Seite; Gerät; Operation; Institution; Kamera; Untersuchungsdatum; Untersuchung; Body
        site; Side; Côté; Siège; Zijde; Diagnostic; First diagnosis; Last photo; Family history;
        Familienanamnese; Antécédents familiaux; Breslow; Breslow (mm); Ulceration; Mitosen; Skin type;
        Fitzpatrick; Phototype; Lesion; Läsion; Laesie; Lésion; Lesion ID; Bild; Bildnummer; Foto; Photo;
        Image ID; Größe; Durchmesser; Diameter (mm); Farbe; Couleur; Therapie; Behandlung; Behandeling;
        Traitement; Follow-up; Excision; Studienarm; Group; Sonnenbrand; Melanom in Familie;
        Kontaktdermatoskopie; Polarisation; Magnification; Year; Jahr; Age; Age at diagnosis; Leeftijd; Âge;
        Abteilung; Department; Service; Instrument; Stage; Stadium; Status; Quelle; Source; Licence;
        Country; Sicherheitsabstand; Operationsdatum; excisiemarge; Tumordicke; Bildqualität; Seriennummer
        Kamera; Batch no.; Number of lesions""",
    "2021-02-03; 2021-02-04": "Datum; First visit; Operation date; OP-Datum; datum excisie; Aufnahmedatum",
    "Yes; No; unknown": "Partner; Present at birth; Angehörige mit Melanom; Mother; First; Insurance type?; x",
    "1; 2; 17": "x; Operator; Score A; Number of mitoses; Serie",
    "0,8 mm; < 1; 4.5x3.2; 12 %; 0.00012345": "x; Tiefe; ABC",
    "Back, Left; Arm, Right; Leg, Left": "x; Ort; Plaats; Partner site",
    "Nevus; Melanoma": "x; Physician diagnosis; Diagnose arts; Mother; Zweitmeinung",
    "Brown, Black; Red": "x; Farbe",
    "contact; non-contact": "Contact",
    "IMG_1.jpg; IMG_2.jpg": "Name; x",
    "Pyoderma Gangraenosum; Nävus; Melanom": "Diagnose; Diagnostic",
    "Canon Powershot; Heine Delta": "Kamera; Gerät; Camera model",
    "H2021/0012; 0012345678": "Histologie; Batch; Charge",
}
"""What names nobody, and below which headings."""


def left_out(heading: str, values: Sequence[str]) -> str | None:
    rows = Rows("line", (heading,), [(number, [value]) for number, value in enumerate(values)])
    return columns_left_out(rows).get(heading)


def listed(written: str) -> list[str]:
    return [" ".join(one.split()) for one in written.split(";")]


def test_headings_of_persons_in_four_languages() -> None:
    assert not [heading for heading in listed(PERSONS) if not left_out(heading, ["Anna", "Jan"])]


@pytest.mark.parametrize("values", NEWCOMERS)
def test_what_names_persons_is_left_out(values: str) -> None:
    assert not [heading for heading in listed(NEWCOMERS[values]) if not left_out(heading, listed(values))]


@pytest.mark.parametrize("values", KEPT)
def test_what_names_nobody_is_kept(values: str) -> None:
    found = {heading: left_out(heading, listed(values)) for heading in listed(KEPT[values])}
    assert {heading: why for heading, why in found.items() if why} == {}


def test_our_own_columns_are_kept() -> None:
    assert not [name for name in COLUMNS if left_out(name, ["abc", "def"])]


WORDS = st.text(string.ascii_lowercase + "äöüéßç", min_size=3, max_size=9)
NAMES = WORDS.map(str.capitalize)
PERSON = st.one_of(
    st.tuples(NAMES, NAMES).map(" ".join),
    st.tuples(NAMES, NAMES).map(", ".join),
    st.tuples(st.sampled_from(["Dr.", "Frau", "Mr"]), NAMES).map(" ".join),
    st.tuples(NAMES, st.sampled_from(["A.", "B.", "van den"]), NAMES).map(" ".join),
    NAMES.map(lambda name: f"{name}strasse 12"),
    st.tuples(st.integers(10000, 99999), NAMES).map(lambda parts: f"{parts[0]} {parts[1]}"),
    st.integers(10**8, 10**9).map(lambda digits: f"+49 {digits}"),
    st.integers(10**6, 10**10).map(str),
    NAMES.map(lambda name: f"{name.lower()}@example.org"),
)
UNKNOWN = st.one_of(WORDS, st.tuples(WORDS, WORDS).map(" ".join), st.sampled_from(["Kontakt", "Name 2", "von", "by"]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(heading=UNKNOWN, values=st.lists(PERSON, min_size=2, max_size=2, unique=True))
def test_no_person_below_any_unknown_heading_reaches_the_cases(skins: Path, heading: str, values: list[str]) -> None:
    rows: list[dict[str, object]] = [
        {"case_id": f"a{n}", "image": f"{n}.jpg", heading: value} for n, value in enumerate(values)
    ]
    write_csv(skins / "t.csv", rows)
    prepare_folder(skins / "images", skins / "out", table=skins / "t.csv")
    written = (skins / "out" / "cases.csv").read_text(encoding="utf-8")
    assert not [value for value in values if value in written.replace(str(skins), "")]


@pytest.fixture
def skins(tmp_path: Path) -> Path:
    for number in range(2):
        write_skin(tmp_path / "images" / f"{number}.jpg", seed=number, width=32, height=32)
    return tmp_path


@pytest.mark.parametrize(
    ("heading", "values", "why"),
    [
        ("Kontakt", ["a@b.de", "c.d@klinik.example.org", "none"], "e-mail address"),
        ("x", ["078-05-1120", "219-09-9999"], "number of an insurance or a register"),
        ("x", ["756.1234.5678.97"], "number of an insurance or a register"),
        ("x", ["1944-05-05", "03.04.1965"], "date of birth"),
        ("Datum", ["1944-05-05", "03.04.1965"], "date of birth"),
        ("Jahr", ["1944", "1965"], "date of birth"),
        ("patient_id", ["Öztürk Ayşe", "Dr. Weiß, Otto"], "name of a person"),
        ("case_id", ["Müller^Anna", "Groß^E."], "name of a person"),
        ("patient_id", ["P001", "P002"], None),
        ("case_id", ["blue nevus", "spitz nevus"], None),
        ("date", ["1979-01-02", "1981-03-04"], None),
        ("Partner", ["nein", "nein", "nein", "Jan Berg"], "name of a person"),
        ("Therapie", ["Exzision"] * 50 + ["Sarah Lee"], "name of a person"),
        ("Diagnose", ["Nävus"] * 50 + ["Dr. Lee: Nävus"], "name of a person"),
        ("MRN", ["77", "78"], "number of a patient"),
        ("site_as_recorded", ["Rücken li.", "hinten"], None),
    ],
)
def test_why_a_column_is_left_out(heading: str, values: list[str], why: str | None) -> None:
    assert left_out(heading, values) == why


@pytest.mark.parametrize("for_ids", [False, True])
@pytest.mark.parametrize(
    ("heading", "kept"),
    [("Urheber", True), ("Copyright", True), ("© Copyright", True), ("AUTEUR", True), ("Copyright holder", True)]
    + [(name, False) for name in ("Author", "Owner", "Attribution", "Auteur du rapport", "Bearbeiter", "Fotograf")],
)
def test_whose_a_picture_is_is_said_on_purpose(heading: str, kept: bool, for_ids: bool) -> None:
    def why(*values: str) -> str | None:
        rows = Rows("line", (heading,), [(i, [value]) for i, value in enumerate(values)])
        return columns_left_out(rows, for_ids=for_ids).get(heading)

    assert (why("Anna Maier", "Dr. Ben Kim") is None) == kept
    assert why("a.maier@klinik.de", "b.kim@klinik.de") == "e-mail address"
    assert why("0171 1234567", "+49 6221 561234") == "telephone number"


def test_days_that_lie_decades_before_others() -> None:
    header, days = ("Datum", "Kontrolle am"), (("2019-02-03", "1990-02-03"), ("2021-01-01", "2001-01-01"))
    numbered = [(number, list(pair)) for number, pair in enumerate(days)]
    assert columns_left_out(Rows("line", header, numbered)) == {"Kontrolle am": "date of birth"}


TEXTS = [
    ("Anamnese", ["Vater Hans Maier hatte MM", "unauffällig"]),
    ("Treatment", ["seen w/ mother Anna Kim", "excision"]),
    ("Treatment", ["excision, seen with anna kim"]),
    ("Therapie", ["Exzision", "Maier"]),
    ("Familienanamnese", ["Bruder Jan: Melanom", "leer"]),
    ("Verlauf", ["keine Änderung (Huber)", "keine Änderung"]),
    ("Behandeling", ["excisie door van den Berg"]),
    ("Antécédents", ["mère Mme Dupont", "mère: mélanome"]),
    ("Datei", ["Maier_Hans_1.jpg", "Huber_Eva_2.jpg", "Kim_Li_3.jpg"]),
    ("Bild", ["maier1.jpg", "huber1.jpg"]),
    ("Foto", ["2021-03-04 HansMaier.jpg", "2021-03-04 EvaHuber.jpg"]),
    ("Charge", ["H2021/0012 Maier", "H2021/0013"]),
    ("Pfad", [r"C:\Users\hmaier\1.jpg", r"C:\Users\ehuber\2.jpg"]),
    ("Operation", ["Hans"] * 3 + ["Eva"] * 3 + ["Otto"] * 3),
    ("Zimmer", ["12", "14"]),
    ("Station", ["3B", "3B"]),
    ("Room no.", ["7", "8"]),
]
"""Names below headings of facts, and where patients lie."""
NO_NAMES = [
    ("Anamnese", ["Vater und Bruder hatten ein Melanom", "unauffällig", "keine Familienanamnese", "MM 2015, pT1a"]),
    ("Treatment", ["excision with 2 mm margins", "imiquimod cream for 6 weeks", "none", "refused"]),
    ("Behandeling", ["excisie met 2 mm marge", "geen"]),
    ("Traitement", ["exérèse complète", "aucun"]),
    ("Datei", ["IMG_20210304_001.jpg", "DSC00012.JPG", "nevus_back_left_3.jpg", "ULM-0017.jpg"]),
    ("Datei", [f"Hautambulanz_{number}.jpg" for number in range(5)]),
    ("Bild", ["3f2504e0-4f89-11d3-9a0c-0305e82c3301.png", "9a0cdeadbeef.png"]),
    ("Operation", ["Zweiteingriff"] * 8 + ["Ersteingriff"] * 7),
    ("Verlauf", ["stabil", "5.3.2021 unverändert", "Größenzunahme, blutet"]),
    ("Charge", ["H2021/0012", "E/21-004711"]),
]


@pytest.mark.parametrize(("heading", "values"), TEXTS)
def test_a_name_within_a_text_below_a_fact_leaves_the_column_out(heading: str, values: list[str]) -> None:
    assert left_out(heading, values)


@pytest.mark.parametrize(("heading", "values"), NO_NAMES)
def test_texts_of_known_words_and_codes_are_kept(heading: str, values: list[str]) -> None:
    assert left_out(heading, values) is None


@settings(max_examples=60, deadline=None)
@given(
    heading=st.sampled_from(["Therapie", "Anamnese", "Treatment", "Datei", "Verlauf", "Behandeling", "Traitement"]),
    before=st.sampled_from(["Mutter", "excision by", "2021-03-04", "seen with", "H21/", "Naevus, ", "gezien met"]),
    name=st.text("bdfgjkqvxz", min_size=3, max_size=9).map(lambda tail: f"Qu{tail}"),
    after=st.sampled_from(["", " 2", "_1.jpg", ", 5 mm", " hatte ein Melanom", "-1"]),
    others=st.lists(st.sampled_from(["excision", "2 mm", "unverändert", "a1.jpg"]), max_size=5),
)
def test_an_unknown_word_in_any_text_leaves_it_out(
    heading: str, before: str, name: str, after: str, others: list[str]
) -> None:
    assert left_out(heading, [*others, f"{before} {name}{after}"])


def test_names_of_files_become_no_ids(clinic: Path) -> None:
    names = ["Maier_Hans_1.jpg", "Huber_Eva_1.jpg", "Kim_Li_1.jpg"]
    for number, name in enumerate(names):
        (clinic / "bilder" / f"b{number}.jpg").rename(clinic / "bilder" / name)
    write_csv(clinic / "f.csv", [{"Datei": name, "Diagnose": "Nävus"} for name in names])
    write_csv(clinic / "i.csv", [{"case_id": name.removesuffix(".jpg"), "image": name} for name in names])
    done = run("inspect", "f.csv", "bilder")
    assert "'Datei' is not taken for the case id: it has words that may be names" in done.stdout
    assert "--column Datei=case_id" in done.stdout
    assert (
        run("prepare", "folder", "bilder", "--table", "f.csv", "--column", "Datei=case_id", "--out", "o").exit_code == 0
    )
    assert "have words that may be names" in run("prepare", "folder", "bilder", "--out", "q").stderr
    done = run("prepare", "folder", "bilder", "--table", "i.csv", "--out", "p")
    assert done.exit_code == 2
    assert "case_id identifies persons (words that may be names)" in done.stderr
    write_csv(clinic / "c.csv", [{"casus": name.removesuffix(".jpg").lower(), "foto": name} for name in names])
    done = run("inspect", "c.csv", "bilder")
    assert "'casus' is not taken for the case id: it has words that may be names" in done.stdout
    assert "dermquery data prepare" not in done.stdout
    write_csv(clinic / "n.csv", [{"Nr": n, "Datei": name, "Diagnose": "Nävus"} for n, name in enumerate(names)])
    done = run("inspect", "n.csv", "bilder")
    assert "Datei=image" in done.stdout, "pictures are called by their case ids"
    assert run(*shlex.split(done.stdout.splitlines()[-1])[2:]).exit_code == 0
    assert "Maier" not in (clinic / "prepared" / "cases.csv").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RELEASES)
def test_the_readers_of_releases_keep_what_they_kept(name: str, tmp_path: Path) -> None:
    """Their columns do not go through the rule; nor does what was prepared, when it is read again."""
    report = prepare_source(load_source(name), RELEASES[name](tmp_path / name), tmp_path / "out")
    assert report.table is not None
    for table in (report.table, tmp_path / "copy.csv"):
        write_cases(report.cases, table)
        read, told = read_kept(table, columns={}, skip_bad=False)
        assert ([case.extra for case in read], told) == ([case.extra for case in report.cases], "")


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        write_skin(tmp_path / "bilder" / f"b{number}.jpg", seed=number, width=32, height=32)
    names = ("Name", "Geb.", "Kontakt", "MRN", "Bild", "Diagnose")
    rows = (
        ("Müller, Anna", "1961-02-03", "anna@example.org", "77", "b0.jpg", "Nävus"),
        ("Berg, Jan", "1972-02-03", "jan@example.org", "78", "b1.jpg", "Nävus"),
        ("Weiß, Otto", "1983-02-03", "otto@example.org", "78", "b2.jpg", "Melanom"),
    )
    write_csv(tmp_path / "t.csv", [dict(zip(names, row, strict=True)) for row in rows])
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_inspect_names_them_and_proposes_none_as_case_id(clinic: Path) -> None:
    for images in ([], ["bilder"]):
        done = run("inspect", "t.csv", *images)
        assert done.exit_code == 0, done.output
        assert "left out, as they may name a person: 'Name' (name of a person), 'Geb.' (date of birth)" in done.stdout
        assert "may name a person: e-mail address" in done.stdout
        assert "'MRN' is kept as patient_id, as it is written" in done.stdout
        assert "Müller" not in done.stdout
    command = done.stdout.splitlines()[-1]
    assert "--ignore Name --ignore Geb. --ignore Kontakt" in command
    assert "Bild=case_id" in command
    assert run(*shlex.split(command)[2:]).exit_code == 0
    assert "Anna" not in (clinic / "prepared" / "cases.csv").read_text(encoding="utf-8")


def test_prepare_leaves_them_out_unless_they_are_named(clinic: Path) -> None:
    command = ("prepare", "folder", "bilder", "--table", "t.csv", "--column", "Bild=case_id", "--out")
    done = run(*command, "out")
    assert done.exit_code == 0, done.output
    assert "left out, as they may name a person: 'Name'" in done.stderr
    options = done.stderr.partition("is kept by: ")[2].splitlines()[0]
    assert options == "--column Name=Name --column Geb.=Geb. --column Kontakt=Kontakt --column MRN=patient_id"
    assert {*read_cases(clinic / "out" / "cases.csv").cases[0].extra} == {"Diagnose"}
    assert run(*command, "all", *shlex.split(options)).exit_code == 0
    case = read_cases(clinic / "all" / "cases.csv").cases[1]
    assert (case.patient_id, {*case.extra}) == ("78", {"Name", "Geb.", "Kontakt", "Diagnose"})
    done = run(
        *command,
        "kept",
        "--column",
        "Name=Name",
        "--column",
        "MRN=MRN",
        *(word for year in (1961, 1972, 1983) for word in ("--map", f"Geb.:{year}-02-03={year}")),
        "--ignore",
        "Kontakt",
    )
    assert done.exit_code == 0, done.output
    assert "left out" not in done.stderr
    case = read_cases(clinic / "kept" / "cases.csv").cases[0]
    assert (case.extra["Name"], case.extra["Geb."]) == ("Müller, Anna", "1961")


@pytest.mark.parametrize("word", ["Müller, Anna=A.", "Müller, Anna="])
def test_a_map_of_one_word_does_not_keep_the_others(clinic: Path, word: str) -> None:
    command = ("prepare", "folder", "bilder", "--table", "t.csv", "--column", "Bild=case_id", "--out", "out")
    done = run(*command, "--map", f"Name:{word}")
    assert done.exit_code == 2
    assert "'Name' may name persons (name of a person), and a map of some of its words keeps the others" in done.stderr
    assert "--column Name=Name" in done.stderr
    assert not (clinic / "out" / "cases.csv").exists()


def test_a_case_id_that_names_persons_is_refused(clinic: Path) -> None:
    rows: list[dict[str, object]] = [
        {"case_id": "Müller, Anna", "image": "b0.jpg"}, {"case_id": "Berg, Jan", "image": "b1.jpg"}
    ]  # fmt: skip
    write_csv(clinic / "p.csv", rows)
    command = ("prepare", "folder", "bilder", "--table", "p.csv", "--out", "out")
    done = run(*command)
    assert done.exit_code == 2
    assert "case_id identifies persons (name of a person); give another column" in done.stderr
    assert run(*command, "--column", "case_id=case_id").exit_code == 0


def test_index_of_a_table_that_was_not_prepared_leaves_them_out_too(clinic: Path) -> None:
    rows: list[dict[str, object]] = [
        {"case_id": f"a{n}", "image": f"bilder/b{n}.jpg", "Provider": "Lee", "Therapie": "Salbe"} for n in range(3)
    ]
    table = write_csv(clinic / "own.csv", rows)
    indexing = typer.Typer()
    indexing.command()(index)
    done = CliRunner().invoke(indexing, [str(table), "--base", str(clinic / "base"), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "'Provider' (words that may be names); of these, what names nobody is kept by: --column Provider=Provi" in (
        " ".join(done.stderr.split())
    )
    read, _ = read_kept(table, columns={}, skip_bad=False)
    assert read.cases[0].extra == {"Therapie": "Salbe"}
    read, told = read_kept(table, columns={"Provider": "Provider"}, skip_bad=False)
    assert (read.cases[0].extra, told) == ({"Provider": "Lee", "Therapie": "Salbe"}, "")


def test_a_table_of_our_own_comes_back_whole_and_what_names_persons_is_told(clinic: Path) -> None:
    cases = read_cases(write_csv(clinic / "x.csv", [{"case_id": "a", "image": "bilder/b0.jpg", "Provider": "Dr Lee"}]))
    for name in ("cases.csv", "cases.parquet"):
        write_cases(cases, clinic / name)
        read, told = read_kept(clinic / name, columns={}, skip_bad=False)
        assert read.cases[0].extra == {"Provider": "Dr Lee"}
        assert told.endswith("though they identify persons: 'Provider' (name of a person)")
    done = run("prepare", "folder", "bilder", "--table", "cases.csv", "--out", "again")
    assert done.exit_code == 0, done.output
    assert read_cases(clinic / "again" / "cases.csv").cases[0].extra == {"Provider": "Dr Lee"}


def test_all_unknown_words_are_in_the_files_that_are_named(clinic: Path) -> None:
    words = [f"Ecke {letter}x" for letter in string.ascii_lowercase[:20]]
    for number in range(len(words)):
        write_skin(clinic / "viele" / f"{number}.jpg", seed=number, width=32, height=32)
    table = write_csv(clinic / "w.csv", [{"Bild": f"{n}.jpg", "Body site": word} for n, word in enumerate(words)])
    assert "and 10 more; --write-map FILE writes all" in run("inspect", table, "viele").stdout
    done = run("inspect", table, "viele", "--write-map", "m.csv")
    assert "and 10 more; all are in m.csv" in done.stdout
    mapped = [("site", word, word) for word in words]
    assert [tuple(row) for _, row in read_rows(clinic / "m.csv").numbered] == mapped
    done = run(*shlex.split(done.stdout.splitlines()[-1])[2:])
    assert done.exit_code == 0, done.output
    assert "all 20 words that are in no vocabulary: prepared/unknown-words.csv" in done.stderr
    assert [tuple(row) for _, row in read_rows(clinic / "prepared" / "unknown-words.csv").numbered] == mapped
