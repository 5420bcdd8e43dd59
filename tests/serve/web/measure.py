"""How fast the page is: ``python -m tests.serve.web.measure --cases 10000``.

Grows a base of synthetic cases by turning their vectors a little, serves it by the command line, and times real
Chromium: from navigation to a form that answers, and from the click to the last of the hits' pictures.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, sync_playwright

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


def paints(browser: Browser, url: str, times: int) -> list[float]:
    """Seconds from navigation to a form that answers, each in a fresh profile without any cache."""
    found = []
    for _ in range(times):
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        begun = time.perf_counter()
        page.goto(url)
        page.wait_for_selector("#search")
        until(page, "Boolean(window.htmx)")
        found.append(time.perf_counter() - begun)
        page.context.close()
    return found


def searches(browser: Browser, url: str, images: list[Path]) -> tuple[list[float], list[float]]:
    """Seconds from the click to the last picture, with image and words; and from a step of λ to the new ranking."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(url)
    page.wait_for_selector("#search")
    asked, moved = [], []
    shown = "[...document.querySelectorAll('ol.cards img')].filter(i => i.complete && i.naturalWidth).length >= 10"
    for i, image in enumerate(images):
        page.set_input_files("input[type=file] >> nth=0", image)
        page.wait_for_selector(".well:not([hidden]) img")
        page.fill("#text", "atypical network" if i % 2 else "irregular streaks, blue-whitish veil")
        page.wait_for_timeout(600)
        before = page.inner_text("ol.cards") if i else ""
        begun = time.perf_counter()
        page.click("#search")
        while (i and page.inner_text("ol.cards") == before) or not page.evaluate(shown):
            page.wait_for_timeout(5)
        asked.append(time.perf_counter() - begun)
        if not page.locator("#local-weight").is_visible():
            page.click("#advanced summary")
        weight = f"{0.3 + 0.05 * (i % 9):.2f}".rstrip("0")
        begun = time.perf_counter()
        page.locator("#local-weight").fill(weight)
        until(page, f"document.querySelector('[name=\"lambda.now\"]').value === '{float(weight):g}'")
        moved.append(time.perf_counter() - begun)
    return asked, moved


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
            painted = paints(browser, url, options.paints)
            asked, moved = searches(browser, url, [case.image for case in cases[80:]])
            browser.close()
    figures = {
        "cases": options.cases, "paint": _summary(painted), "search": _summary(asked), "lambda": _summary(moved),
    }  # fmt: skip
    print(json.dumps(figures, indent=1))  # noqa: T201


if __name__ == "__main__":
    main()
