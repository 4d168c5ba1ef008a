"""A BRCB client that is cut off again and again loses nothing, and sees nothing twice."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest
from open61850.data import BitStringData, BoolData, OctetStringData, UIntData
from open61850.mms import MmsClient, MmsError
from open61850.mms.report import decode_report, is_report

from agent.iec61850 import ObjectReference

BLOCK = "V2G1LD0/LLN0$BR$brcbMeasurements05"
HZ = ObjectReference.parse("V2G1LD0/MMXU1.Hz.mag.f[MX]")
HZ_INDEX = 2
ALL_FIELDS = BitStringData(bytes((0x7F, 0x80)), 6)
DCHG = BitStringData(bytes((0x40,)), 2)


class Follower:
    """Follows one BRCB over many associations."""

    def __init__(self, live: Any, until: Any) -> None:
        self._live = live
        self._until = until
        self.seen: list[int] = []
        self.last = bytes(8)

    def connect(self) -> MmsClient:
        client = self._live.client()
        client.add_report_listener(self._heard)
        self._until(lambda: self._free(client), 60.0)
        client.write(f"{BLOCK}$EntryID", OctetStringData(self.last))
        client.write(f"{BLOCK}$RptEna", BoolData(True))
        return client

    def prepare(self) -> None:
        with self._live.client() as client:
            for name, value in (
                ("OptFlds", ALL_FIELDS),
                ("TrgOps", DCHG),
                ("BufTm", UIntData(0)),
                ("IntgPd", UIntData(0)),
                ("PurgeBuf", BoolData(True)),
            ):
                client.write(f"{BLOCK}${name}", value)

    @staticmethod
    def _free(client: MmsClient) -> bool:
        return client.read(f"{BLOCK}$RptEna") == BoolData(False)

    def _heard(self, message: Any) -> None:
        if not is_report(message):
            return
        report = decode_report(message)
        for entry in report.entries:
            if entry.index == HZ_INDEX:
                self.seen.append(round(entry.value.members[0].members[0].value))
        if report.entry_id is not None:
            self.last = report.entry_id


def follow(live: Any, until: Any, cuts: int, rate_hz: float, seed: int) -> tuple[list[int], int]:
    """Cut a follower off at random instants while values change; what it saw, what there was."""
    random = Random(seed)
    follower = Follower(live, until)
    follower.prepare()
    stop, count = threading.Event(), 0

    def change() -> None:
        nonlocal count
        while not stop.wait(1 / rate_hz):
            count += 1
            live.service._engine.update([(HZ, float(count))])

    client = follower.connect()
    thread = threading.Thread(target=change, daemon=True)
    thread.start()
    try:
        for _ in range(cuts):
            time.sleep(random.uniform(0.0, 4 / rate_hz))
            client.close()
            client = follower.connect()
    finally:
        stop.set()
        thread.join(60)
    until(lambda: follower.seen and follower.seen[-1] == count, 60.0)
    client.close()
    return follower.seen, count


def test_25_forced_disconnects_lose_and_repeat_nothing(live: Any, until: Any) -> None:
    seen, count = follow(live, until, 25, 50.0, 1)
    assert seen == list(range(1, count + 1))


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_1_000_forced_disconnects_under_10_changes_a_second(
    live: Any, engine_name: str, until: Any, record_property: Any
) -> None:
    """About five minutes an engine."""
    seen, count = follow(live, until, 1_000, 10.0, 2)
    lost, repeated = len(set(range(1, count + 1)) - set(seen)), len(seen) - len(set(seen))
    record_property(engine_name, f"1000 cuts, {count} changes, {lost} lost, {repeated} repeated;")
    assert seen == list(range(1, count + 1))


def test_a_client_that_does_not_read_is_ended_and_nobody_waits_for_it(
    server: Any, station_file: Path, tmp_path: Path, until: Any
) -> None:
    from agent.ied.front import Limits

    limits = Limits(backlog_bytes=64 * 1024)
    with server("open61850", station_file, tmp_path, limits=limits) as live:
        lazy = live.client()
        lazy._conn._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        lazy.write(f"{BLOCK}$TrgOps", DCHG)
        lazy.write(f"{BLOCK}$BufTm", UIntData(0))
        lazy.write(f"{BLOCK}$RptEna", BoolData(True))
        blocked = threading.Event()
        lazy.add_report_listener(lambda _: blocked.wait(30))
        update = live.service._engine.update
        end_s = time.monotonic() + 60
        number = 0
        while live.front.admission.associated and time.monotonic() < end_s:
            number += 1
            update([(HZ, float(number))])
        assert live.front.admission.associated == 0
        with live.client() as other:
            assert other.read("V2G1LD0/MMXU1$MX$Hz$mag$f").value == float(number)
        blocked.set()
        lazy.close()


@pytest.mark.parametrize("first", [b"\x00" * 4, b"GET / HTTP/1.1\r\n\r\n", b"\x03\x00\x00\x03"])
def test_what_is_no_tpkt_is_closed_at_once(
    server: Any, station_file: Path, tmp_path: Path, first: bytes
) -> None:
    with server("open61850", station_file, tmp_path) as live:
        with socket.create_connection(("127.0.0.1", live.port), timeout=10) as stream:
            stream.sendall(first)
            try:
                assert stream.recv(100) == b""
            except ConnectionResetError:
                pass
        live.client().close()


def test_the_allow_list_and_the_limit_of_an_address(
    server: Any, station_file: Path, tmp_path: Path, until: Any
) -> None:
    import ipaddress

    from agent.ied.front import Limits

    elsewhere = Limits(allow=(ipaddress.ip_network("192.0.2.0/24"),))
    with server("open61850", station_file, tmp_path / "a", limits=elsewhere) as live:
        with pytest.raises(MmsError):
            live.client()
        assert live.front.admission.refused["address not in the allow-list"] == 1
    with server("open61850", station_file, tmp_path / "b", limits=Limits(per_address=2)) as live:
        clients = [live.client(), live.client()]
        with pytest.raises(MmsError):
            live.client()
        clients.pop().close()
        until(lambda: live.front.admission.associated == 1)
        live.client().close()
        clients.pop().close()


def test_an_idle_association_ends_when_that_is_configured(
    server: Any, station_file: Path, tmp_path: Path, until: Any
) -> None:
    from agent.ied.front import Limits

    with server("open61850", station_file, tmp_path, limits=Limits(idle_s=1.0)) as live:
        idle = live.client()
        until(lambda: not idle.is_connected)
