"""GOOSE of our own data set: header, stNum, sqNum and retransmission (8-1 Ed. 2.1, 18.1)."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from open61850.data import BoolData
from open61850.goose import GoosePDU, decode_goose_frame

from agent.errors import ConfigurationError, UnavailableError
from agent.iec61850 import Timestamp
from agent.ied.goose import GooseHeader, GoosePublisher, GooseState, data_of, goose_header
from agent.ied.model import load_model

HEADER = GooseHeader(
    "V2G1LD0/LLN0$GO$g", "V2G1LD0/LLN0$Status", "id", 7, "01:0c:cd:01:00:2a", 0x2A, 11, 4, 4, 100
)


def pdu_of(frame: bytes) -> GoosePDU:
    decoded = decode_goose_frame(frame)
    return decoded if isinstance(decoded, GoosePDU) else decoded[1]


def test_a_change_is_repeated_with_doubling_intervals_up_to_max_time() -> None:
    state = GooseState(HEADER, "02:00:00:00:00:01")
    assert state.frame(0.0) is None
    state.change([BoolData(True)], Timestamp(1), 10.0)
    times, pdus = [], []
    while len(times) < 9:
        now = state.due_s
        frame = state.frame(now)
        assert frame is not None
        times.append(now)
        pdus.append(pdu_of(frame))
    gaps = [round((b - a) * 1000) for a, b in itertools.pairwise(times)]
    assert gaps == [4, 4, 8, 16, 32, 64, 100, 100]
    assert [pdu.sq_num for pdu in pdus] == list(range(9))
    assert {pdu.st_num for pdu in pdus} == {1}
    assert [pdu.time_allowed_to_live for pdu in pdus[:-1]] == [2 * gap for gap in gaps]


def test_only_a_change_of_values_raises_st_num() -> None:
    state = GooseState(HEADER, "02:00:00:00:00:01")
    assert state.change([BoolData(True)], Timestamp(1), 0.0)
    assert not state.change([BoolData(True)], Timestamp(2), 1.0)
    assert state.change([BoolData(False)], Timestamp(3), 2.0)
    frame = state.frame(2.0)
    assert frame is not None
    pdu = pdu_of(frame)
    assert (pdu.st_num, pdu.sq_num, pdu.timestamp.timestamp()) == (2, 0, 3.0)


def test_without_gse_control_the_start_is_refused(tmp_path: Path) -> None:
    from agent.config import Settings
    from agent.config.settings import Scl

    station = Path(__file__).parents[2] / "scl" / "sample-station.scd"
    model = load_model(Settings(path=tmp_path / "x", scl=Scl(file=station, ied="MU1")))
    with pytest.raises(ConfigurationError, match="no GSEControl"):
        GoosePublisher(model, "lo", lambda _: 0)


def test_the_shipped_block_tells_power_and_state(tmp_path: Path) -> None:
    from agent.config import Settings
    from agent.config.settings import Scl

    station = Path(__file__).parents[2] / "scl" / "sample-station.scd"
    model = load_model(Settings(path=tmp_path / "x", scl=Scl(file=station)))
    node = model.devices[0].node("LLN0")
    assert node is not None
    (block,) = node.gooses
    header = goose_header(block)
    assert isinstance(header, GooseHeader)
    assert (header.gocb_ref, header.dst, header.appid, header.vlan_id) == (
        "V2G1LD0/LLN0$GO$gcbDispatch", "01:0c:cd:01:00:02", 2, 10,
    )  # fmt: skip
    assert block.data_set is not None
    members = [member.reference.acsi for member in block.data_set.members]
    assert members[2] == "V2G1LD0/DAGC1.WMaxAvl.mag.f"
    assert len(data_of(block.data_set.members, lambda _: 0)) == len(members) == 9


def test_an_unknown_interface_is_unavailable(station_file: Path, tmp_path: Path) -> None:
    from agent.config import Settings
    from agent.config.settings import Scl

    model = load_model(Settings(path=tmp_path / "x", scl=Scl(file=station_file)))
    with pytest.raises(UnavailableError, match="no-such0"):
        GoosePublisher(model, "no-such0", lambda _: 0)


@pytest.fixture
def veth() -> Iterator[tuple[str, str]]:
    if os.geteuid() != 0:
        pytest.skip("needs root to make a veth pair")
    names = f"vgo{os.getpid() % 100000}a", f"vgo{os.getpid() % 100000}b"
    made = subprocess.run(
        ["ip", "link", "add", names[0], "type", "veth", "peer", "name", names[1]],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no veth here: {made.stderr.decode()}")
    for name in names:
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
    yield names
    subprocess.run(["ip", "link", "del", names[0]], check=True)


@pytest.mark.root
def test_a_subscriber_on_the_wire_sees_the_change_of_the_status(
    veth: tuple[str, str], server: Any, station_file: Path, tmp_path: Path
) -> None:
    receiver = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    receiver.bind((veth[1], 0))
    receiver.settimeout(2.0)
    with server("open61850", station_file, tmp_path, goose_interface=veth[0]) as live:
        first = _next(receiver, lambda pdu: True)
        assert (first.gocb_ref, first.go_id, first.conf_rev, first.num_dat_set_entries) == (
            "V2G1LD0/LLN0$GO$gcbStatus", "V2G1/gcbStatus", 7, 13,
        )  # fmt: skip
        live.show(clock_synchronised=False)
        changed = _next(receiver, lambda pdu: pdu.st_num > first.st_num)
        assert changed.sq_num == 0
        heartbeat = _next(receiver, lambda pdu: pdu.sq_num >= 7)
        assert heartbeat.time_allowed_to_live <= 400
    receiver.close()


def _next(receiver: socket.socket, wanted: Any) -> GoosePDU:
    end_s = time.monotonic() + 5
    while time.monotonic() < end_s:
        frame = receiver.recv(2048)
        if frame[12:14] in (b"\x88\xb8", b"\x81\x00"):
            pdu = pdu_of(frame)
            if wanted(pdu):
                return pdu
    pytest.fail("no such GOOSE in time")
