"""A real server, started by the command line over a small synthetic base, and a real Chromium that visits it."""

from __future__ import annotations

import base64
import datetime
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright

from dermquery.data.case import SPACING, Case
from dermquery.data.case_table import read_cases
from dermquery.lab.synthetic import synthesize
from dermquery.serve.security.identity import Scope
from dermquery.serve.security.users import UserFile
from dermquery.store.casebase import CaseBase
from tests.sharing import made_once

NOTICE = "These cases are synthetic."
SCRIPT = "<script>document.title='pwned'</script><img src=x onerror=\"document.title='pwned'\">"
"""What a case table must not be able to do to a page."""
LICENSED = {
    "licence": "CC-BY-NC",
    "attribution": f"Department of Dermatology, a university far away; https://example.org/{'terms' * 12}",
}
"""Of case 20: whose its image is, in more words than a card has room for in a line."""
_FLAGS = [
    f"--{flag}"
    for flag in (
        "headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync",
    )
]  # fmt: skip


@dataclass(frozen=True)
class Served:
    """A running service.

    Attributes:
        cases: those of its base.
        others: cases that it does not have.
        base: its base, opened a second time.
    """

    url: str
    cases: tuple[Case, ...]
    others: tuple[Case, ...]
    base: CaseBase


@contextmanager
def serving(base: Path, state: Path) -> Iterator[str]:
    """Run ``dermquery serve`` until the block ends; it is ready when the block begins."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    config = state.with_suffix(".toml")
    config.write_text(f'[serve]\nrate_per_minute = 100000\nnotice = "{NOTICE}"\n')
    command = [sys.executable, "-m", "dermquery", "serve", "--base", str(base), "--port", str(port)]
    log = state.with_suffix(".log")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--state", str(state), "--config", str(config)], stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(600):
                assert process.poll() is None, log.read_text()
                if _ready(url):
                    break
                time.sleep(0.2)
            else:
                pytest.fail(f"the server was not ready in two minutes: {log.read_text()}")
            yield url
        finally:
            process.terminate()
            process.wait(30)
    assert "Traceback" not in log.read_text(), log.read_text()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:  # noqa: S310 - loopback
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Case, ...], tuple[Case, ...]]:
    """A base of 60 cases, one of which holds markup in its words, and cases that are not in it."""

    def read(folder: Path) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
        cases = read_cases(folder / "cases" / "cases.csv").cases
        known = [case.model_copy(update={"source": "made"}) for case in cases[:60]]
        known[0] = known[0].model_copy(update={"site": SCRIPT, "fine_diagnosis": SCRIPT, "extra": {"remark": SCRIPT}})
        known[10:13] = _photographed(known[10:13])
        known[20] = known[20].model_copy(update=LICENSED)
        return tuple(known), cases[60:]

    def make(folder: Path) -> None:
        synthesize(folder / "cases", n=66, size=(160, 160))
        CaseBase.create(folder / "base", "demo").add(read(folder)[0])

    folder = made_once(tmp_path_factory, "page", make)
    own = shutil.copytree(folder / "base", tmp_path_factory.mktemp("page") / "base")  # a service writes to its base
    return own, *read(folder)


def _photographed(cases: list[Case]) -> list[Case]:
    """The cases as photographs of one lesion: before, a year later, and without the dermoscope."""
    told = (("dermoscopic", 2024, 0.05), ("dermoscopic", 2023, 0.05), ("clinical: close-up", 2024, 0.4))
    return [
        case.model_copy(
            update={
                "lesion_id": "photographed", "image_type": kind, "date": datetime.date(year, 5, 17),
                "extra": {**case.extra, SPACING: str(spacing)},
            }
        )
        for case, (kind, year, spacing) in zip(cases, told, strict=True)
    ]  # fmt: skip


@pytest.fixture(scope="session")
def served(made: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The service, open to this machine. A test that adds cases takes them out again."""
    base, cases, others = made
    with serving(base, tmp_path_factory.mktemp("open") / "state") as url:
        yield Served(url, cases, others, CaseBase.open(base))


