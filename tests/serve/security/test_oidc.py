"""Tokens of an identity provider: real keys, made on the spot, and everything that is wrong with a token."""

from __future__ import annotations

import base64
import hmac
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

from dermquery.serve.security.identity import Principal, wider
from dermquery.serve.security.oidc import TokenChecker
from dermquery.serve.settings import OidcSettings
from tests.serve.security.app import HOST, bearer, make_service

ISSUER, AUDIENCE = "https://login.hospital.example/realms/derm", "dermquery"


@pytest.fixture(scope="module")
def keys() -> dict[str, Any]:
    return {
        "RS256": RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"}),
        "ES256": ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"}),
        "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "okp", "use": "sig"}),
    }


class FromNow(int):
    """Seconds from the moment when a token is made."""


def publish(path: Path, *keys: Any) -> None:
    path.write_text(json.dumps(KeySet(list(keys)).as_dict(private=False)))
    os.utime(path, ns=(time.time_ns(), time.time_ns()))


def checker(path: Path, **changes: Any) -> TokenChecker:
    return TokenChecker(OidcSettings.model_validate({"issuer": ISSUER, "audience": AUDIENCE, "jwks": path, **changes}))


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    made: dict[str, Any] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "u-17",
        "iat": now,
        "exp": now + 300,
        "scope": "openid dermquery.read",
    }
    made |= {name: now + value if isinstance(value, FromNow) else value for name, value in changes.items()}
    return {name: value for name, value in made.items() if value is not None}


def token(key: Any, algorithm: str, **changes: Any) -> str:
    header = {"alg": algorithm, "kid": key.kid}
    return jwt.encode(header, claims(**changes), key, algorithms=[algorithm])


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_good_token_names_a_principal(tmp_path: Path, keys: dict[str, Any], algorithm: str) -> None:
    publish(tmp_path / "jwks.json", *keys.values())
    found = checker(tmp_path / "jwks.json").principal(token(keys[algorithm], algorithm))
    assert found == Principal("u-17", frozenset({"read"}), "oidc")


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://login.evil.example"},
        {"iss": None},
        {"iss": [ISSUER]},
        {"aud": "another-service"},
        {"aud": ["another-service", "a-third"]},
        {"aud": None},
        {"exp": FromNow(-31)},
        {"exp": None},
        {"exp": "tomorrow"},
        {"nbf": FromNow(120)},
        {"iat": FromNow(3600)},
        {"sub": None},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": {"name": "x"}},
        {"sub": "x" * 1000},
    ],
    ids=str,
)
def test_claims_that_are_wrong(tmp_path: Path, keys: dict[str, Any], changes: dict[str, Any]) -> None:
    publish(tmp_path / "jwks.json", *keys.values())
    assert checker(tmp_path / "jwks.json").principal(token(keys["ES256"], "ES256", **changes)) is None


@pytest.mark.parametrize(
    "changes",
    [{"exp": FromNow(-20)}, {"nbf": FromNow(20)}, {"aud": ["other", AUDIENCE]}],
    ids=["exp", "nbf", "aud"],
)
def test_clocks_may_differ_a_little_and_audiences_be_many(
    tmp_path: Path, keys: dict[str, Any], changes: dict[str, Any]
) -> None:
    publish(tmp_path / "jwks.json", *keys.values())
    assert checker(tmp_path / "jwks.json", leeway_seconds=60).principal(token(keys["ES256"], "ES256", **changes))


