"""How the page looks and can be reached: policy, accessibility, themes, sizes, keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.serve.web.conftest import Served, Visit, choose_image, picture, search
from tests.sharing import made_once

pytestmark = pytest.mark.slow

_AXE = "axe-core@4.10.2"


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, an independent accessibility checker; from npm, for tests only."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed, and axe-core comes from there")

    def install(folder: Path) -> None:
        command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", _AXE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode and not os.environ.get("CI"):
            pytest.skip(f"axe-core cannot be installed here: {done.stderr[-300:]}")
        assert done.returncode == 0, done.stderr

    folder = made_once(tmp_path_factory, "axe", install)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def findings(page: Page, axe: str, rules: str = "{}") -> list[str]:
    """What axe finds, of any grade."""
    page.wait_for_timeout(300)  # colours that change gently have arrived
    page.evaluate(axe)
    found: list[dict[str, Any]] = page.evaluate(f"axe.run({rules}).then(result => result.violations)")
    return [
        f"{rule['id']}: {node['html'][:200]} {json.dumps(node['any'][:1])[:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


def at_start(page: Page, served: Served) -> None:
    page.wait_for_selector(".example")


def with_results(page: Page, served: Served) -> None:
    choose_image(page, served.others[0].image)
    page.fill("#text", "atypical network, no streaks")
    page.click("#filters > summary")
    search(page)
    page.click(".mark.yes >> nth=0")
    page.click(".mark.no >> nth=1")


def comparing(page: Page, served: Served) -> None:
    with_results(page, served)
    page.click(".card .open >> nth=0")
    page.wait_for_selector("dialog[open] table.criteria")


def overview(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/base")
    page.wait_for_selector("[data-drawn]")


def adding(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/add")
    page.click("summary:has-text('checklist')")
    page.click("#add-case")
    page.wait_for_selector("#problem .problem")


def browsing(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/browse")
    page.wait_for_selector(".gallery img")


def one_case(page: Page, served: Served) -> None:
    page.goto(f"{served.url}/case?id={served.cases[1].case_id}")
    page.wait_for_selector("#neighbours img")
    page.click("#edit summary")


def test_axe_finds_nothing(served: Served, guarded: str, visit: Visit, axe: str) -> None:
    """In every state of the page; the dark theme has the same elements in other colours."""
    faults = {}

    def judged(page: Page, state: str) -> None:
        faults[state] = findings(page, axe)
        page.emulate_media(color_scheme="dark")
        faults[f"{state}, dark"] = findings(page, axe, '{runOnly: ["color-contrast"]}')

    states: list[Callable[[Page, Served], None]] = [
        at_start,
        with_results,
        comparing,
        overview,
        adding,
        browsing,
        one_case,
    ]
    for state in states:
        page = visit(served.url, color_scheme="light", bypass_csp=True, expected=(422,))  # axe adds styles of its own
        state(page, served)
        judged(page, state.__name__)
    judged(visit(guarded, color_scheme="light", bypass_csp=True, expected=(401,)), "sign_in")
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


@pytest.mark.parametrize(
    ("touched", "sizes"),
    [(True, ((768, 1024), (390, 844))), (False, ((1920, 1080), (1440, 900), (1024, 768)))],
    ids=["touched", "with a mouse"],
)
def test_nothing_sticks_out_from_phone_to_wide_screen(
    served: Served, visit: Visit, touched: bool, sizes: Sequence[tuple[int, int]]
) -> None:
    page = visit(served.url, has_touch=touched, color_scheme="light")

    def judged(shown: str) -> None:
        for width, height in sizes:
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, (shown, width)
            picture(page, f"{shown}-{width}")

    at_start(page, served)
    judged("start")
    with_results(page, served)
    judged("results")
    for path in ("base", "add", "browse", f"case?id={served.cases[1].case_id}"):
        page.goto(f"{served.url}/{path}")
        page.wait_for_selector("h1")
        judged(path.partition("?")[0])


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
    page.click("#theme")
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
    for wanted in ("|text", "|search", "|k", "frame open|"):
        assert any(wanted in found for found in reached), (wanted, sorted(reached))
    page.locator(".card .open >> nth=0").focus()
    page.keyboard.press("+")
    page.wait_for_selector(".mark-bar:has-text('1 marked +')")
    page.keyboard.press("-")
    page.wait_for_selector(".mark-bar:has-text('1 marked −')")
    page.keyboard.press("0")
    assert not page.locator(".mark-bar").is_visible()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.rank") not in ("1", "2")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    page.focus("#text")
    page.keyboard.type("+0?/")
    assert page.input_value("#text").endswith("+0?/"), "no key is taken from who is writing"
    page.locator(".card .open >> nth=0").focus()
    outline = page.evaluate("getComputedStyle(document.querySelector('.card .open')).outlineStyle")
    assert outline == "solid", "the focus is seen"


def test_motion_is_left_out_for_those_who_ask(served: Served, visit: Visit) -> None:
    page = visit(served.url, reduced_motion="reduce")
    with_results(page, served)
    page.evaluate("document.querySelector('#results').classList.add('htmx-request')")
    moving = """[...document.querySelectorAll('*')].map(getComputedStyle).filter(style => style.animationName !== 'none'
        || style.transitionDuration.split(', ').some(seconds => parseFloat(seconds) > .001)).length"""
    assert page.evaluate(moving) == 0


def test_two_full_rows_of_hits_are_seen_at_once(served: Served, visit: Visit) -> None:
    page = visit(served.url)
    page.fill("#text", "atypical network")
    search(page)
    bottoms = page.locator(".card").evaluate_all("cards => cards.map(card => card.getBoundingClientRect().bottom)")
    assert sorted(bottoms)[9] <= 900, "ten hits"


def test_the_query_stays_in_sight(served: Served, visit: Visit) -> None:
    for width, height, query in ((1440, 900, ".stage img"), (390, 844, ".mini img")):
        page = visit(served.url, width=width, height=height, has_touch=width < 800)
        choose_image(page, served.others[0].image)
        search(page)
        page.evaluate("document.querySelector('.card:last-child').scrollIntoView({block: 'end'})")
        top, bottom = page.locator(query).evaluate(
            "i => [i.getBoundingClientRect().top, i.getBoundingClientRect().bottom]"
        )
        assert 0 <= top < bottom <= height
