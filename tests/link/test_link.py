"""The link between the processes, on real Unix sockets."""

from __future__ import annotations

import os
import socket
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent import messages
from agent.errors import AlarmCode, UnavailableError
from agent.link import BATCH, HELLO_TIMEOUT_S, Hub, Link
from agent.messages import Measurement, OrderSent, Role, Setpoint, Validity


def measurement(f_hz: float, source: str = "MU01") -> Measurement:
    return Measurement(source, 1.5, f_hz, 0.0, 230.0, Validity.GOOD, 10.0, 10.05)


@pytest.fixture
def hub(tmp_path):
    hub = Hub(tmp_path / "run" / "control.sock")
    yield hub
    hub.close()


def connect(hub: Hub, role: Role = Role.PROCESS_BUS) -> Link:
    link = Link(hub.path, role)
    assert link.connect()
    poll_until(hub, lambda: any(p.hello and p.hello.role is role for p in hub.peers))
    return link


def poll_until(hub: Hub, condition, timeout_s: float = 5.0):
    received = []
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        received += [message for _, message in hub.poll(0.01).received]
        if condition():
            return received
    pytest.fail("nothing arrived in time")


def test_a_message_arrives_as_it_was_sent(hub):
    link = connect(hub)
    link.send(measurement(49.8))
    received = []
    received += poll_until(hub, lambda: True)
    while not received:
        received += [m for _, m in hub.poll(1.0).received]
    assert received == [measurement(49.8)]


def test_the_hub_knows_the_process_behind_a_link(hub):
    connect(hub)
    assert [(p.pid, p.uid) for p in hub.peers] == [(os.getpid(), os.getuid())]


def test_a_peer_that_does_not_read_hears_only_the_newest_of_each_key(hub):
    link = connect(hub)
    peer = hub.peers[0]
    for i in range(20_000):
        hub.send(peer, measurement(50 + i * 1e-6, source=f"MU{i % 2}"))
    assert peer.connection.counters.superseded > 0
    newest = {"MU0": 50 + 19_998e-6, "MU1": 50 + 19_999e-6}
    heard: dict[str, float] = {}
    end_s = time.monotonic() + 5
    while heard != newest and time.monotonic() < end_s:
        heard.update({message.source: message.f_hz for message in link.receive()})
        hub.poll(0.0)
    assert heard == newest
    assert link._connection.counters.received < 20_000


def test_events_with_their_own_identity_are_all_delivered(hub):
    link = connect(hub)
    peer = hub.peers[0]
    orders = [OrderSent("CS1/1", seq, 0.0, 1.0, 1.0) for seq in range(5000)]
    for order in orders:
        hub.send(peer, order)
    heard = []
    end_s = time.monotonic() + 5
    while len(heard) < len(orders) and time.monotonic() < end_s:
        heard += link.receive()
        hub.poll(0.0)
    assert heard == orders


def setpoints(count: int, p_w: float) -> list[Setpoint]:
    return [Setpoint(f"CS{n}/1", 1, p_w, 30.0, 10.0) for n in range(count)]


def test_the_orders_of_one_tick_travel_in_few_datagrams_and_arrive_in_their_order(hub):
    link = connect(hub, Role.STATIONS)
    orders = setpoints(BATCH + 3, 1000.0)
    assert hub.send_all(hub.peers[0], orders)
    assert hub.peers[0].connection.counters.sent == 2
    received = []
    while len(received) < len(orders):
        received += link.receive()
    assert received == orders


def test_of_orders_that_found_no_room_only_the_newest_of_each_key_arrive(hub):
    link = connect(hub, Role.STATIONS)
    [peer] = hub.peers
    while not peer.connection.pending:
        hub.send_all(peer, setpoints(BATCH, 1.0))
    for p_w in (2.0, 3.0):
        hub.send_all(peer, setpoints(BATCH, p_w))
    assert peer.connection.pending == BATCH
    received, end_s = [], time.monotonic() + 5.0
    while received[-BATCH:] != setpoints(BATCH, 3.0):
        received += link.receive()
        hub.poll(0.0)
        assert time.monotonic() < end_s
    assert not any(order.p_w == 2.0 for order in received)


def test_the_hub_notices_a_dead_peer_at_once(hub):
    link = connect(hub)
    link.close()
    events = hub.poll(1.0)
    assert [p.hello.role for p in events.left] == [Role.PROCESS_BUS]


def test_a_link_without_a_daemon_counts_what_it_drops_and_does_not_raise(tmp_path):
    link = Link(tmp_path / "nobody.sock", Role.IED)
    assert not link.connect()
    assert not link.send(measurement(50.0))
    assert link.lost == 1


def test_a_link_notices_the_end_of_the_daemon_and_reconnects_to_the_next(tmp_path):
    path = tmp_path / "control.sock"
    first = Hub(path)
    link = connect(first)
    first.close()
    assert link.receive() == []
    assert not link.connected
    second = Hub(path)
    assert link.connect()
    second.close()


