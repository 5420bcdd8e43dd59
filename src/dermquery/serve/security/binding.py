"""Where the service may listen: on this machine only, unless everybody has to sign in."""

from __future__ import annotations

import ipaddress
import socket
from typing import Literal

from dermquery.serve.security.api_keys import KeyFile
from dermquery.serve.security.users import UserFile
from dermquery.serve.settings import ServeSettings

__all__ = ["authentication", "check_binding", "is_loopback"]


def authentication(settings: ServeSettings) -> tuple[Literal["keys", "users", "oidc"], ...]:
    """Which of API keys, people and an identity provider are set up; empty means open, on this machine only."""
    return (
        *(("keys",) if KeyFile(settings.keys_file).list() else ()),
        *(("users",) if UserFile(settings.users_file).list() else ()),
        *(("oidc",) if settings.oidc else ()),
    )


def is_loopback(host: str) -> bool:
    """Whether an address, or every address of a name, is a loopback address.

    Raises:
        ValueError: the name resolves to nothing.
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        pass
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise ValueError(f"host {host!r} resolves to no address; give an address such as 127.0.0.1") from error
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def check_binding(settings: ServeSettings) -> None:
    """Refuse to listen to other machines while nobody has to sign in.

    Raises:
        ValueError: the host is not loopback, or a proxy is announced, and no authentication is set up.
    """
    if authentication(settings):
        return
    if not is_loopback(settings.host):
        why = f"host {settings.host} can be reached from other machines"
    elif settings.trusted_proxies or settings.hosts:
        why = "a proxy is announced (trusted_proxies or hosts)"
    else:
        return
    raise ValueError(
        f"{why}, and nobody would have to sign in. Make a key (dermquery keys create NAME --scope read), add a person "
        "(dermquery users add NAME --scope read) or describe an identity provider ([serve.oidc], docs/security.md); "
        "or stay on this machine with host 127.0.0.1"
    )
