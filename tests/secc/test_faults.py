"""The package's known faults, each from the wire: what a peer can do wrong, and what happens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.errors import ConfigurationError, HandshakeTimeoutError
from agent.exi import ExiCodec, Namespace
from agent.vehicles.pki import make_demo_pki
from agent.vehicles.secc import ev
from agent.vehicles.secc.codec import schema_folder
from agent.vehicles.secc.controller import Controller
from agent.vehicles.secc.evse import Evse, IdealPowerStage
from agent.vehicles.secc.listener import Streams
from agent.vehicles.secc.options import SeccOptions
from agent.vehicles.secc.server import Secc
from agent.vehicles.secc.session import Session
from agent.vehicles.secc.tls import load_contexts
from agent.vehicles.secc.v2gtp import HEADER, SDP_REQUEST, SECURED, UNSECURED
from agent.vehicles.secc.values import scaled
from tests.secc.station import AC, DC, REPOSITORY, Station, until, vehicles

Cables = Callable[[], tuple[str, str]]

# SupportedAppProtocolReq for ISO 15118-20 AC, from the reference vectors
SAP_REQ = bytes.fromhex(
    "8000f3ab9371d34b9b79d39ba321d34b9b79d189a98989c1d1699181d20a18010000040040"
)
SAP_RES_OK = "80400040"
FRAME = HEADER.pack(1, 0xFE, 0x8001, len(SAP_REQ)) + SAP_REQ


async def discover(interface: str, security: int, seconds: float = 3.0) -> tuple[str, int] | None:
    """Ask once; the answer's address and port, or None."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setblocking(False)
    index = socket.if_nametoindex(interface)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    loop = asyncio.get_running_loop()
    try:
        request = HEADER.pack(1, 0xFE, SDP_REQUEST, 2) + bytes([security, 0])
        await loop.sock_sendto(sock, request, ("ff02::1", 15118, 0, index))
        data = await asyncio.wait_for(loop.sock_recv(sock, 100), seconds)
    except TimeoutError:
        return None
    finally:
        sock.close()
    assert data[26] == security
    return socket.inet_ntop(socket.AF_INET6, data[8:24]), struct.unpack(">H", data[24:26])[0]


@contextlib.asynccontextmanager
async def connected(
    station: Station, security: int = UNSECURED, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    found = None
    for _ in range(20):  # a vehicle asks up to fifty times
        found = found or await discover(station.vehicle_end, security, 0.25)
    assert found is not None
    host, port = found
    reader, writer = await asyncio.open_connection(
        f"{host}%{station.vehicle_end}", port, ssl=context
    )
    try:
        yield reader, writer
    finally:
        writer.close()


def plain(cables: Cables, **options: object) -> Station:
    return Station(*cables(), DC, tls="off", protocols=("ISO_15118_20_AC",), **options)


# -- framing


@pytest.mark.root
@pytest.mark.parametrize("cuts", [(5,), (1, 8, 9), tuple(range(1, len(FRAME)))])
def test_a_frame_may_arrive_in_any_pieces(cables: Cables, cuts: tuple[int, ...]) -> None:
    async def scenario() -> None:
        station = plain(cables)
        async with station.running(), connected(station) as (reader, writer):
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start, end in zip((0, *cuts), (*cuts, len(FRAME)), strict=True):
                writer.write(FRAME[start:end])
                await asyncio.sleep(0.002)
            answer = await asyncio.wait_for(reader.readexactly(12), 5)
            assert answer[8:].hex() == SAP_RES_OK

    asyncio.run(scenario())


@pytest.mark.root
@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        HEADER.pack(1, 0xFE, 0x8001, 1 << 31),
        HEADER.pack(1, 0xFE, 0x8001, 4) + b"\x80\xff\xff\xff",
        HEADER.pack(1, 0xFE, 0x7777, 4) + b"\x80\xff\xff\xff",
    ],
)
def test_nonsense_ends_only_this_connection(cables: Cables, data: bytes) -> None:
    async def scenario() -> None:
        station = plain(cables)
        async with station.running():
            async with connected(station) as (reader, writer):
                writer.write(data)
                assert await asyncio.wait_for(reader.read(), 5) == b""
            await until(lambda: bool(station.ends), 5)
            assert not station.ends[0].regular
            async with connected(station) as (reader, writer):
                writer.write(FRAME)
                answer = await asyncio.wait_for(reader.readexactly(12), 5)
                assert answer[8:].hex() == SAP_RES_OK

    asyncio.run(scenario())


