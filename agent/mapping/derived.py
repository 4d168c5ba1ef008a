"""Fields that no message holds as they are: states that the IED's enumerations want.

Each function takes the snapshot, the device's EVSE and its group (None where the device has none)
and returns the value, or None while it is unknown. Ordinals are those of IEC 61850-7-4 and
7-420:2021.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from agent.errors import AlarmCode
from agent.mapping.group import GroupView
from agent.messages import Authority, EvseView, Snapshot

_OK, _WARNING, _ALARM = 1, 2, 3
_SEVERE: Final = frozenset(
    {
        AlarmCode.FREQUENCY_LOST,
        AlarmCode.WORKER_DOWN,
        AlarmCode.AUDIT_FAILED,
        AlarmCode.FREQUENCY_OUT_OF_BOUNDS,
    }
)
_RUNNING_W: Final = 50.0
"""Power above which an EVSE counts as charging or discharging."""

_DER_OFF, _DER_AVAILABLE, _DER_AUTHORIZED, _DER_RUNNING, _DER_FAILED, _DER_UNKNOWN = (
    1, 3, 4, 6, 11, 98,
)  # fmt: skip


def health(snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> int:
    """HealthKind of an EVSE: alarm without connection or with a fault, else OK; or the gateway's.

    Without an EVSE it is the worst of the gateway's alarms.
    """
    if view is None:
        return gateway_health(snapshot, None, None)
    if not view.status.online or view.status.fault:
        return _ALARM
    return _OK


def gateway_health(snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None) -> int:
    """HealthKind of the gateway: alarm for what stops its work, warning for any other alarm."""
    active = {alarm.code for alarm in snapshot.alarms if alarm.active}
    if active & _SEVERE:
        return _ALARM
    return _WARNING if active else _OK


def evse_known(_snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> bool:
    """Whether an EVSE stands behind the logical device."""
    return view is not None


def communication_lost(
    _snapshot: Snapshot, view: EvseView | None, _group: GroupView | None
) -> bool:
    """DESE.DigCommLos: the station's connection is down, or there never was one."""
    return view is None or not view.status.online


