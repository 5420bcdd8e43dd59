"""Docstrings name things as ``:class:`~package.Name```; the site shows the name."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|func|meth|mod|attr|data|exc):`~?([^`]+)`")


class PlainRoles(griffe.Extension):
    """Replaces each role by its last name, in the font of code."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(lambda role: f"`{role[1].rsplit('.', 1)[-1]}`", obj.docstring.value)
