"""What the pages of one server share, and one request for a page."""

from __future__ import annotations

import gzip
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from jinja2 import Environment
from starlette.datastructures import FormData
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dermquery import __version__
from dermquery.answer.content import SCORE_HINT, image_alt
from dermquery.answer.language import LANGUAGES
from dermquery.answer.rendering import environment_of
from dermquery.answer.words import (
    SELDOM,
    TITLES,
    UNITS,
    describe_case,
    diagnosis_title,
    remark_question,
    tones,
    value_title,
)  # fmt: skip
from dermquery.data.case import NUMBERS
from dermquery.data.checklist import CRITERIA
from dermquery.data.reading.lexicon import languages
from dermquery.serve.api.common import Call, ScopedRoute, call_of
from dermquery.serve.api.schemas import case_url
from dermquery.serve.kept import Kept
from dermquery.serve.security.browsers import give_cookie, name_browser
from dermquery.serve.service import SearchService
from dermquery.serve.settings import ServeSettings
from dermquery.serve.tongues import LANGUAGE_COOKIE
from dermquery.serve.uploads import KeptImages
from dermquery.serve.web import texts
from dermquery.serve.web.address import TOP_K
from dermquery.serve.web.failures import words_for
from dermquery.serve.web.question import LONGEST_TEXT, AskedQuestions
from dermquery.serve.web.static_files import StaticFiles

__all__ = ["POLICY", "Reading", "Site", "Visit", "Writing", "pages", "router", "spoken"]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Everything comes from this server; nothing is inline and nothing is evaluated."""
_MOST_FIELDS, _WORTH_PACKING, _A_YEAR = 1000, 1400, 365 * 86400
Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, eq=False)
class Site:
    """What the pages of one server share; ``undo`` is of :mod:`.records`."""

    service: SearchService
    settings: ServeSettings
    images: KeptImages
    undo: Kept[tuple[str, str], Any]
    asked: AskedQuestions = field(default_factory=AskedQuestions)
    files: StaticFiles = field(default_factory=StaticFiles)
    templates: Environment = field(default_factory=lambda: _environment())


@dataclass(frozen=True, eq=False)
class Visit(Call):
    """One request for a page of a site."""

    @property
    def site(self) -> Site:
        """What the pages share."""
        return cast("Site", self.request.app.state.site)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks for a part of the page."""
        return self.request.headers.get("hx-request") == "true"

    def to(self, path: str) -> str:
        """An address of this server."""
        return f"{self.root}{path}"

    def case_image(self, case_id: str, *, small: bool = False) -> str:
        """Address of a case's image."""
        return self.to(f"{case_url(case_id)}/{'thumbnail' if small else 'image'}")

    def case_page(self, case_id: str) -> str:
        """Address of a case's own page."""
        return self.to(f"/case?{_pair('id', case_id)}")

    def like(self, case_id: str, back: str = "") -> str:
        """Address of a search for more like a case."""
        return self.to(f"/?{_pair('like', case_id)}" + (f"&{_pair('back', back)}" if back else ""))

    async def form(self) -> FormData:
        """The form that was sent, without files."""
        return await self.request.form(max_files=0, max_fields=_MOST_FIELDS)

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page, or a part of one."""
        csrf = str(getattr(self.request.state, "csrf", ""))
        html = self.site.templates.get_template(template).render(visit=self, csrf=csrf, **values)
        headers = {"Content-Security-Policy": POLICY, "Vary": "Accept-Encoding, HX-Request"}
        data = html.encode()
        if len(data) > _WORTH_PACKING and "gzip" in self.request.headers.get("accept-encoding", ""):
            # Of a random length, which tells who listens nothing of how well a guess packs (BREACH).
            data = gzip.compress(data + f"<!--{secrets.token_hex(secrets.randbelow(48))}-->".encode(), 4)
            headers["Content-Encoding"] = "gzip"
        response = HTMLResponse(data, status, headers)
        name_browser(self.request, self.who, response)
        return response

    def failed(self, error: Exception) -> Response:
        """A page that says what could not be done."""
        status, words = words_for(error)
        return self.render("failed.html", status, problem=words)

    def refuse(self, error: Exception, target: str = "#problem") -> Response:
        """Say beside the control what could not be done; nothing else of the page changes."""
        status, words = words_for(error)
        response = self.render("problem.html", status, problem=words)
        response.headers.update({"HX-Retarget": target, "HX-Reswap": "innerHTML", "HX-Push-Url": "false"})
        return response


Reading = Annotated[Visit, Depends(call_of(Visit, "read"))]
"""The visit of somebody who may read."""
Writing = Annotated[Visit, Depends(call_of(Visit, "write"))]
"""The visit of somebody who may write."""


def pages() -> APIRouter:
    """A router for pages, which programs are not told of."""
    return APIRouter(include_in_schema=False, route_class=ScopedRoute)


router = pages()


@router.get("/static/{version}/{name}")
def static(visit: Reading, version: str, name: str) -> Response:
    """A file of the page."""
    return visit.site.files.answer(visit.request, name)


@router.get("/favicon.ico")
def favicon(request: Request) -> Response:
    """Where browsers look for the icon, also before anybody signs in."""
    icon = request.app.state.site.files.path("favicon.svg")
    return RedirectResponse(f"{request.scope.get('root_path', '')}{icon}", 303)


@router.post("/language")
async def switch_language(visit: Reading) -> Response:
    """Remember the language that was chosen, and load the page again: what it shows is in its address."""
    code = str((await visit.form()).get("language") or "")
    response: Response = RedirectResponse(visit.to("/"), 303)
    if visit.is_part:
        response = Response(status_code=204, headers={"HX-Refresh": "true"})
    if code in LANGUAGES:
        give_cookie(visit.request, response, LANGUAGE_COOKIE, code, visit.to("/"), _A_YEAR)
    return response


def spoken(target: str = "#problem") -> Callable[[Handler], Handler]:
    """Let a handler, which has a ``visit``, answer its errors in words, in the element that shows them."""

    def around(handle: Handler) -> Handler:
        @wraps(handle)
        async def handled(**given: Any) -> Response:
            try:
                return await handle(**given)
            except Exception as error:
                return cast("Visit", given["visit"]).refuse(error, target)

        return handled

    return around


def _pair(name: str, value: str) -> str:
    return f"{name}={quote(value, safe='')}"


def _environment() -> Environment:
    made = environment_of("dermquery.serve.web")
    made.globals.update(
        version=__version__,
        criteria=CRITERIA,
        together=texts.TERMS,
        longest=LONGEST_TEXT,
        counts_of_hits=TOP_K,
        titles=TITLES,
        seldom=SELDOM,
        numbers=NUMBERS,
        units=UNITS,
        tone_of=lambda name: tones([name])[name],
        describe_case=describe_case,
        diagnosis_title=diagnosis_title,
        image_alt=image_alt,
        score_hint=SCORE_HINT,
        part_names=texts.PARTS,
        languages=LANGUAGES,
        language_titles={code: known.name for code, known in languages().items()},
        remark_question=remark_question,
        value_title=value_title,
        presets_in_words=texts.PRESETS,
    )
    return made
