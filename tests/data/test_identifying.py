"""Columns that identify a person are recognised, said and left out, in four languages and by what they hold."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from dermquery.cli.data import app
from dermquery.data.case_rows import COLUMNS
from dermquery.data.case_table import read_cases
from dermquery.data.rows import Rows, read_rows
from dermquery.data.sources.identifying import identifying_columns
from tests.data.made_up import write_csv, write_skin
from tests.data.releases import RELEASES

HEADINGS = {
    "name of a person": """
        Name; NAME; Nachname; Vorname; Surname; Last name; First name; lastName; PatientName; Pat.-Name;
        Patientenname; Name des Patienten; Name (Patient); Name, Vorname; Vor- und Nachname; Full name; Given
        names; Initialen; Achternaam; Voornaam; Naam; Naam patiënt; Nom; Prénom; Nom de famille; Nom du patient;
        Apellidos; Versicherter; Kontaktperson; Angehörige; Angehöriger; Ansprechpartner; Partner; Contactpersoon; Nom
        usuel; Nom d'usage; Personne de confiance; Next of kin; Next of kin name; Spouse; Emergency contact; Ehemann;
        Guardian; Vormund; Conjoint; Echtgenote; Hausarzt; Hausärztin; Arzt; Ärztin; Behandler; Behandler/in;
        Behandelnder Arzt; Name des Hausarztes; Überweiser; Überweisender Arzt; Einsender; Zuweiser; Huisarts; Arts;
        Behandelaar; Verwijzer; Médecin traitant; Médecin; Médecin référent; GP; GP name; Consultant; Physician;
        Referring physician; Operator; Photographer; Fotograf; Surgeon; Chirurgien""",
    "date of birth": """
        DOB; Date of birth; dateOfBirth; birth_date; patient_dob; Geb.; Geb. am; Geb.-Datum; Geburtsdatum;
        Geburts-Datum; Geburtstag; Geboortedatum; geb.datum; Date de naissance; Né(e) le; Jahrgang;
        Geburtsjahr; Geboortejaar; Année de naissance; Year of birth; YOB; Birth year; birth_year; Patient birth
        year""",
    "telephone number": """
        Phone; phone_number; Mobile phone; Tel.; Tel. 2; Telefon; Telefon (privat); Telefonnummer; Handy;
        Handynummer; Telefoon; Telefoonnummer; Téléphone; Numéro de téléphone""",
    "e-mail address": "E-Mail; email; eMail; E-Mail-Adresse; Mail; Emailadres; Courriel; Adresse e-mail",
    "address": """
        Address; Address line 1; Street; Zip; zip code; Postcode; Adresse; Anschrift; Straße; Strasse; PLZ; PLZ /
        Ort; Wohnort; Straat; Woonplaats; Rue; Code postal; Ville; Str.; Str. / Nr.;
        Postfach; Domicile; Wohnadresse""",
    "number of an insurance or a register": """
        SSN; Social Security Number; Insurance number; insurance_id; NHS number; NHS No.; Versichertennummer;
        Versicherten-Nr.; Krankenkassennummer; AHV; AHV-Nr.; BSN; Burgerservicenummer (BSN); bsn_nr;
        Verzekeringsnummer; N° sécurité sociale; Numéro AVS; Vers.-Nr.; eGK; eGK-Nr.; Rentenversicherungsnr;
        Rentenversicherungsnummer; Personalausweis; Reisepass; Führerschein; Steuer-ID; Verzekerdennummer;
        Zorgverzekeraar nr; Paspoort; Rijbewijs; INS; N° assuré; Carte Vitale; Passeport; CHI; CHI number; NI number;
        NI no.; National insurance number; Driving licence; Driver's license; Passport no.; Medicaid ID""",
    "account of a person": "Username; User name; Benutzername; Gebruikersnaam; Nom d'utilisateur; Instagram; Facebook",
    "number of a bank account": "IBAN; BIC; Kontonummer; Bankverbindung; Rekeningnummer; Bank account; Credit card",
    "employer": "Employer; Arbeitgeber; Werkgever; Employeur",
}
OTHERS = """file_name; Image name; site_name; Device name; Hospital name; study name; Diagnose; Alter; Ort;
        Lokalisation; MRN; patient_id; Patientennummer; Fall-Nr.; Datum; Aufnahmedatum; Exam date; Klinik;
        Geschlecht; Histologie; case; Nr; Present at birth; Phone model; path; notes; Beruf;
        Hauttyp; camera; score; Seite; Gerät; Operation; Operation date; OP-Datum; First visit; Last visit; Partner
        site; Partner site?; Institution; Kamera; Untersuchungsdatum; Untersuchung; Insurance type?; Versicherungsart;
        Body site; Side; Côté; Siège; Zijde; Plaats; Diagnostic; Diagnose arts; Physician diagnosis;
        Physician confidence; First diagnosis; Last photo; Family history; Familienanamnese; Antécédents familiaux;
        Breslow; Breslow (mm); Ulceration; Mitosen; Skin type; Fitzpatrick; Phototype; Lesion; Läsion; Laesie; Lésion;
        Lesion ID; Bild; Bildnummer; Foto; Photo; Image ID; Größe; Durchmesser; Diameter (mm); Farbe; Couleur; Remarks;
        Bemerkung; Opmerking; Kommentar; Therapie; Behandlung; Behandeling; Traitement; Verlauf; Follow-up; Excision;
        Histo-Nr.; Histologienummer; Journal number; Studienarm; Group; Sonnenbrand; Melanom in Familie;
        Angehörige mit Melanom;
        Kontaktdermatoskopie; Contact; Polarisation; Magnification; Year; Jahr; Age; Age at diagnosis; Leeftijd; Âge;
        Abteilung; Department; Service; Instrument; Stage; Stadium; Status; Quelle; Source; Licence; Country;
        First; Last; Mother; Dermatologist; Pathologist"""


