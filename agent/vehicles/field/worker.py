"""The process that speaks Modbus: `python -m agent.vehicles.field.worker`."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from pathlib import Path
from typing import Final

from loguru import logger

from agent.config.field import FieldDevice
from agent.config.settings import Settings
from agent.errors import AlarmCode
from agent.messages import (
    AnyMessage,
    OrderResult,
    OrderSent,
    Role,
    Setpoint,
    Snapshot,
    Validity,
)
from agent.vehicles.field.description import SUNSPEC, Description, find_description, shipped_folder
from agent.vehicles.field.device import FieldTask
from agent.vehicles.field.dialogue import DeviceError
from agent.vehicles.field.faults import FaultPanel, faults
from agent.vehicles.field.limits import Limits
from agent.vehicles.field.port import Ports
from agent.vehicles.field.status import FrequencySource, evse_status, field_reading
from agent.vehicles.field.verifier import Verifier
from agent.worker import AsyncLink, Worker, merge_counters, run_worker

SWEEP_S: Final = 0.1
STATUS_S: Final = 0.5
"""A status goes out at least this often."""
VERIFY_S: Final = 1.0
"""How often it is looked whether a comparison is due."""
LOST_S: Final = 5.0
"""A device that is not reached for so long raises an alarm."""
HALT_S: Final = 1.5
"""Time to order zero at an orderly end."""
SUNSPEC_HZ_UNCERTAINTY: Final = 0.02


class FieldWorker:
    """Wires the devices to the control.

    Args:
        worker: The started worker.

    Raises:
        ConfigurationError: Device files or certificates that cannot be used.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        settings = worker.settings
        self._link = AsyncLink(worker, self._on_message, self._on_connect)
        self._panel = FaultPanel(self._link.send, worker.name)
        self._ports = Ports(settings.field, settings.path)
        self._sources: dict[str, FrequencySource] = {}
        self._lost_s: dict[str, float] = {}
        self._told_s: dict[str, float] = {}
        self.verifiers = {
            each.name: Verifier(
                each.name, each.evse, settings.field.verify_window_s, settings.field.verify_limit
            )
            for each in settings.field.device
            if each.evse
        }
        self.tasks = {each.name: self._task(each, settings) for each in settings.field.device}

    async def run(self) -> None:
        """Serve until the control ends this process."""
        running = [asyncio.create_task(task.run(), name=task.name) for task in self.tasks.values()]
        running.append(asyncio.create_task(self._verify()))
        sweeping = asyncio.create_task(self._sweep())
        try:
            await self._link.run()
        finally:
            for device in self.tasks.values():
                device.end()
            for each in (*running, sweeping):
                each.cancel()
            await asyncio.gather(*running, sweeping, return_exceptions=True)
            await self._halt()
            self._ports.close()

    # -- from the devices

    def changed(self, device: FieldTask) -> None:
        """Tell the control what a device reads, and what is wrong with it."""
        now_s, utc_s = time.monotonic(), time.time()
        settings = device.settings
        fault = faults(settings, device.readings) if device.online else ""
        evse_id = settings.name if settings.role == "inverter" else settings.evse
        if evse_id and (device.online or settings.role == "inverter"):
            self._panel.evse_fault(evse_id, device.name, fault, utc_s)
        if settings.role == "inverter":
            self._tell_status(device, fault, now_s)
            return
        if settings.evse and device.online:
            self._panel.stop(settings.evse, fault, now_s, utc_s)
        if not device.online:
            return
        reading = field_reading(
            settings, device.readings, device.quality, device.read_utc_s, device.read_s
        )
        self._link.send(reading)
        if device.name in self.verifiers:
            self.verifiers[device.name].measure(reading)
        source = self._sources.get(device.name)
        report = source and source.measurement(
            device.readings, device.quality, device.read_utc_s, device.read_s
        )
        if report:
            self._link.send(report)

    def sent(self, device: FieldTask, order: Setpoint) -> None:
        """An order is on the wire."""
        now_s = time.monotonic()
        self._link.send(OrderSent(device.name, order.seq, order.p_w, now_s, order.wire_s))

    def answered(self, device: FieldTask, order: Setpoint, reason: str) -> None:
        """The device accepted an order, or refused it for `reason`."""
        now_s = time.monotonic()
        self._link.send(OrderResult(device.name, order.seq, not reason, now_s, reason))

    # -- from the control

    def _on_message(self, message: AnyMessage) -> None:
        if isinstance(message, Setpoint) and message.evse_id in self.tasks:
            device = self.tasks[message.evse_id]
            reason = device.take(message)
            if reason:
                self.answered(device, message, reason)
        elif isinstance(message, Snapshot):
            for view in message.evses if self.verifiers else ():
                for verifier in self.verifiers.values():
                    if verifier.evse_id == view.evse_id:
                        verifier.report(view.status)

    def _on_connect(self) -> None:
        self._panel.restate()
        for device in self.tasks.values():
            device.link(True)
            self.changed(device)

    # -- by the clock

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s, utc_s = time.monotonic(), time.time()
            connected = self._worker.link.connected
            for device in self.tasks.values():
                device.link(connected)
                self._watch(device, now_s, utc_s)
            merge_counters(self._worker, self._counters())

    async def _verify(self) -> None:
        while True:
            await asyncio.sleep(VERIFY_S)
            for verifier in self.verifiers.values():
                if verifier.due(time.monotonic()):
                    self._link.send(await asyncio.to_thread(verifier.compare, *verifier.records()))
                    self._panel.set(
                        AlarmCode.VERIFICATION_VARIANCE,
                        verifier.evse_id,
                        verifier.trouble(),
                        "v2g-ctl verify; compare meter, current transformers, ratios, clocks",
                        time.time(),
                    )

    def _watch(self, device: FieldTask, now_s: float, utc_s: float) -> None:
        """Age a device's values, and raise the alarm when it stays away."""
        if (
            device.online
            and device.quality is Validity.GOOD
            and now_s - device.read_s > _old_s(device)
        ):
            device.quality = Validity.QUESTIONABLE
            self.changed(device)
        elif (
            device.settings.role == "inverter"
            and now_s - self._told_s.get(device.name, 0.0) >= STATUS_S
        ):
            self.changed(device)
        since_s = self._lost_s.setdefault(device.name, now_s)
        if device.online:
            self._lost_s[device.name] = now_s
        text = f"not reached: {device.trouble}" if now_s - since_s > LOST_S else ""
        if device.online and device.trouble:
            text = f"not believed: {device.trouble}"
        advice = "v2g-ctl device check; look at cable, address, unit and other masters"
        self._panel.set(AlarmCode.STATION_LOST, device.name, text, advice, utc_s)

    def _tell_status(self, device: FieldTask, fault: str, now_s: float) -> None:
        self._told_s[device.name] = now_s
        driver = device.driver
        self._link.send(
            evse_status(
                device.settings,
                device.readings,
                online=device.online,
                quality=device.quality,
                cannot=driver.cannot if driver else ("orders",),
                limits=driver.limits if driver else Limits(0.0, 0.0),
                identity=driver.identity if driver else ("", ""),
                fault=fault,
                t_utc_s=device.read_utc_s or time.time(),
                now_s=now_s,
            )
        )

    async def _halt(self) -> None:
        halting = [asyncio.create_task(device.halt()) for device in self.tasks.values()]
        if not halting:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HALT_S):
                for result in await asyncio.gather(*halting, return_exceptions=True):
                    if isinstance(result, DeviceError):
                        logger.warning("{}", result)

    def _task(self, device: FieldDevice, settings: Settings) -> FieldTask:
        description = description_of(device, settings)
        pace_s = description.pace_s if description else 0.0
        if device.frequency:
            uncertainty_hz = (
                description.frequency_uncertainty_hz if description else SUNSPEC_HZ_UNCERTAINTY
            )
            self._sources[device.name] = FrequencySource(
                device.name, uncertainty_hz, settings.grid.nominal_v
            )
        return FieldTask(
            settings=device,
            description=description,
            conversation=self._ports.conversation(device, pace_s),
            listener=self,
            nominal_hz=float(settings.grid.nominal_hz),
            adopt_s=settings.control.lease_s / 2,
        )

    def _counters(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for device in self.tasks.values():
            counters = device.counters
            found |= {
                f"{device.name}.online": float(device.online),
                f"{device.name}.polls": float(counters.polls),
                f"{device.name}.failures": float(counters.failures),
                f"{device.name}.implausible": float(counters.implausible),
                f"{device.name}.orders": float(counters.orders),
                f"{device.name}.refused": float(counters.refused),
            }
        for verifier in self.verifiers.values():
            if verifier.last is not None and math.isfinite(verifier.last.variance):
                found[f"{verifier.device}.variance"] = verifier.last.variance
        return found


def description_of(device: FieldDevice, settings: Settings) -> Description | None:
    """Return the registers of a device type; None for SunSpec, which describes itself.

    Raises:
        ConfigurationError: There is no such file, or it cannot be used.
    """
    if device.type == SUNSPEC:
        return None
    if device.type.endswith(".toml"):
        return find_description(str(settings.path.parent / device.type), ())
    own = settings.gateway.mappings
    folders: tuple[Path, ...] = (own / "devices",) if own else ()
    return find_description(device.type, (*folders, shipped_folder()))


def _old_s(device: FieldTask) -> float:
    """Age at which values are questionable: three polls and a timeout."""
    driver = device.driver
    period_s = min(driver.periods_s) if driver else device.settings.poll_s
    return 3.0 * period_s + device.settings.timeout_s


def main(worker: Worker) -> None:
    """Run the worker until it is told to stop."""
    asyncio.run(_run(worker))


async def _run(worker: Worker) -> None:
    await FieldWorker(worker).run()


if __name__ == "__main__":
    run_worker(Role.FIELD, main)