@pytest.fixture(scope="session")
def guarded(made: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same base behind a sign-in; "reader" may read, "writer" add too."""
    state = tmp_path_factory.mktemp("guarded") / "state"
    state.mkdir(mode=0o700)
    for name, scope in (("reader", "read"), ("writer", "write")):
        UserFile(state / "users.json").add(name, cast("Scope", scope), "a long pass phrase")
    with serving(made[0], state) as url:
        yield url


def chromium(playwright: Playwright) -> Browser:
    """Debian's Chromium; the test is skipped where there is none."""
    path = os.environ.get("DERMQUERY_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium; install it (apt-get install chromium) or name it in DERMQUERY_CHROMIUM")
    return playwright.chromium.launch(executable_path=path, args=_FLAGS)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all visits."""
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        yield browser
        browser.close()


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Open an address in a fresh browser profile, or in another tab ``beside`` a page.

    Nothing may be refused, fail or come from elsewhere meanwhile.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def opened(
        url: str,
        *,
        width: int = 1440,
        height: int = 900,
        expected: tuple[int, ...] = (),
        beside: Page | None = None,
        **options: Any,
    ) -> Page:
        size: Any = {"width": width, "height": height}
        context = browser.new_context(viewport=size, **options) if beside is None else beside.context
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        origin = "/".join(url.split("/")[:3])

        def said(message: Any) -> None:
            refused = any(f"status of {status}" in message.text for status in expected)
            if message.type in ("error", "warning") and not refused:
                faults.append(f"console: {message.text}")

        page.on("console", said)
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith((origin, "blob:")) else faults.append(f"asks {request.url}"),
        )
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults, faults


def until(page: Page, condition: str, seconds: float = 30.0) -> None:
    """Wait until a condition holds; Playwright's own way has the page evaluate it, which its policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(condition):
        assert time.monotonic() < end, f"this never came true: {condition}"
        page.wait_for_timeout(25)


def picture(page: Page, name: str) -> None:
    """A screenshot for who looks at the page, in $DERMQUERY_SCREENSHOTS; nothing without it.

    Taken as the browser does it; Playwright's own adds an inline style, which the page's policy forbids.
    """
    if folder := os.environ.get("DERMQUERY_SCREENSHOTS"):
        page.wait_for_timeout(400)  # what moves or fades in has arrived
        taken = page.context.new_cdp_session(page).send("Page.captureScreenshot", {"format": "png"})
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, f"{name}.png").write_bytes(base64.b64decode(taken["data"]))


def choose_image(page: Page, path: Path) -> None:
    """Choose a query's image and wait until the server has it."""
    page.set_input_files("#image-input", path)
    page.wait_for_selector(".well:not([hidden]) img")


def search(page: Page) -> None:
    """Press the button and wait for the answer to it."""
    settled(page, lambda: page.click("#search"))
    page.wait_for_selector(".card code")


def settled(page: Page, deed: Callable[[], Any], path: str = "/searches") -> None:
    """Do something and wait until its answer is shown."""
    page.evaluate("addEventListener('htmx:afterSettle', () => (window.settled = (window.settled ?? 0) + 1))")
    page.evaluate("window.settled = 0")
    with page.expect_response(lambda answer: path in answer.url):
        deed()
    until(page, "window.settled > 0")


def ids(page: Page) -> list[str]:
    """Case ids of the hits, in the order in which they stand."""
    return page.locator(".card .about code").all_inner_texts()


def scores(page: Page) -> list[float]:
    """Their scores."""
    return [float(text.split()[-1]) for text in page.locator(".card .total").all_inner_texts()]


def set_weight(page: Page, weight: str) -> None:
    """Move the slider as a hand does."""
    if not page.locator("#local-weight").is_visible():
        page.click("#advanced summary")
    settled(page, lambda: page.locator("#local-weight").fill(weight), path="/weigh")
