"""What the middlewares need to know about the paths of the service."""

from __future__ import annotations

import re

from starlette.types import Message, Scope

__all__ = [
    "SIGN_IN",
    "SIGN_OUT",
    "SOCKET",
    "STATIC",
    "is_api",
    "is_public",
    "is_static",
    "is_use",
    "needs_token",
    "path_of",
    "rate_cost",
]

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
STATIC = "/static/"
SOCKET = "/_nicegui_ws/"
_PUBLIC = frozenset({SIGN_IN, "/healthz", "/readyz", "/favicon.ico"})
_NOT_PAGES = ("/api/", "/metrics", "/healthz", "/readyz", "/_nicegui")
_UNASKED = re.compile(r'42\["(?:ack|log)"')  # as NiceGUI's script writes them
_TYPED = frozenset({"/read"})
"""Asked while somebody types."""
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
    return path.startswith(STATIC) or (
        path.startswith("/_nicegui/") and not path.startswith("/_nicegui/client/") and "dynamic_resources" not in path
    )


def rate_cost(path: str) -> float:
    """What a request costs of the rate; less for pictures and files, because a page loads many."""
    return 0.0 if is_static(path) else 0.1 if path.endswith(_PICTURES) else 0.3 if path in _TYPED else 1.0


def needs_token(path: str) -> bool:
    """Whether a change needs the session's CSRF token in a header.

    Forms have it in a field. NiceGUI's addresses hold a random id that only this session's page knows, which serves as
    a token.
    """
    return path not in (SIGN_IN, SIGN_OUT) and not path.startswith(("/_nicegui/client/", SOCKET))


def is_use(scope: Scope, message: Message) -> bool:
    """Whether a message shows that somebody is active: an idle page only answers pings, confirms updates, logs faults.

    Any other event counts, also with an id, a namespace or binary parts.
    """
    if not path_of(scope).startswith(SOCKET):
        return True
    text = str(message.get("text") or "")
    return text.startswith(("42", "45")) and not _UNASKED.match(text)
