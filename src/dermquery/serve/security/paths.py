"""What the paths of the service are to the middlewares."""

from __future__ import annotations

from starlette.types import Scope

__all__ = ["API", "SIGN_IN", "SIGN_OUT", "SOCKET", "is_api", "is_picture", "is_public", "is_static", "path_of"]

SIGN_IN, SIGN_OUT, API = "/sign-in", "/sign-out", "/api/"
SOCKET = "/_nicegui_ws/"
_PUBLIC = frozenset({SIGN_IN, "/healthz", "/readyz"})
_NOT_PAGES = ("/api/", "/metrics", "/healthz", "/readyz", "/_nicegui")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", "/image", "/thumbnail")


def path_of(scope: Scope) -> str:
    """The path without the part that a proxy put before it."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] or "/" if root and (path == root or path.startswith(f"{root}/")) else path


def is_api(path: str) -> bool:
    """Whether programs ask here, so that refusals are problems and never a redirect to the sign-in page."""
    return path.startswith(_NOT_PAGES)


def is_public(path: str) -> bool:
    """Whether nobody has to sign in."""
    return path in _PUBLIC


def is_static(path: str) -> bool:
    """Whether it is one of the page's own files, equal for everybody."""
    return (
        path.startswith("/_nicegui/") and not path.startswith("/_nicegui/client/") and "dynamic_resources" not in path
    )


def is_picture(path: str) -> bool:
    """Whether it is one picture of the many that a page shows."""
    return path.endswith(_PICTURES)