def faulty(_snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> bool:
    """The station reports a fault."""
    return view is not None and bool(view.status.fault)


def der_state(_snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> int:
    """DERStateKind of an EVSE with its vehicle."""
    if view is None:
        return _DER_UNKNOWN
    status = view.status
    if not status.online:
        return _DER_UNKNOWN
    if status.fault:
        return _DER_FAILED
    if not status.plugged:
        return _DER_OFF
    if status.p_w is not None and abs(status.p_w) > _RUNNING_W:
        return _DER_RUNNING
    return _DER_AUTHORIZED if view.up_w > 0 or view.down_w > 0 else _DER_AVAILABLE


def charging(_snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> bool | None:
    """The battery takes power."""
    power_w = None if view is None else view.status.p_w
    return None if power_w is None else power_w < -_RUNNING_W


def discharging(
    _snapshot: Snapshot, view: EvseView | None, _group: GroupView | None
) -> bool | None:
    """The battery gives power."""
    power_w = None if view is None else view.status.p_w
    return None if power_w is None else power_w > _RUNNING_W


def lowest_w(_snapshot: Snapshot, view: EvseView | None, group: GroupView | None) -> float | None:
    """Least power that an EVSE or a group can be told: minus its charging limit, W."""
    if group is not None:
        return -group.charge_max_w
    return None if view is None else -view.status.charge_max_w


def highest_w(_snapshot: Snapshot, view: EvseView | None, group: GroupView | None) -> float | None:
    """Greatest power that an EVSE or a group can be told: its discharging limit, W."""
    if group is not None:
        return group.discharge_max_w
    return None if view is None else view.status.discharge_max_w


def site_lowest_w(
    snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None
) -> float | None:
    """DAGC.WMinAvl: least power that the site can go to now, W; negative charges."""
    return snapshot.loop.ordered_w - snapshot.loop.down_w


def site_highest_w(
    snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None
) -> float | None:
    """DAGC.WMaxAvl: greatest power that the site can go to now, W."""
    return snapshot.loop.ordered_w + snapshot.loop.up_w


def ac_connection(
    _snapshot: Snapshot, view: EvseView | None, _group: GroupView | None
) -> int | None:
    """EVACConnectionStateKind: state A without vehicle, B with one, C while energy flows."""
    if view is None or not view.status.online:
        return None
    if not view.status.plugged:
        return 1
    return 3 if abs(view.status.p_w or 0.0) > _RUNNING_W else 2


def ac_plug(_snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> int | None:
    """EVACPlugStateKind: 1 disconnected, 4 connected (whether locked is not known)."""
    if view is None or not view.status.online:
        return None
    return 4 if view.status.plugged else 1


def clock_accuracy(snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None) -> int:
    """LTMS.TmAcc: significant bits of the fraction of second; 31 while it is unspecified."""
    return 10 if snapshot.clock_synchronised else 31


def local(snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None) -> bool:
    """Loc: a local operator's order rules the loop."""
    return snapshot.loop.authority is Authority.LOCAL_OPERATOR


def stored_wh(_snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> float | None:
    """Energy in the vehicle's battery, Wh."""
    if view is None or view.status.soc_pct is None or view.status.capacity_wh is None:
        return None
    return view.status.soc_pct / 100.0 * view.status.capacity_wh


def soc_low(_snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> bool | None:
    """The state of charge is at or below its lower limit."""
    if view is None or view.status.soc_pct is None or view.status.soc_min_pct is None:
        return None
    return view.status.soc_pct <= view.status.soc_min_pct


def soc_high(_snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> bool | None:
    """The state of charge is at or above its upper limit."""
    if view is None or view.status.soc_pct is None or view.status.soc_max_pct is None:
        return None
    return view.status.soc_pct >= view.status.soc_max_pct


def clock_source(snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None) -> int:
    """ClockSyncKind: 2 while the clock follows a global source, else 0 (its own)."""
    return 2 if snapshot.clock_synchronised else 0


def clock_lock(snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None) -> int:
    """ClockSyncLockingKind: 1 locked, 2 unlocked."""
    return 1 if snapshot.clock_synchronised else 2


def alarm(snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None) -> bool:
    """Any severe alarm is active."""
    return gateway_health(snapshot, None, None) == _ALARM


def warning(snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None) -> bool:
    """Any alarm is active."""
    return gateway_health(snapshot, None, None) != _OK


def hz_start_over(
    snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None
) -> float | None:
    """DHFW.HzStr: nominal frequency plus the deadband above it, Hz."""
    band = snapshot.settings.get("db_of_hz")
    return None if band is None else snapshot.loop.nominal_hz + band


def hz_start_under(
    snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None
) -> float | None:
    """DLFW.HzStr: nominal frequency minus the deadband below it, Hz."""
    band = snapshot.settings.get("db_uf_hz")
    return None if band is None else snapshot.loop.nominal_hz - band


def gradient_over(
    snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None
) -> float | None:
    """DHFW.WGra: 100 / (droop · f_n), per cent of rated power a Hz."""
    return _gradient(snapshot, "k_of")


def gradient_under(
    snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None
) -> float | None:
    """DLFW.WGra: 100 / (droop · f_n), per cent of rated power a Hz."""
    return _gradient(snapshot, "k_uf")


def _gradient(snapshot: Snapshot, setting: str) -> float | None:
    droop = snapshot.settings.get(setting)
    nominal_hz = snapshot.loop.nominal_hz
    return None if not droop or not nominal_hz else 100.0 / (droop * nominal_hz)


def variance(snapshot: Snapshot, view: EvseView | None, _group: GroupView | None) -> float | None:
    """Variance of the EVSE's report against the analyser before it, %."""
    found = (v for v in snapshot.verifications if view and v.evse_id == view.evse_id)
    value = next((each.variance for each in found), math.nan)
    return 100.0 * value if math.isfinite(value) else None


def variance_alarm(
    snapshot: Snapshot, view: EvseView | None, _group: GroupView | None
) -> bool | None:
    """The variance of the EVSE's report is beyond its limit (alarm 0x52); None: not compared."""
    if view is None or all(v.evse_id != view.evse_id for v in snapshot.verifications):
        return None
    code = AlarmCode.VERIFICATION_VARIANCE
    return any(a.code is code and a.source == view.evse_id for a in snapshot.alarms)


def audit_seq(snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None) -> int:
    """Sequence number of the last durable record of the audit log (its 31 lowest bits)."""
    return snapshot.audit_seq & 0x7FFF_FFFF


def audit_code_high(
    snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None
) -> int | None:
    """Octets 1 to 4 of that record's code, as INT32; `audit_code_low`: octets 5 to 8."""
    return _signed(snapshot.audit_mac[:8])


def audit_code_low(
    snapshot: Snapshot, _view: EvseView | None, _group: GroupView | None
) -> int | None:
    """Octets 5 to 8 of the code of the last durable audit record, as INT32."""
    return _signed(snapshot.audit_mac[8:16])


def _signed(octets: str) -> int | None:
    return int.from_bytes(bytes.fromhex(octets), signed=True) if octets else None


Derived = Callable[[Snapshot, EvseView | None, GroupView | None], bool | int | float | None]

DERIVED: Final[Mapping[str, Derived]] = {
    function.__name__: function
    for function in (
        ac_connection,
        ac_plug,
        alarm,
        audit_code_high,
        audit_code_low,
        audit_seq,
        charging,
        clock_accuracy,
        clock_lock,
        clock_source,
        communication_lost,
        der_state,
        discharging,
        evse_known,
        faulty,
        gateway_health,
        gradient_over,
        gradient_under,
        health,
        highest_w,
        hz_start_over,
        hz_start_under,
        local,
        lowest_w,
        site_highest_w,
        site_lowest_w,
        soc_high,
        soc_low,
        stored_wh,
        variance,
        variance_alarm,
        warning,
    )
}
"""Every derived field by the name a mapping uses after ``derived.``."""
