"""How the page looks and can be reached: policy, accessibility, themes, sizes, keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.serve.page.conftest import Served, Visit, choose_image, search

pytestmark = pytest.mark.slow

_AXE = "axe-core@4.10.2"


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, an independent accessibility checker; from npm, for tests only."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, and axe-core comes from there")
    folder = tmp_path_factory.mktemp("axe")
    command = [
        "npm",
        "install",
        "--prefix",
        str(folder),
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "axe-core@4.10.2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"axe-core cannot be installed here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def findings(page: Page, axe: str) -> list[str]:
    """What axe finds that is serious or critical."""
    page.wait_for_timeout(300)  # colours that change gently have arrived
    page.evaluate(axe)
    found: list[dict[str, Any]] = page.evaluate("axe.run().then(result => result.violations)")
    return [
        f"{rule['id']}: {node['html'][:200]} {json.dumps(node['any'][:1])[:300]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def at_start(page: Page, served: Served) -> None:
    page.wait_for_selector(".example")


def with_results(page: Page, served: Served) -> None:
    choose_image(page, served.others[0].image)
    page.fill("#text", "atypical network, no streaks")
    page.click("summary:has-text('Which cases may be found')")
    search(page)
    page.click(".mark-yes >> nth=0")
    page.click(".mark-no >> nth=1")


def comparing(page: Page, served: Served) -> None:
    with_results(page, served)
    page.click(".card .open >> nth=0")
    page.wait_for_selector("dialog[open] table.criteria")


def overview(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/base")
    page.wait_for_selector("canvas")


def adding(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/add")
    page.click("summary:has-text('checklist')")
    page.click("#add-case")
    page.wait_for_selector("p.problem:not(:empty)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(served: Served, guarded: str, visit: Visit, axe: str, scheme: str) -> None:
    states: list[Callable[[Page, Served], None]] = [at_start, with_results, comparing, overview, adding]
    faults = {}
    for state in states:
        page = visit(served.url, color_scheme=scheme, bypass_csp=True)  # axe adds styles of its own
        state(page, served)
        faults[state.__name__] = findings(page, axe)
    faults["sign_in"] = findings(visit(guarded, color_scheme=scheme, bypass_csp=True, expected=(401,)), axe)
    assert not any(faults.values()), json.dumps(faults, indent=1)


def test_the_policy_allows_nothing_inline_and_nothing_evaluated(served: Served, visit: Visit) -> None:
    with urllib.request.urlopen(served.url) as answer:  # noqa: S310 - loopback
        policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    page = visit(served.url)
    with_results(page, served)
    page.evaluate("document.body.append(Object.assign(document.createElement('p'), {id: 'still'}))")
    assert page.locator("#still").count() == 1
    # Every story's visit fails on a message of the console, so one refusal anywhere would be found.


def test_two_pages_never_share_a_nonce(served: Served) -> None:
    found = set()
    for _ in range(3):
        with urllib.request.urlopen(served.url) as answer:  # noqa: S310 - loopback
            found.add(answer.headers["Content-Security-Policy"].split("nonce-")[1].split("'")[0])
            assert f'nonce="{next(iter(found))}"'.encode() in answer.read() or len(found) > 1
    assert len(found) == 3


@pytest.mark.parametrize(("width", "height"), [(390, 844), (768, 1024), (1440, 900), (2200, 1200)])
def test_nothing_sticks_out_from_phone_to_wide_screen(
    served: Served, visit: Visit, screenshots: Path, width: int, height: int
) -> None:
    page = visit(served.url, width=width, height=height, has_touch=width < 800, color_scheme="light")
    at_start(page, served)
    page.screenshot(path=screenshots / f"start-{width}.png")
    with_results(page, served)
    page.wait_for_timeout(400)
    page.screenshot(path=screenshots / f"results-{width}.png")
    for address in ("", "/base", "/add"):
        if address:
            page.goto(f"{served.url}{address}")
            page.wait_for_selector("h1")
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, address


def test_the_search_button_is_always_at_hand_on_a_phone(served: Served, visit: Visit) -> None:
    page = visit(served.url, width=390, height=844, has_touch=True)
    at_start(page, served)
    for depth in (0, 300, 700):
        page.evaluate(f"window.scrollTo(0, {depth})")
        assert page.evaluate("document.querySelector('#search').getBoundingClientRect().bottom <= innerHeight")
    assert page.locator("input[capture]").count() == 1, "a phone offers its camera"


def test_the_theme_follows_the_system_until_it_is_chosen(served: Served, visit: Visit) -> None:
    page = visit(served.url, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)
    page.click("button[aria-label='Light or dark']")
    light = page.evaluate(ground)
    assert dark != light
    page.reload()
    page.wait_for_selector("#text")
    assert page.evaluate(ground) == light


def test_everything_is_reached_by_the_keyboard(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    at_start(page, served)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("blue-whitish veil")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".card code")
    page.locator("header a >> nth=0").focus()
    reached = set()
    for _ in range(140):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.className + '|' + document.activeElement.id"))
    for wanted in ("|text", "|search", "|local-weight", "frame open|", "mark-yes|"):
        assert any(wanted in found for found in reached), (wanted, sorted(reached))
    page.locator(".card .open >> nth=0").focus()
    page.keyboard.press("r")
    page.wait_for_selector(".mark-bar:has-text('1 relevant')")
    outline = page.evaluate("getComputedStyle(document.querySelector('.card .open')).outlineStyle")
    assert outline == "solid", "the focus is seen"


def test_motion_is_left_out_for_those_who_ask(served: Served, visit: Visit) -> None:
    page = visit(served.url, reduced_motion="reduce")
    with_results(page, served)
    assert page.evaluate("getComputedStyle(document.querySelector('.bar rect')).transitionDuration") in ("0s", "1e-05s")
