"""Bearer tokens of an identity provider (JWT, RFC 7519), checked against its public keys in a local file."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from dermquery.serve.security.identity import Principal, wider
from dermquery.serve.settings import OidcSettings

__all__ = ["TokenChecker"]

_LONGEST_TOKEN, _LONGEST_NAME = 16_384, 200


class TokenChecker:
    """Checks tokens and finds their principals.

    Raises:
        ValueError: the file holds no usable public key.
        OSError: the file cannot be read.
    """

    def __init__(self, settings: OidcSettings) -> None:
        self._settings = settings
        self._seen: tuple[int, int, int] | None = None
        self._reading = threading.Lock()
        self._claims = jwt.JWTClaimsRegistry(
            leeway=settings.leeway_seconds,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
            nbf={"essential": False},
            iat={"essential": False},
        )
        self._keys = self._current()

    def principal(self, token: str) -> Principal | None:
        """The principal of a token; None if anything about it is wrong.

        Raises:
            ValueError: the key set changed and cannot be used.
        """
        if len(token) > _LONGEST_TOKEN or token.count(".") != 2:
            return None
        keys = self._current()
        try:
            claims = jwt.decode(token, keys, algorithms=list(self._settings.algorithms)).claims
            self._claims.validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            return None
        name = _claim(claims, self._settings.name_claim)
        if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
            return None
        values = _claim(claims, self._settings.scope_claim)
        words = values.split() if isinstance(values, str) else values if isinstance(values, list) else []
        scopes = {
            self._settings.scopes[word] for word in words if isinstance(word, str) and word in self._settings.scopes
        }
        return Principal(name, wider(scopes), "oidc")

    def _current(self) -> KeySet:
        path = self._settings.jwks
        with self._reading:
            stat = path.stat()
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            if seen != self._seen:
                self._keys, self._seen = _read(self._settings), seen
            return self._keys


def _read(settings: OidcSettings) -> KeySet:
    try:
        found = json.loads(settings.jwks.read_bytes())["keys"]
        # Public keys for signatures only: with a symmetric key, whoever can read this file could make tokens.
        usable = [key for key in found if key.get("kty") in ("RSA", "EC", "OKP") and key.get("use", "sig") == "sig"]
        return KeySet.import_key_set({"keys": usable})
    except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{settings.jwks} holds no public key for signatures ({error}); store there what the provider publishes as "
            "its jwks_uri"
        ) from error


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a dotted path through objects."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
