"""Snapshots → OpenFMB profiles (operational model 2.2.0, protobuf).

The gateway as a whole is one ESS: its power is what all vehicles together deliver, positive
exports. Each EVSE is a DESE whose `ChaW` is, as the model has it, imported power.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from agent.messages import EvseStatus, EvseView, Measurement, Snapshot, Validity
from agent.utility.bus.energy import Stock
from agent.utility.bus.identity import Identity, evse_mrid
from agent.utility.bus.openfmb import commonmodule_pb2 as common
from agent.utility.bus.openfmb import essmodule_pb2 as ess
from agent.utility.bus.openfmb import evsemodule_pb2 as evse

EVSES_A_MESSAGE: Final = 250
"""More would come near the 1 MB that brokers take."""
MOVING_W: Final = 50.0
"""An EVSE with less power counts as resting."""
_VALIDITY: Final = {
    Validity.GOOD: common.ValidityKind_good,
    Validity.HELD: common.ValidityKind_questionable,
    Validity.QUESTIONABLE: common.ValidityKind_questionable,
    Validity.INVALID: common.ValidityKind_invalid,
}


def site_reading(identity: Identity, snapshot: Snapshot) -> bytes:
    """Return an ESSReadingProfile: frequency, voltages, delivered power."""
    profile = ess.ESSReadingProfile()
    _fill_info(profile.readingMessageInfo.messageInfo, snapshot)
    _fill_equipment(profile.ess.conductingEquipment, identity)
    reading = profile.essReading
    phases = reading.conductingEquipmentTerminalReading.terminal.phases
    phases.value = common.PhaseCodeKind_ABC
    if snapshot.measurement is not None:
        _fill_measured(reading.readingMMXU, snapshot.measurement, snapshot)
    if math.isfinite(snapshot.loop.delivered_w):
        reading.readingMMXU.W.net.cVal.mag = snapshot.loop.delivered_w
        _fill_time(reading.readingMMXU.W.net.t, snapshot.t_utc_s, snapshot)
    return profile.SerializeToString()


def site_status(identity: Identity, snapshot: Snapshot, stock: Stock) -> bytes:
    """Return an ESSStatusProfile: mode, health, state of charge, energy."""
    profile = ess.ESSStatusProfile()
    _fill_info(profile.statusMessageInfo.messageInfo, snapshot)
    _fill_equipment(profile.ess.conductingEquipment, identity)
    battery = profile.essStatus.essStatusZBAT
    node = battery.logicalNodeForEventAndStatus
    node.Beh.stVal = (
        common.BehaviourModeKind_blocked
        if snapshot.loop.mode == "blocked"
        else common.BehaviourModeKind_on
    )
    node.EEHealth.stVal = common.HealthKind_Alarm if snapshot.alarms else common.HealthKind_OK
    battery.BatSt.stVal = snapshot.loop.mode == "on"
    battery.GriMod.setVal = common.GridConnectModeKind_CC_VSI
    if stock.soc_pct is not None:
        _fill_value(battery.Soc, stock.soc_pct, common.UnitSymbolKind_none)
        _fill_value(battery.WHAvail, stock.stored_wh, common.UnitSymbolKind_Wh)
    return profile.SerializeToString()


def evse_readings(
    identity: Identity, snapshot: Snapshot, views: Sequence[EvseView]
) -> Iterator[bytes]:
    """Yield EVSEReadingProfiles that together hold every EVSE."""
    for part in _parts(views):
        profile = evse.EVSEReadingProfile()
        _fill_info(profile.readingMessageInfo.messageInfo, snapshot)
        _fill_equipment(profile.evse.conductingEquipment, identity)
        for view in part:
            _fill_reading(profile.evseReading.evseReadingDESE.add(), identity, view.status)
        yield profile.SerializeToString()


def evse_states(
    identity: Identity, snapshot: Snapshot, views: Sequence[EvseView]
) -> Iterator[bytes]:
    """Yield EVSEStatusProfiles that together hold every EVSE."""
    for part in _parts(views):
        profile = evse.EVSEStatusProfile()
        _fill_info(profile.statusMessageInfo.messageInfo, snapshot)
        _fill_equipment(profile.evse.conductingEquipment, identity)
        for view in part:
            _fill_state(profile.evseStatus.eventAndStatusDESE.add(), identity, view)
        yield profile.SerializeToString()


def _parts(views: Sequence[EvseView]) -> Iterator[Sequence[EvseView]]:
    for start in range(0, len(views), EVSES_A_MESSAGE):
        yield views[start : start + EVSES_A_MESSAGE]


def _fill_info(info: common.MessageInfo, snapshot: Snapshot) -> None:
    _fill_time(info.messageTimeStamp, snapshot.t_utc_s, snapshot)


def _fill_time(stamp: common.Timestamp, utc_s: float, snapshot: Snapshot) -> None:
    stamp.seconds = max(0, int(utc_s))
    stamp.nanoseconds = max(0, int((utc_s - int(utc_s)) * 1e9))
    stamp.tq.clockNotSynchronized = not snapshot.clock_synchronised
    stamp.tq.timeAccuracy = common.TimeAccuracyKind_unspecified


def _fill_equipment(equipment: common.ConductingEquipment, identity: Identity) -> None:
    equipment.mRID = identity.mrid
    equipment.namedObject.name.value = identity.name


def _fill_measured(mmxu: common.ReadingMMXU, measured: Measurement, snapshot: Snapshot) -> None:
    validity = _VALIDITY[measured.quality]
    if math.isfinite(measured.f_hz):
        _fill_value(mmxu.Hz, measured.f_hz, common.UnitSymbolKind_Hz)
    mmxu.Hz.q.validity = validity
    _fill_time(mmxu.Hz.t, measured.t_utc_s, snapshot)
    voltages = measured.v_phase_v or ()
    for value, volts in zip((mmxu.PhV.phsA, mmxu.PhV.phsB, mmxu.PhV.phsC), voltages, strict=False):
        value.cVal.mag = volts
        value.q.validity = validity


def _fill_value(value: common.MV, magnitude: float, unit: common.UnitSymbolKind) -> None:
    value.mag = magnitude
    value.units.SIUnit = unit


def _fill_node(node: common.LogicalNode, identity: Identity, evse_id: str) -> None:
    node.identifiedObject.mRID.value = evse_mrid(identity.mrid, evse_id)
    node.identifiedObject.name.value = evse_id


def _fill_reading(dese: evse.EVSEReadingDESE, identity: Identity, status: EvseStatus) -> None:
    _fill_node(dese.logicalNode, identity, status.evse_id)
    if status.soc_pct is not None:
        soc = dese.readingDEAO.readingDEEV.Soc
        _fill_value(soc, status.soc_pct, common.UnitSymbolKind_none)
    if status.voltage_v and status.current_a:
        _fill_value(dese.ChaV, sum(status.voltage_v) / len(status.voltage_v),
                    common.UnitSymbolKind_V)  # fmt: skip
        _fill_value(dese.ChaA, sum(status.current_a) / len(status.current_a),
                    common.UnitSymbolKind_Amp)  # fmt: skip
    if status.p_w is not None and math.isfinite(status.p_w):
        _fill_value(dese.ChaW, -status.p_w, common.UnitSymbolKind_W)
        dese.ChaW.q.validity = _VALIDITY[status.quality]
    if status.energy_import_wh is not None:
        _fill_value(dese.ChaWh, status.energy_import_wh, common.UnitSymbolKind_Wh)


def _fill_state(dese: evse.EventAndStatusDESE, identity: Identity, view: EvseView) -> None:
    status = view.status
    node = dese.logicalNodeForEventAndStatus
    _fill_node(node.logicalNode, identity, status.evse_id)
    node.Beh.stVal = common.BehaviourModeKind_on if status.online else common.BehaviourModeKind_off
    node.EEHealth.stVal = common.HealthKind_Alarm if status.fault else common.HealthKind_OK
    outlet = dese.eventAndStatusDEAO
    outlet.PlgStAC.stVal = (
        evse.EVACPlugStateKind_Connected if status.plugged else evse.EVACPlugStateKind_Disconnected
    )
    dese.PointStatus.state.value = charging_state(view)
    vehicle = outlet.eventAndStatusDEEV
    if status.departure_utc_s is not None and status.departure_utc_s > 0.0:
        vehicle.DptTm.seconds = int(status.departure_utc_s)
    if status.energy_needed_wh is not None:
        _fill_value(vehicle.WHReq, status.energy_needed_wh, common.UnitSymbolKind_Wh)
    if status.soc_pct is not None:
        _fill_value(vehicle.Soc, status.soc_pct, common.UnitSymbolKind_none)


def charging_state(view: EvseView) -> evse.ChargingStateKind:
    """Return the state in the model's words; discharging counts as energy flowing."""
    status = view.status
    if not status.plugged:
        return evse.ChargingStateKind_Idle
    if abs(status.p_w or 0.0) >= MOVING_W:
        return evse.ChargingStateKind_Charging
    if abs(view.ordered_w) >= MOVING_W:
        return evse.ChargingStateKind_SuspendedEV
    if status.setpoint_w is not None:
        return evse.ChargingStateKind_SuspendedEVSE
    return evse.ChargingStateKind_EVConnected
