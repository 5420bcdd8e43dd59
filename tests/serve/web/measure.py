"""How fast the page is: ``python -m tests.serve.web.measure --cases 10000``.

Grows a base of synthetic cases by turning their vectors a little, serves it by the command line, and times real
Chromium: from navigation to a form that answers, also on a slow line; from the click to the last of the hits' pictures;
from a step of a slider to the new ranking; and from a click on a hit to both pictures of the comparison.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from dermquery.data.case_table import read_cases
from dermquery.lab.synthetic import synthesize
from dermquery.model.alignment import Vectors
from dermquery.model.parts import PartLayout
from dermquery.store.casebase import CaseBase
from tests.serve.web.conftest import chromium, serving, until

_BATCH = 2000


def grow(base: CaseBase, n: int, seed: int = 7) -> None:
    """Add copies of a base's cases, each with its vector turned by about ten degrees, until there are n."""
    random = np.random.default_rng(seed)
    rows = list(base.store.get(base.store.ids()).values())
    for start in range(len(rows), n, _BATCH):
        copies = []
        for i in range(start, min(start + _BATCH, n)):
            row = rows[i % len(rows)]
            case = row.case.model_copy(update={"case_id": f"grown-{i:06d}", "lesion_id": f"grown-{i:06d}"})
            copies.append(replace(row, case=case, vector=_turned(row.vector, base.manifest.layout, random)))
        base.store.upsert(copies)
    base.store.compact()


def _turned(vector: Vectors, layout: PartLayout, random: np.random.Generator) -> Vectors:
    part = layout.slices["blocks"]
    moved, noise = vector[None].copy(), 0.18 / np.sqrt(layout.blocks.width)
    moved[:, part] += random.normal(0, noise, moved[:, part].shape)
    blocks = layout.split(layout.normalised(moved, moved))["blocks"]
    return np.concatenate([blocks[0], vector[part.stop :]])


def paints(browser: Browser, url: str, times: int, *, slow: bool = False) -> list[float]:
    """Seconds from navigation to a form that answers, each in a fresh profile without any cache.

    A slow line carries 60 kB/s and takes 600 ms for a request and its answer.
    """
    found = []
    for _ in range(times):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        if slow:
            line = {"offline": False, "latency": 600, "downloadThroughput": 60_000, "uploadThroughput": 60_000}
            page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)
        begun = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_selector("#search")
        until(page, "Boolean(window.htmx)")
        found.append(time.perf_counter() - begun)
        page.context.close()
    return found


_WATCH = """() => {
  window.watched = {};
  const begin = (event) => (window.watched.begun ??= event.timeStamp);
  for (const kind of ["click", "input"]) addEventListener(kind, begin, { capture: true, once: true });
  const look = () => {
    const { begun } = window.watched;
    if (begun !== undefined && (CONDITION)) window.watched.took = performance.now() - begun;
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}"""
"""The page's own clock, from the event to the frame in which a condition holds: asking from outside every few
milliseconds costs the page as much again as what is timed."""


def _timed(page: Page, deed: Callable[[], Any], condition: str) -> float:
    page.evaluate(_WATCH.replace("CONDITION", condition))
    deed()
    until(page, "window.watched.took !== undefined")
    return float(page.evaluate("window.watched.took")) / 1000


def _pictures(within: str, most: int) -> str:
    """Whether the pictures within an element are there, all of them or so many."""
    of = f"[...document.querySelectorAll('{within} img[src]')]"
    return f"{of}.filter(i => i.complete && i.naturalWidth).length >= Math.min({most}, {of}.length || 1)"


def searches(browser: Browser, url: str, images: list[Path]) -> dict[str, list[float]]:
    """Seconds from the click to the last picture, with image and words; from a step of λ; and to a comparison."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(url)
    page.wait_for_selector("#search")
    found: dict[str, list[float]] = {"search": [], "lambda": [], "compare": []}
    shown = _pictures("ol.cards", 10)
    for i, image in enumerate(images):
        page.set_input_files("input[type=file] >> nth=0", image)
        page.wait_for_selector(".well:not([hidden]) img")
        page.fill("#text", "atypical network" if i % 2 else "irregular streaks, blue-whitish veil")
        page.wait_for_timeout(600)
        page.evaluate("document.querySelector('ol.cards')?.setAttribute('data-old', '')")
        new = f"Boolean(document.querySelector('ol.cards:not([data-old])')) && {shown}"
        found["search"].append(_timed(page, lambda: page.click("#search"), new))
        if not page.locator("#local-weight").is_visible():
            page.click("#advanced summary")
        weight = f"{0.3 + 0.05 * (i % 9):.2f}".rstrip("0")
        ranked = f"document.querySelector('[name=\"lambda.now\"]').value === '{float(weight):g}' && {shown}"
        move = partial(page.locator("#local-weight").fill, weight)
        found["lambda"].append(_timed(page, move, ranked))
        page.keyboard.press("Escape")  # closes the menu with the sliders
        page.wait_for_timeout(300)
        side_by_side = f"document.querySelector('#compare').open && {_pictures('#compare .panes', 10)}"
        opened = partial(page.locator(".card .open").nth(i % 10).click)
        found["compare"].append(_timed(page, opened, side_by_side))
        page.keyboard.press("Escape")
        page.evaluate("document.querySelector('#compare').replaceChildren()")
    return found


def _summary(seconds: list[float]) -> dict[str, Any]:
    return {
        "n": len(seconds),
        "median": round(float(np.median(seconds)), 3),
        "p95": round(float(np.quantile(seconds, 0.95)), 3),
        "max": round(max(seconds), 3),
        "all": [round(second, 3) for second in seconds],
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=24)
    parser.add_argument("--paints", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="keep cases and base here, and use those that are there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        cases = read_cases(synthesize(folder / "cases", n=80 + options.searches, size=(384, 384), workers=2)).cases
        base = CaseBase.open_or_create(folder / "base", "demo")
        if base.count() < options.cases:
            base.add(cases[:80])
            grow(base, options.cases)
        with serving(folder / "base", folder / "state") as url, sync_playwright() as playwright:
            browser = chromium(playwright)
            found = {"paint": paints(browser, url, options.paints)}
            found["slow line"] = paints(browser, url, max(1, options.paints // 2), slow=True)
            found |= searches(browser, url, [case.image for case in cases[80:]])
            browser.close()
    figures = {name: _summary(seconds) for name, seconds in found.items()}
    print(json.dumps({"cases": options.cases, **figures}, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
