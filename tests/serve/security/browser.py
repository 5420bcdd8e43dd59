"""What a browser does with the sign-in form."""

from __future__ import annotations

import re
from typing import Any

import httpx
from fastapi.testclient import TestClient

from tests.serve.security.app import PASSWORD


def field(html: str, name: str) -> str:
    """Value of a form's hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, f"no field {name} in {html}"
    return found[1]


def submit(
    client: httpx.Client | TestClient, name: str = "ann", password: str = PASSWORD, *, next_: str = "/", **headers: str
) -> Any:
    """Open the form, fill it in and send it."""
    form = client.get("/sign-in", params={"next": next_}).text
    data = {"csrf": field(form, "csrf"), "next": field(form, "next"), "name": name, "password": password}
    origin = str(client.base_url).rstrip("/")
    return client.post("/sign-in", data=data, headers={"Origin": origin, **headers})


def sign_in(client: httpx.Client | TestClient, name: str = "ann", password: str = PASSWORD) -> str:
    """Sign in and return the session's CSRF token."""
    answer = submit(client, name, password)
    assert answer.status_code == 303, answer.text
    return field(client.get("/sign-out").text, "csrf")
