"""Write a synthetic data set to a folder: the tree of a prepared real one, and the masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from dermquery.data.case_table import write_cases
from dermquery.data.files import replacing
from dermquery.lab.synthetic.plan import CasePlan, draw_plans
from dermquery.lab.synthetic.render import SMALLEST, render_case

__all__ = ["synthesize"]

ABOUT = """These dermoscopy cases are synthetic: rendered by a program, not photographed.
No image shows a person and no row describes one. They serve to test and to demonstrate software.
They must not be used to train or judge a model for use on patients.

cases.csv   the case table; diagnosis groups, checklist values and sites occur as often as in Derm7pt
images/     one image per case
{masks}
renderer: 1
seed: {seed}
size: {width} x {height}
{quality}"""
_MASKS = "masks/      per case one black-and-white mask of the lesion and of each structure that is present\n"
QUALITY = 92


class _Job(NamedTuple):
    """One case to render."""

    out: Path
    plan: CasePlan
    seed: int
    size: tuple[int, int]
    quality: int
    masks: bool


def synthesize(
    out: Path,
    *,
    n: int = 600,
    seed: int = 7,
    size: tuple[int, int] = (512, 512),
    progress: Callable[[int], None] | None = None,
    workers: int = 1,
    quality: int = QUALITY,
    masks: bool = True,
) -> Path:
    """Render n synthetic cases into a folder; a second call continues where the first stopped.

    The same seed, size and quality give the same bytes, whatever n and workers are: case i of a small set is case i of
    a large one.

    Args:
        out: folder; made if missing. Receives ``cases.csv``, ``images/``, ``masks/`` and ``ABOUT.txt``.
        n: number of cases, at least 1.
        seed: non-negative integer.
        size: width and height in pixels.
        progress: called with 1 for each case that is there, rendered now or before.
        workers: processes that render.
        quality: of the JPEG images, 1 to 95.
        masks: write the masks of the structures too.

    Returns:
        Path of the case table.

    Raises:
        ValueError: if an argument is out of range, or the folder holds a set of other settings.
        NotADirectoryError: if out is a file.
    """
    plans = draw_plans(n, seed)
    if min(size) < SMALLEST:
        raise ValueError(f"size must be at least {SMALLEST} x {SMALLEST} pixels, got {size[0]} x {size[1]}")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    if not 1 <= quality <= 95:
        raise ValueError(f"quality must lie between 1 and 95, got {quality}")
    _claim(out, _about(seed, size, quality, masks=masks))
    missing = [plan for plan in plans if not _image(out, plan).exists()]
    tell = progress or (lambda _: None)
    if len(missing) < n:
        tell(n - len(missing))
    for _ in _write_all([_Job(out, plan, seed, size, quality, masks) for plan in missing], workers):
        tell(1)
    table = out / "cases.csv"
    write_cases([plan.as_case(_image(out, plan)) for plan in plans], table)
    return table


def _image(out: Path, plan: CasePlan) -> Path:
    return out / "images" / f"{plan.case_id}.jpg"


def _about(seed: int, size: tuple[int, int], quality: int, *, masks: bool) -> str:
    """Settings that are not the usual ones are named, so that a folder of an earlier version can be continued."""
    width, height = size
    unusual = "" if quality == QUALITY else f"quality: {quality}\n"
    return ABOUT.format(masks=_MASKS if masks else "", seed=seed, width=width, height=height, quality=unusual)


def _claim(out: Path, about: str) -> None:
    """Make the folder, or check that what it holds was made with the same settings."""
    if out.exists() and not out.is_dir():
        raise NotADirectoryError(f"{out} is a file; give a folder to write the synthetic cases to")
    note = out / "ABOUT.txt"
    if note.exists() and note.read_text(encoding="utf-8") != about:
        raise ValueError(f"{out} holds cases of another seed, size, quality or source ({note}); give another folder")
    with replacing(note) as part:
        part.write_text(about, encoding="utf-8")


def _write_all(jobs: Sequence[_Job], workers: int) -> Iterator[None]:
    """Render and write cases one by one, or in processes of their own."""
    if workers == 1 or len(jobs) < 2:
        yield from map(_write_one, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_write_one, jobs, chunksize=4)


def _write_one(job: _Job) -> None:
    """Render one case and write its masks, then its image: an image stands for a complete case."""
    rendered = render_case(job.plan, job.seed, job.size)
    for name, mask in rendered.masks.items() if job.masks else ():
        with replacing(job.out / "masks" / job.plan.case_id / f"{name}.png") as part:
            Image.fromarray(mask.astype(np.uint8) * 255).save(part)
    with replacing(_image(job.out, job.plan)) as part:
        rendered.image.save(part, quality=job.quality)
