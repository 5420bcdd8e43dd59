"""Pages in the reader's language: nothing stays in English, and the choice is remembered; without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from dermquery.answer.language import Language, language
from dermquery.answer.words import upper_first
from dermquery.serve import tongues
from dermquery.serve.app import create_app
from dermquery.serve.settings import ServeSettings
from dermquery.store.casebase import CaseBase
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

_NAMES = ("dermquery", "case-0", "English", "Deutsch", "Nederlands", "Ctrl", "Enter", "Page up", "Page down", "Esc")
"""What is the same in every language: names, ids, keys."""
_READ = ("alt", "aria-label", "placeholder", "title", "data-copy", "data-words", "data-lost", "data-failed")


ASKED = "irregular streaks, maybe a veil, sandwich, a typical and atypical network"


class Marked(Language):
    """A language in which every text stands in brackets, so that what nobody marked stands out."""

    code = "de"

    def gettext(self, text: str) -> str:
        return f"⟦{text}⟧"

    def ngettext(self, one: str, many: str, n: int) -> str:
        return f"⟦{one if n == 1 else many}⟧"

    def said(self, message: str) -> str:
        return f"⟦{message}⟧"


class Words(HTMLParser):
    """The texts of a page that people see or hear."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._hidden = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("style", "script", "code", "kbd")
        self.found += [value for name, value in attrs if name in _READ and value]

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "script", "code", "kbd")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.found.append(data)


def unmarked(page: str, *data: str) -> list[str]:
    """Words of a page that stand outside of any bracket, and not in what was recorded or asked."""
    left, known = [], set(re.findall(r"\w+", " ".join(data)))
    for text in Words(page).found:
        while (shorter := re.sub(r"⟦[^⟦⟧]*⟧", "", text)) != text:
            text = shorter
        for name in _NAMES:
            text = text.replace(name, "")
        left += [word for word in re.findall(r"[^\W\d_]{3,}", text) if word not in known]
    return left


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The service over eight cases, two of which show one image."""
    folder = tmp_path_factory.mktemp("languages")
    cases = make_cases(folder / "cases", 8)
    cases[7] = cases[7].model_copy(update={"image": cases[6].image})
    base = CaseBase.create(folder / "base", ProjectionEncoder())
    base.add(cases)
    app = create_app(ServeSettings(base=str(base.uri), state=folder / "state", port=0), base)
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as found:
        yield found


def searched(client: TestClient, **given: str) -> str:
    """The address of an answer."""
    client.get("/")  # which names the browser
    answer = client.post("/searches", data=given, headers={"HX-Request": "true"})
    assert answer.status_code == 200, answer.text
    return answer.headers["hx-push-url"]


def states(client: TestClient) -> Iterator[tuple[str, str]]:
    """Every page and part by its address."""
    address = searched(client, text=ASKED, **{"term.pigment_network": "typical"})
    hit = re.findall(r'data-case="([^"]+)"', client.get(address).text)[0]
    paths = ["/", "/browse", "/base", "/add", "/case?id=case-001", "/base/duplicates", "/history", "/sign-out"]
    paths += [address, f"{address}&where=age%3E%3D20&k=20", f"/compare{address[1:]}&compare={hit}", "/?query=gone"]
    paths += ["/?like=case-002", "/case?id=nobody", f"{address}&where=age%3E%3Dold", "/case/neighbours?id=case-003"]
    for path in paths:
        yield path, client.get(path, headers={"HX-Request": "true"} if path.startswith("/compare") else {}).text
    yield "/read", client.post("/read", data={"text": ASKED}).text
    yield "/add", client.post("/add", data={"case_id": "x"}).text


def test_nothing_stays_in_english(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    data = client.get("/api/v1/cases").text + " projection"
    monkeypatch.setattr(tongues, "chosen", lambda *_: Marked())
    for path, page in states(client):
        assert "⟦" in page, path
        assert not unmarked(page, data, ASKED), path


def test_reports_too(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    data = client.get("/api/v1/cases").text + client.get("/api/v1/info").text
    monkeypatch.setattr(tongues, "chosen", lambda *_: Marked())
    page = client.get(searched(client, text=ASKED)).text
    (key,) = set(re.findall(r"/api/v1/searches/([^/]+)/hits\.html", page))
    report = client.get(f"/api/v1/searches/{key}/hits.html").text
    assert not unmarked(report.replace("<dd>base</dd>", ""), data, ASKED, "UTC")
    assert client.get(f"/api/v1/searches/{key}/hits.pdf").content.startswith(b"%PDF")
    assert "⟦" not in client.get(f"/api/v1/searches/{key}/hits.csv").text


@pytest.mark.parametrize(("accepted", "code"), [("de-CH, en;q=0.8", "de"), ("nl", "nl"), ("fr", "en"), ("", "en")])
def test_by_what_the_browser_accepts(client: TestClient, accepted: str, code: str) -> None:
    answer = client.get("/", headers={"Accept-Language": accepted})
    assert answer.headers["content-language"] == code
    assert f'<html lang="{code}">' in answer.text
    assert upper_first(language(code).gettext("pigment network")) in answer.text


def test_the_switch_is_remembered(client: TestClient) -> None:
    assert client.get("/", headers={"Accept-Language": "de"}).headers["content-language"] == "de"
    page = {"HX-Request": "true", "Accept-Language": "de"}
    changed = client.post("/language", data={"language": "nl"}, headers=page)
    assert (changed.status_code, changed.headers["hx-refresh"]) == (204, "true")
    cookie = changed.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert client.get("/", headers=page).headers["content-language"] == "nl"
    plain = client.post("/language", data={"language": "../../etc"}, follow_redirects=False)
    assert (plain.status_code, plain.headers["location"]) == (303, "/")
    assert "set-cookie" not in plain.headers
    client.cookies.delete(tongues.LANGUAGE_COOKIE)


def test_problems_are_told_in_the_clients_language(client: TestClient) -> None:
    """The type and the title, by which programs tell problems apart, stay as they are."""
    said = {
        code: client.get("/api/v1/cases/nobody", headers={"Accept-Language": code}).json() for code in ("", "de", "nl")
    }
    assert {(one["type"], one["title"]) for one in said.values()} == {("docs/api.md#unknown-case", "Unknown case")}
    assert said[""]["detail"] == "the base has no case 'nobody'; check the id"
    assert said["de"]["detail"] == "die Basis hat keinen Fall 'nobody'; prüfen Sie die Kennung"
    assert said["nl"]["detail"] == "de casusbank heeft geen casus 'nobody'; controleer het kenmerk"


def test_an_image_that_cannot_be_used(client: TestClient) -> None:
    answer = client.post("/images", content=b"%PDF-1.7 no image", headers={"Accept-Language": "de"})
    assert answer.status_code == 422
    assert "ein PDF-Dokument; exportieren Sie sein Bild als PNG oder JPEG" in answer.json()["detail"]