def _encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_signatures_that_are_wrong(tmp_path: Path, keys: dict[str, Any]) -> None:
    publish(tmp_path / "jwks.json", *keys.values())
    check, good = checker(tmp_path / "jwks.json"), token(keys["RS256"], "RS256")
    header, payload, signature = good.split(".")
    stranger = RSAKey.generate_key(2048, {"kid": "rsa"})
    admin = _encoded(claims(scope="dermquery.admin"))
    unsigned = _encoded({"alg": "none", "typ": "JWT"})
    bad = {
        "another key": token(stranger, "RS256"),
        "changed claims": f"{header}.{admin}.{signature}",
        "no signature": f"{header}.{payload}.",
        "alg none": f"{unsigned}.{admin}.",
        "alg none, signed": f"{unsigned}.{admin}.{signature}",
        "unknown kid": jwt.encode({"alg": "RS256", "kid": "x"}, claims(), keys["RS256"], algorithms=["RS256"]),
        "no kid, several keys": jwt.encode({"alg": "RS256"}, claims(), keys["RS256"], algorithms=["RS256"]),
        "not allowed": jwt.encode({"alg": "PS256", "kid": "rsa"}, claims(), keys["RS256"], algorithms=["PS256"]),
        "crit": f"{_encoded({'alg': 'RS256', 'kid': 'rsa', 'crit': ['x'], 'x': 1})}.{payload}.{signature}",
        "four parts": f"{good}.x",
        "nothing": "..",
        "long": good + "A" * 20_000,
    }
    assert check.principal(good) is not None
    assert {why for why, text in bad.items() if check.principal(text) is not None} == set()


@pytest.mark.parametrize("secret", ["pem", "der", "jwk"])
def test_a_public_key_is_no_shared_secret(tmp_path: Path, keys: dict[str, Any], secret: str) -> None:
    """The algorithm confusion attack: HS256, with the public key's own bytes as the secret."""
    key = keys["RS256"]
    publish(tmp_path / "jwks.json", key)
    shared = {"pem": key.as_pem(private=False), "der": key.as_der(private=False)}.get(
        secret, json.dumps(key.as_dict(private=False)).encode()
    )
    signed = f"{_encoded({'alg': 'HS256', 'kid': 'rsa'})}.{_encoded(claims())}"
    signature = base64.urlsafe_b64encode(hmac.digest(shared, signed.encode(), "sha256")).rstrip(b"=").decode()
    forged = f"{signed}.{signature}"
    assert checker(tmp_path / "jwks.json").principal(forged) is None


def test_symmetric_algorithms_cannot_be_allowed(tmp_path: Path) -> None:
    for algorithm in ("HS256", "none"):
        with pytest.raises(ValueError, match="algorithms"):
            checker(tmp_path / "jwks.json", algorithms=[algorithm])


def test_a_shared_secret_in_the_key_set_is_not_used(tmp_path: Path, keys: dict[str, Any]) -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    content = {"keys": [keys["ES256"].as_dict(private=False), secret.as_dict(private=True)]}
    (tmp_path / "jwks.json").write_text(json.dumps(content))
    forged = jwt.encode({"alg": "HS256", "kid": "shared"}, claims(), secret, algorithms=["HS256"])
    assert checker(tmp_path / "jwks.json").principal(forged) is None
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [secret.as_dict(private=True)]}))
    with pytest.raises(ValueError, match="holds no public key"):
        checker(tmp_path / "jwks.json")


def test_a_key_for_encryption_signs_nothing(tmp_path: Path) -> None:
    key = RSAKey.generate_key(2048, {"kid": "enc"})
    other = ECKey.generate_key("P-256", {"kid": "ec"})
    content = {"keys": [key.as_dict(private=False) | {"use": "enc"}, other.as_dict(private=False)]}
    (tmp_path / "jwks.json").write_text(json.dumps(content))
    assert checker(tmp_path / "jwks.json").principal(token(key, "RS256")) is None


def test_the_provider_rotates_its_keys(tmp_path: Path, keys: dict[str, Any]) -> None:
    path = tmp_path / "jwks.json"
    publish(path, keys["RS256"])
    check = checker(path)
    old, new = token(keys["RS256"], "RS256"), token(keys["ES256"], "ES256")
    assert check.principal(old) is not None
    assert check.principal(new) is None
    publish(path, keys["RS256"], keys["ES256"])
    assert check.principal(old) is not None
    assert check.principal(new) is not None
    publish(path, keys["ES256"])
    assert check.principal(old) is None
    assert check.principal(new) is not None


