"""One task a device: connect, discover, poll, carry out orders, back off. None waits for another.

A device that stalls costs its own task a timeout; one that lies loses its quality. Requests to a
device follow one another, orders first.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from loguru import logger

from agent.config.field import FieldDevice
from agent.errors import RefusedError
from agent.messages import Setpoint, Validity
from agent.vehicles.field.described import DescribedDevice
from agent.vehicles.field.description import Description
from agent.vehicles.field.dialogue import DeviceError, Dialogue
from agent.vehicles.field.functions import Droop, Functions
from agent.vehicles.field.inverter import REVERSION_S, SunSpecInverter, limits_of
from agent.vehicles.field.limits import Limits
from agent.vehicles.field.orders import OrderBook
from agent.vehicles.field.port import Conversation
from agent.vehicles.field.readings import Readings
from agent.vehicles.field.sunspec import discover
from agent.vehicles.field.sunspec.meter import SunSpecMeter

BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
ALIVE_S: Final = 1.0
"""Heartbeat, and renewal of the order in force."""
REFUSED_S: Final = 30.0
"""A device that must not be used as configured is looked at again after this time."""


class Driver(Protocol):
    """What a kind of device can be asked for, as dialogues."""

    @property
    def cannot(self) -> tuple[str, ...]:
        """What it cannot do, as `EvseStatus.cannot` says it."""

    @property
    def identity(self) -> tuple[str, str]:
        """Vendor and model."""

    @property
    def limits(self) -> Limits:
        """What may be ordered."""

    @property
    def periods_s(self) -> tuple[float, ...]:
        """How often each read group is due."""

    def prepare(self) -> Dialogue[float | None]:
        """Set it up; return the order that it still carries out."""

    def poll(self, groups: Sequence[int] = (0,)) -> Dialogue[Readings]:
        """Read these groups."""

    def order(self, p_w: float, q_var: float = 0.0) -> Dialogue[None]:
        """Order power and read it back."""

    def keep_alive(self, p_w: float | None, q_var: float = 0.0) -> Dialogue[None]:
        """Tell the device that its gateway lives."""

    def stop(self) -> Dialogue[None]:
        """Order no power."""


class Listener(Protocol):
    """Who hears of a device."""

    def changed(self, device: FieldTask) -> None:
        """New readings, another quality, or gone."""

    def sent(self, device: FieldTask, order: Setpoint) -> None:
        """An order is on the wire."""

    def answered(self, device: FieldTask, order: Setpoint, reason: str) -> None:
        """The device accepted (empty reason) or refused an order."""


@dataclass(slots=True)
class Counters:
    """What happened to one device."""

    polls: int = 0
    failures: int = 0
    implausible: int = 0
    orders: int = 0
    refused: int = 0


@dataclass(slots=True)
class FieldTask:
    """The conversation with one device over its whole life.

    Attributes:
        settings: Its table in `agent.toml`.
        description: Its registers; None for SunSpec.
        conversation: The way to it.
        listener: Who hears of it.
        linked: Whether the control is there; without it no order is renewed.
        nominal_hz: 50 or 60.
        adopt_s: Lease of an order that is found in the inverter at the start.
        readings, read_s, read_utc_s: Last good poll; monotonic and UTC instants of it.
    """

    settings: FieldDevice
    description: Description | None
    conversation: Conversation
    listener: Listener
    nominal_hz: float
    adopt_s: float
    linked: bool = True
    online: bool = False
    quality: Validity = Validity.INVALID
    readings: Readings = field(default_factory=Readings)
    read_s: float = -math.inf
    read_utc_s: float = 0.0
    driver: Driver | None = None
    trouble: str = "not reached yet"
    orders: OrderBook = field(default_factory=OrderBook)
    counters: Counters = field(default_factory=Counters)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: bool = False
    _failures: int = 0
    _unlinked_s: float = math.inf

    @property
    def name(self) -> str:
        """Of the device."""
        return self.settings.name

    def take(self, order: Setpoint) -> str:
        """Take an order for this inverter; return why it is refused at once, or nothing."""
        if self.settings.role != "inverter":
            return "not an inverter"
        if not self.online or self.driver is None:
            return f"not reached: {self.trouble}"
        before = self.orders.pending
        refused = self.orders.take(order, time.monotonic())
        if not refused and self.orders.pending is before:
            self.listener.sent(self, order)
            self.listener.answered(self, order, "")
        self._wake.set()
        return refused

    def link(self, connected: bool) -> None:
        """The control came or went."""
        if self.linked and not connected:
            self._unlinked_s = time.monotonic()
        elif connected and not self.linked and time.monotonic() - self._unlinked_s > REVERSION_S:
            self.orders.forget()  # the inverter went to zero meanwhile; whoever wants power says so
        self.linked = connected

    def end(self) -> None:
        """Let `run` return even where its cancellation is lost.

        `asyncio.wait_for` of Python 3.11, under pymodbus, answers a cancellation that meets the
        device's answer with that answer.
        """
        self._ended = True

    async def run(self) -> None:
        """Serve the device until cancelled, or until `end`."""
        while not self._ended:
            try:
                await self._session()
            except RefusedError as error:
                self._fail(str(error))
                pause_s = REFUSED_S
            except (DeviceError, ValueError) as error:
                self._fail(str(error))
                pause_s = BACKOFF_S[min(self._failures, len(BACKOFF_S)) - 1]
            else:
                continue
            await self._pause(pause_s)

    async def halt(self) -> None:
        """Order zero; the gateway ends in an orderly way."""
        if self.settings.role == "inverter" and self.online and self.driver is not None:
            in_force = self.orders.in_force or self.orders.pending
            if in_force is not None:
                await self.conversation.run(self.driver.stop())

    async def _session(self) -> None:
        self.driver = driver = await self._make_driver()
        adopted_w = await self.conversation.run(driver.prepare())
        self._adopt(adopted_w)
        self.trouble = ""
        due = [0.0] * len(driver.periods_s)
        alive_s = 0.0
        while not self._ended:
            self._wake.clear()
            now_s = time.monotonic()
            self.orders.expire(now_s)
            if self.orders.pending is not None:
                await self._carry_out(driver, self.orders.pending)
            elif self.orders.ended:
                await self.conversation.run(driver.stop())
                self.orders.ended = False
            elif self.settings.role == "inverter" and now_s >= alive_s:
                alive_s = now_s + ALIVE_S
                await self._keep_alive(driver)
            elif groups := [at for at, due_s in enumerate(due) if now_s >= due_s]:
                for at in groups:
                    due[at] = now_s + driver.periods_s[at]
                self._take_readings(await self.conversation.run(driver.poll(groups)))
            else:
                next_s = min(*due, self.orders.next_end_s())
                if self.settings.role == "inverter":
                    next_s = min(next_s, alive_s)
                await self._rest(next_s - now_s)

    async def _make_driver(self) -> Driver:
        settings = self.settings
        if self.description is not None:
            limits = Limits(settings.charge_max_w, settings.discharge_max_w)
            return DescribedDevice(self.description, limits)
        device = await self.conversation.run(discover())
        if settings.role != "inverter":
            return SunSpecMeter(device, settings.poll_s)
        limits = limits_of(device, settings.charge_max_w, settings.discharge_max_w)
        return SunSpecInverter(device, limits, functions_of(settings), settings.poll_s)

    def _adopt(self, p_w: float | None) -> None:
        """Renew what the inverter does already, until the control says something."""
        if p_w is None or self.settings.role != "inverter" or self.orders.in_force is not None:
            return
        now_s = time.monotonic()
        self.orders.in_force = Setpoint(self.name, -1, p_w, self.adopt_s, now_s, reason="adopted")

    async def _carry_out(self, driver: Driver, order: Setpoint) -> None:
        self.counters.orders += 1
        self.listener.sent(self, order)
        try:
            await self.conversation.run(driver.order(order.p_w, order.q_var))
            reason = ""
        except (RefusedError, DeviceError) as error:
            reason = str(error)
            self.counters.refused += 1
        self.orders.done(order, carried_out=not reason)
        self.listener.answered(self, order, reason)

    async def _keep_alive(self, driver: Driver) -> None:
        if not self.linked:
            return  # nobody decides any more: let the inverter's own timer end the order
        order = self.orders.in_force
        await self.conversation.run(
            driver.keep_alive(order.p_w, order.q_var) if order else driver.keep_alive(None)
        )

    async def _pause(self, seconds: float) -> None:
        if not self._ended:
            await asyncio.sleep(seconds)

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _take_readings(self, readings: Readings) -> None:
        self.counters.polls += 1
        self._failures = 0
        readings = readings.signed(self.settings.export_sign)
        lie = readings.implausible(self.nominal_hz, self.settings.most_w)
        if lie:
            self.counters.implausible += 1
        if lie and lie != self.trouble:
            logger.warning("{}: {} is not believed", self.name, lie)
        self.trouble = lie
        self.readings = readings
        self.read_s, self.read_utc_s = time.monotonic(), time.time()
        self.online = True
        self.quality = Validity.INVALID if lie else Validity.GOOD
        self.listener.changed(self)

    def _fail(self, trouble: str) -> None:
        self.counters.failures += 1
        self._failures += 1
        if self.online or trouble != self.trouble:
            logger.warning("{}: {}", self.name, trouble)
        self.trouble = trouble
        self.online = False
        self.quality = Validity.INVALID
        for order in filter(None, (self.orders.pending,)):
            self.orders.done(order, carried_out=False)
            self.listener.answered(self, order, trouble)
        self.orders.ended = False
        self.listener.changed(self)


def functions_of(settings: FieldDevice) -> Functions:
    """Return what the inverter shall do by itself, out of its table."""
    droop = None
    given = (settings.db_of_hz, settings.db_uf_hz, settings.k_of, settings.k_uf)
    if None not in given:
        of_hz, uf_hz, k_of, k_uf = (value or 0.0 for value in given)
        droop = Droop(of_hz, uf_hz, k_of, k_uf, settings.olrt_s)
    return Functions(
        droop=droop,
        volt_var=settings.volt_var,
        volt_var_response_s=settings.olrt_s,
        power_factor=settings.power_factor,
        limit_pct=settings.limit_pct,
        enter_service=settings.enter_service,
    )
