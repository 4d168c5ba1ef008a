"""Login, roles and orders over real HTTP against the worker process."""

from __future__ import annotations

import json

import httpx
import pytest

from agent.errors import AlarmCode
from agent.messages import Acknowledge, AuditEvent, Authority, RequestKind
from tests.hmi.conftest import PASSWORD, alarm, wait_for


@pytest.fixture
def client(gateway):
    with httpx.Client(base_url=gateway.url, timeout=30.0) as client:
        yield client


def log_in(client: httpx.Client, name: str = "anna", password: str = PASSWORD) -> httpx.Response:
    answer = client.post("/api/login", json={"name": name, "password": password})
    if answer.status_code == 200:
        client.headers["X-CSRF-Token"] = answer.json()["token"]
    return answer


def test_whoever_reaches_the_page_looks_and_orders_nothing(client, gateway):
    assert client.get("/").status_code == 200
    session = client.get("/api/session").json()
    assert session == {
        "user": None, "role": None, "token": None, "may_look": True, "has_users": True,
    }  # fmt: skip
    heard = len(gateway.control.heard)
    assert client.post("/api/orders", json={"type": "stop"}).status_code == 401
    assert len(gateway.control.heard) == heard


def test_an_operator_stops_as_local_operator_under_their_name(client, gateway):
    cookie = log_in(client).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    answer = client.post("/api/orders", json={"type": "stop"})
    assert answer.json()["status"] == "accepted"
    request = gateway.control.requests(RequestKind.STOP)[-1]
    assert (request.authority, request.origin) == (Authority.LOCAL_OPERATOR, "hmi:anna")
    assert request.lease_s > 0
    answer = client.post("/api/orders", json={"type": "resume", "order": request.request_id})
    assert answer.status_code == 200
    assert gateway.control.requests(RequestKind.WITHDRAW)[-1].setting == request.request_id


def test_a_test_discharge_is_bounded_in_power_and_time(client, gateway):
    log_in(client)
    order = {"type": "test", "power_w": 5000.0, "duration_s": 60.0, "target": "CS001/1"}
    assert client.post("/api/orders", json=order).status_code == 200
    request = gateway.control.requests(RequestKind.WATT_SETPOINT)[-1]
    assert (request.value, request.duration_s, request.target) == (5000.0, 60.0, "CS001/1")
    assert request.lease_s == 65.0
    for wrong in ({"duration_s": 0.0}, {"duration_s": 1e9}, {"power_w": 1e9}, {"more": 1}):
        assert client.post("/api/orders", json=order | wrong).status_code == 400


def test_acknowledging_reaches_the_control_with_code_and_source(client, gateway):
    gateway.control.raise_alarm(alarm(source="CS077"))
    log_in(client)
    body = {"type": "acknowledge", "code": 0x24, "source": "CS077"}
    assert client.post("/api/orders", json=body).json()["status"] == "completed"
    sent = [m for m in gateway.control.heard if isinstance(m, Acknowledge)][-1]
    assert (sent.code, sent.source, sent.origin) == (AlarmCode.STATION_LOST, "CS077", "hmi:anna")
    gone = body | {"source": "nobody"}
    assert client.post("/api/orders", json=gone).status_code == 409
    gateway.control.alarms.clear()


def test_a_viewer_orders_nothing_and_the_audit_knows_who_tried(client, gateway):
    assert log_in(client, "victor").json()["role"] == "viewer"
    assert client.post("/api/orders", json={"type": "stop"}).status_code == 403
    wait_for(
        lambda: [
            event for event in gateway.control.heard
            if isinstance(event, AuditEvent) and event.kind == "refusal"
            and event.subject.startswith("victor@127.0.0.1")
        ]
    )  # fmt: skip


def test_an_order_needs_the_sessions_token(client):
    log_in(client)
    client.headers["X-CSRF-Token"] = "forged"
    assert client.post("/api/orders", json={"type": "stop"}).status_code == 403
    del client.headers["X-CSRF-Token"]
    assert client.post("/api/orders", json={"type": "stop"}).status_code == 403


def test_logout_ends_the_session(client):
    log_in(client)
    cookies = dict(client.cookies)
    assert client.post("/api/logout", json={}).status_code == 200
    client.cookies.update(cookies)
    assert client.get("/api/session").json()["user"] is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "evil.example"}, 421),
    ],
)
def test_requests_of_other_pages_and_names_are_refused(client, headers, status):
    body = json.dumps({"name": "anna", "password": PASSWORD}).encode()
    sent = {"Content-Type": "application/json"} | headers
    assert client.post("/api/login", content=body, headers=sent).status_code == status


def test_a_body_is_small_and_its_method_known(client):
    large = {"name": "anna", "password": "x" * 5000}
    assert client.post("/api/login", json=large).status_code == 413
    assert client.put("/api/orders", json={}).status_code == 405
    assert client.post("/api/login", json={"name": "anna"}).status_code == 400


def test_every_answer_forbids_what_the_page_does_not_need(client):
    for path in ("/", "/static/main.js", "/api/session", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in client.get("/").headers


@pytest.mark.parametrize("name", ["../worker.py", "..%2fworker.py", "%2e%2e/app.py", "main.py"])
def test_only_the_pages_own_files_are_served(client, name):
    assert client.get(f"/static/{name}").status_code == 404


def test_files_are_compressed_and_not_sent_twice(client):
    first = client.get("/static/plotly.js")
    assert first.headers["content-encoding"] == "gzip"
    assert len(first.content) > 1_000_000
    again = client.get("/static/plotly.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_wrong_passwords_lock_the_name_and_then_slow_the_address_down(client, gateway):
    """The last test of this file: afterwards the name is locked for five minutes."""
    codes = [log_in(client, "victor", "not the password").status_code for _ in range(5)]
    assert codes == [401] * 5
    locked = log_in(client, "victor")
    assert locked.status_code == 429
    assert "locked" in locked.json()["error"]
    events = [e for e in gateway.control.heard if isinstance(e, AuditEvent)]
    assert any("locked" in event.text for event in events)
    assert 429 in [log_in(client, f"nobody{i}", "not the password").status_code for i in range(12)]