# -- dead links and contactors


@pytest.mark.root
@pytest.mark.parametrize("how", ["carrier", "killed", "silent"])
def test_a_dead_link_opens_the_contactor_within_two_seconds(
    cables: Cables, pki: Path, how: str
) -> None:
    async def scenario() -> None:
        station = Station(*cables(), DC, pki=pki, cooldown_s=30.0)
        row = {"interface": station.vehicle_end, "pki": str(pki), "protocol": "ISO_15118_20_DC"}
        async with station.running(), vehicles([row]) as process:
            await until(lambda: station.in_loop)
            station.order(6000.0)
            await until(lambda: station.p_w == 6000.0)
            if how == "killed":
                process.kill()
            elif how == "carrier":
                subprocess.run(["ip", "link", "set", station.vehicle_end, "down"], check=True)
            else:  # the modem's link stays, nothing answers behind it
                _drop_everything(station.vehicle_end)
            # It takes 0.1 s, 0.0 s and 1.8 s; the package needs 62 s; the limit is a hang guard.
            await until(lambda: not station.evse.stage.closed, 10)
            await until(lambda: bool(station.ends), 5)
        (end,) = station.ends
        assert end.under_load
        assert station.p_w == 0.0
        # cooled down: whatever is ordered, nothing flows
        assert station.evse.limits_w(time.monotonic()) == (0.0, 0.0)

    asyncio.run(scenario())


def _drop_everything(interface: str) -> None:
    """Take the interface's addresses, so that nothing answers while its carrier stays up."""
    subprocess.run(["ip", "-6", "addr", "flush", "dev", interface], check=True)


@pytest.mark.root
def test_stop_session_opens_the_contactor_even_if_the_vehicle_does_nothing(
    cables: Cables, pki: Path
) -> None:
    async def scenario() -> None:
        station = Station(*cables(), DC, pki=pki)
        row = {
            "interface": station.vehicle_end,
            "pki": str(pki),
            "protocol": "ISO_15118_20_DC",
            "period_s": 30.0,  # it answers too late to hear us
        }
        async with station.running(), vehicles([row]):
            await until(lambda: station.in_loop)
            await station.secc.stop_session(0.5)
            assert not station.evse.stage.closed

    asyncio.run(scenario())


# -- pause and resume


@pytest.mark.root
def test_a_paused_session_is_rejoined_by_its_id_only(cables: Cables) -> None:
    exi = ExiCodec(schema_folder())

    async def ask(streams: Streams, name: str, session_id: str, content: dict[str, Any]) -> Any:
        header = {"SessionID": session_id, "TimeStamp": 1}
        message = {name: {"Header": header, **content}}
        payload = exi.encode(message, Namespace.ISO_20_COMMON)
        streams[1].write(HEADER.pack(1, 0xFE, 0x8002, len(payload)) + payload)
        head = await asyncio.wait_for(streams[0].readexactly(8), 5)
        body = await streams[0].readexactly(HEADER.unpack(head)[3])
        return next(iter(exi.decode(body, Namespace.ISO_20_COMMON).values()))

    async def set_up(streams: Streams, session_id: str) -> Any:
        streams[1].write(FRAME)
        await asyncio.wait_for(streams[0].readexactly(12), 5)
        return await ask(streams, "SessionSetupReq", session_id, {"EVCCID": "WMIV1234567890ABCDEX"})

    async def scenario() -> None:
        station = plain(cables)
        async with station.running():
            async with connected(station) as streams:
                answer = await set_up(streams, "0000000000000000")
                assert answer["ResponseCode"] == "OK_NewSessionEstablished"
                session_id = answer["Header"]["SessionID"]
                await ask(streams, "AuthorizationSetupReq", session_id, {})
                stop = {"ChargingSession": "Pause"}
                await ask(streams, "SessionStopReq", session_id, stop)
            await until(lambda: bool(station.ends), 5)
            assert station.ends[0].paused
            async with connected(station) as streams:
                answer = await set_up(streams, session_id)
                assert answer["ResponseCode"] == "OK_OldSessionJoined"
            await until(lambda: len(station.ends) == 2, 5)
            async with connected(station) as streams:  # it was not paused this time
                answer = await set_up(streams, session_id)
                assert answer["ResponseCode"] == "OK_NewSessionEstablished"

    asyncio.run(scenario())


