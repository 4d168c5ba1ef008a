"""What the IED shows follows the control, and what clients set reaches it; on both engines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from open61850.data import BoolData, FloatData, IntData, StructureData, TimestampData, UIntData
from open61850.mms import ControlError, DataAccessError, MmsClient, operate
from open61850.mms.control import Origin

from agent.iec61850 import DetailQuality, Quality, Validity
from agent.messages import (
    Authority,
    RequestKind,
    RequestOutcome,
    RequestStatus,
    SubscriptionHealth,
)
from agent.messages import Validity as MessageValidity


def value(client: MmsClient, name: str) -> Any:
    data = client.read(name)
    return getattr(data, "value", data)


def quality(client: MmsClient, name: str) -> Quality:
    return Quality.from_bit_string(value(client, name))


WSPT = "V2G1EVSE1/DWGC1.WSpt"


def power(watts: float) -> StructureData:
    return StructureData([FloatData(watts)])


def test_measurements_carry_value_quality_and_time(live: Any) -> None:
    live.show(f_hz=49.87)
    with live.client() as client:
        assert value(client, "V2G1LD0/MMXU1$MX$Hz$mag$f") == pytest.approx(49.87, abs=1e-4)
        assert quality(client, "V2G1LD0/MMXU1$MX$Hz$q").is_good
        stamp = client.read("V2G1LD0/MMXU1$MX$Hz$t")
        assert abs(stamp.value.timestamp() - time.time()) < 5
        assert stamp.quality & 0x20 == 0


def test_a_lost_clock_is_shown_in_every_time_quality(live: Any) -> None:
    live.show(clock_synchronised=False, f_hz=50.5)
    with live.client() as client:
        assert client.read("V2G1LD0/MMXU1$MX$Hz$t").quality & 0x20
        assert value(client, "V2G1LD0/LTMS1$ST$TmSyn$stVal") == 0
        assert value(client, "V2G1LD0/LTMS1$ST$TmSynLkd$stVal") == 2


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (MessageValidity.GOOD, Quality()),
        (MessageValidity.HELD, Quality.questionable(DetailQuality.OLD_DATA)),
        (MessageValidity.QUESTIONABLE, Quality.questionable(DetailQuality.INACCURATE)),
        (MessageValidity.INVALID, Quality.invalid(DetailQuality.OLD_DATA)),
    ],
)
def test_the_quality_of_the_source_is_the_quality_shown(live: Any, said: Any, shown: Any) -> None:
    live.show(quality=said)
    with live.client() as client:
        assert quality(client, "V2G1LD0/MMXU1$MX$Hz$q") == shown


def test_a_lost_evse_is_invalid_and_old_at_once(live: Any) -> None:
    live.show(online=False)
    with live.client() as client:
        for name in ("MMXU1$MX$TotW$q", "LLN0$ST$Beh$q", "DSTO1$MX$SocEffWhPct$q"):
            found = quality(client, f"V2G1EVSE1/{name}")
            assert found.validity is Validity.INVALID
            assert found.detail & DetailQuality.OLD_DATA
        assert value(client, "V2G1EVSE1/DESE1$ST$DigCommLos$stVal") is True
        assert value(client, "V2G1EVSE1/LLN0$ST$Health$stVal") == 3
        live.show(online=True)
        assert quality(client, "V2G1EVSE1/LLN0$ST$Beh$q").is_good
        assert quality(client, "V2G1EVSE1/MMXU1$MX$TotW$q").is_good


def test_without_the_control_values_become_questionable_and_old(
    engine_name: str, server: Any, station_file: Path, tmp_path: Path, until: Any
) -> None:
    with (
        server(engine_name, station_file, tmp_path, stale_s=1.0) as live,
        live.client() as client,
    ):
        until(lambda: not quality(client, "V2G1LD0/MMXU1$MX$Hz$q").is_good, 5.0)
        found = quality(client, "V2G1LD0/MMXU1$MX$Hz$q")
        assert found == Quality.questionable(DetailQuality.OLD_DATA)
        with pytest.raises(ControlError) as refused:
            operate(client, WSPT, power(1000.0))
        assert refused.value.last_appl_error.add_cause == 13


def test_an_order_becomes_a_leased_request_and_ends_with_its_outcome(live: Any) -> None:
    with live.client() as client:
        result = operate(client, WSPT, power(4000.0), origin=Origin(2, b"control room"))
        assert result.terminated
    request = live.control.requests[-1]
    assert (request.kind, request.target, request.value) == (
        RequestKind.WATT_SETPOINT,
        "cs1/1",
        4000.0,
    )
    assert request.authority is Authority.SCADA
    assert request.origin.startswith("control room (orCat 2) 127.0.0.1:")
    assert request.lease_s > 0


def test_an_order_that_was_not_followed_ends_with_the_controls_reason(live: Any) -> None:
    def fails(request: Any) -> list[RequestOutcome]:
        return [RequestOutcome(request.request_id, RequestStatus.FAILED, "", 16)]

    live.control.answer = fails
    with live.client() as client, pytest.raises(ControlError) as failed:
        operate(client, WSPT, power(4000.0))
    assert failed.value.stage == "termination"
    assert failed.value.last_appl_error.add_cause == 16


@pytest.mark.parametrize("watts", [12_000.0, -12_000.0, float("nan"), float("inf")])
def test_an_order_outside_the_limits_of_the_evse_is_refused(live: Any, watts: float) -> None:
    with live.client() as client, pytest.raises(ControlError) as refused:
        operate(client, WSPT, power(watts))
    assert refused.value.last_appl_error.add_cause == 26
    assert live.control.requests == []


def test_an_order_beyond_the_whole_site_is_refused(live: Any) -> None:
    with live.client() as client:
        assert value(client, "V2G1LD0/DAGC1$MX$WMaxAvl$mag$f") == 5000.0
        assert value(client, "V2G1LD0/DAGC1$MX$WMinAvl$mag$f") == -5000.0
        with pytest.raises(ControlError) as refused:
            operate(client, "V2G1LD0/DWGC1.WSpt", StructureData([FloatData(1e9)]))
        assert refused.value.last_appl_error.add_cause == 26
        operate(client, "V2G1LD0/DWGC1.WSpt", StructureData([FloatData(11_000.0)]))


def test_an_order_to_an_evse_that_is_not_there_is_refused(live: Any) -> None:
    with live.client() as client, pytest.raises(ControlError) as refused:
        operate(client, "V2G1EVSE3/DWGC1.WSpt", power(1.0))
    assert refused.value.last_appl_error.add_cause == 9


def test_a_local_operator_blocks_station_and_remote(live: Any) -> None:
    import msgspec

    local = msgspec.structs.replace(live.scene.snapshot().loop, authority=Authority.LOCAL_OPERATOR)
    live.show(loop=local)
    with live.client() as client:
        assert value(client, "V2G1EVSE1/DSTO1$ST$Loc$stVal") is True
        with pytest.raises(ControlError) as refused:
            operate(client, WSPT, power(1000.0))
    assert refused.value.last_appl_error.add_cause == 2


def test_loc_sta_keeps_the_remote_level_out(live: Any, until: Any) -> None:
    with live.client() as client:
        operate(client, "V2G1LD0/LLN0.LocSta", True)
        until(lambda: value(client, "V2G1LD0/LLN0$ST$LocSta$stVal"))
        with pytest.raises(ControlError) as refused:
            operate(client, "V2G1LD0/DWGC1.WSpt", power(1.0), origin=Origin(3, b"remote"))
        assert refused.value.last_appl_error.add_cause == 2
        operate(client, "V2G1LD0/DWGC1.WSpt", power(1.0), origin=Origin(2, b"station"))


def test_mod_blocks_controls_and_sets_beh_of_every_node(live: Any, until: Any) -> None:
    with live.client() as client:
        operate(client, "V2G1EVSE1/LLN0.Mod", 2)
        until(lambda: value(client, "V2G1EVSE1/DWGC1$ST$Beh$stVal") == 2)
        with pytest.raises(ControlError) as refused:
            operate(client, WSPT, power(1000.0))
        assert refused.value.last_appl_error.add_cause == 8
        operate(client, "V2G1EVSE1/LLN0.Mod", 1)
        until(lambda: value(client, "V2G1EVSE1/DWGC1$ST$Beh$stVal") == 1)
        operate(client, WSPT, power(1000.0))


def test_in_test_mode_values_carry_q_test_and_only_test_orders_are_taken(
    live: Any, until: Any
) -> None:
    with live.client() as client:
        operate(client, "V2G1EVSE1/LLN0.Mod", 3)
        until(lambda: quality(client, "V2G1EVSE1/MMXU1$MX$TotW$q").test)
        with pytest.raises(ControlError):
            operate(client, WSPT, power(1000.0))
        operate(client, WSPT, power(1000.0), test=True)
        assert live.control.requests[-1].test
        operate(client, "V2G1EVSE1/LLN0.Mod", 1)
        until(lambda: not quality(client, "V2G1EVSE1/MMXU1$MX$TotW$q").test)


def test_a_setting_takes_effect_through_the_control(live: Any) -> None:
    with live.client() as client:
        client.write("V2G1EVSE1/DLFW1$SP$HzStr$setMag$f", FloatData(49.9))
        assert value(client, "V2G1EVSE1/DLFW1$SP$HzStr$setMag$f") == pytest.approx(49.9)
    request = live.control.requests[-1]
    assert (request.kind, request.setting) == (RequestKind.SETTING, "db_uf_hz")
    assert request.value == pytest.approx(0.1, abs=1e-5)
    assert any(getattr(event, "kind", "") == "setting" for event in live.control.events)


def test_a_setting_that_the_control_refuses_stays_as_it_was(live: Any) -> None:
    live.control.answer = lambda request: [
        RequestOutcome(request.request_id, RequestStatus.REFUSED, "too wide", 26)
    ]
    with live.client() as client:
        before = value(client, "V2G1EVSE1/DLFW1$SP$HzStr$setMag$f")
        with pytest.raises(DataAccessError) as refused:
            client.write("V2G1EVSE1/DLFW1$SP$HzStr$setMag$f", FloatData(49.0))
        assert refused.value.code == 11
        assert value(client, "V2G1EVSE1/DLFW1$SP$HzStr$setMag$f") == before


@pytest.mark.parametrize(
    ("name", "written", "codes"),
    [
        ("DLFW1$SP$HzStr$setMag$f", FloatData(float("nan")), {11}),
        ("DLFW1$SP$HzStr$setMag$f", FloatData(1000.0), {11}),
        ("DLFW1$SP$HzStr$setMag$f", IntData(50), {7}),
        ("DSTO1$SP$ChaWMax$setMag$f", FloatData(1.0), {3}),
        ("MMXU1$MX$TotW$mag$f", FloatData(1.0), {3}),
        ("LLN0$ST$Beh$stVal", IntData(5), {3}),
        ("DWGC1$CF$WSpt$ctlModel", IntData(1), {3}),
        ("DESE1$DC$EVSENam$vendor", FloatData(1.0), {3, 7}),
    ],
)
def test_a_write_that_must_not_be_is_refused(
    live: Any, name: str, written: Any, codes: Any
) -> None:
    with live.client() as client:
        before = client.read(f"V2G1EVSE1/{name}")
        with pytest.raises(DataAccessError) as refused:
            client.write(f"V2G1EVSE1/{name}", written)
        assert refused.value.code in codes
        assert client.read(f"V2G1EVSE1/{name}") == before


def test_set_points_modes_and_deadbands_survive_a_restart(
    engine_name: str, server: Any, station_file: Path, tmp_path: Path
) -> None:
    with server(engine_name, station_file, tmp_path) as live, live.client() as client:
        client.write("V2G1EVSE1/DWGC1$SP$RvrtTms$setVal", IntData(120))
        client.write("V2G1EVSE1/MMXU1$CF$TotW$db", UIntData(5000))
        operate(client, "V2G1EVSE2/LLN0.Mod", 2)
        operate(client, WSPT, power(1000.0))
        assert live.control.requests[-1].lease_s == 120.0
    with server(engine_name, station_file, tmp_path) as live, live.client() as client:
        assert value(client, "V2G1EVSE1/DWGC1$SP$RvrtTms$setVal") == 120
        assert value(client, "V2G1EVSE1/MMXU1$CF$TotW$db") == 5000
        assert value(client, "V2G1EVSE2/DSTO1$ST$Beh$stVal") == 2


@pytest.mark.parametrize("reversion_s", [0, -67])
def test_without_a_reversion_time_an_order_has_the_configured_lease(
    live: Any, reversion_s: int
) -> None:
    with live.client() as client:
        client.write("V2G1EVSE1/DWGC1$SP$RvrtTms$setVal", IntData(reversion_s))
        operate(client, WSPT, power(1000.0))
    assert live.control.requests[-1].lease_s == 300.0


def test_a_deadband_holds_the_magnitude(live: Any) -> None:
    with live.client() as client:
        client.write("V2G1EVSE1/MMXU1$CF$TotW$db", UIntData(5000))  # 5 % of 22 kW
        live.show(p_w=-3000.0)
        before = value(client, "V2G1EVSE1/MMXU1$MX$TotW$mag$f")
        live.show(p_w=-3000.0 + 1000.0)
        assert value(client, "V2G1EVSE1/MMXU1$MX$TotW$mag$f") == before
        live.show(p_w=-3000.0 + 1200.0)
        assert value(client, "V2G1EVSE1/MMXU1$MX$TotW$mag$f") == pytest.approx(-1800.0)


def test_subscriptions_show_their_health(live: Any) -> None:
    block = "BAY1LD0/LLN0$GO$gcbMeasurements"
    goose = SubscriptionHealth(block, "goose", True, False, False, 3, 3, 17)
    live.show(subscriptions=(goose,))
    with live.client() as client:
        assert value(client, "V2G1LD0/LGOS1$ST$St$stVal") is True
        assert value(client, "V2G1LD0/LGOS1$ST$LastStNum$stVal") == 17
        assert value(client, "V2G1LD0/LGOS1$ST$ConfRevNum$stVal") == 3
        import msgspec

        live.show(subscriptions=(msgspec.structs.replace(goose, alive=False),))
        assert value(client, "V2G1LD0/LGOS1$ST$St$stVal") is False


def test_selecting_a_setting_group_changes_the_droop(live: Any) -> None:
    name = "V2G1EVSE1/DHFW1$SG$HzStr$setMag$f"
    with live.client() as client:
        assert value(client, name) == pytest.approx(50.02)
        client.write("V2G1EVSE1/LLN0$SP$SGCB$ActSG", UIntData(2))
        assert value(client, name) == pytest.approx(50.2)
        assert value(client, "V2G1EVSE1/LLN0$SP$SGCB$ActSG") == 2
    request = live.control.requests[-1]
    assert (request.setting, request.value) == ("db_of_hz", pytest.approx(0.2, abs=1e-4))


def test_an_edited_group_takes_effect_when_it_is_confirmed(live: Any) -> None:
    edited = "V2G1EVSE1/DHFW1$SE$HzStr$setMag$f"
    with live.client() as client:
        with pytest.raises(DataAccessError):
            client.read(edited)
        client.write("V2G1EVSE1/LLN0$SP$SGCB$EditSG", UIntData(1))
        client.write(edited, FloatData(50.1))
        assert value(client, "V2G1EVSE1/DHFW1$SG$HzStr$setMag$f") == pytest.approx(50.02)
        client.write("V2G1EVSE1/LLN0$SP$SGCB$CnfEdit", BoolData(True))
        assert live.control.requests[-1].value == pytest.approx(0.1, abs=1e-4)
        client.write("V2G1EVSE1/LLN0$SP$SGCB$ActSG", UIntData(2))
        client.write("V2G1EVSE1/LLN0$SP$SGCB$ActSG", UIntData(1))
        assert value(client, "V2G1EVSE1/DHFW1$SG$HzStr$setMag$f") == pytest.approx(50.1)


def test_a_schedule_uploaded_by_mms_runs_entry_by_entry(live: Any, until: Any) -> None:
    import datetime as dt

    node = "V2G1LD0/FSCH1"
    with live.client() as client:
        client.write(f"{node}$SP$NumEntr$setVal", IntData(97))
        operate(client, f"{node}.EnaReq", True)
        until(lambda: value(client, f"{node}$ST$SchdEnaErr$stVal") == 2)
        client.write(f"{node}$SP$NumEntr$setVal", IntData(3))
        client.write(f"{node}$SP$SchdIntv$setVal", IntData(1))
        for number, watts in enumerate((1000.0, -2000.0, 0.0), start=1):
            client.write(f"{node}$SP$ValASG{number}$setMag$f", FloatData(watts))
        operate(client, f"{node}.EnaReq", True)
        until(lambda: value(client, f"{node}$ST$SchdSt$stVal") == 2)
        start = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1)
        client.write(f"{node}$SP$StrTm1$setTm", TimestampData(start))
        until(lambda: value(client, f"{node}$ST$SchdSt$stVal") == 3)
        until(lambda: value(client, f"{node}$ST$SchdSt$stVal") == 4)
        until(lambda: value(client, "V2G1LD0/FSCC1$ST$ActSchdRef$stVal") == node)
        until(lambda: value(client, f"{node}$ST$SchdSt$stVal") == 1)
    orders = [r for r in live.control.requests if r.origin == f"schedule {node}"]
    assert [order.value for order in orders] == [1000.0, -2000.0, 0.0]
    assert all(0 < order.lease_s <= 2.1 for order in orders)
    assert {order.target for order in orders} == {"site"}


def test_a_group_shows_sums_and_shares_orders_over_its_evses(
    engine_name: str, server: Any, station_file: Path, tmp_path: Path
) -> None:
    with server(engine_name, station_file, tmp_path, groups={"GRP1": ("north/*",)}) as live:
        live.show(evses=("north/1", "north/2", "south/1"))
        with live.client() as client:
            assert value(client, "V2G1GRP1/MMXU1$MX$TotW$mag$f") == pytest.approx(-6000.0)
            operate(client, "V2G1GRP1/DWGC1.WSpt", power(5000.0))
            with pytest.raises(ControlError):
                operate(client, "V2G1GRP1/DWGC1.WSpt", power(23_000.0))
        placed = {request.target: request.value for request in live.control.requests}
        assert placed == {"north/1": 2500.0, "north/2": 2500.0}


def test_each_evse_keeps_its_logical_device_over_a_restart(
    server: Any, station_file: Path, tmp_path: Path
) -> None:
    def shown(live: Any) -> dict[str, Any]:
        with live.client() as client:
            return {
                inst: value(client, f"V2G1{inst}/DESE1$SP$EVSEId$setVal")
                for inst in ("EVSE1", "EVSE2", "EVSE3")
            }

    with server("open61850", station_file, tmp_path, evses={"EVSE1": "z/1"}) as live:
        live.show(evses=("b/1", "z/1"))
        live.show(evses=("a/1", "b/1", "z/1"))
        before = shown(live)
        assert before == {"EVSE1": "z/1", "EVSE2": "cs1/1", "EVSE3": "b/1"}
    with server("open61850", station_file, tmp_path, evses={"EVSE1": "z/1"}) as live:
        live.show(evses=("a/1", "b/1", "z/1"))
        assert shown(live)["EVSE3"] == "b/1"
