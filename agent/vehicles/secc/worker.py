"""The process of one EVSE interface.

`python -m agent.vehicles.secc.worker --config FILE --name secc@INTERFACE`
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from iso15118.shared.messages.iso15118_20.common_types import EVSENotification
from loguru import logger

from agent.config.secc import SeccEvse
from agent.config.settings import Settings
from agent.errors import AlarmCode, ConfigurationError, Finding, ProtocolError
from agent.messages import (
    Alarm,
    AnyMessage,
    EvseStatus,
    OrderResult,
    OrderSent,
    Role,
    Setpoint,
)
from agent.vehicles.secc import codec
from agent.vehicles.secc.evse import Evse, IdealPowerStage
from agent.vehicles.secc.options import Rating, SeccOptions
from agent.vehicles.secc.server import Events, Secc
from agent.vehicles.secc.session import SessionEnd
from agent.vehicles.secc.slac import Attenuation, SlacListener, Sound
from agent.vehicles.secc.status import evse_status
from agent.worker import AsyncLink, Worker, merge_counters, run_worker

STATUS_S: Final = 0.5
"""A status goes out at least this often. `CHANGE_S`: at most this often, when it changes."""
CHANGE_S: Final = 0.1
ALARM_S: Final = 60.0
GRACE_S: Final = 2.0
"""Time that a vehicle gets to end its session when we stop."""
SESSION_ORDERS: Final = {
    "end-session": EVSENotification.TERMINATE,
    "pause-session": EVSENotification.PAUSE,
    "renegotiate": EVSENotification.SERVICE_RENEGOTIATION,
}
"""Reasons of a `Setpoint` that also change the session itself."""


class SeccWorker:
    """Wires the SECC to the control."""

    def __init__(self, worker: Worker, options: SeccOptions) -> None:
        self._worker = worker
        self._options = options
        self._link = AsyncLink(worker, self._on_message, self._on_connect)
        self.evse = Evse(options.rating, IdealPowerStage(options.rating), options.default_w)
        self.secc = Secc(options, self.evse, Events(self._progress, self._ended, self._handshake))
        self._alarms: dict[AlarmCode, tuple[Alarm, float]] = {}
        self._counts = {"sessions": 0.0, "bms_disconnects": 0.0, "handshake_failures": 0.0}
        self._delivered_seq = -1
        self._latency_s = float("nan")
        self._published_s = 0.0
        self._attenuation = Attenuation()
        self._slac: SlacListener | None = None

    async def run(self) -> None:
        """Serve until the control ends this process or the interface fails."""
        self._slac = self._listen()
        serving = asyncio.create_task(self.secc.run())
        telling = asyncio.create_task(self._tell())
        linked = asyncio.create_task(self._link.run())
        try:
            await asyncio.wait([serving, linked], return_when=asyncio.FIRST_COMPLETED)
            await self.secc.stop_session(GRACE_S)
        finally:
            for task in (serving, telling, linked):
                task.cancel()
            if self._slac is not None:
                self._slac.close()
        if serving.done() and not serving.cancelled():
            _raise_first(serving.exception())

    # -- from the control

    def _on_message(self, message: AnyMessage) -> None:
        if isinstance(message, Setpoint) and message.evse_id == self._options.interface:
            accepted = self.evse.accept(message)
            notification = SESSION_ORDERS.get(message.reason)
            if accepted and notification is not None:
                self.secc.notify(notification)
            now_s = time.monotonic()
            reason = "" if accepted else "no power, or an older order than the one in force"
            self._link.send(
                OrderResult(message.evse_id, message.seq, accepted, now_s, reason=reason)
            )

    def _on_connect(self) -> None:
        self._publish()
        for alarm, _until_s in self._alarms.values():
            self._link.send(alarm)

    # -- from the session

    def _progress(self) -> None:
        now_s = time.monotonic()
        order = self.evse.order_in_force(now_s)
        session = self.secc.session
        in_loop = session is not None and session.controller.in_loop
        if order is not None and in_loop and order.seq != self._delivered_seq:
            self._delivered_seq = order.seq
            self._latency_s = now_s - order.issued_s
            self._link.send(
                OrderSent(
                    self._options.interface,
                    order.seq,
                    self.evse.target_w(now_s),
                    now_s,
                    order.wire_s,
                )
            )
            self._publish()
        elif now_s - self._published_s >= CHANGE_S:
            self._publish()

    def _ended(self, end: SessionEnd) -> None:
        self._counts["sessions"] += 1
        if end.under_load:
            self._counts["bms_disconnects"] += 1
            self._raise_alarm(
                AlarmCode.BMS_DISCONNECT,
                f"vehicle disconnected under load in {end.stage}: {end.reason}",
                f"no transfer for {self._options.cooldown_s:g} s; look at the vehicle's battery "
                "management, then at the contactor",
                self._options.cooldown_s,
            )
        self._publish()

    def _handshake(self, error: ProtocolError) -> None:
        self._counts["handshake_failures"] += 1
        self._raise_alarm(
            AlarmCode.HANDSHAKE_TIMEOUT,
            str(error),
            "ping -6 -s 1452 the vehicle's address; check certificates and clocks",
            ALARM_S,
        )

    # -- from the modem

    def _listen(self) -> SlacListener | None:
        try:
            return SlacListener(self._options.interface, self._sound)
        except OSError as error:
            logger.info("no attenuation measurement: {}", error.strerror)
            return None

    def _sound(self, sound: Sound) -> None:
        self._attenuation.add(sound, time.monotonic())
        level_db = self._attenuation.mean_db
        self._counts["slac_attenuation_db"] = level_db
        self._counts["slac_sounds"] = float(self._attenuation.sounds)
        if level_db > self._options.attenuation_alarm_db:
            self._raise_alarm(
                AlarmCode.EVSE_FAULT,
                f"{level_db:.1f} dB attenuation on the charging cable to {sound.vehicle}",
                "check the cable's length, shield and connector",
                ALARM_S,
            )

    # -- to the control

    def _publish(self) -> None:
        self._published_s = time.monotonic()
        self._link.send(self._status())

    def _status(self) -> EvseStatus:
        alarm = self._alarms.get(AlarmCode.BMS_DISCONNECT)
        fault = alarm[0].text if alarm else ""
        return evse_status(self._options, self.evse, self.secc.session, fault, self._latency_s)

    def _raise_alarm(self, code: AlarmCode, text: str, advice: str, seconds: float) -> None:
        alarm = Alarm(code, True, self._worker.name, text, advice, time.time())
        self._alarms[code] = (alarm, time.monotonic() + seconds)
        self._link.send(alarm)

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(STATUS_S)
            self.evse.integrate(time.monotonic())
            self._expire_alarms()
            merge_counters(self._worker, self._counts)
            self._publish()

    def _expire_alarms(self) -> None:
        now_s = time.monotonic()
        for code, (alarm, until_s) in list(self._alarms.items()):
            if now_s >= until_s:
                del self._alarms[code]
                self._link.send(Alarm(code, False, alarm.source, alarm.text, "", alarm.since_utc_s))


def options_for(settings: Settings, name: str) -> SeccOptions:
    """Return the setup of the worker `secc@INTERFACE`.

    Raises:
        ConfigurationError: `agent.toml` has no `[[secc.evse]]` with this interface.
    """
    interface = name.partition("@")[2] or name
    for evse in settings.secc.evse:
        if evse.interface == interface:
            return _options(settings, evse)
    known = ", ".join(evse.interface for evse in settings.secc.evse) or "none"
    what = f"no [[secc.evse]] has interface {interface!r}"
    raise ConfigurationError((Finding(f"{settings.path}: secc", what, f"there are: {known}"),))


def _options(settings: Settings, evse: SeccEvse) -> SeccOptions:
    secc = settings.secc
    rating = Rating(
        kind=evse.kind,
        charge_max_w=min(evse.charge_max_w, settings.power.max_charge_w),
        discharge_max_w=min(evse.discharge_max_w, settings.power.max_discharge_w),
        current_max_a=evse.current_max_a,
        phases=evse.phases,
        nominal_v=settings.grid.nominal_v,
        nominal_hz=float(settings.grid.nominal_hz),
        voltage_min_v=evse.voltage_min_v,
        voltage_max_v=evse.voltage_max_v,
    )
    return SeccOptions(
        interface=evse.interface,
        rating=rating,
        pki=None if secc.tls == "off" else secc.pki,
        tls=secc.tls,
        protocols=secc.protocols,
        auth_modes=secc.auth_modes,
        control_mode=secc.control_mode,
        default_w=evse.default_w,
        evse_id=evse.evse_id,
        setup_timeout_s=secc.setup_timeout_s,
        tls_timeout_s=secc.tls_timeout_s,
        dead_link_s=secc.dead_link_s,
        cooldown_s=secc.cooldown_s,
        discharge_limit_sign=secc.discharge_limit_sign,
        attenuation_alarm_db=secc.attenuation_alarm_db,
        cache=settings.gateway.state_dir / "exi",
    )


def _raise_first(error: BaseException | None) -> None:
    """Raise what ended the SECC, out of the group that its tasks ran in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is not None:
        raise error


def main(worker: Worker) -> None:
    """Run the worker until it is told to stop."""
    options = options_for(worker.settings, worker.name)
    codec.install(options.cache)
    asyncio.run(SeccWorker(worker, options).run())


if __name__ == "__main__":
    run_worker(Role.SECC, main)