@pytest.mark.parametrize(
    ("settings", "changes", "scopes"),
    [
        ({}, {"scope": "dermquery.write profile"}, wider(("write",))),
        ({}, {"scope": ["dermquery.admin"]}, wider(("admin",))),
        ({}, {"scope": "dermquery.administrator"}, frozenset()),
        ({}, {"scope": None}, frozenset()),
        ({}, {"scope": 7}, frozenset()),
        ({}, {"scope": [["dermquery.admin"], {"x": 1}]}, frozenset()),
        (
            {"scope_claim": "realm_access.roles", "scopes": {"Dermatologist": "write"}},
            {"realm_access": {"roles": ["Dermatologist", "offline_access"]}},
            wider(("write",)),
        ),
        ({"scope_claim": "https://derm.example/roles", "scopes": {"r": "read"}}, {"https://derm.example/roles": ["r"]},
         wider(("read",))),
    ],
)  # fmt: skip
def test_scopes_come_from_a_claim(
    tmp_path: Path, keys: dict[str, Any], settings: dict[str, Any], changes: dict[str, Any], scopes: frozenset[str]
) -> None:
    publish(tmp_path / "jwks.json", *keys.values())
    found = checker(tmp_path / "jwks.json", **settings).principal(token(keys["ES256"], "ES256", **changes))
    assert found is not None
    assert found.scopes == scopes


def test_the_principal_can_have_another_name(tmp_path: Path, keys: dict[str, Any]) -> None:
    publish(tmp_path / "jwks.json", *keys.values())
    check = checker(tmp_path / "jwks.json", name_claim="preferred_username")
    found = check.principal(token(keys["ES256"], "ES256", preferred_username="ann@hospital.example"))
    assert found is not None
    assert found.name == "ann@hospital.example"
    assert check.principal(token(keys["ES256"], "ES256")) is None


def test_key_sets_that_cannot_be_used(tmp_path: Path) -> None:
    for content in ("", "{}", "[]", '{"keys": []}', '{"keys": [1]}', '{"keys": [{"kty": "RSA"}]}'):
        (tmp_path / "jwks.json").write_text(content)
        with pytest.raises(ValueError, match="holds no public key for signatures"):
            checker(tmp_path / "jwks.json")


def test_through_the_chain(tmp_path: Path, keys: dict[str, Any]) -> None:
    publish(tmp_path / "jwks.json", *keys.values())
    oidc = {"issuer": ISSUER, "audience": AUDIENCE, "jwks": str(tmp_path / "jwks.json")}
    service = make_service(tmp_path / "state", oidc=oidc)
    client = service.client()
    good = {"Authorization": f"Bearer {token(keys['RS256'], 'RS256')}"}
    assert client.get("/api/v1/who", headers=good).json() == {"name": "u-17", "scopes": ["read"], "method": "oidc"}
    assert client.get("/", headers=good).text == "<p>u-17</p>"
    assert client.get("/api/v1/who").status_code == 401
    expired = {"Authorization": f"Bearer {token(keys['RS256'], 'RS256', exp=1)}"}
    answer = client.get("/api/v1/who", headers=expired)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert client.post("/api/v1/change", headers=good).status_code == 403
    without = {"Authorization": f"Bearer {token(keys['RS256'], 'RS256', scope='email')}"}
    answer = client.get("/api/v1/who", headers=without)
    assert answer.status_code == 403
    assert "needs the scope 'read'; u-17 has none" in answer.json()["detail"]
    assert client.get("/", headers=without).status_code == 403, "the pages show cases too"
    assert [line["principal"] for line in service.log("refused")][-2:] == ["u-17"] * 2


def test_a_token_that_a_proxy_adds_serves_no_foreign_page(tmp_path: Path, keys: dict[str, Any]) -> None:
    """As behind oauth2-proxy, where the browser of somebody who is signed in has its token sent by whatever asks."""
    publish(tmp_path / "jwks.json", *keys.values())
    oidc = {"issuer": ISSUER, "audience": AUDIENCE, "jwks": str(tmp_path / "jwks.json")}
    service = make_service(tmp_path / "state", oidc=oidc, cors_origins=("https://viewer.example",))
    client = service.client(headers=bearer(token(keys["RS256"], "RS256", scope="dermquery.write")))
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.post("/api/v1/change", headers=foreign)
        assert (answer.status_code, answer.json()["title"]) == (403, "Another origin"), foreign
    ours, other = {"Origin": f"http://{HOST}"}, {"Origin": "https://viewer.example"}
    for good in (ours, other, {"Sec-Fetch-Site": "same-origin"}, {}):
        assert client.post("/api/v1/change", headers=good).status_code == 200, good
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/", headers=link).status_code == 200, "a link on another site may lead here"