# -- Plug & Charge


@pytest.mark.root
@pytest.mark.peer
@pytest.mark.parametrize("protocol", ["ISO_15118_20_DC", "ISO_15118_2"])
def test_a_contract_of_a_foreign_operator_is_refused(
    cables: Cables, pki: Path, tmp_path: Path, protocol: str
) -> None:
    """The package leaves such a chain to a backend (-2) or never looks at it (-20)."""
    foreign = _with_foreign_contract(pki, tmp_path)

    async def scenario() -> None:
        station = Station(*cables(), DC, pki=pki, auth_modes=("PNC",))
        row = {"interface": station.vehicle_end, "pki": str(foreign), "protocol": protocol}
        if protocol == "ISO_15118_2":
            row["service"] = None
        async with station.running(), vehicles([row]):
            await until(lambda: bool(station.ends))
        (end,) = station.ends
        assert not end.regular
        assert "Authorization" in end.stage or "Payment" in end.stage
        assert not station.powers or max(map(abs, station.powers)) == 0.0

    asyncio.run(scenario())


def _with_foreign_contract(pki: Path, folder: Path) -> Path:
    """The vehicle's own PKI, but its contract comes from an operator that nobody trusts."""
    shutil.copytree(pki, folder / "pki")
    make_demo_pki(folder / "other")
    for path in (folder / "other" / "iso15118_2").rglob("*"):
        if path.name.startswith(("contractLeaf", "moSubCA", "moRootCA", "moCertChain")):
            kind = path.parent.name
            shutil.copy(path, folder / "pki" / "iso15118_2" / kind / path.name)
    return folder / "pki"


# -- 0x22


@pytest.mark.root
def test_a_silent_vehicle_is_0x22_with_stage_and_hint(cables: Cables) -> None:
    async def scenario() -> None:
        station = plain(cables, setup_timeout_s=0.3)
        async with station.running(), connected(station) as (reader, writer):
            writer.write(FRAME)
            await reader.readexactly(12)
            await until(lambda: bool(station.handshakes), 5)
        (error,) = station.handshakes
        assert isinstance(error, HandshakeTimeoutError)
        assert error.stage == "SessionSetup"
        assert str(error).startswith("0x22: handshake timeout with fe80:")

    asyncio.run(scenario())


@pytest.mark.root
def test_a_silent_tls_client_is_0x22_at_tls_with_both_hints(cables: Cables, pki: Path) -> None:
    async def scenario() -> None:
        station = Station(*cables(), DC, pki=pki, tls_timeout_s=0.3)
        async with station.running(), connected(station, SECURED):
            await until(lambda: bool(station.handshakes), 5)
        text = str(station.handshakes[0])
        assert "0x22" in text and "at tls" in text
        assert "ping" in text and "certificate" in text

    asyncio.run(scenario())


# -- TLS


@pytest.mark.root
def test_an_unsecured_request_gets_no_answer_where_tls_is_required(
    cables: Cables, pki: Path
) -> None:
    async def scenario() -> None:
        station = Station(*cables(), DC, pki=pki)
        async with station.running():
            assert await discover(station.vehicle_end, UNSECURED, 0.5) is None
            assert await discover(station.vehicle_end, SECURED) is not None

    asyncio.run(scenario())


