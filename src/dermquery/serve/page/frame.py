"""The frame of every page: style, header with navigation, notices, footer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any, cast

from nicegui import Client, background_tasks, core, ui
from starlette.requests import Request

from dermquery import __version__
from dermquery.serve.api.common import owner_of
from dermquery.serve.api.schemas import case_url
from dermquery.serve.audit_log import AuditLog
from dermquery.serve.base_facts import BaseFacts
from dermquery.serve.kept import Kept
from dermquery.serve.page import texts
from dermquery.serve.page.dom import Element, el, link
from dermquery.serve.prepared import KEPT_SECONDS
from dermquery.serve.security.identity import Principal, principal_of
from dermquery.serve.service import Answer, SearchService
from dermquery.serve.settings import ServeSettings
from dermquery.serve.uploads import KeptImages
from dermquery.store.protocol import ExplainingEncoder

__all__ = ["Site", "Visit", "frame"]

_STATIC = Path(__file__).parent / "static"


class _Theme(Element, component="static/theme.js"):
    """The switch between light and dark."""


@dataclass(frozen=True, eq=False)
class Site:
    """What the pages of one server share.

    Attributes:
        answers: shown by open pages, for their reports, by owner and key: an address holds the key and never the query.
    """

    service: SearchService
    settings: ServeSettings
    images: KeptImages
    audit: AuditLog
    facts: BaseFacts
    answers: Kept[tuple[str, str], Answer] = field(default_factory=lambda: Kept(512, idle=KEPT_SECONDS))

    @property
    def explains(self) -> bool:
        """Whether the model can say which regions a similarity comes from."""
        return isinstance(self.service.base.model, ExplainingEncoder)


@dataclass(frozen=True, eq=False)
class Visit:
    """One opening of a page.

    Attributes:
        site: the server's.
        who: the person.
        root: path under which a proxy shows the server; every address begins with it.
        token: CSRF token for requests that change something.
    """

    site: Site
    who: Principal
    root: str
    token: str

    @classmethod
    def of(cls, site: Site, request: Request) -> Visit:
        """The visit that begins with a request."""
        return cls(
            site,
            principal_of(request),
            str(request.scope.get("root_path", "")),
            str(getattr(request.state, "csrf", "")),
        )

    @property
    def owner(self) -> str:
        """The owner of this visit's prepared queries, images and answers, as in the API."""
        return owner_of(self.who)

    def to(self, path: str) -> str:
        """An address of this server."""
        return f"{self.root}{path}"

    def case_image(self, case_id: str, *, small: bool = False) -> str:
        """Address of a case's image."""
        return self.to(f"{case_url(case_id)}/{'thumbnail' if small else 'image'}")


@contextmanager
def frame(visit: Visit, here: str, title: str, kind: str = "") -> Iterator[None]:
    """Put the content of the block between header and footer.

    Args:
        visit: whose page it is.
        here: path of the page, to mark its link.
        title: of the page.
        kind: class of its layout.
    """
    client = ui.context.client
    _keep_to(client, visit)
    client.title = f"{title} · {texts.TITLE}"
    client.content.classes(f"page {kind}".strip())
    with client.layout.default_slot:
        header = el("header", cls="head")
        header.move(client.layout, 0)
        with header:
            _head(visit, here)
        with el("footer", cls="foot"):
            el("strong", texts.RESEARCH)
            el("span", texts.FOOTER)
            el("span", texts.VERSION.format(version=__version__))
    _style(visit, header)
    yield


def _keep_to(client: Client, visit: Visit) -> None:
    """End the page if another person's browser session connects to it, and open a new page for them.

    NiceGUI accepts any socket of the same tab: after one person signs out and another one in, a tab left open would
    continue with the new cookie and the old rights.
    """

    def connected() -> None:
        if _principal(client.environ) != visit.who:
            client.delete()
            # Not through the page's own queue, which ended with it.
            background_tasks.create(core.sio.emit("open", {"path": "/", "new_tab": False}, room=client.id))

    client.on_connect(connected)


def _principal(environ: dict[str, Any] | None) -> Principal | None:
    """The principal of a socket, as the guard found it."""
    state = (environ or {}).get("asgi.scope", {}).get("state", {})
    return cast("Principal | None", state.get("principal"))


def _style(visit: Visit, element: Element) -> None:
    """Link style sheet and scripts, at an address that changes with their content."""
    element.add_resource(_STATIC)
    folder = escape(visit.to(element.props.pop("resource-path")))
    ui.add_head_html(
        f'<script src="{folder}/head.js"></script><script defer src="{folder}/keys.js"></script>'
        f'<link rel="stylesheet" href="{folder}/page.css">'
    )


def _head(visit: Visit, here: str) -> None:
    with el("div", cls="bar-top"):
        with el("a", cls="brand", href=visit.to("/")):
            el("strong", texts.TITLE)
            el("span", texts.SUBTITLE)
        with el("nav", aria_label=texts.NAV):
            pages = [("/", texts.NAV_SEARCH), ("/base", texts.NAV_BASE)]
            pages += [("/add", texts.NAV_ADD)] if visit.who.may("write") else []
            for path, name in pages:
                link(name, visit.to(path), aria_current="page" if path == here else None)
        with el("div", cls="who"):
            if visit.who.method == "session":
                el("span", texts.SIGNED_IN.format(name=visit.who.name), cls="hint")
                with el("form", method="post", action=visit.to("/sign-out")):
                    el("input", type="hidden", name="csrf", value=visit.token)
                    el("button", texts.SIGN_OUT, "button small", type="submit")
            _Theme().props["label"] = texts.THEME
    with el("p", cls="research", role="note"):
        el("strong", texts.RESEARCH)
        if visit.site.settings.notice:
            el("span", visit.site.settings.notice)