def columns(**cells: Sequence[str]) -> dict[str, str]:
    rows = list(zip(*cells.values(), strict=True))
    return identifying_columns(Rows("line", tuple(cells), [(n, list(row)) for n, row in enumerate(rows)]))


@pytest.mark.parametrize("what", HEADINGS)
def test_headings_of_four_languages(what: str) -> None:
    headings = [" ".join(one.split()) for one in HEADINGS[what].split(";")]
    found = {heading: columns(**{heading: ["Anna", "Jan"]}).get(heading) for heading in headings}
    assert found == dict.fromkeys(headings, what)


def test_headings_that_identify_nobody() -> None:
    headings = {" ".join(one.split()) for one in OTHERS.split(";")} | {*COLUMNS}
    assert not [heading for heading in sorted(headings) if columns(**{heading: ["abc", "def"]})]


def test_no_column_of_a_release_identifies(tmp_path: Path) -> None:
    for name, make in RELEASES.items():
        for path in make(tmp_path / name).rglob("*.csv"):
            assert identifying_columns(read_rows(path)) == {}, path


@pytest.mark.parametrize(
    ("heading", "values", "what"),
    [
        ("Kontakt", ["a@b.de", "c.d@klinik.example.org", "none"], "e-mail address"),
        ("Kontakt", ["+49 170 1234567", "0171/1234567"], "telephone number"),
        ("x", ["06 12 34 56 78", "(030) 123 45 67"], "telephone number"),
        ("x", ["078-05-1120", "219-09-9999"], "number of an insurance or a register"),
        ("x", ["756.1234.5678.97", ""], "number of an insurance or a register"),
        ("x", ["1944-05-05", "03.04.1965"], "date of birth"),
        ("Patient", ["Müller, Anna", "van den Berg, Jan"], "name of a person"),
        ("patient_id", ["Öztürk Ayşe", "Dr. Weiß, Otto"], "name of a person"),
        ("case_id", ["Müller^Anna", "Groß^E."], "name of a person"),
        ("Name", ["IMG_01", "IMG_02"], None),
        ("Name", ["a.jpg", "b.png"], None),
        ("Name", [f"Plantname{number}" for number in range(6)], "name of a person"),
        ("Patient/in", ["Müller, Anna", "Berg, Jan"], "name of a person"),
        ("Patient/in", ["Anna Müller", "Jan Berg"], "name of a person"),
        ("First", ["Anna", "Jan", "Otto"], "name of a person"),
        ("Last", ["Müller", "van Berg", "Weiß"], "name of a person"),
        ("First", ["Yes", "No", "Yes"], None),
        ("Last", ["2021-02-03", "2021-02-04"], None),
        ("Mother", ["Melanoma", "No"], None),
        ("Dermatologist", ["Nevus", "Melanoma"], None),
        ("Dermatologist", ["Dr. Weiß", "Dr. med. Anna Groß", "Prof. Berg"], "name of a person"),
        ("Partner", ["ja", "nein", "ja"], None),
        ("Partner", ["nein", "nein", "nein", "Jan Berg"], "name of a person"),
        ("Handy", ["unbekannt", "-", "-", "0171"], "telephone number"),
        ("Telefon Angehörige", ["1", "2"], "telephone number"),
        ("Arzt/Ärztin", ["Weiß", "Berg"], "name of a person"),
        ("Fotografiert von", ["Weiß", "Berg"], "name of a person"),
        ("Kontakt", ["Mit Kontakt", "Ohne Kontakt"], None),
        ("Last", ["Stable", "Growing", "Stable"], None),
        ("Comment", ["Itching, Bleeding", "Growing, Dark", "Stable", "Flat"], None),
        ("Versicherung", ["ja", "nein"], None),
        ("Operator", ["1", "2", "1"], None),
        ("Arzt", ["Arzt0", "Arzt1"], "name of a person"),
        ("Jahrgang", ["1950", "1961"], "date of birth"),
        ("x", ["Müller, Anna", "Berg, Jan", "Weiß, Otto", "van den Hals, Eva-Maria"], "name of a person"),
        ("x", ["Müller, Anna", "Hals, Jan", "Weiß, Otto", "Groß, E.", "Öz, Can"], "name of a person"),
        ("x", ["Back, Left", "Arm, Right", "Leg, Left", "Chest, Right"], None),
        ("x", ["Rücken, Links", "Arm, Rechts", "Bein, Links"], None),
        ("x", ["Nevus, Dermal", "Nevus, Blue", "Nevus, Clark"], None),
        ("x", ["Brown, Black", "Black, Brown", "Red, Brown", "White, Red"], None),
        ("x", ["Paris, France", "Lyon, France", "Lille, France"], None),
        ("x", ["Canon, Powershot"] * 9 + ["Nikon, Coolpix", "Heine, Delta"], None),
        ("Patient", ["Patient Eins", "Patient Zwei"], None),
        ("patient_id", ["P001", "P002"], None),
        ("case_id", ["blue nevus", "spitz nevus"], None),
        ("x", ["0012345678", "0012345679"], None),
        ("x", ["0.123456789", "0.223456789"], None),
        ("x", ["2021-03-01", "2020-01-01"], None),
        ("x", ["03.04.2021", "14.05.2021"], None),
        ("date", ["1979-01-02", "1981-03-04"], None),
        ("Name", ["", ""], None),
        ("Histo", ["0001/2021", "00123/2021"], None),
        ("shift", ["+0.00012345", "+0.00054321"], None),
        ("Case diagnosis", ["Blue Nevus", "Spitz Nevus"], None),
        ("lesion_id", ["Left Arm", "Upper Back"], None),
    ],
)
def test_what_a_column_holds(heading: str, values: list[str], what: str | None) -> None:
    assert columns(**{heading: values}).get(heading) == what


