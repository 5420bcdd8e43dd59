"""Websockets: guarded as requests are, and closed with what opened them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from dermquery.serve.security.paths import is_use
from tests.serve.security.app import HOST, PASSWORD, Service, bearer, make_service
from tests.serve.security.browser import sign_in

EVIL = "https://evil.example"


@pytest.fixture
def open_service(tmp_path: Path) -> Service:
    return make_service(tmp_path)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path, user="ann")


SOCKET = f"ws://{HOST}/_nicegui_ws/socket.io/"


def refused(client: TestClient, **headers: str) -> bool:
    try:
        with client.websocket_connect(SOCKET, headers=headers):
            return False
    except WebSocketDisconnect as error:
        return error.code == 1008


def test_websockets_are_guarded_as_requests_are(service: Service) -> None:
    client, key = service.client(), service.keys.create("viewer", "read")
    origin = f"http://{HOST}"
    assert refused(client, Origin=origin)
    assert refused(client, Authorization="Bearer wrong")
    with client.websocket_connect(SOCKET, headers=bearer(key)) as socket:
        assert socket.receive_text() == "viewer"
    sign_in(client)
    assert refused(client, Origin=EVIL)
    assert refused(client)
    with client.websocket_connect(SOCKET, headers={"Origin": origin}) as socket:
        assert socket.receive_text() == "ann"
        socket.send_text('42["event",{}]')
        assert socket.receive_text() == 'heard 42["event",{}]'


def test_an_open_websocket_takes_our_page_only(open_service: Service) -> None:
    assert refused(open_service.client(), Origin=EVIL)
    with open_service.client().websocket_connect(SOCKET, headers={"Origin": f"http://{HOST}"}) as socket:
        assert socket.receive_text() == "local"


@pytest.mark.parametrize("how", ["sign out", "new password", "removed"])
def test_a_websocket_ends_with_its_session(service: Service, how: str) -> None:
    client = service.client()
    token = sign_in(client)
    with client.websocket_connect(SOCKET, headers={"Origin": f"http://{HOST}"}) as socket:
        socket.receive_text()
        if how == "sign out":
            other = service.client()
            other.cookies = client.cookies
            answer = other.post("/sign-out", data={"csrf": token}, headers={"Origin": f"http://{HOST}"})
            assert answer.status_code == 303
        elif how == "removed":
            service.users.remove("ann")
        else:
            service.users.set_password("ann", PASSWORD + "!")
        socket.send_text('42["event",{}]')
        with pytest.raises(WebSocketDisconnect):
            assert not socket.receive_text()


def test_a_websocket_ends_with_its_key_too(service: Service) -> None:
    key = service.keys.create("viewer", "read")
    with service.client().websocket_connect(SOCKET, headers=bearer(key)) as socket:
        socket.receive_text()
        service.keys.revoke("viewer")
        socket.send_text("3")
        with pytest.raises(WebSocketDisconnect) as error:
            socket.receive_text()
    assert (error.value.code, error.value.reason) == (1008, "signed out")


def test_a_websocket_of_an_open_service_ends_when_it_is_closed(open_service: Service) -> None:
    with open_service.client().websocket_connect(SOCKET) as socket:
        socket.receive_text()
        open_service.keys.create("viewer", "read")
        socket.send_text("3")
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ('42["event",{}]', True),
        ('420["event",{}]', True),
        ('42/,["event",{}]', True),
        ('42/,7["event",{}]', True),
        ('451-["event",{"_placeholder":true,"num":0}]', True),
        ('42[ "ack"]', True),
        ('42["acknowledge"]', True),
        ('420["ack",{}]', True),
        ('42["javascript_response",{}]', True),
        ('42["ack",{"next_message_id":3}]', False),
        ('42["log",{"message":"[\\"event\\"]"}]', False),
        ("2", False),
        ("3", False),
        ("40", False),
    ],
)
def test_events_count_however_they_are_written(text: str, counts: bool) -> None:
    scope = {"type": "websocket", "path": "/_nicegui_ws/socket.io/"}
    assert is_use(scope, {"type": "websocket.receive", "text": text}) is counts
