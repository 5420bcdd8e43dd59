"""Extension points: what another package adds through an entry point, and a broken one named in one line.

An extension point is a group of entry points. Ours are written as a table in the code that uses them, so that finding
one searches no metadata and works in a copied folder too; another package's stand in its ``pyproject.toml``. Both are
found, loaded and checked alike (docs/extending.md, docs/decisions/0023-entry-points.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

__all__ = ["ExtensionError", "Extensions", "broken", "is_ours", "package_of"]

_PACKAGE = "dermquery"

T = TypeVar("T")


class ExtensionError(ValueError):
    """Another package's extension cannot be used; the message names the package and the remedy."""


@dataclass(frozen=True)
class Extensions(Generic[T]):
    """One extension point.

    Attributes:
        group: of entry points, for example ``dermquery.encoders``.
        what: one of them in a message, for example ``encoder``.
        fits: whether a loaded object is one.
        wanted: what an object has to be, for the message if it is not.
        own: this package's, by name, each as ``module:attribute``. Nobody else's takes such a name.
    """

    group: str
    what: str
    fits: Callable[[object], bool]
    wanted: str
    own: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Every name: ours in their order, then those of other packages, sorted."""
        return [*self.own, *sorted({entry.name for entry in entry_points(group=self.group)} - self.own.keys())]

    def find(self, name: str) -> T | None:
        """What has a name; None if nothing has.

        Raises:
            ExtensionError: another package's cannot be loaded or is no such thing, or two packages use the name.
        """
        entry = self._entry(name)
        if entry is None:
            return None
        try:
            found: T = entry.load()
        except Exception as error:
            if is_ours(entry):
                raise
            raise broken(entry, self.what, error) from error
        if not self.fits(found):
            raise ExtensionError(
                f"{_blame(entry, self.what)}: it gives {found!r} and not {self.wanted}; {_remedy(entry)}"
            )
        return found

    def origin(self, name: str) -> str:
        """Package and version that a name comes from; empty for ours and for an unknown one."""
        entry = self._entry(name)
        return "" if entry is None or is_ours(entry) else package_of(entry)

    @contextmanager
    def blamed(self, name: str) -> Iterator[None]:
        """Name the package where what it gave breaks while the block uses it.

        Errors that users can mend (ValueError, OSError) are passed on as they are, and so are all of ours.
        """
        try:
            yield
        except (ValueError, OSError):
            raise
        except Exception as error:
            entry = self._entry(name)
            if entry is None or is_ours(entry):
                raise
            raise broken(entry, self.what, error) from error

    def _entry(self, name: str) -> EntryPoint | None:
        if name in self.own:
            return EntryPoint(name, self.own[name], self.group)
        found = [*entry_points(group=self.group, name=name)]
        if len(found) > 1:
            packages = " and ".join(sorted(map(package_of, found)))
            raise ExtensionError(f"{packages} both have a {self.what} {name!r}; uninstall one of them")
        return found[0] if found else None


def broken(entry: EntryPoint, what: str, error: Exception) -> ExtensionError:
    """The one line about an extension that raised an error."""
    reason = str(error).strip().splitlines()
    said = f"{type(error).__name__}: {reason[0]}" if reason else type(error).__name__
    return ExtensionError(f"{_blame(entry, what)} ({said}); {_remedy(entry)}")


def is_ours(entry: EntryPoint) -> bool:
    """Whether it is one of this package: a defect there keeps its traceback."""
    return entry.value.startswith(f"{_PACKAGE}.") and (entry.dist is None or entry.dist.name == _PACKAGE)


def package_of(entry: EntryPoint) -> str:
    """Name and version of the package that an entry point belongs to."""
    return "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def _blame(entry: EntryPoint, what: str) -> str:
    return f"the {what} {entry.name!r} of the package {package_of(entry)} is broken"


def _remedy(entry: EntryPoint) -> str:
    name = "PACKAGE" if entry.dist is None else entry.dist.name
    return f"tell its authors, or remove it: pip uninstall {name}"
