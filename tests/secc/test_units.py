"""Parts of the SECC without a network: limits, orders, contracts, ClientHello, offers."""

from __future__ import annotations

import math
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv6Address
from pathlib import Path

import pytest
from cryptography import x509
from iso15118.shared.messages.enums import ControlMode, ServiceV20

from agent.config.secc import Secc, SeccEvse
from agent.errors import DecodeError
from agent.messages import Setpoint
from agent.vehicles.pki import make_demo_pki
from agent.vehicles.secc import contract, ev, loop, offers
from agent.vehicles.secc.evse import EvLimits, Evse, IdealPowerStage
from agent.vehicles.secc.options import SeccOptions
from agent.vehicles.secc.tls import offers_tls13
from agent.vehicles.secc.v2gtp import HEADER, parse_sdp_request, sdp_response
from tests.secc.station import AC, DC


def evse(rating: object = DC, **limits: float) -> Evse:
    assert rating in (AC, DC)
    made = Evse(rating, IdealPowerStage(rating))  # type: ignore[arg-type]
    made.ev = EvLimits(**({"discharge_max_w": 10_000.0} | limits))
    return made


def order(p_w: float, seq: int = 1, q_var: float = 0.0) -> Setpoint:
    return Setpoint("if0", seq, p_w, 10.0, 100.0, q_var=q_var)


# -- orders


def test_an_order_expires_with_its_lease() -> None:
    station = evse()
    station.accept(order(3000.0))
    assert station.target_w(105.0) == 3000.0
    assert station.target_w(110.0) == 0.0


@pytest.mark.parametrize(("ordered", "delivered"), [(50e3, 8e3), (-50e3, -9e3), (1.0, 1.0)])
def test_an_order_stays_within_both_limits(ordered: float, delivered: float) -> None:
    station = evse(discharge_max_w=8e3, charge_max_w=9e3)
    station.accept(order(ordered))
    assert station.target_w(100.0) == delivered


def test_an_older_order_does_not_replace_a_newer_one() -> None:
    station = evse()
    assert station.accept(order(3000.0, seq=2))
    assert not station.accept(Setpoint("if0", 1, 1.0, 10.0, 99.0))
    assert station.accept(Setpoint("if0", 1, 1.0, 10.0, 101.0))  # a restarted control counts anew


def test_nothing_flows_during_the_cool_down() -> None:
    station = evse()
    station.accept(order(3000.0))
    station.blocked_until_s = 104.0
    assert station.target_w(103.0) == 0.0
    assert station.target_w(104.0) == 3000.0


def test_reactive_power_stays_within_the_apparent_power() -> None:
    station = evse(AC)
    station.accept(order(10_000.0, q_var=99_000.0))
    assert math.hypot(station.target_w(100.0), station.target_var(100.0)) <= 11_000.001


# -- the charge loop's answers


@pytest.mark.parametrize("mode", list(ControlMode))
@pytest.mark.parametrize("p_w", [6000.0, -6000.0])
def test_ac_targets_are_signed_and_split_over_the_phases(mode: ControlMode, p_w: float) -> None:
    station = evse(AC)
    station.accept(order(p_w, q_var=300.0))
    answer = loop.ac_answer(station, mode, ServiceV20.AC_BPT, 3, 100.0)
    for phase in ("", "_l2", "_l3"):
        target = getattr(answer, f"evse_target_active_power{phase}").get_decimal_value()
        assert target == -p_w / 3
        reactive = getattr(answer, f"evse_target_reactive_power{phase}").get_decimal_value()
        assert reactive == -100.0


def test_a_vehicle_that_only_charges_is_never_asked_to_discharge() -> None:
    station = evse(AC)
    station.accept(order(6000.0))
    answer = loop.ac_answer(station, ControlMode.DYNAMIC, ServiceV20.AC, 1, 100.0)
    assert answer.evse_target_active_power.get_decimal_value() == 0


@pytest.mark.parametrize(("p_w", "charge", "discharge"), [(4e3, 0, 4e3), (-4e3, 4e3, 0)])
@pytest.mark.parametrize(("sign", "factor"), [("positive", 1), ("negative", -1)])
def test_dc_limits_leave_only_the_ordered_direction_open(
    p_w: float, charge: float, discharge: float, sign: str, factor: int
) -> None:
    station = evse()
    station.accept(order(p_w))
    options = SeccOptions("if0", DC, discharge_limit_sign=sign)  # type: ignore[arg-type]
    answer = loop.dc_answer(station, options, ControlMode.DYNAMIC, ServiceV20.DC_BPT, 100.0)
    assert answer.evse_maximum_charge_power.get_decimal_value() == charge
    assert answer.evse_max_discharge_power.get_decimal_value() == factor * discharge


@pytest.mark.parametrize(
    ("current", "ordered", "delivered"),
    [(10, -9e3, -4e3), (10, -1e3, -1e3), (10, 5e3, 0), (-10, 5e3, 4e3), (-10, -5e3, 0)],
)
def test_scheduled_dc_follows_the_vehicle_within_the_order(
    current: float, ordered: float, delivered: float
) -> None:
    station = evse()
    station.accept(order(ordered))
    assert loop.scheduled_dc_power_w(station, 400.0, current, 100.0) == delivered


# -- offers and what vehicles say


def test_an_outlet_that_cannot_discharge_offers_no_bidirectional_service() -> None:
    options = SeccOptions("if0", replace(DC, discharge_max_w=0.0))
    services = offers.energy_services(options).services
    assert [service.service_id for service in services] == [ServiceV20.DC.id]


