"""Every route by every identity. The routes are the app's own: one without a rule here fails the suite."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from joserfc.jwk import ECKey
from starlette.routing import Mount

from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.security.identity import Scope, required
from dermquery.serve.security.users import UserFile
from dermquery.serve.settings import OidcSettings
from dermquery.store.casebase import CaseBase
from tests.serve.conftest import Served, serving
from tests.serve.security.app import PASSWORD
from tests.serve.security.browser import sign_in
from tests.serve.security.test_oidc import AUDIENCE, ISSUER, FromNow, publish, token
from tests.store.conftest import make_cases
from tests.store.encoder import ProjectionEncoder

API = "/api/v1"
RULES: Mapping[tuple[str, str], str] = {
    **{(method, path): "public" for path in ("/healthz", "/readyz", "/favicon.ico") for method in ("GET",)},
    **{(method, "/sign-in"): "public" for method in ("GET", "POST")},
    ("GET", "/sign-out"): "read",
    ("GET", "/metrics"): "read",
    ("GET", f"{API}/openapi.json"): "read",
    ("GET", f"{API}/info"): "read",
    ("GET", f"{API}/fields/{{field}}"): "read",
    ("POST", f"{API}/searches"): "read",
    ("POST", f"{API}/searches/{{key}}"): "read",
    ("POST", f"{API}/searches/{{key}}/feedback"): "read",
    ("GET", f"{API}/searches/{{key}}/cases/{{case_id}}/overlay"): "read",
    ("GET", f"{API}/cases"): "read",
    ("GET", f"{API}/cases/{{case_id}}"): "read",
    ("GET", f"{API}/cases/{{case_id}}/image"): "read",
    ("GET", f"{API}/cases/{{case_id}}/thumbnail"): "read",
    ("POST", f"{API}/cases/{{case_id}}/similar"): "read",
    ("POST", f"{API}/cases"): "write",
    ("PUT", f"{API}/cases/{{case_id}}"): "write",
    ("DELETE", f"{API}/cases/{{case_id}}"): "write",
    ("POST", f"{API}/jobs"): "write",
    ("GET", f"{API}/jobs"): "write",
    ("GET", f"{API}/jobs/{{job_id}}"): "write",
    **{("POST", f"{API}/jobs/{{job_id}}/{what}"): "write" for what in ("cancel", "resume", "undo")},
    ("GET", f"{API}/searches/{{key}}/hits.{{ending}}"): "read",
    **{("GET", f"{API}/{what}"): "read" for what in ("map", "duplicates")},
    **{("GET", page): "read" for page in ("/", "/compare", "/history", "/browse", "/case", "/case/neighbours")},
    **{("GET", page): "read" for page in ("/base", "/base/duplicates", "/add", "/static/{version}/{name}")},
    **{("POST", page): "read" for page in ("/searches", "/weigh", "/read", "/images", "/history/forget", "/language")},
    **{("GET", f"/{what}/{{key}}/image"): "read" for what in ("images", "queries")},
    **{("POST", page): "write" for page in ("/add", "/case", "/case/delete", "/undo")},
    ("POST", "/sign-out"): "read",  # the last, for it ends sessions
}
"""What a route needs. A new one belongs here, and the line says who may use it."""
SCOPES: tuple[Scope, ...] = ("read", "write", "admin")
MAY = {"read": {"read"}, "write": {"read", "write"}, "admin": {"read", "write", "admin"}}
"""Scopes that rules name, by those of a key."""


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, dict[str, dict[str, str]]]]:
    """A service with its page, and headers of every identity."""
    folder = tmp_path_factory.mktemp("matrix")
    cases = make_cases(folder / "cases", 4)
    base = CaseBase.create(folder / "base", ProjectionEncoder())
    base.add(cases)
    keys = KeyFile(folder / "state" / "keys.json")
    made: dict[str, str] = {scope: keys.create(scope, scope) for scope in SCOPES}
    made |= {"revoked": keys.create("revoked", "admin"), "expired": keys.create("expired", "admin", 1e-6)}
    made |= tokens(folder / "jwks.json")
    for scope in SCOPES:
        UserFile(folder / "state" / "users.json").add(scope, scope, PASSWORD)
    oidc = OidcSettings(issuer=ISSUER, audience=AUDIENCE, jwks=folder / "jwks.json")
    with serving(base, folder / "state", cases, page=True, oidc=oidc) as running:
        keys.revoke("revoked")
        identities = {name: {"Authorization": f"Bearer {key}"} for name, key in made.items()}
        identities |= {"nobody": {}, "made up": {"X-API-Key": "dq_" + "x" * 60}}
        identities["one letter off"] = {"X-API-Key": made["admin"][:-1] + ("a" if made["admin"][-1] != "a" else "b")}
        identities["admin over another site"] = identities["admin"] | FOREIGN
        for scope in SCOPES:
            identities |= browsers(running.url, scope)
        yield running, identities


FOREIGN = {"Origin": "https://evil.example"}


def tokens(published: Path) -> dict[str, str]:
    """Tokens of an identity provider by scope, and some that are not to be believed."""
    key, other = (ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}) for _ in range(2))
    publish(published, key)
    made = {f"{scope} by token": token(key, "ES256", scope=f"dermquery.{scope}") for scope in SCOPES}
    made["expired token"] = token(key, "ES256", scope="dermquery.admin", exp=FromNow(-60))
    made["token of another provider"] = token(other, "ES256", scope="dermquery.admin")
    return made | {"no scope by token": token(key, "ES256", scope="openid")}


def browsers(url: str, user: str) -> dict[str, dict[str, str]]:
    """Somebody who signed in: on our page, without its token, from a page of another site, and after signing out."""
    signed = []
    for _ in range(2):
        with httpx.Client(base_url=url, follow_redirects=False, timeout=30) as browser:
            csrf = sign_in(browser, user)
            signed.append((csrf, {"Cookie": f"dermquery-session={browser.cookies['dermquery-session']}"}))
            if len(signed) == 2:
                assert browser.post("/sign-out", data={"csrf": csrf}, headers={"Origin": url}).status_code == 303
    (csrf, cookie), (gone, old) = signed
    ours = {**cookie, "Origin": url}
    return {
        f"{user} without a token": ours,
        f"{user} from another site": {**cookie, **FOREIGN, "X-CSRF-Token": csrf},
        f"{user} in a browser": {**ours, "X-CSRF-Token": csrf},  # after those that share its session, for it signs out
        f"signed out {user}": {**old, "Origin": url, "X-CSRF-Token": gone},
    }


def routes_of(router: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """All routes with their templates, those of included routers and mounted apps too."""
    for route in router.routes:
        if (included := getattr(route, "original_router", None)) is not None:  # how FastAPI keeps them
            yield from routes_of(included, prefix)
        elif isinstance(route, Mount) and hasattr(route.app, "routes"):
            yield from routes_of(route.app, prefix + route.path)
        else:
            yield prefix + route.path, route


def operations(app: Any) -> set[tuple[str, str]]:
    """Method and template of each route; a mounted app without routes counts as one. Not those that say "nothing"."""
    found = {(method, path) for path, route in routes_of(app) for method in getattr(route, "methods", None) or ("GET",)}
    return {(method, path) for method, path in found if method != "HEAD"} - NOTHING


ANY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
NOTHING = {(method, "/api/{rest:path}") for method in ANY} | {
    (method, path) for method in ANY[2:] for path in ("/healthz", "/readyz", "/metrics")
}


def test_every_route_has_a_rule_and_every_rule_a_route(locked: tuple[Served, Any]) -> None:
    assert operations(locked[0].app) == set(RULES)


def test_each_route_declares_what_its_rule_says(locked: tuple[Served, Any]) -> None:
    """So it is checked before the body is read; signing in and out are the guard's."""
    checked = 0
    for path, route in routes_of(locked[0].app):
        if not isinstance(route, APIRoute) or path in ("/sign-in", "/sign-out"):
            continue
        for method in set(route.methods or ()) - {"HEAD"} if route.endpoint.__name__ != "nothing" else ():
            assert required(route.dependant) == {RULES[method, path]} - {"public"}, (method, path)
            checked += 1
    assert checked >= 40


