"""Synthetic dermoscopy: rendered cases whose checklist values occur as often as in Derm7pt.

Tests, demonstrations and benchmarks use them in place of data that may not be passed on. :mod:`.plan` draws the values
by the statistics of :mod:`.frequencies`, :mod:`.render` draws the images; nothing is copied from a real image.
"""

from dermquery.lab.synthetic.plan import CasePlan, draw_plans
from dermquery.lab.synthetic.render import Rendered, render_case
from dermquery.lab.synthetic.writer import synthesize

__all__ = ["CasePlan", "Rendered", "draw_plans", "render_case", "synthesize"]
