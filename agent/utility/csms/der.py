"""DER control towards the CSMS (OCPP 2.1, block R): the gateway as one distributed resource.

Of the register's control types the gateway itself has the frequency droop and the limit of
discharge; those of single vehicles are reached through their own station. Remote settings only
narrow: the control refuses the rest, and its reason goes back.
"""

from __future__ import annotations

import time
from typing import Final

from agent.errors import AlarmCode, RefusedError
from agent.messages import SITE, Alarm, RequestKind
from agent.ocpp import Payload, Version
from agent.ocpp.der import DerControl, DerType, read_control
from agent.ocpp.der_register import DerRegister
from agent.ocpp.timestamps import format_utc
from agent.utility.context import Context
from agent.utility.csms.desires import Scene
from agent.utility.csms.wishes import Desired, Key, WishBook

SUPPORTED: Final = frozenset({DerType.FREQ_DROOP, DerType.LIMIT_MAX_DISCHARGE})
LOCAL_ID: Final = "local"
"""Id of the droop that is configured here, in reports."""
LOCAL_PRIORITY: Final = 9
_ALARMS: Final = (AlarmCode.FREQUENCY_OUT_OF_BOUNDS, AlarmCode.RIDE_THROUGH)
_SETTINGS: Final = ("db_uf_hz", "db_of_hz", "k_uf", "k_of", "olrt_s")


