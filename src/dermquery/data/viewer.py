"""Where a case's images open in the picture archive's own viewer: an address with places for the DICOM UIDs.

Every web viewer takes a study by its UID in the address, each in its own way (OHIF
``/viewer?StudyInstanceUIDs=…``, Stone ``index.html?study=…``), so an address with places is all that is needed.
"""

from __future__ import annotations

import string
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from dermquery.data.case import Case

__all__ = ["Viewer"]

_FIELDS = {"study": "study_uid", "series": "series_uid", "instance": "instance_uid"}
_EXAMPLE = "https://pacs.example.org/viewer?StudyInstanceUIDs={study}"


@dataclass(frozen=True)
class Viewer:
    """A viewer by the address of a case in it.

    Attributes:
        template: an http or https address with ``{study}`` and, if the viewer takes them, ``{series}`` and
            ``{instance}`` in its path, query or fragment.

    Raises:
        ValueError: it is no such address; the message says what is wrong and shows one that is right.
    """

    template: str

    def __post_init__(self) -> None:
        if fault := _fault(self.template):
            raise ValueError(f"the viewer {self.template!r} {fault}; write for example {_EXAMPLE}")

    def address(self, case: Case) -> str | None:
        """Where the case opens; None if it lacks one of the UIDs."""
        uids = {name: getattr(case, _FIELDS[name]) for name in _places(self.template)}
        if not all(uids.values()):
            return None
        return self.template.format(**{name: quote(uid, safe="") for name, uid in uids.items()})


def _places(template: str) -> list[str]:
    """Names of the places; anything but a bare ``{name}`` keeps what makes it unknown, such as ``study!r``."""
    found = []
    for _, name, form, conversion in string.Formatter().parse(template):
        if name is not None:
            found.append(name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else ""))
    return found


def _fault(template: str) -> str | None:
    try:
        places, parts = _places(template), urlsplit(template)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"cannot be read ({error})"
    if parts.scheme not in ("http", "https") or not host:
        return "is no http or https address"
    if not template.isprintable() or set(template) & set(" \"'<>\\`"):
        return "holds a blank, a quote or another sign that no address has"
    if "@" in parts.netloc:
        return "holds a name or a password, which everybody would see"
    if set("{}") & set(parts.netloc):
        return "has a place in the name of its server"
    if unknown := [name for name in places if name not in _FIELDS]:
        return (
            f"has the unknown place {{{unknown[0]}}}, and only {', '.join(f'{{{name}}}' for name in _FIELDS)} are known"
        )
    return None if "study" in places else "lacks the place {study}"
