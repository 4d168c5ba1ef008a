"""Mutated messages of three versions against a fleet: nothing escapes, nobody else suffers."""

import json
import math
import random
import time
from pathlib import Path

import pytest
from picows import WSMsgType

from agent.messages import EvseStatus, Setpoint
from agent.ocpp import Session, Version
from agent.vehicles.stations.connection import Connection
from agent.vehicles.stations.dialect import Policy
from agent.vehicles.stations.fleet import Fleet

CORPUS = json.loads((Path(__file__).parent / "data" / "messages.json").read_text())
CORPUS_2, CORPUS_16 = CORPUS["2.x"], CORPUS["1.6"]
NASTY = [
    "NaN", "Infinity", "1e999", "-1e308", "1e308", "-0.0", "0", "-1", "1e-320", "9" * 400, "null",
    "true", '""', '"NaN"', '"1e999"', "[]", "{}", "[" * 54 + "]" * 54, '"\\ud800"', '"\\u0000"',
    "18446744073709551616", "2147483648",
]  # fmt: skip


class Transport:
    """What `Connection` needs of picows, without a socket."""

    def __init__(self):
        self.sent = []
        self.closed = False

    underlying_transport = property(lambda self: self)

    def get_write_buffer_size(self):
        return 0

    def send(self, _kind, data):
        self.sent.append(data)

    def send_close(self, *_):
        self.closed = True

    def disconnect(self, **_):
        self.closed = True

    send_ping = send_close


class Frame:
    msg_type = WSMsgType.TEXT
    fin = True

    def __init__(self, data):
        self.data = data

    def get_payload_as_bytes(self):
        return self.data


class Line:
    """One station without a socket."""

    def __init__(self, fleet, identity, version):
        self.version = version
        self.transport = Transport()
        session = Session(version, f"{identity}-")
        station = fleet.station(identity, version)
        self.connection = Connection(station, session, fleet, "fuzz:1", messages_per_s=1e9)
        self.connection.on_ws_connected(self.transport)

    def feed(self, data):
        self.connection.on_ws_frame(self.transport, Frame(data))

    def call(self, action, payload):
        self.feed(json.dumps([2, "v", action, payload]).encode())

    def take(self):
        """What was written; calls of ours are answered so that the next may go."""
        taken, self.transport.sent = self.transport.sent, []
        messages = [json.loads(data) for data in taken]
        for message in messages:
            if message[0] == 2:
                self.feed(json.dumps([3, message[1], {"status": "Accepted"}]).encode())
        return messages


def mutate(rng, version):
    action, payload = rng.choice(CORPUS_16 if version is Version.V16 else CORPUS_2)
    text = json.dumps(
        [rng.choice([2, 2, 2, 2, 2, 3, 4, 5, 6, 7]), str(rng.randrange(9)), action, payload]
    )
    kind = rng.randrange(5)
    if kind == 0:
        data = bytearray(text.encode())
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    if kind == 1:
        return text[: rng.randrange(len(text))].encode()
    if kind == 2:
        places = [i for i, c in enumerate(text) if c == ":"]
        if places:
            start = rng.choice(places) + 1
            end = min((i for i in range(start, len(text)) if text[i] in ",}"), default=len(text))
            text = text[:start] + rng.choice(NASTY) + text[end:]
        return text.encode()
    if kind == 3:
        return (
            text.replace("1500.5", rng.choice(NASTY))
            .replace("1100", rng.choice(["-9", "9" * 30]))
            .encode()
        )
    return text.encode()


def setpoints(message):
    if message[0] != 2 or message[2] not in {"SetChargingProfile", "UpdateDynamicSchedule"}:
        return []
    found = []

    def walk(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in {"setpoint", "limit", "dischargeLimit"}:
                    found.append(value)
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(message[3])
    return found


def campaign(count, seed):
    """Run; return how many orders were looked at."""
    rng = random.Random(seed)
    told = []
    fleet = Fleet(Policy(), told.append)
    lines = [Line(fleet, version.name, version) for version in Version]
    healthy = Line(fleet, "HEALTHY", Version.V21)
    healthy.call(*CORPUS_2[3])
    orders = 0
    for number in range(count):
        line = rng.choice(lines)
        line.feed(mutate(rng, line.version))
        identity = line.connection.station.identity
        p_w = rng.choice([math.nan, math.inf, -math.inf, 1e300, -1e300, rng.uniform(-2e4, 2e4)])
        fleet.order(Setpoint(f"{identity}/1", number, p_w, 30.0, time.monotonic()))
        for message in line.take():
            for value in setpoints(message):
                orders += 1
                assert math.isfinite(value)
                assert -11_000.0 <= value <= 11_000.0, message
                assert value >= 0.0 or line.version is Version.V21, message
        for status in told:
            if isinstance(status, EvseStatus):
                assert status.p_w is None or abs(status.p_w) <= 16_500.0
                for value in (status.charge_max_w, status.discharge_max_w, status.base_w):
                    assert math.isfinite(value)
                    assert abs(value) <= 11_000.0
                for name in status.__struct_fields__:
                    value = getattr(status, name)
                    assert (
                        name == "latency_s" or not isinstance(value, float) or math.isfinite(value)
                    ), name
                assert status.soc_pct is None or 0.0 <= status.soc_pct <= 100.0
        told.clear()
        if number % 500 == 0:
            healthy.call("Heartbeat", {})
            assert any(message[0] == 3 for message in healthy.take())
        if line.transport.closed:  # a real one would come back
            lines[lines.index(line)] = Line(fleet, identity, line.version)
    assert not healthy.transport.closed
    return orders


def test_a_sample_of_mutated_messages():
    assert campaign(4000, 61850) > 100


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_million_mutated_messages():
    assert campaign(1_000_000, 20261122) > 10_000