def test_days_that_lie_decades_before_others() -> None:
    seen, born = ["2019-02-03", "2021-01-01"], ["1990-02-03", "2001-01-01"]
    assert columns(a=born, b=seen) == {"a": "date of birth"}
    assert columns(a=["2014-02-03", "2015-01-01"], b=seen) == {}


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
        assert "left out, as they identify persons: 'Name' (name of a person), 'Geb.' (date of birth)" in done.stdout
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
    assert "left out, as they identify persons: 'Name'" in done.stderr
    assert "--column Name=Name" in done.stderr
    assert {*read_cases(clinic / "out" / "cases.csv").cases[0].extra} == {"MRN", "Diagnose"}
    years = [word for year in (1961, 1972, 1983) for word in ("--map", f"Geb.:{year}-02-03={year}")]
    done = run(*command, "kept", "--column", "Name=Name", *years, "--ignore", "Kontakt")
    assert done.exit_code == 0, done.output
    assert "identify" not in done.stderr
    case = read_cases(clinic / "kept" / "cases.csv").cases[0]
    assert (case.extra["Name"], case.extra["Geb."]) == ("Müller, Anna", "1961")


@pytest.mark.parametrize("word", ["Müller, Anna=A.", "Müller, Anna="])
def test_a_map_of_one_word_does_not_keep_the_others(clinic: Path, word: str) -> None:
    command = ("prepare", "folder", "bilder", "--table", "t.csv", "--column", "Bild=case_id", "--out", "out")
    done = run(*command, "--map", f"Name:{word}")
    assert done.exit_code == 2
    assert (
        "'Name' identifies persons (name of a person), and a map of some of its words keeps the others" in done.stderr
    )
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