def test_malformed_bytes_are_counted_and_do_not_end_the_link(hub):
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    raw.connect(str(hub.path))
    raw.send(messages.encode(messages.Hello(Role.FIELD, 1)))
    poll_until(hub, lambda: hub.peers and hub.peers[0].hello is not None)
    for data in (b"\xc1", b"\x93\xa5", b"[]", b"\x91\xa7Nothing"):
        raw.send(data)
    raw.send(messages.encode(measurement(50.1)))
    received = []
    while not received:
        received = [m for _, m in hub.poll(1.0).received]
    assert received == [measurement(50.1)]
    assert hub.peers[0].connection.counters.malformed == 4
    raw.close()


def test_a_process_that_never_says_who_it_is_is_dropped(hub, monkeypatch):
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    raw.connect(str(hub.path))
    hub.poll(0.1)
    assert len(hub.peers) == 1
    hub.peers[0].since_s -= HELLO_TIMEOUT_S + 1
    hub.poll(0.0)
    assert hub.peers == ()
    assert raw.recv(1) == b""
    raw.close()


def test_another_version_of_the_agent_is_not_admitted(hub):
    raw = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    raw.connect(str(hub.path))
    raw.send(messages.encode(messages.Hello(Role.FIELD, 1, "x", version=99)))
    end_s = time.monotonic() + 5
    hub.poll(0.1)
    while hub.peers and time.monotonic() < end_s:
        hub.poll(0.01)
    assert hub.peers == ()
    raw.close()


def test_a_process_that_claims_a_role_that_its_user_may_not_have_is_dropped(tmp_path):
    hub = Hub(
        tmp_path / "control.sock", permits=lambda uid, role: (uid, role) == (os.getuid(), "ied")
    )
    impostor, ied = Link(hub.path, Role.OPERATOR), Link(hub.path, Role.IED)
    assert impostor.connect()
    assert ied.connect()
    poll_until(hub, lambda: len(hub.peers) == 1 and hub.peers[0].hello is not None)
    assert hub.peers[0].hello.role is Role.IED
    impostor.receive()
    assert not impostor.connected
    ied.close()
    hub.close()


def test_a_second_daemon_is_refused_and_a_stale_socket_is_replaced(tmp_path):
    path = tmp_path / "control.sock"
    first = Hub(path)
    with pytest.raises(UnavailableError, match=r"another v2g-daemon"):
        Hub(path)
    first._listener.close()  # as a SIGKILL leaves it: the file stays
    Hub(path).close()


@settings(max_examples=200, deadline=None)
@example(data=b"\x91\xa1\x80")
@given(data=st.binary(max_size=64))
def test_no_bytes_make_the_decoder_raise_anything_but_a_decode_error(data):
    import msgspec

    try:
        messages.decode(data)
    except msgspec.DecodeError:
        pass


@given(
    f_hz=st.floats(allow_nan=False),
    rocof=st.floats(allow_nan=False),
    quality=st.sampled_from(Validity),
    phases=st.none() | st.tuples(*[st.floats(allow_nan=False)] * 3),
)
def test_a_measurement_survives_the_wire(f_hz, rocof, quality, phases):
    sent = Measurement("MU", 1.0, f_hz, rocof, 230.0, quality, 1.0, 2.0, v_phase_v=phases)
    assert messages.decode(messages.encode(sent)) == sent


def long_alarm(number: int, octets: int) -> messages.Alarm:
    return messages.Alarm(AlarmCode.CLOCK_UNSYNCHRONISED, True, f"s{number}", "x" * octets, "", 0.0)


def test_a_message_longer_than_the_socket_has_room_for_arrives_whole_and_in_order(hub):
    """A complete snapshot of 10,000 EVSEs has 2.5 MB; the kernel grants a user a tenth of it."""
    link = connect(hub, Role.IED)
    peer = next(p for p in hub.peers)
    for sock in (peer.connection.sock, link.fileno()):
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200_000)
    sent = [
        measurement(49.9),
        long_alarm(1, 3_000_000),
        measurement(49.8, "b"),
        long_alarm(2, 70_000),
    ]
    for message in sent:
        hub.send(peer, message)
    received, end_s = [], time.monotonic() + 10.0
    while len(received) < len(sent) and time.monotonic() < end_s:
        hub.poll(0.0)
        received += link.receive()
    assert received == sent


def test_pieces_without_an_end_are_given_up_and_the_link_goes_on(hub, monkeypatch):
    monkeypatch.setattr("agent.link.connection.MAX_WHOLE", 100_000)
    link = connect(hub, Role.IED)
    peer = next(p for p in hub.peers)
    for _ in range(3):
        peer.connection.sock.send(bytes((0xC1, 0)) + b"x" * 60_000)
    peer.connection.sock.send(messages.encode(measurement(50.0)))
    received, end_s = [], time.monotonic() + 5.0
    while not received and time.monotonic() < end_s:
        received += link.receive()
    assert received == [measurement(50.0)]