UNKNOWN = {"made up", "one letter off", "revoked", "expired", "expired token", "token of another provider"}
SIGNED_OUT = {"nobody", *(f"signed out {scope}" for scope in SCOPES)}
ELSEWHERE = ("without a token", "from another site", "over another site")


def allowed(identity: str, method: str, rule: str) -> set[int]:
    """Statuses that are right; those of whoever may are any but refusals and defects."""
    name, _, how = identity.partition(" ")
    if identity in UNKNOWN or (identity in SIGNED_OUT and rule != "public"):
        return {401}  # a key that is wrong is refused on public addresses too
    if rule == "public":
        return {403} if method == "POST" else {200, 303}  # a form without its token
    if (method != "GET" and how in ELSEWHERE) or rule not in MAY.get(name, ()):
        return {403}
    return set(range(200, 500)) - {401, 403, 405, 408, 413, 429}


def test_every_route_by_every_identity(locked: tuple[Served, dict[str, dict[str, str]]]) -> None:
    served, identities = locked
    wrong, asked = [], 0
    with httpx.Client(base_url=served.url, follow_redirects=False, timeout=60) as client:
        for (method, template), rule in RULES.items():
            path = re.sub(r"\{\w+(:path)?\}", "x", template)
            for name, headers in identities.items():
                status = client.request(method, path, headers=headers).status_code
                client.cookies.clear()
                asked += 1
                if status not in allowed(name, method, rule):
                    wrong.append((name, method, template, status))
    assert wrong == []
    assert asked == len(RULES) * len(identities) >= 900
    assert len(served.base) == 4
