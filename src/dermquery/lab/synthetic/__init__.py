"""Synthetic dermoscopy: rendered cases whose structures follow checklist values drawn as often as in Derm7pt.

A stand-in for data that may not be passed on: tests, demonstrations and benchmarks drive the real commands with it. The
images are made by a program (:mod:`.render`), the values by the statistics of :mod:`.frequencies`; nothing is copied
from any real image.
"""

from dermquery.lab.synthetic.plan import CasePlan, draw_plans
from dermquery.lab.synthetic.render import Rendered, render_case
from dermquery.lab.synthetic.writer import synthesize

__all__ = ["CasePlan", "Rendered", "draw_plans", "render_case", "synthesize"]