def test_bidirectional_services_name_channel_and_generator_mode() -> None:
    sets = offers.parameter_sets(SeccOptions("if0", DC), ServiceV20.DC_BPT.id).parameter_sets
    for parameter_set in sets:
        names = {parameter.name for parameter in parameter_set.parameters}
        assert {"BPTChannel", "GeneratorMode", "ControlMode"} <= names


@pytest.mark.parametrize(
    ("request_wh", "discharge_w"), [(None, 5e3), (-1.0, 5e3), (0.0, 5e3), (1.0, 0.0)]
)
def test_a_vehicle_that_must_charge_first_is_not_discharged(
    request_wh: float | None, discharge_w: float
) -> None:
    context = ev.fresh_context()
    context.rated_limits.dc_limits.max_discharge_power = -5e3  # some write it negative
    context.min_v2x_energy_request = request_wh
    assert ev.limits(context, "dc", bidirectional=True).discharge_max_w == discharge_w
    assert ev.limits(context, "dc", bidirectional=False).discharge_max_w == 0.0


def test_limits_of_three_phases_are_added() -> None:
    context = ev.fresh_context()
    limits = context.session_limits.ac_limits
    limits.max_charge_power = limits.max_charge_power_l2 = limits.max_charge_power_l3 = 3e3
    assert ev.limits(context, "ac", True).charge_max_w == 9e3
    assert ev.phases(context) == 3


# -- discovery


def test_sdp_request_and_response_bytes() -> None:
    assert parse_sdp_request(bytes.fromhex("01fe9000000000020000")) == 0
    assert parse_sdp_request(bytes.fromhex("01fe9000000000021000")) == 16
    answer = sdp_response(IPv6Address("fe80::1"), 50000, 0)
    assert answer.hex() == "01fe900100000014" + "fe80" + "00" * 13 + "01" + "c350" + "0000"


@pytest.mark.parametrize(
    "data", ["", "01fe900000000002", "01fe90000000000200ff", "02fd9000000000021000", "00" * 10]
)
def test_what_is_no_sdp_request_is_a_decode_error(data: str) -> None:
    with pytest.raises(DecodeError):
        parse_sdp_request(bytes.fromhex(data))


def test_the_frame_header_is_eight_octets() -> None:
    assert HEADER.size == 8


# -- TLS and contracts


def client_hello(low: ssl.TLSVersion, high: ssl.TLSVersion) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.minimum_version, context.maximum_version = low, high
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = context.wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        handshake.do_handshake()
    return outgoing.read()


def test_the_client_hello_tells_the_tls_version() -> None:
    tls12, tls13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    assert offers_tls13(client_hello(tls13, tls13))
    assert offers_tls13(client_hello(tls12, tls13))
    assert not offers_tls13(client_hello(tls12, tls12))
    hello = client_hello(tls13, tls13)
    for length in range(60):
        assert not offers_tls13(hello[:length])
    for position in range(len(hello)):
        offers_tls13(hello[:position] + b"\xff" + hello[position + 1 :])


@pytest.fixture(scope="module")
def chain(pki: Path) -> list[bytes]:
    certificates = pki / "iso15118_2" / "certs"
    names = ("contractLeafCert", "moSubCA2Cert", "moSubCA1Cert")
    return [(certificates / f"{name}.der").read_bytes() for name in names]


@pytest.fixture(scope="module")
def roots(pki: Path) -> tuple[x509.Certificate, ...]:
    return contract.load_roots(pki / "iso15118_2" / "certs")


def test_a_contract_with_its_chain_is_trusted(
    chain: list[bytes], roots: tuple[x509.Certificate, ...]
) -> None:
    assert contract.why_not_trusted(chain, roots, datetime.now(UTC)) == ""


def test_contracts_that_are_not_trusted(
    chain: list[bytes], roots: tuple[x509.Certificate, ...], tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    make_demo_pki(tmp_path)  # another operator, of the same names
    foreign = (tmp_path / "iso15118_2" / "certs" / "contractLeafCert.der").read_bytes()
    for bad, expected in [
        ([], "a contract chain of 0"),
        (chain * 2, "a contract chain of 6"),
        ([b"nonsense", *chain[1:]], "cannot be read"),
        ([foreign, *chain[1:]], "is not issued by the next one"),
        (chain[::-1], "is not issued by the next one"),
        (chain[:1], "ends at no trusted root"),
    ]:
        assert expected in contract.why_not_trusted(bad, roots, now)
    late = now + timedelta(days=20_000)
    assert "not valid at this time" in contract.why_not_trusted(chain, roots, late)


# -- settings


def test_settings_name_every_mistake() -> None:
    section = Secc(
        evse=(
            SeccEvse(interface="eth1", voltage_min_v=900.0, voltage_max_v=800.0),
            SeccEvse(interface="eth1", evse_id="none"),
            SeccEvse(interface="a name that is too long"),
        )
    )
    keys = [key for key, _, _ in section.check()]
    assert keys == ["evse[0].voltage_min_v", "evse[1].evse_id", "evse[2].interface", "evse"]


def test_the_power_stage_opens_at_once() -> None:
    stage = IdealPowerStage(DC)
    stage.command(0.0, 0.0, 400.0)
    stage.close()
    stage.command(5000.0, 0.0, 400.0)
    assert stage.read().current_a == 12.5
    stage.open()
    assert (stage.read().p_w, stage.closed) == (0.0, False)
