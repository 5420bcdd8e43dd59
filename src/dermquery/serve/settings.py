"""Settings of the service: a ``[serve]`` section in TOML, then the flags of the command line."""

from __future__ import annotations

import ipaddress
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from dermquery.data.files import make_folder
from dermquery.data.home import default_state
from dermquery.data.viewer import Viewer

__all__ = [
    "Algorithm",
    "OidcSettings",
    "ServeSettings",
    "default_state",
    "load_settings",
    "usable_state",
]

Scope = Literal["read", "write", "admin"]
#: Signatures with a public key only: with HS*, whoever can read the key set could sign; "none" is no signature.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
MIB = 1 << 20


def usable_state(folder: Path) -> Path:
    """The folder itself, made if need be.

    Raises:
        ValueError: nothing can be written there.
    """
    try:
        make_folder(folder, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise ValueError(
            f"the state folder {folder} cannot be written ({error.strerror}); name another by --state FOLDER or by "
            "the variable DERMQUERY_STATE"
        ) from error


def _origin(value: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or value != f"{parts.scheme}://{parts.netloc}":
        raise ValueError(f"{value!r} is no origin; write it as https://name or https://name:port")
    return value.lower()


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is no address or network; write 127.0.0.1 or 10.0.0.0/8") from error


def _viewer(value: object) -> object:
    return Viewer(value) if isinstance(value, str) else value


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class OidcSettings(_Section):
    """Bearer tokens of an identity provider, checked against a key set in a local file, without network access.

    Attributes:
        issuer: what ``iss`` must be.
        audience: what ``aud`` must hold.
        jwks: file with the provider's public keys (RFC 7517); read again when it changes.
        algorithms: accepted signatures.
        scope_claim: claim with scopes or roles, a list or words in a string; dots lead into objects
            (``realm_access.roles``).
        scopes: which value of that claim gives which scope here.
        name_claim: claim that names the principal, in the audit log too.
        leeway_seconds: how far the two clocks may differ.
    """

    issuer: str
    audience: str
    jwks: Path
    algorithms: tuple[Algorithm, ...] = Field(default=("RS256", "ES256", "EdDSA"), min_length=1)
    scope_claim: str = "scope"
    scopes: Mapping[str, Scope] = {"dermquery.read": "read", "dermquery.write": "write", "dermquery.admin": "admin"}
    name_claim: str = "sub"
    leeway_seconds: int = Field(default=30, ge=0, le=300)


class ServeSettings(_Section):
    """The settings of the service.

    Attributes:
        base: folder of the case base, or ``milvus://…``.
        model: shipped name or folder of an artifact; None takes what the base names.
        host: address to listen on. Any but loopback needs authentication, see
            :func:`.security.binding.check_binding`.
        port: port to listen on.
        state: folder of keys, users, jobs and the audit log, for its owner only (0700).
        oidc: tokens of an identity provider; None accepts none.
        hosts: names of the service besides its own address, such as the public name of a proxy.
        trusted_proxies: addresses or networks of proxies whose ``X-Forwarded-For`` and ``-Proto`` count.
        cors_origins: origins whose pages may call the API with a key or token; cookies never cross.
        root_path: path under which a proxy shows the service.
        upload_bytes: largest body of a request, in bytes.
        job_upload_bytes: largest body of a request that submits a job (a table with many images), in bytes.
        job_disk_bytes: what uploads of jobs may take of the disk while they arrive and wait, in bytes.
        max_pixels: largest image, in pixels.
        decode_seconds: time for decoding an image, after which it is refused.
        request_seconds: time until an answer must begin.
        rate_per_minute: requests of one principal, or of one address without any.
        concurrency: encodings at once.
        waiting: encodings that may wait; further ones are refused.
        session_idle_minutes: time without a request after which a session ends.
        session_hours: time after which a session ends in any case.
        history: last searches that the page lists for who asked them, while the server runs; 0 lists none.
        keep_query_images: keep the images of queries; otherwise the log has only their hash.
        audit_bytes: size at which a new file of the audit log begins.
        viewer: address of a picture archive's viewer with ``{study}`` in it, which hits of that archive link to.
        notice: a line shown on every page, such as "These cases are synthetic."
    """

    base: str
    model: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8420, ge=0, le=65535)
    state: Path = Field(default_factory=default_state)
    oidc: OidcSettings | None = None
    hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[Annotated[str, AfterValidator(_network)], ...] = ()
    cors_origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
    root_path: str = Field(default="", pattern=r"^(/[A-Za-z0-9._~-]+)*$")
    upload_bytes: int = Field(default=20 * MIB, ge=1024)
    job_upload_bytes: int = Field(default=512 * MIB, ge=1024)
    job_disk_bytes: int = Field(default=2048 * MIB, ge=1024)
    max_pixels: int = Field(default=64_000_000, ge=1)
    decode_seconds: float = Field(default=10, gt=0)
    request_seconds: float = Field(default=30, gt=0)
    rate_per_minute: int = Field(default=120, ge=1)
    concurrency: int = Field(default=2, ge=1)
    waiting: int = Field(default=64, ge=0)
    session_idle_minutes: float = Field(default=60, gt=0)
    session_hours: float = Field(default=12, gt=0)
    history: int = Field(default=20, ge=0, le=100)
    keep_query_images: bool = False
    audit_bytes: int = Field(default=64 * MIB, ge=4096)
    viewer: Annotated[Viewer | None, BeforeValidator(_viewer)] = None
    notice: str | None = None

    @field_validator("hosts")
    @classmethod
    def _lower(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if bad := [host for host in hosts if not host or set(host) & set("/@*? ")]:
            raise ValueError(f"{bad[0]!r} is no host name; write it as cases.example.org, without scheme or path")
        return tuple(host.lower() for host in hosts)

    @property
    def keys_file(self) -> Path:
        """API keys, hashed."""
        return self.state / "keys.json"

    @property
    def users_file(self) -> Path:
        """People who may sign in, with password hashes."""
        return self.state / "users.json"

    @property
    def audit_folder(self) -> Path:
        """Files of the audit log."""
        return self.state / "audit"


def load_settings(file: Path | None = None, /, **flags: Any) -> ServeSettings:
    """Read settings from the ``[serve]`` section of a TOML file; flags that are not None override it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not TOML, unknown keys, or values out of range; the message lists every problem.
    """
    values: dict[str, Any] = {}
    if file is not None:
        if not file.is_file():
            raise FileNotFoundError(f"no configuration {str(file)!r}: give a TOML file with a [serve] section")
        try:
            values = dict(tomllib.loads(file.read_text(encoding="utf-8")).get("serve", {}))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{file} is not TOML: {error}") from error
    values |= {name: value for name, value in flags.items() if value is not None}
    try:
        return ServeSettings.model_validate(values)
    except ValidationError as error:
        lines = [f"  serve.{'.'.join(map(str, e['loc']))}: {_words(e)}" for e in error.errors()]
        raise ValueError(f"{file or 'the settings'} cannot be used:\n" + "\n".join(lines)) from error


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key; see docs/deployment.md for the known ones"
    if error["type"] == "missing":
        return "is missing; give it in the file or as a flag"
    return f"{error['msg']} (got {error['input']!r})"