def client_context(pki: Path, version: ssl.TLSVersion, certificate: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    context.check_hostname = False
    certificates = pki / "iso15118_2" / "certs"
    context.load_verify_locations(certificates / "v2gRootCACert.pem")
    if version is ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    if certificate:
        keys = pki / "iso15118_2" / "private_keys"
        context.load_cert_chain(certificates / "oemCertChain.pem", keys / "oemLeaf.key")
    return context


@pytest.mark.root
@pytest.mark.parametrize(
    ("version", "certificate", "answer"),
    [
        (ssl.TLSVersion.TLSv1_3, True, SAP_RES_OK),
        (ssl.TLSVersion.TLSv1_3, False, None),
        (ssl.TLSVersion.TLSv1_2, True, "80480000"),
        (ssl.TLSVersion.TLSv1_2, False, "80480000"),
    ],
    ids=["1.3 mutual", "1.3 without a certificate", "1.2 mutual", "1.2"],
)
def test_iso_15118_20_is_spoken_over_mutual_tls_1_3_only(
    cables: Cables, pki: Path, version: ssl.TLSVersion, certificate: bool, answer: str | None
) -> None:
    """TLS 1.2 may be -2, so the connection stands, but -20 is refused in the negotiation."""

    async def scenario() -> None:
        station = Station(*cables(), AC, pki=pki)
        context = client_context(pki, version, certificate)
        async with station.running(), connected(station, SECURED, context) as (reader, writer):
            writer.write(FRAME)
            try:
                data = await asyncio.wait_for(reader.read(100), 5)
            except ssl.SSLError:
                data = b""
            if answer is None:
                assert data == b""
                await until(lambda: bool(station.handshakes), 5)
                assert "certificate" in str(station.handshakes[0])
            elif answer == SAP_RES_OK:
                assert data[8:].hex() == answer
            else:
                assert data[8:].hex() != SAP_RES_OK
                await until(lambda: bool(station.ends), 5)
                assert "negotiation failed" in station.ends[0].reason

    asyncio.run(scenario())


def test_missing_certificates_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_contexts(tmp_path)
    text = str(caught.value)
    assert "cpoCertChain.pem: is missing" in text
    assert "oemRootCACert.pem: is missing" in text
    assert "seccLeaf.key: is missing" in text


def test_expired_certificates_stop_the_start_with_their_names(tmp_path: Path) -> None:
    make_demo_pki(tmp_path, datetime.now(UTC) - timedelta(days=30), valid_days=3)
    with pytest.raises(ConfigurationError, match=r"SECC Leaf \(demo\).* expired on") as caught:
        load_contexts(tmp_path)
    assert len(caught.value.findings) == 4  # leaf, two authorities, the vehicles' root


def test_a_key_of_another_certificate_stops_the_start(tmp_path: Path) -> None:
    make_demo_pki(tmp_path)
    keys = tmp_path / "iso15118_2" / "private_keys"
    (keys / "seccLeaf.key").write_bytes((keys / "oemLeaf.key").read_bytes())
    with pytest.raises(ConfigurationError, match=r"seccLeaf\.key: does not fit"):
        load_contexts(tmp_path)


# -- what importing and sharing did


def test_evses_and_vehicles_share_no_limits() -> None:
    first, second = ev.fresh_context(), ev.fresh_context()
    first.session_limits.dc_limits.max_charge_power = 1.0
    assert second.session_limits.dc_limits.max_charge_power is None
    options = SeccOptions("if0", DC)
    stations = [Controller(Evse(DC, IdealPowerStage(DC)), options) for _ in range(2)]
    stations[0].evse_data_context.session_limits.dc_limits.max_charge_power = 1.0
    assert stations[1].evse_data_context.session_limits.dc_limits.max_charge_power is None


def test_numbers_are_rounded_not_cut() -> None:
    assert scaled(49_999.7) == (1, 5000)
    assert scaled(-49_999.7) == (1, -5000)
    assert scaled(0.5) == (-1, 5)
    assert scaled(11_000) == (0, 11_000)
    assert scaled(1e9) == (3, 32_767)


def test_importing_keeps_pydantic_logging_and_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PKI_PATH=/stolen/\nLOG_LEVEL=DEBUG\n")
    program = (
        "import logging, os, sys\n"
        "handler = logging.StreamHandler(); logging.getLogger().addHandler(handler)\n"
        "import pydantic; before = pydantic.VERSION\n"
        "import agent.vehicles.secc\n"
        "import pydantic\n"
        "from iso15118.shared.settings import shared_settings\n"
        "assert logging.getLogger().handlers == [handler], logging.getLogger().handlers\n"
        "assert logging.getLogger().level == logging.WARNING\n"
        "assert pydantic.VERSION == before and before.startswith('2.')\n"
        "assert 'stolen' not in shared_settings['PKI_PATH']\n"
        "assert 'PKI_PATH' not in os.environ\n"
        "assert 'py4j' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True)


def test_the_packages_log_lines_become_ours() -> None:
    package = logging.getLogger("iso15118")
    assert not package.propagate
    assert type(package.handlers[0]).__name__ == "_Forward"


def test_our_session_replaces_the_packages_loop() -> None:
    assert "run" in vars(Session) and "stop" in vars(Session)
    assert not hasattr(Secc, "close_session")