class DerDesk:
    """The register of the gateway, and what follows from it."""

    def __init__(self, context: Context) -> None:
        self.register = DerRegister(supported=SUPPORTED)
        self._context = context
        self._told: dict[tuple[AlarmCode, str], Payload] = {}

    async def set(self, payload: Payload, wishes: WishBook, scene: Scene) -> Payload:
        """Answer SetDERControl (R04). Raises `CallError` for a setting that is none."""
        control = read_control(payload)
        if control.control_type not in SUPPORTED:
            return {"status": "NotSupported"}
        try:
            wanted = self._requests(control, scene)
        except RefusedError as error:
            return _rejected(str(error))
        lasting = {
            key: Desired(value, scene.mono_s + scene.lease_s, scene.lease_s)
            for key, value in wanted.items()
        }
        if reason := await wishes.check(lasting):
            return _rejected(reason)
        return self.register.set(control).payload()

    def clear(self, payload: Payload) -> Payload:
        """Answer ClearDERControl (R05)."""
        kind = payload.get("controlType")
        if kind is not None and DerType(kind) not in SUPPORTED:
            return {"status": "NotSupported"}
        return {
            "status": self.register.clear(
                payload["isDefault"], DerType(kind) if kind else None, payload.get("controlId")
            )
        }

    def get(self, payload: Payload) -> tuple[Payload, list[Payload]]:
        """Return the answer to GetDERControl (R06) and the ReportDERControl that follow."""
        kind = payload.get("controlType")
        if kind is not None and DerType(kind) not in SUPPORTED:
            return {"status": "NotSupported"}, []
        wanted = (payload.get("isDefault"), DerType(kind) if kind else None)
        register = self._with_local()
        found = register.find(*wanted, payload.get("controlId"))
        if not found:
            return {"status": "NotFound"}, []
        return {"status": "Accepted"}, register.reports(payload["requestId"], found)

    def desires(self, scene: Scene) -> dict[Key, Desired]:
        """Return what the controls in force ask of the site."""
        wanted: dict[Key, Desired] = {}
        for control_type in SUPPORTED:
            control = self.register.effective(control_type, scene.utc_s)
            if control is None:
                continue
            until_s = scene.mono_s + (control.end_utc_s - scene.utc_s)
            for key, value in self._requests(control, scene).items():
                wanted[key] = Desired(value, until_s, scene.lease_s)
        return wanted

    def news(self, version: Version) -> list[tuple[str, Payload]]:
        """Return what must be told since the last call (2.1): starts, ends and alarms."""
        if version is not Version.V21:
            return []
        now_s = time.time()
        found: list[tuple[str, Payload]] = []
        for event in self.register.advance(now_s):
            payload: Payload = {
                "controlId": event.control_id,
                "started": event.started,
                "timestamp": format_utc(now_s),
            }
            if event.superseded_ids:
                payload["supersededIds"] = list(event.superseded_ids)
            found.append(("NotifyDERStartStop", payload))
        return found + self._alarm_news(now_s)

    def _alarm_news(self, now_s: float) -> list[tuple[str, Payload]]:
        snapshot = self._context.fleet.snapshot
        active: dict[tuple[AlarmCode, str], Alarm] = {
            (alarm.code, alarm.source): alarm
            for alarm in (snapshot.alarms if snapshot is not None else ())
            if alarm.code in _ALARMS
        }
        found = []
        for identity, alarm in active.items():
            if identity not in self._told:
                self._told[identity] = self._alarm_payload(alarm)
                found.append(("NotifyDERAlarm", self._told[identity]))
        for identity in self._told.keys() - active.keys():
            over = {"alarmEnded": True, "timestamp": format_utc(now_s)}
            found.append(("NotifyDERAlarm", {**self._told.pop(identity), **over}))
        return found

    def _alarm_payload(self, alarm: Alarm) -> Payload:
        snapshot = self._context.fleet.snapshot
        measured = snapshot.measurement if snapshot is not None else None
        grid = self._context.settings.grid
        f_hz = measured.f_hz if measured is not None else grid.nominal_hz
        v_pu = measured.v1_v / grid.nominal_v if measured is not None else 1.0
        low = f_hz < grid.nominal_hz
        control, fault = "FreqDroop", "UnderFrequency" if low else "OverFrequency"
        if alarm.code is AlarmCode.RIDE_THROUGH:
            control = "LFMustTrip" if low else "HFMustTrip"
            if not 0.9 <= v_pu <= 1.1:
                control = "LVMustTrip" if v_pu < 1.0 else "HVMustTrip"
                fault = "UnderVoltage" if v_pu < 1.0 else "OverVoltage"
        return {
            "controlType": control,
            "gridEventFault": fault,
            "alarmEnded": False,
            "timestamp": format_utc(alarm.since_utc_s),
            "extraInfo": f"{alarm.code} {alarm.text}"[:200],
        }

    def _requests(self, control: DerControl, scene: Scene) -> dict[Key, float]:
        setting = control.setting
        if control.control_type is DerType.LIMIT_MAX_DISCHARGE:
            if "pctMaxDischargePower" not in setting:
                raise RefusedError("only pctMaxDischargePower is supported")
            share = setting["pctMaxDischargePower"] / 100.0
            return {(SITE, RequestKind.WATT_LIMIT, ""): share * scene.rated_w}
        values = {
            "db_uf_hz": scene.nominal_hz - setting["underFreq"],
            "db_of_hz": setting["overFreq"] - scene.nominal_hz,
            "k_uf": setting["underDroop"],
            "k_of": setting["overDroop"],
            "olrt_s": setting["responseTime"],
        }
        if values["db_uf_hz"] < 0.0 or values["db_of_hz"] < 0.0:
            raise RefusedError("underFreq lies below nominal, overFreq above")
        return {(SITE, RequestKind.SETTING, name): float(values[name]) for name in values}

    def _with_local(self) -> DerRegister:
        """Return the register with the configured droop as its lowest default."""
        register = DerRegister(supported=SUPPORTED)
        snapshot = self._context.fleet.snapshot
        values = snapshot.settings if snapshot is not None else {}
        nominal_hz = float(self._context.settings.grid.nominal_hz)
        if all(name in values for name in _SETTINGS):
            setting = {
                "priority": LOCAL_PRIORITY,
                "overFreq": round(nominal_hz + values["db_of_hz"], 6),
                "underFreq": round(nominal_hz - values["db_uf_hz"], 6),
                "overDroop": values["k_of"],
                "underDroop": values["k_uf"],
                "responseTime": values["olrt_s"],
            }
            register.set(DerControl(LOCAL_ID, DerType.FREQ_DROOP, True, LOCAL_PRIORITY, setting))
        for control in self.register:
            register.set(control)
        return register


def _rejected(text: str) -> Payload:
    info = {"reasonCode": "Refused", "additionalInfo": text}
    return {"status": "Rejected", "statusInfo": info}
