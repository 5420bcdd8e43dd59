"""What the paths of the service are to the middlewares."""

from __future__ import annotations

import re

from starlette.types import Message, Scope

__all__ = [
    "SIGN_IN",
    "SIGN_OUT",
    "SOCKET",
    "is_api",
    "is_public",
    "is_static",
    "is_use",
    "needs_token",
    "path_of",
    "rate_cost",
]

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
SOCKET = "/_nicegui_ws/"
_PUBLIC = frozenset({SIGN_IN, "/healthz", "/readyz", "/favicon.ico"})
_NOT_PAGES = ("/api/", "/metrics", "/healthz", "/readyz", "/_nicegui")
_UNASKED = re.compile(r'42\["(?:ack|log)"')  # as NiceGUI's own script writes them
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
    """Whether it is one of NiceGUI's own files, equal for everybody; its address holds NiceGUI's version."""
    return (
        path.startswith("/_nicegui/") and not path.startswith("/_nicegui/client/") and "dynamic_resources" not in path
    )


def rate_cost(path: str) -> float:
    """What a request takes of the rate: a page shows many pictures, and loads many files."""
    return 0.0 if is_static(path) else 0.1 if path.endswith(_PICTURES) else 1.0


def needs_token(path: str) -> bool:
    """Whether a change needs the session's CSRF token in the header.

    Forms bring theirs in a field. NiceGUI's addresses hold a random id that only the page of this session knows, which
    is as good as a token.
    """
    return path not in (SIGN_IN, SIGN_OUT) and not path.startswith(("/_nicegui/client/", SOCKET))


def is_use(scope: Scope, message: Message) -> bool:
    """Whether somebody did something: a page that is merely open answers pings, confirms updates and reports faults.

    Any other event counts, however it is written: with an id, a namespace or binary parts.
    """
    if not path_of(scope).startswith(SOCKET):
        return True
    text = str(message.get("text") or "")
    return text.startswith(("42", "45")) and not _UNASKED.match(text)
