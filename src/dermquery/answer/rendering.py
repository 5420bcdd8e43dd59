"""Templates of HTML, with the texts, numbers and days of whoever reads them."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from dermquery.answer import language
from dermquery.answer.words import upper_first

__all__ = ["environment_of"]


def environment_of(package: str) -> Environment:
    """The templates of a package: everything is escaped, and a name that nothing has is an error."""
    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(language._, language.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.globals.update(language=language.current, number=language.number, day=language.day, upper_first=upper_first)
    return made
