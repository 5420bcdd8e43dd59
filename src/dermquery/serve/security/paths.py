"""What the middlewares need to know about the paths of the service."""

from __future__ import annotations

from starlette.types import Scope

__all__ = [
    "SIGN_IN",
    "SIGN_OUT",
    "STATIC",
    "is_api",
    "is_public",
    "is_static",
    "needs_token",
    "path_of",
    "rate_cost",
]

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
STATIC = "/static/"
_PUBLIC = frozenset({SIGN_IN, "/healthz", "/readyz", "/favicon.ico"})
_NOT_PAGES = ("/api/", "/metrics", "/healthz", "/readyz", STATIC)
_TYPED = frozenset({"/read", "/weigh"})
"""Asked while somebody types or moves a slider."""
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", "/image", "/thumbnail")


def path_of(scope: Scope) -> str:
    """The path without the prefix of a proxy."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] or "/" if root and (path == root or path.startswith(f"{root}/")) else path


def is_api(path: str) -> bool:
    """Whether the path is for programs: its refusals are problems, never a redirect to the sign-in page."""
    return path.startswith(_NOT_PAGES)


def is_public(path: str) -> bool:
    """Whether the path needs no sign-in."""
    return path in _PUBLIC


def is_static(path: str) -> bool:
    """Whether the path is a file of the page: the same for everybody, at an address with its version."""
    return path.startswith(STATIC)


def rate_cost(path: str) -> float:
    """What a request costs of the rate; less for pictures and files, because a page loads many."""
    return 0.0 if is_static(path) else 0.1 if path.endswith(_PICTURES) else 0.3 if path in _TYPED else 1.0


def needs_token(path: str) -> bool:
    """Whether a change needs the session's CSRF token in a header; the sign-in's forms have it in a field."""
    return path not in (SIGN_IN, SIGN_OUT)
